//! One secret to one sealed text and back.
//!
//! `sealed:v1:KEY_ID:BASE64`, where the base64 holds a nonce of 24 bytes and what XChaCha20-Poly1305 made of the secret.
//! The associated data bind it to the account, the field and the front addresses: copied to another row, or with the
//! addresses edited so that it would be sent to another host, it does not open.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use mdhub_spec::account::{AccountId, FrontAddress, Secret};
use thiserror::Error;
use zeroize::Zeroize;

use crate::key::SealingKey;

/// Bytes of a nonce. So many random ones never meet.
pub(crate) const NONCE_BYTES: usize = 24;

/// What every sealed text begins with, whatever its version.
const PREFIX: &str = "sealed:";
const VERSION: &str = "v1";

/// What a sealed secret belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) field: &'a str,
    pub(crate) addresses: &'a [FrontAddress],
}

impl Binding<'_> {
    /// Each part with its length before it, so that no two bindings give the same bytes. Addresses are sorted: their
    /// order is a preference, not a destination.
    fn associated_data(&self) -> Vec<u8> {
        let mut addresses: Vec<&str> = self.addresses.iter().map(FrontAddress::as_str).collect();
        addresses.sort_unstable();
        let mut data = Vec::new();
        for part in ["mdhub secret v1", self.account.as_str(), self.field].into_iter().chain(addresses) {
            data.extend_from_slice(&(part.len() as u64).to_le_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

/// Why a sealed text does not open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NotOpened {
    /// It is cut or altered, or of another format.
    #[error("is no sealed text of a version that this release knows ({VERSION})")]
    Malformed,
    /// It needs another key.
    #[error("was sealed by key {key_id}")]
    OtherKey { key_id: String },
    /// The key fits, what it is bound to does not.
    #[error("does not open: it was sealed for another account or other values of md_address, or it was altered")]
    NotBoundHere,
}

/// Whether `text` is meant as a sealed one.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Seals `secret`. The `nonce` must be random: one must never serve twice under a key. `None` when the secret is too
/// long for the cipher (256 GiB).
pub(crate) fn seal(
    key: &SealingKey,
    binding: Binding<'_>,
    secret: &Secret,
    nonce: [u8; NONCE_BYTES],
) -> Option<String> {
    let payload = Payload { msg: secret.reveal().as_bytes(), aad: &binding.associated_data() };
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let boxed = cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
    Some(format!("{PREFIX}{VERSION}:{}:{}", key.id(), STANDARD.encode([&nonce[..], &boxed].concat())))
}

/// Opens a sealed text.
pub(crate) fn open(key: &SealingKey, binding: Binding<'_>, sealed: &str) -> Result<Secret, NotOpened> {
    let mut parts = sealed.strip_prefix(PREFIX).ok_or(NotOpened::Malformed)?.splitn(3, ':');
    let (Some(VERSION), Some(key_id), Some(base64)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NotOpened::Malformed);
    };
    let bytes = STANDARD.decode(base64).map_err(|_| NotOpened::Malformed)?;
    let (nonce, boxed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(NotOpened::Malformed)?;
    if key_id.len() != key.id().len() || !key_id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(NotOpened::Malformed);
    }
    if key_id != key.id() {
        return Err(NotOpened::OtherKey { key_id: key_id.to_owned() });
    }
    let payload = Payload { msg: boxed, aad: &binding.associated_data() };
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let opened = cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| NotOpened::NotBoundHere)?;
    String::from_utf8(opened).map(Secret::new).map_err(|e| {
        e.into_bytes().zeroize();
        NotOpened::Malformed
    })
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    /// Made by libsodium's `crypto_aead_xchacha20poly1305_ietf_encrypt` (PyNaCl): password `hunter2` of account
    /// `ctp-main` with fronts tcp://a:1 and tcp://b:2, nonce 00 01 .. 17, the key below.
    const GOLDEN: &str = "sealed:v1:6a7e5b55cc238a64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXM17QKXpE4aZOgSVtl1f9IMws+5j7tQE=";

    fn key(bytes: &[u8; 32]) -> SealingKey {
        SealingKey::new(Zeroizing::new(*bytes))
    }

    fn golden_key() -> SealingKey {
        key(b"0123456789abcdef0123456789abcdef")
    }

    fn fronts(addresses: &[&str]) -> Vec<FrontAddress> {
        addresses.iter().map(|a| a.parse().expect("an address")).collect()
    }

    #[test]
    fn the_format_is_pinned_by_another_implementation() {
        let account = "ctp-main".parse().expect("a slug");
        let binding = Binding { account: &account, field: "password", addresses: &fronts(&["tcp://a:1", "tcp://b:2"]) };
        let nonce = std::array::from_fn(|i| i as u8);
        let sealed = seal(&golden_key(), binding, &Secret::new("hunter2".into()), nonce);
        assert_eq!(sealed.as_deref(), Some(GOLDEN));
        let opened = open(&golden_key(), binding, GOLDEN).expect("opened");
        assert_eq!(opened.reveal(), "hunter2");
    }

    #[test]
    fn it_opens_for_its_own_account_field_and_fronts_only() {
        let main = "ctp-main".parse().expect("a slug");
        let backup = "ctp-backup".parse().expect("a slug");
        for (account, field, addresses, opens) in [
            (&main, "password", vec!["tcp://a:1", "tcp://b:2"], true),
            (&main, "password", vec!["tcp://b:2", "tcp://a:1"], true),
            (&backup, "password", vec!["tcp://a:1", "tcp://b:2"], false),
            (&main, "auth_code", vec!["tcp://a:1", "tcp://b:2"], false),
            (&main, "password", vec!["tcp://a:1"], false),
            (&main, "password", vec!["tcp://a:1", "tcp://b:3"], false),
            (&main, "password", vec!["tcp://a:1", "tcp://b:2", "tcp://c:3"], false),
            (&main, "password", vec![], false),
        ] {
            let addresses = fronts(&addresses);
            let binding = Binding { account, field, addresses: &addresses };
            let opened = open(&golden_key(), binding, GOLDEN);
            assert_eq!(opened.is_ok(), opens, "{binding:?}");
            assert!(opens || opened == Err(NotOpened::NotBoundHere), "{binding:?}");
        }
    }

    #[test]
    fn another_key_is_named_and_does_not_open() {
        let account = "ctp-main".parse().expect("a slug");
        let binding = Binding { account: &account, field: "password", addresses: &fronts(&["tcp://a:1", "tcp://b:2"]) };
        let other = key(b"another key another key another ");
        assert_eq!(open(&other, binding, GOLDEN), Err(NotOpened::OtherKey { key_id: "6a7e5b55cc238a64".into() }));
        let renamed = GOLDEN.replace("6a7e5b55cc238a64", other.id());
        assert_eq!(open(&other, binding, &renamed), Err(NotOpened::NotBoundHere));
    }

    #[test]
    fn a_text_changed_or_cut_anywhere_does_not_open() {
        let account = "ctp-main".parse().expect("a slug");
        let binding = Binding { account: &account, field: "password", addresses: &fronts(&["tcp://a:1", "tcp://b:2"]) };
        for at in 0..GOLDEN.len() {
            assert!(open(&golden_key(), binding, &GOLDEN[..at]).is_err(), "cut at {at}");
            let mut changed = GOLDEN.as_bytes().to_vec();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(open(&golden_key(), binding, &changed).is_err(), "changed at {at}");
        }
        for other in ["", "hunter2", "sealed:", "sealed:v2:6a7e5b55cc238a64:AAAA", "sealed:v1::AAAA"] {
            assert_eq!(open(&golden_key(), binding, other), Err(NotOpened::Malformed), "{other}");
        }
    }

    #[test]
    fn any_secret_comes_back() {
        let account = "a".parse().expect("a slug");
        let binding = Binding { account: &account, field: "password", addresses: &[] };
        for secret in ["x".into(), "密码 with \"quotes\" : and \0".to_owned(), "y".repeat(4096)] {
            let sealed = seal(&golden_key(), binding, &Secret::new(secret.clone()), [9; NONCE_BYTES]).expect("sealed");
            assert!(is_sealed(&sealed) && !sealed.contains(&secret), "{sealed}");
            assert_eq!(open(&golden_key(), binding, &sealed).expect("opened").reveal(), secret);
        }
    }
}
