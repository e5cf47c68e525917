//! Calls into the library, by vtable slot.
//!
//! Everything is validated before the library sees it: it crashes on a flow directory that is missing and on an address
//! without `tcp://`.
#![expect(unsafe_code, reason = "the vendor's object is a C++ vtable")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::{Metadata, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use mdhub_spec::account::FrontAddress;
use rustix::fs::Access;

use super::layout::api_slot;
use super::library::Library;
use super::record::LoginRequest;
use super::spi::{self, Spi};

/// Longest flow path: the vendor appends file names into fixed buffers.
const FLOW_PATH_BYTES_MAX: usize = 200;
/// What the vendor keeps in a flow directory. It crashes on one that it cannot open.
const FLOW_FILES: [&str; 3] = ["DialogRsp.con", "QueryRsp.con", "TradingDay.con"];

/// The vendor's API object. It is never released: `Release` may never return, and the process ends instead.
#[derive(Debug)]
pub struct Api {
    object: *mut c_void,
}

// SAFETY: the vendor documents its requests as callable from any thread; the object lives until the process ends, and
// this type only reads the pointer.
unsafe impl Send for Api {}
// SAFETY: as above.
unsafe impl Sync for Api {}

impl Api {
    /// Makes the vendor's object on an existing, writable flow directory.
    ///
    /// # Errors
    /// What is wrong with the directory, or that the vendor made no object.
    pub fn create(library: &Library, flow_dir: &Path) -> Result<Self, String> {
        let prefix = flow_prefix(flow_dir)?;
        let object = library.create(&prefix);
        if object.is_null() { Err("the vendor library made no API object".to_owned()) } else { Ok(Self { object }) }
    }

    /// Hands the library the object that it calls. The object lives until the process ends.
    pub fn register_spi(&self, library: &Library, spi: Arc<dyn Spi>) {
        let object = spi::leak_object(library.layout(), spi);
        // SAFETY: slot and signature are `RegisterSpi(CThostFtdcMdSpi *)`; the object is never freed.
        unsafe {
            let call: unsafe extern "C" fn(*mut c_void, *mut c_void) = self.slot(api_slot::REGISTER_SPI);
            call(self.object, object);
        }
    }

    /// Adds a front. Its form is checked by its type.
    ///
    /// # Errors
    /// When the address holds a zero byte.
    pub fn register_front(&self, address: &FrontAddress) -> Result<(), String> {
        let text = CString::new(address.as_str()).map_err(|e| format!("md_address {address}: {e}"))?;
        // SAFETY: slot and signature are `RegisterFront(char *)`; the vendor copies the text.
        unsafe {
            let call: unsafe extern "C" fn(*mut c_void, *const c_char) = self.slot(api_slot::REGISTER_FRONT);
            call(self.object, text.as_ptr());
        }
        Ok(())
    }

    /// Starts the library's threads: it connects from here on.
    pub fn init(&self) {
        // SAFETY: slot and signature are `Init()`; an SPI is registered.
        unsafe {
            let call: unsafe extern "C" fn(*mut c_void) = self.slot(api_slot::INIT);
            call(self.object);
        }
    }

    /// Asks for a login; only inside `OnFrontConnected`. Returns the vendor's code, 0 for sent.
    #[must_use]
    pub fn login(&self, request: &LoginRequest, request_id: i32) -> i32 {
        // SAFETY: slot and signature are `ReqUserLogin(CThostFtdcReqUserLoginField *, int)`; the record has the measured
        // size, and the vendor copies it.
        unsafe {
            let call: unsafe extern "C" fn(*mut c_void, *const u8, c_int) -> c_int = self.slot(api_slot::LOGIN);
            call(self.object, request.as_ptr(), request_id)
        }
    }

    /// Subscribes; only while logged in. Returns the vendor's code, 0 for sent.
    #[must_use]
    pub fn subscribe(&self, symbols: &[String]) -> i32 {
        self.instruments(api_slot::SUBSCRIBE, symbols)
    }

    /// Drops subscriptions; only while logged in. Returns the vendor's code, 0 for sent.
    #[must_use]
    pub fn unsubscribe(&self, symbols: &[String]) -> i32 {
        self.instruments(api_slot::UNSUBSCRIBE, symbols)
    }

