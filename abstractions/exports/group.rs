// SPDX-License-Identifier: GPL-2.0

//! What drivers in C ask about files of groups.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::{
    abstractions::{
        bindings,
        exports::{
            signature::signatures,
            vfio_device::Face, //
        }, //
    },
    group, //
};
use kernel::{
    fs::File,
    sync::Arc, //
};

signatures!(vfio_file_has_dev, vfio_file_is_group);

/// Whether `file` is that of a group.
///
/// # Safety
///
/// `file` must be alive during the call.
#[no_mangle]
pub unsafe extern "C" fn vfio_file_is_group(file: *mut bindings::file) -> bool {
    // SAFETY: By this function's contract; the file's position is not used.
    group::file::from_file(unsafe { File::from_raw_file(file) }).is_some()
}

/// Whether `file` is that of the group of `device`.
///
/// # Safety
///
/// `file` must be alive during the call. `device` must be from `_vfio_alloc_device()`, and the
/// caller have a reference to it.
#[no_mangle]
pub unsafe extern "C" fn vfio_file_has_dev(
    file: *mut bindings::file,
    device: *mut bindings::vfio_device,
) -> bool {
    // SAFETY: By this function's contract; the file's position is not used.
    let group = group::file::from_file(unsafe { File::from_raw_file(file) });
    // SAFETY: By this function's contract.
    let device = unsafe { Face::of(device) }.device();
    group
        .zip(device)
        .is_some_and(|(group, device)| Arc::ptr_eq(group.group(), device.group()))
}
