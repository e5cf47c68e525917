//! What can be asked on the command line. Every flag is also read from `MDHUB_*`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use mdhub_gateways::worker::WorkerArgs;
use mdhub_spec::account::{AccountId, FrontAddress, GatewayKind};
use mdhub_spec::contract::Contract;
use mdhub_spec::process::Incarnation;
use mdhub_spec::settings::Endpoint;

/// A local high-availability market data hub for Chinese futures and options.
///
/// Accounts in a database are the desired state; a reconcile loop keeps one gateway process running for each; the
/// first-arriving copy of every tick is published on a ZeroMQ socket.
#[derive(Debug, Parser)]
#[command(name = "mdhub", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A whole hub on SQLite with three simulated accounts, to try things out
    Demo(DemoArgs),
    /// The hub, as a settings file describes it
    Run(RunArgs),
    /// Desired state: which accounts exist, and which of them run
    Account(AccountArgs),
    /// Bring accounts into the state that a file describes
    Apply(ApplyArgs),
    /// Show the accounts; what -o yaml prints, apply takes
    Get(GetArgs),
    /// What a hub is at, account by account: why, and what comes next
    Describe(DescribeArgs),
    /// Ask a hub whether it is alive; ends with 1 where it is not, for health checks of containers and supervisors
    Health(HealthArgs),
    /// Make the database's tables, or bring them up to this release; the hub does so by itself
    Migrate(StoreArgs),
    /// Copy the accounts to a new file: secrets sealed, the key left out
    Backup(BackupArgs),
    /// Bring accounts back from the backup of a MySQL or MongoDB database; those that exist stay as they are
    Restore(BackupArgs),
    /// Print the ticks of a hub
    Subscribe(SubscribeArgs),
    /// Judge a settings file without running anything
    Check(CheckArgs),
    /// Who may use the control port
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Make a token by which a client may subscribe, and say what the settings need
    Token {
        /// Whose it is: shown beside its connections
        name: String,
    },
    /// Whether people are told of errors
    #[command(subcommand)]
    Alert(AlertCommand),
    /// Test an account's login by hand, step by step; the hub starts its workers by this command, too
    #[command(after_help = PROBE_HELP)]
    Gateway(GatewayArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where the demo keeps its database, key and runtime files
    #[arg(long, env = "MDHUB_DATA_DIR", default_value = "mdhub-demo")]
    pub(crate) data_dir: PathBuf,
    /// Address and port of the control port; port 0 takes a free one
    #[arg(long, env = "MDHUB_HTTP", default_value = "127.0.0.1:8080")]
    pub(crate) http: SocketAddr,
    /// Where subscribers connect; port 0 takes a free one
    #[arg(long, env = "MDHUB_ZMQ", default_value = "tcp://127.0.0.1:5555", value_parser = endpoint)]
    pub(crate) zmq: Endpoint,
    /// The folder of the dashboard's pages; by default ../share/mdhub/dashboard beside the program
    #[arg(long, env = "MDHUB_DASHBOARD")]
    pub(crate) dashboard: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The settings file
    #[arg(long, env = "MDHUB_CONFIG", default_value = "mdhub.yaml")]
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Change the administrator's password; without --password-stdin one is made and printed
    ResetPassword(ResetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    /// The administrator's name; by default as it is
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Read the new password from the first line of standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// The hub's data directory
    #[arg(long, env = "MDHUB_DATA_DIR", default_value = "mdhub-data")]
    pub(crate) data_dir: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// Send one message to everybody whom the settings name, and say what became of it
    Test(AlertArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AlertArgs {
    /// The settings file; the mail server is named by MDHUB_SMTP_URL or MDHUB_SMTP_URL_FILE
    #[arg(long, env = "MDHUB_CONFIG", default_value = "mdhub.yaml")]
    pub(crate) config: PathBuf,
}

/// Where the hub keeps what it must not lose.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlaceArgs {
    /// Where the database, the sealing key and the runtime files are
    #[arg(long, env = "MDHUB_DATA_DIR", default_value = "mdhub-data", global = true)]
    pub(crate) data_dir: PathBuf,
    /// Where the accounts are: sqlite://PATH, mysql://USER:PASSWORD@HOST/DATABASE, mongodb://USER:PASSWORD@HOST/DATABASE; by
    /// default mdhub.db in the data directory
    #[arg(long, env = "MDHUB_DATABASE_URL", hide_env_values = true, global = true)]
    pub(crate) database_url: Option<String>,
    /// The key that seals account secrets: 32 bytes, base64; by default secret.key in the data directory, made at first use
    #[arg(long, env = "MDHUB_SECRET_KEY_FILE", global = true)]
    pub(crate) secret_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The settings file
    #[arg(long, env = "MDHUB_CONFIG", default_value = "mdhub.yaml")]
    pub(crate) config: PathBuf,
    /// Also print when each product trades on this trading day, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub(crate) trading_day: Option<jiff::civil::Date>,
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// The hub's data directory
    #[arg(long, env = "MDHUB_DATA_DIR", default_value = "mdhub-data")]
    pub(crate) data_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    /// A vt_symbol such as rb2701.SHFE, or any prefix of one; none prints everything
    #[arg(default_value = "")]
    pub(crate) topic: String,
    /// The hub's tick socket
    #[arg(long, env = "MDHUB_ZMQ", default_value = "tcp://127.0.0.1:5555", value_parser = endpoint)]
    pub(crate) zmq: Endpoint,
    /// One JSON object a line, with every field
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave after this many ticks
    #[arg(long)]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// The hub's settings file, where it names a database of its own
    #[arg(long, env = "MDHUB_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(subcommand)]
    pub(crate) action: AccountAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountAction {
    /// Show every account
    List {
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Add an account; a running hub starts its gateway at once unless --disabled is given
    Add(Box<AddArgs>),
    /// Add the account of a file, such as vnpy's connect_ctp.json
    Import(ImportArgs),
    /// Put it into the pool
    Enable {
        /// Which account
        id: AccountId,
    },
    /// Take it out of the pool and end its gateway
    Disable {
        /// Which account
        id: AccountId,
    },
    /// Let it run again after a stop
    Start {
        /// Which account
        id: AccountId,
    },
    /// Hold its gateway down until it is started again
    Stop {
        /// Which account
        id: AccountId,
    },
    /// End its gateway and start a new one
    Restart {
        /// Which account
        id: AccountId,
    },
    /// Remove it for good
    Delete {
        /// Which account
        id: AccountId,
        /// Really
        #[arg(long)]
        yes: bool,
    },
    /// Say that there are to be no accounts, where the database was emptied by hand: until then, none is stopped
    ConfirmEmpty,
}

/// Which database.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The hub's settings file, where it names a database of its own
    #[arg(long, env = "MDHUB_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// A file of `kind: Account` documents, several of them parted by ---; - is standard input
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// What to show
    #[arg(default_value = "accounts", value_parser = ["accounts"])]
    pub(crate) what: String,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Output::Wide)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// One account only
    pub(crate) id: Option<AccountId>,
    /// For machines: the hub's status.json (docs/status.md), and the counters
    #[arg(long)]
    pub(crate) json: bool,
    /// How many of the last events are shown
    #[arg(long, default_value_t = 10)]
    pub(crate) events: usize,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// How `get` shows things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// A table
    Wide,
    /// A JSON array
    Json,
    /// Documents for apply, without passwords
    Yaml,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The backup
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// vnpy's connect_ctp.json, flat or wrapped, or a `kind: Account` document
    pub(crate) file: PathBuf,
    /// ctp, sopt or vnpy; by default what the file or its name says
    #[arg(long)]
    pub(crate) gateway: Option<GatewayKind>,
    /// Its name; by default the file's, without connect_
    #[arg(long)]
    pub(crate) id: Option<AccountId>,
    /// Name of an entry of `libraries:` in mdhub.yaml; by default the gateway's
    #[arg(long)]
    pub(crate) library: Option<String>,
    /// 1 is the primary, larger numbers stand by
    #[arg(long, default_value_t = 1)]
    pub(crate) priority: u32,
    /// Import it without running it
    #[arg(long)]
    pub(crate) disabled: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its name: lower-case letters, digits, inner hyphens
    #[arg(long)]
    pub(crate) id: AccountId,
    /// ctp, sopt or vnpy
    #[arg(long)]
    pub(crate) gateway: GatewayKind,
    /// A front, tcp://HOST:PORT; may be repeated
    #[arg(long, required = true)]
    pub(crate) md_address: Vec<FrontAddress>,
    /// Name of an entry of `libraries:` in mdhub.yaml
    #[arg(long)]
    pub(crate) library: String,
    /// Login name at the broker
    #[arg(long, default_value = "")]
    pub(crate) user_id: String,
    /// The broker's code
    #[arg(long, default_value = "")]
    pub(crate) broker_id: String,
    /// Read the password from standard input (one line)
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// 1 is the primary, larger numbers stand by
    #[arg(long, default_value_t = 1)]
    pub(crate) priority: u32,
    /// Free text
    #[arg(long, default_value = "")]
    pub(crate) description: String,
    /// Add it without running it
    #[arg(long)]
    pub(crate) disabled: bool,
}

/// What the exit codes of a probe mean.
const PROBE_HELP: &str = "\
Example: mdhub gateway ctp --probe account.yaml --config mdhub.yaml --contract rb2701.SHFE

Exit codes of a probe: 0 all that was tried works; 1 a file cannot be read; 2 an impossible setting; 3 the library is refused; \
6 login refused; 8 no front answers; 9 the front drops the connection; 10 login unanswered; 11 subscriptions unanswered; \
20 no front is reached by TCP; 21 no tick (market closed?); 22 the deadline came first; 23 every contract is refused.";

#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// ctp, sopt or vnpy
    kind: GatewayKind,
    /// Test the login of the account in this file (`kind: Account`, or vnpy's connect_ctp.json), and print each step
    #[arg(long, value_name = "ACCOUNT.yaml")]
    probe: Option<PathBuf>,
    #[command(flatten)]
    probing: ProbeArgs,
    #[arg(long, hide = true, required_unless_present = "probe", conflicts_with = "probe")]
    account: Option<AccountId>,
    #[arg(long, hide = true, required_unless_present = "probe", conflicts_with = "probe")]
    incarnation: Option<Incarnation>,
    #[arg(long, hide = true, required_unless_present = "probe", conflicts_with = "probe")]
    parent_pid: Option<u32>,
}

/// How an account is probed.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// The hub's settings file, whose `libraries:` has the account's library
    #[arg(long, env = "MDHUB_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The vendor's library itself, instead of a name from the settings file
    #[arg(long, requires = "probe")]
    pub(crate) library: Option<PathBuf>,
    /// Read the password from the first line of this file, - for standard input, instead of from the account's
    #[arg(long, requires = "probe", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Subscribe this too, and wait for a tick; may be repeated
    #[arg(long = "contract", requires = "probe", value_name = "VT_SYMBOL")]
    pub(crate) contracts: Vec<Contract>,
    /// Log in a second time with a wrong password, to see whether the front checks it; brokers count those
    #[arg(long, requires = "probe")]
    pub(crate) check_password: bool,
    /// Give up after so many seconds
    #[arg(long, requires = "probe", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout_s: u64,
}

