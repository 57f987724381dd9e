// SPDX-License-Identifier: GPL-2.0

//! VFIO: access to devices for userspace drivers and virtual machines, made
//! safe by the IOMMU.
//!
//! This crate is the core. Bus drivers [register](registration) [devices](device), backend
//! drivers offer IOMMU interfaces to containers ([`container`]).

#![crate_name = "vfio"]
#![deny(unsafe_code)]
// A configuration without containers still has the code behind their nodes' files.
#![cfg_attr(not(CONFIG_VFIO_RUST_CONTAINER), allow(dead_code))]

#[allow(unsafe_code)]
#[path = "abstractions/crate_vfio.rs"]
pub mod abstractions;

pub mod capability;
pub mod confinement;
pub mod container;
pub mod device;
mod group;
mod iommufd;
pub mod irq_set;
mod kvm;
pub mod lock_order;
pub mod monitor;
mod noiommu;
pub mod notifier;
pub mod ownership;
pub mod pinning;
pub mod registration;
mod vfio_fs;
pub mod virqfd;
pub mod vma;

use kernel::prelude::*;

/// Everything that exists as long as the module is loaded.
///
/// Fields are dropped in order: first the ways in, then what they lead to.
#[pin_data]
struct Vfio {
    #[cfg(CONFIG_VFIO_RUST_CONTAINER)]
    #[pin]
    container: abstractions::fs::misc_device::MiscDevice,
    groups: group::node::Nodes,
    devices: device::node::Nodes,
    #[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
    debugfs: device::debugfs::Root,
}

impl kernel::InPlaceModule for Vfio {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            #[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
            debugfs: device::debugfs::Root::new()?,
            devices: device::node::Nodes::register()?,
            groups: group::node::Nodes::register()?,
            #[cfg(CONFIG_VFIO_RUST_CONTAINER)]
            container <- container::object::node(),
            _: {
                pr_info!("VFIO - User Level meta-driver version: 0.3\n");
            },
        })
    }
}

module! {
    type: Vfio,
    name: "vfio",
    authors: ["The VFIO in Rust developers"],
    description: "VFIO - User Level meta-driver",
    license: "GPL v2",
    imports_ns: ["IOMMUFD", "IOMMUFD_VFIO"],
}
