// SPDX-License-Identifier: GPL-2.0

//! What drivers in C let other devices reach of theirs: `struct vfio_pci_device_ops`.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

use crate::abstractions::{
    c_driver::pci_device::CPciDevice,
    pci::{
        p2pdma::{
            PeerMemory,
            PhysicalRange, //
        },
        Function, //
    },
    uapi::pci::DmaBufRange, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};
use vfio::abstractions::{
    bindings,
    registered::RegistrationRef, //
};

/// `get_dmabuf_phys`
type Locate = unsafe extern "C" fn(
    *mut bindings::vfio_pci_core_device,
    *mut *mut bindings::p2pdma_provider,
    c_uint,
    *mut bindings::phys_vec,
    *mut bindings::vfio_region_dma_range,
    usize,
) -> c_int;

impl CPciDevice {
    /// Does the driver say which memory of the device may be exported?
    pub(crate) fn exports_memory(&self) -> bool {
        self.locator().is_some()
    }

    /// `get_dmabuf_phys` of `pci_ops`, and the device that it is of.
    fn locator(&self) -> Option<(NonNull<bindings::vfio_pci_core_device>, Locate)> {
        let device = self.present()?;
        // SAFETY: The device is valid; the driver sets the field before it is registered, to a
        // static table.
        let ops = unsafe { (*device.as_ptr()).pci_ops.as_ref()? };

        Some((device, ops.get_dmabuf_phys?))
    }

    /// Asks the driver where `ranges` of BAR `index` are, of `function`, which is the device, and
    /// which `hold` keeps bound.
    ///
    /// # Errors
    ///
    /// That of the driver; EINVAL if `hold` is of another device, if nobody provides the memory, or
    /// if what the driver says is not as long as what it was asked for; EOPNOTSUPP if it cannot be
    /// asked; ENOMEM.
    pub(crate) fn peer_memory(
        &self,
        function: &Function,
        index: usize,
        ranges: &[DmaBufRange],
        hold: RegistrationRef,
    ) -> Result<PeerMemory> {
        let (device, locate) = self.locator().ok_or(EOPNOTSUPP)?;
        // SAFETY: The device is valid.
        if unsafe { (*device.as_ptr()).pdev } != function.as_raw() || !function.is_held_by(&hold) {
            return Err(EINVAL);
        }
        let mut located = KVVec::with_capacity(ranges.len(), GFP_KERNEL_ACCOUNT)?;
        located.resize(ranges.len(), PhysicalRange::NONE, GFP_KERNEL_ACCOUNT)?;
        let mut provider = ptr::null_mut();
        let index = c_uint::try_from(index)?;
        // CAST: `PhysicalRange` is a transparent wrapper of `struct phys_vec`.
        // SAFETY: This is what the operation is for; the device is valid, and there are as many
        // ranges of either kind. Drivers only read those that they are asked for.
        to_result(unsafe {
            locate(
                device.as_ptr(),
                &mut provider,
                index,
                located.as_mut_ptr().cast(),
                ranges.as_ptr().cast_mut(),
                ranges.len(),
            )
        })?;
        let lens = located.iter().map(|range| range.len() as u64);
        if !lens.eq(ranges.iter().map(|range| range.length)) {
            return Err(EINVAL);
        }
        let provider = NonNull::new(provider).ok_or(EINVAL)?;

        // SAFETY: The driver answers for both, as long as the device is bound to it.
        Ok(unsafe { PeerMemory::from_parts(provider, located, hold) })
    }
}
