//! `mdhub account import`: an account from the file that vnpy keeps for a gateway, or from a `kind: Account` document.

use std::path::Path;

use mdhub_spec::account::document::AccountDocument;
use mdhub_spec::account::{AccountId, AccountSettings, GatewayKind, MarketDataAccount};
use mdhub_spec::ports::AccountStore;
use zeroize::Zeroizing;

use super::note;
use crate::cli::ImportArgs;
use crate::{Failure, say};

/// # Errors
/// What the file lacks; nothing was changed then.
pub(crate) async fn run(store: &dyn AccountStore, args: ImportArgs) -> Result<(), Failure> {
    let file = args.file.display();
    let text = Zeroizing::new(std::fs::read_to_string(&args.file).map_err(|e| format!("{file}: {e}"))?);
    let document = AccountDocument::parse(&text).map_err(|e| format!("{file}: {e}"))?;
    let gateway = args
        .gateway
        .or(document.gateway)
        .or_else(|| wrapper(&text))
        .or_else(|| named(&args.file.file_stem()?.to_string_lossy()))
        .ok_or_else(|| format!("{file}: neither the file nor its name says which gateway it is for: give --gateway"))?;
    let id = args.id.or(document.id).map_or_else(|| default_id(&args.file, gateway), Ok)?;
    let account = MarketDataAccount {
        id,
        gateway,
        settings: AccountSettings {
            user_id: document.user_id,
            broker_id: document.broker_id,
            md_address: document.md_address,
            library: args.library.or(document.library).unwrap_or_else(|| gateway.to_string()),
        },
        password: document.password,
        priority: args.priority,
        is_enabled: !args.disabled,
        suspended: false,
        restart_generation: 0,
        generation: 0,
        description: String::new(),
        created_at_ms: 0,
        updated_at_ms: 0,
    };
    account.check().map_err(|e| format!("{file}: {e}"))?;
    let stored = store.insert(account).await.map_err(|e| e.to_string())?;
    note(store, &stored.id, "Imported", &format!("the account was imported from {file}")).await;
    say(format_args!(
        "account {}: imported as {}, library {}{}",
        stored.id,
        stored.gateway,
        stored.settings.library,
        if stored.is_enabled { "" } else { ", disabled" }
    ))
}

/// The kind that vnpy's wrapped form names: `{"gateway": {"gateway_class": "CtpGateway", "gateway_name": "CTP"}}`.
fn wrapper(text: &str) -> Option<GatewayKind> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    ["gateway_class", "gateway_name"].iter().find_map(|key| named(value["gateway"][key].as_str()?))
}

/// The kind that a name speaks of.
fn named(name: &str) -> Option<GatewayKind> {
    let name = name.to_lowercase();
    // Of the two names neither is part of the other.
    [GatewayKind::Sopt, GatewayKind::Ctp].into_iter().find(|kind| name.contains(kind.as_str()))
}

/// `connect_ctp_simnow.json` becomes `ctp-simnow`.
fn default_id(file: &Path, gateway: GatewayKind) -> Result<AccountId, Failure> {
    let stem = file.file_stem().map(|s| s.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = stem.strip_prefix("connect_").unwrap_or(gateway.as_str()).replace(['_', '.', ' '], "-");
    name.parse().map_err(|e| format!("{}: {e}: give --id", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_comes_from_the_wrapper_or_the_name() {
        let wrapped =
            |class: &str| format!(r#"{{"gateway": {{"gateway_class": "{class}"}}, "connect_setting": {{}}}}"#);
        assert_eq!(wrapper(&wrapped("CtpGateway")), Some(GatewayKind::Ctp));
        assert_eq!(wrapper(&wrapped("SoptGateway")), Some(GatewayKind::Sopt));
        assert_eq!(wrapper("{}"), None);
        assert_eq!(named("connect_SOPT"), Some(GatewayKind::Sopt));
        assert_eq!(named("account"), None);
        let id = |file: &str| default_id(Path::new(file), GatewayKind::Ctp).map(String::from);
        assert_eq!(id("a/connect_ctp_simnow.json").as_deref(), Ok("ctp-simnow"));
        assert_eq!(id("mine.json").as_deref(), Ok("ctp"));
        assert!(id("connect_中.json").is_err_and(|e| e.contains("--id")));
    }
}
