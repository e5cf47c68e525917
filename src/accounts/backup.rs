//! `mdhub backup` and `mdhub restore`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use mdhub_spec::ports::{AccountStore, StoreError};
use mdhub_store::archive;

use super::note;
use crate::data_dir::DataDir;
use crate::{Failure, say};

/// # Errors
/// Why there is no backup.
pub(crate) async fn backup(data: &DataDir, store: &dyn AccountStore, file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    // Made here: its owner's alone from the first byte on, and never over something else.
    let mut made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(|e| format!("{shown}: {e}; nothing was written"))?;
    let (what, back) = if store.copy_to(file).await.map_err(|e| e.to_string())? {
        ("a copy of the whole database", "stop the hub, put the file in the database's place, start the hub")
    } else {
        let loaded = store.load().await.map_err(|e| e.to_string())?;
        let sealed = archive::seal(&data.sealing_key()?, &loaded.accounts).map_err(|e| e.to_string())?;
        made.write_all(sealed.as_bytes()).and_then(|()| made.sync_all()).map_err(|e| format!("{shown}: {e}"))?;
        ("every account, sealed (events are the server's own to back up)", "mdhub restore FILE")
    };
    say(format_args!(
        "{shown}: {what}. It opens with the sealing key alone, which is NOT in it: keep that elsewhere.\nBack: {back}"
    ))
}

/// # Errors
/// Why nothing, or not everything, was brought back.
pub(crate) async fn restore(data: &DataDir, store: &dyn AccountStore, file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|_| {
        format!(
            "{shown}: it cannot be read as text: a copy of a SQLite database is put in its place, the hub being stopped"
        )
    })?;
    for account in archive::open(&data.sealing_key()?, &text).map_err(|e| format!("{shown}: {e}"))? {
        let id = account.id.clone();
        match store.insert(account).await {
            Ok(_) => {
                note(store, &id, "Restored", "the account was brought back from a backup").await;
                say(format_args!("account {id}: restored"))?;
            }
            Err(StoreError::Taken(_)) => say(format_args!("account {id}: it is there, and stays as it is"))?,
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(())
}
