// SPDX-License-Identifier: GPL-2.0

//! Pages that a bus driver in C has pinned. It lets go of them by their addresses, one by one or
//! many, in any order, so each is pinned by itself.

use crate::{
    abstractions::mm::user_page::UserPage,
    device::user_memory::{
        PinnedPages,
        UserMemory, //
    },
    pinning::PinAccess, //
};
use kernel::{
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// The address of a page, and the number of the pin: a page may have several.
type Key = (u64, u64);

struct State {
    pins: RBTree<Key, PinnedPages>,
    /// How many there have been.
    count: u64,
}

/// The pages of a device.
#[pin_data]
pub(crate) struct PagesByAddress {
    /// What is taken out is dropped without the lock.
    #[pin]
    state: Mutex<State>,
}

impl PagesByAddress {
    /// None.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let state = State {
            pins: RBTree::new(),
            count: 0,
        };
        Arc::pin_init(
            pin_init!(Self {
                state <- new_mutex!(state, "vfio_pages_by_address"),
            }),
            GFP_KERNEL,
        )
    }

    /// Pins `count` pages of `memory` from the one that has `iova` on. Each is shown to `found`,
    /// with its index. On failure none is pinned any more.
    ///
    /// # Errors
    ///
    /// Those of [`UserMemory::pin_pages()`].
    pub(crate) fn pin(
        &self,
        memory: &Arc<UserMemory>,
        iova: u64,
        count: usize,
        access: PinAccess,
        mut found: impl FnMut(usize, UserPage<'_>),
    ) -> Result {
        memory.may_pin(iova, count)?;
        for index in 0..count {
            let address = nth(iova, index);
            if let Err(error) = self.pin_one(memory, address, access, |page| found(index, page)) {
                self.unpin(iova, index);
                return Err(error);
            }
        }
        Ok(())
    }

    fn pin_one(
        &self,
        memory: &Arc<UserMemory>,
        address: u64,
        access: PinAccess,
        found: impl FnOnce(UserPage<'_>),
    ) -> Result {
        // Nothing may fail once there are pages: they are not to be let go of in there.
        let node = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        memory.pin_pages(address, 1, access, |pages| {
            if let Some(page) = pages.page(0) {
                found(page);
            }
            let mut state = self.state.lock();
            state.count = state.count.wrapping_add(1);
            let node = node.into_node((pages.iova(), state.count), pages);
            state.pins.insert(node);
        })
    }

    /// Lets go of `count` pages from the one that has `iova` on, of each once. Returns how many
    /// of them were pinned.
    pub(crate) fn unpin(&self, iova: u64, count: usize) -> usize {
        (0..count)
            .filter(|index| self.take(nth(iova, *index)).is_some())
            .count()
    }

    fn take(&self, iova: u64) -> Option<PinnedPages> {
        let address = page_of(iova);
        let mut state = self.state.lock();
        let key = *state.pins.cursor_lower_bound(&(address, 0))?.current().0;
        if key.0 == address {
            state.pins.remove(&key)
        } else {
            None
        }
    }

    /// Lets go of all. Returns how many there were.
    pub(crate) fn clear(&self) -> usize {
        let pins = core::mem::replace(&mut self.state.lock().pins, RBTree::new());
        pins.values().count()
    }
}

/// The address of the page that has `iova`.
fn page_of(iova: u64) -> u64 {
    // CAST: Widen.
    iova & !(PAGE_SIZE as u64 - 1)
}

/// The address of the page `index` pages behind the one that has `iova`.
fn nth(iova: u64, index: usize) -> u64 {
    // CAST: Widen.
    let offset = (index as u64).wrapping_mul(PAGE_SIZE as u64);
    page_of(iova).wrapping_add(offset)
}
