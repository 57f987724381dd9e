// SPDX-License-Identifier: GPL-2.0

//! Pages of a mapping that bus drivers have pinned, beside what devices reach.
//!
//! Each page is pinned, and charged to the user, once, however many have it. Nor is it
//! charged again with the pages that devices reach, which are charged from the start of the mapping
//! on: those *below the mark* are charged with these, whether a driver has them or not.

use core::{
    iter,
    ops::Range, //
};
use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::Arc, //
};
use vfio::abstractions::mm::user_page::PinnedPage;

/// A page, and how many have it.
struct Held {
    page: Arc<PinnedPage>,
    count: usize,
}

/// Room for one more page.
pub(super) struct Slot(RBTreeNodeReservation<u64, Held>);

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

/// What is left of a page that somebody has let go of.
pub(super) struct Released {
    /// To be dropped without a lock.
    pub(super) page: Arc<PinnedPage>,
    /// Whether its charge ends.
    pub(super) charged: bool,
}

/// The pages of a mapping that bus drivers have, by their index.
pub(super) struct DriverPins {
    pins: RBTree<u64, Held>,
    /// Pages below are charged with those that devices reach,
    mark: u64,
    /// and this is how many are charged there.
    charged: usize,
}

impl DriverPins {
    /// None.
    pub(super) fn new() -> Self {
        Self {
            pins: RBTree::new(),
            mark: 0,
            charged: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pins.is_empty()
    }

    fn first_from(&self, index: u64) -> Option<u64> {
        Some(*self.pins.cursor_lower_bound(&index)?.current().0)
    }

    /// The indices of pages from `first` on, in ascending order.
    fn indices_from(&self, first: u64) -> impl Iterator<Item = u64> + '_ {
        iter::successors(self.first_from(first), |last| {
            self.first_from(last.checked_add(1)?)
        })
    }

    fn count_in(&self, pages: &Range<u64>) -> usize {
        // Few mappings have any.
        if self.is_empty() {
            return 0;
        }
        self.indices_from(pages.start)
            .take_while(|index| *index < pages.end)
            .count()
    }

    /// Of `chargeable` pages, all of those in `pages`, which are just above the mark: how many
    /// are not charged yet.
    pub(super) fn uncharged_of(&self, pages: &Range<u64>, chargeable: usize) -> usize {
        chargeable.saturating_sub(self.count_in(pages))
    }

    /// All pages below `mark` are charged now, `chargeable` more than before.
    pub(super) fn raise_mark(&mut self, mark: u64, chargeable: usize) {
        self.mark = mark;
        self.charged = self.charged.saturating_add(chargeable);
    }

    /// Devices reach none of the pages any more. Returns how many are not to be charged any
    /// more.
    pub(super) fn clear_mark(&mut self) -> usize {
        let below = 0..core::mem::take(&mut self.mark);
        core::mem::take(&mut self.charged).saturating_sub(self.count_in(&below))
    }

    /// How many pages of `pages` have to be charged if somebody is to have them all.
    pub(super) fn uncharged(&self, pages: &Range<u64>) -> usize {
        let above = self.mark.max(pages.start)..pages.end;
        let total = above.end.saturating_sub(above.start);
        // CAST: They have just been pinned, in one go.
        (total as usize).saturating_sub(self.count_in(&above))
    }

    /// Takes a page that somebody has already.
    pub(super) fn share(&mut self, index: u64) -> Option<Arc<PinnedPage>> {
        let held = self.pins.get_mut(&index)?;
        held.count = held.count.checked_add(1)?;
        Some(held.page.clone())
    }

    /// Adds a page that nobody has yet.
    pub(super) fn add(&mut self, index: u64, page: Arc<PinnedPage>, slot: Slot) {
        let held = Held { page, count: 1 };
        self.pins.insert(slot.0.into_node(index, held));
    }

    /// Lets go of a page. What is left of it, if nobody else has it.
    pub(super) fn release(&mut self, index: u64) -> Option<Released> {
        let held = self.pins.get_mut(&index)?;
        held.count = held.count.saturating_sub(1);
        if held.count != 0 {
            return None;
        }
        let held = self.pins.remove(&index)?;
        Some(Released {
            page: held.page,
            charged: index >= self.mark,
        })
    }

    /// Copies indices of pages from `first` on to `indices`; returns how many.
    pub(super) fn copy_indices(&self, first: u64, indices: &mut [u64]) -> usize {
        let mut count = 0;
        for (to, index) in indices.iter_mut().zip(self.indices_from(first)) {
            *to = index;
            count += 1;
        }
        count
    }
}
