// SPDX-License-Identifier: GPL-2.0

//! What emulated devices of drivers in C have in place of DMA.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::{
    abstractions::{
        bindings,
        exports::{
            signature::signatures,
            vfio_device::Face, //
        },
        mm::user_page::UserPage, //
    },
    pinning::PinAccess, //
};
use core::{
    ptr,
    slice, //
};
use kernel::{
    error::from_result,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    warn_on, //
};

signatures!(vfio_dma_rw, vfio_pin_pages, vfio_unpin_pages);

/// Pins `npage` pages of the user, from the one that has `iova` on, to be read or written to as
/// `prot` says, and puts where they are at `pages`. Each is to be let go of once, by
/// [`vfio_unpin_pages()`], at the latest when the device is closed or `dma_unmap` tells its
/// address. May sleep.
///
/// Returns `npage`; EINVAL if there are no pages, the device is not open or its driver has no
/// `dma_unmap`; E2BIG, ENOTTY, or what the container's backend, or the iommufd, refuses. No page
/// is pinned then.
///
/// # Safety
///
/// `device` must be from `_vfio_alloc_device()`, and the caller have a reference to it. `pages`
/// must be null, or valid for writes of `npage` pointers.
#[no_mangle]
pub unsafe extern "C" fn vfio_pin_pages(
    device: *mut bindings::vfio_device,
    iova: bindings::dma_addr_t,
    npage: c_int,
    prot: c_int,
    pages: *mut *mut bindings::page,
) -> c_int {
    from_result(|| {
        let count = usize::try_from(npage).map_err(|_| EINVAL)?;
        if pages.is_null() || count == 0 {
            return Err(EINVAL);
        }
        // SAFETY: By this function's contract.
        let (device, driver) = unsafe { Face::of(device) }.in_use().ok_or(EINVAL)?;
        let wants = |flag| prot & flag as c_int != 0;
        let access = PinAccess {
            read: wants(bindings::IOMMU_READ),
            write: wants(bindings::IOMMU_WRITE),
        };
        let memory = device.user_memory();
        let found = |index, page: UserPage<'_>| {
            // SAFETY: By this function's contract; there are as many as indices.
            unsafe { pages.add(index).write(page.as_raw()) };
        };
        if let Err(error) = driver.pages().pin(memory, iova, count, access, found) {
            // SAFETY: By this function's contract.
            unsafe { ptr::write_bytes(pages, 0, count) };
            return Err(error);
        }
        Ok(npage)
    })
}

/// Lets go of `npage` pages, from the one that has `iova` on. May sleep.
///
/// # Safety
///
/// `device` must be from `_vfio_alloc_device()`, and the caller have a reference to it.
#[no_mangle]
pub unsafe extern "C" fn vfio_unpin_pages(
    device: *mut bindings::vfio_device,
    iova: bindings::dma_addr_t,
    npage: c_int,
) {
    let count = usize::try_from(npage).unwrap_or(0);
    // SAFETY: By this function's contract.
    let in_use = unsafe { Face::of(device) }.in_use();
    let unpinned = in_use.map_or(0, |(_, driver)| driver.pages().unpin(iova, count));
    // The driver lets go of what it does not have, or has let go of already.
    warn_on!(count == 0 || unpinned != count);
}

/// Copies `len` bytes at `data` to the user's memory at `iova` if `write`, or else from there. May
/// sleep.
///
/// Returns 0; EINVAL if there are no bytes or the device is not open; ENOTTY, EFAULT, or what the
/// container's backend, or the iommufd, refuses. Some bytes may be copied then.
///
/// # Safety
///
/// `device` must be from `_vfio_alloc_device()`, and the caller have a reference to it. `data`
/// must be null, or valid for `len` bytes, which nobody else writes to.
#[no_mangle]
pub unsafe extern "C" fn vfio_dma_rw(
    device: *mut bindings::vfio_device,
    iova: bindings::dma_addr_t,
    data: *mut c_void,
    len: usize,
    write: bool,
) -> c_int {
    from_result(|| {
        if data.is_null() || len == 0 {
            return Err(EINVAL);
        }
        // SAFETY: By this function's contract.
        let (device, _) = unsafe { Face::of(device) }.in_use().ok_or(EINVAL)?;
        let memory = device.user_memory();
        if write {
            // SAFETY: By this function's contract.
            memory.write(iova, unsafe { slice::from_raw_parts(data.cast(), len) })?;
        } else {
            // SAFETY: By this function's contract.
            memory.read(iova, unsafe { slice::from_raw_parts_mut(data.cast(), len) })?;
        }
        Ok(0)
    })
}
