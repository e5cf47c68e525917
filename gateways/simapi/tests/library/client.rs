//! A client of the library: loads the shared object, calls its vtables, and is called through its own. It knows the
//! vendor's headers and nothing of the library.
#![expect(unsafe_code, reason = "the library speaks C++")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use libloading::Library;

use crate::structures::{
    CtpDepth, CtpInstrument, CtpRspUserLogin, ReqUserLogin, RspInfo, SoptDepth, SoptInstrument, SoptRspUserLogin,
    Values, text,
};

/// Nothing takes this long but a failure.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Ctp,
    Sopt,
}

/// What a callback said.
#[derive(Debug)]
pub(crate) enum Event {
    Connected,
    Disconnected(i32),
    HeartBeatWarning(i32),
    Login {
        broker: Vec<u8>,
        user: Vec<u8>,
        trading_day: Vec<u8>,
        error: (i32, Vec<u8>),
        request_id: i32,
        is_last: bool,
    },
    Logout {
        user: Vec<u8>,
        error: i32,
        request_id: i32,
        is_last: bool,
    },
    /// The answer to the call in the first field.
    Instrument(&'static str, Vec<u8>, (i32, Vec<u8>), bool),
    Depth(Box<Tick>),
    /// `Release`, called from within `OnFrontConnected`, came back.
    Released,
    /// A slot that nothing should call.
    Wrong(usize),
}

/// A depth record, copied.
#[derive(Debug)]
pub(crate) struct Tick {
    pub(crate) instrument: Vec<u8>,
    pub(crate) exchange: Vec<u8>,
    pub(crate) trading_day: Vec<u8>,
    pub(crate) action_day: Vec<u8>,
    pub(crate) values: Values,
}

/// The client's SPI object: its first word points at its vtable.
#[repr(C)]
struct Spi {
    vtable: *const *const c_void,
    functions: Vec<*const c_void>,
    flavour: Flavour,
    events: Sender<(ThreadId, Event)>,
    releases_when_connected: AtomicBool,
    api: AtomicPtr<c_void>,
}

impl Spi {
    fn say(&self, event: Event) {
        // The test may have gone away with its receiver; then nobody listens.
        let _ = self.events.send((thread::current().id(), event));
    }
}

/// An API object with its SPI.
pub(crate) struct Api {
    library: Library,
    object: *mut c_void,
    spi: Box<Spi>,
    events: Receiver<(ThreadId, Event)>,
}

static WORLD: Mutex<()> = Mutex::new(());

fn library() -> Library {
    let deps = std::env::current_exe().expect("this test's path").parent().expect("a directory").to_owned();
    let path = deps.join("libmdhub_simapi.so");
    // SAFETY: the library's initialisers are Rust's own.
    unsafe { Library::new(&path) }.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub(crate) fn version(flavour: Flavour) -> String {
    let name: &[u8] = match flavour {
        Flavour::Ctp => b"_ZN15CThostFtdcMdApi13GetApiVersionEv",
        Flavour::Sopt => b"_ZN8ctp_sopt15CThostFtdcMdApi13GetApiVersionEv",
    };
    let library = library();
    // SAFETY: `const char *GetApiVersion()`, whose text is static.
    unsafe {
        let call = library.get::<unsafe extern "C" fn() -> *const c_char>(name).expect("exported");
        CStr::from_ptr(call()).to_str().expect("ASCII").to_owned()
    }
}

impl Api {
    /// Creates an object on a flow path in a world; `None` where the library makes none.
    pub(crate) fn create(flavour: Flavour, flow_path: &Path, world: Option<&Path>) -> Option<Self> {
        type Create = unsafe extern "C" fn(*const c_char, bool, bool) -> *mut c_void;
        let name: &[u8] = match flavour {
            Flavour::Ctp => b"_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb",
            Flavour::Sopt => b"_ZN8ctp_sopt15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb",
        };
        let library = library();
        let flow_path = CString::new(format!("{}/", flow_path.display())).expect("no zero byte");
        let guard = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the lock keeps everybody else in this process from the environment meanwhile.
        unsafe {
            match world {
                Some(path) => std::env::set_var("SIMAPI_WORLD", path),
                None => std::env::remove_var("SIMAPI_WORLD"),
            }
        }
        // SAFETY: the vendor's signature and a terminated text.
        let object = unsafe { library.get::<Create>(name).expect("exported")(flow_path.as_ptr(), false, false) };
        drop(guard);
        let (sender, events) = channel();
        let functions = functions(flavour);
        let spi = Box::new(Spi {
            vtable: functions.as_ptr(),
            functions,
            flavour,
            events: sender,
            releases_when_connected: AtomicBool::new(false),
            api: AtomicPtr::new(object),
        });
        (!object.is_null()).then_some(Self { library, object, spi, events })
    }

    /// Creates, registers SPI and front, and starts.
    pub(crate) fn start(flavour: Flavour, flow_path: &Path, world: Option<&Path>, front: &str) -> Self {
        let api = Self::create(flavour, flow_path, world).expect("an API object");
        api.register_spi();
        api.register_front(front);
        api.init();
        api
    }

    /// The function in a slot of the object's vtable.
    ///
    /// # Safety
    /// `F` must be its type.
    unsafe fn slot<F: Copy>(&self, slot: usize) -> F {
        // SAFETY: the object's first word points at its functions.
        unsafe { (*self.object.cast::<*const F>()).add(slot).read() }
    }

    /// Slots 0 and 1, `Release` and `Init`.
    fn call(&self, slot: usize) {
        // SAFETY: `void f()`.
        unsafe { self.slot::<unsafe extern "C" fn(*mut c_void)>(slot)(self.object) }
    }

    pub(crate) fn init(&self) {
        self.call(1);
    }

    /// What `Join` does, to be done on another thread.
    pub(crate) fn joiner(&self) -> impl FnOnce() -> c_int + Send + use<> {
        // SAFETY: `int Join()`.
        let join = unsafe { self.slot::<unsafe extern "C" fn(*mut c_void) -> c_int>(2) };
        let object = AtomicPtr::new(self.object);
        // SAFETY: the object is released only while this waits, or afterwards.
        move || unsafe { join(object.load(Ordering::Acquire)) }
    }

    pub(crate) fn trading_day(&self) -> Vec<u8> {
        // SAFETY: `const char *GetTradingDay()`, whose text lives as long as the object.
        unsafe {
            let day = self.slot::<unsafe extern "C" fn(*mut c_void) -> *const c_char>(3)(self.object);
            CStr::from_ptr(day).to_bytes().to_vec()
        }
    }

    pub(crate) fn register_front(&self, address: &str) {
        let address = CString::new(address).expect("no zero byte");
        // SAFETY: `void RegisterFront(char *)`.
        unsafe { self.slot::<unsafe extern "C" fn(*mut c_void, *const c_char)>(4)(self.object, address.as_ptr()) }
    }

    fn set_spi(&self, spi: *const c_void) {
        // SAFETY: `void RegisterSpi(CThostFtdcMdSpi *)`; the SPI outlives the object, whose drop releases it first.
        unsafe { self.slot::<unsafe extern "C" fn(*mut c_void, *const c_void)>(7)(self.object, spi) }
    }

    pub(crate) fn register_spi(&self) {
        self.set_spi(ptr::from_ref(&*self.spi).cast());
    }

    pub(crate) fn unregister_spi(&self) {
        self.set_spi(ptr::null());
    }

    /// Lets `OnFrontConnected` release the object.
    pub(crate) fn release_when_connected(&self) {
        self.spi.releases_when_connected.store(true, Ordering::Release);
    }

    fn instruments(&self, slot: usize, codes: &[&str]) -> c_int {
        let texts: Vec<CString> = codes.iter().map(|c| CString::new(*c).expect("no zero byte")).collect();
        let mut pointers: Vec<*const c_char> = texts.iter().map(|t| t.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).expect("few");
        // SAFETY: `int f(char *[], int)`.
        unsafe {
            let call = self.slot::<unsafe extern "C" fn(*mut c_void, *mut *const c_char, c_int) -> c_int>(slot);
            call(self.object, pointers.as_mut_ptr(), count)
        }
    }

    pub(crate) fn subscribe(&self, codes: &[&str]) -> c_int {
        self.instruments(8, codes)
    }

    pub(crate) fn unsubscribe(&self, codes: &[&str]) -> c_int {
        self.instruments(9, codes)
    }

    pub(crate) fn subscribe_for_quotes(&self, codes: &[&str]) -> c_int {
        self.instruments(10, codes)
    }

    pub(crate) fn unsubscribe_for_quotes(&self, codes: &[&str]) -> c_int {
        self.instruments(11, codes)
    }

    pub(crate) fn login(&self, request_id: c_int) -> c_int {
        let field = ReqUserLogin::new(b"9999", b"demo");
        // SAFETY: `int ReqUserLogin(CThostFtdcReqUserLoginField *, int)`.
        unsafe {
            let call = self.slot::<unsafe extern "C" fn(*mut c_void, *const ReqUserLogin, c_int) -> c_int>(12);
            call(self.object, &raw const field, request_id)
        }
    }

    pub(crate) fn logout(&self, request_id: c_int) -> c_int {
        let field = [0_u8; 27];
        // SAFETY: `int ReqUserLogout(CThostFtdcUserLogoutField *, int)`.
        unsafe {
            let call = self.slot::<unsafe extern "C" fn(*mut c_void, *const [u8; 27], c_int) -> c_int>(13);
            call(self.object, &raw const field, request_id)
        }
    }

    /// The next callback, and the thread that it came from.
    pub(crate) fn next(&self) -> (ThreadId, Event) {
        self.events.recv_timeout(DEADLINE).expect("a callback")
    }

    /// Skips ticks until an event satisfies `wanted`.
    pub(crate) fn wait_for<T>(&self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().1) {
                return found;
            }
        }
    }

