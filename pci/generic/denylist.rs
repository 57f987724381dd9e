// SPDX-License-Identifier: GPL-2.0

//! Devices that must not be given to users.

use crate::abstractions::parameters::vfio_pci as parameters;
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

fn is_denied(vendor: pci::Vendor, id: u16) -> bool {
    vendor == pci::Vendor::INTEL && DENIED.contains(&id)
}

/// Refuses a device that is on the list, unless the list is disabled.
///
/// # Errors
///
/// EINVAL.
pub(crate) fn check(device: &pci::Device<Core<'_>>) -> Result {
    let vendor = device.vendor_id();
    let id = device.device_id();
    if !is_denied(vendor, id) {
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

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_denylist)]
mod tests {
    use super::*;

    /// 10-2: the numbers, of one vendor, and no others near them.
    #[test]
    fn eight_numbers_of_intel_are_denied() {
        const NUMBERS: [u16; 8] = [
            0x0435, 0x0443, 0x0b25, 0x0cfe, 0x19e2, 0x19e3, 0x37c8, 0x37c9,
        ];

        let mut denied = (0..=u16::MAX).filter(|id| is_denied(pci::Vendor::INTEL, *id));
        for number in NUMBERS {
            assert_eq!(denied.next(), Some(number));
        }
        assert_eq!(denied.next(), None);
        assert!(!NUMBERS.iter().any(|id| is_denied(pci::Vendor::AMD, *id)));
    }
}
