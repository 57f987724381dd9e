// SPDX-License-Identifier: GPL-2.0

//! The parts of the VFIO modules that need nothing but the core library.
//!
//! They are compiled here from the same files as in the kernel, so that `cargo test` can run
//! their cases, and more of them than a kernel would want to, on the host.

#![no_std]

#[cfg(test)]
extern crate std;

// What the files of other crates call the crate of the core.
extern crate self as vfio;

#[path = "../../../../monitor.rs"]
pub mod monitor;

/// Parts of the chains of capabilities.
#[path = "../../../../capability"]
pub mod capability {
    pub mod chain;
}

/// Parts of the logging of DMA.
#[path = "../../../../device/dma_logging"]
pub mod dma_logging {
    pub mod nearest;
}

/// Parts of `VFIO_DEVICE_SET_IRQS` that are the same for all devices.
#[path = "../../../../irq_set"]
pub mod irq_set {
    pub mod request;
}

/// Parts of migration.
#[path = "../../../../device/migration"]
pub mod migration {
    pub mod state;
}

/// Parts of the release notifiers.
#[path = "../../../../device/notifiers"]
pub mod notifier {
    pub mod calls;
}

/// Parts of `vfio-pci-core`.
#[path = "../../../../pci"]
pub mod pci {
    pub mod availability;
    pub mod channel;
    pub mod config;
    pub mod intx_disable;
    #[cfg(test)]
    pub(crate) mod tests;

    /// Interrupts.
    pub mod irq {
        pub mod request;
    }
}

/// Parts of `vfio_iommu_type1`.
#[path = "../../../../type1"]
pub mod type1 {
    pub mod claims;
    pub mod coverage;
    pub mod dirty_bitmap;
    pub mod packed_runs;
    pub mod page_sizes;
    pub mod range;
    pub mod run;
    pub mod valid_iova;
}

#[cfg(test)]
mod tests;
