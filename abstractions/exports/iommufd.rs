// SPDX-License-Identifier: GPL-2.0

//! What drivers in C ask about the iommufd of a device.
//!
//! C headers: [`include/linux/vfio.h`](srctree/include/linux/vfio.h),
//! [`include/linux/iommufd.h`](srctree/include/linux/iommufd.h)

use crate::abstractions::{
    bindings,
    exports::signature::signatures,
    iommu, //
};
use core::ptr;
use kernel::{
    device::Device,
    error::from_result,
    ffi::c_int,
    prelude::*, //
};

signatures!(vfio_iommufd_device_ictx, vfio_iommufd_get_dev_id);

/// The iommufd that a device is bound to, or null.
///
/// # Safety
///
/// `vdev` must be valid, and neither be opened nor closed during the call, nor as long as the
/// caller uses the result.
#[no_mangle]
pub unsafe extern "C" fn vfio_iommufd_device_ictx(
    vdev: *mut bindings::vfio_device,
) -> *mut bindings::iommufd_ctx {
    // SAFETY: By this function's contract.
    let bound = unsafe { (*vdev).iommufd_device };
    if bound.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: The field has what the device is bound to, as long as it is open.
    unsafe { bindings::iommufd_device_to_ictx(bound) }
}

/// The id of a device that is bound to `ictx`.
///
/// Returns EINVAL if the device is bound to nothing, and neither is `ictx`; ENOENT if another
/// device of its group is bound there; or ENODEV.
///
/// # Safety
///
/// `vdev` must be valid, and neither be opened nor closed during the call. `ictx` must be null or
/// alive.
#[no_mangle]
pub unsafe extern "C" fn vfio_iommufd_get_dev_id(
    vdev: *mut bindings::vfio_device,
    ictx: *mut bindings::iommufd_ctx,
) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        if unsafe { vfio_iommufd_device_ictx(vdev) } == ictx {
            if ictx.is_null() {
                return Err(EINVAL);
            }
            // SAFETY: By this function's contract; it has what the device is bound to.
            let id = unsafe { bindings::iommufd_device_to_id((*vdev).iommufd_device) };
            return Ok(c_int::try_from(id)?);
        }
        if ictx.is_null() {
            return Err(ENODEV);
        }
        // SAFETY: By this function's contract; a device has a parent from its creation on.
        let parent = unsafe { Device::from_raw((*vdev).dev) };
        let group = iommu::Group::of(parent).ok_or(ENODEV)?;
        // SAFETY: By this function's contract; the group is alive.
        if unsafe { bindings::iommufd_ctx_has_group(ictx, group.as_raw()) } {
            Err(ENOENT)
        } else {
            Err(ENODEV)
        }
    })
}
