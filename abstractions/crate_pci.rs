// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of the kernel interfaces that the `vfio_pci_core` crate uses.
//!
//! One file per interface of the kernel, in folders as in `rust/kernel/`. All `unsafe` code of the
//! crate is here.

/// What drivers in C have of their devices.
pub(crate) mod c_driver {
    pub(crate) mod pci_device;
    #[cfg(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER))]
    pub(crate) mod pci_exports;
    pub(crate) mod pci_region;
}
#[cfg(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER))]
pub(crate) mod dma_buf;
/// Symbols that C code looks up: the entries to this crate, which are above all of it.
pub mod exports {
    #[cfg(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER))]
    pub mod dma_buf;
    pub mod pci_core_device;
    pub mod pci_handlers;
    pub mod pci_io;
    pub mod pci_operations;
    pub mod pci_region;
}
/// Memory that devices answer on.
pub(crate) mod io {
    pub(crate) mod mem;
}
/// Interrupts.
pub(crate) mod irq {
    pub(crate) mod bypass;
    pub(crate) mod line;
}
pub mod pci;
pub(crate) mod pm_runtime;
/// Waiting for others.
pub(crate) mod sync {
    pub(crate) mod wait;
}
pub(crate) mod uuid;

pub(crate) use vfio::abstractions::uapi;
