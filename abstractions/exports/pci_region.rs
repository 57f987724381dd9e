// SPDX-License-Identifier: GPL-2.0

//! How a driver in C adds regions to its device.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

use crate::abstractions::exports::pci_core_device::binding_of_pci;
use kernel::{
    error::from_result,
    prelude::*, //
};
use vfio::abstractions::{
    bindings::{
        self,
        vfio_pci_core_device, //
    },
    exports::signature::signatures, //
};

signatures!(vfio_pci_core_register_dev_region);

/// Adds a region to a device whose driver is between [`vfio_pci_core_enable()`] and
/// [`vfio_pci_core_finish_enable()`]. It is released when the device is disabled.
///
/// Returns EINVAL at any other time, or if the region is longer than one can be; ENOSPC if there
/// are too many, ENOMEM.
///
/// # Safety
///
/// The driver of `device` must be opening it. `ops` must be static, and do for the region what its
/// header says.
///
/// [`vfio_pci_core_enable()`]: super::pci_core_device::vfio_pci_core_enable
/// [`vfio_pci_core_finish_enable()`]: super::pci_core_device::vfio_pci_core_finish_enable
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_register_dev_region(
    device: *mut vfio_pci_core_device,
    class: c_uint,
    subtype: c_uint,
    ops: *const bindings::vfio_pci_regops,
    size: usize,
    flags: u32,
    data: *mut c_void,
) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let binding = unsafe { binding_of_pci(device) }.ok_or(ENODEV)?;
        let core = binding.core();
        let c_device = core.c_device().ok_or(ENODEV)?;
        core.change_enabled(|opened| {
            let region = bindings::vfio_pci_region {
                type_: class,
                subtype,
                ops,
                data,
                size,
                flags,
            };
            // SAFETY: By this function's contract.
            let region = unsafe { c_device.add_region(region)? };
            let added = KBox::new(region, GFP_KERNEL_ACCOUNT)
                .map_err(Error::from)
                .and_then(|region| opened.regions.push(region));
            if added.is_err() {
                // SAFETY: As above.
                unsafe { c_device.forget_last_region() };
            }
            added
        })?;

        Ok(0)
    })
}
