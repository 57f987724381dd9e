// SPDX-License-Identifier: GPL-2.0

//! VFIO: access to devices for userspace drivers and virtual machines, made
//! safe by the IOMMU.
//!
//! This crate is the core. Bus drivers register devices ([`device`]), backend
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
mod device_cdev;
pub mod device_dma;
pub mod device_feature;
mod device_file;
pub mod device_hold;
mod device_node;
pub mod device_ops;
pub mod device_registration;
pub mod device_set;
mod group;
mod group_devices;
mod group_file;
mod group_node;
mod iommufd;
mod kvm;
pub mod lock_order;
pub mod monitor;
mod noiommu;
pub mod notifier;
pub mod ownership;
pub mod pinning;
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
    container: abstractions::misc_device::MiscDevice,
    groups: group_node::Nodes,
    devices: device_node::Nodes,
}

impl kernel::InPlaceModule for Vfio {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            devices: device_node::Nodes::register()?,
            groups: group_node::Nodes::register()?,
            #[cfg(CONFIG_VFIO_RUST_CONTAINER)]
            container <- container::node(),
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
