// SPDX-License-Identifier: GPL-2.0

//! Where everybody waits who comes to a function while it is being reset.
//!
//! The PCI core announces a reset and its end by two calls, so no lock guard can be held from one
//! to the other. The gate stands in for it.
//!
//! # Locking
//!
//! Whoever resets a function holds its device lock while the gate is closed. Nothing else that a
//! reset takes in between is ever held by somebody who comes to the gate, so any lock of a device
//! file may be held while waiting.

use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        CondVar,
        Mutex, //
    }, //
};

/// A gate that is closed during a reset.
#[pin_data]
pub(crate) struct ResetGate {
    #[pin]
    closed: Mutex<bool>,
    #[pin]
    opened: CondVar,
}

impl ResetGate {
    /// Creates an open gate.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            closed <- new_mutex!(false, "vfio_pci_reset_gate"),
            opened <- new_condvar!("vfio_pci_reset_gate"),
        })
    }

    /// Closes the gate.
    pub(crate) fn close(&self) {
        *self.closed.lock() = true;
    }

    /// Opens the gate and wakes everybody who waits.
    pub(crate) fn open(&self) {
        *self.closed.lock() = false;
        self.opened.notify_all();
    }

    /// Sleeps until the gate is open. A signal does not end this, just as it would not end
    /// waiting for the memory lock; a reset takes a minute at most.
    pub(crate) fn wait(&self) {
        let mut closed = self.closed.lock();
        while *closed {
            self.opened.wait(&mut closed);
        }
    }
}
