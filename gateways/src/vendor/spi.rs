//! Calls out of the library: an object with a vtable of our making.
//!
//! Every function copies what it is given before it returns, never blocks, and never lets a panic out into the vendor's
//! frames.
#![expect(unsafe_code, reason = "the vendor calls through a C++ vtable")]

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mdhub_spec::dialect::Dialect;

use super::layout::{Layout, rsp_info};

/// What the library tells. Called on the vendor's threads: copy, and return at once. A null pointer comes as `None`.
pub trait Spi: Send + Sync {
    /// The connection stands: log in now.
    fn front_connected(&self);
    /// The connection is gone; the library will try again by itself. It can come without a connection before it.
    fn front_disconnected(&self, reason: i32);
    /// The front has been silent for that many seconds.
    fn heartbeat_warning(&self, lapse_s: i32);
    /// The answer to a login: `CThostFtdcRspUserLoginField`, `CThostFtdcRspInfoField`.
    fn rsp_login(&self, login: Option<&[u8]>, info: Option<&[u8]>);
    /// An error without a place: `CThostFtdcRspInfoField`.
    fn rsp_error(&self, info: Option<&[u8]>);
    /// The answer to one subscription: `CThostFtdcSpecificInstrumentField`, `CThostFtdcRspInfoField`.
    fn rsp_subscribe(&self, instrument: Option<&[u8]>, info: Option<&[u8]>);
    /// A tick: `CThostFtdcDepthMarketDataField`.
    fn depth(&self, record: &[u8]);
}

/// Panics that were caught on the way back into the library.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many panics were caught on the way back into the library, so far.
#[must_use]
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// The object that the library holds: its first word is the vtable, as C++ has it.
#[repr(C)]
struct Object {
    vtable: *const *const c_void,
    layout: &'static Layout,
    spi: Arc<dyn Spi>,
}

/// Makes an object that lives until the process ends.
pub(super) fn leak_object(layout: &'static Layout, spi: Arc<dyn Spi>) -> *mut c_void {
    // Offset-to-top and RTTI stand before the first function; nobody casts the object, so both are zero.
    let mut table = vec![std::ptr::null(); 2];
    table.extend(functions(layout));
    let table: &'static [*const c_void] = table.leak();
    Box::into_raw(Box::new(Object { vtable: table[2..].as_ptr(), layout, spi })).cast()
}

type This = *mut Object;
type Field = *const u8;

/// The functions in the order of the flavour's slots.
fn functions(layout: &Layout) -> Vec<*const c_void> {
    let mut all = vec![
        on_front_connected as extern "C" fn(This) as *const c_void,
        on_front_disconnected as extern "C" fn(This, c_int) as *const c_void,
        on_heartbeat_warning as extern "C" fn(This, c_int) as *const c_void,
        on_rsp_login as extern "C" fn(This, Field, Field, c_int, bool) as *const c_void,
    ];
    let ignored_response = ignore_response as extern "C" fn(This, Field, Field, c_int, bool) as *const c_void;
    all.push(ignored_response); // OnRspUserLogout
    if layout.dialect == Dialect::Ctp {
        all.push(ignored_response); // OnRspQryMulticastInstrument
    }
    all.push(on_rsp_error as extern "C" fn(This, Field, c_int, bool) as *const c_void);
    all.push(on_rsp_subscribe as extern "C" fn(This, Field, Field, c_int, bool) as *const c_void);
    all.push(ignored_response); // OnRspUnSubMarketData
    all.push(ignored_response); // OnRspSubForQuoteRsp
    all.push(ignored_response); // OnRspUnSubForQuoteRsp
    all.push(on_depth as extern "C" fn(This, Field) as *const c_void);
    all.push(ignore_notice as extern "C" fn(This, Field) as *const c_void); // OnRtnForQuoteRsp
    all
}

/// Runs `call` on the receiver; a panic ends here.
fn guarded(this: This, call: impl FnOnce(&Object)) {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the library passes back the object that it was given, which is never freed nor written.
        if let Some(object) = unsafe { this.as_ref() } {
            call(object);
        }
    }));
    if caught.is_err() {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }
}

/// The record behind a pointer of the library, for the length of the call.
///
/// # Safety
/// `field` is null or points at `size` readable bytes that do not change while the slice is used.
unsafe fn bytes<'a>(field: Field, size: usize) -> Option<&'a [u8]> {
    // SAFETY: as promised by the caller; u8 has no alignment.
    (!field.is_null()).then(|| unsafe { std::slice::from_raw_parts(field, size) })
}

extern "C" fn on_front_connected(this: This) {
    guarded(this, |o| o.spi.front_connected());
}

extern "C" fn on_front_disconnected(this: This, reason: c_int) {
    guarded(this, |o| o.spi.front_disconnected(reason));
}

extern "C" fn on_heartbeat_warning(this: This, lapse_s: c_int) {
    guarded(this, |o| o.spi.heartbeat_warning(lapse_s));
}

