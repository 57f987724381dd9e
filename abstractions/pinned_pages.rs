// SPDX-License-Identifier: GPL-2.0

//! Memory of a user that stays where it is while a device reaches it.
//!
//! A [`PinBatch`] pins pages and hands them out as runs of consecutive page
//! frames, [`DmaRun`]. A [`DmaRuns`] is the compact memory of the runs that
//! are mapped for DMA.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use super::{
    scheduler::cond_resched,
    user_memory::ReadLockedMm, //
};
use crate::{
    run::{
        Kind,
        Run, //
    },
    run_list::RunList, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Range,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::prelude::*;
use vfio::abstractions::{
    bindings,
    user_page::PinnedPage, //
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
    pub(crate) fn pin_own(&mut self, address: usize, limit: usize) -> Result {
        self.pin_with(limit, |room, count, flags| {
            // CAST: That many pointers are in memory.
            let count = count as c_int;
            // SAFETY: There is room for `count` pointers.
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
            source: None,
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
/// value owns.
pub(crate) struct DmaRun {
    run: Run,
    write: bool,
    /// Which device's memory it is, if that can be taken away.
    source: Option<u64>,
}

impl DmaRun {
    /// Memory of a device, found by [`pfnmap_lookup`](super::pfnmap_lookup).
    ///
    /// `run` must be of [`Kind::Device`].
    pub(super) fn of_device(run: Run, source: Option<u64>) -> Self {
        // INVARIANT: Nothing is pinned.
        Self {
            run,
            write: false,
            source,
        }
    }

    /// Which device's memory it is, if that can be taken away.
    pub(crate) fn source(&self) -> Option<u64> {
        self.source
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
        match joined.filter(|_| self.write == next.write && self.source == next.source) {
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

/// Page frames that stay in place for `'a`: proof for those who map them.
#[derive(Clone, Copy)]
pub(crate) struct HeldRun<'a> {
    run: Run,
    _owner: PhantomData<&'a ()>,
}

impl HeldRun<'_> {
    /// Whether the page frames were taken away, so that they must not be
    /// mapped.
    pub(crate) fn is_revoked(&self) -> bool {
        self.run.kind() == Kind::Revoked
    }

    /// The number of the first page frame.
    pub(crate) fn pfn(&self) -> u64 {
        self.run.pfn()
    }

    /// The number of pages.
    pub(crate) fn pages(&self) -> u64 {
        self.run.pages()
    }
}

/// The runs that are mapped for DMA, in the order of their I/O addresses.
///
/// Runs that are still here when this is dropped stay pinned for good: a
/// device may still reach them, and memory that is lost is better than memory
/// that is overwritten.
///
/// # Invariants
///
/// Each page of the runs of [`Kind::Pinned`] has a pin that this value owns.
/// `pages` is the sum of the lengths of all runs.
pub(crate) struct DmaRuns {
    runs: RunList,
    pages: u64,
    write: bool,
}

/// The last few runs of a [`DmaRuns`].
#[derive(Clone, Copy)]
pub(crate) struct Tail {
    runs: usize,
    pages: u64,
    revoked: bool,
}

impl Tail {
    /// The number of pages in these runs.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Whether no run is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs == 0
    }

    /// Whether all these runs were taken away, so that nothing is mapped.
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked
    }
}

impl DmaRuns {
    /// No runs. If `write`, a device may write to those that will come.
    pub(crate) fn new(write: bool) -> Self {
        // INVARIANT: There are no runs.
        Self {
            runs: RunList::new(),
            pages: 0,
            write,
        }
    }

    /// The number of pages of all runs.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Makes room for one more run.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn reserve(&mut self) -> Result {
        Ok(self.runs.reserve()?)
    }

    /// Gives back the room that is not used.
    pub(crate) fn shrink(&mut self) {
        self.runs.shrink();
    }

    /// Appends `run`, for which there must be room.
    ///
    /// # Errors
    ///
    /// The run, if there is no room.
    pub(crate) fn push(&mut self, run: DmaRun) -> Result<(), DmaRun> {
        if !self.runs.push(run.run) {
            return Err(run);
        }
        // INVARIANT: The pins move here. Memory holds less than 2^64 pages.
        self.pages = self.pages.saturating_add(run.pages());
        let _ = ManuallyDrop::new(run);
        Ok(())
    }

    /// The last run.
    pub(crate) fn last(&self) -> Option<HeldRun<'_>> {
        self.runs.as_slice().last().map(|run| HeldRun {
            run: *run,
            _owner: PhantomData,
        })
    }

    /// The runs from the one with the given index on, in ascending order of their I/O
    /// addresses.
    pub(crate) fn iter_from(&self, index: usize) -> impl Iterator<Item = HeldRun<'_>> {
        let runs = self.runs.as_slice().get(index..).unwrap_or_default();
        runs.iter().map(|run| HeldRun {
            run: *run,
            _owner: PhantomData,
        })
    }

    /// The last runs: at least one, at most `max_runs`, and no more than what
    /// reaches `max_pages`; either all of them or none was revoked. None, if
    /// there are no runs.
    pub(crate) fn tail(&self, max_runs: usize, max_pages: u64) -> Tail {
        let runs = self.runs.as_slice();
        let is_revoked = |run: &Run| run.kind() == Kind::Revoked;
        let mut tail = Tail {
            runs: 0,
            pages: 0,
            revoked: runs.last().is_some_and(is_revoked),
        };
        for run in runs.iter().rev().take(max_runs) {
            if is_revoked(run) != tail.revoked {
                break;
            }
            tail.runs += 1;
            tail.pages = tail.pages.saturating_add(run.pages());
            if tail.pages >= max_pages {
                break;
            }
        }
        tail
    }

    /// Marks the runs of device memory in `ranges` of pages, which ascend, as
    /// revoked. They begin and end there, because runs of different devices are never
    /// joined.
    ///
    /// No device may reach them any more: they are unmapped, and the IOMMU's
    /// caches are flushed.
    pub(crate) fn revoke<'a>(&mut self, ranges: impl Iterator<Item = &'a Range<u64>>) {
        let mut runs = self.runs.as_mut_slice().iter_mut();
        let mut page = 0u64;
        for pages in ranges {
            while page < pages.end {
                let Some(run) = runs.next() else {
                    return;
                };
                if page >= pages.start && run.kind() == Kind::Device {
                    *run = run.revoked();
                }
                page = page.saturating_add(run.pages());
                cond_resched();
            }
        }
    }

    /// Moves some of the last runs to `released`, as many as are left of `tail` at most.
    ///
    /// No device may reach them any more: they are unmapped, and the IOMMU's
    /// caches are flushed.
    pub(crate) fn take(&mut self, tail: &mut Tail, released: &mut ReleasedRuns) {
        released.unpin();
        released.write = self.write;
        // INVARIANT: The pins move there.
        for slot in released.runs.iter_mut() {
            let Some(left) = tail.runs.checked_sub(1) else {
                break;
            };
            tail.runs = left;
            *slot = self.runs.pop();
            let pages = slot.map_or(0, |run| run.pages());
            self.pages = self.pages.saturating_sub(pages);
        }
    }
}

