// SPDX-License-Identifier: GPL-2.0

//! Recovery of the bus from an error.
//!
//! The PCI core tells the driver of each device below the port in question: first of the error,
//! then, if it resets the link to recover, of that, and in the end of the outcome. The user hears
//! of the error through an eventfd, and decides whether to go on.
//!
//! With a fatal error the link to the device is not to be relied upon until the PCI core says so.
//! Until then nobody gets at device memory: user space finds none (`SIGBUS`, EIO). It does not wait
//! as it does for a reset. Recovery needs the device lock; a driver that is being unbound holds it
//! until the user has closed the device, which a user who waited for recovery would never do.
//!
//! The reset of the link is not announced like other resets. It takes config space with it, which
//! is put back here: to what it was when the error was reported; or, if nothing could be read any
//! more, or somebody was at work on it, to what it was when the device was opened. Another
//! function below the port may have asked for the reset, so that it can come after an error that
//! is not fatal as well; then memory is away from the end of the reset to that of recovery.
//!
//! The calls come with the lock of the PCI core's list of functions held; see
//! [`memory`](crate::memory) for what that means.

use crate::{
    abstractions::pci::{
        driver::ChannelState,
        reset::SavedState,
        Function, //
    },
    channel::Channel, //
    memory::{
        Exclusive,
        MemoryLock, //
    },
};
use vfio::device::Device;

/// The recovery of a device from errors. All calls but [`Self::forget`] come with the device lock
/// held.
pub(crate) struct Recovery {
    function: Function,
}

impl Recovery {
    /// Creates the recovery of a device without errors.
    pub(crate) fn new(function: Function) -> Self {
        Self { function }
    }

    /// An error has been reported.
    pub(crate) fn begin(&self, memory: &MemoryLock, device: &Device, state: ChannelState) {
        if matches!(state, ChannelState::Failed) {
            return memory.with_channel(Channel::give_up);
        }
        let saved = memory
            .try_exclusive()
            .and_then(|exclusive| self.save(&exclusive));
        memory.with_channel(|channel| channel.report(saved));
        if matches!(state, ChannelState::Frozen) {
            memory.cut_off(device);
        }
    }

    fn save(&self, exclusive: &Exclusive<'_>) -> Option<SavedState> {
        if !exclusive.is_reachable() || !self.function.is_present() {
            return None;
        }
        self.function.save_state();

        self.function.store_saved_state()
    }

    /// The link has been reset.
    pub(crate) fn link_reset(&self, memory: &MemoryLock, device: &Device) {
        memory.cut_off(device);
    }

    /// The link works again. If it was reset without a word, as after a fatal error, config space
    /// is still to be put back.
    pub(crate) fn end(&self, memory: &MemoryLock) {
        memory.recover();
    }

    /// The device is being closed: nothing that its user did is to be put back.
    pub(crate) fn forget(&self, memory: &MemoryLock) {
        memory.with_channel(Channel::forget);
    }
}
