// SPDX-License-Identifier: GPL-2.0

//! IOMMU domains that translate addresses, and groups that are attached to them.
//!
//! C header: [`include/linux/iommu.h`](srctree/include/linux/iommu.h)

use crate::abstractions::{
    iommu::held_run::HeldRun,
    scheduler::cond_resched, //
};
use crate::range::IovaRange;
use core::{
    mem::offset_of,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    },
    types::Opaque, //
};
use pin_init::stack_pin_init;
use vfio::abstractions::{
    bindings,
    iommu::Group, //
};

/// What a device may do with memory: the `prot` of `iommu_map()`, without what is the same for all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prot {
    /// It may read.
    pub(crate) read: bool,
    /// It may write.
    pub(crate) write: bool,
}

impl Prot {
    /// The flags of `iommu_map()`.
    fn as_raw(self) -> c_int {
        let mut flags = bindings::IOMMU_CACHE;
        if self.read {
            flags |= bindings::IOMMU_READ;
        }
        if self.write {
            flags |= bindings::IOMMU_WRITE;
        }
        // CAST: A few low bits.
        flags as c_int
    }
}

/// In place of a number of groups: none may be attached any more.
const RETIRED: u32 = u32::MAX;

/// A domain with page tables of its own.
///
/// # Invariants
///
/// The pointer is to a valid paging domain, which this value owns. `groups` is the number of
/// [`Attachment`]s, or [`RETIRED`] if there are none, nor will be.
pub(crate) struct PagingDomain {
    raw: NonNull<bindings::iommu_domain>,
    groups: Atomic<u32>,
}

// SAFETY: A domain may be used and freed by any thread.
unsafe impl Send for PagingDomain {}
// SAFETY: The IOMMU drivers allow concurrent calls for a domain.
unsafe impl Sync for PagingDomain {}

impl PagingDomain {
    /// A new domain that the IOMMU of `group` understands.
    ///
    /// # Errors
    ///
    /// Those of the IOMMU driver; `ENODEV` if the group has no device.
    pub(crate) fn new(group: &Group) -> Result<Self> {
        let mut domain: *mut bindings::iommu_domain = ptr::null_mut();
        // SAFETY: The group is alive, and the callback gets the address of the
        // pointer that it expects.
        unsafe {
            bindings::iommu_group_for_each_dev(
                group.as_raw(),
                (&raw mut domain).cast(),
                Some(alloc_for_device),
            )
        };
        let raw = NonNull::new(from_err_ptr(domain)?).ok_or(ENODEV)?;
        // INVARIANT: Not an error and not null, so a domain, and it is ours. Nothing is attached.
        Ok(Self {
            raw,
            groups: Atomic::new(0),
        })
    }

    fn as_raw(&self) -> *mut bindings::iommu_domain {
        self.raw.as_ptr()
    }

    /// Changes the number of groups to what `change` makes of it, if it makes anything of it.
    /// Tells whether it does.
    fn count_groups(&self, change: impl Fn(u32) -> Option<u32>) -> bool {
        let mut groups = self.groups.load(Relaxed);
        while let Some(changed) = change(groups) {
            match self.groups.cmpxchg(groups, changed, Full) {
                Ok(_) => return true,
                Err(now) => groups = now,
            }
        }
        false
    }

    /// One of the groups is not attached any more.
    fn uncount_group(&self) {
        // INVARIANT: It was counted, so there is one at least.
        self.groups.fetch_sub(1, Full);
    }

    /// Keeps groups from being attached, if none is. What is mapped leads nowhere then.
    pub(in crate::abstractions) fn retire(&self) -> bool {
        // INVARIANT: There are no groups.
        let retired = self.count_groups(|groups| (groups == 0).then_some(RETIRED));
        if !retired {
            pr_err!("An IOMMU domain that has groups cannot go\n");
        }
        retired
    }

    fn ops(&self) -> *const bindings::iommu_domain_ops {
        // SAFETY: The domain is valid, and its operations do not change.
        unsafe { (*self.as_raw()).ops }
    }

