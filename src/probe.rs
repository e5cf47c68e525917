//! `mdhub gateway KIND --probe FILE`: tests an account's login, and prints each step as it happens.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mdhub_gateways::probe::{self, Probe, Step};
use mdhub_gateways::program::Library;
use mdhub_spec::account::document::AccountDocument;
use mdhub_spec::account::{GatewayKind, Secret};
use zeroize::Zeroizing;

use crate::cli::ProbeArgs;
use crate::{Failure, complain, say, settings_file};

/// Largest account or password file, bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Runs it, and gives the exit code.
///
/// # Errors
/// A file that cannot be read or understood, or a library that nobody names.
pub(crate) fn run(kind: GatewayKind, file: &Path, args: &ProbeArgs) -> Result<i32, Failure> {
    let failed = |why: String| format!("{}: {why}", file.display());
    let text = read(file)?;
    let account = AccountDocument::parse(&text).map_err(|e| failed(e.to_string()))?;
    if let Some(said) = account.gateway.filter(|said| *said != kind) {
        return Err(failed(format!("its gateway is {said}, not {kind}: say mdhub gateway {said} --probe ...")));
    }
    say(format_args!("   0.000 s  ok    {} read, {} front(s)", file.display(), account.md_address.len()))?;
    let password = match &args.password_file {
        Some(path) => password(path)?,
        None => {
            warn_of_readers(file, &account.password);
            account.password.clone()
        }
    };
    let library = library(kind, args, account.library.as_deref()).map_err(failed)?;
    let probe = Probe {
        program: std::env::current_exe().map_err(|e| format!("this program: {e}"))?,
        kind,
        library,
        user_id: account.user_id,
        password,
        broker_id: account.broker_id,
        md_address: account.md_address,
        contracts: args.contracts.clone(),
        check_password: args.check_password,
        deadline_ms: args.timeout_s * 1000,
        scratch_dir: std::env::temp_dir(),
    };
    let verdict = probe::run(&probe, &|| true, &mut |step| {
        // A reader that has gone does not keep the worker from being ended.
        let _ = say(line(&step));
    });
    say(format_args!("{}: {}", if verdict.code == 0 { "works" } else { "fails" }, verdict.reason))?;
    if verdict.code == 0 && !args.check_password {
        say("Many market-data fronts check no password; --check-password tries a wrong one.")?;
    }
    Ok(verdict.code)
}

fn line(step: &Step) -> String {
    let (s, ms) = (step.at_ms / 1000, step.at_ms % 1000);
    format!("{s:>4}.{ms:03} s  {}  {}", if step.is_good { "ok  " } else { "FAIL" }, step.what)
}

/// The library by its path, or by its name in the settings file.
fn library(kind: GatewayKind, args: &ProbeArgs, name: Option<&str>) -> Result<Library, Failure> {
    if let Some(path) = &args.library {
        let path = std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()))?;
        if kind == GatewayKind::Vnpy {
            return Err("--library: an account of gateway vnpy needs the name of an entry with a gateway_class".into());
        }
        return Ok(Library { path, sha256: None, env: std::collections::BTreeMap::new(), vnpy_class: None });
    }
    let config = args.config.clone().unwrap_or_else(|| PathBuf::from("mdhub.yaml"));
    let name = name.ok_or("it names no library: give --library PATH")?;
    let settings = settings_file::load(&config)?;
    let known = settings.libraries.keys().cloned().collect::<Vec<_>>().join(", ");
    let found = settings.libraries.get(name).cloned();
    let found = found.ok_or_else(|| format!("library {name:?} is not in {}: allowed are {known}", config.display()))?;
    found.dialect(kind).map(|_| ()).map_err(|why| format!("library {name:?}: {why}"))?;
    Ok(found)
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut text = Zeroizing::new(String::new());
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// The first line of a file, or of standard input.
fn password(path: &Path) -> Result<Secret, Failure> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(File::open(path).map_err(failed)?) };
    let mut line = Zeroizing::new(String::new());
    BufReader::new(source.take(FILE_BYTES_MAX)).read_line(&mut line).map_err(failed)?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Says when a file with a password can be read by others.
fn warn_of_readers(file: &Path, password: &Secret) {
    let mode = std::fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
    if !password.is_empty() && mode & 0o077 != 0 {
        complain(format_args!("{} holds a password, and others can read it: chmod 600", file.display()));
    }
}
