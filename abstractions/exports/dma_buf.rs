// SPDX-License-Identifier: GPL-2.0

//! How iommufd learns which memory a buffer of ours is.
//!
//! An address space of iommufd has no device that a buffer could be mapped for, so iommufd asks
//! for the physical addresses, by the name of a function. It attaches to the buffer first, and
//! lets go when the buffer is revoked.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

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
