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
//! [`memory`](super) for what that means.

use super::{
    Exclusive,
    MemoryLock, //
};
use crate::{
    abstractions::pci::{
        driver::ChannelState,
        reset::SavedState, //
    },
    channel::Channel, //
};
use vfio::device::Device;

/// Recovery. All calls come with the device lock held.
impl MemoryLock {
    /// The bus has reported an error of `device`.
    pub(crate) fn report_error(&self, device: &Device, state: ChannelState) {
        if matches!(state, ChannelState::Failed) {
            return self.with_channel(Channel::give_up);
        }
        let saved = self
            .try_exclusive()
            .and_then(|exclusive| self.save_config(&exclusive));
        self.with_channel(|channel| channel.report(saved));
        if matches!(state, ChannelState::Frozen) {
            self.cut_off(device);
        }
    }

    fn save_config(&self, exclusive: &Exclusive<'_>) -> Option<SavedState> {
        if !exclusive.is_reachable() || !self.function.is_present() {
            return None;
        }
        self.function.save_state();

        self.function.store_saved_state()
    }

    /// The link to the function is not to be relied upon any more, or has been reset: keeps
    /// everybody from the memory of `device`, and takes away what user space has mapped.
    ///
    /// Waits for accesses that have begun, but not for who holds the memory lock otherwise. What
    /// has been exported stays: to revoke it is to wait for drivers that may be waiting themselves
    /// for the recovery of their devices. Their DMA finds nobody who answers.
    pub(crate) fn cut_off(&self, device: &Device) {
        self.with_channel(Channel::cut_off);
        self.zap(device);
    }

    /// Recovery has ended: the link works. If it was reset without a word, as after a fatal error,
    /// config space is put back by whoever takes the memory lock next, which is this, unless
    /// somebody else has it.
    pub(crate) fn recover(&self) {
        self.with_channel(Channel::recover);
        if let Some(physical) = self.awaited_physical() {
            drop(physical.try_exclusive());
        }
        drop(self.try_exclusive());
    }
}

/// The state of the link apart from that.
impl MemoryLock {
    /// Changes what is known of the link; see [`Channel`].
    pub(crate) fn with_channel<R>(&self, change: impl FnOnce(&mut Channel<SavedState>) -> R) -> R {
        change(&mut self.leaf.write().channel)
    }

    /// If recovery has failed, the link is what it is when recovery has succeeded, as far as the
    /// function answers.
    pub(super) fn revive_link(&self) {
        self.with_channel(|channel| channel.revive(|| self.function.is_present()));
    }

    /// The device is about to be opened, and is to be found as it was last, though recovery may
    /// have failed: puts config space back, if the function answers.
    pub(crate) fn revive(&self) {
        self.revive_link();
        drop(self.enter());
    }
}
