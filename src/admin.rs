//! The administrator: who may use the control port. Name and password hash are kept in `<data>/auth`, so that the login works
//! while the database is away.

use std::io::BufRead as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mdhub_api::password::{self, Administrator};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::cli::{AdminCommand, ResetArgs};
use crate::data_dir::DataDir;
use crate::{Failure, say};

/// Name and hash.
const KEPT: &str = "auth";
/// The password that was made at the first start; it goes when it is changed.
const INITIAL: &str = "initial-admin-password";
/// How often it is looked whether the file has changed.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    user: String,
    hash: String,
}

/// Reads the administrator, or makes one at the first start: from `MDHUB_ADMIN_USER` and `MDHUB_ADMIN_PASSWORD`, else `admin`
/// with a password that is written down for whoever may read the data directory.
///
/// # Errors
/// When the file cannot be read, understood or written.
pub(crate) fn read_or_make(data: &DataDir) -> Result<watch::Sender<Arc<Administrator>>, Failure> {
    let path = data.path(KEPT);
    // A file that is there and cannot be looked at is no first start.
    let administrator = match std::fs::symlink_metadata(&path) {
        Ok(_) => read(data)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => make(data)?,
        Err(e) => return Err(format!("{}: {e}", path.display())),
    };
    let given = |name| std::env::var(name).ok();
    if let Some(why) = unused(&administrator, given("MDHUB_ADMIN_USER"), given("MDHUB_ADMIN_PASSWORD")) {
        warn!("{why}");
    }
    Ok(watch::Sender::new(Arc::new(administrator)))
}

/// What the environment says of an administrator who is another one by now.
fn unused(administrator: &Administrator, user: Option<String>, password: Option<String>) -> Option<String> {
    let is_so = match (&user, &password) {
        (None, None) => true,
        (Some(user), None) => user == administrator.user(),
        (user, Some(password)) => administrator.is(user.as_deref().unwrap_or(administrator.user()), password),
    };
    let is_said = "MDHUB_ADMIN_USER and MDHUB_ADMIN_PASSWORD count at the first start only, and differ from what is in force: \
                   `mdhub admin reset-password` changes it";
    (!is_so).then(|| is_said.to_owned())
}

fn make(data: &DataDir) -> Result<Administrator, Failure> {
    let user = std::env::var("MDHUB_ADMIN_USER").unwrap_or_else(|_| "admin".to_owned());
    let made = match std::env::var("MDHUB_ADMIN_PASSWORD") {
        Ok(password) => Administrator::with_password(&user, &password)
            .map_err(|e| format!("MDHUB_ADMIN_USER, MDHUB_ADMIN_PASSWORD: {e}"))?,
        Err(_) => {
            let password = password::make()?;
            let made = Administrator::with_password(&user, &password).map_err(|e| format!("MDHUB_ADMIN_USER: {e}"))?;
            write(data, INITIAL, &format!("{password}\n"))?;
            info!(user, file = %data.path(INITIAL).display(), "the control port's first password was made");
            made
        }
    };
    keep(data, &made)?;
    Ok(made)
}

/// The password that was made, as long as it is the one.
pub(crate) fn initial_password(data: &DataDir) -> Option<String> {
    std::fs::read_to_string(data.path(INITIAL)).ok().map(|text| text.trim().to_owned())
}

fn read(data: &DataDir) -> Result<Administrator, Failure> {
    let path = data.path(KEPT);
    let failed =
        |e: &dyn std::fmt::Display| format!("{}: {e}; `mdhub admin reset-password` makes it anew", path.display());
    let text = std::fs::read_to_string(&path).map_err(|e| failed(&e))?;
    let Kept { user, hash } = serde_json::from_str(&text).map_err(|e| failed(&e))?;
    Administrator::kept(&user, &hash).map_err(|e| failed(&e))
}

fn keep(data: &DataDir, administrator: &Administrator) -> Result<(), Failure> {
    let kept = Kept { user: administrator.user().to_owned(), hash: administrator.hash().to_owned() };
    write(data, KEPT, &serde_json::to_string(&kept).map_err(|e| e.to_string())?)
}

fn write(data: &DataDir, name: &str, text: &str) -> Result<(), Failure> {
    data.replace_durably(name, text).map_err(|e| format!("{}: {e}", data.path(name).display()))
}

