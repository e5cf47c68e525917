//! `mdhub backup` and `mdhub restore`.

use std::fs::{File, OpenOptions, hard_link};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use mdhub_spec::ports::{AccountStore, SetAside, StoreError};
use mdhub_store::archive;

use super::note;
use crate::data_dir::DataDir;
use crate::{Failure, complain, say};

/// # Errors
/// Why there is no backup, or not a whole one.
pub(crate) async fn backup(data: &DataDir, store: &dyn AccountStore, file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let failed = |e: io::Error| format!("{shown}: {e}; nothing was written");
    if file.symlink_metadata().is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let draft = Draft(PathBuf::from(name));
    // Its owner's alone from the first byte on.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0).map_err(failed)?;
    let (what, back, missing) = write(data, store, &draft.0, &made).await.map_err(|e| format!("{shown}: {e}"))?;
    // Whole, under its name, and never over something else.
    made.sync_all().and_then(|()| hard_link(&draft.0, file)).map_err(failed)?;
    say(format_args!(
        "{shown}: {what}. It opens with the sealing key alone, which is NOT in it: keep that elsewhere.\nBack: {back}"
    ))?;
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|row| format!("{} ({})", row.id, row.why)).collect::<Vec<_>>().join("; ");
    Err(format!("{shown}: these rows cannot be read, and are NOT in it: {names}"))
}

/// A file that is not there any more when it is done with.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing is lost with it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What was written, how it comes back, and what is not in it.
async fn write(
    data: &DataDir,
    store: &dyn AccountStore,
    draft: &Path,
    mut made: &File,
) -> Result<(&'static str, &'static str, Vec<SetAside>), Failure> {
    if store.copy_to(draft).await.map_err(|e| e.to_string())? {
        for row in store.load().await.map_err(|e| e.to_string())?.set_aside {
            complain(format_args!(
                "account {}: its row cannot be used ({}), and is copied as it is: a password that was written there by hand \
                 stands in the copy in plain text",
                row.id, row.why
            ));
        }
        let back = "stop the hub, put the file in the database's place, start the hub";
        return Ok(("a copy of the whole database", back, Vec::new()));
    }
    let loaded = store.load().await.map_err(|e| e.to_string())?;
    let sealed = archive::seal(&data.sealing_key()?, &loaded.accounts).map_err(|e| e.to_string())?;
    made.write_all(sealed.as_bytes()).map_err(|e| e.to_string())?;
    let what = "every account, sealed (events are the server's own to back up)";
    Ok((what, "mdhub restore FILE", loaded.set_aside))
}

/// # Errors
/// Why nothing, or not everything, was brought back.
pub(crate) async fn restore(data: &DataDir, store: &dyn AccountStore, file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => {
            format!("{shown}: it is no text: a copy of a SQLite database is put in its place, the hub being stopped")
        }
        io::ErrorKind::NotFound => format!("{shown}: there is no such file; nothing was changed"),
        _ => format!("{shown}: {e}; nothing was changed"),
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
