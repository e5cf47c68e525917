//! The last desired state on the data volume, sealed by the key of the secrets: what a start without the database runs from.

use std::io;

use mdhub_spec::account::MarketDataAccount;
use mdhub_store::{SealingKey, archive};
use tracing::{info, warn};

use crate::Failure;
use crate::data_dir::DataDir;

/// Its name in the data directory.
const FILE: &str = "desired.last";

/// The file, and what was last written there.
pub(crate) struct LastDesired {
    data: DataDir,
    key: SealingKey,
    written: Option<Vec<MarketDataAccount>>,
    failing: bool,
    /// Whether there was no key, so that one was made.
    key_is_new: bool,
}

impl LastDesired {
    /// # Errors
    /// When the sealing key cannot be read.
    pub(crate) fn new(data: &DataDir) -> Result<Self, Failure> {
        let key_is_new = !data.has_sealing_key();
        Ok(Self { data: data.clone(), key: data.sealing_key()?, written: None, failing: false, key_is_new })
    }

    /// Whether this start had to make the sealing key.
    pub(crate) fn key_is_new(&self) -> bool {
        self.key_is_new
    }

    /// What the file holds. One that is torn or of another key is named, and counts as none.
    pub(crate) fn read(&self) -> Option<Vec<MarketDataAccount>> {
        let path = self.data.path(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(file = %path.display(), %error, "the last desired state cannot be read and is ignored");
                return None;
            }
        };
        archive::open(&self.key, &text)
            .inspect_err(|error| warn!(file = %path.display(), %error, "the last desired state is ignored"))
            .ok()
    }

    /// Writes it down, if it is another than before. A disk that refuses costs the file, and nothing else.
    pub(crate) async fn keep(&mut self, accounts: Vec<MarketDataAccount>) {
        if self.written.as_ref() == Some(&accounts) {
            return;
        }
        let data = self.data.clone();
        let sealed = archive::seal(&self.key, &accounts).map_err(io::Error::other);
        let write = move || data.replace_durably(FILE, &sealed?);
        let done = tokio::task::spawn_blocking(write).await.map_err(io::Error::other).flatten();
        match done {
            Ok(()) => {
                if self.failing {
                    info!("{FILE} is written again");
                }
                (self.failing, self.written) = (false, Some(accounts));
            }
            Err(error) => {
                if !self.failing {
                    warn!(%error, "{FILE} cannot be written: a start without the database would run from an older one");
                }
                self.failing = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mdhub_spec::account::{AccountSettings, GatewayKind, Secret};

    use super::*;
    use crate::cli::PlaceArgs;

    fn place(root: &std::path::Path) -> PlaceArgs {
        PlaceArgs { data_dir: root.join("data"), database_url: None, secret_key_file: None }
    }

    fn account() -> MarketDataAccount {
        MarketDataAccount {
            id: "ctp-main".parse().expect("a slug"),
            gateway: GatewayKind::Ctp,
            settings: AccountSettings::from_json(r#"{"md_address":"tcp://a:1","library":"sim"}"#).expect("settings"),
            password: Secret::new("swordfish".into()),
            priority: 1,
            is_enabled: true,
            suspended: false,
            restart_generation: 0,
            generation: 1,
            description: String::new(),
            created_at_ms: 0,
            updated_at_ms: 0,
        }
    }

    #[tokio::test]
    async fn it_comes_back_sealed_and_a_torn_one_or_another_key_counts_as_none() {
        let temp = tempfile::tempdir().expect("a directory");
        let data = DataDir::open(&place(temp.path())).expect("opens");
        let mut last = LastDesired::new(&data).expect("a key");
        assert!(last.read().is_none());
        last.keep(vec![account()]).await;
        assert_eq!(last.read(), Some(vec![account()]));
        let text = std::fs::read_to_string(data.path(FILE)).expect("there");
        assert!(!text.contains("swordfish"), "{text}");
        std::fs::write(data.path(FILE), &text[..text.len() / 2]).expect("torn");
        assert!(last.read().is_none());
        std::fs::write(data.path(FILE), text).expect("whole again");
        std::fs::remove_file(data.path("secret.key")).expect("lost");
        assert!(LastDesired::new(&data).expect("another key").read().is_none());
    }

    #[tokio::test]
    async fn it_is_replaced_as_a_whole_so_that_no_crash_leaves_half_of_it() {
        let temp = tempfile::tempdir().expect("a directory");
        let data = DataDir::open(&place(temp.path())).expect("opens");
        let mut last = LastDesired::new(&data).expect("a key");
        last.keep(vec![account()]).await;
        let first = std::fs::read_to_string(data.path(FILE)).expect("there");
        // The file as a start has it that opened it a moment before; and what a crash left of an earlier try.
        std::fs::hard_link(data.path(FILE), data.path("held")).expect("held");
        std::fs::write(data.path(&format!("{FILE}.new")), "torn".repeat(1_000)).expect("torn");
        last.keep(vec![MarketDataAccount { priority: 9, ..account() }]).await;
        assert_eq!(
            std::fs::read_to_string(data.path("held")).expect("there"),
            first,
            "the old one is not written over"
        );
        assert_eq!(last.read(), Some(vec![MarketDataAccount { priority: 9, ..account() }]));
    }
}
