// SPDX-License-Identifier: GPL-2.0

//! Which features PCI devices have.

use crate::{
    abstractions::uapi::pci::LowPowerEntryWithWakeup,
    device::CoreDevice,
    dma_buf,
    token::Token, //
};
use kernel::prelude::*;
use vfio::{
    abstractions::fs::eventfd::EventFd,
    device::{
        feature::{
            Feature,
            Request, //
        },
        Device, //
    }, //
};

impl CoreDevice {
    /// Probes for, reads or sets a feature.
    ///
    /// # Errors
    ///
    /// ENOTTY for one that PCI devices do not have, or that of the feature.
    pub(crate) fn answer_feature(&self, device: &Device, request: &Request) -> Result<isize> {
        match request.feature() {
            Some(Feature::LowPowerEntry) => self.enter_low_power(device, request),
            Some(Feature::LowPowerEntryWithWakeup) => {
                self.enter_low_power_with_wakeup(device, request)
            }
            Some(Feature::LowPowerExit) => self.leave_low_power(request),
            Some(Feature::PciVfToken) => self.set_token(request),
            Some(Feature::DmaBuf) => {
                let opened = self.opened()?;
                let memory = self.memory();
                dma_buf::export_bar(
                    self.function(),
                    &opened.bars,
                    memory.exports(),
                    device,
                    request,
                    self.c_device().map(|device| &**device),
                    |add| memory.with_exports(add)?,
                )
            }
            _ => Err(ENOTTY),
        }
    }

    /// VFIO_DEVICE_FEATURE_PCI_VF_TOKEN. It cannot be read: it may be that of an earlier user.
    ///
    /// # Errors
    ///
    /// ENOTTY but for a physical function, EINVAL if the feature is not to be set, EFAULT, or
    /// EBUSY while virtual functions are open.
    fn set_token(&self, request: &Request) -> Result<isize> {
        let shared = self.role().own_token().ok_or(ENOTTY)?;
        if let Some(payload) = request.set(size_of::<Token>())? {
            shared.set(&payload.read()?)?;
        }

        Ok(0)
    }

    /// VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
    ///
    /// # Errors
    ///
    /// EINVAL if the feature is not to be set, or the device may be suspended already; EINTR if the
    /// task is killed while it waits for a reset.
    fn enter_low_power(&self, device: &Device, request: &Request) -> Result<isize> {
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
    fn enter_low_power_with_wakeup(&self, device: &Device, request: &Request) -> Result<isize> {
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
    fn leave_low_power(&self, request: &Request) -> Result<isize> {
        if request.set(0)?.is_some() {
            // The device is awake, as in every ioctl.
            let wakeup = self.memory().exclusive().low_power().leave();
            drop(wakeup);
        }

        Ok(0)
    }

    /// Lets the device be suspended, once this ioctl has ended.
    fn let_sleep(&self, device: &Device, wakeup: Option<EventFd>) -> Result<isize> {
        let mut held = self.memory().hold()?;
        held.revoke(device);
        let mut exclusive = held.lock()?;
        let low_power = exclusive.low_power();
        if low_power.is_on() {
            // Released after the lock.
            drop(exclusive);
            drop(wakeup);
            return Err(EINVAL);
        }
        low_power.enter(self.function().clone(), wakeup);

        Ok(0)
    }
}