    /// The next tick.
    pub(crate) fn tick(&self) -> Tick {
        self.wait_for(|event| if let Event::Depth(tick) = event { Some(*tick) } else { None })
    }

    /// What comes until nothing has come for so long.
    pub(crate) fn until_silent(&self, quiet: Duration) -> Vec<Event> {
        let came: Vec<Event> =
            std::iter::from_fn(|| self.events.recv_timeout(quiet).ok().map(|(_, event)| event)).take(10_000).collect();
        assert!(came.len() < 10_000, "it never falls silent");
        came
    }

    /// Waits for the connection.
    pub(crate) fn connected(&self) {
        self.wait_for(|event| matches!(event, Event::Connected).then_some(()));
    }

    /// Logs in; the answer's code and words.
    pub(crate) fn log_in(&self) -> (i32, Vec<u8>) {
        assert_eq!(self.login(1), 0);
        self.wait_for(|event| if let Event::Login { error, .. } = event { Some(error) } else { None })
    }

    /// Logs in from a fresh connection.
    pub(crate) fn connect_and_log_in(&self) {
        self.wait_for(|event| matches!(event, Event::Connected).then_some(()));
        assert_eq!(self.login(1), 0);
        self.wait_for(|event| matches!(event, Event::Login { .. }).then_some(()));
    }