/// Runs that no device reaches any more. Their pages are unpinned by
/// [`unpin()`](Self::unpin), for which no lock should be held, or when this is dropped.
///
/// # Invariants
///
/// Each page of the runs of [`Kind::Pinned`] has a pin that this value owns. There is no run
/// behind the first `None`.
pub(crate) struct ReleasedRuns {
    runs: [Option<Run>; Self::MAX_RUNS],
    write: bool,
}

impl ReleasedRuns {
    /// What is small enough for the stack, and to be prepared for a single run.
    const MAX_RUNS: usize = 12;

    /// No runs.
    pub(crate) const fn new() -> Self {
        // INVARIANT: There are none.
        Self {
            runs: [None; Self::MAX_RUNS],
            write: false,
        }
    }

    /// Unpins all pages.
    pub(crate) fn unpin(&mut self) {
        for slot in self.runs.iter_mut() {
            // INVARIANT: It is not there any more.
            let Some(run) = slot.take() else {
                return;
            };
            // SAFETY: By the type invariant the pins were ours, and they end here.
            unsafe { unpin(run, self.write) };
        }
    }
}

impl Drop for ReleasedRuns {
    fn drop(&mut self) {
        self.unpin();
    }
}

impl Drop for DmaRuns {
    fn drop(&mut self) {
        if self.pages != 0 {
            pr_err!(
                "{} pages stay pinned, a device may still reach them\n",
                self.pages
            );
        }
    }
}

/// Unpins the pages of `run`, and marks them as dirty if a device may `write`.
///
/// # Safety
///
/// If the run is of [`Kind::Pinned`], the caller owns a pin of each page and
/// gives it up.
unsafe fn unpin(run: Run, write: bool) {
    if run.kind() != Kind::Pinned {
        return;
    }
    // CAST: Page frame numbers and counts of pinned memory fit the CPU's words.
    // SAFETY: The page frames are pinned memory, hence have struct pages.
    let page = unsafe { bindings::vfio_rust_pfn_to_page(run.pfn() as usize) };
    // SAFETY: The caller gives up the pins of these pages.
    unsafe { bindings::unpin_user_page_range_dirty_lock(page, run.pages() as usize, write) };
}
