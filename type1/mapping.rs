// SPDX-License-Identifier: GPL-2.0

//! One mapping: user memory that devices see at a range of addresses.
//!
//! There is one place that gives a mapping its pages, [`Mapping::populate()`],
//! and one that takes them away, [`Mapping::clear()`]. Both are for who has the
//! [claim](super::claims) on the addresses, alone. Beside him a domain may join, and
//! a device go whose memory is in the mapping: so what has been done so far is behind
//! a lock, which is held for one step at a time, and never while user memory is
//! faulted in, pinned or unpinned.

use super::{
    abstractions::{
        iommu::{
            domain::Prot,
            domains::Domains,
            mapped_runs::{
                AddError,
                DmaRuns,
                Position,
                ReleasedRuns,
                Tail, //
            }, //
        },
        mm::{
            locked_memory::{
                Charging,
                LockedMemory,
                Owner,
                Uncharge, //
            },
            pinned_pages::{
                DmaRun,
                PinBatch, //
            },
            user_memory::ReadLockedMm, //
        },
        parameters::type1 as type1_parameters, //
    },
    device_memory::{
        DeviceMemory,
        Devices,
        Holder,
        Revoke,
        Watched, //
    },
    driver_pins::{
        DriverPins,
        Released,
        Slot, //
    },
    pin::Pinner,
    range::IovaRange,
    request::MapRequest,
    run::Run, //
};
use core::ops::Range;
use kernel::{
    mm::MmWithUser,
    new_mutex,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        MutexGuard, //
    }, //
};
use vfio::{
    abstractions::mm::user_page::PinnedPage,
    notifier::WatchedMemory, //
};

/// How much [`Mapping::clear()`] unmaps between two flushes of the IOMMU's
/// caches, in runs and in pages. Pages can be unpinned only after a flush, so
/// larger is faster; but each step must end in time for others to get the lock.
const CLEAR_RUNS: usize = 4096;
const CLEAR_PAGES: u64 = 1 << (32 - PAGE_SHIFT);

/// How many runs [`Mapping::populate()`] maps in one step, for the same reason. They are pinned, at
/// most as much as is pinned in one go.
const ADD_RUNS: usize = 512;

/// How much [`Mapping::join()`] maps in one step, in runs and in pages, for the same
/// reason.
const JOIN_RUNS: usize = 512;
const JOIN_PAGES: u64 = CLEAR_PAGES;

/// The pages that a bus driver has, in the order of their addresses.
pub(super) type PageList = KVec<Arc<PinnedPage>>;

/// What has been mapped so far.
///
/// # Invariants
///
/// `runs` are the pages from the start of the mapping's range on, mapped in the domains. Runs that
/// are not are there only while who works on the mapping takes them out.
///
/// What may be mapped anywhere is kept: a page is pinned and charged, a device
/// watched. That holds for what an IOMMU driver fails to unmap as well, until the
/// domain goes.
struct Pages {
    runs: DmaRuns,
    /// Few mappings have any.
    devices: Option<KBox<DeviceMemory>>,
    /// What bus drivers have pinned, apart from that.
    drivers: DriverPins,
}

/// User memory that devices see at a range of addresses.
///
/// What watches devices for it refers to it: so it has to be [cleared](Self::clear)
/// before it goes.
#[pin_data]
pub(super) struct Mapping {
    range: IovaRange,
    /// Where the user sees the memory. Changes only by who works on the mapping.
    vaddr: Atomic<usize>,
    prot: Prot,
    #[pin]
    memory: LockedMemory,
    cancelled: Atomic<bool>,
    #[pin]
    pages: Mutex<Pages>,
}

