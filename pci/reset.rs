// SPDX-License-Identifier: GPL-2.0

//! Resets that a user asks for: of a function, and what they are to drivers in C.
//!
//! A driver in C has a lock of its own around the memory of its device, and relies on that being
//! held while a user has the device reset.
//!
//! The PCI core announces a reset to the driver of the device. Drivers in C whose error handlers
//! are their own do not pass that on. So who resets such a device on behalf of its user says so
//! himself. Of a reset that somebody else asks for, through sysfs say, nobody hears then. Resets of
//! a slot or bus are in [`hot_reset`](crate::hot_reset).

use crate::{
    device::CoreDevice,
    memory::c_driver::DriverOut, //
};
use kernel::prelude::*;
use vfio::device::Device;

/// A user has a device reset whose driver is in C.
#[must_use = "the reset has ended when this is dropped"]
pub(crate) struct CDriverReset<'a> {
    /// The device, if its driver does not announce the reset.
    unannounced: Option<&'a CoreDevice>,
    _driver_out: DriverOut<'a>,
}

impl<'a> CDriverReset<'a> {
    /// The reset of `device`, which `core` is, is about to begin. Nothing is to be done if its
    /// driver is in Rust.
    ///
    /// # Errors
    ///
    /// EBUSY if the driver is at the memory of the device, unless that is to be waited for.
    pub(crate) fn new(core: &'a CoreDevice, device: &Device, wait: bool) -> Result<Option<Self>> {
        if core.c_device().is_none() {
            return Ok(None);
        }
        let driver_out = core.memory().keep_driver_out(wait)?;
        let unannounced = (!core.hears_of_resets()).then_some(core);
        if unannounced.is_some() {
            core.begin_reset(device);
        }

        Ok(Some(Self {
            unannounced,
            _driver_out: driver_out,
        }))
    }
}

impl Drop for CDriverReset<'_> {
    fn drop(&mut self) {
        if let Some(core) = self.unannounced {
            core.end_reset();
        }
    }
}

impl CoreDevice {
    /// Resets the function for the user. Nobody gets at the memory of `device` meanwhile.
    ///
    /// # Errors
    ///
    /// EAGAIN if somebody else resets it, or holds its lock; EINTR if the task is killed while it
    /// waits for another user; or that of the method.
    // Inlined, it would cost the other ioctls a larger stack.
    #[inline(never)]
    pub(crate) fn reset(&self, device: &Device) -> Result {
        let mut held = self.memory().hold_for_reset()?;
        held.revoke(device);
        let _of_driver = CDriverReset::new(self, device, true)?;

        self.function().try_reset()
    }
}
