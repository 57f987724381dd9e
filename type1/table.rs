// SPDX-License-Identifier: GPL-2.0

//! What the lock of a container guards: who has which addresses, and what the groups
//! permit.
//!
//! The lock is held for as long as it takes to look something up or to change it. It is
//! outside of the lock of the domains, and none is taken with that of a mapping.

use super::{
    abstractions::{
        parameters::type1 as type1_parameters,
        sync::monitored::Monitored, //
    },
    claims::{
        Claim,
        Claims,
        Ticket, //
    },
    mapping::Mapping,
    mappings::{
        Mappings,
        Tracking,
        REMOVE_STEP, //
    },
    page_sizes::PageSizes,
    range::IovaRange,
    request::{
        Extent,
        MapRequest, //
    },
    reserved_vec::ReservedVec,
    valid_iova::permits, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    static_lock_class,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};
use vfio::{
    abstractions::iommu,
    pinning::UnmapListener, //
};

/// How ranges to unmap relate to mappings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Any range may be asked for. A mapping goes as a whole if the range holds
    /// its first address; the first mapping that starts below the range ends
    /// the request.
    V1,
    /// A range that would cut a mapping in two is refused.
    V2,
}

/// Mappings on which one works, in ascending order.
type Step = [Option<Arc<Mapping>>; REMOVE_STEP];

/// The mappings of a container, and what its groups permit.
pub(super) struct Table {
    pub(super) mappings: Mappings,
    pub(super) page_sizes: PageSizes,
    /// The addresses that may be mapped, in ascending order.
    pub(super) valid: KVec<IovaRange>,
    /// Those that may be mapped once a group has come that is on its way.
    pub(super) coming: Option<KVec<IovaRange>>,
    /// Whether there is any group.
    pub(super) has_groups: bool,
    /// Whether there is a domain, or is going to be.
    pub(super) has_domains: bool,
    /// Whether there is a group of emulated devices.
    pub(super) has_emulated: bool,
    /// Whether all DMA is coherent with the CPU's caches.
    pub(super) coherent: bool,
    pub(super) tracking: Tracking,
    /// Groups whose devices write where nobody sees it: while there are any, all that is mapped is
    /// dirty. A bus driver that pins pages tells by doing so where the devices of its group
    /// write. Emulated devices write nowhere else.
    pub(super) writers: ReservedVec<ARef<iommu::Group>>,
    /// Bus drivers that may have pages, and are told what is unmapped.
    pub(super) listeners: ReservedVec<Arc<dyn UnmapListener>>,
    /// How many times one of them uses a mapping.
    uses: usize,
}

/// A table and its lock.
pub(super) type LockedTable = Monitored<Table>;

impl Table {
    /// That of a container without groups.
    pub(super) fn new_locked() -> impl PinInit<LockedTable> {
        let table = Self {
            mappings: Mappings::new(type1_parameters::dma_entry_limit()),
            page_sizes: PageSizes::common(core::iter::empty(), PAGE_SIZE as u64),
            valid: KVec::new(),
            coming: None,
            has_groups: false,
            has_domains: false,
            has_emulated: false,
            coherent: true,
            tracking: Tracking::Off,
            writers: ReservedVec::new(),
            listeners: ReservedVec::new(),
            uses: 0,
        };
        Monitored::new(
            table,
            c"vfio_iommu_type1",
            static_lock_class!(),
            static_lock_class!(),
        )
    }

    /// Whether `range` can be mapped to memory at `vaddr`, in whole pages.
    pub(super) fn is_aligned(&self, range: &IovaRange, vaddr: usize) -> bool {
        self.page_sizes.is_aligned(range.start())
            && self.page_sizes.is_aligned(range.size())
            && self.page_sizes.is_aligned(vaddr as u64)
    }

    /// Takes `group` from the [writers](Self::writers); tells whether it was one.
    pub(super) fn writers_remove(&mut self, group: &iommu::Group) -> bool {
        let removed = self
            .writers
            .remove(|it| core::ptr::eq::<iommu::Group>(&**it, group));
        removed.is_some()
    }

    /// Whether there may be one more mapping, that of `request`; `None` if that depends on a
    /// group that is on its way.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it is not aligned, or not where it may be. `ENOSPC`: there are too many.
    /// `ENODEV`: the last group left while the call was on its way.
    pub(super) fn admit(&self, request: &MapRequest) -> Result<Option<()>> {
        if !self.is_aligned(&request.range, request.vaddr) {
            return Err(EINVAL);
        }
        if self.mappings.available() == 0 {
            return Err(ENOSPC);
        }
        if !permits(&self.valid, &request.range) {
            return Err(EINVAL);
        }
        let coming = self.coming.as_ref();
        if coming.is_some_and(|coming| !permits(coming, &request.range)) {
            return Ok(None);
        }
        if !self.has_groups {
            return Err(ENODEV);
        }
        Ok(Some(()))
    }

