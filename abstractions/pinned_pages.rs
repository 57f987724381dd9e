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
use crate::run::{
    Kind,
    Run, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Range, //
};
use kernel::{
    alloc::flags::__GFP_NOWARN,
    prelude::*, //
};
use vfio::abstractions::bindings;

/// Pages that were pinned in one go, less those that were taken out again.
///
/// Pages that are left when the batch is dropped or filled anew are unpinned.
///
/// # Invariants
///
/// The pages from index `taken` on are pinned, and this value owns the pins.
pub(crate) struct PinBatch {
    pages: KVVec<*mut bindings::page>,
    taken: usize,
    write: bool,
}

impl PinBatch {
    /// An empty batch for up to `capacity` pages. If `write`, a device may
    /// write to them.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(capacity: usize, write: bool) -> Result<Self> {
        // INVARIANT: There are no pages.
        Ok(Self {
            pages: KVVec::with_capacity(capacity, GFP_KERNEL)?,
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
        self.unpin();
        let count = limit.min(self.pages.capacity());
        let mut flags = bindings::FOLL_LONGTERM;
        if self.write {
            flags |= bindings::FOLL_WRITE;
        }
        let mut locked = 1;
        // SAFETY: The mmap lock is held for reading, the vector is empty and
        // has room for `count` pointers.
        let pinned = unsafe {
            bindings::pin_user_pages_remote(
                mm.as_raw(),
                address,
                count,
                flags,
                self.pages.as_mut_ptr(),
                &raw mut locked,
            )
        };
        if locked == 0 {
            // SAFETY: The function has let go of the lock.
            unsafe { mm.relock() };
        }
        match usize::try_from(pinned) {
            Ok(0) => Err(EFAULT),
            Ok(pinned) => {
                // SAFETY: That many pointers were written, at most `count`.
                // INVARIANT: The pages are pinned, none is taken.
                unsafe { self.pages.inc_len(pinned) };
                Ok(())
            }
            // CAST: Errors are small negative numbers.
            Err(_) => Err(Error::from_errno(pinned as c_int)),
        }
    }

    /// Whether no page is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.pages.len()
    }

    /// How many of the pages count as locked memory of the user: all but
    /// reserved ones, which are not the user's.
    pub(crate) fn chargeable(&self) -> usize {
        let mut position = self.taken;
        let mut count = 0;
        while let Some(first) = self.pages.get(position) {
            let length = self.contiguous(position);
            // SAFETY: The page is pinned, hence valid.
            let pfn = unsafe { bindings::vfio_rust_page_to_pfn(*first) };
            // SAFETY: Any number may be asked about.
            if unsafe { bindings::vfio_rust_pfn_is_ordinary(pfn) } {
                count += length;
            }
            position += length;
        }
        count
    }

    /// Takes consecutive pages out, at most `limit`.
    pub(crate) fn take_run(&mut self, limit: u64) -> Option<DmaRun> {
        let first = *self.pages.get(self.taken)?;
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
        let Some(pages) = self.pages.get(position..) else {
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
        if let Some(left) = self.pages.get_mut(self.taken..) {
            if !left.is_empty() {
                // SAFETY: By the type invariant these pages are pinned by us.
                // Nothing was written to them.
                unsafe { bindings::unpin_user_pages(left.as_mut_ptr(), left.len()) };
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
    runs: KVVec<Run>,
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
            runs: KVVec::new(),
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
        Ok(self.runs.reserve(1, GFP_KERNEL_ACCOUNT)?)
    }

    /// Gives back the room that is not used.
    pub(crate) fn shrink(&mut self) {
        // On failure the room is kept, which is as good. Lists can be longer than what may be
        // allocated without a warning.
        let _ = self.runs.shrink_to(0, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
    }

    /// Appends `run`, for which there must be room.
    ///
    /// # Errors
    ///
    /// The run, if there is no room.
    pub(crate) fn push(&mut self, run: DmaRun) -> Result<(), DmaRun> {
        if self.runs.push_within_capacity(run.run).is_err() {
            return Err(run);
        }
        // INVARIANT: The pins move here. Memory holds less than 2^64 pages.
        self.pages = self.pages.saturating_add(run.pages());
        let _ = ManuallyDrop::new(run);
        Ok(())
    }

    /// The last run.
    pub(crate) fn last(&self) -> Option<HeldRun<'_>> {
        self.runs.last().map(|run| HeldRun {
            run: *run,
            _owner: PhantomData,
        })
    }

    /// The runs from the one with the given index on, in ascending order of their I/O
    /// addresses.
    pub(crate) fn iter_from(&self, index: usize) -> impl Iterator<Item = HeldRun<'_>> {
        let runs = self.runs.get(index..).unwrap_or_default();
        runs.iter().map(|run| HeldRun {
            run: *run,
            _owner: PhantomData,
        })
    }

    /// The last runs: at least one, at most `max_runs`, and no more than what
    /// reaches `max_pages`; either all of them or none was revoked. None, if
    /// there are no runs.
    pub(crate) fn tail(&self, max_runs: usize, max_pages: u64) -> Tail {
        let is_revoked = |run: &Run| run.kind() == Kind::Revoked;
        let mut tail = Tail {
            runs: 0,
            pages: 0,
            revoked: self.runs.last().is_some_and(is_revoked),
        };
        for run in self.runs.iter().rev().take(max_runs) {
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
        let mut runs = self.runs.iter_mut();
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

    /// Takes out some of the last runs, as many as are left of `tail` at most. Their pages
    /// are unpinned when the result is dropped, for which no lock should be held.
    ///
    /// No device may reach them any more: they are unmapped, and the IOMMU's
    /// caches are flushed.
    pub(crate) fn take(&mut self, tail: &mut Tail) -> Option<Released> {
        let mut released = Released {
            runs: [None; Released::MAX_RUNS],
            write: self.write,
        };
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
        released.runs.first()?.is_some().then_some(released)
    }
}

/// Runs that no device reaches any more. Their pages are unpinned when this is dropped.
///
/// # Invariants
///
/// Each page of the runs of [`Kind::Pinned`] has a pin that this value owns.
pub(crate) struct Released {
    runs: [Option<Run>; Self::MAX_RUNS],
    write: bool,
}

impl Released {
    /// What is small enough for the stack.
    const MAX_RUNS: usize = 32;
}

impl Drop for Released {
    fn drop(&mut self) {
        for run in self.runs.iter().flatten() {
            // SAFETY: By the type invariant the pins are ours, and they end here.
            unsafe { unpin(*run, self.write) };
        }
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
