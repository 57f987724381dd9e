// SPDX-License-Identifier: GPL-2.0

//! How a mapping is made, and how it goes: the work of who has the claim on its addresses.

use super::{
    abstractions::mm::locked_memory::Uncharge,
    claims::{
        self,
        Cancelled,
        Claim,
        Lack,
        Phase,
        Refusal, //
    },
    mapping::Mapping,
    mappings::{
        Dirty,
        Entry,
        Slot,
        Tracking, //
    },
    request::MapRequest,
    table::LockedTable,
    tracking::no_dirty_pages, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use vfio::monitor::{
    Killed,
    Monitor,
    WaitKillable, //
};

/// Why a mapping cannot be made.
struct MapFailure(Error);

impl From<Error> for MapFailure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Cancelled> for MapFailure {
    fn from(_: Cancelled) -> Self {
        // The last group left while the call was on its way.
        Self(ENODEV)
    }
}

impl LockedTable {
    /// Makes the memory of `request` visible to devices, as `mapping`.
    ///
    /// # Errors
    ///
    /// `EEXIST`: there is a mapping already. `EINTR`: the task was killed while it waited for
    /// somebody who works on that. `EINVAL`, `ENOSPC`, `ENODEV`: it may not be mapped. Those
    /// of [`Mapping::populate()`].
    pub(super) fn map(&self, request: &MapRequest, mapping: Arc<Mapping>) -> Result {
        let phase = self.reserve(request, mapping.clone())?;
        if phase == Phase::Settled {
            return Ok(());
        }
        mapping
            .populate()
            .and_then(|()| self.settle(&mapping, true))
            .inspect_err(|_| {
                // Its addresses are in use until that can be undone.
                let _ = self.remove(&mapping);
            })
    }

    /// Settles `mapping`, on which the caller works. It `has_pages`, or has none.
    ///
    /// # Errors
    ///
    /// `ENODEV`: it has to go, and the caller has to remove it. Those of
    /// [`Mapping::populate()`].
    fn settle(&self, mapping: &Arc<Mapping>, has_pages: bool) -> Result {
        let last = mapping.range().last();
        claims::settle::<_, MapFailure>(self, last, has_pages, |lack| match lack {
            Lack::Pages => Ok(mapping.populate()?),
            Lack::NoPages => Ok(mapping.clear(&mut Uncharge::new())?),
        })
        .map_err(|MapFailure(error)| error)
    }

    /// Ends the work of the caller on `mapping`, which is to stay. It goes if that is
    /// not possible, with its device or for want of its memory.
    ///
    /// # Errors
    ///
    /// Those of [`settle()`](Self::settle).
    pub(super) fn give_back(&self, mapping: &Arc<Mapping>) -> Result {
        self.settle(mapping, mapping.has_pages()).inspect_err(|_| {
            let _ = self.remove(mapping);
        })
    }

    /// Claims the addresses of `mapping`, and settles the claim at once if the mapping has no
    /// pages yet.
    fn reserve(&self, request: &MapRequest, mapping: Arc<Mapping>) -> Result<Phase> {
        let spare = self.lock().mappings.take_spare();
        let slot = spare.map_or_else(Slot::new, Ok)?;
        let mut dirty: Option<Dirty> = None;
        loop {
            let mut table = match claims::reserve(self, &request.range) {
                Ok(table) => table,
                // What is not aligned cannot exist.
                Err(Refusal::Exists) if !self.is_aligned(request) => return Err(EINVAL),
                Err(Refusal::Exists) => return Err(EEXIST),
                Err(Refusal::Killed) => return Err(EINTR),
            };
            if table.admit(request)?.is_none() {
                drop(self.wait_killable(table).map_err(|Killed| EINTR)?);
                continue;
            }
            if table.tracking != Tracking::Off && dirty.is_none() {
                let page_sizes = table.page_sizes;
                drop(table);
                dirty = Some(no_dirty_pages(&request.range, &page_sizes)?);
                continue;
            }
            let phase = if table.has_domains {
                Phase::Busy
            } else {
                Phase::Settled
            };
            let ticket = table.mappings.ticket();
            let claim = Claim::new(ticket, phase);
            let dirty = dirty.filter(|_| table.tracking != Tracking::Off);
            let entry = Entry::new(mapping, claim, dirty);
            table.mappings.insert(slot, entry);
            return Ok(phase);
        }
    }

    fn is_aligned(&self, request: &MapRequest) -> bool {
        self.lock().is_aligned(&request.range, request.vaddr)
    }

    /// Removes `mapping`, on which the caller works, or settles what cannot be unmapped.
    pub(super) fn remove(&self, mapping: &Mapping) -> Result {
        let mut uncharge = Uncharge::new();
        self.clear(mapping, &mut uncharge)?;
        drop(uncharge);
        let mut table = self.lock();
        let removed = table.mappings.remove(mapping.range().last());
        self.wake(table);
        drop(removed);
        Ok(())
    }

    /// Takes all pages of `mapping`, on which the caller works, or settles what cannot be unmapped.
    #[inline]
    pub(super) fn clear(&self, mapping: &Mapping, uncharge: &mut Uncharge) -> Result {
        while let Err(error) = mapping.clear(uncharge) {
            if claims::settle_stuck(self, mapping.range().last()) {
                return Err(error);
            }
        }
        Ok(())
    }
}