    /// Releases the object; returns what callbacks had been left, once no more can come.
    pub(crate) fn release(self) -> Vec<Event> {
        self.call(0);
        self.left()
    }

    /// Gives everything up without calling the library, once the object is gone.
    pub(crate) fn left(self) -> Vec<Event> {
        let Self { library, spi, events, .. } = self;
        drop((spi, library));
        events.try_iter().map(|(_, event)| event).collect()
    }
}

/// The SPI's functions in the order of the flavour's header.
fn functions(flavour: Flavour) -> Vec<*const c_void> {
    let mut functions: Vec<*const c_void> = vec![
        on_front_connected as _,
        on_front_disconnected as _,
        on_heart_beat_warning as _,
        on_rsp_user_login as _,
        on_rsp_user_logout as _,
        wrong::<5> as _,
        wrong::<6> as _,
        on_instrument::<0> as _,
        on_instrument::<1> as _,
        on_instrument::<2> as _,
        on_instrument::<3> as _,
        on_rtn_depth_market_data as _,
        wrong::<12> as _,
    ];
    if flavour == Flavour::Sopt {
        functions.remove(5);
    }
    functions
}

/// # Safety
/// `spi` must be a living [`Spi`].
unsafe extern "C" fn on_front_connected(spi: *mut Spi) {
    // SAFETY: the library was given this object.
    let spi = unsafe { &*spi };
    spi.say(Event::Connected);
    if spi.releases_when_connected.load(Ordering::Acquire) {
        let object = spi.api.load(Ordering::Acquire);
        // SAFETY: slot 0 is `void Release()`.
        unsafe { (*object.cast::<*const unsafe extern "C" fn(*mut c_void)>()).read()(object) }
        spi.say(Event::Released);
    }
}

