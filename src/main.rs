//! `mdhub`: the command line, and the only place that knows every crate.
//!
//! # Layout
//!
//! | module | does |
//! |---|---|
//! | [`cli`] | what can be asked |
//! | [`hub`] | joins the crates into a running hub |
//! | [`demo`] | a hub on simulated accounts |
//! | [`accounts`] | desired state from a terminal |
//! | [`subscribe`] | prints ticks |
//! | [`describe`], [`health`] | what a hub is at, and whether it is alive |
//! | [`check`] | judges a settings file |
//! | [`admin`] | who may use the control port |
//! | [`alerts`] | whom the hub tells of errors |
//! | [`probe`] | tests an account's login by hand |
//! | [`settings_file`], [`data_dir`] | what is on disk, and where |
//! | [`clock`], [`logging`] | the edges to time and to stderr |

mod accounts;
mod admin;
mod alerts;
mod check;
mod cli;
mod clock;
mod data_dir;
mod demo;
mod describe;
mod health;
mod hub;
mod logging;
mod probe;
mod settings_file;
mod subscribe;
mod token;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{AlertCommand, Cli, Command, Role};

/// A failure, said in a sentence for people.
type Failure = String;

/// Prints a line. `println!` would end the program where nobody reads it any more, a hub too.
///
/// # Errors
/// When it cannot be written; a reader that has gone is no failure.
fn say(line: impl Display) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {e}")),
        _ => Ok(()),
    }
}

/// Prints a line for people on stderr. Where nobody reads, there is nobody to tell.
fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "mdhub: {line}");
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            complain(failure);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Gateway(args) => {
            let code = match args.role()? {
                Role::Worker(worker) => mdhub_gateways::worker::run(worker),
                Role::Probe(kind, file, args) => probe::run(kind, &file, &args)?,
            };
            return Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from));
        }
        Command::Check(args) => check::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Admin(command) => admin::run(command),
        Command::Token { name } => token::run(&name),
        Command::Alert(AlertCommand::Test(args)) => alerts::test(&args),
        Command::Demo(args) => runtime()?.block_on(demo::run(args)),
        Command::Run(args) => runtime()?.block_on(hub::run_from_file(args)),
        Command::Account(args) => runtime()?.block_on(accounts::run(args)),
        Command::Apply(args) => runtime()?.block_on(async {
            let (_, store) = accounts::open_place(args.store.config.as_deref(), &args.store.place, true).await?;
            accounts::apply::apply(&*store, &args).await
        }),
        Command::Get(args) => runtime()?.block_on(async {
            let (_, store) = accounts::open_place(args.store.config.as_deref(), &args.store.place, false).await?;
            accounts::apply::get(&*store, &args).await
        }),
        Command::Describe(args) => runtime()?.block_on(describe::run(&args)),
        Command::Migrate(args) => runtime()?.block_on(async {
            accounts::open_place(args.config.as_deref(), &args.place, true).await?;
            say("the database's schema is that of this release")
        }),
        Command::Backup(args) => runtime()?.block_on(async {
            let (data, store) = accounts::open_place(args.store.config.as_deref(), &args.store.place, false).await?;
            accounts::backup::backup(&data, &*store, &args.file).await
        }),
        Command::Restore(args) => runtime()?.block_on(async {
            let (data, store) = accounts::open_place(args.store.config.as_deref(), &args.store.place, true).await?;
            accounts::backup::restore(&data, &*store, &args.file).await
        }),
        Command::Subscribe(args) => runtime()?.block_on(subscribe::run(args)),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|e| format!("the control threads do not start: {e}"))
}