    fn instruments(&self, slot: usize, symbols: &[String]) -> i32 {
        // A symbol's type forbids the zero byte, so none is lost here.
        let texts: Vec<CString> = symbols.iter().filter_map(|s| CString::new(s.as_str()).ok()).collect();
        let mut pointers: Vec<*const c_char> = texts.iter().map(|t| t.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).unwrap_or(c_int::MAX);
        // SAFETY: slot and signature are `[Un]SubscribeMarketData(char *[], int)`; `count` pointers to zero-terminated
        // texts outlive the call, and the vendor copies them.
        unsafe {
            let call: unsafe extern "C" fn(*mut c_void, *mut *const c_char, c_int) -> c_int = self.slot(slot);
            call(self.object, pointers.as_mut_ptr(), count)
        }
    }

    /// The function in a slot of the object's vtable.
    ///
    /// # Safety
    /// `F` must be the function-pointer type of that slot, and the slot must exist.
    unsafe fn slot<F: Copy>(&self, slot: usize) -> F {
        const { assert!(size_of::<F>() == size_of::<*const ()>(), "F is a function pointer") };
        // SAFETY: the object's first word points at the vtable's first function (Itanium C++ ABI); every entry is a
        // function pointer, and the caller promises that this one is an `F`.
        unsafe { (*self.object.cast::<*const F>()).add(slot).read() }
    }
}

/// The flow path as the vendor wants it: a prefix to which it appends file names, so it ends in a slash.
fn flow_prefix(flow_dir: &Path) -> Result<CString, String> {
    let shown = flow_dir.display();
    let metadata = std::fs::metadata(flow_dir).map_err(|e| format!("flow_dir {shown}: {e}"))?;
    if !metadata.is_dir() {
        return Err(format!("flow_dir {shown}: it is no directory"));
    }
    rustix::fs::access(flow_dir, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|e| format!("flow_dir {shown}: it is not writable: {e}"))?;
    make_private(flow_dir, &metadata).map_err(|e| format!("flow_dir {shown}: it cannot be made private: {e}"))?;
    for name in FLOW_FILES {
        let file = flow_dir.join(name);
        let refused = |why: String| Err(format!("flow file {}: {why}; remove it", file.display()));
        match std::fs::metadata(&file) {
            Ok(metadata) if !metadata.is_file() => return refused("it is no regular file".into()),
            Ok(_) => {
                if let Err(e) = rustix::fs::access(&file, Access::READ_OK | Access::WRITE_OK) {
                    return refused(format!("it is not readable and writable: {e}"));
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return refused(e.to_string()),
        }
    }
    let mut prefix = flow_dir.as_os_str().as_bytes().to_vec();
    if prefix.last() != Some(&b'/') {
        prefix.push(b'/');
    }
    if prefix.len() > FLOW_PATH_BYTES_MAX {
        return Err(format!("flow_dir {shown} has {} bytes: allowed are up to {FLOW_PATH_BYTES_MAX}", prefix.len()));
    }
    CString::new(prefix).map_err(|e| format!("flow_dir {shown}: {e}"))
}

/// Takes the directory from everybody else: the library's files name the account's front and user.
fn make_private(dir: &Path, metadata: &Metadata) -> std::io::Result<()> {
    let is_private = metadata.permissions().mode() & 0o077 == 0;
    if is_private { Ok(()) } else { std::fs::set_permissions(dir, Permissions::from_mode(0o700)) }
}

/// Ends the process at once: no exit handlers and no destructors run, since the library's threads still do and its
/// destructors abort or hang beneath them.
pub fn exit_now(code: i32) -> ! {
    unsafe extern "C" {
        fn _exit(code: c_int) -> !;
    }
    // SAFETY: POSIX `_exit`, callable at any time.
    unsafe { _exit(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_directory_that_the_vendor_would_crash_on_is_refused_before_it_sees_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        std::fs::write(&file, b"").expect("written");
        let long = dir.path().join("x".repeat(220));
        std::fs::create_dir(&long).expect("made");
        for (path, part) in
            [(dir.path().join("missing"), "No such file"), (file, "is no directory"), (long, "allowed are up to 200")]
        {
            let refused = flow_prefix(&path);
            assert!(refused.as_ref().is_err_and(|e| e.contains(part)), "{}: {refused:?}", path.display());
        }
        let prefix = flow_prefix(dir.path()).expect("accepted");
        assert!(prefix.as_bytes().ends_with(b"/"));
    }
}
