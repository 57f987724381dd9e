// SPDX-License-Identifier: GPL-2.0

//! Memory of a user that stays where it is while a device reaches it.
//!
//! A [`PinBatch`] pins pages and hands them out as runs of consecutive page
//! frames, [`DmaRun`].
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use crate::abstractions::mm::user_memory::{
    OwnMm,
    ReadLockedMm, //
};
use crate::run::{
    Kind,
    Run, //
};
use core::{
    mem::ManuallyDrop,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::prelude::*;
use vfio::{
    abstractions::{
        bindings,
        mm::user_page::PinnedPage, //
    },
    notifier::WatchedMemory, //
};

/// Pages that were pinned in one go, less those that were taken out again.
///
/// Pages that are left when the batch is dropped or filled anew are unpinned.
///
/// # Invariants
///
/// The pages from index `taken` on are pinned, and this value owns the pins.
pub(crate) struct PinBatch {
    pages: Pages,
    taken: usize,
    write: bool,
}

/// Pages that were pinned, and room for them.
enum Pages {
    /// A single page needs no allocation.
    One(Option<*mut bindings::page>),
    Many(KVVec<*mut bindings::page>),
}

impl Pages {
    fn as_slice(&self) -> &[*mut bindings::page] {
        match self {
            Self::One(page) => page.as_slice(),
            Self::Many(pages) => pages,
        }
    }

    fn clear(&mut self) {
        match self {
            Self::One(page) => *page = None,
            Self::Many(pages) => pages.clear(),
        }
    }
}

impl PinBatch {
    /// An empty batch for up to `capacity` pages. If `write`, a device may
    /// write to them.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(capacity: usize, write: bool) -> Result<Self> {
        let pages = match capacity {
            0 | 1 => Pages::One(None),
            _ => Pages::Many(KVVec::with_capacity(capacity, GFP_KERNEL)?),
        };
        // INVARIANT: There are no pages.
        Ok(Self {
            pages,
            taken: 0,
            write,
        })
    }

    /// Pins up to `limit` pages from `address` on, but not more than there is
    /// capacity for. Whoever has to wait for a page lets go of the mmap lock meanwhile
    /// where the kernel can, and can be killed: so VMAs that were found before are no longer
    /// valid.
    ///
    /// # Errors
    ///
    /// `EFAULT`: there is no memory at `address`, not with this access, or it
    /// is not made of pages that can be pinned for long. `EOPNOTSUPP`,
    /// `EHWPOISON`, `ENOMEM`, `EINTR` as `pin_user_pages_remote()` has them.
    pub(crate) fn pin(
        &mut self,
        mm: &mut ReadLockedMm<'_>,
        address: usize,
        limit: usize,
    ) -> Result {
        self.pin_with(limit, |room, count, flags| {
            let mut locked = 1;
            // SAFETY: The mmap lock is held for reading, and there is room for `count` pointers.
            let pinned = unsafe {
                bindings::pin_user_pages_remote(
                    mm.as_raw(),
                    address,
                    count,
                    flags,
                    room,
                    &raw mut locked,
                )
            };
            if locked == 0 {
                // SAFETY: The function has let go of the lock.
                unsafe { mm.relock() };
            }
            pinned
        })
    }

    /// Does the same for memory of the current process, without the mmap lock as far as
    /// pages are present, and at half the cost. It may be refused where
    /// [`pin()`](Self::pin) would not, for no lock is held over all of it.
    ///
    /// # Errors
    ///
    /// Those of `pin()`, and `EAGAIN`: the task is being killed.
    pub(crate) fn pin_own(&mut self, _own: OwnMm<'_>, address: usize, limit: usize) -> Result {
        // CAST: It is positive.
        let limit = limit.min(c_int::MAX as usize);
        self.pin_with(limit, |room, count, flags| {
            // CAST: Not more than the limit.
            let count = count as c_int;
            // SAFETY: The current task has an address space, whose page tables the function looks
            // at, and there is room for `count` pointers.
            let pinned = unsafe { bindings::pin_user_pages_fast(address, count, flags, room) };
            pinned as isize
        })
    }

    /// Has up to `limit` pages pinned by `pin`, which gets room for pointers, how many fit
    /// there, and flags, and returns how many it has pinned, or an errno.
    fn pin_with(
        &mut self,
        limit: usize,
        pin: impl FnOnce(*mut *mut bindings::page, usize, u32) -> isize,
    ) -> Result {
        self.unpin();
        let mut flags = bindings::FOLL_LONGTERM;
        if self.write {
            flags |= bindings::FOLL_WRITE;
        }
        let mut one = ptr::null_mut();
        let pinned = match &mut self.pages {
            Pages::One(_) => pin(&raw mut one, limit.min(1), flags),
            Pages::Many(pages) => pin(pages.as_mut_ptr(), limit.min(pages.capacity()), flags),
        };
        match usize::try_from(pinned) {
            Ok(0) => return Err(EFAULT),
            // CAST: Errors are small negative numbers.
            Err(_) => return Err(Error::from_errno(pinned as c_int)),
            // INVARIANT: The pages are pinned, none is taken.
            Ok(count) => match &mut self.pages {
                Pages::One(page) => *page = Some(one),
                // SAFETY: That many pointers were written, at most as many as there is room for.
                Pages::Many(pages) => unsafe { pages.inc_len(count) },
            },
        }
        Ok(())
    }

    /// Whether a device may write to the pages.
    pub(crate) fn is_writable(&self) -> bool {
        self.write
    }

    /// Whether no page is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.pages.as_slice().len()
    }

    /// How many pages are left.
    pub(crate) fn len(&self) -> usize {
        self.pages.as_slice().len().saturating_sub(self.taken)
    }

    /// Takes one page out.
    pub(crate) fn take_page(&mut self) -> Option<PinnedPage> {
        let page = NonNull::new(*self.pages.as_slice().get(self.taken)?)?;
        // INVARIANT: The pin of this page moves out.
        // OVERFLOW: There is one more page.
        self.taken += 1;
        // SAFETY: By the type invariant the pin is ours, and we give it up.
        Some(unsafe { PinnedPage::from_raw(page, self.write) })
    }

    /// How many of the pages count as locked memory of the user: all but
    /// reserved ones, which are not the user's.
    pub(crate) fn chargeable(&self) -> usize {
        let mut position = self.taken;
        let mut count = 0;
        while let Some(first) = self.pages.as_slice().get(position) {
            let length = self.contiguous(position);
            // SAFETY: The page is pinned, hence valid.
            if !unsafe { bindings::vfio_rust_page_is_reserved(*first) } {
                count += length;
            }
            position += length;
        }
        count
    }

    /// Takes consecutive pages out, at most `limit`.
    pub(crate) fn take_run(&mut self, limit: u64) -> Option<DmaRun> {
        let first = *self.pages.as_slice().get(self.taken)?;
        let pages = (self.contiguous(self.taken) as u64)
            .min(limit)
            .min(Run::MAX_PAGES);
        // SAFETY: The page is pinned, hence valid.
        let pfn = unsafe { bindings::vfio_rust_page_to_pfn(first) };
        let run = Run::new(pfn as u64, pages, Kind::Pinned)?;
        // INVARIANT: The pins of these pages move into the run.
        // OVERFLOW: There are at most as many pages as are left.
        self.taken += pages as usize;
        Some(DmaRun {
            run,
            write: self.write,
            memory: None,
        })
    }

    /// How many pages from `position`, which is below the length, on are
    /// consecutive.
    fn contiguous(&self, position: usize) -> usize {
        let Some(pages) = self.pages.as_slice().get(position..) else {
            return 0;
        };
        if pages.is_empty() {
            return 0;
        }
        // SAFETY: The slice is not empty, and its pages are valid.
        unsafe { bindings::vfio_rust_num_pages_contiguous(pages.as_ptr().cast_mut(), pages.len()) }
    }

    /// Unpins what is left.
    pub(crate) fn unpin(&mut self) {
        if let Some(left) = self.pages.as_slice().get(self.taken..) {
            if !left.is_empty() {
                // SAFETY: By the type invariant these pages are pinned by us.
                // Nothing was written to them. The function only reads the list.
                unsafe { bindings::unpin_user_pages(left.as_ptr().cast_mut(), left.len()) };
            }
        }
        // INVARIANT: There are no pages.
        self.pages.clear();
        self.taken = 0;
    }
}

