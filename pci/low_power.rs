// SPDX-License-Identifier: GPL-2.0

//! Low power: a device that sleeps although a user has it open.
//!
//! An open device has a count that keeps it resumed. A user who does not need the device for a
//! while lets the count go, and takes it back later. Every ioctl, read and write wakes the device
//! up for as long as it takes. What is mapped could be touched at any time, so nothing is.
//!
//! The user may give an eventfd, to be told when the device wakes up. Then the device stays awake
//! from that moment on, as if the user had taken the count back.

use crate::abstractions::{
    pci::Function,
    pm_runtime::Lent, //
};
use vfio::abstractions::fs::eventfd::EventFd;

/// The count that keeps an open device resumed, while its user has let it go.
struct Sleep {
    _lent: Lent,
    wakeup: Option<EventFd>,
}

/// May the device be suspended while it is open, and is it? The memory lock protects this.
#[derive(Default)]
pub(crate) struct LowPower {
    sleep: Option<Sleep>,
    suspended: bool,
}

impl LowPower {
    /// May it be suspended?
    pub(crate) fn is_on(&self) -> bool {
        self.sleep.is_some()
    }

    /// Is it suspended, or about to be? Then its power state is not ours to look at.
    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Lets go of the count that keeps `function` resumed. The eventfd is signalled when it wakes
    /// up.
    pub(crate) fn enter(&mut self, function: Function, wakeup: Option<EventFd>) {
        self.sleep = Some(Sleep {
            _lent: Lent::new(function),
            wakeup,
        });
    }

    /// The device has to stay resumed from now on. Returns the eventfd, if there is one.
    pub(crate) fn leave(&mut self) -> Option<EventFd> {
        self.sleep.take().and_then(|sleep| sleep.wakeup)
    }

    /// The device is being suspended.
    pub(crate) fn fall_asleep(&mut self) {
        self.suspended = true;
    }

    /// The device wakes up. Returns the eventfd to signal, if there is one; then the device has
    /// to stay resumed from now on.
    pub(crate) fn wake_up(&mut self) -> Option<EventFd> {
        self.suspended = false;
        self.sleep.as_ref()?.wakeup.as_ref()?;

        self.leave()
    }
}
