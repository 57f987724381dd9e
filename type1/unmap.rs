// SPDX-License-Identifier: GPL-2.0

//! Removing mappings by their addresses.

use super::{
    abstractions::mm::locked_memory::Uncharge,
    claims::{
        self,
        Ticket, //
    },
    range::IovaRange,
    request::{
        Extent,
        UserBitmap, //
    },
    table::{
        LockedTable,
        Version, //
    },
    tracking::Reporter, //
};
use kernel::prelude::*;
use vfio::monitor::{
    Killed,
    Monitor, //
};

impl LockedTable {
    /// Removes mappings in `extent`, and returns how many bytes they had. Which of their pages
    /// are dirty is reported to `bitmap` before that.
    ///
    /// Who is being killed removes all of them as well, or none: others may have the
    /// container too, and could not tell how far this came.
    ///
    /// # Errors
    ///
    /// `EINVAL`, `EOVERFLOW`: `extent` is no range, or cuts a mapping; or nothing can be
    /// reported like that. `EINTR`: the task was killed while it waited. `EBUSY`: a bus driver
    /// does not let go of a page. Nothing is removed then. Those of
    /// [`remove_taken()`](Self::remove_taken).
    pub(super) fn unmap(
        &self,
        extent: &Extent,
        version: Version,
        bitmap: Option<&UserBitmap>,
    ) -> Result<u64> {
        let range = {
            let mut table = self.lock();
            let range = table.range_of(extent)?;
            table.check_report(bitmap)?;
            // What most ask for is what they have mapped: that is found at once, where the
            // general way looks for it five times.
            if bitmap.is_none() {
                if let Some(mapping) = table.take_exactly(&range) {
                    drop(table);
                    return self.remove(&mapping).map(|()| range.size());
                }
            }
            range
        };
        let reporter = bitmap.map(|bitmap| Reporter::new(self, range.start(), bitmap));
        let (mut table, ticket) = claims::wait_to_remove(self, &range).map_err(|Killed| EINTR)?;
        table.check_report(bitmap)?;
        let count = table.take(&range, ticket, version)?;
        let may_be_pinned = !table.listeners.is_empty();
        drop(table);
        if may_be_pinned {
            self.evict_drivers(range.start(), ticket, count)
                .inspect_err(|_| self.give_back_taken(range.start(), ticket, count))?;
        }
        self.remove_taken(range.start(), ticket, count, reporter.as_ref())
    }

    /// Removes `count` mappings from `address` on, on which who has `ticket` works, each after
    /// `reporter` has reported it. Returns how many bytes they had.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the report cannot be written; those that it has not come to are still there.
    /// `EIO`: those that an IOMMU driver failed to unmap are still there.
    pub(super) fn remove_taken(
        &self,
        address: u64,
        ticket: Ticket,
        count: usize,
        reporter: Option<&Reporter<'_>>,
    ) -> Result<u64> {
        let mut size = 0u64;
        let mut result = Ok(());
        let mut left = count;
        let mut next = Some(address);
        while let Some(first) = next.filter(|_| left != 0) {
            let step = self.lock().taken_step(first, ticket, left);
            let mut uncharge = Uncharge::new();
            let (mut done, mut refused) = (None, None);
            next = None;
            for mapping in step.iter().flatten() {
                let range = mapping.range();
                let report = reporter.map(|reporter| reporter.report(&range));
                if let Some(Err(error)) = report {
                    refused = Some((range.start(), error));
                    break;
                }
                match self.clear(mapping, &mut uncharge) {
                    Ok(()) => size = size.saturating_add(range.size()),
                    Err(error) => result = Err(error),
                }
                left = left.saturating_sub(1);
                next = range.last().checked_add(1);
                done = IovaRange::new(first, range.last());
            }
            // Who gets the addresses may need what was charged for them.
            drop(uncharge);
            if let Some(done) = done {
                let mut table = self.lock();
                let removed = table.mappings.remove_worked_on(&done, ticket);
                self.wake(table);
                drop(removed);
            }
            if let Some((start, error)) = refused {
                self.give_back_taken(start, ticket, left);
                return Err(error);
            }
        }
        result.map(|()| size)
    }

    /// Ends the work of who has `ticket` on `count` mappings from `address` on, which stay.
    fn give_back_taken(&self, address: u64, ticket: Ticket, count: usize) {
        let mut next = Some(address);
        for _ in 0..count {
            let taken = next.and_then(|next| self.lock().taken(next, ticket));
            let Some(mapping) = taken else {
                return;
            };
            next = mapping.range().last().checked_add(1);
            let _ = self.give_back(&mapping);
        }
    }
}
