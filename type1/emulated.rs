// SPDX-License-Identifier: GPL-2.0

//! Groups of emulated devices in a container.
//!
//! No IOMMU serves them, so they are in no domain. A container without a domain
//! only remembers its mappings; they get their pages with the first domain, and
//! lose them with the last one.

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use vfio::abstractions::iommu;

/// The groups of emulated devices in a container.
pub(super) struct EmulatedGroups(KVec<ARef<iommu::Group>>);

impl EmulatedGroups {
    /// None.
    pub(super) const fn new() -> Self {
        Self(KVec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, group: &iommu::Group) -> bool {
        self.0.iter().any(|other| core::ptr::eq(&**other, group))
    }

    /// Adds a group that is not there yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn add(&mut self, group: &iommu::Group) -> Result {
        Ok(self.0.push(group.into(), GFP_KERNEL_ACCOUNT)?)
    }

    /// Removes a group, and tells whether it was there.
    pub(super) fn remove(&mut self, group: &iommu::Group) -> bool {
        let before = self.0.len();
        self.0.retain(|other| !core::ptr::eq(&**other, group));
        if self.0.is_empty() {
            self.0 = KVec::new();
            return before != 0;
        }
        before != self.0.len()
    }
}
