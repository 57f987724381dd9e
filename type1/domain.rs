// SPDX-License-Identifier: GPL-2.0

//! The IOMMU domains of a container, and the groups in them.
//!
//! Groups share a domain where they can. There are several domains if groups
//! are behind IOMMUs of different kinds, or of different coherency; each of
//! them has all mappings of the container.

use super::{
    abstractions::iommu::domain::{
        Attachment,
        PagingDomain,
        Purpose,
        ReservedRegion, //
    },
    range::IovaRange, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use vfio::abstractions::iommu;

/// A group that is attached to a domain.
pub(crate) struct Group {
    attachment: Attachment,
    reserved: KVec<ReservedRegion>,
}

impl Group {
    pub(crate) fn new(attachment: Attachment, reserved: KVec<ReservedRegion>) -> Self {
        Self {
            attachment,
            reserved,
        }
    }
}

/// The addresses in `reserved` that may not be mapped.
pub(crate) fn holes(reserved: &[ReservedRegion]) -> impl Iterator<Item = &IovaRange> + Clone {
    reserved
        .iter()
        .filter(|region| region.purpose != Purpose::Relaxable)
        .map(|region| &region.range)
}

/// Where `reserved` has room for the doorbells of MSIs that the IOMMU
/// translates, unless it also has MSIs that it does not translate: those are
/// what the hardware does then.
pub(crate) fn software_msi_base(reserved: &[ReservedRegion]) -> Option<u64> {
    let hardware = reserved.iter().any(|region| region.purpose == Purpose::Msi);
    reserved
        .iter()
        .rfind(|region| region.purpose == Purpose::SoftwareMsi)
        .filter(|_| !hardware)
        .map(|region| region.range.start())
}

/// A domain and its groups. It lives as long as it has any.
///
/// Fields are dropped in order: groups leave before the domain goes.
pub(crate) struct Domain {
    groups: KVec<Group>,
    paging: Arc<PagingDomain>,
    coherent: bool,
}

impl Domain {
    /// A domain without groups.
    pub(crate) fn new(paging: Arc<PagingDomain>) -> Self {
        // On Intel hardware this saves KVM from emulating WBINVD, so it is
        // always asked for.
        let coherent = paging.enforce_cache_coherency();
        Self {
            groups: KVec::new(),
            paging,
            coherent,
        }
    }

    pub(crate) fn paging(&self) -> &Arc<PagingDomain> {
        &self.paging
    }

    /// Whether all DMA through the domain is coherent with the CPU's caches.
    pub(crate) fn is_coherent(&self) -> bool {
        self.coherent
    }

    /// Whether groups of `other` can as well be in this domain, for all that
    /// can be said without trying.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.coherent == other.coherent && self.paging.has_driver_of(&other.paging)
    }

    pub(crate) fn has_group(&self, group: &iommu::Group) -> bool {
        self.groups
            .iter()
            .any(|entry| entry.attachment.is_of(group))
    }

    /// Whether no group is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Makes room for one more group.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn reserve_group(&mut self) -> Result {
        Ok(self.groups.reserve(1, GFP_KERNEL_ACCOUNT)?)
    }

    /// Adds a group that is attached to this domain.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, but not after [`Domain::reserve_group()`].
    pub(crate) fn add_group(&mut self, group: Group) -> Result {
        Ok(self.groups.push(group, GFP_KERNEL_ACCOUNT)?)
    }

    /// Detaches `group`, if it is in this domain.
    pub(crate) fn remove_group(&mut self, group: &iommu::Group) {
        self.groups.retain(|entry| !entry.attachment.is_of(group));
    }

    /// The addresses that may not be mapped because of a group in here.
    pub(crate) fn holes(&self) -> impl Iterator<Item = &IovaRange> + Clone {
        self.groups.iter().flat_map(|group| holes(&group.reserved))
    }
}
