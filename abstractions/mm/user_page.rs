// SPDX-License-Identifier: GPL-2.0

//! Pages of a user that the kernel reads and writes, as a device would.
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/linux/highmem.h`](srctree/include/linux/highmem.h)

use crate::abstractions::bindings;
use core::{
    cmp::min,
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::page::PAGE_SIZE;

/// A page that stays where it is for `'a`.
///
/// Its user changes the bytes at any time, so they are only ever copied.
///
/// # Invariants
///
/// The page is pinned for `'a`; if `write`, it may be written to.
#[derive(Clone, Copy)]
pub struct UserPage<'a> {
    page: NonNull<bindings::page>,
    write: bool,
    _pin: PhantomData<&'a ()>,
}

impl UserPage<'_> {
    /// A page that somebody has pinned.
    ///
    /// # Safety
    ///
    /// It stays pinned for the lifetime of the result. If `write`, it was pinned to be
    /// written to.
    pub(in crate::abstractions) unsafe fn new(page: NonNull<bindings::page>, write: bool) -> Self {
        // INVARIANT: By this function's contract.
        Self {
            page,
            write,
            _pin: PhantomData,
        }
    }

    /// The same page, not to be written to unless `write`.
    #[must_use]
    pub fn restricted(self, write: bool) -> Self {
        // INVARIANT: It was pinned to be written to if it is writable still.
        Self {
            write: self.write && write,
            ..self
        }
    }

    /// The C page.
    pub(in crate::abstractions) fn as_raw(&self) -> *mut bindings::page {
        self.page.as_ptr()
    }

    /// How many of `count` bytes from `offset` on are in the page.
    fn length(offset: usize, count: usize) -> usize {
        min(PAGE_SIZE.saturating_sub(offset), count)
    }

    /// Copies bytes from `offset` on to `buffer`, as many as there are. Returns how
    /// many.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let length = Self::length(offset, buffer.len());
        if length != 0 {
            let to = buffer.as_mut_ptr().cast();
            // SAFETY: The page is pinned; as many bytes are in it and in the buffer.
            unsafe { bindings::vfio_rust_copy_from_page(to, self.page.as_ptr(), offset, length) };
        }
        length
    }

    /// Copies `bytes` to `offset`, as many as there is room for. Returns how many: none, if
    /// the page may not be written to.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> usize {
        let length = Self::length(offset, bytes.len());
        if length == 0 || !self.write {
            return 0;
        }
        let from = bytes.as_ptr().cast();
        // SAFETY: The page is pinned to be written to; as many bytes are in it and in `bytes`.
        unsafe { bindings::vfio_rust_copy_to_page(self.page.as_ptr(), offset, from, length) };
        length
    }
}

/// A page that is unpinned when this is dropped.
///
/// # Invariants
///
/// The page has a pin that this value owns; if `write`, one to write to it.
pub struct PinnedPage {
    page: NonNull<bindings::page>,
    write: bool,
}

// SAFETY: Pages may be used and unpinned from any thread.
unsafe impl Send for PinnedPage {}
// SAFETY: With a shared reference bytes are copied, as their user may do as well.
unsafe impl Sync for PinnedPage {}

impl PinnedPage {
    /// Takes a pin over.
    ///
    /// # Safety
    ///
    /// The caller owns a pin of the page and gives it up; if `write`, one to write to it.
    pub unsafe fn from_raw(page: NonNull<bindings::page>, write: bool) -> Self {
        // INVARIANT: By this function's contract.
        Self { page, write }
    }

    /// The page.
    pub fn page(&self) -> UserPage<'_> {
        // SAFETY: By the type invariant it is pinned as long as this value exists.
        unsafe { UserPage::new(self.page, self.write) }
    }
}

impl Drop for PinnedPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the pin is ours, and it ends here. A page that may
        // have been written to is marked as dirty.
        unsafe { bindings::unpin_user_page_range_dirty_lock(self.page.as_ptr(), 1, self.write) };
    }
}
