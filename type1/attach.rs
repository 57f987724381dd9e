// SPDX-License-Identifier: GPL-2.0

//! Groups that come and go: domains, valid addresses, replay.

use super::{
    abstractions::{
        iommu::domain::{
            has_isolated_msi,
            reserved_regions,
            Attachment,
            PagingDomain,
            ReservedRegion, //
        },
        mm::locked_memory::Uncharge,
        parameters::type1 as type1_parameters, //
    },
    claims,
    container::Container,
    domain::{
        software_msi_base,
        Domain,
        Group, //
    },
    groups::Groups,
    mapping::Mapping,
    range::IovaRange,
    reserved_vec::Reservation,
    valid_iova::permits, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use vfio::{
    abstractions::iommu,
    confinement::Dma,
    monitor::Monitor, //
};

impl Container {
    /// Takes `group` in. One that does DMA is attached to a domain, one of those
    /// that there are or a new one.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the memory of a mapping has no valid address.
    /// `EINVAL`: the group is here already; or a mapping is where this group
    /// must not have one; or no valid address would be left.
    /// `EPERM`: its interrupts are not isolated from those of others.
    /// Otherwise those of the IOMMU driver.
    pub(super) fn attach(&self, group: &iommu::Group, dma: Dma) -> Result {
        let mut groups = self.groups.lock();
        if self.table.lock().mappings.has_invalid() {
            return Err(EBUSY);
        }
        if groups.has(group) {
            return Err(EINVAL);
        }
        match dma {
            Dma::Physical => self.attach_to_domain(&mut groups, group),
            Dma::Emulated => self.add_emulated(&mut groups, group),
        }
    }

    fn add_emulated(&self, groups: &mut Groups, group: &iommu::Group) -> Result {
        groups.emulated.add(group)?;
        let mut table = self.table.lock();
        if table.mappings.has_invalid() {
            drop(table);
            groups.emulated.remove(group);
            return Err(EBUSY);
        }
        table.has_groups = true;
        table.has_emulated = true;
        Ok(())
    }

    fn attach_to_domain(&self, groups: &mut Groups, group: &iommu::Group) -> Result {
        let paging = Arc::new(PagingDomain::new(group)?, GFP_KERNEL_ACCOUNT)?;
        let attachment = Attachment::new(paging.clone(), group)?;
        let reserved = reserved_regions(group)?;
        let valid = groups.valid_iova_with(paging.aperture(), &reserved)?;
        self.announce(valid)?;
        let result = check_interrupts(group)
            .and_then(|()| self.add_writer(group))
            .and_then(|()| {
                self.place_group(groups, Domain::new(paging), attachment, group, reserved)
            });

        let mut table = self.table.lock();
        let coming = table.coming.take();
        if let (Ok(()), Some(valid)) = (result, coming) {
            table.valid = valid;
            table.has_groups = true;
            groups.describe(&mut table);
        } else {
            table.writers_remove(group);
        }
        self.table.wake(table);
        result
    }

    /// From now on the devices of `group` may write where nobody sees it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn add_writer(&self, group: &iommu::Group) -> Result {
        loop {
            let count = self.table.lock().writers.len();
            let mut room = Reservation::new(count)?;
            let mut table = self.table.lock();
            let added = table.writers.push(group.into(), &mut room);
            drop(table);
            if added {
                return Ok(());
            }
        }
    }

    /// From now on only what is in `valid` is mapped, until it is known whether the group comes
    /// that asks for it.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the memory of a mapping has no valid address. `EINVAL`: there is a mapping
    /// elsewhere.
    fn announce(&self, valid: KVec<IovaRange>) -> Result {
        let mut table = self.table.lock();
        if table.mappings.has_invalid() {
            return Err(EBUSY);
        }
        if table.mappings.ranges().any(|it| !permits(&valid, &it)) {
            return Err(EINVAL);
        }
        table.coming = Some(valid);
        Ok(())
    }

    /// Finds a domain for `group`, which is attached to `new` so far.
    fn place_group(
        &self,
        groups: &mut Groups,
        mut new: Domain,
        attachment: Attachment,
        group: &iommu::Group,
        reserved: KVec<ReservedRegion>,
    ) -> Result {
        let mut attachment = attachment;
        for domain in groups.domains.iter_mut().rev() {
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
        self.add_domain(groups, new, msi_base)
    }

    /// Gives `new` all mappings and adds it. If that fails, its page tables go
    /// with it.
    fn add_domain(&self, groups: &mut Groups, new: Domain, msi_base: Option<u64>) -> Result {
        groups.domains.reserve(1, GFP_KERNEL_ACCOUNT)?;
        if let Some(base) = msi_base {
            new.paging().set_msi_base(base)?;
        }
        let is_first = groups.domains.is_empty();
        self.domains.reserve()?;
        let mut table = self.table.lock();
        self.domains.begin_joining(new.paging().clone())?;
        table.has_domains = true;
        drop(table);

        if let Err(error) = self.give_mappings().and_then(|()| self.domains.join()) {
            // Its groups first: then no device reaches anything by it any more.
            drop(new);
            let mut table = self.table.lock();
            table.has_domains = !is_first;
            let given_up = self.domains.give_up_joining();
            drop(table);
            drop(given_up);
            if is_first {
                self.take_pages();
            }
            return Err(error);
        }
        groups.domains.push(new, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    /// Gives the domain that is joining what each mapping has, and its pages to each that
    /// has none, for want of a domain. What is still under construction gets
    /// the rest from who works on it.
    ///
    /// # Errors
    ///
    /// Those of [`Mapping::populate()`] and [`Mapping::join()`].
    fn give_mappings(&self) -> Result {
        let mut next = Some(0);
        while let Some((mapping, begun)) = next.and_then(|next| self.begin_from(next)) {
            let last = mapping.range().last();
            if begun && !mapping.has_pages() {
                mapping
                    .populate()
                    .inspect_err(|_| claims::settle_as_is(&self.table, last))?;
            }
            let result = mapping.join();
            if begun {
                claims::settle_as_is(&self.table, last);
            }
            result?;
            next = last.checked_add(1);
        }
        Ok(())
    }

    /// The first mapping that ends at `address` or above it, and whether nobody worked on
    /// it, so that the caller does now.
    fn begin_from(&self, address: u64) -> Option<(Arc<Mapping>, bool)> {
        let mut table = self.table.lock();
        let ticket = table.mappings.ticket();
        let entry = table.mappings.first_from(address)?;
        Some((entry.mapping.clone(), entry.claim.begin(ticket)))
    }

    /// There is no domain: takes the pages of all mappings away. Who works on one
    /// does the same.
    fn take_pages(&self) {
        let mut next = Some(0);
        while let Some((mapping, begun)) = next.and_then(|next| self.begin_from(next)) {
            let last = mapping.range().last();
            if begun {
                // Without a domain nothing can fail.
                let _ = mapping.clear(&mut Uncharge::new());
                claims::settle_as_is(&self.table, last);
            }
            next = last.checked_add(1);
        }
    }

    /// Lets `group` go, and drops its domain if it was the last one there. With
    /// the last group go all mappings.
    pub(super) fn detach(&self, group: &iommu::Group) {
        let mut groups = self.groups.lock();
        if groups.emulated.remove(group) {
            self.table.lock().has_emulated = !groups.emulated.is_empty();
            if groups.is_empty() {
                self.table.lock().has_groups = false;
                self.clear();
            }
            return;
        }
        let Some(index) = groups
            .domains
            .iter()
            .position(|domain| domain.has_group(group))
        else {
            return;
        };
        let emptied = groups.domains.get_mut(index).is_some_and(|domain| {
            domain.remove_group(group);
            domain.is_empty()
        });
        // Its devices write nothing any more.
        let mut table = self.table.lock();
        if table.writers_remove(group) {
            table.set_all_dirty();
        }
        drop(table);
        if emptied {
            self.remove_domain(&mut groups, index);
        }
        // More may be valid without the group. If there is no memory to tell,
        // the addresses that were valid with it still are.
        if let Ok(valid) = groups.valid_iova() {
            self.table.lock().valid = valid;
        }
    }

    /// Drops a domain, in which no group is left.
    fn remove_domain(&self, groups: &mut Groups, index: usize) {
        let Ok(domain) = groups.domains.remove(index) else {
            return;
        };
        let mut table = self.table.lock();
        table.has_domains = !groups.domains.is_empty();
        table.has_groups = !groups.is_empty();
        groups.describe(&mut table);
        self.domains.remove(domain.paging());
        drop(table);
        // The page tables go before the pages that they lead to.
        drop(domain);
        if groups.is_empty() {
            self.clear();
        } else if groups.domains.is_empty() {
            self.take_pages();
        }
    }
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
