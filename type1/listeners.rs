// SPDX-License-Identifier: GPL-2.0

//! Bus drivers that are told what users unmap.

use kernel::{
    prelude::*,
    sync::Arc, //
};
use vfio::pinning::UnmapListener;

/// Those who are told.
pub(super) struct Listeners(KVec<Arc<dyn UnmapListener>>);

/// Room for one more than there are.
pub(super) struct Room(KVec<Arc<dyn UnmapListener>>);

impl Room {
    /// Makes room for one more than `count`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(count: usize) -> Result<Self> {
        let listeners = KVec::with_capacity(count.saturating_add(1), GFP_KERNEL_ACCOUNT)?;
        Ok(Self(listeners))
    }
}

impl Listeners {
    /// None.
    pub(super) const fn new() -> Self {
        Self(KVec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The one with the given index.
    pub(super) fn at(&self, index: usize) -> Option<Arc<dyn UnmapListener>> {
        self.0.get(index).cloned()
    }

    /// Adds one, if there is room for all: that of the others is left in `room`.
    pub(super) fn add(&mut self, listener: &Arc<dyn UnmapListener>, room: &mut Room) -> bool {
        if room.0.capacity() <= self.0.len() {
            return false;
        }
        for other in &self.0 {
            let _ = room.0.push_within_capacity(other.clone());
        }
        let _ = room.0.push_within_capacity(listener.clone());
        core::mem::swap(&mut self.0, &mut room.0);
        true
    }

    /// Removes one; the result is to be dropped without a lock.
    pub(super) fn remove(
        &mut self,
        listener: &Arc<dyn UnmapListener>,
    ) -> Option<Arc<dyn UnmapListener>> {
        let index = self.0.iter().position(|it| Arc::ptr_eq(it, listener))?;
        self.0.remove(index).ok()
    }
}
