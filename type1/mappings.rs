// SPDX-License-Identifier: GPL-2.0

//! All mappings of a container, by address, and the claims on these.

use super::{
    claims::{
        Claim,
        Ticket, //
    },
    dirty_bitmap::DirtyBits,
    mapping::Mapping,
    range::IovaRange, //
};
use kernel::{
    prelude::*,
    rbtree::{
        CursorMut,
        RBTree,
        RBTreeNode,
        RBTreeNodeReservation, //
    },
    sync::Arc, //
};

/// Which pages of a mapping are dirty.
pub(super) type Dirty = DirtyBits<KVVec<u64>>;

/// Whether a container keeps track of dirty pages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tracking {
    /// No mapping has bits.
    Off,
    /// Somebody gives bits to those that have none. Those that come bring theirs.
    Starting,
    /// Every mapping has bits.
    On,
}

/// A mapping and the claim on its addresses.
pub(super) struct Entry {
    pub(super) mapping: Arc<Mapping>,
    pub(super) claim: Claim,
    /// Whether the user's address of its memory is not valid any more.
    invalid: bool,
    /// While the container keeps track.
    pub(super) dirty: Option<Dirty>,
}

impl Entry {
    /// A mapping whose memory is where the user says it is.
    pub(super) fn new(mapping: Arc<Mapping>, claim: Claim, dirty: Option<Dirty>) -> Self {
        Self {
            mapping,
            claim,
            invalid: false,
            dirty,
        }
    }

    /// Whether it is in `range`, and who has `ticket` works on it.
    fn is_worked_on(&self, range: &IovaRange, ticket: Ticket) -> bool {
        self.claim.is_worked_on_by(ticket) && self.mapping.range().overlaps(range)
    }

    /// Whether the user's address of its memory is not valid any more.
    pub(super) fn is_invalid(&self) -> bool {
        self.invalid
    }
}

/// A mapping that is not there any more, to be dropped without the lock.
pub(super) type Removed = RBTreeNode<u64, Entry>;

/// The same, if its place was not kept, and its bits.
pub(super) type Left = (Option<Removed>, Option<Dirty>);

/// How many mappings are removed in one go, so that to find them, and to end their charge,
/// costs as much as for one. That they all are gone is known at the end of it.
pub(super) const REMOVE_STEP: usize = 16;

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
///
/// `invalid` is the number of those whose memory has no valid address.
pub(super) struct Mappings {
    tree: RBTree<u64, Entry>,
    available: u32,
    invalid: usize,
    tickets: Ticket,
    /// Of one that has gone, for the next one: who maps and unmaps a page, time and again,
    /// allocates half as much.
    spare: Option<Slot>,
}

impl Mappings {
    /// No mappings, and room for `limit`.
    pub(super) fn new(limit: u32) -> Self {
        // INVARIANT: There are no mappings.
        Self {
            tree: RBTree::new(),
            available: limit,
            invalid: 0,
            tickets: 0,
            spare: None,
        }
    }

    /// How many more mappings there may be.
    pub(super) fn available(&self) -> u32 {
        self.available
    }

    /// Whether there is one whose memory has no valid address.
    pub(super) fn has_invalid(&self) -> bool {
        self.invalid != 0
    }

    /// The memory of the mappings in `range` that were there before `ticket` was given out has
    /// no valid address any more: of all, or of none if one has none already. Gives the
    /// sum of their sizes.
    pub(super) fn invalidate(&mut self, range: &IovaRange, ticket: Ticket) -> Option<u64> {
        let mut any_invalid = false;
        let mut size = 0u64;
        let mut count = 0usize;
        self.visit(range, |entry| {
            if entry.claim.is_older_than(ticket) {
                any_invalid |= entry.invalid;
                size = size.saturating_add(entry.mapping.range().size());
                count = count.saturating_add(1);
            }
            !any_invalid
        });
        if any_invalid {
            return None;
        }
        self.visit(range, |entry| {
            entry.invalid |= entry.claim.is_older_than(ticket);
            true
        });
        // INVARIANT: All of them had one.
        self.invalid = self.invalid.saturating_add(count);
        Some(size)
    }

    /// The memory of the mapping that ends at `last` has a valid address again.
    pub(super) fn set_valid(&mut self, last: u64) {
        let Some(entry) = self.tree.get_mut(&last) else {
            return;
        };
        // INVARIANT: It does not count any more.
        let was_invalid = core::mem::replace(&mut entry.invalid, false);
        self.invalid = self.invalid.saturating_sub(was_invalid.into());
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

    /// Takes the room that is left of a mapping, if there is any.
    pub(super) fn take_spare(&mut self) -> Option<Slot> {
        self.spare.take()
    }

    /// Adds a mapping that overlaps no other.
    pub(super) fn insert(&mut self, slot: Slot, entry: Entry) {
        self.available = self.available.saturating_sub(1);
        // INVARIANT: The key is the last address.
        let key = entry.mapping.range().last();
        self.tree.insert(slot.0.into_node(key, entry));
    }

    /// Removes those in `range` that who has `ticket` works on, [`REMOVE_STEP`] at most.
    pub(super) fn remove_worked_on(
        &mut self,
        range: &IovaRange,
        ticket: Ticket,
    ) -> [Option<Removed>; REMOVE_STEP] {
        let mut removed = [const { None }; REMOVE_STEP];
        let mut slots = removed.iter_mut();
        let mut next = self.tree.cursor_lower_bound_mut(&range.start());
        while let Some(mut cursor) = next {
            // To remove one behind another costs less than to remove the first.
            while let Some((_, entry)) = cursor.peek_next() {
                if !entry.is_worked_on(range, ticket) {
                    break;
                }
                let Some(slot) = slots.next() else {
                    return removed;
                };
                // INVARIANT: It does not count any more.
                self.invalid = self.invalid.saturating_sub(entry.invalid.into());
                self.available = self.available.saturating_add(1);
                *slot = cursor.remove_next();
            }
            let entry = cursor.current().1;
            if !entry.mapping.range().overlaps(range) {
                break;
            }
            next = if entry.is_worked_on(range, ticket) {
                let Some(slot) = slots.next() else {
                    break;
                };
                // INVARIANT: It does not count any more.
                self.invalid = self.invalid.saturating_sub(entry.invalid.into());
                self.available = self.available.saturating_add(1);
                // Without a next one this is the one before, which is not in the range, or stays.
                let (next, node) = cursor.remove_current();
                *slot = Some(node);
                next
            } else {
                CursorMut::move_next(cursor)
            };
        }
        removed
    }

    /// Removes the mapping that ends at `last`, which the caller has. What is left of it is to be
    /// dropped without the lock.
    pub(super) fn remove(&mut self, last: u64) -> Option<Left> {
        let mut entry = self.tree.find_mut(&last)?;
        self.available = self.available.saturating_add(1);
        let Entry { invalid, dirty, .. } = entry.get_mut();
        // INVARIANT: It does not count any more.
        self.invalid = self.invalid.saturating_sub((*invalid).into());
        let dirty = dirty.take();
        let node = entry.remove_node();
        if self.spare.is_some() {
            return Some((Some(node), dirty));
        }
        self.spare = Some(Slot(node.into_reservation()));
        Some((None, dirty))
    }
}
