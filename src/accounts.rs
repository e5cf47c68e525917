//! `mdhub account`: desired state from a terminal. It writes to the store and nothing else; a running hub sees the change.

pub(crate) mod apply;
pub(crate) mod backup;
mod import;

use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;

use mdhub_spec::account::{AccountId, AccountSettings, MarketDataAccount, Secret};
use mdhub_spec::operation::Operation;
use mdhub_spec::ports::{AccountStore, Event, Loaded, StoreError};
use serde_json::json;

use crate::cli::{AccountAction, AccountArgs, AddArgs, PlaceArgs};
use crate::clock;
use crate::data_dir::DataDir;
use crate::settings_file;
use crate::{Failure, complain, say};

/// How often a lost race with another writer is run again.
const RACES_MAX: u32 = 5;

/// Does what was asked.
///
/// # Errors
/// A sentence; nothing was changed then.
pub(crate) async fn run(args: AccountArgs) -> Result<(), Failure> {
    let makes = matches!(args.action, AccountAction::Add(_) | AccountAction::Import(_));
    let (_, store) = open_place(args.config.as_deref(), &args.place, makes).await?;
    match args.action {
        AccountAction::List { json } => list(&*store, json).await,
        AccountAction::Add(add) => insert(&*store, *add).await,
        AccountAction::Import(import) => import::run(&*store, import).await,
        AccountAction::Enable { id } => operate(&*store, &id, Operation::Enable).await,
        AccountAction::Disable { id } => operate(&*store, &id, Operation::Disable).await,
        AccountAction::Start { id } => operate(&*store, &id, Operation::Start).await,
        AccountAction::Stop { id } => operate(&*store, &id, Operation::Stop).await,
        AccountAction::Restart { id } => operate(&*store, &id, Operation::Restart).await,
        AccountAction::Delete { id, yes } => delete(&*store, &id, yes).await,
        AccountAction::ConfirmEmpty => confirm_empty(&*store).await,
    }
}

/// Opens the store that a command is about: the flag's, else the settings file's, else that of the hub which ran here
/// last. Unless the command `makes` something, what is not there is an error.
///
/// # Errors
/// What is missing, and where it was looked for.
pub(crate) async fn open_place(
    config: Option<&Path>,
    place: &PlaceArgs,
    makes: bool,
) -> Result<(DataDir, Arc<dyn AccountStore>), Failure> {
    let from_settings = match config {
        Some(path) => settings_file::load(path)?.settings.database.url,
        None => None,
    };
    if !makes && !place.data_dir.is_dir() {
        return Err(format!("--data-dir: {}: there is no such directory", place.data_dir.display()));
    }
    let data = DataDir::open(place)?;
    let announced = data.announced_database();
    let is_named = place.database_url.is_some() || from_settings.is_some();
    if let Some(server) = announced.as_deref().filter(|url| !is_named && !url.starts_with("sqlite://")) {
        return Err(format!(
            "the hub here has its accounts in {server}: say so, with the password, by --config or MDHUB_DATABASE_URL"
        ));
    }
    let url = data.database_url(from_settings.or(announced).as_deref());
    let missing = url.strip_prefix("sqlite://").filter(|path| !Path::new(path).exists());
    if let Some(path) = missing.filter(|_| !makes) {
        return Err(format!("{path}: there is no database yet; the first `account add`, or the hub, makes it"));
    }
    let store = open(&data, &url).await?;
    Ok((data, store))
}

/// Opens the store at `url`, with the data directory's key.
///
/// # Errors
/// What the store says.
pub(crate) async fn open(data: &DataDir, url: &str) -> Result<Arc<dyn AccountStore>, Failure> {
    mdhub_store::open(url, data.sealing_key()?).await.map_err(|e| e.to_string())
}

async fn list(store: &dyn AccountStore, json: bool) -> Result<(), Failure> {
    let Loaded { accounts, set_aside, .. } = store.load().await.map_err(|e| e.to_string())?;
    if json {
        let rows: Vec<_> = accounts.iter().map(row).collect();
        say(serde_json::Value::Array(rows))?;
    } else {
        say(line(["ID", "GATEWAY", "PRIORITY", "ENABLED", "DESIRED", "LIBRARY", "FRONTS"]))?;
        for a in &accounts {
            let fronts: Vec<&str> = a.settings.md_address.iter().map(|f| f.as_str()).collect();
            say(line([
                a.id.as_str(),
                a.gateway.as_str(),
                &a.priority.to_string(),
                if a.is_enabled { "yes" } else { "no" },
                if a.is_enabled && !a.suspended { "running" } else { "stopped" },
                &a.settings.library,
                &fronts.join(" "),
            ]))?;
        }
    }
    for row in set_aside {
        complain(format_args!("account {}: set aside: {}; the other accounts go on", row.id, row.why));
    }
    Ok(())
}

