// SPDX-License-Identifier: GPL-2.0

//! Memory that a user keeps everybody else from for longer than a lock could be held. A guard, and
//! so one thing with the [lock](super).

use super::{
    Exclusive,
    MemoryLock, //
};
use crate::{
    availability::Holder,
    region::FILE_SPAN, //
};
use core::mem::ManuallyDrop;
use kernel::prelude::*;
use vfio::device::Device;

/// Nobody else comes to the memory of the device, but for the PCI core, which may reset it.
///
/// The memory lock is not held. When this is dropped, what has been exported is given back, if the
/// memory can be accessed.
#[must_use = "others may use the memory as soon as this is dropped"]
pub(crate) struct Held<'a>(&'a MemoryLock);

impl<'a> Held<'a> {
    /// For [`Exclusive::hold`], which has closed the gate.
    pub(super) fn new(lock: &'a MemoryLock) -> Self {
        Self(lock)
    }

    /// Takes away everything that user space has mapped of `device`, and what has been exported.
    /// Waits for importers, as long as they take.
    pub(crate) fn revoke(&self, device: &Device) {
        device.zap(0, FILE_SPAN);
        self.0.exports.revoke();
    }

    /// Takes the lock, once no reset is going on that somebody else has asked for.
    ///
    /// # Errors
    ///
    /// EINTR: the task is killed while it waits for that.
    pub(crate) fn lock(self) -> Result<Exclusive<'a>> {
        loop {
            let exclusive = self.0.enter_regardless();
            if exclusive.memory().holders.first() != Some(Holder::Host) {
                return Ok(ManuallyDrop::new(self).end(exclusive));
            }
            drop(exclusive);
            self.0.gate.queue().wait_for(Holder::Host)?;
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
        drop(self.end(self.0.enter_regardless()));
    }
}