extern "C" fn on_rsp_login(this: This, login: Field, info: Field, _request_id: c_int, _is_last: bool) {
    guarded(this, |o| {
        // SAFETY: the vendor's structures of the measured sizes, valid during the call.
        let (login, info) = unsafe { (bytes(login, o.layout.rsp_login_bytes), bytes(info, rsp_info::BYTES)) };
        o.spi.rsp_login(login, info);
    });
}

extern "C" fn on_rsp_error(this: This, info: Field, _request_id: c_int, _is_last: bool) {
    // SAFETY: the vendor's structure of the measured size, valid during the call.
    guarded(this, |o| o.spi.rsp_error(unsafe { bytes(info, rsp_info::BYTES) }));
}

extern "C" fn on_rsp_subscribe(this: This, instrument: Field, info: Field, _request_id: c_int, _is_last: bool) {
    guarded(this, |o| {
        // SAFETY: the vendor's structures of the measured sizes, valid during the call.
        let (instrument, info) =
            unsafe { (bytes(instrument, o.layout.instrument_bytes), bytes(info, rsp_info::BYTES)) };
        o.spi.rsp_subscribe(instrument, info);
    });
}

extern "C" fn on_depth(this: This, record: Field) {
    guarded(this, |o| {
        // SAFETY: the vendor's depth record of the measured size, valid during the call.
        if let Some(record) = unsafe { bytes(record, o.layout.depth_bytes) } {
            o.spi.depth(record);
        }
    });
}

extern "C" fn ignore_response(_this: This, _field: Field, _info: Field, _request_id: c_int, _is_last: bool) {}

extern "C" fn ignore_notice(_this: This, _field: Field) {}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);

    impl Seen {
        fn note(&self, what: String) {
            self.0.lock().expect("not poisoned").push(what);
        }
    }

    impl Spi for Seen {
        fn front_connected(&self) {
            self.note("connected".into());
            panic!("must not reach the vendor");
        }
        fn front_disconnected(&self, reason: i32) {
            self.note(format!("disconnected {reason:#x}"));
        }
        fn heartbeat_warning(&self, lapse_s: i32) {
            self.note(format!("warning {lapse_s}"));
        }
        fn rsp_login(&self, login: Option<&[u8]>, info: Option<&[u8]>) {
            self.note(format!("login {:?} {:?}", login.map(<[u8]>::len), info.map(<[u8]>::len)));
        }
        fn rsp_error(&self, info: Option<&[u8]>) {
            self.note(format!("error {:?}", info.map(<[u8]>::len)));
        }
        fn rsp_subscribe(&self, instrument: Option<&[u8]>, info: Option<&[u8]>) {
            self.note(format!("subscribe {:?} {:?}", instrument.map(<[u8]>::len), info.map(<[u8]>::len)));
        }
        fn depth(&self, record: &[u8]) {
            self.note(format!("depth {}", record.len()));
        }
    }

    /// Calls slot `slot` of the object as the vendor does.
    fn slot<F: Copy>(object: *mut c_void, slot: usize) -> F {
        // SAFETY: the test names each slot with its own type.
        unsafe { (*object.cast::<*const F>()).add(slot).read() }
    }

    #[test]
    fn each_slot_of_both_flavours_reaches_its_method_and_no_panic_leaves() {
        for (kind, later, sizes) in [(Dialect::Ctp, 0, (204, 112, 584)), (Dialect::Sopt, 1, (156, 31, 440))] {
            let seen = Arc::new(Seen::default());
            let layout = Layout::of(kind);
            assert_eq!(functions(layout).len(), layout.spi_slots);
            let object = leak_object(layout, Arc::clone(&seen) as Arc<dyn Spi>);
            let record = [0u8; 600];
            let (some, none) = (record.as_ptr(), std::ptr::null());
            let before = panics();
            slot::<extern "C" fn(*mut c_void)>(object, 0)(object);
            assert_eq!(panics(), before + 1);
            slot::<extern "C" fn(*mut c_void, c_int)>(object, 1)(object, 0x1001);
            slot::<extern "C" fn(*mut c_void, c_int)>(object, 2)(object, 61);
            type Rsp = extern "C" fn(*mut c_void, *const u8, *const u8, c_int, bool);
            slot::<Rsp>(object, 3)(object, some, some, 1, true);
            slot::<Rsp>(object, 3)(object, none, none, 1, true);
            slot::<extern "C" fn(*mut c_void, *const u8, c_int, bool)>(object, 6 - later)(object, some, 1, true);
            slot::<Rsp>(object, 7 - later)(object, some, none, 1, true);
            slot::<Rsp>(object, 8 - later)(object, some, none, 1, true);
            slot::<extern "C" fn(*mut c_void, *const u8)>(object, 11 - later)(object, some);
            slot::<extern "C" fn(*mut c_void, *const u8)>(object, 11 - later)(object, none);
            let (login, instrument, depth) = sizes;
            assert_eq!(
                *seen.0.lock().expect("not poisoned"),
                [
                    "connected".to_owned(),
                    "disconnected 0x1001".into(),
                    "warning 61".into(),
                    format!("login Some({login}) Some(88)"),
                    "login None None".into(),
                    "error Some(88)".into(),
                    format!("subscribe Some({instrument}) None"),
                    format!("depth {depth}"),
                ]
            );
        }
    }
}
