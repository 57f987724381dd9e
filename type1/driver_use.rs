// SPDX-License-Identifier: GPL-2.0

//! Mappings that bus drivers use, and how they are told to let go.

use super::{
    claims::{
        self,
        Ticket,
        Use, //
    },
    mapping::Mapping,
    range::IovaRange,
    table::LockedTable, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use vfio::{
    monitor::Monitor,
    pinning::UnmapListener, //
};

/// How often bus drivers are told what is unmapped: one that is correct lets go at once, all
/// others make the user see an error.
const ATTEMPTS: usize = 11;

/// A mapping that is not removed as long as this exists.
pub(super) struct InUse<'a> {
    table: &'a LockedTable,
    /// The mapping.
    pub(super) mapping: Arc<Mapping>,
    /// Until this is dropped.
    token: Option<Use>,
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            claims::end_use(self.table, token);
        }
    }
}

impl LockedTable {
    /// Uses the mapping that has `address`, if bus drivers can use any.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the memory of a mapping has no valid address. `EINVAL`: there is no mapping.
    pub(super) fn in_use(&self, address: u64) -> Result<InUse<'_>> {
        let address = IovaRange::new(address, address).ok_or(EINVAL)?;
        let mut table = self.lock();
        if table.mappings.has_invalid() {
            return Err(EBUSY);
        }
        let token = claims::begin_use(&mut *table, &address).ok_or(EINVAL)?;
        let entry = table.mappings.at(token.last()).ok_or(EINVAL)?;
        Ok(InUse {
            table: self,
            mapping: entry.mapping.clone(),
            token: Some(token),
        })
    }

    /// Has bus drivers let go of the `count` mappings from `address` on, which who has `ticket`
    /// removes. Nobody uses them.
    ///
    /// # Errors
    ///
    /// `EBUSY`: a driver does not let go.
    pub(super) fn evict_drivers(&self, address: u64, ticket: Ticket, count: usize) -> Result {
        let mut next = Some(address);
        for _ in 0..count {
            let taken = next.and_then(|next| self.lock().taken(next, ticket));
            let Some(mapping) = taken else {
                break;
            };
            next = mapping.range().last().checked_add(1);
            self.evict_from(&mapping)?;
        }
        Ok(())
    }

    fn evict_from(&self, mapping: &Mapping) -> Result {
        let range = mapping.range();
        let addresses = range.start()..=range.last();
        for _ in 0..ATTEMPTS {
            if !mapping.is_driver_pinned() {
                return Ok(());
            }
            self.tell_listeners(|listener| listener.unmapped(addresses.clone()));
        }
        if !mapping.is_driver_pinned() {
            return Ok(());
        }
        self.tell_listeners(|listener| listener.not_let_go(addresses.clone()));
        Err(EBUSY)
    }

    /// Tells all bus drivers something, with no lock held.
    fn tell_listeners(&self, tell: impl Fn(&dyn UnmapListener)) {
        let mut index = 0usize;
        loop {
            // One that goes meanwhile may have another one skipped, which is told next time.
            let listener = self.lock().listeners.get(index).cloned();
            let Some(listener) = listener else {
                return;
            };
            tell(&*listener);
            index = index.saturating_add(1);
        }
    }
}