/// # Safety
/// `spi` must be a living [`Spi`].
unsafe extern "C" fn on_front_disconnected(spi: *mut Spi, reason: c_int) {
    // SAFETY: the library was given this object.
    unsafe { &*spi }.say(Event::Disconnected(reason));
}

/// # Safety
/// `spi` must be a living [`Spi`].
unsafe extern "C" fn on_heart_beat_warning(spi: *mut Spi, lapse_s: c_int) {
    // SAFETY: the library was given this object.
    unsafe { &*spi }.say(Event::HeartBeatWarning(lapse_s));
}

/// # Safety
/// As the vendor's header says.
unsafe extern "C" fn on_rsp_user_login(
    spi: *mut Spi,
    field: *mut c_void,
    info: *mut RspInfo,
    id: c_int,
    is_last: bool,
) {
    // SAFETY: the library was given this object; the structures are the flavour's.
    let (spi, info) = unsafe { (&*spi, &*info) };
    let error = (info.error_id, text(&info.message));
    // SAFETY: as above.
    let (broker, user, trading_day) = unsafe {
        match spi.flavour {
            Flavour::Ctp => {
                let field = &*field.cast::<CtpRspUserLogin>();
                assert_eq!(text(&field.system_version), b"mdhub-sim");
                (text(&field.broker), text(&field.user), text(&field.trading_day))
            }
            Flavour::Sopt => {
                let field = &*field.cast::<SoptRspUserLogin>();
                (text(&field.broker), text(&field.user), text(&field.trading_day))
            }
        }
    };
    spi.say(Event::Login { broker, user, trading_day, error, request_id: id, is_last });
}

/// # Safety
/// As the vendor's header says.
unsafe extern "C" fn on_rsp_user_logout(
    spi: *mut Spi,
    field: *mut [u8; 27],
    info: *mut RspInfo,
    request_id: c_int,
    is_last: bool,
) {
    // SAFETY: the library was given this object; the structures are the vendor's.
    let (spi, field, info) = unsafe { (&*spi, &*field, &*info) };
    spi.say(Event::Logout { user: text(&field[11..]), error: info.error_id, request_id, is_last });
}

const CALLS: [&str; 4] = ["subscribe", "unsubscribe", "subscribe for quotes", "unsubscribe for quotes"];

/// # Safety
/// As the vendor's header says.
unsafe extern "C" fn on_instrument<const CALL: usize>(
    spi: *mut Spi,
    field: *mut c_void,
    info: *mut RspInfo,
    _request_id: c_int,
    is_last: bool,
) {
    // SAFETY: the library was given this object; the structures are the flavour's.
    let (spi, info) = unsafe { (&*spi, &*info) };
    // SAFETY: as above.
    let instrument = unsafe {
        match spi.flavour {
            Flavour::Ctp => text(&(*field.cast::<CtpInstrument>()).instrument),
            Flavour::Sopt => text(&(*field.cast::<SoptInstrument>()).instrument),
        }
    };
    spi.say(Event::Instrument(CALLS[CALL], instrument, (info.error_id, text(&info.message)), is_last));
}

/// # Safety
/// As the vendor's header says.
unsafe extern "C" fn on_rtn_depth_market_data(spi: *mut Spi, field: *mut c_void) {
    // SAFETY: the library was given this object; the structure is the flavour's.
    let spi = unsafe { &*spi };
    macro_rules! tick {
        ($field:expr) => {{
            let field = $field;
            Tick {
                instrument: text(&field.instrument),
                exchange: text(&field.exchange),
                trading_day: text(&field.trading_day),
                action_day: text(&field.action_day),
                values: field.values,
            }
        }};
    }
    // SAFETY: as above.
    let tick = unsafe {
        match spi.flavour {
            Flavour::Ctp => tick!(&*field.cast::<CtpDepth>()),
            Flavour::Sopt => tick!(&*field.cast::<SoptDepth>()),
        }
    };
    spi.say(Event::Depth(Box::new(tick)));
}

/// # Safety
/// `spi` must be a living [`Spi`].
unsafe extern "C" fn wrong<const SLOT: usize>(spi: *mut Spi) {
    // SAFETY: the library was given this object.
    unsafe { &*spi }.say(Event::Wrong(SLOT));
}

/// Writes a world file.
pub(crate) fn write_world(dir: &Path, world: &str) -> PathBuf {
    let path = dir.join("world.json");
    std::fs::write(&path, world).expect("written");
    path
}
