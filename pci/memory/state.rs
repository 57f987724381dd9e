// SPDX-License-Identifier: GPL-2.0

//! What the memory lock protects.

use crate::{
    abstractions::pci::reset::SavedState,
    availability::{
        Conditions,
        Holder,
        Holders, //
    },
    bars::Bars,
    low_power::LowPower, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use vfio::{
    abstractions::sync::rwsem::RwSemaphore,
    new_rwsem, //
};

/// What the memory lock protects.
pub(super) struct Memory {
    /// Does COMMAND enable memory, as the user sees it?
    pub(super) decode: bool,
    /// The BARs of an open device.
    pub(super) bars: Option<Arc<Bars>>,
    /// Config space of a device that forgets it in D3, from when it entered that state.
    pub(super) asleep: Option<SavedState>,
    /// Must the device stay in D0?
    pub(super) kept_in_d0: bool,
    /// May the device be suspended while it is open? Then nothing is mapped.
    pub(super) low_power: LowPower,
    /// Is the device open?
    pub(super) open: bool,
    /// Who keeps everybody from the memory without this lock. The gate is closed for them: it says
    /// so a second time because who asks has this lock, and gets one answer with all else that is
    /// in here, while who waits must have no lock, as the gate is opened with this one held. Only
    /// `Exclusive::set_holder()` and `clear_holder()` change either.
    pub(super) holders: Holders,
}

impl Memory {
    /// What the answer depends on.
    pub(super) fn conditions(&self) -> Conditions {
        Conditions {
            holders: self.holders,
            may_sleep: self.low_power.is_on(),
            suspended: self.low_power.is_suspended(),
            decode: self.decode,
        }
    }

    /// Does somebody keep others from the memory, of a device that is open?
    ///
    /// # Errors
    ///
    /// Who does.
    pub(super) fn check_holders(&self) -> Result<(), Holder> {
        match self.holders.first() {
            Some(holder) if self.open => Err(holder),
            _ => Ok(()),
        }
    }

    /// Creates the lock around what a device has that is closed.
    pub(super) fn new_lock() -> impl PinInit<RwSemaphore<Self>> {
        new_rwsem!(
            Self {
                decode: false,
                bars: None,
                asleep: None,
                kept_in_d0: false,
                low_power: LowPower::default(),
                open: false,
                holders: Holders::default(),
            },
            c"vfio_pci_memory_lock"
        )
    }
}
