//! Calls into the library: the vendor's exported symbols, and the vtable of the API object that they hand out (Itanium
//! C++ ABI, x86-64).
//!
//! What crashes the vendor's library ends the process here too, with a line on stderr: a flow directory that is missing,
//! an address without `tcp://`.
#![expect(unsafe_code, reason = "the client speaks C++: exported symbols, vtables, raw pointers")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use crate::flavour::Flavour;
use crate::inbox::{Asked, Request};
use crate::record::{REQ_USER_LOGIN_NAMES, User};
use crate::session::Session;
use crate::world::{WORLD_VARIABLE, World};

/// Names of the files that the vendor's library appends to the flow path.
const FLOW_FILES: [&str; 3] = ["DialogRsp.con", "QueryRsp.con", "TradingDay.con"];

/// The object that the client holds: its first word points at the first function of its vtable.
#[repr(C)]
struct Api {
    vtable: *const c_void,
    session: Session,
}

type Call = unsafe extern "C" fn(*mut Api);
type Instruments = unsafe extern "C" fn(*mut Api, *mut *mut c_char, c_int) -> c_int;
type Ask = unsafe extern "C" fn(*mut Api, *mut c_void, c_int) -> c_int;

/// The functions that both flavours have, in their order.
#[repr(C)]
struct Functions {
    release: Call,
    init: Call,
    join: unsafe extern "C" fn(*mut Api) -> c_int,
    get_trading_day: unsafe extern "C" fn(*mut Api) -> *const c_char,
    register_front: unsafe extern "C" fn(*mut Api, *mut c_char),
    register_name_server: unsafe extern "C" fn(*mut Api, *mut c_char),
    register_fens_user_info: unsafe extern "C" fn(*mut Api, *mut c_void),
    register_spi: unsafe extern "C" fn(*mut Api, *mut c_void),
    subscribe_market_data: Instruments,
    unsubscribe_market_data: Instruments,
    subscribe_for_quote_rsp: Instruments,
    unsubscribe_for_quote_rsp: Instruments,
    req_user_login: Ask,
    req_user_logout: Ask,
}

/// A vtable: two words before the functions, and CTP's last one behind them.
#[repr(C)]
struct Vtable<Tail> {
    offset_to_top: isize,
    type_information: usize,
    functions: Functions,
    tail: Tail,
}

const FUNCTIONS: Functions = Functions {
    release,
    init,
    join,
    get_trading_day,
    register_front,
    register_name_server: ignore_text,
    register_fens_user_info: ignore_record,
    register_spi,
    subscribe_market_data,
    unsubscribe_market_data,
    subscribe_for_quote_rsp,
    unsubscribe_for_quote_rsp,
    req_user_login,
    req_user_logout,
};

static CTP: Vtable<Ask> =
    Vtable { offset_to_top: 0, type_information: 0, functions: FUNCTIONS, tail: req_qry_multicast_instrument };
static SOPT: Vtable<()> = Vtable { offset_to_top: 0, type_information: 0, functions: FUNCTIONS, tail: () };

/// `CThostFtdcMdApi::GetApiVersion()`
#[unsafe(export_name = "_ZN15CThostFtdcMdApi13GetApiVersionEv")]
extern "C" fn ctp_version() -> *const c_char {
    c"mdhub-sim v6.7.7".as_ptr()
}

/// `ctp_sopt::CThostFtdcMdApi::GetApiVersion()`
#[unsafe(export_name = "_ZN8ctp_sopt15CThostFtdcMdApi13GetApiVersionEv")]
extern "C" fn sopt_version() -> *const c_char {
    c"mdhub-sim v3.7.0".as_ptr()
}

/// `CThostFtdcMdApi::CreateFtdcMdApi(char const*, bool, bool)`
#[unsafe(export_name = "_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb")]
unsafe extern "C" fn ctp_create(flow_path: *const c_char, _is_udp: bool, _is_multicast: bool) -> *mut c_void {
    // SAFETY: the client passes a terminated text or null.
    create(&unsafe { text(flow_path) }, Flavour::Ctp)
}

/// `ctp_sopt::CThostFtdcMdApi::CreateFtdcMdApi(char const*, bool, bool)`
#[unsafe(export_name = "_ZN8ctp_sopt15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb")]
unsafe extern "C" fn sopt_create(flow_path: *const c_char, _is_udp: bool, _is_multicast: bool) -> *mut c_void {
    // SAFETY: the client passes a terminated text or null.
    create(&unsafe { text(flow_path) }, Flavour::Sopt)
}

fn create(flow_path: &[u8], flavour: Flavour) -> *mut c_void {
    for name in FLOW_FILES {
        let path = [flow_path, name.as_bytes()].concat();
        let path = Path::new(OsStr::from_bytes(&path));
        if let Err(e) = OpenOptions::new().append(true).create(true).open(path) {
            crash(&format!("can not open CFlow file {}: {e}", path.display()));
        }
    }
    let path = std::env::var_os(WORLD_VARIABLE).map(PathBuf::from);
    let world = path.as_deref().map_or_else(|| Ok(World::default()), World::load);
    match world.and_then(|world| Session::new(world, path, flavour)) {
        Ok(session) => {
            let vtable = match flavour {
                Flavour::Ctp => (&raw const CTP).wrapping_byte_add(std::mem::offset_of!(Vtable<Ask>, functions)).cast(),
                Flavour::Sopt => {
                    (&raw const SOPT).wrapping_byte_add(std::mem::offset_of!(Vtable<()>, functions)).cast()
                }
            };
            Box::into_raw(Box::new(Api { vtable, session })).cast()
        }
        Err(why) => {
            eprintln!("mdhub-sim: {why}; no API object is made");
            ptr::null_mut()
        }
    }
}