impl Drop for PinBatch {
    fn drop(&mut self) {
        self.unpin();
    }
}

/// Consecutive page frames that may be mapped for DMA.
///
/// Pinned pages are unpinned when this is dropped.
///
/// # Invariants
///
/// If the run is of [`Kind::Pinned`], each of its pages has a pin that this
/// value owns; if `write`, one to write to it.
pub(crate) struct DmaRun {
    run: Run,
    write: bool,
    /// Whose memory it is, if it is a device's and can be taken away.
    memory: Option<WatchedMemory>,
}

impl DmaRun {
    /// `pages` page frames from `pfn` on, memory of a device that was found by
    /// [`pfnmap_lookup`](crate::abstractions::mm::pfnmap_lookup), for a device that may `write`.
    ///
    /// `None` if that is no [`Run`].
    pub(in crate::abstractions) fn of_device(
        pfn: u64,
        pages: u64,
        write: bool,
        memory: Option<WatchedMemory>,
    ) -> Option<Self> {
        // INVARIANT: Nothing is pinned.
        Some(Self {
            run: Run::new(pfn, pages, Kind::Device)?,
            write,
            memory,
        })
    }

    /// The page frames, with their pins if they have any, which stay those of `self`.
    pub(in crate::abstractions) fn run(&self) -> Run {
        self.run
    }

