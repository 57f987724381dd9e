// SPDX-License-Identifier: GPL-2.0

//! Virtual machines: references to them, and the symbols that KVM looks up.
//!
//! C headers: [`include/linux/kvm_host.h`](srctree/include/linux/kvm_host.h),
//! [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use super::bindings;
use core::ptr::NonNull;
use kernel::fs::File;

/// The virtual machine that a file was given to. No reference: KVM takes the
/// pointer back before the machine goes.
#[derive(Clone, Copy)]
pub struct KvmPointer(NonNull<bindings::kvm>);

// SAFETY: The pointer is only passed on to KVM, which locks.
unsafe impl Send for KvmPointer {}

impl KvmPointer {
    /// Takes a reference on the machine and on the KVM module, unless the
    /// machine is going away.
    ///
    /// The caller holds the lock under which KVM takes the pointer back.
    pub(crate) fn get(self) -> Option<Kvm> {
        // SAFETY: KVM has not taken the pointer back, so the machine's memory
        // is there; the helper copes with a machine without users.
        // Not `then_some()`, which would make, and drop, the reference in any
        // case.
        unsafe { bindings::vfio_rust_kvm_get(self.0.as_ptr()) }.then(|| Kvm(self.0))
    }
}

/// A reference to a virtual machine and to the KVM module.
pub struct Kvm(NonNull<bindings::kvm>);

// SAFETY: Machines may be released from any thread.
unsafe impl Send for Kvm {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl Sync for Kvm {}

impl Drop for Kvm {
    fn drop(&mut self) {
        // SAFETY: `KvmPointer::get()` took this reference.
        unsafe { bindings::vfio_rust_kvm_put(self.0.as_ptr()) };
    }
}

/// Whether `file` is a group or a device of VFIO.
///
/// # Safety
///
/// `file` must be alive during the call.
#[no_mangle]
pub unsafe extern "C" fn vfio_file_is_valid(file: *mut bindings::file) -> bool {
    // SAFETY: By this function's contract; the file's position is not used.
    crate::kvm::file_is_valid(unsafe { File::from_raw_file(file) })
}

/// Whether DMA of every device behind `file` is always cache coherent.
///
/// # Safety
///
/// `file` must be alive during the call.
#[no_mangle]
pub unsafe extern "C" fn vfio_file_enforced_coherent(file: *mut bindings::file) -> bool {
    // SAFETY: By this function's contract; the file's position is not used.
    crate::kvm::file_enforced_coherent(unsafe { File::from_raw_file(file) })
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
    crate::kvm::file_set_kvm(file, NonNull::new(kvm).map(KvmPointer));
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
