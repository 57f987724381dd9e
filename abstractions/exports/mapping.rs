// SPDX-License-Identifier: GPL-2.0

//! Areas that a driver in C has this core fill.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use crate::{
    abstractions::{
        bindings,
        mm::pfnmap::{
            self,
            NewMapping, //
        }, //
    },
    device::file::{
        DeviceFile,
        OPERATIONS, //
    }, //
};
use kernel::{
    mm::virt::VmaNew,
    prelude::*, //
};

/// Has page faults of an area answered by [`DeviceOps::fault()`], if `check` allows the mapping.
///
/// # Errors
///
/// `EINVAL`: the area is not one of a file of a device. That of `check`.
///
/// # Safety
///
/// `vma` must be an area that `mmap()` is setting up.
///
/// [`DeviceOps::fault()`]: crate::device::ops::DeviceOps::fault
pub unsafe fn fill_by_fault(
    vma: *mut bindings::vm_area_struct,
    check: &dyn Fn(&NewMapping<'_>) -> Result,
) -> Result {
    // SAFETY: By this function's contract.
    let area = unsafe { VmaNew::from_raw(vma) };
    if OPERATIONS.data_of_vma(area).is_none() {
        return Err(EINVAL);
    }
    check(&NewMapping::new(area))?;
    // SAFETY: By this function's contract; the private data of such a file is what it is to be.
    unsafe { pfnmap::install::<DeviceFile>(vma) };
    Ok(())
}

/// Maps `1 << order` page frames from `pfn` on for a fault handler of a driver, and returns what
/// becomes of the fault.
///
/// # Safety
///
/// `vmf` must be a fault that is being handled, in an area of page frame numbers. The page frames
/// must be memory of a device, and the block of that order around the address lie in the area.
pub unsafe fn insert_frames(
    vmf: *mut bindings::vm_fault,
    pfn: usize,
    order: u32,
) -> bindings::vm_fault_t {
    // SAFETY: By this function's contract.
    unsafe {
        let address = (*vmf).__bindgen_anon_1.address;
        bindings::vfio_rust_vmf_insert_pfn(vmf, address, pfn, order)
    }
}