/// One line of the table.
fn line([id, gateway, priority, enabled, desired, library, fronts]: [&str; 7]) -> String {
    format!("{id:<20} {gateway:<7} {priority:>8}  {enabled:<8} {desired:<9} {library:<12} {fronts}")
}

fn row(a: &MarketDataAccount) -> serde_json::Value {
    json!({
        "id": a.id, "gateway": a.gateway, "settings": a.settings, "has_password": !a.password.is_empty(),
        "priority": a.priority, "is_enabled": a.is_enabled, "suspended": a.suspended,
        "restart_generation": a.restart_generation, "generation": a.generation, "description": a.description,
        "created_at_ms": a.created_at_ms, "updated_at_ms": a.updated_at_ms,
    })
}

async fn insert(store: &dyn AccountStore, add: AddArgs) -> Result<(), Failure> {
    let password = if add.password_stdin { read_password()? } else { Secret::default() };
    let account = MarketDataAccount {
        id: add.id,
        gateway: add.gateway,
        settings: AccountSettings {
            user_id: add.user_id,
            broker_id: add.broker_id,
            md_address: add.md_address,
            library: add.library,
        },
        password,
        priority: add.priority,
        is_enabled: !add.disabled,
        suspended: false,
        restart_generation: 0,
        generation: 0,
        description: add.description,
        created_at_ms: 0,
        updated_at_ms: 0,
    };
    account.check().map_err(|e| format!("account {}: {e}", account.id))?;
    let stored = store.insert(account).await.map_err(|e| e.to_string())?;
    note(store, &stored.id, "Added", "the account was added").await;
    say(format_args!("account {}: added{}", stored.id, if stored.is_enabled { "" } else { ", disabled" }))
}

fn read_password() -> Result<Secret, Failure> {
    let mut line = zeroize::Zeroizing::new(String::new());
    std::io::stdin().lock().read_line(&mut line).map_err(|e| format!("--password-stdin: {e}"))?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

async fn operate(store: &dyn AccountStore, id: &AccountId, operation: Operation) -> Result<(), Failure> {
    for _ in 0..RACES_MAX {
        let mut account = store.get(id).await.map_err(|e| e.to_string())?;
        let before = account.clone();
        operation.apply(&mut account).map_err(|e| format!("account {id}: {e}; nothing was changed"))?;
        if account == before {
            return say(format_args!("account {id}: it is so already, generation {}", account.generation));
        }
        match store.update(account).await {
            Ok(stored) => {
                let what = operation.reason();
                note(store, id, what, &format!("{what} by hand")).await;
                return say(format_args!("account {id}: {what}, generation {}", stored.generation));
            }
            Err(StoreError::Stale { .. }) => {}
            Err(e) => return Err(e.to_string()),
        }
    }
    Err(format!("account {id}: somebody else wrote first, {RACES_MAX} times; nothing was changed"))
}

async fn delete(store: &dyn AccountStore, id: &AccountId, yes: bool) -> Result<(), Failure> {
    if !yes {
        return Err(format!("account {id}: deleting is for good and ends its gateway: repeat with --yes"));
    }
    store.delete(id, None).await.map_err(|e| e.to_string())?;
    note(store, id, "Deleted", "the account was deleted").await;
    say(format_args!("account {id}: deleted"))
}

async fn confirm_empty(store: &dyn AccountStore) -> Result<(), Failure> {
    let left = store.load().await.map_err(|e| e.to_string())?;
    let rows = left.accounts.len() + left.set_aside.len();
    if rows > 0 {
        return Err(format!("there are {rows} accounts: there is nothing to confirm; delete them by name"));
    }
    store.confirm_empty().await.map_err(|e| e.to_string())?;
    say("confirmed: there are to be no accounts; a running hub ends their gateways")
}

/// Writes down who did what. The change itself is already in force, so a failure here is only told.
pub(crate) async fn note(store: &dyn AccountStore, id: &AccountId, reason: &str, message: &str) {
    let event = Event {
        at_ms: clock::now().wall_ms(),
        account: Some(id.clone()),
        actor: "cli".into(),
        reason: reason.into(),
        message: message.into(),
    };
    if let Err(e) = store.append_event(event).await {
        complain(format_args!("the change holds, but its event was not written: {e}"));
    }
}
