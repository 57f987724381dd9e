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
//! is put back here.

use crate::{
    abstractions::{
        pci::Function,
        pci_driver::ChannelState,
        pci_reset::SavedState, //
    },
    memory::{
        Exclusive,
        MemoryLock, //
    }, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use vfio::device::Device;

/// How far recovery has come.
enum Progress {
    /// There was no error, or config space could not be saved when it was reported.
    Nothing,
    /// An error has been reported. Config space was like this.
    Reported(SavedState),
    /// The link has been reset, and config space put back.
    Restored,
}

/// The recovery of a device from errors. All calls but [`Self::forget`] come with the device lock
/// held.
#[pin_data]
pub(crate) struct Recovery {
    function: Function,
    #[pin]
    progress: Mutex<Progress>,
}

impl Recovery {
    /// Creates the recovery of a device without errors.
    pub(crate) fn new(function: Function) -> impl PinInit<Self> {
        pin_init!(Self {
            function,
            progress <- new_mutex!(Progress::Nothing, "vfio_pci_recovery"),
        })
    }

    /// An error has been reported.
    pub(crate) fn begin(&self, memory: &MemoryLock, device: &Device, state: ChannelState) {
        let progress = match state {
            // The PCI core holds the lock of its list of functions. Whoever is at the memory may
            // wait for it, as a change of the power state does, so there is no waiting here.
            ChannelState::Normal => match memory.try_exclusive() {
                Some(exclusive) => self.save(&exclusive),
                None => Progress::Nothing,
            },
            ChannelState::Frozen => {
                let mut exclusive = memory.revoke(device);
                exclusive.set_reachable(false);
                self.save(&exclusive)
            }
            // What was cut off stays so until the device is closed.
            ChannelState::Failed => Progress::Nothing,
        };
        *self.progress.lock() = progress;
    }

    /// The device is being closed: nothing of its user is to be put back.
    pub(crate) fn forget(&self) {
        *self.progress.lock() = Progress::Nothing;
    }

    fn save(&self, _exclusive: &Exclusive<'_>) -> Progress {
        if !self.function.is_present() {
            return Progress::Nothing;
        }
        self.function.save_state();

        self.function
            .store_saved_state()
            .map_or(Progress::Nothing, Progress::Reported)
    }

    /// The link has been reset.
    pub(crate) fn link_reset(&self, memory: &MemoryLock) {
        let exclusive = memory.exclusive();
        let mut progress = self.progress.lock();
        if let Progress::Reported(saved) = core::mem::replace(&mut *progress, Progress::Nothing) {
            *progress = self.restore(&exclusive, saved);
        }
    }

    fn restore(&self, exclusive: &Exclusive<'_>, saved: SavedState) -> Progress {
        if self.function.load_saved_state(Some(saved)).is_err() {
            return Progress::Nothing;
        }
        self.function.restore_state();
        exclusive.enable_decode();

        Progress::Restored
    }

    /// The link works again. If it was reset without a word, as after a fatal error, config space
    /// is still to be put back. A device that cannot be put back stays cut off until it is closed.
    pub(crate) fn end(&self, memory: &MemoryLock) {
        let mut exclusive = memory.exclusive();
        if exclusive.is_reachable() {
            *self.progress.lock() = Progress::Nothing;
            return;
        }
        let progress = core::mem::replace(&mut *self.progress.lock(), Progress::Nothing);
        let progress = match progress {
            Progress::Reported(saved) => self.restore(&exclusive, saved),
            progress => progress,
        };
        if matches!(progress, Progress::Restored) {
            exclusive.set_reachable(true);
        }
    }
}
