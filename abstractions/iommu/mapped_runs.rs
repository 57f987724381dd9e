// SPDX-License-Identifier: GPL-2.0

//! Page frames that devices reach: the runs of one mapping, and which domains have them.
//!
//! A [`DmaRuns`] maps its runs in the domains of a container, and lets go of a run only when it has
//! unmapped it in all of them, and the IOMMUs' caches are flushed.
//!
//! C header: [`include/linux/iommu.h`](srctree/include/linux/iommu.h)

use crate::abstractions::{
    iommu::{
        domain::Prot,
        domains::{
            DomainList,
            Domains,
            MapError, //
        },
        held_run::HeldRun, //
    },
    mm::pinned_pages::{
        unpin,
        DmaRun, //
    },
    scheduler::cond_resched, //
};
use crate::{
    coverage::Coverage,
    range::IovaRange,
    run::{
        Kind,
        Run, //
    },
    run_list::RunList, //
};
use core::{
    iter,
    mem::ManuallyDrop,
    ops::Range,
    ptr, //
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::Arc, //
};

/// The runs that are mapped for DMA, in the order of their I/O addresses, without gaps.
///
/// Runs that are still here when this is dropped stay pinned for good: a
/// device may still reach them, and memory that is lost is better than memory
/// that is overwritten.
///
/// # Invariants
///
/// Each page of the runs of [`Kind::Pinned`] has a pin that this value owns; if a device may
/// write, one to write to it. `pages` is the sum of the lengths of all runs, and as many pages
/// have I/O addresses from `base` on.
///
/// The domains have at most the pages that `coverage` says, less those of the runs of
/// [`Kind::Revoked`].
pub(crate) struct DmaRuns {
    runs: RunList,
    pages: u64,
    coverage: Coverage,
    base: u64,
    prot: Prot,
    domains: Arc<Domains>,
}

/// Why a run could not be added.
pub(crate) enum AddError {
    /// There is no room for it.
    Full(DmaRun),
    /// It is the last one, and mapped in no domain: it can be [taken](DmaRuns::take).
    Unmapped(Error),
    /// It is the last one, and mapped in some domains, which could not undo that.
    Stuck,
}

impl From<MapError> for AddError {
    fn from(error: MapError) -> Self {
        match error {
            MapError::Unmapped(error) => Self::Unmapped(error),
            MapError::Stuck => Self::Stuck,
        }
    }
}

/// The last few runs of a [`DmaRuns`].
#[derive(Clone, Copy)]
pub(crate) struct Tail {
    runs: usize,
    pages: u64,
    revoked: bool,
}

impl Tail {
    /// Whether no run is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs == 0
    }
}

/// Where [`DmaRuns::join_step()`] is.
#[derive(Default)]
pub(crate) struct Position {
    /// The address of the runs, once there has been a step.
    owner: usize,
    /// In which piece of the list,
    piece: usize,
    /// at which page that begins,
    first: u64,
    /// and at which page of all.
    page: u64,
}

impl DmaRuns {
    /// No runs. Those that will come are at the I/O addresses from `base` on, and devices
    /// in `domains` get `prot` to them.
    pub(crate) fn new(base: u64, prot: Prot, domains: Arc<Domains>) -> Self {
        // INVARIANT: There are no runs.
        Self {
            runs: RunList::new(),
            pages: 0,
            coverage: Coverage::default(),
            base,
            prot,
            domains,
        }
    }

    /// The number of pages of all runs.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// The domains that the runs are mapped in.
    pub(crate) fn domains(&self) -> &Domains {
        &self.domains
    }

