//! The manager for a user without privileges: the kernel shows such a one little of a worker, which is not to be dumped.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::harness::{Hub, SOON, act, mark, program, simulated_library, sleeping, wait_until};

/// A user and group that nothing belongs to.
const NOBODY: u32 = 65_534;

/// A directory of nobody's, with copies of what is run there: the originals may be where nobody can go.
struct Place {
    dir: tempfile::TempDir,
    library: PathBuf,
}

impl Place {
    /// `None`, and the test is skipped by name, where this is no root that could become somebody else.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let library = dir.path().join("library.so");
        let at = |name: &str| dir.path().join(name);
        std::fs::copy(simulated_library()?, &library).expect("copied");
        for (from, to) in [(program("gateways-hub"), "hub"), (program("gateways-worker"), "worker"), (act(), "act.sh")]
        {
            std::fs::copy(from, at(to)).expect("copied");
            std::fs::set_permissions(at(to), std::fs::Permissions::from_mode(0o755)).expect("ours");
        }
        if let Err(e) = chown(dir.path(), Some(NOBODY), Some(NOBODY)) {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            eprintln!("skipped: {test}: it begins as root, which becomes nobody: {e}");
            return None;
        }
        Some(Self { dir, library })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A hub of nobody's.
    #[expect(clippy::disallowed_methods, reason = "the test is the hub's parent")]
    fn hub(&self, mode: &str, worker: &str, act_and_mark: [&str; 2]) -> Child {
        let [act_name, mark] = act_and_mark;
        let mut command = Command::new(self.path().join("hub"));
        command.arg(mode).args([&self.path().join(worker), self.path(), &self.library]);
        command.env("ACT", act_name).env("MARK", mark).env("PROOF", self.path());
        command.env("SIMAPI_WORLD", self.path().join("world.json")).current_dir(self.path());
        command.uid(NOBODY).gid(NOBODY).stdout(Stdio::null()).spawn().expect("starts")
    }

    /// Ends what the last hub left behind.
    async fn tidy(&self) {
        let hub = Hub::at(self.path(), act());
        hub.until("ctp-main", "an empty place", |view| view.process.is_none().then_some(())).await;
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }
}

fn end(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

#[tokio::test]
async fn hubs_of_an_unprivileged_user_that_are_killed_end_each_others_leftovers_and_never_have_two_processes() {
    let Some(place) = Place::new() else { return };
    let mark = mark();
    let started = || place.read("started").lines().count();
    for round in 0..3 {
        let before = started();
        let hub = place.hub("load", "act.sh", ["prove", &mark]);
        wait_until("some starts", SOON * 2, || started() >= before + 5 + round).await;
        end(hub);
    }
    assert!(!sleeping(&mark).is_empty(), "they are deaf, and nobody else ends them");
    assert_eq!(place.read("doubled"), "");
    let hub = place.hub("hold", "act.sh", ["obey", &mark]);
    wait_until("an end of the leftovers", SOON, || sleeping(&mark).is_empty()).await;
    end(hub);
    place.tidy().await;
}

/// Processes that were forked by a worker in this place, and run no program of their own.
fn forked(place: &Path) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_forked = |pid: &i32| {
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        read("comm").starts_with(b"simapi-child") && read("cmdline").starts_with(place.as_os_str().as_encoded_bytes())
    };
    pids.filter(is_forked).collect()
}

#[tokio::test]
async fn what_a_library_forked_and_may_not_be_looked_into_is_found_and_ended_by_an_unprivileged_hub() {
    let Some(place) = Place::new() else { return };
    let fork = r#"{"kind":"fork","children":2,"setsid":true,"ignores_term":true,"lives_ms":600000}"#;
    let world = format!(r#"{{"fronts":{{"tcp://127.0.0.1:1":{{"scenarios":[{fork}]}}}}}}"#);
    std::fs::write(place.path().join("world.json"), world).expect("written");
    let first = place.hub("hold", "worker", ["", ""]);
    wait_until("forked processes", SOON, || forked(place.path()).len() == 2).await;
    let hidden = forked(place.path());
    for pid in &hidden {
        let environ = std::fs::metadata(format!("/proc/{pid}/environ")).expect("there");
        assert_eq!(environ.uid(), 0, "nobody may look into it");
    }
    end(first);
    assert_eq!(forked(place.path()), hidden, "they do not go with the hub");
    let next = place.hub("hold", "worker", ["", ""]);
    wait_until("an end of the leftovers", SOON, || forked(place.path()).iter().all(|pid| !hidden.contains(pid))).await;
    end(next);
    place.tidy().await;
    assert_eq!(forked(place.path()), Vec::<i32>::new());
}

#[tokio::test]
async fn another_users_process_that_only_looks_like_a_leftover_keeps_no_account_waiting() {
    let Some(place) = Place::new() else { return };
    let mark = mark();
    let first = place.hub("hold", "act.sh", ["prove", &mark]);
    wait_until("a worker", SOON, || !sleeping(&mark).is_empty()).await;
    let record = place.read("lock/ctp-main");
    let incarnation = record.split(' ').nth(2).expect("recorded");
    let foreign = foreign(incarnation);
    end(first);
    let next = place.hub("hold", "act.sh", ["prove", &mark]);
    let restarted = || place.read("started").lines().count() == 2;
    wait_until("another worker", SOON, restarted).await;
    assert_eq!(place.read("doubled"), "");
    end(next);
    // Before it is seen by a hub that is root.
    end(foreign);
    place.tidy().await;
}

/// A process of root's that says to be of this life.
#[expect(clippy::disallowed_methods, reason = "the test is the parent of a bystander")]
fn foreign(incarnation: &str) -> Child {
    Command::new("sh")
        .args(["-c", "read line", "sh", "--incarnation", incarnation])
        .stdin(Stdio::piped())
        .spawn()
        .expect("starts")
}
