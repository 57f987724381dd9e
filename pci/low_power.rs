// SPDX-License-Identifier: GPL-2.0

//! Low power: a device that sleeps although a user has it open.
//!
//! An open device has a count that keeps it resumed. A user who does not need the device for a
//! while lets the count go, and takes it back later. Every ioctl, read and write wakes the device
//! up for as long as it takes. What is mapped could be touched at any time, so nothing is.
//!
//! The user may give an eventfd, to be told when the device wakes up. Then the device stays awake
//! from that moment on, as if the user had taken the count back.

use crate::{
    abstractions::{
        pm_runtime::Lent,
        uapi_pci::LowPowerEntryWithWakeup, //
    },
    device::CoreDevice, //
};
use kernel::prelude::*;
use vfio::{
    abstractions::eventfd::EventFd,
    device::Device,
    device_feature::Request, //
};

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
    fn wake_up(&mut self) -> Option<EventFd> {
        self.suspended = false;
        self.sleep.as_ref()?.wakeup.as_ref()?;

        self.leave()
    }
}

impl CoreDevice {
    /// VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
    ///
    /// # Errors
    ///
    /// EINVAL if the feature is not to be set, or the device may be suspended already; EINTR if the
    /// task is killed while it waits for a reset.
    pub(crate) fn enter_low_power(&self, device: &Device, request: &Request) -> Result<isize> {
        match request.set(0)? {
            Some(_) => self.let_sleep(device, None),
            None => Ok(0),
        }
    }

    /// VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
    ///
    /// # Errors
    ///
    /// As [`Self::enter_low_power`], EFAULT, and EBADF or EINVAL for what is not an eventfd.
    pub(crate) fn enter_low_power_with_wakeup(
        &self,
        device: &Device,
        request: &Request,
    ) -> Result<isize> {
        let Some(payload) = request.set(size_of::<LowPowerEntryWithWakeup>())? else {
            return Ok(0);
        };
        let entry: LowPowerEntryWithWakeup = payload.read()?;
        if entry.wakeup_eventfd < 0 {
            return Err(EINVAL);
        }

        self.let_sleep(device, Some(EventFd::from_fd(entry.wakeup_eventfd)?))
    }

    /// VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
    ///
    /// # Errors
    ///
    /// EINVAL if the feature is not to be set.
    pub(crate) fn leave_low_power(&self, request: &Request) -> Result<isize> {
        if request.set(0)?.is_some() {
            // The device is awake, as in every ioctl.
            let wakeup = self.memory().exclusive().low_power().leave();
            drop(wakeup);
        }

        Ok(0)
    }

    /// Lets the device be suspended, once this ioctl has ended.
    fn let_sleep(&self, device: &Device, wakeup: Option<EventFd>) -> Result<isize> {
        let held = self.memory().hold()?;
        held.revoke(device);
        let mut exclusive = held.lock()?;
        let low_power = exclusive.low_power();
        if low_power.is_on() {
            // Released after the lock.
            drop(exclusive);
            drop(wakeup);
            return Err(EINVAL);
        }
        low_power.sleep = Some(Sleep {
            _lent: Lent::new(self.function().clone()),
            wakeup,
        });

        Ok(0)
    }

    /// The device has been resumed: tells the user who wants to know.
    pub(crate) fn end_sleep(&self) {
        // Signalled after the lock.
        let wakeup = self.memory().exclusive().low_power().wake_up();
        if let Some(eventfd) = wakeup {
            eventfd.signal();
        }
    }
}