    /// Whether a device may write to it.
    pub(in crate::abstractions) fn is_writable(&self) -> bool {
        self.write
    }

    /// Whose memory it is, if it is a device's and can be taken away.
    pub(crate) fn device_memory(&self) -> Option<WatchedMemory> {
        self.memory
    }

    /// The number of pages.
    pub(crate) fn pages(&self) -> u64 {
        self.run.pages()
    }

    /// Appends `next` if it follows this run immediately, is of the same kind
    /// and of the same device, and the sum is at most `limit` pages.
    ///
    /// # Errors
    ///
    /// `next`, if it cannot be appended.
    pub(crate) fn append(&mut self, next: DmaRun, limit: u64) -> Result<(), DmaRun> {
        let joined = self.run.joined(&next.run, limit);
        match joined.filter(|_| self.write == next.write && self.memory == next.memory) {
            Some(run) => {
                // INVARIANT: The pins of `next` move here.
                self.run = run;
                let _ = ManuallyDrop::new(next);
                Ok(())
            }
            None => Err(next),
        }
    }
}

impl Drop for DmaRun {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the pins are ours, and they end here.
        unsafe { unpin(self.run, self.write) };
    }
}

/// Unpins the pages of `run`, and marks them as dirty if a device may `write`.
///
/// # Safety
///
/// If the run is of [`Kind::Pinned`], the caller owns a pin of each page and
/// gives it up.
pub(in crate::abstractions) unsafe fn unpin(run: Run, write: bool) {
    if run.kind() != Kind::Pinned {
        return;
    }
    // CAST: Page frame numbers and counts of pinned memory fit the CPU's words.
    // SAFETY: The page frames are pinned memory, hence have struct pages.
    let page = unsafe { bindings::vfio_rust_pfn_to_page(run.pfn() as usize) };
    // SAFETY: The caller gives up the pins of these pages.
    unsafe { bindings::unpin_user_page_range_dirty_lock(page, run.pages() as usize, write) };
}
