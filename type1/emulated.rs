// SPDX-License-Identifier: GPL-2.0

//! Groups of emulated devices in a container.
//!
//! No IOMMU serves them, so they are in no domain. A container without a domain
//! only remembers its mappings; they get their pages with the first domain, and
//! lose them with the last one.

use super::{
    container::{
        Shared,
        State, //
    },
    domain::Domain, //
};
use core::slice;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
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

impl State {
    /// Gives all mappings their pages, for `first`, which is going to be the
    /// first domain; or none of them.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::populate()`](super::mapping::Mapping::populate). Then
    /// `first` has to go before [`depopulate_all()`](Self::depopulate_all) is called
    /// for no domain: what an IOMMU driver failed to unmap goes with it.
    pub(super) fn populate_all(&mut self, first: &Domain, container: &Arc<Shared>) -> Result {
        let domains = slice::from_ref(first);
        let result = self
            .mappings
            .iter_mut()
            .try_for_each(|mapping| mapping.populate(domains, container));
        if result.is_err() {
            self.depopulate_all(domains);
        }
        result
    }

    /// Takes the pages of all mappings away, whose only domains are `domains`.
    pub(super) fn depopulate_all(&mut self, domains: &[Domain]) {
        for mapping in self.mappings.iter_mut() {
            if let Ok(left) = mapping.clear(domains) {
                self.retired.add(left);
            }
        }
    }
}
