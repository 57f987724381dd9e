// SPDX-License-Identifier: GPL-2.0

//! A pseudo filesystem, mounted inside the kernel only, for inodes without
//! names.
//!
//! C headers: [`include/linux/pseudo_fs.h`](srctree/include/linux/pseudo_fs.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::abstractions::{
    bindings,
    mm::page_frames::PageFrames, //
};
use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    new_mutex,
    prelude::*,
    str::CStr,
    sync::{
        Arc,
        Mutex, //
    },
    ThisModule, //
};

/// A pseudo filesystem with superblock magic `MAGIC`.
///
/// It is mounted while at least one [`AnonInode`] of it exists.
pub struct PseudoFs<const MAGIC: usize> {
    fs_type: UnsafeCell<bindings::file_system_type>,
    mount: UnsafeCell<*mut bindings::vfsmount>,
    count: UnsafeCell<c_int>,
}

// SAFETY: `simple_pin_fs()` and `simple_release_fs()` serialise all changes of
// `mount` and `count` by a lock of their own.
unsafe impl<const MAGIC: usize> Sync for PseudoFs<MAGIC> {}

impl<const MAGIC: usize> PseudoFs<MAGIC> {
    /// Describes a filesystem; nothing is mounted yet.
    pub const fn new(name: &'static CStr, module: &'static ThisModule) -> Self {
        let mut fs_type: bindings::file_system_type = pin_init::zeroed();
        fs_type.name = kernel::str::as_char_ptr_in_const_context(name);
        fs_type.owner = module.as_ptr();
        fs_type.init_fs_context = Some(Self::init_fs_context);
        fs_type.kill_sb = Some(bindings::kill_anon_super);
        Self {
            fs_type: UnsafeCell::new(fs_type),
            mount: UnsafeCell::new(core::ptr::null_mut()),
            count: UnsafeCell::new(0),
        }
    }

    /// # Safety
    ///
    /// `context` must be valid; only the VFS calls this.
    unsafe extern "C" fn init_fs_context(context: *mut bindings::fs_context) -> c_int {
        // SAFETY: By this function's contract.
        if unsafe { bindings::init_pseudo(context, MAGIC) }.is_null() {
            ENOMEM.to_errno()
        } else {
            0
        }
    }

    /// Creates an inode of this filesystem. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or whatever the mount fails with.
    pub fn new_inode(&'static self) -> Result<AnonInode> {
        let kept = KBox::pin_init(new_mutex!(KVec::new(), "vfio_inode_kept"), GFP_KERNEL)?;
        // SAFETY: All three pointers are to fields of a static and belong
        // together; the C side locks.
        to_result(unsafe {
            bindings::simple_pin_fs(self.fs_type.get(), self.mount.get(), self.count.get())
        })?;
        // SAFETY: The filesystem is pinned, so `mount` is set and stays; its
        // superblock lives as long as the mount.
        let inode = unsafe { bindings::alloc_anon_inode((**self.mount.get()).mnt_sb) };
        let inode = from_err_ptr(inode);
        match inode.and_then(|inode| NonNull::new(inode).ok_or(ENOMEM)) {
            Ok(inode) => {
                let pages: *const Kept = &raw const *kept;
                // SAFETY: The inode is new and nobody else's yet. Nobody opens it, so that its
                // operations are not used.
                unsafe {
                    (*inode.as_ptr()).i_private = pages.cast_mut().cast();
                    (*inode.as_ptr()).__bindgen_anon_3.i_fop = &raw const KEEPS_PAGES.0;
                }
                // INVARIANT: We own the inode's reference and one pin. The inode is marked.
                Ok(AnonInode {
                    inode,
                    mount: self.mount.get(),
                    count: self.count.get(),
                    _kept: kept,
                })
            }
            Err(error) => {
                // SAFETY: Undoes the pin from above.
                unsafe { bindings::simple_release_fs(self.mount.get(), self.count.get()) };
                Err(error)
            }
        }
    }
}

/// Pages that mappings may lead to.
type Kept = Mutex<KVec<Arc<PageFrames>>>;

/// Operations that are never called: an inode that has them is one of an [`AnonInode`].
struct Mark(bindings::file_operations);

// SAFETY: Nobody writes to them.
unsafe impl Sync for Mark {}

static KEEPS_PAGES: Mark = Mark(pin_init::zeroed());

/// An inode without a name, with an address space of its own.
///
/// # Invariants
///
/// `inode` is a reference that this value owns, as it owns one pin of the
/// filesystem that `mount` and `count` belong to, which is a `static`.
///
/// Only inodes that are those of such a value have `KEEPS_PAGES` as operations; their private
/// data is `_kept`.
pub struct AnonInode {
    inode: NonNull<bindings::inode>,
    mount: *mut *mut bindings::vfsmount,
    count: *mut c_int,
    _kept: Pin<KBox<Kept>>,
}

// SAFETY: Inodes may be used and released from any thread.
unsafe impl Send for AnonInode {}
// SAFETY: All methods may run concurrently.
unsafe impl Sync for AnonInode {}

impl AnonInode {
    /// The inode, which is alive as long as this.
    pub(in crate::abstractions) fn as_raw(&self) -> *mut bindings::inode {
        self.inode.as_ptr()
    }

    /// The inode's address space.
    pub(in crate::abstractions) fn mapping(&self) -> *mut bindings::address_space {
        // SAFETY: By the type invariant the inode is alive.
        unsafe { (*self.inode.as_ptr()).i_mapping }
    }

    /// Keeps `pages` as long as the `AnonInode` exists that `inode` is of.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. `EINVAL`: it is not one of any.
    ///
    /// # Safety
    ///
    /// `inode` is alive, and so is the `AnonInode`, if there is one.
    pub(in crate::abstractions) unsafe fn keep(
        inode: *mut bindings::inode,
        pages: &Arc<PageFrames>,
    ) -> Result {
        // SAFETY: By this function's contract; the operations do not change.
        let operations = unsafe { (*inode).__bindgen_anon_3.i_fop };
        if !core::ptr::eq(operations, &raw const KEEPS_PAGES.0) {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariant, and this function's contract.
        let kept = unsafe { &*(*inode).i_private.cast_const().cast::<Kept>() };
        let mut kept = kept.lock();
        if !kept.iter().any(|other| Arc::ptr_eq(other, pages)) {
            kept.push(pages.clone(), GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Removes every page-table entry, in every process, that maps bytes
    /// `start..start + length` of this inode's address space, private copies
    /// included. Mappings stay and fault again. May sleep.
    ///
    /// The C function takes signed numbers; a range that they cannot express
    /// cannot be mapped either, and is cut.
    pub fn unmap_mapping_range(&self, start: u64, length: u64) {
        let start = i64::try_from(start).unwrap_or(i64::MAX);
        let length = i64::try_from(length)
            .unwrap_or(i64::MAX)
            .min(i64::MAX.saturating_sub(start));
        if length == 0 {
            // Zero would mean "to the end".
            return;
        }
        // SAFETY: The address space lives as long as the inode.
        unsafe { bindings::unmap_mapping_range(self.mapping(), start, length, 1) };
    }
}

impl Drop for AnonInode {
    fn drop(&mut self) {
        // What is kept goes after this.
        //
        // SAFETY: By the type invariant both references are ours, and the
        // pointers are to a static.
        unsafe {
            bindings::iput(self.inode.as_ptr());
            bindings::simple_release_fs(self.mount, self.count);
        }
    }
}
