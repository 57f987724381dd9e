// SPDX-License-Identifier: GPL-2.0

//! IOMMU groups and who owns their DMA.
//!
//! C header: [`include/linux/iommu.h`](srctree/include/linux/iommu.h)

use crate::abstractions::{
    bindings,
    device, //
};
use core::ptr::NonNull;
use kernel::{
    device::Device,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
};

#[cfg(CONFIG_IOMMUFD)]
pub mod iommufd;
#[cfg(not(CONFIG_IOMMUFD))]
#[path = "iommu/no_iommufd.rs"]
pub mod iommufd;
#[cfg(CONFIG_IOMMUFD_DRIVER)]
pub mod iova_bitmap;
#[cfg(not(CONFIG_IOMMUFD_DRIVER))]
#[path = "iommu/no_iova_bitmap.rs"]
pub mod iova_bitmap;

/// A set of devices that the IOMMU cannot tell apart, or that can reach each
/// other without it.
#[repr(transparent)]
pub struct Group(Opaque<bindings::iommu_group>);

// SAFETY: Groups may be used and released from any thread.
unsafe impl Send for Group {}
// SAFETY: The C side locks.
unsafe impl Sync for Group {}

// SAFETY: A group's reference count keeps it alive.
unsafe impl AlwaysRefCounted for Group {
    fn inc_ref(&self) {
        // SAFETY: `self` is alive.
        unsafe { bindings::iommu_group_ref_get(self.as_raw()) };
    }

    unsafe fn dec_ref(group: NonNull<Self>) {
        // SAFETY: The caller gives up a reference that it owns.
        unsafe { bindings::iommu_group_put(group.as_ptr().cast()) };
    }
}

impl Group {
    /// The group that `device` belongs to, if an IOMMU serves it.
    pub fn of(device: &Device) -> Option<ARef<Self>> {
        // SAFETY: The device is alive.
        let group = unsafe { bindings::iommu_group_get(device::as_raw(device)) };
        // SAFETY: `iommu_group_get()` returns null or a reference that is ours.
        NonNull::new(group).map(|group| unsafe { ARef::from_raw(group.cast()) })
    }

    /// The C structure.
    pub fn as_raw(&self) -> *mut bindings::iommu_group {
        self.0.get()
    }

    /// The number in `/sys/kernel/iommu_groups/`.
    pub fn id(&self) -> i32 {
        // SAFETY: `self` is alive.
        unsafe { bindings::iommu_group_id(self.as_raw()) }
    }

    /// Whether somebody owns the DMA of the group: a kernel driver, or a user.
    pub fn dma_owner_claimed(&self) -> bool {
        // SAFETY: `self` is alive.
        unsafe { bindings::iommu_group_dma_owner_claimed(self.as_raw()) }
    }
}

/// A group that was made up for one device, which no IOMMU serves.
///
/// The device leaves it when this is dropped; the group goes with the last
/// reference to it.
pub struct FabricatedGroup {
    group: ARef<Group>,
    device: ARef<Device>,
}

impl FabricatedGroup {
    /// Makes a group for `device`. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST`: the device is in a group. `ENOMEM`, `ENOSPC`.
    pub fn new(device: &Device) -> Result<Self> {
        if Group::of(device).is_some() {
            return Err(EEXIST);
        }
        // SAFETY: There is no requirement.
        let group = from_err_ptr(unsafe { bindings::iommu_group_alloc() })?;
        let group = NonNull::new(group).ok_or(ENOMEM)?;
        // SAFETY: `iommu_group_alloc()` gave us a reference.
        let group = unsafe { ARef::<Group>::from_raw(group.cast()) };
        // SAFETY: The group is alive; the name is copied. It is the one that
        // userspace knows groups without an IOMMU by.
        to_result(unsafe {
            bindings::iommu_group_set_name(group.as_raw(), c"vfio-noiommu".as_char_ptr())
        })?;
        // SAFETY: Group and device are alive, and the device is in no group.
        to_result(unsafe {
            bindings::iommu_group_add_device(group.as_raw(), device::as_raw(device))
        })?;
        Ok(Self {
            group,
            device: device.into(),
        })
    }

    /// The group.
    pub fn group(&self) -> &Group {
        &self.group
    }
}

impl Drop for FabricatedGroup {
    fn drop(&mut self) {
        // SAFETY: `new()` added the device, which is alive.
        unsafe { bindings::iommu_group_remove_device(device::as_raw(&self.device)) };
    }
}

/// Ownership of a group's DMA. While it lasts no kernel driver that does DMA
/// can bind to a device of the group, and all its DMA is blocked until a
/// domain is attached.
#[must_use = "the ownership ends when this is dropped"]
pub struct DmaOwnership(ARef<Group>);

impl DmaOwnership {
    /// Claims the DMA of `group`. May sleep.
    ///
    /// # Errors
    ///
    /// `EPERM`: it has an owner. `EBUSY`: a foreign domain is attached.
    pub fn claim(group: &Group) -> Result<Self> {
        // The owner is a token for comparisons only; the group's address is
        // one that no other claimant uses.
        //
        // SAFETY: The group is alive.
        to_result(unsafe {
            bindings::iommu_group_claim_dma_owner(group.as_raw(), group.as_raw().cast())
        })?;
        Ok(Self(group.into()))
    }
}

impl Drop for DmaOwnership {
    fn drop(&mut self) {
        // SAFETY: `claim()` made us the owner.
        unsafe { bindings::iommu_group_release_dma_owner(self.0.as_raw()) };
    }
}

/// Whether DMA of `device` is coherent with the CPU's caches.
pub fn is_cache_coherent(device: &Device) -> bool {
    // SAFETY: The device is alive.
    unsafe {
        bindings::device_iommu_capable(
            device::as_raw(device),
            bindings::iommu_cap_IOMMU_CAP_CACHE_COHERENCY,
        )
    }
}

/// Whether the IOMMU can force DMA of `device` to be coherent, whatever the
/// device asks for.
pub fn enforces_cache_coherency(device: &Device) -> bool {
    // SAFETY: The device is alive.
    unsafe {
        bindings::device_iommu_capable(
            device::as_raw(device),
            bindings::iommu_cap_IOMMU_CAP_ENFORCE_CACHE_COHERENCY,
        )
    }
}