    /// The addresses that the domain can translate.
    pub(crate) fn aperture(&self) -> IovaRange {
        // SAFETY: The domain is valid, and its geometry does not change.
        let geometry = unsafe { (*self.as_raw()).geometry };
        IovaRange::new(geometry.aperture_start, geometry.aperture_end).unwrap_or(IovaRange::ALL)
    }

    /// The page sizes that the domain can map, one bit for each.
    pub(crate) fn page_sizes(&self) -> u64 {
        // SAFETY: The domain is valid, and its page sizes do not change.
        unsafe { (*self.as_raw()).pgsize_bitmap as u64 }
    }

    /// Whether the same IOMMU driver, in the same mode, handles both domains.
    pub(crate) fn has_driver_of(&self, other: &Self) -> bool {
        ptr::eq(self.ops(), other.ops())
    }

    /// Makes all DMA coherent with the CPU's caches, whatever the devices ask
    /// for, if the IOMMU can.
    pub(crate) fn enforce_cache_coherency(&self) -> bool {
        // SAFETY: The operations of a valid domain are valid.
        let enforce = unsafe { (*self.ops()).enforce_cache_coherency };
        // SAFETY: The domain is valid.
        enforce.is_some_and(|enforce| unsafe { enforce(self.as_raw()) })
    }

    /// Sets where the domain maps the doorbells of MSIs, for IOMMUs that
    /// translate MSIs like other writes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if it is set already.
    pub(crate) fn set_msi_base(&self, base: u64) -> Result {
        // SAFETY: The domain is valid.
        match to_result(unsafe { bindings::iommu_get_msi_cookie(self.as_raw(), base) }) {
            // The kernel was built without any IOMMU that needs this.
            Err(error) if error == ENODEV => Ok(()),
            result => result,
        }
    }

    /// Maps the page frames of `run` from `iova` on. May sleep.
    ///
    /// They are to be unmapped before the owner of the run lets go of them, unless the domain is
    /// [retired](Self::retire) before.
    ///
    /// # Errors
    ///
    /// Those of the IOMMU driver. Then nothing is mapped.
    pub(in crate::abstractions) fn map(&self, iova: u64, run: HeldRun<'_>, prot: Prot) -> Result {
        let address = usize::try_from(iova)?;
        let size = usize::try_from(run.pages() << PAGE_SHIFT)?;
        // SAFETY: The domain is valid; the page frames hold still, and stay until
        // they are unmapped: that is what `DmaRuns`, whose run this is, sees to.
        to_result(unsafe {
            bindings::iommu_map(
                self.as_raw(),
                address,
                run.pfn() << PAGE_SHIFT,
                size,
                prot.as_raw(),
                bindings::GFP_KERNEL_ACCOUNT,
            )
        })
    }

    /// Unmaps `ranges`, and flushes the IOMMU's caches once, at the end. No device
    /// reaches them afterwards. May sleep.
    ///
    /// A range may cover several mappings that adjoin, but must not cut one.
    ///
    /// # Errors
    ///
    /// `EIO`: a part of the ranges could not be unmapped.
    pub(in crate::abstractions) fn unmap(&self, ranges: impl Iterator<Item = IovaRange>) -> Result {
        stack_pin_init!(let unflushed = Unflushed::of(self));
        let mut result = Ok(());
        for range in ranges {
            result = result.and(unflushed.as_mut().unmap(&range));
            cond_resched();
        }
        result
    }
}

/// What has been unmapped in a domain, but may still be in the IOMMU's caches. They
/// are flushed when this is dropped.
///
/// # Invariants
///
/// `gather` is initialized, and what it has gathered was unmapped in `domain`.
#[pin_data(PinnedDrop)]
struct Unflushed<'a> {
    domain: &'a PagingDomain,
    #[pin]
    gather: Opaque<bindings::iommu_iotlb_gather>,
}

