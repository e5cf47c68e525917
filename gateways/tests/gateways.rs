//! The gateways with real processes and, where they are there, real vendor libraries.

// Marked as tests, so that the lints for tests hold in its helpers too.
#[cfg(test)]
mod gateways {
    mod commands;
    mod escape;
    mod harness;
    mod hub_death;
    mod leftover;
    mod library;
    mod manager;
    mod simulated;
    mod unprivileged;
    mod worker;
}
