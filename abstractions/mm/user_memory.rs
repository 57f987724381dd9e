// SPDX-License-Identifier: GPL-2.0

//! Memory of users: where it can be, and an address space that holds still.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    bindings::vm_flags_t,
    current,
    error::to_result,
    mm::{
        virt::VmaRef,
        MmWithUser,
        MmapReadGuard, //
    },
    prelude::*,
    types::NotThreadSafe, //
};
use vfio::abstractions::bindings;

/// Whether `size` bytes from `address` on are where a user can have memory at all.
pub(crate) fn is_user_range(address: usize, size: usize) -> bool {
    // SAFETY: This looks at numbers only.
    unsafe { bindings::vfio_rust_access_ok(address, size) }
}

/// Proof that the current task has an address space: that of its process, or one that a kernel
/// thread borrows.
#[derive(Clone, Copy)]
pub(crate) struct OwnMm<'a>(PhantomData<&'a MmWithUser>, NotThreadSafe);

impl<'a> OwnMm<'a> {
    /// If the current task has `mm`.
    pub(crate) fn of(mm: &'a MmWithUser) -> Option<Self> {
        current!()
            .mm()
            .is_some_and(|own| ptr::eq(own, mm))
            .then_some(Self(PhantomData, NotThreadSafe))
    }
}

/// Copies memory of `mm` at `address` to `buffer`. May sleep.
///
/// # Errors
///
/// `EFAULT`: it is not readable, or `mm` is not that of the current process. Some bytes
/// may be copied then. A kernel thread borrows it.
pub(crate) fn read(mm: &MmWithUser, address: usize, buffer: &mut [u8]) -> Result {
    // SAFETY: The address space has a user, and the buffer is valid for writes.
    to_result(unsafe {
        bindings::vfio_rust_copy_from_mm(
            mm.as_raw(),
            buffer.as_mut_ptr().cast(),
            address,
            buffer.len(),
        )
    })
}

/// Copies `bytes` to memory of `mm` at `address`, as [`read()`] does the other way round.
///
/// # Errors
///
/// Those of [`read()`].
pub(crate) fn write(mm: &MmWithUser, address: usize, bytes: &[u8]) -> Result {
    // SAFETY: The address space has a user, and the bytes are valid for reads.
    to_result(unsafe {
        bindings::vfio_rust_copy_to_mm(mm.as_raw(), address, bytes.as_ptr().cast(), bytes.len())
    })
}

/// An address space whose mmap lock the current task holds for reading.
///
/// # Invariants
///
/// `guard` is the read lock of `mm`.
pub(crate) struct ReadLockedMm<'a> {
    mm: &'a MmWithUser,
    guard: MmapReadGuard<'a>,
}

impl<'a> ReadLockedMm<'a> {
    /// Takes the mmap lock of `mm` for reading.
    pub(crate) fn lock(mm: &'a MmWithUser) -> Self {
        // INVARIANT: The guard comes from `mm`.
        Self {
            mm,
            guard: mm.mmap_read_lock(),
        }
    }

    /// The address space, for C functions that want its read lock held.
    pub(in crate::abstractions) fn as_raw(&self) -> *mut bindings::mm_struct {
        self.mm.as_raw()
    }

    /// Takes the lock again, after a C function has let go of it.
    ///
    /// # Safety
    ///
    /// The current task does not hold it.
    pub(in crate::abstractions) unsafe fn relock(&mut self) {
        // SAFETY: The address space is alive; by this function's contract, and the type
        // invariant holds again.
        unsafe { kernel::bindings::mmap_read_lock(self.mm.as_raw()) };
    }

    /// `address` without the bits that the CPU ignores in pointers.
    pub(crate) fn untagged(&self, address: usize) -> usize {
        // SAFETY: By the type invariant the mmap lock is held.
        unsafe { bindings::vfio_rust_untagged_addr_remote(self.as_raw(), address) }
    }

    /// The VMA of plain page frames (`VM_PFNMAP`) that holds `address`.
    pub(crate) fn pfnmap_vma(&self, address: usize) -> Option<&VmaRef> {
        const PFNMAP: vm_flags_t = bindings::VM_PFNMAP;
        self.guard
            .vma_lookup(address)
            .filter(|vma| vma.flags() & PFNMAP != 0)
    }

    /// Whether `address`, with or without the bits that the CPU ignores, is in a VMA of plain page
    /// frames: the kernel pins nothing there.
    pub(crate) fn is_pfnmap(&self, address: usize) -> bool {
        self.pfnmap_vma(self.untagged(address)).is_some()
    }

    /// Runs the page fault handler for `address`, as if the user had touched it.
    ///
    /// The lock may be dropped and taken again in between, which is why this
    /// takes `&mut self`: VMAs that were found before are no longer valid.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the user may not do that access or the handler answers with
    /// a signal, `ENOMEM`, `EHWPOISON`, `EINTR` if the task is being killed.
    pub(crate) fn fault_in(&mut self, address: usize, write: bool) -> Result {
        let mut flags = bindings::fault_flag_FAULT_FLAG_REMOTE;
        if write {
            flags |= bindings::fault_flag_FAULT_FLAG_WRITE;
        }
        let mut unlocked = false;
        // SAFETY: By the type invariant the mmap lock is held for reading, and
        // it is held again when the function returns, whatever it returns.
        to_result(unsafe {
            bindings::fixup_user_fault(self.as_raw(), address, flags, &raw mut unlocked)
        })
    }
}
