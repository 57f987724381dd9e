// SPDX-License-Identifier: GPL-2.0

//! VFIO for PCI devices: what all drivers of such devices have in common.
//!
//! A driver implements [`driver::Driver`] with a [`binding::Binding`] as its data, and
//! [`variant::Variant`] if it adds something to its devices.

#![crate_name = "vfio_pci_core"]
#![deny(unsafe_code)]

#[allow(unsafe_code)]
#[path = "../abstractions/crate_pci.rs"]
pub mod abstractions;
mod activation;
mod availability;
mod bars;
pub mod binding;
mod channel;
mod command;
pub mod config;
mod config_access;
mod config_space;
pub mod device;
mod device_ops;
pub mod device_region;
#[cfg(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER))]
mod dma_buf;
#[cfg(not(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER)))]
#[path = "no_dma_buf.rs"]
mod dma_buf;
mod feature;
mod hot_reset;
mod info;
mod intx_disable;
mod ioeventfd;
mod irq;
mod low_power;
mod memory;
pub mod migration;
mod opened;
mod overlap;
mod physical;
pub mod prelude;
mod region;
mod region_access;
mod reset;
mod reset_gate;
mod reset_set;
mod sriov;
#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
mod tests;
mod token;
mod transfer;
mod user_value;
pub mod variant;
mod vf_token;
mod vga;

pub use abstractions::pci::driver;
#[cfg(CONFIG_VFIO_RUST_PCI_IGD)]
pub use abstractions::pci::lookup;

use kernel::prelude::*;

/// The module; all it does is to be there.
struct CoreModule;

impl kernel::Module for CoreModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        memory::prime_lock_order()?;
        Ok(Self)
    }
}

module! {
    type: CoreModule,
    name: "vfio_pci_core",
    authors: ["The VFIO in Rust developers"],
    description: "core driver for VFIO based PCI devices",
    license: "GPL v2",
    imports_ns: ["DMA_BUF"],
}