/// Takes a changed administrator over while the hub runs.
pub(crate) async fn follow(
    data: DataDir,
    administrator: watch::Sender<Arc<Administrator>>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut seen = signature(&data.path(KEPT));
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let now = signature(&data.path(KEPT));
        if now == seen {
            continue;
        }
        seen = now;
        match read(&data) {
            Ok(changed) => {
                info!(user = changed.user(), "the control port's password was changed");
                administrator.send_replace(Arc::new(changed));
            }
            Err(why) => error!("the control port's password stays as it was: {why}"),
        }
    }
}

fn signature(path: &Path) -> Option<(u64, i64, i64)> {
    std::fs::metadata(path).ok().map(|found| (found.ino(), found.mtime(), found.mtime_nsec()))
}

/// `mdhub admin`.
///
/// # Errors
/// When the new password is not allowed, or cannot be kept.
pub(crate) fn run(command: AdminCommand) -> Result<(), Failure> {
    let AdminCommand::ResetPassword(ResetArgs { user, password_stdin, data_dir }) = command;
    let data = DataDir::existing(&data_dir)?;
    let user =
        user.or_else(|| read(&data).ok().map(|kept| kept.user().to_owned())).unwrap_or_else(|| "admin".to_owned());
    let password = if password_stdin {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(|e| format!("standard input: {e}"))?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        password::make()?
    };
    keep(&data, &Administrator::with_password(&user, &password)?)?;
    let _ = std::fs::remove_file(data.path(INITIAL));
    if password_stdin {
        return say(format_args!("the password of {user} is changed; a running hub knows within a second or two"));
    }
    say(format_args!("{user} {password}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::PlaceArgs;

    #[test]
    fn the_first_start_makes_a_password_that_the_next_one_knows() {
        let temp = tempfile::tempdir().expect("a directory");
        let place = PlaceArgs { data_dir: temp.path().into(), database_url: None, secret_key_file: None };
        let data = DataDir::open(&place).expect("opens");
        read_or_make(&data).expect("made");
        let password = initial_password(&data).expect("written down");
        assert!(read(&data).expect("read").is("admin", &password));
        for name in [KEPT, INITIAL] {
            assert_eq!(std::fs::metadata(data.path(name)).expect("there").mode() & 0o777, 0o600, "{name}");
        }
        assert!(!std::fs::read_to_string(data.path(KEPT)).expect("text").contains(&password));
        let reset = ResetArgs { user: None, password_stdin: false, data_dir: temp.path().into() };
        run(AdminCommand::ResetPassword(reset)).expect("reset");
        assert!(!read_or_make(&data).expect("read").borrow().is("admin", &password));
        assert_eq!(initial_password(&data), None);
        std::fs::write(data.path(KEPT), "{}").expect("written");
        let refused = read_or_make(&data).map(|_| ()).expect_err("nobody is let in by a file that says nothing");
        assert!(refused.contains("reset-password"), "{refused}");
    }

    #[test]
    fn a_file_that_cannot_be_looked_at_is_no_first_start() {
        let temp = tempfile::tempdir().expect("a directory");
        let place = PlaceArgs { data_dir: temp.path().into(), database_url: None, secret_key_file: None };
        let data = DataDir::open(&place).expect("opens");
        std::os::unix::fs::symlink(data.path(KEPT), data.path(KEPT)).expect("a link to itself");
        let refused = read_or_make(&data).map(|_| ()).expect_err("nothing is made in its place");
        assert!(refused.contains("auth: "), "{refused}");
        assert_eq!(initial_password(&data), None);
    }

    #[test]
    fn an_environment_that_does_not_count_any_more_is_told() {
        let administrator = Administrator::with_password("desk", "a password").expect("allowed");
        let given = |word: &str| (!word.is_empty()).then(|| word.to_owned());
        for (user, password, is_told) in [
            ("", "", false),
            ("desk", "", false),
            ("desk", "a password", false),
            ("", "a password", false),
            ("", "another one", true),
            ("admin", "", true),
            ("admin", "a password", true),
        ] {
            let told = unused(&administrator, given(user), given(password));
            assert_eq!(told.is_some(), is_told, "{user}:{password}");
            assert!(told.is_none_or(|told| !told.contains("another one") && told.contains("reset-password")));
        }
    }
}
