//! Something that goes on beside the measurement, and rests when it is told to.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What the thread is told; [`Order::Rest`] is answered once it does.
enum Order {
    Act,
    Rest,
}

/// An attacker on a thread of its own.
pub(crate) struct Attacker {
    orders: Option<Sender<Order>>,
    rests: Receiver<()>,
    acts: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Attacker {
    /// It rests at first. `act` says how much it did, and returns once the feed has answered all of it, or need not.
    pub(crate) fn new(mut act: impl FnMut() -> u64 + Send + 'static) -> Self {
        let ((orders, inbox), (resting, rests), acts) = (channel(), channel(), Arc::<AtomicU64>::default());
        let done = Arc::clone(&acts);
        let thread = std::thread::spawn(move || {
            while let Ok(order) = inbox.recv() {
                let mut next = Some(order);
                while matches!(next, Some(Order::Act)) {
                    done.fetch_add(act(), SeqCst);
                    next = inbox.try_recv().ok().or(Some(Order::Act));
                }
                resting.send(()).expect("the test waits");
            }
        });
        Self { orders: Some(orders), rests, acts, thread: Some(thread) }
    }

    /// It acts until `until` has been called, and for at least one act.
    pub(crate) fn during<T>(&self, then: impl FnOnce() -> T) -> T {
        let before = self.acts();
        let orders = self.orders.as_ref().expect("running");
        orders.send(Order::Act).expect("it listens");
        while self.acts() == before {
            assert!(!self.thread.as_ref().is_some_and(JoinHandle::is_finished), "the attacker fell");
            std::thread::yield_now();
        }
        let result = then();
        orders.send(Order::Rest).expect("it listens");
        self.rests.recv().expect("it rests");
        result
    }

    /// How much it has done.
    pub(crate) fn acts(&self) -> u64 {
        self.acts.load(SeqCst)
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.orders = None;
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the attacker fell");
        }
    }
}
