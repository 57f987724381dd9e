// SPDX-License-Identifier: GPL-2.0

//! How drivers in C put devices into sets.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::abstractions::{
    bindings,
    c_driver::device_set,
    exports::signature::signatures, //
};
use core::ptr;
use kernel::{
    error::from_result,
    prelude::*, //
};

signatures!(
    vfio_assign_device_set,
    vfio_device_set_open_count,
    vfio_find_device_in_devset,
);

/// Puts a device into the set of all that have the same key, which is not null.
///
/// Returns EINVAL if there is no key, or the device is in another set; ENOMEM.
///
/// # Safety
///
/// `device` must be from `_vfio_alloc_device()` and not be registered, and the caller its driver.
#[no_mangle]
pub unsafe extern "C" fn vfio_assign_device_set(
    device: *mut bindings::vfio_device,
    key: *mut c_void,
) -> c_int {
    // SAFETY: By this function's contract.
    from_result(|| unsafe { device_set::join(device, key) }.map(|()| 0))
}

/// How many files have devices of a set open.
///
/// # Safety
///
/// The caller must hold the lock of `set`.
#[no_mangle]
pub unsafe extern "C" fn vfio_device_set_open_count(set: *mut bindings::vfio_device_set) -> c_uint {
    // SAFETY: By this function's contract the devices stay; the field changes with the lock held.
    unsafe {
        device_set::devices(set)
            .map(|device| (*device).open_count)
            .fold(0, c_uint::saturating_add)
    }
}

/// The device of a set that has this parent, or null.
///
/// # Safety
///
/// The caller must hold the lock of `set`.
#[no_mangle]
pub unsafe extern "C" fn vfio_find_device_in_devset(
    set: *mut bindings::vfio_device_set,
    parent: *mut bindings::device,
) -> *mut bindings::vfio_device {
    // SAFETY: By this function's contract the devices stay; the field does not change.
    unsafe {
        device_set::devices(set)
            .find(|device| (**device).dev == parent)
            .unwrap_or(ptr::null_mut())
    }
}
