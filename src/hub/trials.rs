//! Tries accounts in throw-away processes, beside the gateways that run.

use std::path::PathBuf;
use std::sync::Arc;

use mdhub_api::{NoTrial, Outcome, TrialStep, Trials};
use mdhub_gateways::probe::{EXIT_NO_TICK, Probe, Step, What};
use mdhub_spec::account::MarketDataAccount;
use mdhub_spec::contract::Contract;
use tokio::sync::{Semaphore, mpsc};
use tracing::warn;

use crate::data_dir::DataDir;
use crate::logging;

use super::control::Control;

/// At once.
const TRIALS_MAX: usize = 2;
/// A trial takes no longer than this.
const DEADLINE_MS: u64 = 30_000;
/// Contracts that are subscribed for the first tick.
const CONTRACTS_MAX: usize = 10;
/// Steps that may wait for a client.
const STEPS_WAITING_MAX: usize = 64;

/// Who tries, with what the settings say.
pub(super) struct Trial {
    control: Arc<Control>,
    places: Arc<Semaphore>,
    /// Processes have their directories in it.
    scratch_dir: PathBuf,
}

impl Trial {
    /// Clears away what a hub that was killed has left.
    pub(super) fn new(control: &Arc<Control>, data: &DataDir) -> Self {
        let scratch_dir = data.path("trials");
        let made = match std::fs::remove_dir_all(&scratch_dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir(&scratch_dir),
        };
        if let Err(error) = made {
            warn!(directory = %scratch_dir.display(), %error, "accounts cannot be tried; everything else goes on");
        }
        Self { control: control.clone(), places: Arc::new(Semaphore::new(TRIALS_MAX)), scratch_dir }
    }

    fn probe(&self, account: MarketDataAccount, check_password: bool) -> Result<Probe, NoTrial> {
        let loaded = self.control.settings().borrow().clone();
        let MarketDataAccount { gateway, settings, password, .. } = account;
        let library = loaded.libraries.get(&settings.library).ok_or_else(|| {
            let known: Vec<&str> = loaded.libraries.keys().map(String::as_str).collect();
            NoTrial::NoLibrary(format!(
                "{:?} is not in libraries: of the settings; allowed are {}",
                settings.library,
                known.join(", ")
            ))
        })?;
        let dialect =
            library.dialect(gateway).map_err(|why| NoTrial::NoLibrary(format!("{:?}: {why}", settings.library)))?;
        // Canaries tick first.
        let wanted = loaded.settings.canaries.list.iter().chain(&loaded.contracts);
        let mut contracts: Vec<Contract> = Vec::new();
        for contract in wanted.filter(|contract| dialect.serves(contract.exchange())) {
            if contracts.len() < CONTRACTS_MAX && !contracts.contains(contract) {
                contracts.push(contract.clone());
            }
        }
        let failed = |why: String| NoTrial::Failed(why);
        Ok(Probe {
            program: std::env::current_exe().map_err(|e| failed(format!("this program: {e}")))?,
            kind: gateway,
            library: library.clone(),
            user_id: settings.user_id,
            password,
            broker_id: settings.broker_id,
            md_address: settings.md_address,
            contracts,
            check_password,
            deadline_ms: DEADLINE_MS,
            scratch_dir: self.scratch_dir.clone(),
        })
    }
}

impl Trials for Trial {
    fn begin(&self, account: MarketDataAccount, check_password: bool) -> Result<mpsc::Receiver<TrialStep>, NoTrial> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| NoTrial::Busy)?;
        let probe = self.probe(account, check_password)?;
        let (is_open, manager) = (self.control.in_session(), self.control.manager().clone());
        let (steps, taken) = mpsc::channel(STEPS_WAITING_MAX);
        tokio::task::spawn_blocking(move || {
            let tried = probe.password.clone();
            let tell = |mut step: TrialStep| {
                // A front, or a library, may repeat what it was given.
                let message = logging::SECRETS.hidden(&step.message);
                step.message = if tried.is_empty() { message } else { message.replace(tried.reveal(), "...") };
                // Whoever has gone away is told nothing.
                let _ = steps.blocking_send(step);
            };
            let mut last_ms = 0;
            let mut logged_in = false;
            let verdict = manager.probe(&probe, &|| !steps.is_closed(), &mut |step| {
                last_ms = step.at_ms;
                logged_in |= matches!(step.what, What::LoggedIn { .. });
                tell(told(&step, is_open()));
            });
            if logged_in && !probe.check_password {
                let message =
                    "whether this front checks it was not tried: many market-data fronts check none".to_owned();
                tell(TrialStep { step: "password", outcome: Outcome::Warn, message, at_ms: last_ms });
            }
            let outcome = match verdict.code {
                0 => Outcome::Ok,
                EXIT_NO_TICK => Outcome::Warn,
                _ => Outcome::Failed,
            };
            tell(TrialStep { step: "result", outcome, message: verdict.reason, at_ms: last_ms });
            drop(place);
        });
        Ok(taken)
    }
}

/// A step as clients are told it.
fn told(step: &Step, is_open: bool) -> TrialStep {
    let name = match &step.what {
        What::LibraryFound { .. }
        | What::EnvironmentFound { .. }
        | What::LibraryMissing { .. }
        | What::LibraryLoaded { .. } => "library",
        What::Resolved { .. } | What::Unresolved { .. } => "address",
        What::Reachable { .. } | What::Unreachable { .. } => "tcp",
        What::FrontConnected | What::FrontDisconnected { .. } => "front",
        What::LoggedIn { .. } | What::LoginRefused { .. } => "login",
        What::PasswordChecked | What::PasswordNotChecked | What::PasswordUnknown { .. } => "password",
        What::ContractRefused { .. } | What::Subscribed { .. } | What::Unanswered { .. } => "subscription",
        What::FirstTick { .. } | What::NoTick { .. } => "tick",
        What::WorkerLeft { .. } => "worker",
    };
    // A front that another one stands beside, or a library that is only new, is no end of it.
    let outcome = match &step.what {
        _ if step.is_good => Outcome::Ok,
        What::LibraryMissing { .. } | What::LoginRefused { .. } | What::WorkerLeft { .. } => Outcome::Failed,
        _ => Outcome::Warn,
    };
    let message = match &step.what {
        What::NoTick { .. } if !is_open => "no tick: the market is closed".to_owned(),
        what => what.to_string(),
    };
    TrialStep { step: name, outcome, message, at_ms: step.at_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_market_is_no_fault_and_a_refused_login_is() {
        let step = |is_good, what| Step { at_ms: 7, is_good, what };
        let silent = What::NoTick { waited_ms: 10_000 };
        let closed = told(&step(false, silent.clone()), false);
        assert_eq!(
            (closed.step, closed.outcome, closed.message.as_str()),
            ("tick", Outcome::Warn, "no tick: the market is closed")
        );
        assert!(told(&step(false, silent), true).message.contains("10 s"));
        let refused = told(&step(false, What::LoginRefused { code: 3, message: "wrong".into() }), true);
        assert_eq!((refused.step, refused.outcome, refused.at_ms), ("login", Outcome::Failed, 7));
        assert_eq!(told(&step(true, What::FrontConnected), true).outcome, Outcome::Ok);
    }
}
