// SPDX-License-Identifier: GPL-2.0

//! The type1 IOMMU backend of VFIO: user memory, pinned and mapped where the
//! user wants devices to see it.

#![crate_name = "vfio_iommu_type1"]
#![deny(unsafe_code)]

use kernel::{
    prelude::*,
    sync::Arc, //
};
use vfio::container::DriverRegistration;

#[allow(unsafe_code)]
#[path = "../abstractions/crate_type1.rs"]
mod abstractions;
mod attach;
mod backend;
pub mod claims;
mod container;
pub mod coverage;
mod device_memory;
pub mod dirty_bitmap;
mod domain;
mod driver_access;
mod driver_pins;
mod driver_use;
mod emulated;
mod groups;
mod info;
mod map;
mod mapping;
mod mappings;
pub mod packed_runs;
pub mod page_sizes;
mod pin;
pub mod range;
mod request;
mod reserved_vec;
pub mod run;
mod run_list;
mod table;
#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
mod tests;
mod tracking;
mod unmap;
mod vaddr;
pub mod valid_iova;

module! {
    type: Module,
    name: "vfio_iommu_type1",
    authors: ["The VFIO in Rust developers"],
    description: "Type1 IOMMU driver for VFIO",
    license: "GPL v2",
}

/// The module: the registration of the backend.
struct Module {
    _registration: DriverRegistration,
}

impl kernel::Module for Module {
    fn init(module: &'static ThisModule) -> Result<Self> {
        backend::prime_lock_order()?;
        let driver = Arc::new(backend::Type1, GFP_KERNEL)?;
        Ok(Self {
            _registration: DriverRegistration::new(driver, module)?,
        })
    }
}