    /// Makes room for one more run.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn reserve(&mut self) -> Result {
        Ok(self.runs.reserve()?)
    }

    /// Appends `run`, for which there must be room, and which must have been found for the
    /// same access.
    ///
    /// # Errors
    ///
    /// The run, if there is no room, or no address for all of its pages.
    fn push(&mut self, run: DmaRun) -> Result<(), DmaRun> {
        let pages = self.pages.saturating_add(run.pages());
        let fits = pages
            .checked_mul(1 << PAGE_SHIFT)
            .is_some_and(|size| IovaRange::from_size(self.base, size).is_ok());
        if !fits || run.is_writable() != self.prot.write || !self.runs.push(run.run()) {
            return Err(run);
        }
        // INVARIANT: The pins move here, and there are addresses.
        self.pages = pages;
        let _ = ManuallyDrop::new(run);
        Ok(())
    }

    /// The address of the page with the given index, which is at most the number of pages.
    fn address_of(&self, page: u64) -> u64 {
        self.base.wrapping_add(page << PAGE_SHIFT)
    }

    /// Appends `run`, for which there must be room, and those that `next` gives after it, and maps
    /// each in all domains, or in none; in the one that is joining if that has the others. Those of
    /// `next` are mapped under one lock of the domains, since a lock that many take for each of
    /// their pages keeps them from being faster than one.
    ///
    /// # Errors
    ///
    /// [`AddError`], of the first run that had no room, or that an IOMMU driver did not take.
    pub(crate) fn add(
        &mut self,
        run: DmaRun,
        mut next: impl FnMut() -> Option<DmaRun>,
    ) -> Result<(), AddError> {
        self.push(run).map_err(AddError::Full)?;
        // Most often there is no other.
        let (coverage, mapped) = self.map_last(&self.domains.read());
        self.coverage = coverage;
        mapped?;
        let Some(mut run) = next() else {
            return Ok(());
        };
        let domains = self.domains.clone();
        let domains = domains.read();
        loop {
            if self.reserve().is_err() {
                return Err(AddError::Full(run));
            }
            self.push(run).map_err(AddError::Full)?;
            let (coverage, mapped) = self.map_last(&domains);
            self.coverage = coverage;
            mapped?;
            let Some(another) = next() else {
                return Ok(());
            };
            run = another;
        }
    }

    /// Maps the last run in `domains`, and tells what is mapped then. One that was revoked is not
    /// mapped.
    fn map_last(&self, domains: &DomainList) -> (Coverage, Result<(), MapError>) {
        let mut coverage = self.coverage;
        let last = self.runs.last();
        let Some(run) = last.filter(|run| run.kind() != Kind::Revoked) else {
            return (coverage, Ok(()));
        };
        let (end, first) = (self.pages, self.pages.saturating_sub(run.pages()));
        // SAFETY: It is pinned, or watched, while it is in the list, which is borrowed.
        let run = unsafe { HeldRun::new(run) };
        let round = domains.round();
        let is_joined = coverage.is_joined(round);
        let result = domains.map(self.address_of(first), run, self.prot, is_joined);
        if !matches!(result, Err(MapError::Unmapped(_))) {
            // INVARIANT: A domain that it is stuck in may have it.
            coverage.extend(round, end);
        }
        (coverage, result)
    }

    /// Maps up to `max_runs` runs, and no more than what reaches `max_pages`, in the domain that is
    /// joining: whether there is more to do. Others add and remove runs meanwhile. The lock of
    /// the domains is taken.
    ///
    /// # Errors
    ///
    /// Those of the IOMMU driver; `EIO`, if `position` is that of other runs.
    pub(crate) fn join_step(
        &mut self,
        position: &mut Position,
        max_runs: usize,
        max_pages: u64,
    ) -> Result<bool> {
        let owner = ptr::from_ref(self).addr();
        let domains = self.domains.read();
        let round = domains.round();
        let Some(paging) = domains.joining() else {
            return Ok(false);
        };
        let limit = position.page.saturating_add(max_pages);
        let mut left = max_runs;
        while let Some(runs) = self.runs.piece(position.piece) {
            let mut first = position.first;
            for run in runs {
                let (start, end) = (first, first.saturating_add(run.pages()));
                first = end;
                if end <= position.page {
                    continue;
                }
                // Pages go only from the end, and come only in all domains once this one has
                // all: so it has none, up to here, or all.
                if self.coverage.is_joined(round) || left == 0 || position.page >= limit {
                    return Ok(!self.coverage.is_joined(round));
                }
                let is_next = start == position.page
                    && position.page == self.coverage.joined(round)
                    && (position.page == 0 || position.owner == owner);
                if !is_next || end > self.coverage.mapped() {
                    return Err(EIO);
                }
                if run.kind() != Kind::Revoked {
                    // SAFETY: It is pinned, or watched, while it is in the list, which is borrowed.
                    let run = unsafe { HeldRun::new(run) };
                    paging.map(self.address_of(start), run, self.prot)?;
                }
                // INVARIANT: It has the pages below the end now.
                self.coverage.join(round, end);
                position.owner = owner;
                position.page = end;
                left = left.saturating_sub(1);
            }
            if self.coverage.is_joined(round) {
                break;
            }
            // There is another piece, so this one stays as it is unless all are joined.
            position.piece = position.piece.saturating_add(1);
            position.first = first;
        }
        Ok(!self.coverage.is_joined(round))
    }

    /// The last runs: at least one, at most `max_runs`, and no more than what
    /// reaches `max_pages`; either all of them or none was revoked. None, if
    /// there are no runs.
    fn tail(&self, max_runs: usize, max_pages: u64) -> Tail {
        let is_revoked = |run: Run| run.kind() == Kind::Revoked;
        // Most lists.
        if let RunList::Few(run) = &self.runs {
            return Tail {
                runs: run.iter().len(),
                pages: self.pages,
                revoked: run.is_some_and(is_revoked),
            };
        }
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

    /// The last run, for who could not [add](Self::add) it.
    pub(crate) fn last(&self) -> Tail {
        self.tail(1, u64::MAX)
    }

    /// Unmaps some of the last runs in all domains, `max_runs` at most, and no more than
    /// what reaches `max_pages`: they can be [taken](Self::take) then. The IOMMUs' caches are
    /// flushed. The lock of the domains is taken.
    ///
    /// # Errors
    ///
    /// `EIO`: an IOMMU driver failed to unmap some of them. All are kept.
    pub(crate) fn unmap_tail(&mut self, max_runs: usize, max_pages: u64) -> Result<Tail> {
        let tail = self.tail(max_runs, max_pages);
        let first = self.pages.saturating_sub(tail.pages);
        if !tail.revoked {
            self.unmap(iter::once(&(first..self.pages)))?;
        }
        // INVARIANT: They were unmapped, just now or when they were revoked.
        self.coverage.shrink(first);
        Ok(tail)
    }

    /// Unmaps the pages with the given indices in all domains that have them.
    fn unmap<'a>(&self, pages: impl Iterator<Item = &'a Range<u64>> + Clone) -> Result {
        let below = |end: u64| {
            pages.clone().filter_map(move |pages| {
                let end = pages.end.min(end);
                (pages.start < end).then_some(())?;
                let last = self.address_of(end).wrapping_sub(1);
                IovaRange::new(self.address_of(pages.start), last)
            })
        };
        let domains = self.domains.read();
        let joined = self.coverage.joined(domains.round());
        domains.unmap(below(self.coverage.mapped()), below(joined))
    }

    /// Unmaps the runs of device memory in `ranges` of pages, which ascend, in all domains, and
    /// marks them as revoked. They begin and end there, because runs of different devices are
    /// never joined. The lock of the domains is taken.
    ///
    /// # Errors
    ///
    /// `EIO`: an IOMMU driver failed to unmap some of them. None is marked.
    pub(crate) fn revoke<'a>(
        &mut self,
        ranges: impl Iterator<Item = &'a Range<u64>> + Clone,
    ) -> Result {
        self.unmap(ranges.clone())?;
        let mut ranges = ranges.peekable();
        let mut page = 0u64;
        self.runs.revoke(|run| {
            cond_resched();
            let (start, end) = (page, page.saturating_add(run.pages()));
            page = end;
            while ranges.next_if(|pages| pages.end <= start).is_some() {}
            let pages = ranges.peek()?;
            // INVARIANT: No domain has it any more.
            Some(start >= pages.start && end <= pages.end && run.kind() == Kind::Device)
        });
        Ok(())
    }

    /// Moves some of the last runs to `released`, as many as are left of `tail` at most, and none
    /// that a domain may have.
    pub(crate) fn take(&mut self, tail: &mut Tail, released: &mut ReleasedRuns) {
        released.unpin();
        released.write = self.prot.write;
        // INVARIANT: The pins move there.
        for slot in released.runs.iter_mut() {
            let Some(left) = tail.runs.checked_sub(1) else {
                break;
            };
            tail.runs = left;
            let pages = self.runs.last().map_or(0, |run| run.pages());
            let first = self.pages.saturating_sub(pages);
            if first < self.coverage.mapped() {
                break;
            }
            *slot = self.runs.pop();
            self.pages = first;
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
