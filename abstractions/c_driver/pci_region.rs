// SPDX-License-Identifier: GPL-2.0

//! Regions that drivers in C add to their devices: `struct vfio_pci_region`.
//!
//! A driver finds its regions in `region` and `num_regions` of the device. What a region is stays
//! there, and is looked up for each use.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

use crate::{
    abstractions::{
        c_driver::pci_device::CPciDevice,
        uapi::pci::{
            VFIO_REGION_INFO_FLAG_MMAP,
            VFIO_REGION_INFO_FLAG_READ,
            VFIO_REGION_INFO_FLAG_WRITE, //
        }, //
    },
    device_region::{
        DeviceRegion,
        Permissions,
        RegionType, //
    }, //
};
use core::ptr;
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc, //
};
use vfio::{
    abstractions::{
        bindings,
        exports::info_cap,
        nospec,
        uaccess::UserBytes, //
    },
    capability::CapabilityChain, //
};

/// The device of a region, and the region in it.
type Place = (
    *mut bindings::vfio_pci_core_device,
    *mut bindings::vfio_pci_region,
);

/// What is told of a region of a device of a driver in C. It is read, written and mapped by the
/// methods of [`CPciDevice`].
pub(crate) struct CRegion {
    device: Arc<CPciDevice>,
    index: usize,
}

/// Takes the regions of a device, which has none then.
///
/// # Safety
///
/// `device` must be valid, and nobody else be at its regions.
unsafe fn take(device: *mut bindings::vfio_pci_core_device) -> KVec<bindings::vfio_pci_region> {
    // SAFETY: By this function's contract.
    let (first, count) = unsafe {
        let first = ptr::replace(&raw mut (*device).region, ptr::null_mut());
        (first, ptr::replace(&raw mut (*device).num_regions, 0))
    };
    let count = usize::try_from(count).unwrap_or(0);
    if first.is_null() {
        return KVec::new();
    }
    // SAFETY: `put()` gave up a vector of that many, with room for at least as many.
    unsafe { KVec::from_raw_parts(first, count, count) }
}

/// Gives a device its regions.
///
/// # Safety
///
/// As of [`take()`].
unsafe fn put(
    device: *mut bindings::vfio_pci_core_device,
    regions: KVec<bindings::vfio_pci_region>,
) {
    // `take()` knows no vector that has only room.
    if regions.is_empty() {
        return;
    }
    let (first, count, _) = regions.into_raw_parts();
    // SAFETY: By this function's contract.
    unsafe {
        (*device).region = first;
        // CAST: There are not as many.
        (*device).num_regions = count as c_int;
    }
}

impl CPciDevice {
    /// Adds a region to the device, which is being opened.
    ///
    /// # Errors
    ///
    /// ENODEV if the device is gone, ENOMEM.
    ///
    /// # Safety
    ///
    /// The driver of the device must be opening it. The operations of `region` must be static, and
    /// do for it what their header says.
    pub(in crate::abstractions) unsafe fn add_region(
        self: &Arc<Self>,
        region: bindings::vfio_pci_region,
    ) -> Result<CRegion> {
        let device = self.present().ok_or(ENODEV)?.as_ptr();
        // SAFETY: The device is valid; by this function's contract it has no user yet.
        let mut regions = unsafe { take(device) };
        let index = regions.len();
        let pushed = regions.push(region, GFP_KERNEL_ACCOUNT);
        // SAFETY: As above.
        unsafe { put(device, regions) };
        pushed?;

        Ok(CRegion {
            device: self.clone(),
            index,
        })
    }

    /// Forgets the region that has been added last.
    ///
    /// # Safety
    ///
    /// The driver of the device must be opening it.
    pub(in crate::abstractions) unsafe fn forget_last_region(&self) {
        if let Some(device) = self.present() {
            // SAFETY: As in `add_region()`. Less than there are still belongs to the vector.
            unsafe {
                let mut regions = take(device.as_ptr());
                regions.pop();
                put(device.as_ptr(), regions);
            }
        }
    }

    /// The device is being closed: its driver releases its regions.
    pub(crate) fn release_regions(&self) {
        let Some(device) = self.present() else {
            return;
        };
        let device = device.as_ptr();
        // SAFETY: The device is valid, and nobody adds a region while it is closed.
        let (first, count) = unsafe { ((*device).region, (*device).num_regions) };
        for index in 0..usize::try_from(count).unwrap_or(0) {
            let region = first.wrapping_add(index);
            // SAFETY: There are more than `index`; the table is static. This is what the operation
            // is for.
            unsafe {
                if let Some(release) = (*region).ops.as_ref().and_then(|ops| ops.release) {
                    release(device, region);
                }
            }
        }
        // SAFETY: As above; nobody uses a region any more.
        drop(unsafe { take(device) });
    }
}

