//! The administrator's password: only its argon2id hash is kept.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use subtle::ConstantTimeEq as _;

/// Letters of a password that is made; none looks like another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789!";
/// Their number: 32 letters are five bits each.
const LENGTH: usize = 24;
/// A password that people choose has so many bytes.
const BYTES_MIN: usize = 8;
const BYTES_MAX: usize = 256;

/// Who may steer the hub.
pub struct Administrator {
    user: String,
    /// Argon2id, as a PHC string.
    hash: String,
}

impl fmt::Debug for Administrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administrator").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Administrator {
    /// From a hash that was kept.
    ///
    /// # Errors
    /// When it is none.
    pub fn kept(user: &str, hash: &str) -> Result<Self, String> {
        PasswordHash::new(hash).map_err(|e| format!("the kept password hash is not understood: {e}"))?;
        Ok(Self { user: user.to_owned(), hash: hash.to_owned() })
    }

    /// With a new password. Takes some tens of milliseconds, and 19 MiB meanwhile.
    ///
    /// # Errors
    /// When name or password are not allowed.
    pub fn with_password(user: &str, password: &str) -> Result<Self, String> {
        if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
            return Err(format!("user {user:?} is not allowed: some letters, and no colon"));
        }
        if !(BYTES_MIN..=BYTES_MAX).contains(&password.len()) {
            return Err(format!("a password of {} bytes is not allowed: {BYTES_MIN} to {BYTES_MAX}", password.len()));
        }
        let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|e| format!("hashing: {e}"))?;
        Ok(Self { user: user.to_owned(), hash: hash.to_string() })
    }

    /// The name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What is kept.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether it is they. A wrong name takes as long as a wrong password.
    #[must_use]
    pub fn is(&self, user: &str, password: &str) -> bool {
        let is_user = bool::from(self.user.as_bytes().ct_eq(user.as_bytes()));
        let is_password = PasswordHash::new(&self.hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        is_user & is_password
    }
}

/// A password that nobody guesses.
///
/// # Errors
/// When the system has no randomness.
pub fn make() -> Result<String, String> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|e| format!("the system's randomness: {e}"))?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_name_and_password_are_they_also_after_the_hash_was_kept() {
        let made = Administrator::with_password("admin", "a password").expect("allowed");
        assert!(made.hash().starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !made.hash().contains("a password"));
        let kept = Administrator::kept("admin", made.hash()).expect("understood");
        for (user, password, is_so) in [
            ("admin", "a password", true),
            ("admin", "a passwore", false),
            ("admim", "a password", false),
            ("admin", "", false),
            ("", "", false),
        ] {
            assert_eq!(kept.is(user, password), is_so, "{user}:{password}");
        }
        assert!(Administrator::kept("admin", "a password").is_err());
    }

    #[test]
    fn names_and_passwords_that_cannot_be_sent_or_guess_themselves_are_refused() {
        for (user, password) in [("", "12345678"), ("a:b", "12345678"), ("a\n", "12345678"), ("a", "1234567")] {
            assert!(Administrator::with_password(user, password).is_err(), "{user:?}:{password:?}");
        }
        assert!(Administrator::with_password("a", &"x".repeat(257)).is_err());
    }

    #[test]
    fn made_passwords_are_long_and_never_the_same() {
        let made: std::collections::BTreeSet<String> = (0..100).map(|_| make().expect("random")).collect();
        assert_eq!(made.len(), 100);
        assert!(made.iter().all(|password| password.len() == LENGTH && (BYTES_MIN..=BYTES_MAX).contains(&LENGTH)));
    }
}
