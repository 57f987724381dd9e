// SPDX-License-Identifier: GPL-2.0

//! What a driver for particular devices adds to what all devices get.

use crate::{
    abstractions::pci::Function,
    bars::Bars,
    config,
    config_space::ConfigSpace,
    device_region::{
        DeviceRegion,
        DeviceRegions,
        Width, //
    },
    migration::VariantMigration, //
};
use kernel::{
    pci,
    prelude::*, //
};

/// What a driver for particular devices adds to what all devices get.
pub trait Variant: Send + Sync {
    /// The first user opens the device, which is enabled and has been reset. What is added to it
    /// here goes when the last user has closed it.
    ///
    /// # Errors
    ///
    /// Any error makes the open fail with it.
    fn open(&self, device: &mut Opening<'_>) -> Result;

    /// The last user has closed the device, or it has been reset, by whomever: a migration is over.
    /// Called with locks held; must not wait for anybody who accesses the device.
    fn forget(&self) {}

    /// How the device is migrated, if it can be.
    fn migration(&self) -> Option<&dyn VariantMigration> {
        None
    }
}

/// A device that is being opened. Nobody else uses it yet.
pub struct Opening<'a> {
    pub(crate) function: &'a Function,
    pub(crate) space: &'a mut ConfigSpace,
    pub(crate) bars: &'a Bars,
    pub(crate) regions: &'a mut DeviceRegions,
}

impl Opening<'_> {
    /// The device.
    pub fn device(&self) -> &pci::Device {
        self.function
    }

    /// Adds a device-specific region. Its index is the number of the regions before it.
    ///
    /// # Errors
    ///
    /// EINVAL if it is longer than a region can be, ENOSPC if there are too many, ENOMEM.
    pub fn add_region(&mut self, region: KBox<dyn DeviceRegion>) -> Result {
        self.regions.push(region)
    }

    /// Reads a register of a BAR.
    ///
    /// # Errors
    ///
    /// EINVAL beyond the end or if the offset is not aligned; EBUSY, ENOMEM or ENODEV if the BAR
    /// could not be mapped.
    pub fn read_register(&self, bar: usize, offset: usize, width: Width) -> Result<u64> {
        let bar = self.bars.get(bar).ok_or(EINVAL)?;

        bar.mapped()?.registers().read(offset, width)
    }

    /// Reads a dword of the hardware's config space.
    ///
    /// # Errors
    ///
    /// EINVAL if the offset is not aligned, ENODEV for a device that is gone.
    pub fn read_config(&self, offset: u16) -> Result<u32> {
        self.function.user_read_config(offset, config::Width::Dword)
    }

    /// Makes a dword of config space one that the user can write and read without effect on the
    /// hardware, with this first value.
    pub fn emulate_config(&mut self, offset: u16, value: u32) {
        self.space.set_virtual_dword(offset, value);
    }
}
