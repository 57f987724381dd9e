// SPDX-License-Identifier: GPL-2.0

//! The parameters of module `vfio_iommu_type1`.
//!
//! They can be written through sysfs at any time, which the parameters of
//! `module!` cannot, so a C file declares them.

use vfio::abstractions::bindings;

/// Whether groups without isolated MSIs may be attached.
pub(crate) fn allow_unsafe_interrupts() -> bool {
    // SAFETY: Reads one variable, once.
    unsafe { bindings::vfio_rust_type1_allow_unsafe_interrupts() }
}

/// Whether memory is to be pinned and mapped page by page.
pub(crate) fn disable_hugepages() -> bool {
    // SAFETY: Reads one variable, once.
    unsafe { bindings::vfio_rust_type1_disable_hugepages() }
}

/// How many mappings a new container may have.
pub(crate) fn dma_entry_limit() -> u32 {
    // SAFETY: Reads one variable, once.
    unsafe { bindings::vfio_rust_type1_dma_entry_limit() }
}
