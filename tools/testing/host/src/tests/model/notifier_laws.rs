// SPDX-License-Identifier: GPL-2.0

//! Release notifiers: who is called, and who waits for whom.

use super::{
    device::Device,
    explore, //
};
use loom::{
    sync::{
        Arc,
        Mutex, //
    },
    thread, //
};
use std::boxed::Box;

/// Tells whether somebody is in the handler, and whether it may be called.
#[derive(Default)]
struct Witness {
    inside: Mutex<bool>,
    dropped: Mutex<bool>,
    calls: Mutex<usize>,
}

impl Witness {
    fn enter(&self) {
        assert!(
            !*self.dropped.lock().unwrap(),
            "called after it was dropped"
        );
        *self.inside.lock().unwrap() = true;
        thread::yield_now();
        *self.inside.lock().unwrap() = false;
        *self.calls.lock().unwrap() += 1;
    }

    fn drop_registration(&self, device: &Device, id: u64, task: usize) {
        device.unregister(id, task);
        *self.dropped.lock().unwrap() = true;
        assert!(!*self.inside.lock().unwrap(), "a call is in flight");
    }
}

/// One thread releases the device, the other ones drop a registration each.
fn release_and_drop(droppers: usize) {
    let device = Device::open();
    let mut threads = std::vec::Vec::new();
    let mut witnesses = std::vec::Vec::new();
    for task in 0..droppers {
        let witness = Arc::new(Witness::default());
        let called = witness.clone();
        let handler = Box::new(move |_| called.enter());
        let id = device.register(handler).expect("the device is open");
        witnesses.push(witness.clone());
        let device = device.clone();
        threads.push(thread::spawn(move || {
            witness.drop_registration(&device, id, task + 1)
        }));
    }
    device.release(0);
    for thread in threads {
        thread.join().unwrap();
    }
    for witness in witnesses {
        assert!(*witness.calls.lock().unwrap() <= 1, "called twice");
    }
}

#[test]
fn dropping_waits_for_the_call() {
    explore("release, drop", None, || release_and_drop(1));
}

#[test]
fn two_droppers_are_both_woken() {
    explore("release, drop, drop", Some(3), || release_and_drop(2));
}

/// Who registers while the device goes is either called or refused.
#[test]
fn registering_late_is_refused_or_called() {
    explore("release, register", None, || {
        let device = Device::open();
        let witness = Arc::new(Witness::default());
        let (called, other) = (witness.clone(), device.clone());
        let thread = thread::spawn(move || other.register(Box::new(move |_| called.enter())));
        device.release(0);
        let accepted = thread.join().unwrap().is_some();
        assert_eq!(*witness.calls.lock().unwrap(), usize::from(accepted));
    });
}

/// A handler drops its own registration, as one of type1 does, while another thread
/// does the same.
#[test]
fn a_handler_drops_itself() {
    explore("release that drops, drop", None, || {
        let device = Device::open();
        let other = device.clone();
        let id = device
            .register(Box::new(move |task| other.unregister(0, task)))
            .expect("the device is open");
        assert_eq!(id, 0);
        let other = device.clone();
        let thread = thread::spawn(move || other.unregister(id, 1));
        device.release(0);
        thread.join().unwrap();
    });
}
