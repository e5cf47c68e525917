//! The worker on a vendor library that was written a second time: in C, from the vendor's tables alone, without a look
//! at the worker's binding or at the simulated library. What two readers of the same tables agree upon is not one's error.

// Marked as tests, so that the lints for tests hold in its helpers too.
#[cfg(test)]
mod independent_vendor {
    #[path = "../gateways/harness.rs"]
    #[expect(dead_code, reason = "this target needs a part of it")]
    mod harness;

    mod callbacks;
    mod depth;
    mod library;
    mod load;
    mod login;
    mod scene;
    mod subscriptions;
}
