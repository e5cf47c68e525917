//! The worker as a process, with a Start command of the test's own: the vendor's real libraries against real TCP
//! listeners, and the simulated one for what no listener can play.

// Marked as tests, so that the lints for tests hold in its helpers too.
#[cfg(test)]
mod real_worker {
    mod limits;
    mod listeners;
    mod probe;
    mod real_libraries;
    mod reconnects;
    mod refusals;
    mod rig;
}
