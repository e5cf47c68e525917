//! The key that seals secrets, and the file that it lives in.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mdhub_spec::ports::StoreError;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// No key file is longer than this, bytes; a longer one is some other file.
const FILE_BYTES_MAX: u64 = 1024;

/// What a person types to make a key file by hand.
const RECIPE: &str = "32 random bytes in base64, as from: head -c 32 /dev/urandom | base64";

/// A 256-bit key, wiped when dropped, and its public name.
pub struct SealingKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: String,
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}

impl SealingKey {
    pub(crate) fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let digest = Sha256::new().chain_update(b"mdhub sealing key id v1\0").chain_update(&bytes[..]).finalize();
        let id = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { bytes, id }
    }

    /// The key's public name: 16 hex digits of a hash. It stands beside everything that the key sealed.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// Reads the key file at `path`: 32 bytes in base64, readable by its owner alone.
    ///
    /// # Errors
    /// [`StoreError::Key`] that names the file, what is wrong with it and what is allowed.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        Self::read_if_there(path)?.ok_or_else(|| refuse(path, "there is no such file"))
    }

    /// Reads the key file at `path`, or makes one with a new random key. Of several that make it at once one wins, and
    /// all return its key; a crash leaves a whole file or none.
    ///
    /// # Errors
    /// [`StoreError::Key`] that names the file and what is wrong.
    pub fn read_or_create(path: &Path) -> Result<Self, StoreError> {
        if let Some(key) = Self::read_if_there(path)? {
            return Ok(key);
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let mut salt = [0; 8];
        getrandom::fill(&mut bytes[..])
            .and_then(|()| getrandom::fill(&mut salt))
            .map_err(|e| refuse(path, format_args!("the system gives no randomness: {e}")))?;
        create(path, &bytes, u64::from_ne_bytes(salt))
            .map_err(|e| refuse(path, format_args!("it cannot be made: {e}")))?;
        Self::read(path)
    }

    fn read_if_there(path: &Path) -> Result<Option<Self>, StoreError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(refuse(path, e)),
        };
        let metadata = file.metadata().map_err(|e| refuse(path, e))?;
        let mode = metadata.mode() & 0o777;
        if !metadata.is_file() {
            return Err(refuse(path, "it is not a regular file"));
        }
        if mode & 0o077 != 0 {
            let why =
                format_args!("others may read or write it (mode {mode:04o}): chmod 600 it, and allow nobody else");
            return Err(refuse(path, why));
        }
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(|e| refuse(path, e))?;
        parse(&text).map(Self::new).map(Some).map_err(|why| refuse(path, why))
    }
}

fn refuse(path: &Path, why: impl fmt::Display) -> StoreError {
    StoreError::Key(format!("key file {}: {why}", path.display()))
}

fn parse(text: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, String> {
    // The decoder's own message would quote a byte of the key: it is not passed on.
    let decoded = Zeroizing::new(
        STANDARD.decode(text.trim_ascii()).map_err(|_| format!("it is not base64: what is needed is {RECIPE}"))?,
    );
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    if decoded.len() != KEY_BYTES {
        return Err(format!("it holds {} bytes: what is needed is {RECIPE}", decoded.len()));
    }
    bytes.copy_from_slice(&decoded);
    Ok(bytes)
}

/// Writes a whole file aside and links it into place: unlike a rename, a link never replaces a key that somebody else
/// made meanwhile.
fn create(path: &Path, bytes: &[u8; KEY_BYTES], salt: u64) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let aside = directory.join(format!(".sealing-key-{salt:016x}"));
    let mut text = STANDARD.encode(bytes);
    text.push('\n');
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    text.zeroize();
    let linked = written.and_then(|()| match fs::hard_link(&aside, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = fs::remove_file(&aside);
    linked?;
    removed?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_read_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret.key");
        let made = SealingKey::read_or_create(&path).expect("made");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        for again in [SealingKey::read(&path), SealingKey::read_or_create(&path)] {
            assert_eq!(again.expect("read").bytes(), made.bytes());
        }
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1, "nothing is left aside");
        let other = SealingKey::read_or_create(&dir.path().join("other.key")).expect("made");
        assert_ne!(other.bytes(), made.bytes());
        assert_ne!(other.id(), made.id());
    }

    #[test]
    fn of_several_makers_at_once_all_get_the_same_key() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("secret.key");
            let ids: Vec<String> = std::thread::scope(|scope| {
                let make = || SealingKey::read_or_create(&path).expect("made").id().to_owned();
                let makers: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                makers.into_iter().map(|maker| maker.join().expect("joined")).collect()
            });
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        }
    }

    #[test]
    fn a_bad_key_file_is_refused_with_its_name_and_the_reason_but_not_its_content() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret.key");
        let short = STANDARD.encode([7; 31]);
        let long = STANDARD.encode([7; 33]);
        let good = STANDARD.encode([7; KEY_BYTES]);
        for (text, mode, why) in [
            (short.as_str(), 0o600, "it holds 31 bytes"),
            (long.as_str(), 0o600, "it holds 33 bytes"),
            ("", 0o600, "it holds 0 bytes"),
            ("Swordfish!", 0o600, "it is not base64"),
            (good.as_str(), 0o644, "mode 0644"),
            (good.as_str(), 0o620, "mode 0620"),
            (&good.repeat(100), 0o600, "it is not base64"),
        ] {
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("changed");
            for refused in [SealingKey::read(&path), SealingKey::read_or_create(&path)] {
                let error = refused.expect_err(why).to_string();
                assert!(error.contains(why) && error.contains("secret.key"), "{error}");
                assert!(text.is_empty() || !error.contains(text), "{error}");
            }
            assert_eq!(fs::read_to_string(&path).expect("there"), text, "it is left as it was");
        }
        let missing = SealingKey::read(&dir.path().join("none")).expect_err("missing").to_string();
        assert!(missing.contains("none: there is no such file"), "{missing}");
        let directory = SealingKey::read(dir.path()).expect_err("a directory").to_string();
        assert!(directory.contains("not a regular file"), "{directory}");
        let nowhere = SealingKey::read_or_create(&dir.path().join("no/where.key")).expect_err("no directory");
        assert!(nowhere.to_string().contains("it cannot be made"), "{nowhere}");
    }

    #[test]
    fn a_key_is_never_printed_and_its_id_is_pinned() {
        let key = SealingKey::new(Zeroizing::new(*b"0123456789abcdef0123456789abcdef"));
        assert_eq!(format!("{key:?}"), format!("SealingKey({})", key.id()));
        assert_eq!(key.id(), "6a7e5b55cc238a64");
    }
}
