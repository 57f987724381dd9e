// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of the C part of the `vfio_pci` crate, and of what only that needs.

/// Memory that devices, or the firmware, answer on.
#[cfg(CONFIG_VFIO_RUST_PCI_IGD)]
pub(crate) mod io {
    pub(crate) mod firmware_memory;
}
/// Module parameters.
pub(crate) mod parameters {
    pub(crate) mod vfio_pci;
}
