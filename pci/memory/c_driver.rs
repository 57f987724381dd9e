// SPDX-License-Identifier: GPL-2.0

//! Drivers in C at the memory of their devices.
//!
//! Such a driver has a lock of its own for this, `memory_lock` of its device, which it takes for
//! reading. Who takes the memory lock for writing takes that one first, so that it is outside of
//! the memory lock and inside of the mmap lock. With that one held for reading a driver waits only
//! for the end of a reset, which does not take it. While a user has the device reset it is held for
//! writing, as drivers in C rely on.

use super::{
    Exclusive,
    Held,
    MemoryLock, //
};
use crate::{
    abstractions::c_driver::pci_device::MemoryGuard,
    availability::{
        Availability,
        Holder, //
    }, //
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

impl MemoryLock {
    /// May a driver in C touch the memory, which has taken its own lock for reading, and maps page
    /// frames of the device itself? A user who is about to take it away comes when that lock is
    /// released, and takes away what has been mapped until then. The end of a reset is waited
    /// for; the memory is not to be touched if the task is killed meanwhile.
    pub(crate) fn is_enabled_for_driver(&self) -> bool {
        let mut place = None;
        loop {
            let memory = self.state.read();
            let mut conditions = memory.conditions();
            conditions.holders.leave(Holder::User);
            let availability = self.availability(conditions, &self.leaf.read());
            drop(memory);
            if availability != Availability::Resetting {
                return availability == Availability::Ready;
            }
            let place = place.get_or_insert_with(|| self.gate.queue());
            if place.wait_for(Holder::Host).is_err() {
                return false;
            }
        }
    }

    /// Takes the lock of a driver in C, which is outside of this one.
    #[inline]
    pub(super) fn lock_driver_out(&self) -> Option<MemoryGuard> {
        self.c_device.as_ref()?.lock_memory()
    }

    /// Does the same as [`Self::try_hold`] for one of several devices, where nobody is waited for.
    ///
    /// # Errors
    ///
    /// EAGAIN if somebody else keeps others from the memory, EBUSY if a driver in C is at it.
    pub(crate) fn try_hold_one_of_many(&self) -> Result<Held<'_>> {
        let Some(device) = &self.c_device else {
            return self.try_hold().map_err(|_| EAGAIN);
        };
        self.put_back_physical();
        self.state.read().check_holders().map_err(|_| EAGAIN)?;
        let exclusive = self.enter_behind(device.try_lock_memory()?);

        exclusive.map(Exclusive::hold).map_err(|_| EAGAIN)
    }

    /// Keeps a driver in C from the memory, if the driver is one, for as long as the result exists,
    /// and lets a reset begin meanwhile; with `wait`, also if it has to be waited for.
    ///
    /// # Errors
    ///
    /// EBUSY if the driver is at the memory.
    pub(crate) fn keep_driver_out(&self, wait: bool) -> Result<DriverOut<'_>> {
        let of_driver = match &self.c_device {
            Some(device) if !wait => device.try_lock_memory()?,
            _ => self.lock_driver_out(),
        };
        self.driver_is_out.store(of_driver.is_some(), Relaxed);

        Ok(DriverOut {
            lock: self,
            _of_driver: of_driver,
        })
    }
}

/// A driver in C does not come to the memory of the device. The memory lock is not held.
#[must_use = "the driver may come to the memory as soon as this is dropped"]
pub(crate) struct DriverOut<'a> {
    lock: &'a MemoryLock,
    /// Nothing if the driver is in Rust. Released last.
    _of_driver: Option<MemoryGuard>,
}

impl Drop for DriverOut<'_> {
    fn drop(&mut self) {
        self.lock.driver_is_out.store(false, Relaxed);
    }
}
