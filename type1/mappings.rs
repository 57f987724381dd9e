// SPDX-License-Identifier: GPL-2.0

//! All mappings of a container, by address, and the claims on these.

use super::{
    claims::{
        Claim,
        Ticket, //
    },
    mapping::Mapping,
    range::IovaRange, //
};
use kernel::{
    prelude::*,
    rbtree::{
        CursorMut,
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::Arc, //
};

/// A mapping and the claim on its addresses.
pub(super) struct Entry {
    pub(super) mapping: Arc<Mapping>,
    pub(super) claim: Claim,
}

/// Room for one more mapping.
pub(super) struct Slot(RBTreeNodeReservation<u64, Entry>);

impl Slot {
    /// Allocates it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        Ok(Self(RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?))
    }
}

/// Mappings that do not overlap, of which there may be a limited number.
///
/// # Invariants
///
/// The key of a mapping is its last address: the first mapping whose key is
/// not below an address is the one that holds it or else the next one.
pub(super) struct Mappings {
    tree: RBTree<u64, Entry>,
    available: u32,
    tickets: Ticket,
}

impl Mappings {
    /// No mappings, and room for `limit`.
    pub(super) fn new(limit: u32) -> Self {
        // INVARIANT: There are no mappings.
        Self {
            tree: RBTree::new(),
            available: limit,
            tickets: 0,
        }
    }

    /// How many more mappings there may be.
    pub(super) fn available(&self) -> u32 {
        self.available
    }

    /// Gives out a ticket.
    pub(super) fn ticket(&mut self) -> Ticket {
        // At a billion calls a second this takes five centuries.
        self.tickets = self.tickets.wrapping_add(1);
        self.tickets
    }

    /// The ranges of all mappings, in ascending order.
    pub(super) fn ranges(&self) -> impl Iterator<Item = IovaRange> + '_ {
        self.tree.values().map(|entry| entry.mapping.range())
    }

    /// Shows the mappings that share an address with `range` to `visit`, in ascending
    /// order, until it returns false.
    pub(super) fn visit(&mut self, range: &IovaRange, mut visit: impl FnMut(&mut Entry) -> bool) {
        let mut next = self.tree.cursor_lower_bound_mut(&range.start());
        while let Some(mut cursor) = next {
            let entry = cursor.current_mut().1;
            if !entry.mapping.range().overlaps(range) || !visit(entry) {
                return;
            }
            next = CursorMut::move_next(cursor);
        }
    }

    /// The first mapping that ends at `address` or above it.
    pub(super) fn first_from(&mut self, address: u64) -> Option<&mut Entry> {
        let last = *self.tree.cursor_lower_bound(&address)?.current().0;
        self.tree.get_mut(&last)
    }

    /// The mapping that ends at `last`.
    pub(super) fn at(&mut self, last: u64) -> Option<&mut Entry> {
        self.tree.get_mut(&last)
    }

    /// Adds a mapping that overlaps no other.
    pub(super) fn insert(&mut self, slot: Slot, entry: Entry) {
        self.available = self.available.saturating_sub(1);
        // INVARIANT: The key is the last address.
        let key = entry.mapping.range().last();
        self.tree.insert(slot.0.into_node(key, entry));
    }

    /// Removes the mapping that ends at `last`.
    pub(super) fn remove(&mut self, last: u64) -> Option<Entry> {
        let entry = self.tree.remove(&last)?;
        self.available = self.available.saturating_add(1);
        Some(entry)
    }
}
