// SPDX-License-Identifier: GPL-2.0

//! The parameters of module `vfio`.
//!
//! They can be written through sysfs at any time, which the parameters of
//! `module!` cannot, so a C file declares them.

use crate::abstractions::bindings;

/// Whether devices that no IOMMU serves may be given to users. Never, without
/// `CONFIG_VFIO_RUST_NOIOMMU`.
pub(crate) fn enable_unsafe_noiommu_mode() -> bool {
    // SAFETY: Reads one variable, once.
    unsafe { bindings::vfio_rust_enable_unsafe_noiommu_mode() }
}
