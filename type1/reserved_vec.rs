// SPDX-License-Identifier: GPL-2.0

//! A vector that grows with memory allocated before its lock was taken.

use kernel::prelude::*;

/// The vector. Nothing is allocated or freed with its lock held.
pub(super) struct ReservedVec<T>(KVec<T>);

/// Memory for one more item than there were. Dropped after the lock, since what it holds in the
/// end is the memory of before.
pub(super) struct Reservation<T>(KVec<T>);

impl<T> Reservation<T> {
    /// For one more than `count`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(count: usize) -> Result<Self> {
        let items = KVec::with_capacity(count.saturating_add(1), GFP_KERNEL_ACCOUNT)?;
        Ok(Self(items))
    }
}

impl<T> ReservedVec<T> {
    /// An empty one.
    pub(super) const fn new() -> Self {
        Self(KVec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The item with the given index.
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index)
    }

    /// Appends `item`; tells whether there was room, as more may have come since it was reserved.
    pub(super) fn push(&mut self, item: T, reservation: &mut Reservation<T>) -> bool {
        let items = &mut reservation.0;
        if items.capacity() <= self.0.len() {
            return false;
        }
        for old in self.0.drain_all() {
            // There is room.
            let _ = items.push_within_capacity(old);
        }
        let _ = items.push_within_capacity(item);
        core::mem::swap(&mut self.0, items);
        true
    }

    /// Removes the first item that `is_it`; to be dropped without the lock.
    pub(super) fn remove(&mut self, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let index = self.0.iter().position(is_it)?;
        self.0.remove(index).ok()
    }
}