impl ProbeArgs {
    fn is_meant(&self) -> bool {
        self.library.is_some() || self.password_file.is_some() || !self.contracts.is_empty() || self.check_password
    }
}

/// What `mdhub gateway` is.
pub(crate) enum Role {
    /// A worker, started by a hub.
    Worker(WorkerArgs),
    /// A probe of the account in a file, started by a person.
    Probe(GatewayKind, PathBuf, ProbeArgs),
}

impl GatewayArgs {
    /// # Errors
    /// When it is neither: the parser sees to it that it is one.
    pub(crate) fn role(self) -> Result<Role, String> {
        let kind = self.kind;
        match (self.probe, self.account, self.incarnation, self.parent_pid) {
            (Some(file), ..) => Ok(Role::Probe(kind, file, self.probing)),
            // The parser forgets that these need --probe where it is ruled out.
            (None, Some(_), Some(_), Some(_)) if self.probing.is_meant() => {
                Err("--library, --password-file, --contract and --check-password need --probe".into())
            }
            (None, Some(account), Some(incarnation), Some(parent_pid)) => {
                let dialect = kind.dialect().ok_or("a worker of gateway vnpy is a program in Python: mdhub-worker")?;
                Ok(Role::Worker(WorkerArgs { dialect, account, incarnation, parent_pid }))
            }
            _ => Err("a worker needs --account, --incarnation and --parent-pid; people use --probe".into()),
        }
    }
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    Endpoint::try_from(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn where_the_accounts_are_may_stand_before_or_after_what_to_do() {
        for args in [["mdhub", "account", "list", "--data-dir", "d"], ["mdhub", "account", "--data-dir", "d", "list"]] {
            let cli = Cli::try_parse_from(args).expect("understood");
            let Command::Account(account) = cli.command else { panic!("{cli:?}") };
            assert_eq!(account.place.data_dir, PathBuf::from("d"), "{args:?}");
        }
    }

    #[test]
    fn a_gateway_is_a_worker_or_a_probe_and_never_both() {
        let role = |args: &str| {
            let cli = Cli::try_parse_from(args.split(' ')).map_err(|e| e.to_string())?;
            let Command::Gateway(gateway) = cli.command else { panic!("{cli:?}") };
            gateway.role()
        };
        let worker = "mdhub gateway ctp --account a --incarnation 1.2 --parent-pid 3";
        assert!(matches!(role(worker), Ok(Role::Worker(WorkerArgs { parent_pid: 3, .. }))));
        let probe = role("mdhub gateway sopt --probe a.yaml --contract 10009123.SSE --check-password");
        assert!(
            matches!(probe, Ok(Role::Probe(GatewayKind::Sopt, _, p)) if p.check_password && p.contracts.len() == 1)
        );
        for refused in ["mdhub gateway ctp", "mdhub gateway ctp --account a", &format!("{worker} --probe a.yaml")] {
            assert!(role(refused).is_err(), "{refused}");
        }
        assert!(role(&format!("{worker} --password-file x")).is_err_and(|e| e.contains("--probe")));
    }

    #[test]
    fn bad_values_are_refused_with_what_is_allowed() {
        for (args, part) in [
            (&["mdhub", "account", "enable", "CTP"][..], "lower-case"),
            (
                &["mdhub", "account", "add", "--id", "a", "--gateway", "ctp", "--library", "x", "--md-address", "h:1"],
                "tcp://HOST:PORT",
            ),
            (&["mdhub", "demo", "--zmq", "127.0.0.1:1"], "tcp://IP:PORT"),
            (&["mdhub", "account", "add", "--id", "a", "--gateway", "xtp"], "allowed are ctp, sopt"),
        ] {
            let error = Cli::try_parse_from(args).map_or_else(|e| e.to_string(), |_| "accepted".into());
            assert!(error.contains(part), "{args:?}: {error}");
        }
    }
}
