// SPDX-License-Identifier: GPL-2.0

//! How iommufd learns which memory a buffer of ours is, and how drivers in C say which memory of
//! their devices becomes one.
//!
//! An address space of iommufd has no device that a buffer could be mapped for, so iommufd asks
//! for the physical addresses, by the name of a function. It attaches to the buffer first, and
//! lets go when the buffer is revoked.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

#[cfg(CONFIG_VFIO_PCI_DMABUF)]
use crate::abstractions::{
    exports::pci_core_device::binding_of_pci,
    pci::p2pdma::{
        self,
        PhysicalRange, //
    },
    uapi::pci::DmaBufRange, //
};
use crate::dma_buf;
use kernel::{
    error::from_result,
    prelude::*, //
};
use vfio::abstractions::{
    bindings,
    exports::signature::signatures, //
};

signatures!(vfio_pci_dma_buf_iommufd_map);
#[cfg(CONFIG_VFIO_PCI_DMABUF)]
signatures!(vfio_pci_core_fill_phys_vec, vfio_pci_core_get_dmabuf_phys);

/// Tells iommufd the physical addresses of a buffer that it is attached to.
///
/// Returns EOPNOTSUPP for a buffer that is not ours or is more than one range, ENODEV for one that
/// has been revoked.
///
/// # Safety
///
/// `attachment` must be valid, and the caller must hold the lock of its buffer. `range` must be
/// valid for writes.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_dma_buf_iommufd_map(
    attachment: *mut bindings::dma_buf_attachment,
    range: *mut bindings::phys_vec,
) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let found = unsafe { dma_buf::TABLE.with_state_of(attachment, dma_buf::State::only_range) };
        let found = found.ok_or(EOPNOTSUPP)??;
        // SAFETY: By this function's contract.
        unsafe { range.write(found.as_raw()) };

        Ok(0)
    })
}

/// Finds out where `count` ranges are of the `len` bytes from `start` on.
///
/// Returns EINVAL for one that is empty, or ends behind those, EOVERFLOW for one that ends beyond
/// the last address there is.
///
/// # Safety
///
/// `located` must be valid for writes of as many, `ranges` for reads.
#[cfg(CONFIG_VFIO_PCI_DMABUF)]
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_fill_phys_vec(
    located: *mut bindings::phys_vec,
    ranges: *mut bindings::vfio_region_dma_range,
    count: usize,
    start: bindings::phys_addr_t,
    len: bindings::phys_addr_t,
) -> c_int {
    from_result(|| {
        for index in 0..count {
            // SAFETY: By this function's contract.
            unsafe {
                let range: DmaBufRange = ranges.wrapping_add(index).read();
                let range = PhysicalRange::of(start, len, &range)?;
                located.wrapping_add(index).write(range.as_raw());
            }
        }

        Ok(0)
    })
}

/// Finds out where `count` ranges of a BAR are, and who provides that to other devices.
///
/// Returns EINVAL for what is no memory BAR or not to be mapped; otherwise as
/// [`vfio_pci_core_fill_phys_vec()`].
///
/// # Safety
///
/// `device` must be open, and `provider` and `located` be valid for writes, of `count` ranges,
/// and `ranges` for reads of as many.
#[cfg(CONFIG_VFIO_PCI_DMABUF)]
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_get_dmabuf_phys(
    device: *mut bindings::vfio_pci_core_device,
    provider: *mut *mut bindings::p2pdma_provider,
    region: c_uint,
    located: *mut bindings::phys_vec,
    ranges: *mut bindings::vfio_region_dma_range,
    count: usize,
) -> c_int {
    from_result(|| {
        let index = usize::try_from(region)?;
        // SAFETY: By this function's contract; the driver has been prepared when the device was
        // initialised.
        unsafe {
            let function = binding_of_pci(device).ok_or(ENODEV)?.core().function();
            provider.write(p2pdma::provider_of(function.as_raw(), index)?.as_ptr());
            let bar = function.resource(index);
            Ok(vfio_pci_core_fill_phys_vec(
                located, ranges, count, bar.start, bar.len,
            ))
        }
    })
}
