// SPDX-License-Identifier: GPL-2.0

//! Groups whose devices write where nobody sees it.
//!
//! While there are any, all that is mapped is dirty. A bus driver that pins pages tells by
//! doing so where the devices of its group write. Emulated devices write nowhere else.

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use vfio::abstractions::iommu;

/// The groups.
pub(super) struct Writers(KVec<ARef<iommu::Group>>);

/// Room for one more group than there are.
pub(super) struct Room(KVec<ARef<iommu::Group>>);

impl Room {
    /// Makes room for one more than `count`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(count: usize) -> Result<Self> {
        let groups = KVec::with_capacity(count.saturating_add(1), GFP_KERNEL_ACCOUNT)?;
        Ok(Self(groups))
    }
}

impl Writers {
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

    /// Adds `group`, where there is room: that of the others is left in `room`.
    pub(super) fn add(&mut self, group: &iommu::Group, room: &mut Room) {
        for other in self.0.iter() {
            // There is room.
            let _ = room.0.push_within_capacity(other.clone());
        }
        let _ = room.0.push_within_capacity(group.into());
        core::mem::swap(&mut self.0, &mut room.0);
    }

    /// Removes `group`; tells whether it was there.
    pub(super) fn remove(&mut self, group: &iommu::Group) -> bool {
        let before = self.0.len();
        self.0
            .retain(|other| !core::ptr::eq::<iommu::Group>(&**other, group));
        self.0.len() != before
    }
}
