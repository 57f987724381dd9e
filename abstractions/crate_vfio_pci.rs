// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of the C part of the `vfio_pci` crate.

pub(crate) mod vfio_pci_module;
