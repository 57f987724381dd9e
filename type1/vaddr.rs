// SPDX-License-Identifier: GPL-2.0

//! Memory that moves to another address of its user, or to another process.
//!
//! The memory itself stays, and devices go on reaching it. First the user says that the
//! addresses of some mappings are not valid any more, then he, or somebody else to whom he
//! has given the container, gives each of them a new one. In between nothing can be pinned: no
//! group comes, and with emulated devices, which may pin at any time, none of this can be done.

use super::{
    claims,
    mapping::Mapping,
    request::{
        Extent,
        UpdateRequest, //
    },
    table::{
        LockedTable,
        Version, //
    }, //
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

impl LockedTable {
    /// The memory of the mappings in `extent` has no valid address any more. Returns
    /// how many bytes that are.
    ///
    /// # Errors
    ///
    /// `EBUSY`: there are emulated devices. `EINVAL`: one of the mappings has none already;
    /// `extent` is no range, or cuts a mapping. `EOVERFLOW`: it goes beyond the last address.
    /// `EINTR`: the task was killed while it waited.
    pub(super) fn invalidate(&self, extent: &Extent, version: Version) -> Result<u64> {
        loop {
            let table = self.lock();
            if table.has_emulated {
                return Err(EBUSY);
            }
            let range = table.range_of(extent)?;
            drop(table);
            let older = claims::wait_for_older(self, &range);
            let (mut table, ticket) = older.map_err(|Killed| EINTR)?;
            // Who attaches a group may be about to pin.
            if table.coming.is_some() {
                drop(self.wait_killable(table).map_err(|Killed| EINTR)?);
                continue;
            }
            if table.has_emulated {
                return Err(EBUSY);
            }
            if !table.may_unmap(&range, ticket, version)? {
                return Ok(0);
            }
            return table.mappings.invalidate(&range, ticket).ok_or(EINVAL);
        }
    }

    /// Gives the memory of a mapping a valid address again, in the current process.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the range or the address is not aligned, or the mapping is another one, or its
    /// address is valid. `ENOENT`: there is no mapping. `EINTR`: the task was killed while it
    /// waited. `ENODEV`: the last group left while the call was on its way. Those of
    /// [`Mapping::move_to_current()`], which change nothing.
    pub(super) fn update(&self, request: &UpdateRequest) -> Result {
        let mapping = self.begin_update(request)?;
        let moved = mapping.move_to_current(request.vaddr);
        if moved.is_ok() {
            let last = request.range.last();
            self.lock().mappings.set_valid(last);
        }
        self.give_back(&mapping)?;
        moved
    }

    /// Begins to work on the mapping that `request` means.
    fn begin_update(&self, request: &UpdateRequest) -> Result<Arc<Mapping>> {
        let range = &request.range;
        if !self.lock().is_aligned(range, request.vaddr) {
            return Err(EINVAL);
        }
        let (mut table, ticket) = claims::wait_for_older(self, range).map_err(|Killed| EINTR)?;
        let mut found = Err(ENOENT);
        table.mappings.visit(range, |entry| {
            if !entry.claim.can_be_taken(ticket) {
                return true;
            }
            found = Err(EINVAL);
            if entry.is_invalid() && entry.mapping.range() == *range && entry.claim.begin(ticket) {
                found = Ok(entry.mapping.clone());
            }
            false
        });
        found
    }
}