impl<'a> Unflushed<'a> {
    /// Nothing yet.
    fn of(domain: &'a PagingDomain) -> impl PinInit<Self> + 'a {
        // INVARIANT: The gatherer is initialized and empty.
        pin_init!(Self {
            domain,
            // SAFETY: The slot is valid for writes and will not move.
            gather <- Opaque::ffi_init(|slot| unsafe {
                bindings::vfio_rust_iotlb_gather_init(slot)
            }),
        })
    }

    fn unmap(self: Pin<&mut Self>, range: &IovaRange) -> Result {
        let address = usize::try_from(range.start())?;
        let size = usize::try_from(range.size())?;
        let domain = self.domain.as_raw();
        // SAFETY: The domain is valid, and copes with any address; the gatherer is
        // initialized, and nobody else uses it.
        let unmapped =
            unsafe { bindings::iommu_unmap_fast(domain, address, size, self.gather.get()) };
        if unmapped < size {
            return Err(EIO);
        }
        Ok(())
    }
}

#[pinned_drop]
impl PinnedDrop for Unflushed<'_> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant.
        unsafe { bindings::vfio_rust_iotlb_sync(self.domain.as_raw(), self.gather.get()) };
    }
}

impl Drop for PagingDomain {
    fn drop(&mut self) {
        // SAFETY: The domain is ours; nothing is attached, since each
        // `Attachment` holds a reference.
        unsafe { bindings::iommu_domain_free(self.as_raw()) };
    }
}

/// Allocates a domain for the first device of a group.
///
/// # Safety
///
/// `device` must be valid, `data` the address of a pointer to a domain.
unsafe extern "C" fn alloc_for_device(device: *mut bindings::device, data: *mut c_void) -> c_int {
    // SAFETY: The device is valid.
    let domain = unsafe { bindings::iommu_paging_domain_alloc_flags(device, 0) };
    // SAFETY: The caller gives the address of such a pointer.
    unsafe { data.cast::<*mut bindings::iommu_domain>().write(domain) };
    // One device is enough: they all are behind the same IOMMU.
    1
}

/// A group whose DMA a domain translates; it ends when this is dropped.
pub(crate) struct Attachment {
    domain: Arc<PagingDomain>,
    group: ARef<Group>,
}

impl Attachment {
    /// Attaches `group` to `domain`.
    ///
    /// # Errors
    ///
    /// Those of the IOMMU driver; `EBUSY` if the group is attached elsewhere; `EINVAL` if
    /// the domain is no container's any more.
    pub(crate) fn new(domain: Arc<PagingDomain>, group: &Group) -> Result<Self> {
        // INVARIANT: This will be an attachment, or the count ends below.
        if !domain.count_groups(|groups| groups.checked_add(1).filter(|it| *it != RETIRED)) {
            return Err(EINVAL);
        }
        // SAFETY: Both are alive.
        let attached = unsafe { bindings::iommu_attach_group(domain.as_raw(), group.as_raw()) };
        if let Err(error) = to_result(attached) {
            domain.uncount_group();
            return Err(error);
        }
        Ok(Self {
            domain,
            group: group.into(),
        })
    }

    /// Whether this is the attachment of `group`.
    pub(crate) fn is_of(&self, group: &Group) -> bool {
        ptr::eq(&*self.group, group)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // SAFETY: Both are alive, and attached to each other since `new()`.
        unsafe { bindings::iommu_detach_group(self.domain.as_raw(), self.group.as_raw()) };
        self.domain.uncount_group();
    }
}

/// Whether the devices of `group` can signal only interrupts that are theirs.
pub(crate) fn has_isolated_msi(group: &Group) -> bool {
    // SAFETY: The group is alive.
    unsafe { bindings::iommu_group_has_isolated_msi(group.as_raw()) }
}

/// Addresses that are not for mapping, and what they are for.
pub(crate) struct ReservedRegion {
    /// The addresses.
    pub(crate) range: IovaRange,
    /// The purpose.
    pub(crate) purpose: Purpose,
}

