// SPDX-License-Identifier: GPL-2.0

//! One mapping: user memory that devices see at a range of addresses.
//!
//! There is one place that gives a mapping its pages, [`Mapping::populate()`],
//! and one that takes them away, [`Mapping::clear()`].

use super::{
    abstractions::{
        iommu_domain::{
            Access,
            PagingDomain, //
        },
        locked_memory::LockedMemory,
        pinned_pages::{
            DmaRun,
            DmaRuns, //
        },
        scheduler::cond_resched,
        type1_parameters, //
    },
    domain::{
        self,
        Domain, //
    },
    pin::Pinner,
    range::IovaRange,
    request::MapRequest,
    run::Run, //
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*, //
};

/// How much [`Mapping::clear()`] unmaps between two flushes of the IOMMU's
/// caches, in runs and in pages. Pages can be unpinned only after a flush, so
/// larger is faster; but each step must end in time for other tasks to run.
const CLEAR_RUNS: usize = 4096;
const CLEAR_PAGES: u64 = 1 << (32 - PAGE_SHIFT);

/// User memory that devices see at a range of addresses.
///
/// # Invariants
///
/// `runs` are mapped from the start of `range` on, without gaps, in all domains
/// of the container.
pub(crate) struct Mapping {
    range: IovaRange,
    vaddr: usize,
    access: Access,
    runs: DmaRuns,
    memory: LockedMemory,
}

impl Mapping {
    /// A mapping of memory of the current process that has no pages yet.
    ///
    /// # Errors
    ///
    /// `ENODEV`: there is no process, the current task is a kernel thread.
    pub(crate) fn new(request: &MapRequest) -> Result<Self> {
        // INVARIANT: There are no runs.
        Ok(Self {
            range: request.range,
            vaddr: request.vaddr,
            access: request.access,
            runs: DmaRuns::new(request.access.write),
            memory: LockedMemory::of_current()?,
        })
    }

    /// The addresses that devices use.
    pub(crate) fn range(&self) -> IovaRange {
        self.range
    }

    /// Finds and pins all pages and maps them in all `domains`.
    ///
    /// # Errors
    ///
    /// Those of [`Pinner::next()`] and of the IOMMU drivers. The mapping has no
    /// pages then, and nothing is pinned, mapped or charged.
    pub(crate) fn populate(&mut self, domains: &[Domain]) -> Result {
        let result = self.try_populate(domains);
        if result.is_err() {
            self.clear(domains);
        }
        result
    }

    fn try_populate(&mut self, domains: &[Domain]) -> Result {
        let total = self.range.size() >> PAGE_SHIFT;
        let run_limit = if type1_parameters::disable_hugepages() {
            1
        } else {
            Run::MAX_PAGES
        };
        let mm = self.memory.mm().ok_or(ENODEV)?;
        let mut pinner = Pinner::new(&mm, total, self.access.write, run_limit)?;
        // A run goes to the IOMMU only when it cannot grow any more, so that
        // the largest pages can be used.
        let mut growing: Option<DmaRun> = None;
        let mut position = 0;
        while position < total {
            // CAST: The memory fits the address space, as the door has checked.
            let address = self.vaddr.wrapping_add((position as usize) << PAGE_SHIFT);
            let run = pinner.next(address, total - position, &mut self.memory)?;
            position += run.pages();
            let Some(mut grown) = growing.take() else {
                growing = Some(run);
                continue;
            };
            growing = match grown.append(run, run_limit) {
                Ok(()) => Some(grown),
                Err(next) => {
                    self.map_run(domains, grown)?;
                    Some(next)
                }
            };
        }
        if let Some(run) = growing {
            self.map_run(domains, run)?;
        }
        self.runs.shrink();
        Ok(())
    }

    /// Maps `run` behind the runs that there are.
    fn map_run(&mut self, domains: &[Domain], run: DmaRun) -> Result {
        self.runs.reserve()?;
        let iova = self.address_of(self.runs.pages());
        domain::map(domains, iova, run.held(), self.access)?;
        // INVARIANT: Just mapped behind the others.
        self.runs.push(run).map_err(|_| ENOMEM)
    }

    /// The address of the page with the given index.
    fn address_of(&self, page: u64) -> u64 {
        self.range.start().wrapping_add(page << PAGE_SHIFT)
    }

    /// Maps all pages in `paging`, a domain that is new in the container.
    ///
    /// # Errors
    ///
    /// Those of the IOMMU driver. Some pages may be mapped then.
    pub(crate) fn replay(&self, paging: &PagingDomain) -> Result {
        let mut page = 0;
        for run in self.runs.iter() {
            paging.map(self.address_of(page), run, self.access)?;
            page += run.pages();
            cond_resched();
        }
        Ok(())
    }

    /// Takes all pages away from devices, unpins them and ends the charge.
    ///
    /// Works from the end to the start, in steps: unmap in all `domains`, which
    /// flushes the IOMMU's caches, then unpin.
    pub(crate) fn clear(&mut self, domains: &[Domain]) {
        while let Some(tail) = self.runs.tail(CLEAR_RUNS, CLEAR_PAGES) {
            let first = self.address_of(self.runs.pages().saturating_sub(tail.pages()));
            let size = tail.pages() << PAGE_SHIFT;
            let unmapped = IovaRange::from_size(first, size)
                .map_err(Error::from)
                .and_then(|range| domain::unmap(domains, &range));
            if let Err(error) = unmapped {
                // The runs stay, and with them the pins.
                pr_err!("IOVA {first:#x}, {size:#x} bytes cannot be unmapped: {error:?}\n");
                return;
            }
            self.runs.release(tail);
            cond_resched();
        }
        self.memory.uncharge();
    }
}