fn crash(why: &str) -> ! {
    eprintln!("mdhub-sim: {why}; the vendor's library crashes here");
    std::process::abort()
}

/// The session of an API object.
///
/// # Safety
/// `api` must come from `create` and not have been released.
unsafe fn session<'a>(api: *mut Api) -> &'a Session {
    // SAFETY: as the caller promises; the session is only ever shared.
    unsafe { &(*api).session }
}

/// Copies a text; null is an empty one.
///
/// # Safety
/// `text` must be null or terminated.
unsafe fn text(text: *const c_char) -> Vec<u8> {
    // SAFETY: as the caller promises.
    if text.is_null() { Vec::new() } else { unsafe { CStr::from_ptr(text) }.to_bytes().to_vec() }
}

unsafe extern "C" fn release(api: *mut Api) {
    // SAFETY: the client's object, which it uses no more afterwards. Its thread has ended, or holds what it needs by
    // itself.
    unsafe {
        session(api).release();
        drop(Box::from_raw(api));
    }
}

unsafe extern "C" fn init(api: *mut Api) {
    // SAFETY: the client's object.
    unsafe { session(api) }.init();
}

unsafe extern "C" fn join(api: *mut Api) -> c_int {
    // SAFETY: the client's object; it may be released by another thread while this one waits, which no longer needs it.
    let joiner = unsafe { session(api) }.joiner();
    joiner();
    0
}

unsafe extern "C" fn get_trading_day(api: *mut Api) -> *const c_char {
    // SAFETY: the client's object; the text lives as long as it does.
    unsafe { session(api) }.trading_day().as_ptr().cast()
}

unsafe extern "C" fn register_front(api: *mut Api, address: *mut c_char) {
    // SAFETY: the client's object and a terminated text.
    let (session, address) = unsafe { (session(api), text(address)) };
    let address = String::from_utf8_lossy(&address).into_owned();
    if !address.starts_with("tcp://") {
        crash(&format!("front address {address:?} does not begin with tcp://"));
    }
    session.register_front(address);
}

unsafe extern "C" fn ignore_text(_: *mut Api, _: *mut c_char) {}

unsafe extern "C" fn ignore_record(_: *mut Api, _: *mut c_void) {}

unsafe extern "C" fn register_spi(api: *mut Api, spi: *mut c_void) {
    // SAFETY: the client's object.
    unsafe { session(api) }.spi().register(spi);
}

/// # Safety
/// `api` must be the client's object, and `codes` `count` pointers to terminated texts.
unsafe fn instruments(api: *mut Api, codes: *mut *mut c_char, count: c_int, asked: Asked) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if codes.is_null() || count == 0 {
        return 0;
    }
    // SAFETY: as the caller promises.
    let codes = unsafe { std::slice::from_raw_parts(codes, count) };
    // SAFETY: as the caller promises.
    let codes = codes.iter().map(|code| unsafe { text(*code) }).collect();
    // SAFETY: as the caller promises.
    unsafe { session(api) }.ask(Request::Instruments(asked, codes))
}

unsafe extern "C" fn subscribe_market_data(api: *mut Api, codes: *mut *mut c_char, count: c_int) -> c_int {
    // SAFETY: the client's object and list.
    unsafe { instruments(api, codes, count, Asked::Subscribe) }
}

unsafe extern "C" fn unsubscribe_market_data(api: *mut Api, codes: *mut *mut c_char, count: c_int) -> c_int {
    // SAFETY: the client's object and list.
    unsafe { instruments(api, codes, count, Asked::Unsubscribe) }
}

unsafe extern "C" fn subscribe_for_quote_rsp(api: *mut Api, codes: *mut *mut c_char, count: c_int) -> c_int {
    // SAFETY: the client's object and list.
    unsafe { instruments(api, codes, count, Asked::SubscribeForQuote) }
}

unsafe extern "C" fn unsubscribe_for_quote_rsp(api: *mut Api, codes: *mut *mut c_char, count: c_int) -> c_int {
    // SAFETY: the client's object and list.
    unsafe { instruments(api, codes, count, Asked::UnsubscribeForQuote) }
}

unsafe extern "C" fn req_user_login(api: *mut Api, field: *mut c_void, request_id: c_int) -> c_int {
    // SAFETY: the client's object and a login record, of which only the names are read.
    let (session, names) = unsafe { (session(api), field.cast::<[u8; REQ_USER_LOGIN_NAMES]>().read()) };
    session.ask(Request::Login(User::of_login(&names), request_id))
}

unsafe extern "C" fn req_user_logout(api: *mut Api, _field: *mut c_void, request_id: c_int) -> c_int {
    // SAFETY: the client's object.
    unsafe { session(api) }.ask(Request::Logout(request_id))
}

/// Nothing is multicast here.
unsafe extern "C" fn req_qry_multicast_instrument(_: *mut Api, _: *mut c_void, _: c_int) -> c_int {
    -1
}
