// SPDX-License-Identifier: GPL-2.0

//! BARs cannot be exported in this configuration of the kernel.

use crate::{
    abstractions::{
        c_driver::pci_device::CPciDevice,
        pci::Function, //
    },
    bars::Bars, //
};
use kernel::{
    device::Core,
    pci,
    prelude::*,
    sync::Arc, //
};
use vfio::device::{
    feature::Request,
    Device, //
};

/// Prepares a function that is being bound: there is nothing to prepare.
pub(crate) fn prepare(_device: &pci::Device<Core<'_>>) -> Result {
    Ok(())
}

/// All buffers of a device: none.
pub(crate) struct Exports;

impl Exports {
    /// Returns the buffers of a device.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self, GFP_KERNEL)?)
    }

    /// Takes the memory away from all buffers.
    pub(crate) fn revoke(&self) {}

    /// Is the memory taken away from all buffers?
    pub(crate) fn is_revoked(&self) -> bool {
        false
    }

    /// Gives the memory back to all buffers.
    pub(crate) fn restore(&self) {}

    /// The device is being closed.
    pub(crate) fn end(&self) {}
}

/// Would export ranges of a BAR.
///
/// # Errors
///
/// ENOTTY.
pub(crate) fn export_bar(
    _function: &Function,
    _bars: &Bars,
    _exports: &Arc<Exports>,
    _device: &Device,
    _request: &Request,
    _c_device: Option<&CPciDevice>,
    _publish: impl FnOnce(&dyn Fn(&Exports) -> Result) -> Result,
) -> Result<isize> {
    Err(ENOTTY)
}