impl Mapping {
    /// A mapping of memory of the current process that has no pages yet.
    ///
    /// # Errors
    ///
    /// `ENODEV`: there is no process, the current task is a kernel thread. `ENOMEM`.
    pub(super) fn new(request: &MapRequest, domains: &Arc<Domains>) -> Result<Arc<Self>> {
        let owner = Owner::current()?;
        // Made where it is to be, since it is large.
        //
        // INVARIANT: There are no runs.
        let pages = init!(Pages {
            runs: DmaRuns::new(request.range.start(), request.prot, domains.clone()),
            devices: None,
            drivers: DriverPins::new(),
        });
        Arc::pin_init(
            pin_init!(Self {
                range: request.range,
                vaddr: Atomic::new(request.vaddr),
                prot: request.prot,
                memory <- LockedMemory::new(owner),
                cancelled: Atomic::new(false),
                pages <- new_mutex!(pages, "vfio_iommu_type1_mapping"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The addresses that devices use.
    pub(super) fn range(&self) -> IovaRange {
        self.range
    }

    /// The mapping has to go: who gives it its pages need not go on.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// The memory is at `vaddr` of the current process now, which is charged for it. Only for
    /// who works on the mapping.
    ///
    /// # Errors
    ///
    /// Those of [`LockedMemory::move_to_current()`].
    pub(super) fn move_to_current(&self, vaddr: usize) -> Result {
        self.memory.move_to_current()?;
        self.vaddr.store(vaddr, Relaxed);
        Ok(())
    }

    /// Whether it has any pages.
    pub(super) fn has_pages(&self) -> bool {
        self.pages.lock().runs.pages() != 0
    }

    /// Takes its lock and that of the domains once, and calls `inner` in them.
    pub(super) fn touch(&self, inner: impl FnOnce()) {
        self.pages.lock().runs.domains().touch(inner);
    }

    /// Finds and pins all pages and maps them in all domains; it has none so far. Devices
    /// whose memory is found are watched.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the mapping was [cancelled](Self::cancel), or its process has exited.
    /// `EFAULT`: a device was released whose memory was found. Those of
    /// [`Pinner::next()`] and of the IOMMU drivers. The mapping may have
    /// some of its pages then, which [`clear()`](Self::clear) takes away.
    pub(super) fn populate(self: &Arc<Self>) -> Result {
        let total = self.range.size() >> PAGE_SHIFT;
        let run_limit = if type1_parameters::disable_hugepages() {
            1
        } else {
            Run::MAX_PAGES
        };
        let charging = self.memory.charging().ok_or(ENODEV)?;
        let vaddr = self.vaddr.load(Relaxed);
        let mut pinner = Pinner::new(charging.mm(), total, self.prot.write, run_limit)?;
        let mut devices = Devices::new(self);
        // A run goes to the IOMMU only when it cannot grow any more, so that
        // the largest pages can be used.
        let mut growing: Option<DmaRun> = None;
        let mut position = 0;
        while position < total {
            if self.cancelled.load(Relaxed) {
                return Err(ENODEV);
            }
            // CAST: The memory fits the address space, as the door has checked.
            let address = vaddr.wrapping_add((position as usize) << PAGE_SHIFT);
            let charge = |batch: &PinBatch| self.charge(&charging, position, batch);
            let run = pinner.next(address, total - position, charge, &mut devices)?;
            devices.hand_over()?;
            position += run.pages();
            let Some(grown) = grow(&mut growing, run, run_limit) else {
                continue;
            };
            // What is pinned already is mapped with it.
            let mut left = ADD_RUNS;
            let pinned = || {
                left = left.checked_sub(1)?;
                loop {
                    let run = pinner.next_pinned(total - position)?;
                    position += run.pages();
                    if let Some(grown) = grow(&mut growing, run, run_limit) {
                        return Some(grown);
                    }
                }
            };
            drop(self.map_runs(grown, pinned, &devices)?);
        }
        if let Some(run) = growing {
            let _pages = self.map_runs(run, || None, &devices)?;
            // Who goes from here on goes after the mapping was made.
            if devices.any_lost() {
                return Err(EFAULT);
            }
        }
        Ok(())
    }

    /// Maps `run`, and those that `next` gives after it, behind the runs that there are. The lock
    /// is still held after that.
    ///
    /// # Errors
    ///
    /// `EFAULT`: it is memory of a device that was released after it was found.
    /// `ENOMEM`, and those of the IOMMU drivers.
    fn map_runs(
        &self,
        run: DmaRun,
        next: impl FnMut() -> Option<DmaRun>,
        devices: &Devices<'_, Self>,
    ) -> Result<MutexGuard<'_, Pages>> {
        let mut pages = self.pages.lock();
        let first = pages.runs.pages();
        let end = first.saturating_add(run.pages());
        pages.runs.reserve()?;
        if let Some(memory) = run.device_memory() {
            if devices.is_lost(memory) {
                return Err(EFAULT);
            }
            // It is watched, so there is a list.
            let watched = pages.devices.as_mut().ok_or(EFAULT)?;
            watched.add(memory, first..end)?;
        }
        // INVARIANT: Behind the others, and mapped there before anybody looks.
        match pages.runs.add(run, next) {
            Ok(()) => Ok(pages),
            Err(AddError::Full(run)) => {
                // Unpins, which is not done with a lock held.
                drop(pages);
                drop(run);
                Err(ENOMEM)
            }
            Err(AddError::Unmapped(error)) => {
                let mut released = ReleasedRuns::new();
                let mut last = pages.runs.last();
                pages.runs.take(&mut last, &mut released);
                drop(pages);
                released.unpin();
                Err(error)
            }
            // A device may reach it, so it stays in the list.
            Err(AddError::Stuck) => Err(EIO),
        }
    }

    /// The address of the page with the given index.
    fn address_of(&self, page: u64) -> u64 {
        self.range.start().wrapping_add(page << PAGE_SHIFT)
    }

    /// Maps all pages in the domain that is joining. Others may have the claim on
    /// the addresses, and add and remove pages meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the IOMMU driver. Some pages may be mapped then.
    pub(super) fn join(&self) -> Result {
        let mut position = Position::default();
        loop {
            let mut pages = self.pages.lock();
            if !pages.runs.join_step(&mut position, JOIN_RUNS, JOIN_PAGES)? {
                return Ok(());
            }
        }
    }

    /// Takes all pages away from devices and unpins them; their charge ends with `uncharge`. Waits
    /// until nobody is told any more that a device goes whose memory was mapped: no lock
    /// is held that the handler takes.
    ///
    /// Works from the end to the start, in steps: unmap in all domains, which
    /// flushes the IOMMU's caches, then unpin.
    ///
    /// # Errors
    ///
    /// `EIO`: an IOMMU driver failed to unmap some of the pages. The mapping keeps
    /// these, and those below them.
    pub(super) fn clear(&self, uncharge: &mut Uncharge) -> Result {
        let mut released = ReleasedRuns::new();
        while self.clear_step(&mut released, uncharge)? {}
        Ok(())
    }

    /// A step of [`clear()`](Self::clear): whether there is more to do.
    fn clear_step(&self, released: &mut ReleasedRuns, uncharge: &mut Uncharge) -> Result<bool> {
        let mut pages = self.pages.lock();
        let mut tail = self.unmap_tail(&mut pages)?;
        loop {
            pages.runs.take(&mut tail, released);
            let is_empty = pages.runs.pages() == 0;
            let devices = pages.devices.take_if(|_| is_empty);
            let charged = if is_empty {
                pages.drivers.clear_mark()
            } else {
                0
            };
            // The rest is done without the lock: it unpins, and waits.
            drop(pages);
            released.unpin();
            drop(devices);
            uncharge.add(&self.memory, charged);
            if is_empty || tail.is_empty() {
                return Ok(!is_empty);
            }
            pages = self.pages.lock();
        }
    }

    /// Unmaps some of the last runs in all domains.
    fn unmap_tail(&self, pages: &mut Pages) -> Result<Tail> {
        let tail = pages.runs.unmap_tail(CLEAR_RUNS, CLEAR_PAGES);
        tail.inspect_err(|_| self.complain())
    }

    /// An IOMMU driver has failed to unmap something.
    fn complain(&self) {
        let (first, last) = (self.range.start(), self.range.last());
        pr_err!(
            "A part of IOVA {first:#x} to {last:#x} cannot be unmapped: \
             devices may still reach what is there\n"
        );
    }

    /// Takes the lock once the user is charged for as many pages as `needed` tells then, which
    /// are `expected` unless bus drivers have some.
    ///
    /// # Errors
    ///
    /// Those of [`Charging::charge()`].
    fn lock_charged(
        &self,
        charging: &Charging<'_>,
        expected: usize,
        needed: impl Fn(&Pages) -> usize,
    ) -> Result<MutexGuard<'_, Pages>> {
        // Where that is beyond the limit, less may not be.
        let mut charged = match charging.try_charge(expected) {
            Ok(()) => expected,
            Err(_) => 0,
        };
        loop {
            let pages = self.pages.lock();
            let needed = needed(&pages);
            if needed == charged {
                return Ok(pages);
            }
            // Whoever charges waits for the mmap lock, and bus drivers come and go meanwhile.
            drop(pages);
            match needed.checked_sub(charged) {
                Some(more) => charging
                    .charge(more)
                    .inspect_err(|_| self.memory.uncharge(charged))?,
                None => self.memory.uncharge(charged.saturating_sub(needed)),
            }
            charged = needed;
        }
    }

    /// Charges the pages of `batch`, the first of which has the index `first`, but for those that
    /// bus drivers have: they are charged already.
    ///
    /// A batch is what the account is opened for, not a run: scattered memory would have it opened
    /// for each page. No user can tell, since a mapping is made as a whole or not at all, and a
    /// batch ends where a page cannot be pinned: the first page that is too many, or that is none,
    /// is the error.
    fn charge(&self, charging: &Charging<'_>, first: u64, batch: &PinBatch) -> Result {
        let pages = first..first.saturating_add(batch.len() as u64);
        let chargeable = batch.chargeable();
        let needed = |it: &Pages| it.drivers.uncharged_of(&pages, chargeable);
        self.lock_charged(charging, chargeable, needed)?
            .drivers
            .raise_mark(pages.end, chargeable);
        Ok(())
    }

    /// The indices of the pages at `addresses`.
    pub(super) fn pages_at(&self, addresses: &IovaRange) -> Range<u64> {
        let offset = |address: u64| address.saturating_sub(self.range.start()) >> PAGE_SHIFT;
        offset(addresses.start())..offset(addresses.last()).saturating_add(1)
    }

    /// What may be done with the memory.
    pub(super) fn prot(&self) -> Prot {
        self.prot
    }

    /// Where the user has what is at `address`, and the address space, if his process still
    /// has it.
    pub(super) fn memory_at(&self, address: u64) -> Option<(ARef<MmWithUser>, usize)> {
        let offset = address.wrapping_sub(self.range.start());
        // CAST: The range of addresses fits the CPU's words.
        let vaddr = self.vaddr.load(Relaxed).wrapping_add(offset as usize);
        Some((self.memory.mm()?, vaddr))
    }

    /// Whether bus drivers have any of its pages.
    pub(super) fn is_driver_pinned(&self) -> bool {
        !self.pages.lock().drivers.is_empty()
    }

    /// Copies the indices of pages that bus drivers have, from `first` on, to `indices`;
    /// returns how many.
    pub(super) fn driver_pins_from(&self, first: u64, indices: &mut [u64]) -> usize {
        self.pages.lock().drivers.copy_indices(first, indices)
    }

    /// Pins the pages with the given indices for a bus driver, and adds them to `list`. Who
    /// calls this uses the mapping.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the process has exited. `EINVAL`: this is memory of a device. Those of
    /// [`PinBatch::pin()`] and [`Charging::charge()`]. None of them is pinned then.
    pub(super) fn pin_for_driver(&self, pages: Range<u64>, list: &mut PageList) -> Result {
        let mut next = pages.start;
        while next < pages.end {
            let step = self.pin_step(next..pages.end, list);
            next = step.inspect_err(|_| self.unpin_for_driver(pages.start..next))?;
        }
        Ok(())
    }

    /// A step of [`pin_for_driver()`](Self::pin_for_driver): returns which page is the next one.
    fn pin_step(&self, pages: Range<u64>, list: &mut PageList) -> Result<u64> {
        // CAST: At most as many as are pinned in one go.
        let room = pages.end.saturating_sub(pages.start) as usize;
        list.reserve(room, GFP_KERNEL_ACCOUNT)?;
        if let Some(page) = self.pages.lock().drivers.share(pages.start) {
            let _ = list.push_within_capacity(page);
            return Ok(pages.start.saturating_add(1));
        }
        let fresh = self.pin_fresh(&pages)?;
        let pages = pages.start..pages.start.saturating_add(fresh.len() as u64);
        let mut slots = KVec::with_capacity(fresh.len(), GFP_KERNEL)?;
        for _ in &fresh {
            slots.push(Slot::new()?, GFP_KERNEL)?;
        }
        let charging = self.memory.charging().ok_or(ENODEV)?;
        let needed = |it: &Pages| it.drivers.uncharged(&pages);
        let mut held = self.lock_charged(&charging, 0, needed)?;
        for (index, page) in pages.clone().zip(&fresh) {
            // Another one may have come first.
            let page = match held.drivers.share(index) {
                Some(shared) => shared,
                None => {
                    let slot = slots.pop().ok_or(ENOMEM)?;
                    held.drivers.add(index, page.clone(), slot);
                    page.clone()
                }
            };
            // There is room.
            let _ = list.push_within_capacity(page);
        }
        Ok(pages.end)
    }

    /// Pins pages from the first of `pages` on.
    fn pin_fresh(&self, pages: &Range<u64>) -> Result<PageList> {
        let (mm, vaddr) = self.memory_at(self.address_of(pages.start)).ok_or(ENODEV)?;
        // CAST: At most as many as are pinned in one go.
        let count = pages.end.saturating_sub(pages.start) as usize;
        let mut batch = PinBatch::new(count, self.prot.write)?;
        let mut locked = ReadLockedMm::lock(&mm);
        if let Err(error) = batch.pin(&mut locked, vaddr, count) {
            return Err(if locked.is_pfnmap(vaddr) {
                EINVAL
            } else {
                error
            });
        }
        drop(locked);
        let mut list = KVec::with_capacity(batch.len(), GFP_KERNEL)?;
        while let Some(page) = batch.take_page() {
            list.push(Arc::new(page, GFP_KERNEL_ACCOUNT)?, GFP_KERNEL)?;
        }
        Ok(list)
    }

    /// A bus driver lets go of the pages with the given indices, which it has.
    pub(super) fn unpin_for_driver(&self, pages: Range<u64>) {
        let mut charged = 0usize;
        for index in pages {
            let released = self.pages.lock().drivers.release(index);
            if let Some(Released { page, charged: was }) = released {
                charged = charged.saturating_add(was.into());
                drop(page);
            }
        }
        self.memory.uncharge(charged);
    }
}

/// Appends `run` to what is `growing`; returns what cannot grow any more, if anything.
fn grow(growing: &mut Option<DmaRun>, run: DmaRun, limit: u64) -> Option<DmaRun> {
    let Some(mut grown) = growing.take() else {
        *growing = Some(run);
        return None;
    };
    match grown.append(run, limit) {
        Ok(()) => {
            *growing = Some(grown);
            None
        }
        Err(next) => {
            *growing = Some(next);
            Some(grown)
        }
    }
}

impl Holder for Mapping {
    fn watch(&self, revoke: &Revoke<Self>, watched: &mut Option<Watched>) -> Result {
        let mut pages = self.pages.lock();
        if revoke.is_lost() {
            return Ok(());
        }
        if pages.devices.is_none() {
            pages.devices = Some(KBox::new(DeviceMemory::default(), GFP_KERNEL_ACCOUNT)?);
        }
        let devices = pages.devices.as_mut().ok_or(ENOMEM)?;
        devices.reserve()?;
        if let Some(watched) = watched.take() {
            devices.watch(watched);
        }
        Ok(())
    }

    fn revoke(&self, device: &Revoke<Self>, memory: WatchedMemory) -> Option<Watched> {
        let mut pages = self.pages.lock();
        device.lose();
        let Pages { runs, devices, .. } = &mut *pages;
        let devices = devices.as_mut()?;
        let revoked = runs.revoke(devices.ranges_of(memory));
        revoked.inspect_err(|_| self.complain()).ok()?;
        devices.lose(memory)
    }
}
