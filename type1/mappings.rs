// SPDX-License-Identifier: GPL-2.0

//! All mappings of a container, by address.

use super::{
    mapping::Mapping,
    range::IovaRange, //
};
use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    }, //
};

/// Room for one more mapping.
pub(crate) struct Slot(RBTreeNodeReservation<u64, Mapping>);

impl Slot {
    /// Allocates it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?))
    }
}

/// Mappings that do not overlap, of which there may be a limited number.
///
/// # Invariants
///
/// The key of a mapping is its last address: the first mapping whose key is
/// not below an address is the one that holds it or else the next one.
pub(crate) struct Mappings {
    tree: RBTree<u64, Mapping>,
    available: u32,
}

impl Mappings {
    /// No mappings, and room for `limit`.
    pub(crate) fn new(limit: u32) -> Self {
        // INVARIANT: There are no mappings.
        Self {
            tree: RBTree::new(),
            available: limit,
        }
    }

    /// How many more mappings there may be.
    pub(crate) fn available(&self) -> u32 {
        self.available
    }

    /// All mappings, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.tree.values()
    }

    /// The range of the first mapping that shares an address with `range`.
    pub(crate) fn first_overlap(&self, range: &IovaRange) -> Option<IovaRange> {
        let cursor = self.tree.cursor_lower_bound(&range.start())?;
        let found = cursor.current().1.range();
        found.overlaps(range).then_some(found)
    }

    /// All mappings, in ascending order, to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Mapping> {
        self.tree.values_mut()
    }

    /// Whether one mapping has addresses on both sides of an end of `range`.
    pub(crate) fn is_cut_by(&self, range: &IovaRange) -> bool {
        let at = |address| IovaRange::new(address, address);
        let cut_at_start = at(range.start())
            .and_then(|first| self.first_overlap(&first))
            .is_some_and(|mapping| mapping.start() != range.start());
        let cut_at_end = at(range.last())
            .and_then(|last| self.first_overlap(&last))
            .is_some_and(|mapping| mapping.last() != range.last());
        cut_at_start || cut_at_end
    }

    /// The mapping that ends at `last`.
    pub(crate) fn get_mut(&mut self, last: u64) -> Option<&mut Mapping> {
        self.tree.get_mut(&last)
    }

    /// Adds a mapping that overlaps no other.
    pub(crate) fn insert(&mut self, slot: Slot, mapping: Mapping) {
        self.available = self.available.saturating_sub(1);
        // INVARIANT: The key is the last address.
        let key = mapping.range().last();
        self.tree.insert(slot.0.into_node(key, mapping));
    }

    /// Removes the mapping that ends at `last`.
    pub(crate) fn remove(&mut self, last: u64) -> Option<Mapping> {
        let mapping = self.tree.remove(&last)?;
        self.available = self.available.saturating_add(1);
        Some(mapping)
    }
}
