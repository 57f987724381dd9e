// SPDX-License-Identifier: GPL-2.0

//! Where everybody waits who comes to the memory of a device while somebody keeps it.
//!
//! The PCI core announces a reset and its end by two calls, so no lock guard can be held from one
//! to the other. And a user who takes memory away waits for other drivers, which no lock is to be
//! held for. The gate stands in for it. Whether it is closed is not asked here, but of what the
//! memory lock protects, which says for whom.
//!
//! It is as fair as a lock: who is about to close it lets those through who have waited for it to
//! open. A user who does nothing but reset the device would otherwise be back before any of them
//! had come to run, again and again.
//!
//! # Locking
//!
//! A user who keeps the memory may take any lock of a device file meanwhile but that around
//! interrupts, which others hold who wait for him. The PCI core holds the lock of the function; of
//! what it takes besides, nothing is ever held by somebody who comes to the gate, so any lock of a
//! device file may be held by who waits for it.
//!
//! Who closes it waits for those who have a [`Place`]. Once the gate is open they wait for nothing
//! but the memory lock, which he is about to take himself.

use crate::{
    abstractions::sync::wait::{
        Turn,
        WaitFlags, //
    },
    availability::Holder, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use vfio::abstractions::mm::pfnmap::Awaited;

/// A gate that is closed as long as somebody keeps it closed.
#[pin_data]
pub(crate) struct ResetGate {
    #[pin]
    closed: WaitFlags,
}

const USER: u16 = 1;
const HOST: u16 = 2;

fn flag(holder: Holder) -> u16 {
    match holder {
        Holder::User => USER,
        Holder::Host => HOST,
    }
}

impl ResetGate {
    /// Creates an open gate.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                closed <- WaitFlags::new(c"vfio_pci_reset_gate", kernel::static_lock_class!()),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Closes the gate for `holder`.
    pub(crate) fn close(&self, holder: Holder) {
        self.closed.set(flag(holder));
    }

    /// Opens it again, unless somebody else keeps it closed.
    pub(crate) fn open(&self, holder: Holder) {
        self.closed.clear(flag(holder));
    }

    /// Lets those through who have waited for the gate to open, unless it is closed.
    pub(crate) fn give_way(&self) {
        self.closed.give_way();
    }

    /// Does the same, for those who can turn back.
    ///
    /// # Errors
    ///
    /// EINTR: the task is being killed.
    pub(crate) fn give_way_killable(&self) -> Result {
        self.closed.give_way_killable()
    }

    /// Takes a place among those who wait.
    pub(crate) fn queue(&self) -> Place<'_> {
        Place {
            closed: &self.closed,
            _turn: self.closed.take_turn(),
        }
    }
}

/// A place among those who wait. As long as it exists the gate stays open, once it is.
#[must_use = "the gate may be closed at once when this is dropped"]
pub(crate) struct Place<'a> {
    closed: &'a WaitFlags,
    _turn: Turn<'a>,
}

impl Place<'_> {
    /// Sleeps until the gate is open, whatever comes: for those who cannot turn back.
    pub(crate) fn wait_for_ever(&self) {
        self.closed.wait(USER | HOST);
    }

    /// Sleeps until the gate is open.
    ///
    /// # Errors
    ///
    /// EINTR: the task is being killed.
    pub(crate) fn wait(&self) -> Result {
        self.closed.wait_killable(USER | HOST)
    }

    /// Sleeps until `holder` does not keep the gate closed.
    ///
    /// # Errors
    ///
    /// EINTR: the task is being killed.
    pub(crate) fn wait_for(&self, holder: Holder) -> Result {
        self.closed.wait_killable(flag(holder))
    }
}

impl Awaited for ResetGate {
    fn wait(&self) -> Result {
        self.queue().wait()
    }
}
