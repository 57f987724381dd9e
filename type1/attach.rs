// SPDX-License-Identifier: GPL-2.0

//! Groups that come and go: domains, valid addresses, replay.

use super::{
    abstractions::{
        iommu_domain::{
            has_isolated_msi,
            reserved_regions,
            Attachment,
            PagingDomain,
            ReservedRegion, //
        },
        type1_parameters, //
    },
    container::{
        Shared,
        State, //
    },
    domain::{
        holes,
        software_msi_base,
        Domain,
        Group, //
    },
    page_sizes::PageSizes,
    range::IovaRange,
    valid_iova::{
        permits,
        without_holes, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};
use vfio::{
    abstractions::iommu,
    device::Dma, //
};

impl State {
    /// Takes `group` in. One that does DMA is attached to a domain, one of those
    /// that there are or a new one.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the group is here already; or a mapping is where this group
    /// must not have one; or no valid address would be left.
    /// `EPERM`: its interrupts are not isolated from those of others.
    /// Otherwise those of the IOMMU driver.
    pub(super) fn attach_group(
        &mut self,
        group: &iommu::Group,
        dma: Dma,
        container: &Arc<Shared>,
    ) -> Result {
        let attached = self.domains.iter().any(|domain| domain.has_group(group));
        if attached || self.emulated.has(group) {
            return Err(EINVAL);
        }
        match dma {
            Dma::Physical => self.attach_to_domain(group, container),
            Dma::Emulated => self.emulated.add(group),
        }
    }

    fn attach_to_domain(&mut self, group: &iommu::Group, container: &Arc<Shared>) -> Result {
        let paging = Arc::new(PagingDomain::new(group)?, GFP_KERNEL_ACCOUNT)?;
        let attachment = Attachment::new(paging.clone(), group)?;
        let reserved = reserved_regions(group)?;
        let valid = self.valid_iova_with(paging.aperture(), &reserved)?;
        if self.mappings.iter().any(|it| !permits(&valid, &it.range())) {
            return Err(EINVAL);
        }
        check_interrupts(group)?;

        let domain = Domain::new(paging);
        self.place_group(domain, attachment, group, reserved, container)?;
        self.valid = valid;
        Ok(())
    }

    /// Finds a domain for `group`, which is attached to `new` so far.
    fn place_group(
        &mut self,
        mut new: Domain,
        attachment: Attachment,
        group: &iommu::Group,
        reserved: KVec<ReservedRegion>,
        container: &Arc<Shared>,
    ) -> Result {
        let mut attachment = attachment;
        for domain in self.domains.iter_mut().rev() {
            if !domain.is_like(&new) {
                continue;
            }
            domain.reserve_group()?;
            // A group can be attached to one domain only.
            drop(attachment);
            if let Ok(shared) = Attachment::new(domain.paging().clone(), group) {
                return domain.add_group(Group::new(shared, reserved));
            }
            attachment = Attachment::new(new.paging().clone(), group)?;
        }
        let msi_base = software_msi_base(&reserved);
        new.add_group(Group::new(attachment, reserved))?;
        self.add_domain(new, msi_base, container)
    }

    /// Gives `new` all mappings and adds it. If that fails, its page tables go
    /// with it.
    fn add_domain(
        &mut self,
        new: Domain,
        msi_base: Option<u64>,
        container: &Arc<Shared>,
    ) -> Result {
        self.domains.reserve(1, GFP_KERNEL_ACCOUNT)?;
        if let Some(base) = msi_base {
            new.paging().set_msi_base(base)?;
        }
        if self.domains.is_empty() {
            if let Err(error) = self.populate_all(&new, container) {
                drop(new);
                self.depopulate_all(&[]);
                return Err(error);
            }
        } else {
            for mapping in self.mappings.iter() {
                mapping.replay(new.paging())?;
            }
        }
        self.domains.push(new, GFP_KERNEL_ACCOUNT)?;
        self.update_page_sizes();
        Ok(())
    }

    /// Lets `group` go, and drops its domain if it was the last one there. With
    /// the last group go all mappings.
    pub(super) fn detach_group(&mut self, group: &iommu::Group) {
        if self.emulated.remove(group) {
            if self.emulated.is_empty() && self.domains.is_empty() {
                self.clear();
            }
            return;
        }
        let Some(index) = self
            .domains
            .iter()
            .position(|domain| domain.has_group(group))
        else {
            return;
        };
        let last_domain = self.domains.len() == 1;
        let emptied = self.domains.get_mut(index).is_some_and(|domain| {
            domain.remove_group(group);
            domain.is_empty()
        });
        if emptied {
            if last_domain && self.emulated.is_empty() {
                self.clear();
            } else if last_domain {
                let domains = core::mem::replace(&mut self.domains, KVec::new());
                self.depopulate_all(&domains);
                self.domains = domains;
            }
            let _ = self.domains.remove(index);
            self.update_page_sizes();
        }
        // More may be valid without the group. If there is no memory to tell,
        // the addresses that were valid with it still are.
        if let Ok(valid) = self.valid_iova() {
            self.valid = valid;
        }
    }

    fn update_page_sizes(&mut self) {
        let sizes = self.domains.iter().map(|it| it.paging().page_sizes());
        self.page_sizes = PageSizes::common(sizes, PAGE_SIZE as u64);
    }

    /// The addresses that all domains translate and no group reserves: all that
    /// there are, if no domain is left. (Before the first one there is no list, which
    /// is as good for who maps, but GET_INFO tells them apart.)
    fn valid_iova(&self) -> Result<KVec<IovaRange>> {
        let Some(aperture) = self.aperture(IovaRange::ALL) else {
            return Err(EINVAL);
        };
        collect_valid(aperture, self.domains.iter().flat_map(Domain::holes))
    }

    /// The same, with one more group that brings `aperture` and `reserved`.
    fn valid_iova_with(
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

/// Fails if a device of `group` could signal interrupts that are not its own,
/// unless the administrator accepts that.
fn check_interrupts(group: &iommu::Group) -> Result {
    if type1_parameters::allow_unsafe_interrupts() || has_isolated_msi(group) {
        return Ok(());
    }
    pr_warn!(
        "No interrupt remapping support.  Use the module param \"allow_unsafe_interrupts\" \
         to enable VFIO IOMMU support on this platform\n"
    );
    Err(EPERM)
}
