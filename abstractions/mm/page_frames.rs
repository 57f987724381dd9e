// SPDX-License-Identifier: GPL-2.0

//! Memory of the kernel that users map by page frame numbers: what an emulated
//! device has in place of a BAR.
//!
//! C headers: [`include/linux/gfp.h`](srctree/include/linux/gfp.h),
//! [`include/linux/highmem.h`](srctree/include/linux/highmem.h)

use crate::abstractions::{
    bindings,
    nospec, //
};
use core::cmp::min;
use kernel::{
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// One page and its number.
///
/// It is marked as reserved: nobody may take references to it, as nobody may to
/// a page frame of a BAR.
struct PageFrame {
    page: Page,
    pfn: u64,
}

impl PageFrame {
    fn new() -> Result<Self> {
        let page = Page::alloc_page(GFP_KERNEL | __GFP_ZERO)?;
        // SAFETY: The page is ours alone.
        let pfn = unsafe { bindings::vfio_rust_reserve_page(page.as_ptr()) } as u64;
        Ok(Self { page, pfn })
    }
}

impl Drop for PageFrame {
    fn drop(&mut self) {
        // SAFETY: The page is ours, and `new()` has reserved it.
        unsafe { bindings::vfio_rust_unreserve_page(self.page.as_ptr()) };
    }
}

/// What a transfer has to do with one page.
///
/// # Invariants
///
/// `start + length` is at most the size of a page, and `done + length` at most
/// the length of the transfer.
struct Part<'a> {
    frame: &'a PageFrame,
    /// Where in the page it starts.
    start: usize,
    length: usize,
    /// How many bytes of the transfer come before it.
    done: usize,
}

/// Pages that users map by their page frame numbers.
///
/// They are freed when this is dropped. Who maps them by [`Fault::insert_page()`] has the inode of
/// the device keep them, which goes after the device's last file and its release notifiers: no
/// mapping is left then, be it of a CPU or of an IOMMU.
///
/// Users change the bytes at any time, so they are only ever copied.
///
/// [`Fault::insert_page()`]: super::pfnmap::Fault::insert_page
pub struct PageFrames(KVec<PageFrame>);

impl PageFrames {
    /// Allocates `count` pages, all zero.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(count: usize) -> Result<Self> {
        let mut pages = KVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            pages.push(PageFrame::new()?, GFP_KERNEL)?;
        }
        Ok(Self(pages))
    }

    /// The page frame number of the page with an index, if there is one.
    pub(in crate::abstractions) fn pfn(&self, index: u64) -> Option<u64> {
        let frame = nospec::get(&self.0, usize::try_from(index).ok()?)?;
        Some(frame.pfn)
    }

    /// Size in bytes.
    pub fn size(&self) -> usize {
        self.0.len().saturating_mul(PAGE_SIZE)
    }

    /// The parts, of a page each, of `count` bytes from `offset` on, as far as
    /// there are any.
    fn parts(&self, offset: usize, count: usize) -> impl Iterator<Item = Part<'_>> {
        let end = offset.saturating_add(count).min(self.size());
        let mut position = offset;
        core::iter::from_fn(move || {
            let frame = nospec::get(&self.0, position / PAGE_SIZE)?;
            let start = position % PAGE_SIZE;
            let length = min(PAGE_SIZE.saturating_sub(start), end.checked_sub(position)?);
            if length == 0 {
                return None;
            }
            let done = position.saturating_sub(offset);
            position = position.saturating_add(length);
            // INVARIANT: The part ends with the page, and with the bytes.
            Some(Part {
                frame,
                start,
                length,
                done,
            })
        })
    }

    /// Copies bytes from `offset` on to `buffer`, as many as there are. Returns
    /// how many.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let mut copied = 0;
        for part in self.parts(offset, buffer.len()) {
            let to = buffer.as_mut_ptr().wrapping_add(part.done);
            let page = part.frame.page.as_ptr();
            // SAFETY: By its invariants the part is one of the page, and of the
            // buffer.
            unsafe { bindings::vfio_rust_copy_from_page(to.cast(), page, part.start, part.length) };
            copied = part.done.saturating_add(part.length);
        }
        copied
    }

    /// Copies `bytes` to `offset`, as many as there is room for. Returns how
    /// many.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> usize {
        let mut copied = 0;
        for part in self.parts(offset, bytes.len()) {
            let from = bytes.as_ptr().wrapping_add(part.done);
            let page = part.frame.page.as_ptr();
            // SAFETY: By its invariants the part is one of the page, and of the
            // bytes.
            unsafe { bindings::vfio_rust_copy_to_page(page, part.start, from.cast(), part.length) };
            copied = part.done.saturating_add(part.length);
        }
        copied
    }

    /// Makes all bytes zero.
    pub fn clear(&self) {
        for frame in &self.0 {
            // SAFETY: The page is ours.
            unsafe { bindings::vfio_rust_clear_page(frame.page.as_ptr()) };
        }
    }
}
