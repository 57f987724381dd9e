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
    container::Shared,
    device_memory::{
        DeviceMemory,
        Devices,
        Watched, //
    },
    domain::{
        self,
        Domain,
        MapError, //
    },
    pin::Pinner,
    range::IovaRange,
    request::MapRequest,
    run::Run, //
};
use core::{
    iter,
    ops::Range, //
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::Arc, //
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
/// of the container. There are none as long as it has no domain.
///
/// What may be mapped anywhere is kept: a page is pinned and charged, a device
/// watched. That holds for what an IOMMU driver fails to unmap as well, until the
/// domain goes.
pub(crate) struct Mapping {
    range: IovaRange,
    vaddr: usize,
    access: Access,
    runs: DmaRuns,
    memory: LockedMemory,
    devices: Option<KBox<DeviceMemory>>,
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
            devices: None,
        })
    }

    /// The addresses that devices use.
    pub(crate) fn range(&self) -> IovaRange {
        self.range
    }

    /// Finds and pins all pages and maps them in all `domains`. Devices whose
    /// memory is found are watched in the name of `container`.
    ///
    /// # Errors
    ///
    /// Those of [`Pinner::next()`] and of the IOMMU drivers. The mapping may have
    /// some of its pages then, which [`clear()`](Self::clear) takes away.
    pub(crate) fn populate(&mut self, domains: &[Domain], container: &Arc<Shared>) -> Result {
        // Pages are left only where an IOMMU driver could not unmap them.
        if self.runs.pages() != 0 {
            return Err(EIO);
        }
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
            let mut devices = Devices {
                container,
                last: self.range.last(),
                memory: &mut self.devices,
            };
            let run = pinner.next(address, total - position, &mut self.memory, &mut devices)?;
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
        let first = self.runs.pages();
        if let (Some(source), Some(devices)) = (run.source(), &mut self.devices) {
            devices.add(source, first..first.saturating_add(run.pages()))?;
        }
        let iova = self.address_of(first);
        // INVARIANT: Behind the others, and mapped there before anybody looks.
        self.runs.push(run).map_err(|_| ENOMEM)?;
        let run = self.runs.last().ok_or(EIO)?;
        match domain::map(domains, iova, run, self.access) {
            Ok(()) => Ok(()),
            Err(MapError::Unmapped(error)) => {
                if let Some(last) = self.runs.tail(1, u64::MAX) {
                    self.runs.release(last);
                }
                Err(error)
            }
            // A device may reach it, so it stays in the list.
            Err(MapError::Stuck) => Err(EIO),
        }
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
            if !run.is_revoked() {
                paging.map(self.address_of(page), run, self.access)?;
            }
            page += run.pages();
            cond_resched();
        }
        Ok(())
    }

    /// Takes all pages away from devices, unpins them and ends the charge.
    ///
    /// Works from the end to the start, in steps: unmap in all `domains`, which
    /// flushes the IOMMU's caches, then unpin.
    ///
    /// Returns what has to be dropped without the container's mutex.
    ///
    /// # Errors
    ///
    /// `EIO`: an IOMMU driver failed to unmap some of the pages. The mapping keeps
    /// these, and those below them.
    pub(crate) fn clear(&mut self, domains: &[Domain]) -> Result<Option<KBox<DeviceMemory>>> {
        while let Some(tail) = self.runs.tail(CLEAR_RUNS, CLEAR_PAGES) {
            let first = self.runs.pages().saturating_sub(tail.pages());
            if !tail.is_revoked() {
                let pages = first..self.runs.pages();
                self.unmap(domains, iter::once(&pages))?;
            }
            self.runs.release(tail);
            cond_resched();
        }
        self.memory.uncharge();
        Ok(self.devices.take())
    }

    /// Unmaps the pages with the given indices in all `domains`.
    fn unmap<'a>(
        &self,
        domains: &[Domain],
        pages: impl Iterator<Item = &'a Range<u64>> + Clone,
    ) -> Result {
        let ranges = pages.filter_map(|pages| {
            let first = self.address_of(pages.start);
            IovaRange::new(first, self.address_of(pages.end).wrapping_sub(1))
        });
        domain::unmap(domains, ranges).inspect_err(|_| {
            let (first, last) = (self.range.start(), self.range.last());
            pr_err!(
                "A part of IOVA {first:#x} to {last:#x} cannot be unmapped: \
                 devices may still reach what is there\n"
            );
        })
    }

    /// Takes the memory of the device that was given the name `source` away
    /// from all devices, in whole ranges. The mapping itself stays until the
    /// user unmaps it.
    ///
    /// Returns the watch on that device, if the mapping has none of its memory any
    /// more. It has to be dropped without the container's mutex.
    pub(crate) fn revoke(&mut self, domains: &[Domain], source: u64) -> Option<Watched> {
        let mut devices = self.devices.take()?;
        let unmapped = self.unmap(domains, devices.ranges_of(source));
        let watched = unmapped.ok().and_then(|()| {
            self.runs.revoke(devices.ranges_of(source));
            devices.lose(source)
        });
        if !devices.is_empty() {
            self.devices = Some(devices);
        }
        watched
    }
}
