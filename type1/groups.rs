// SPDX-License-Identifier: GPL-2.0

//! The groups of a container, and what they have in common.

use super::{
    abstractions::iommu::domain::ReservedRegion,
    domain::{
        holes,
        Domain, //
    },
    emulated::EmulatedGroups,
    page_sizes::PageSizes,
    range::IovaRange,
    table::Table,
    valid_iova::without_holes, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use vfio::abstractions::iommu;

/// The groups of a container.
pub(super) struct Groups {
    /// Their domains.
    pub(super) domains: KVec<Domain>,
    /// Those that do no DMA.
    pub(super) emulated: EmulatedGroups,
}

impl Groups {
    /// None.
    pub(super) const fn new() -> Self {
        Self {
            domains: KVec::new(),
            emulated: EmulatedGroups::new(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty() && self.emulated.is_empty()
    }

    /// Whether `group` is one of them.
    pub(super) fn has(&self, group: &iommu::Group) -> bool {
        self.emulated.has(group) || self.domains.iter().any(|domain| domain.has_group(group))
    }

    /// Writes down what all domains have in common.
    pub(super) fn describe(&self, table: &mut Table) {
        let sizes = self.domains.iter().map(|it| it.paging().page_sizes());
        table.page_sizes = PageSizes::common(sizes, PAGE_SIZE as u64);
        table.coherent = self.domains.iter().all(Domain::is_coherent);
    }

    /// The addresses that all domains translate and no group reserves: all that
    /// there are, if no domain is left. (Before the first one there is no list, which
    /// is as good for who maps, but GET_INFO tells them apart.)
    pub(super) fn valid_iova(&self) -> Result<KVec<IovaRange>> {
        let Some(aperture) = self.aperture(IovaRange::ALL) else {
            return Err(EINVAL);
        };
        collect_valid(aperture, self.domains.iter().flat_map(Domain::holes))
    }

    /// The same, with one more group that brings `aperture` and `reserved`.
    pub(super) fn valid_iova_with(
        &self,
        aperture: IovaRange,
        reserved: &[ReservedRegion],
    ) -> Result<KVec<IovaRange>> {
        let aperture = self.aperture(aperture).ok_or(EINVAL)?;
        let present = self.domains.iter().flat_map(Domain::holes);
        collect_valid(aperture, Iterator::chain(present, holes(reserved)))
    }

    /// What all domains and `range` share.
    fn aperture(&self, range: IovaRange) -> Option<IovaRange> {
        self.domains.iter().try_fold(range, |shared, domain| {
            shared.intersection(&domain.paging().aperture())
        })
    }
}

/// `aperture` less `holes`, in ascending order.
///
/// # Errors
///
/// `EINVAL`: nothing is left. `ENOMEM`.
fn collect_valid<'a>(
    aperture: IovaRange,
    holes: impl Iterator<Item = &'a IovaRange> + Clone,
) -> Result<KVec<IovaRange>> {
    let mut valid = KVec::new();
    without_holes(aperture, holes, |range| valid.push(range, GFP_KERNEL))?;
    if valid.is_empty() {
        return Err(EINVAL);
    }
    Ok(valid)
}
