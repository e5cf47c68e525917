//! What can be asked on the command line. Every flag is also read from `MDHUB_*`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use mdhub_gateways::worker::WorkerArgs;
use mdhub_spec::account::{AccountId, FrontAddress, GatewayKind};
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
    /// Print the ticks of a hub
    Subscribe(SubscribeArgs),
    /// Judge a settings file without running anything
    Check(CheckArgs),
    /// A gateway worker: started by the hub, not by people
    #[command(hide = true)]
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
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The settings file
    #[arg(long, env = "MDHUB_CONFIG", default_value = "mdhub.yaml")]
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// Where the hub keeps what it must not lose.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlaceArgs {
    /// Where the database, the sealing key and the runtime files are
    #[arg(long, env = "MDHUB_DATA_DIR", default_value = "mdhub-data", global = true)]
    pub(crate) data_dir: PathBuf,
    /// Where the accounts are: sqlite://PATH; by default mdhub.db in the data directory
    #[arg(long, env = "MDHUB_DATABASE_URL", global = true)]
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
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its name: lower-case letters, digits, inner hyphens
    #[arg(long)]
    pub(crate) id: AccountId,
    /// ctp or sopt
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

#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// ctp or sopt
    kind: GatewayKind,
    #[arg(long)]
    account: AccountId,
    #[arg(long)]
    incarnation: Incarnation,
    #[arg(long)]
    parent_pid: u32,
}

impl From<GatewayArgs> for WorkerArgs {
    fn from(a: GatewayArgs) -> Self {
        Self { kind: a.kind, account: a.account, incarnation: a.incarnation, parent_pid: a.parent_pid }
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
