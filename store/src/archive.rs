//! Accounts, sealed as one text under the same key: the last desired state on the data volume, and exports.
//!
//! `mdhub-accounts:v1:KEY_ID:BASE64`, where the base64 holds a nonce and what XChaCha20-Poly1305 made of a JSON list.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use mdhub_spec::account::{AccountId, AccountSettings, GatewayKind, MarketDataAccount, Secret};
use mdhub_spec::ports::StoreError;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::key::SealingKey;
use crate::sealing::NONCE_BYTES;

const PREFIX: &str = "mdhub-accounts:v1:";

/// An account with its secret in the open: it exists in memory only, on its way into or out of the seal.
#[derive(Serialize, Deserialize)]
struct Open<'a> {
    id: AccountId,
    gateway: GatewayKind,
    settings: AccountSettings,
    password: std::borrow::Cow<'a, str>,
    priority: u32,
    is_enabled: bool,
    suspended: bool,
    restart_generation: u64,
    generation: u64,
    description: String,
    created_at_ms: i64,
    updated_at_ms: i64,
}

/// Seals accounts, passwords included, under a new random nonce.
///
/// # Errors
/// [`StoreError::Key`] when they cannot be sealed.
pub fn seal(key: &SealingKey, accounts: &[MarketDataAccount]) -> Result<String, StoreError> {
    let refuse = |why: String| StoreError::Key(format!("the accounts cannot be sealed: {why}"));
    let open: Vec<Open<'_>> = accounts
        .iter()
        .map(|a| Open {
            id: a.id.clone(),
            gateway: a.gateway,
            settings: a.settings.clone(),
            password: a.password.reveal().into(),
            priority: a.priority,
            is_enabled: a.is_enabled,
            suspended: a.suspended,
            restart_generation: a.restart_generation,
            generation: a.generation,
            description: a.description.clone(),
            created_at_ms: a.created_at_ms,
            updated_at_ms: a.updated_at_ms,
        })
        .collect();
    let json = Zeroizing::new(serde_json::to_vec(&open).map_err(|e| refuse(e.to_string()))?);
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|e| refuse(format!("the system gives no randomness: {e}")))?;
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let boxed = cipher
        .encrypt(&XNonce::from(nonce), Payload { msg: &json, aad: PREFIX.as_bytes() })
        .map_err(|_| refuse("they are too many".into()))?;
    Ok(format!("{PREFIX}{}:{}\n", key.id(), STANDARD.encode([&nonce[..], &boxed].concat())))
}

/// Opens sealed accounts.
///
/// # Errors
/// [`StoreError::Key`] that says whether the text is torn, or needs another key.
pub fn open(key: &SealingKey, text: &str) -> Result<Vec<MarketDataAccount>, StoreError> {
    let refuse = |why: String| StoreError::Key(why);
    let torn = || refuse("it is torn, or no sealed list of accounts".into());
    let (key_id, base64) = text.trim_end().strip_prefix(PREFIX).and_then(|t| t.split_once(':')).ok_or_else(torn)?;
    if key_id != key.id() {
        return Err(refuse(format!("it was sealed by key {key_id}, and the key given is {}", key.id())));
    }
    let bytes = STANDARD.decode(base64).map_err(|_| torn())?;
    let (nonce, boxed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(torn)?;
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let payload = Payload { msg: boxed, aad: PREFIX.as_bytes() };
    let json = Zeroizing::new(cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| torn())?);
    // serde's own message would quote a value.
    let open: Vec<Open<'_>> =
        serde_json::from_slice(&json).map_err(|_| refuse("it was made by a release with other fields".into()))?;
    Ok(open
        .into_iter()
        .map(|a| MarketDataAccount {
            id: a.id,
            gateway: a.gateway,
            settings: a.settings,
            password: Secret::new(a.password.into_owned()),
            priority: a.priority,
            is_enabled: a.is_enabled,
            suspended: a.suspended,
            restart_generation: a.restart_generation,
            generation: a.generation,
            description: a.description,
            created_at_ms: a.created_at_ms,
            updated_at_ms: a.updated_at_ms,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> MarketDataAccount {
        MarketDataAccount {
            id: "ctp-main".parse().expect("a slug"),
            gateway: GatewayKind::Ctp,
            settings: AccountSettings::from_json(r#"{"md_address":"tcp://a:1","library":"sim"}"#).expect("settings"),
            password: Secret::new("swordfish 密码".into()),
            priority: 2,
            is_enabled: true,
            suspended: true,
            restart_generation: 3,
            generation: 4,
            description: "d".into(),
            created_at_ms: 5,
            updated_at_ms: 6,
        }
    }

    #[test]
    fn sealed_accounts_come_back_whole_and_nothing_of_them_shows() {
        let key = SealingKey::new(Zeroizing::new([7; 32]));
        let text = seal(&key, &[account()]).expect("sealed");
        assert_eq!(open(&key, &text).expect("opened"), [account()]);
        assert!(!text.contains("swordfish") && !text.contains("ctp-main"), "{text}");
        assert!(open(&key, &seal(&key, &[]).expect("sealed")).expect("opened").is_empty());
    }

    #[test]
    fn a_torn_text_and_another_key_are_told_apart() {
        let key = SealingKey::new(Zeroizing::new([7; 32]));
        let text = seal(&key, &[account()]).expect("sealed");
        for at in 0..text.len() - 2 {
            let error = open(&key, &text[..at]).expect_err("torn").to_string();
            assert!(error.contains("torn") || error.contains("was sealed by key"), "{at}: {error}");
        }
        let other = SealingKey::new(Zeroizing::new([8; 32]));
        let error = open(&other, &text).expect_err("another key").to_string();
        assert!(error.contains(key.id()) && error.contains(other.id()), "{error}");
    }
}
