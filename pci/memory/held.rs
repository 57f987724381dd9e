// SPDX-License-Identifier: GPL-2.0

//! Memory that a user keeps everybody else from for longer than a lock could be held. A guard, and
//! so one thing with the [lock](super).

use super::{
    Exclusive,
    MemoryLock, //
};
use crate::availability::Holder;
use core::mem::ManuallyDrop;
use kernel::prelude::*;
use vfio::device::Device;

/// Nobody else comes to the memory of the device, but for the PCI core, which may reset it.
///
/// The memory lock is not held. When this is dropped, what has been exported is given back, if the
/// memory can be accessed.
#[must_use = "others may use the memory as soon as this is dropped"]
pub(crate) struct Held<'a> {
    lock: &'a MemoryLock,
    /// The device, once what user space has mapped of it has been taken away.
    revoked: Option<&'a Device>,
}

impl<'a> Held<'a> {
    /// For [`Exclusive::hold`], which has closed the gate.
    pub(super) fn new(lock: &'a MemoryLock) -> Self {
        Self {
            lock,
            revoked: None,
        }
    }

    /// Takes away everything that user space has mapped of `device`, and what has been exported.
    /// Waits for importers, as long as they take.
    pub(crate) fn revoke(&mut self, device: &'a Device) {
        self.lock.zap(device);
        self.lock.exports.revoke();
        self.revoked = Some(device);
    }

    /// Takes away what a driver in C has mapped since [`Self::revoke`]: it does not come to the
    /// gate. `exclusive` keeps it from mapping more.
    fn revoke_again(&self, exclusive: &Exclusive<'_>) {
        if let Some(device) = self.revoked {
            if exclusive.keeps_driver_out() {
                self.lock.zap(device);
            }
        }
    }

    /// Takes the lock, once no reset is going on that somebody else has asked for.
    ///
    /// # Errors
    ///
    /// EINTR: the task is killed while it waits for that.
    pub(crate) fn lock(self) -> Result<Exclusive<'a>> {
        loop {
            let exclusive = self.lock.enter_regardless();
            if exclusive.memory().holders.first() != Some(Holder::Host) {
                self.revoke_again(&exclusive);
                return Ok(ManuallyDrop::new(self).end(exclusive));
            }
            drop(exclusive);
            self.lock.gate.queue().wait_for(Holder::Host)?;
        }
    }

    /// Lets others come again when `exclusive` is dropped.
    fn end(&self, mut exclusive: Exclusive<'a>) -> Exclusive<'a> {
        exclusive.clear_holder(Holder::User);

        exclusive
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        drop(self.end(self.lock.enter_to_give_back()));
    }
}