/// What users do with the regions.
impl CPciDevice {
    /// Where region `index` is, if there is one.
    fn region(&self, index: usize) -> Option<Place> {
        let device = self.present()?.as_ptr();
        // SAFETY: The device is valid. Its regions do not change while it has users, and nobody
        // asks before or afterwards.
        let (first, count) = unsafe { ((*device).region, (*device).num_regions) };
        let index = nospec::checked_index(index, usize::try_from(count).ok()?)?;

        Some((device, first.wrapping_add(index)))
    }

    /// Region `index`, and what the driver does for it.
    fn region_ops(&self, index: usize) -> Result<(Place, &bindings::vfio_pci_regops)> {
        let place = self.region(index).ok_or(EINVAL)?;
        // SAFETY: There is such a region; the table is static.
        let ops = unsafe { (*place.1).ops.as_ref() };

        Ok((place, ops.ok_or(EINVAL)?))
    }

    /// Reads or writes region `index` for the user, from `position` of the device file on.
    ///
    /// # Errors
    ///
    /// EINVAL if there is none, or the driver cannot; or that of the driver.
    pub(crate) fn transfer_region(
        &self,
        index: usize,
        bytes: UserBytes,
        mut position: i64,
        is_write: bool,
    ) -> Result<usize> {
        let ((device, _), ops) = self.region_ops(index)?;
        let transfer = ops.rw.ok_or(EINVAL)?;
        let address = bytes.address().as_mut_ptr().cast();
        // SAFETY: This is what the operation is for; the device is valid. The address is the
        // user's, and need not be valid.
        let done = unsafe { transfer(device, address, bytes.len(), &mut position, is_write) };

        match usize::try_from(done) {
            Ok(done) => Ok(done.min(bytes.len())),
            Err(_) => Err(c_int::try_from(done).map_or(EINVAL, Error::from_errno)),
        }
    }

    /// Has the driver map region `index`.
    ///
    /// # Errors
    ///
    /// EINVAL if there is none, or it is not to be mapped; or that of the driver.
    ///
    /// # Safety
    ///
    /// `vma` must be an area that `mmap()` is setting up.
    pub(in crate::abstractions) unsafe fn map_region(
        &self,
        index: usize,
        vma: *mut bindings::vm_area_struct,
    ) -> Result {
        let ((device, region), ops) = self.region_ops(index)?;
        let map = ops.mmap.ok_or(EINVAL)?;
        // SAFETY: There is such a region.
        if unsafe { (*region).flags } & VFIO_REGION_INFO_FLAG_MMAP == 0 {
            return Err(EINVAL);
        }
        // SAFETY: This is what the operation is for; the device is valid, and by this function's
        // contract the area is.
        to_result(unsafe { map(device, region, vma) })
    }
}

impl CRegion {
    /// What the driver has said of the region.
    fn described(&self) -> Option<&bindings::vfio_pci_region> {
        let (_, region) = self.device.region(self.index)?;
        // SAFETY: There is such a region. It does not change while the device has users.
        Some(unsafe { &*region })
    }

    fn has_flag(&self, flag: u32) -> bool {
        self.described()
            .is_some_and(|region| region.flags & flag != 0)
    }
}

impl DeviceRegion for CRegion {
    fn region_type(&self) -> RegionType {
        let (class, subtype) = self
            .described()
            .map_or((0, 0), |region| (region.type_, region.subtype));

        RegionType { class, subtype }
    }

    fn size(&self) -> u64 {
        // CAST: A `usize` has 64 bits where this driver runs.
        self.described().map_or(0, |region| region.size as u64)
    }

    fn permissions(&self) -> Permissions {
        Permissions {
            read: self.has_flag(VFIO_REGION_INFO_FLAG_READ),
            write: self.has_flag(VFIO_REGION_INFO_FLAG_WRITE),
            map: self.has_flag(VFIO_REGION_INFO_FLAG_MMAP),
        }
    }

    fn add_capabilities(&self, chain: &mut CapabilityChain) -> Result {
        let ((device, region), ops) = self.device.region_ops(self.index)?;
        let Some(add) = ops.add_capability else {
            return Ok(());
        };
        // SAFETY: This is what the operation is for; the device is valid. Drivers append by the
        // functions of the header.
        unsafe { info_cap::extend(chain, &mut |caps| to_result(add(device, region, caps))) }
    }
}