/// What a reserved region is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Firmware uses it, but devices that are assigned to users can do without.
    Relaxable,
    /// Writes to it are MSIs, which the IOMMU does not translate.
    Msi,
    /// Room for the doorbells of MSIs, which the IOMMU translates.
    SoftwareMsi,
    /// Anything else.
    Other,
}

impl Purpose {
    fn from_raw(raw: bindings::iommu_resv_type) -> Self {
        match raw {
            bindings::iommu_resv_type_IOMMU_RESV_DIRECT_RELAXABLE => Self::Relaxable,
            bindings::iommu_resv_type_IOMMU_RESV_MSI => Self::Msi,
            bindings::iommu_resv_type_IOMMU_RESV_SW_MSI => Self::SoftwareMsi,
            _ => Self::Other,
        }
    }
}

/// The reserved regions of all devices of `group`.
///
/// # Errors
///
/// `ENOMEM`, or an error of the IOMMU driver.
pub(crate) fn reserved_regions(group: &Group) -> Result<KVec<ReservedRegion>> {
    let list = RegionList::of(group)?;
    let mut regions = KVec::new();
    let mut result = Ok(());
    list.for_each(|region| {
        let Some(distance) = (region.length as u64).checked_sub(1) else {
            return;
        };
        let last = region.start.saturating_add(distance);
        if let (Ok(()), Some(range)) = (&result, IovaRange::new(region.start, last)) {
            let region = ReservedRegion {
                range,
                purpose: Purpose::from_raw(region.type_),
            };
            result = regions.push(region, GFP_KERNEL).map_err(Error::from);
        }
    });
    result.map(|()| regions)
}

/// The list that `iommu_get_group_resv_regions()` makes.
///
/// # Invariants
///
/// An initialized list head, whose entries are regions that this value owns.
struct RegionList(Pin<KBox<Opaque<bindings::list_head>>>);

impl RegionList {
    fn of(group: &Group) -> Result<Self> {
        let head = KBox::pin_init(
            // SAFETY: The slot is valid for writes and will not move.
            Opaque::ffi_init(|slot: *mut bindings::list_head| unsafe {
                bindings::INIT_LIST_HEAD(slot)
            }),
            GFP_KERNEL,
        )?;
        // INVARIANT: The list is empty.
        let list = Self(head);
        // On error some regions may be in the list already.
        //
        // SAFETY: The group is alive, and the list head valid.
        // INVARIANT: The function adds regions that are for us to free.
        to_result(unsafe { bindings::iommu_get_group_resv_regions(group.as_raw(), list.0.get()) })?;
        Ok(list)
    }

    fn for_each(&self, mut visit: impl FnMut(&bindings::iommu_resv_region)) {
        let head = self.0.get();
        // SAFETY: By the type invariant the list is initialized.
        let mut entry = unsafe { (*head).next };
        while !ptr::eq(entry, head) {
            // SAFETY: By the type invariant every other entry is a region.
            visit(unsafe { &*region_of(entry) });
            // SAFETY: The entry is valid, and the list does not change.
            entry = unsafe { (*entry).next };
        }
    }
}

impl Drop for RegionList {
    fn drop(&mut self) {
        let head = self.0.get();
        // SAFETY: By the type invariant the list is initialized.
        let mut entry = unsafe { (*head).next };
        while !ptr::eq(entry, head) {
            // SAFETY: The entry is valid.
            let next = unsafe { (*entry).next };
            // SAFETY: By the type invariant the entry is a region of ours; it
            // was allocated by `kmalloc()` and is not used any more.
            unsafe { bindings::kfree(region_of(entry).cast()) };
            entry = next;
        }
    }
}

/// The region that contains the list entry `entry`.
///
/// # Safety
///
/// `entry` must be the `list` member of a region.
unsafe fn region_of(entry: *mut bindings::list_head) -> *mut bindings::iommu_resv_region {
    // SAFETY: The caller says that there is a region around the entry.
    unsafe {
        entry
            .byte_sub(offset_of!(bindings::iommu_resv_region, list))
            .cast()
    }
}
