//! The gateways with real processes and, where they are there, real vendor libraries.

// Marked as tests, so that the lints for tests hold in its helpers too.
#[cfg(test)]
mod gateways {
    mod harness;
    mod hub_death;
    mod library;
    mod manager;
    mod simulated;
    mod worker;
}
