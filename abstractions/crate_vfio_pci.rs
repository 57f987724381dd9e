// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of the C part of the `vfio_pci` crate.

#[cfg(CONFIG_VFIO_RUST_PCI_IGD)]
pub(crate) mod firmware_memory;
#[cfg(CONFIG_VFIO_RUST_PCI_IGD)]
pub(crate) mod pci_lookup;
pub(crate) mod vfio_pci_module;
