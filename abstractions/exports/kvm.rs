// SPDX-License-Identifier: GPL-2.0

//! The symbols that KVM looks up.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::abstractions::{
    bindings,
    exports::signature::signatures, //
};
use crate::kvm as kvm_files;
use core::ptr::NonNull;
use kernel::fs::File;

signatures!(
    vfio_file_enforced_coherent,
    vfio_file_iommu_group,
    vfio_file_is_valid,
    vfio_file_set_kvm,
);

/// Whether `file` is a group or a device of VFIO.
///
/// # Safety
///
/// `file` must be alive during the call.
#[no_mangle]
pub unsafe extern "C" fn vfio_file_is_valid(file: *mut bindings::file) -> bool {
    // SAFETY: By this function's contract; the file's position is not used.
    kvm_files::file_is_valid(unsafe { File::from_raw_file(file) })
}

/// Whether DMA of every device behind `file` is always cache coherent.
///
/// # Safety
///
/// `file` must be alive during the call.
#[no_mangle]
pub unsafe extern "C" fn vfio_file_enforced_coherent(file: *mut bindings::file) -> bool {
    // SAFETY: By this function's contract; the file's position is not used.
    kvm_files::file_enforced_coherent(unsafe { File::from_raw_file(file) })
}

/// Gives the devices behind `file` to a virtual machine, or takes them back
/// when `kvm` is null.
///
/// # Safety
///
/// `file` must be alive during the call, and `kvm` until the pointer is taken
/// back.
#[no_mangle]
pub unsafe extern "C" fn vfio_file_set_kvm(file: *mut bindings::file, kvm: *mut bindings::kvm) {
    // SAFETY: By this function's contract; the file's position is not used.
    let file = unsafe { File::from_raw_file(file) };
    kvm_files::with_slot(file, |slot| {
        // SAFETY: By this function's contract; and the slot of a file is always the same.
        unsafe { slot.set(NonNull::new(kvm)) };
    });
}

/// The IOMMU group behind a group file. Only sPAPR asks, so there is none.
///
/// # Safety
///
/// `file` must be alive during the call.
#[no_mangle]
pub unsafe extern "C" fn vfio_file_iommu_group(
    _file: *mut bindings::file,
) -> *mut bindings::iommu_group {
    core::ptr::null_mut()
}
