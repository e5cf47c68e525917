//! Loading a vendor library: its hash before it is loaded, then its symbols, its flavour, its version.
#![expect(unsafe_code, reason = "a shared object can only be loaded, and its functions only be called, without checks")]

use std::ffi::{CStr, c_char, c_void};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::layout::Layout;

/// `CThostFtdcMdApi::CreateFtdcMdApi(flow_path, is_udp, is_multicast)`.
type Create = unsafe extern "C" fn(*const c_char, bool, bool) -> *mut c_void;
/// `CThostFtdcMdApi::GetApiVersion()`.
type GetVersion = unsafe extern "C" fn() -> *const c_char;

/// Why a library is not used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("library {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not the file that the settings name.
    #[error("library {path}: its sha256 is {found}, the settings pin {expected}; it was not loaded")]
    Hash {
        /// The file.
        path: PathBuf,
        /// What the settings say.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// The system's loader refuses it.
    #[error("library {path}: it cannot be loaded: {why}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The loader's words.
        why: String,
    },
    /// It belongs to the other flavour.
    #[error(
        "library {path}: it is a {found} library, but the account's gateway is {expected}; symbol {symbol} is missing"
    )]
    Flavour {
        /// The file.
        path: PathBuf,
        /// The gateway that was asked for.
        expected: &'static str,
        /// The flavour that the library has.
        found: &'static str,
        /// The symbol that it lacks.
        symbol: &'static str,
    },
    /// It is no market-data library, or a broken one.
    #[error("library {path}: it is no {kind} market-data library; symbol {symbol} is missing")]
    Symbol {
        /// The file.
        path: PathBuf,
        /// The gateway that was asked for.
        kind: &'static str,
        /// The symbol that it lacks.
        symbol: &'static str,
    },
}

/// A loaded library. It is never unloaded: its threads outlive every reason to do so.
#[derive(Debug)]
pub struct Library {
    layout: &'static Layout,
    version: String,
    create: Create,
}

impl Library {
    /// Loads the library at `path` as the flavour of `layout`; with `sha256` (hex), only if the file has it.
    ///
    /// # Errors
    /// [`LoadError`], which names the library, the flavour, and what is wrong.
    pub fn load(path: &Path, sha256: Option<&str>, layout: &'static Layout) -> Result<Self, LoadError> {
        check_file(path, sha256)?;
        // SAFETY: loading runs the library's initialisers. It is the vendor's code, named by the settings (never by an
        // account) and checked against its hash where one is pinned; a crash in it is confined to this process.
        let library = unsafe { libloading::Library::new(path) }
            .map_err(|e| LoadError::Open { path: path.to_owned(), why: loaders_words(&e) })?;
        // The handle is leaked before anything of the library is called: from then on it may run threads of its own.
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        // SAFETY: the symbol's mangled name fixes its signature, `CreateFtdcMdApi(char const*, bool, bool)`.
        let create = unsafe { library.get::<Create>(layout.create_symbol) };
        // SAFETY: as above, `GetApiVersion()`, which returns `char const*` in both flavours.
        let version = unsafe { library.get::<GetVersion>(layout.version_symbol) };
        let (create, get_version) = match (create, version) {
            (Ok(create), Ok(version)) => (*create, *version),
            (Err(_), _) => return Err(missing(path, library, layout, layout.create_symbol)),
            (_, Err(_)) => return Err(missing(path, library, layout, layout.version_symbol)),
        };
        // SAFETY: the function takes nothing and may be called at any time.
        let version = unsafe { get_version() };
        let version = if version.is_null() {
            String::new()
        } else {
            // SAFETY: not null; the vendor returns a constant, zero-terminated text.
            unsafe { CStr::from_ptr(version) }.to_string_lossy().trim().to_owned()
        };
        Ok(Self { layout, version, create })
    }

    /// As the library names itself; empty where it does not.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether mdhub was tested with this version.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.layout.knows(&self.version)
    }

    /// The flavour.
    #[must_use]
    pub const fn layout(&self) -> &'static Layout {
        self.layout
    }

    /// Makes the vendor's API object. The caller has validated the flow path; null when the vendor makes none.
    pub(super) fn create(&self, flow_path: &CStr) -> *mut c_void {
        // SAFETY: the pointer is a zero-terminated text that outlives the call; the vendor copies it.
        unsafe { (self.create)(flow_path.as_ptr(), false, false) }
    }
}

/// What the system's loader said: `libloading` keeps it behind its own words.
fn loaders_words(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |source| source.to_string().trim().to_owned())
}

/// Says which symbol is missing, and whether that is because the library is of the other flavour.
fn missing(path: &Path, library: &libloading::Library, layout: &Layout, symbol: &'static str) -> LoadError {
    let other = layout.other();
    // SAFETY: the symbol is only looked for, never called.
    let is_other = unsafe { library.get::<Create>(other.create_symbol) }.is_ok();
    let (path, expected) = (path.to_owned(), layout.dialect.as_str());
    if is_other {
        LoadError::Flavour { path, expected, found: other.dialect.as_str(), symbol }
    } else {
        LoadError::Symbol { path, kind: expected, symbol }
    }
}

/// The SHA-256 of a file, in lower-case hex.
///
/// # Errors
/// When it cannot be read, or is no regular file: a pipe may never open, a device never end.
pub fn sha256(path: &Path) -> io::Result<String> {
    regular(path)?;
    let bytes = std::fs::read(path)?;
    Ok(Sha256::digest(&bytes).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

fn regular(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_file() { Ok(()) } else { Err(io::Error::other("it is no regular file")) }
}

fn check_file(path: &Path, expected: Option<&str>) -> Result<(), LoadError> {
    let read = |source| LoadError::Read { path: path.to_owned(), source };
    let Some(expected) = expected else { return regular(path).map_err(read) };
    let found = sha256(path).map_err(read)?;
    if found.eq_ignore_ascii_case(expected.trim()) {
        Ok(())
    } else {
        Err(LoadError::Hash { path: path.to_owned(), expected: expected.to_owned(), found })
    }
}
