// SPDX-License-Identifier: GPL-2.0

//! Memory areas of page frame numbers that a fault handler fills.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use super::{
    bindings,
    file::FileOperations, //
};
use core::marker::PhantomData;
use kernel::{
    mm::virt::{
        flags,
        VmaNew, //
    },
    page::{
        PAGE_MASK,
        PAGE_SHIFT, //
    },
    types::ForeignOwnable, //
};

/// An area that `mmap()` is setting up.
pub struct NewMapping<'a>(&'a VmaNew);

impl<'a> NewMapping<'a> {
    pub(super) fn new(vma: &'a VmaNew) -> Self {
        Self(vma)
    }

    /// Length in bytes, a multiple of the page size.
    pub fn len(&self) -> usize {
        self.0.end().saturating_sub(self.0.start())
    }

    /// Whether the area is empty; mm never makes such an area.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// First page of the file that is mapped, in pages.
    pub fn page_offset(&self) -> u64 {
        // SAFETY: The area is alive and under the mmap lock during `mmap()`.
        unsafe { (*self.0.as_ptr()).vm_pgoff as u64 }
    }

    /// Whether stores go to the file (`MAP_SHARED`).
    pub fn is_shared(&self) -> bool {
        self.0.flags() & flags::SHARED != 0
    }

    /// Makes accesses through the area uncached, as device registers need it.
    pub fn set_uncached(&self) {
        // SAFETY: The area is being set up and not shared with anybody.
        unsafe { bindings::vfio_rust_vma_set_uncached(self.0.as_ptr()) };
    }
}

/// A fault in such an area.
///
/// Exists while the handler runs: under the mmap lock or the area's own lock.
pub struct Fault<'a> {
    vmf: *mut bindings::vm_fault,
    _vma: PhantomData<&'a VmaNew>,
}

impl Fault<'_> {
    fn vma(&self) -> *mut bindings::vm_area_struct {
        // SAFETY: The fault is valid while `self` exists.
        unsafe { (*self.vmf).__bindgen_anon_1.vma }
    }

    /// The faulting address, rounded down to a page.
    pub fn address(&self) -> usize {
        // SAFETY: The fault is valid while `self` exists.
        unsafe { (*self.vmf).__bindgen_anon_1.address & PAGE_MASK }
    }

    /// The page of the file that is wanted, in pages.
    pub fn page_offset(&self) -> u64 {
        // SAFETY: The fault is valid while `self` exists.
        unsafe { (*self.vmf).__bindgen_anon_1.pgoff as u64 }
    }

    /// Maps page frame `pfn` at the faulting address. A page that another
    /// thread has mapped there meanwhile is success.
    pub fn insert_pfn(&self, pfn: u64) -> FaultResult {
        // SAFETY: The area was made by `install()`, so it is one of page frame
        // numbers, and its lock is held during the fault; the address lies in
        // it.
        FaultResult(unsafe { bindings::vmf_insert_pfn(self.vma(), self.address(), pfn as usize) })
    }
}

/// How a fault was dealt with.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct FaultResult(bindings::vm_fault_t);

impl FaultResult {
    /// The page is there.
    pub const NOPAGE: Self =
        Self(bindings::vm_fault_reason_VM_FAULT_NOPAGE as bindings::vm_fault_t);
    /// There is nothing to access; the thread gets `SIGBUS`.
    pub const SIGBUS: Self =
        Self(bindings::vm_fault_reason_VM_FAULT_SIGBUS as bindings::vm_fault_t);
    /// There was no memory for page tables.
    pub const OOM: Self = Self(bindings::vm_fault_reason_VM_FAULT_OOM as bindings::vm_fault_t);
}

/// Makes `vma` an area of page frame numbers with `T`'s fault handler.
///
/// # Safety
///
/// `vma` must be an area that is being set up for a file of a table of `T`.
pub(super) unsafe fn install<T: FileOperations>(vma: *mut bindings::vm_area_struct) {
    // SAFETY: By this function's contract nobody else sees the area yet.
    unsafe {
        bindings::vfio_rust_vma_set_pfnmap(vma);
        (*vma).vm_ops = Operations::<T>::table();
    }
}

struct Operations<T>(PhantomData<T>);

impl<T: FileOperations> Operations<T> {
    const TABLE: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(Self::fault),
        ..pin_init::zeroed()
    };

    const fn table() -> &'static bindings::vm_operations_struct {
        &Self::TABLE
    }

    /// # Safety
    ///
    /// Only mm calls this, for areas that `install::<T>()` made.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: mm passes a valid fault; the area holds a reference to its
        // file, which by `install()`'s contract is one of a table of `T`, so
        // its private data is `T::Data`'s until the file's release.
        let data = unsafe {
            let file = (*(*vmf).__bindgen_anon_1.vma).vm_file;
            T::Data::borrow((*file).private_data)
        };
        let fault = Fault {
            vmf,
            _vma: PhantomData,
        };
        if T::HAS_FAULT {
            T::fault(data, &fault).0
        } else {
            FaultResult::SIGBUS.0
        }
    }
}

/// Pages per byte count, rounded up.
pub const fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(1 << PAGE_SHIFT)
}