    /// The range that `extent` stands for.
    ///
    /// # Errors
    ///
    /// `EINVAL`, `EOVERFLOW`: it is none.
    pub(super) fn range_of(&self, extent: &Extent) -> Result<IovaRange> {
        match *extent {
            Extent::All { iova: 0, size: 0 } => Ok(IovaRange::ALL),
            Extent::All { .. } => Err(EINVAL),
            Extent::Bytes { iova, size } => {
                if !self.page_sizes.is_aligned(iova) || !self.page_sizes.is_aligned(size) {
                    return Err(EINVAL);
                }
                Ok(IovaRange::from_size(iova, size)?)
            }
        }
    }

    /// Whether mappings in `range` that are older than `ticket` may be unmapped so.
    ///
    /// # Errors
    ///
    /// `EINVAL`: one would be cut in two.
    pub(super) fn may_unmap(
        &mut self,
        range: &IovaRange,
        ticket: Ticket,
        version: Version,
    ) -> Result<bool> {
        let (mut below, mut cut) = (false, false);
        let at_ends = [range.start(), range.last()];
        for address in at_ends.iter().filter_map(|it| IovaRange::new(*it, *it)) {
            self.mappings.visit(&address, |entry| {
                let found = entry.mapping.range();
                if entry.claim.can_be_taken(ticket) {
                    below |= found.start() < range.start();
                    cut |= !range.contains(&found);
                }
                false
            });
        }
        match version {
            Version::V1 => Ok(!below),
            Version::V2 if cut => Err(EINVAL),
            Version::V2 => Ok(true),
        }
    }

    /// Begins to work on all mappings in `range` that are older than `ticket` and may be
    /// unmapped so; gives their number.
    ///
    /// # Errors
    ///
    /// `EINVAL`: one would be cut in two.
    pub(super) fn take(
        &mut self,
        range: &IovaRange,
        ticket: Ticket,
        version: Version,
    ) -> Result<usize> {
        if !self.may_unmap(range, ticket, version)? {
            return Ok(0);
        }
        let mut count = 0;
        self.mappings.visit(range, |entry| {
            if entry.claim.can_be_taken(ticket) && entry.claim.begin_removal(ticket) {
                count += 1;
            }
            true
        });
        Ok(count)
    }

    /// Begins to remove the mapping that has exactly the addresses in `range`, if there is one
    /// that nobody works on, nor a bus driver that may have pages.
    pub(super) fn take_exactly(&mut self, range: &IovaRange) -> Option<Arc<Mapping>> {
        if self.uses != 0 || !self.listeners.is_empty() {
            return None;
        }
        let ticket = self.mappings.ticket();
        let entry = self.mappings.at(range.last())?;
        if entry.mapping.range() != *range || !entry.claim.begin_removal(ticket) {
            return None;
        }
        Some(entry.mapping.clone())
    }

    /// All mappings go: begins to work on them, and has who works on others take them back.
    /// Gives the number of the first ones.
    pub(super) fn take_all(&mut self, ticket: Ticket) -> usize {
        let mut count = 0;
        self.mappings.visit(&IovaRange::ALL, |entry| {
            if entry.claim.begin_or_cancel(ticket) {
                count += 1;
            } else {
                entry.mapping.cancel();
            }
            true
        });
        count
    }

    /// The first mappings from `address` on that who has `ticket` works on, which has `count`.
    pub(super) fn taken_step(&mut self, address: u64, ticket: Ticket, count: usize) -> Step {
        let mut step = Step::default();
        let mut slots = step.iter_mut().take(count).peekable();
        if let Some(range) = IovaRange::new(address, u64::MAX) {
            self.mappings.visit(&range, |entry| {
                if entry.claim.is_worked_on_by(ticket) {
                    if let Some(slot) = slots.next() {
                        *slot = Some(entry.mapping.clone());
                    }
                }
                slots.peek().is_some()
            });
        }
        step
    }

    /// The first mapping from `address` on that who has `ticket` works on.
    pub(super) fn taken(&mut self, address: u64, ticket: Ticket) -> Option<Arc<Mapping>> {
        let range = IovaRange::new(address, u64::MAX)?;
        let mut found = None;
        self.mappings.visit(&range, |entry| {
            if entry.claim.is_worked_on_by(ticket) {
                found = Some(entry.mapping.clone());
            }
            found.is_none()
        });
        found
    }
}

impl Claims for Table {
    fn visit(&mut self, range: &IovaRange, visit: &mut dyn FnMut(&IovaRange, &mut Claim) -> bool) {
        self.mappings.visit(range, |entry| {
            visit(&entry.mapping.range(), &mut entry.claim)
        });
    }

    fn at(&mut self, last: u64) -> Option<&mut Claim> {
        self.mappings.at(last).map(|entry| &mut entry.claim)
    }

    fn ticket(&mut self) -> Ticket {
        self.mappings.ticket()
    }

    fn wants_pages(&self) -> bool {
        self.has_domains
    }

    fn uses(&mut self) -> &mut usize {
        &mut self.uses
    }
}
