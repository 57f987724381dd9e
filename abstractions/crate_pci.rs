// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of the kernel interfaces that the `vfio_pci_core` crate uses.
//!
//! One file per interface of the kernel. All `unsafe` code of the crate is here.

pub(crate) mod bar;
#[cfg(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER))]
pub(crate) mod dma_buf;
#[cfg(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER))]
pub mod dma_buf_iommufd;
pub(crate) mod iomem;
pub(crate) mod irq_bypass;
pub(crate) mod irq_line;
#[cfg(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER))]
pub(crate) mod p2pdma;
pub(crate) mod pci;
pub(crate) mod pci_command;
pub mod pci_driver;
pub(crate) mod pci_irq;
pub(crate) mod pci_reset;
pub(crate) mod pci_sriov;
pub(crate) mod pm_runtime;
pub(crate) mod rom;
pub(crate) mod uapi_irq;
pub(crate) mod uapi_pci;
pub(crate) mod uuid;
pub(crate) mod vga;
pub(crate) mod wait;
