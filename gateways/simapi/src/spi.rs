//! Calls out of the library: the client's SPI object, by vtable slot (Itanium C++ ABI, x86-64, where a method is a
//! function whose first argument is the object).
#![expect(unsafe_code, reason = "the client's object is a C++ vtable")]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::flavour::Flavour;
use crate::inbox::Asked;
use crate::record::{Depth, Record, RspInfo, RspUserLogin, SpecificInstrument, UserLogout};

type OnConnected = unsafe extern "C" fn(*mut c_void);
type OnNumber = unsafe extern "C" fn(*mut c_void, c_int);
type OnAnswer = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, c_int, bool);
type OnRecord = unsafe extern "C" fn(*mut c_void, *mut c_void);

/// Slots in CTP's order. SOPT lacks number 5, `OnRspQryMulticastInstrument`.
mod slot {
    pub(super) const FRONT_CONNECTED: usize = 0;
    pub(super) const FRONT_DISCONNECTED: usize = 1;
    pub(super) const HEART_BEAT_WARNING: usize = 2;
    pub(super) const RSP_USER_LOGIN: usize = 3;
    pub(super) const RSP_USER_LOGOUT: usize = 4;
    pub(super) const RSP_SUB_MARKET_DATA: usize = 7;
    pub(super) const RSP_UNSUB_MARKET_DATA: usize = 8;
    pub(super) const RSP_SUB_FOR_QUOTE: usize = 9;
    pub(super) const RSP_UNSUB_FOR_QUOTE: usize = 10;
    pub(super) const RTN_DEPTH_MARKET_DATA: usize = 11;
}

/// The client's object; none until it is registered, and none again when null is.
///
/// Its methods are called by the library's thread alone. The client keeps the object alive until it has registered null
/// or released the API: that is the vendor's own rule.
#[derive(Debug)]
pub(crate) struct Spi {
    flavour: Flavour,
    object: AtomicPtr<c_void>,
}

impl Spi {
    pub(crate) const fn new(flavour: Flavour) -> Self {
        Self { flavour, object: AtomicPtr::new(ptr::null_mut()) }
    }

    /// `RegisterSpi`
    pub(crate) fn register(&self, object: *mut c_void) {
        self.object.store(object, Ordering::Release);
    }

    /// `OnFrontConnected`
    pub(crate) fn front_connected(&self) {
        // SAFETY: that slot's function takes the object alone.
        unsafe {
            if let Some((object, call)) = self.method::<OnConnected>(slot::FRONT_CONNECTED) {
                call(object);
            }
        }
    }

    /// `OnFrontDisconnected`
    pub(crate) fn front_disconnected(&self, reason: i32) {
        self.number(slot::FRONT_DISCONNECTED, reason);
    }

    /// `OnHeartBeatWarning`
    pub(crate) fn heart_beat_warning(&self, lapse_s: i32) {
        self.number(slot::HEART_BEAT_WARNING, lapse_s);
    }

    fn number(&self, slot: usize, number: c_int) {
        // SAFETY: the slots that the callers name take the object and a number.
        unsafe {
            if let Some((object, call)) = self.method::<OnNumber>(slot) {
                call(object, number);
            }
        }
    }

    /// `OnRspUserLogin`
    pub(crate) fn login_answer(&self, field: &mut RspUserLogin, info: &mut RspInfo, request_id: i32) {
        self.answer(slot::RSP_USER_LOGIN, field, info, request_id, true);
    }

    /// `OnRspUserLogout`
    pub(crate) fn logout_answer(&self, field: &mut UserLogout, info: &mut RspInfo, request_id: i32) {
        self.answer(slot::RSP_USER_LOGOUT, field, info, request_id, true);
    }

    /// `OnRspSubMarketData` and its three siblings. They carry no request id.
    pub(crate) fn instrument_answer(
        &self,
        asked: Asked,
        field: &mut SpecificInstrument,
        info: &mut RspInfo,
        is_last: bool,
    ) {
        let slot = match asked {
            Asked::Subscribe => slot::RSP_SUB_MARKET_DATA,
            Asked::Unsubscribe => slot::RSP_UNSUB_MARKET_DATA,
            Asked::SubscribeForQuote => slot::RSP_SUB_FOR_QUOTE,
            Asked::UnsubscribeForQuote => slot::RSP_UNSUB_FOR_QUOTE,
        };
        self.answer(slot, field, info, 0, is_last);
    }

    /// `OnRtnDepthMarketData`
    pub(crate) fn depth(&self, record: &mut Depth) {
        // SAFETY: that slot's function takes the object and a depth record, which has the larger flavour's size.
        unsafe {
            if let Some((object, call)) = self.method::<OnRecord>(slot::RTN_DEPTH_MARKET_DATA) {
                call(object, ptr::from_mut(record).cast());
            }
        }
    }

    fn answer<const N: usize>(
        &self,
        slot: usize,
        field: &mut Record<N>,
        info: &mut RspInfo,
        request_id: c_int,
        is_last: bool,
    ) {
        // SAFETY: the slots that the callers name take the object, the field that they pass (of the larger flavour's
        // size), an RspInfo, the request id and whether it is the last.
        unsafe {
            if let Some((object, call)) = self.method::<OnAnswer>(slot) {
                call(object, ptr::from_mut(field).cast(), ptr::from_mut(info).cast(), request_id, is_last);
            }
        }
    }

    /// The object and one of its methods.
    ///
    /// # Safety
    /// `F` must be the function-pointer type of that slot.
    unsafe fn method<F: Copy>(&self, slot: usize) -> Option<(*mut c_void, F)> {
        const { assert!(size_of::<F>() == size_of::<*const ()>(), "F is a function pointer") };
        let object = self.object.load(Ordering::Acquire);
        if object.is_null() {
            return None;
        }
        let absent_before = usize::from(self.flavour == Flavour::Sopt && slot > slot::RSP_USER_LOGOUT);
        // SAFETY: a registered object is alive, and its first word points at its vtable's first function; the slot
        // exists in this flavour, and the caller promises its type.
        let call = unsafe { (*object.cast::<*const F>()).add(slot - absent_before).read() };
        Some((object, call))
    }
}
