// SPDX-License-Identifier: GPL-2.0

//! Devices that must not be given to users.

use crate::abstractions::vfio_pci_module as parameters;
use kernel::{
    device::Core,
    pci,
    prelude::*, //
};

/// Accelerators of Intel with errata that let a user take down the machine or see the data of
/// others.
const DENIED: [u16; 8] = [
    0x19e2, // QuickAssist C3xxx
    0x19e3, // QuickAssist C3xxx, virtual function
    0x37c8, // QuickAssist C62x
    0x37c9, // QuickAssist C62x, virtual function
    0x0435, // QuickAssist DH895xCC
    0x0443, // QuickAssist DH895xCC, virtual function
    0x0b25, // Data Streaming Accelerator of Sapphire Rapids
    0x0cfe, // In-Memory Analytics Accelerator of Sapphire Rapids
];

/// Refuses a device that is on the list, unless the list is disabled.
///
/// # Errors
///
/// EINVAL.
pub(crate) fn check(device: &pci::Device<Core<'_>>) -> Result {
    let vendor = device.vendor_id();
    let id = device.device_id();
    if vendor != pci::Vendor::INTEL || !DENIED.contains(&id) {
        return Ok(());
    }

    if parameters::disable_denylist() {
        dev_warn!(
            device,
            "device denylist disabled - allowing device {:04x}:{:04x}.\n",
            vendor.as_raw(),
            id
        );
        return Ok(());
    }

    dev_warn!(
        device,
        "{:04x}:{:04x} exists in vfio-pci device denylist, driver probing disallowed.\n",
        vendor.as_raw(),
        id
    );
    Err(EINVAL)
}
