// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of the kernel interfaces that the `vfio_pci_core` crate uses.
//!
//! One file per interface of the kernel, in folders as in `rust/kernel/`. All `unsafe` code of the
//! crate is here.

#[cfg(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER))]
pub(crate) mod dma_buf;
/// Symbols that C code looks up: the entries to this crate, which are above all of it.
#[cfg(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER))]
pub mod exports {
    pub mod dma_buf;
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
