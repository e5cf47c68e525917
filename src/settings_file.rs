//! Reads `mdhub.yaml` and what it points to. Paths in it are relative to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mdhub_gateways::program::Library;
use mdhub_spec::contract::Contract;
use mdhub_spec::settings::Settings;
use zeroize::Zeroizing;

use crate::Failure;

/// Largest settings or contract file, bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Settings with everything that they point to.
#[derive(Debug, Clone)]
pub(crate) struct LoadedSettings {
    /// Where they were read from; `None` where no file says them.
    pub(crate) file: Option<PathBuf>,
    pub(crate) settings: Settings,
    pub(crate) contracts: BTreeSet<Contract>,
    pub(crate) libraries: BTreeMap<String, Library>,
}

/// Reads the file at `path`.
///
/// # Errors
/// A sentence with file, place, field, value and what is allowed.
pub(crate) fn load(path: &Path) -> Result<LoadedSettings, Failure> {
    let text = read(path)?;
    let settings = Settings::parse(&path.display().to_string(), &text).map_err(|e| e.to_string())?;
    let directory = path.parent().unwrap_or(Path::new(""));
    Ok(LoadedSettings { file: Some(path.to_owned()), ..resolve(settings, directory)? })
}

/// Resolves what `settings` point to, from `directory`.
///
/// # Errors
/// A contract file that cannot be read, or a line of one that is no contract.
pub(crate) fn resolve(mut settings: Settings, directory: &Path) -> Result<LoadedSettings, Failure> {
    if let Some(path) = settings.database.url.as_deref().and_then(|url| url.strip_prefix("sqlite://")) {
        settings.database.url = Some(format!("sqlite://{}", absolute(directory.join(path)).display()));
    }
    if let Some(folder) = &mut settings.http.dashboard {
        *folder = directory.join(&*folder);
    }
    if let Some(file) = &settings.database.password_file {
        settings.database.url = Some(with_password(settings.database.url.as_deref(), &directory.join(file))?);
    }
    for webhook in &mut settings.alerts.webhooks {
        for file in std::iter::once(&mut webhook.url_file).chain(&mut webhook.secret_file) {
            *file = absolute(directory.join(&*file)).display().to_string();
        }
    }
    let mut texts = Vec::new();
    for name in &settings.contracts.files {
        let path = directory.join(name);
        texts.push((path.display().to_string(), read(&path)?));
    }
    let files = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let mut contracts = settings.contracts.resolve(files).map_err(|e| e.to_string())?;
    contracts.extend(settings.canaries.list.iter().cloned());
    let libraries = settings
        .libraries
        .iter()
        .map(|(name, library)| {
            let path = absolute(directory.join(&library.path));
            let (sha256, env) = (library.sha256.clone(), library.env.clone());
            (name.clone(), Library { path, sha256, env, vnpy_class: library.vnpy_class() })
        })
        .collect();
    Ok(LoadedSettings { file: None, settings, contracts, libraries })
}

/// The URL, with the password of this file in it.
fn with_password(url: Option<&str>, file: &Path) -> Result<String, Failure> {
    let failed = |why: &str| format!("database.password_file: {}: {why}", file.display());
    let text = Zeroizing::new(read(file).map_err(|why| format!("database.password_file: {why}"))?);
    let url = url.ok_or_else(|| failed("there is no database.url that it is for"))?;
    mdhub_store::with_password(url, text.trim_end_matches(['\r', '\n'])).ok_or_else(|| {
        failed("database.url has a password already, or no user: write mysql://USER@HOST/DATABASE, or mongodb")
    })
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut text = String::new();
    // A pipe or a device does not say how long it is: what is read is what counts.
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{}: it is longer than {FILE_BYTES_MAX} bytes, the most that is read", path.display()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_example_is_valid_and_mails_its_errors() {
        let loaded = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mdhub.yaml")).expect("valid");
        assert_eq!(loaded.settings.alerts.mail_to, ["ryanflavor@163.com"]);
        assert!(loaded.settings.canaries.list.iter().all(|canary| loaded.contracts.contains(canary)));
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let refused = load(Path::new("/dev/zero")).map(|_| ()).expect_err("endless");
        assert!(refused.starts_with("/dev/zero: it is longer than"), "{refused}");
    }

    #[test]
    fn paths_are_relative_to_the_settings_file() {
        let temp = tempfile::tempdir().expect("a directory");
        fs::write(temp.path().join("night.txt"), "rb2701.SHFE\n").expect("writes");
        let yaml = "apiVersion: mdhub/v1\nkind: Hub\ncontracts: {files: [night.txt]}\nlibraries: {sim: {path: lib.so}}\ndatabase: {url: 'sqlite://here.db'}\n";
        fs::write(temp.path().join("mdhub.yaml"), yaml).expect("writes");
        let loaded = load(&temp.path().join("mdhub.yaml")).expect("loads");
        assert_eq!(loaded.contracts.len(), 1);
        assert_eq!(loaded.libraries["sim"].path, temp.path().join("lib.so"));
        let database = format!("sqlite://{}", temp.path().join("here.db").display());
        assert_eq!(loaded.settings.database.url, Some(database));
    }

    #[test]
    fn a_databases_password_comes_from_its_file_and_is_not_shown() {
        let temp = tempfile::tempdir().expect("a directory");
        fs::write(temp.path().join("password"), "p@ss/wörd\n").expect("writes");
        let load = |url: &str, file: &str| {
            let yaml = format!("apiVersion: mdhub/v1\nkind: Hub\ndatabase: {{url: '{url}', password_file: {file}}}\n");
            fs::write(temp.path().join("mdhub.yaml"), yaml).expect("writes");
            load(&temp.path().join("mdhub.yaml")).map(|loaded| loaded.settings.database.url.unwrap_or_default())
        };
        let url = load("mysql://hub@db:3306/desk", "password").expect("understood");
        assert_eq!(url, "mysql://hub:p%40ss%2Fw%C3%B6rd@db:3306/desk");
        assert_eq!(mdhub_store::shown(&url), "mysql://hub@db:3306/desk");
        for (url, file) in [
            ("mysql://hub:twice@db/desk", "password"),
            ("mysql://db/desk", "password"),
            ("sqlite:///hub.db", "password"),
            ("mysql://hub@db/desk", "nowhere"),
        ] {
            let refused = load(url, file).expect_err(url);
            assert!(refused.starts_with("database.password_file: ") && !refused.contains("twice"), "{refused}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let temp = tempfile::tempdir().expect("a directory");
        let missing = temp.path().join("none.yaml");
        assert!(load(&missing).is_err_and(|e| e.contains("none.yaml")));
        fs::write(temp.path().join("m.yaml"), "apiVersion: mdhub/v1\nkind: Hub\ncontracts: {files: [gone.txt]}\n")
            .expect("writes");
        assert!(load(&temp.path().join("m.yaml")).is_err_and(|e| e.contains("gone.txt")));
    }
}
