//! What is executed as a worker: mdhub itself, or vnpy's Python.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use mdhub_spec::account::{AccountId, GatewayKind};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::Incarnation;
use mdhub_spec::settings::VnpyClass;

/// What an account's processes load, as the settings describe it.
#[derive(Debug, Clone)]
pub struct Library {
    /// Path of the vendor's shared object, or of the environment that `gateways/vnpy/install` made.
    pub path: PathBuf,
    /// The shared object's SHA-256, checked by the worker before it is loaded.
    pub sha256: Option<String>,
    /// Environment variables of workers that load it.
    pub env: BTreeMap<String, String>,
    /// The gateway class of vnpy, where it is one.
    pub vnpy_class: Option<VnpyClass>,
}

impl Library {
    /// Through which of the vendor's interfaces an account of this kind gets its ticks with this library.
    ///
    /// # Errors
    /// When kind and library do not fit: a sentence that begins with what the library is.
    pub fn dialect(&self, kind: GatewayKind) -> Result<Dialect, String> {
        match (kind.dialect(), &self.vnpy_class) {
            (Some(dialect), None) => Ok(dialect),
            (None, Some(class)) => Ok(class.dialect),
            (Some(_), Some(class)) => Err(format!(
                "it is vnpy's class {}, and the account's gateway is {kind}: write gateway vnpy, or name a shared object",
                class.name
            )),
            (None, None) => Err(format!(
                "it is a shared object, and the account's gateway is {kind}: write gateway ctp or sopt, or name an entry \
                 with a gateway_class"
            )),
        }
    }

    /// Whether its ticks come as another program has converted them.
    #[must_use]
    pub fn is_low_precision(&self) -> bool {
        self.vnpy_class.as_ref().is_some_and(|class| class.is_low_precision)
    }

    /// Looks whether there is what a worker is to load, or in vnpy's case to run.
    ///
    /// # Errors
    /// What is missing, and what makes it.
    pub fn look(&self) -> Result<(), String> {
        let path = self.path.display();
        if self.vnpy_class.is_none() {
            return if self.path.is_file() { Ok(()) } else { Err(format!("{path} is not a file")) };
        }
        match [INTERPRETER, WORKER].into_iter().find(|name| !self.absolute().join(name).exists()) {
            None => Ok(()),
            Some(name) => Err(format!(
                "{path} is no environment of vnpy, it has no {name}; make it with: gateways/vnpy/install {path}"
            )),
        }
    }

    /// What a worker of vnpy is told of its gateway; empty for any other.
    pub(crate) fn class_and_connect(&self) -> (String, BTreeMap<String, String>) {
        self.vnpy_class.as_ref().map(|class| (class.name.clone(), class.connect.clone())).unwrap_or_default()
    }

    /// The path as a process that works elsewhere finds it.
    pub(crate) fn absolute(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }
}

/// In vnpy's environment: what runs its worker.
const INTERPRETER: &str = "bin/python";
/// In vnpy's environment: its worker.
const WORKER: &str = "bin/mdhub-worker";

/// Whose worker it is.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) kind: GatewayKind,
    pub(crate) account: AccountId,
    pub(crate) incarnation: Incarnation,
}

/// The command of a worker in a group of its own, with the library's environment and nothing of the hub's. `program` is
/// mdhub's; vnpy's worker is run by the interpreter of its environment, whose locale it needs: without `zh_CN.GB18030` the
/// first decoded text ends the process.
#[expect(clippy::disallowed_methods, reason = "the manager and the probe make processes")]
pub(crate) fn command(program: &Path, library: &Library, worker: &Worker) -> Command {
    let mut command = match worker.kind {
        GatewayKind::Ctp | GatewayKind::Sopt => {
            let mut command = Command::new(program);
            command.args(["gateway", worker.kind.as_str()]).env_clear();
            command
        }
        GatewayKind::Vnpy => {
            let place = library.absolute();
            let mut command = Command::new(place.join(INTERPRETER));
            // Isolated: no module comes from the working directory, from the user's own, or by the environment.
            command.args(["-I", "-u"]).arg(place.join(WORKER)).env_clear().env("LOCPATH", place.join("locale"));
            command
        }
    };
    command
        .args(["--account", worker.account.as_str(), "--incarnation", &worker.incarnation.to_string()])
        .args(["--parent-pid", &std::process::id().to_string()])
        .envs(&library.env)
        .process_group(0);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(class: Option<&str>) -> Library {
        let vnpy_class = class.map(|name| VnpyClass {
            name: name.to_owned(),
            dialect: Dialect::Sopt,
            is_low_precision: true,
            connect: BTreeMap::new(),
        });
        let env = BTreeMap::from([("LD_LIBRARY_PATH".to_owned(), "/l".to_owned())]);
        Library { path: "/v".into(), sha256: None, env, vnpy_class }
    }

    #[test]
    fn an_account_and_a_library_that_do_not_fit_are_told_apart() {
        let (object, class) = (library(None), library(Some("desk.Ours")));
        assert_eq!(object.dialect(GatewayKind::Ctp), Ok(Dialect::Ctp));
        assert_eq!(class.dialect(GatewayKind::Vnpy), Ok(Dialect::Sopt));
        assert!(class.is_low_precision() && !object.is_low_precision());
        let said = class.dialect(GatewayKind::Ctp).expect_err("no shared object");
        assert!(said.contains("desk.Ours") && said.contains("gateway is ctp"), "{said}");
        let said = object.dialect(GatewayKind::Vnpy).expect_err("no class");
        assert!(said.contains("write gateway ctp or sopt"), "{said}");
    }

    #[test]
    fn what_is_not_there_is_said_with_what_makes_it() {
        let said = library(Some("desk.Ours")).look().expect_err("no environment");
        assert!(said.contains("no bin/python") && said.contains("gateways/vnpy/install /v"), "{said}");
        let said = library(None).look().expect_err("no file");
        assert_eq!(said, "/v is not a file");
        let here = std::env::current_exe().expect("a file");
        assert_eq!(Library { path: here, ..library(None) }.look(), Ok(()));
    }

    #[test]
    fn a_worker_of_vnpy_is_run_by_its_own_python_with_its_locale_and_the_chosen_library() {
        let worker = Worker {
            kind: GatewayKind::Vnpy,
            account: "v".parse().expect("a slug"),
            incarnation: Incarnation { epoch: 7, counter: 2 },
        };
        let made = command(Path::new("/mdhub"), &library(Some("desk.Ours")), &worker);
        assert_eq!(made.get_program(), "/v/bin/python");
        let args: Vec<_> = made.get_args().filter_map(|a| a.to_str()).collect();
        assert_eq!(args[..7], ["-I", "-u", "/v/bin/mdhub-worker", "--account", "v", "--incarnation", "7.2"]);
        let env: Vec<_> = made.get_envs().filter_map(|(k, v)| Some((k.to_str()?, v?.to_str()?))).collect();
        assert_eq!(env, [("LD_LIBRARY_PATH", "/l"), ("LOCPATH", "/v/locale")]);
    }
}
