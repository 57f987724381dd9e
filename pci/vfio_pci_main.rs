// SPDX-License-Identifier: GPL-2.0

//! The VFIO driver for any PCI device.
//!
//! It binds to no device on its own: a device is given to it through `driver_override`, the
//! `new_id` file of the driver in sysfs, or the module parameter `ids`.

#![crate_name = "vfio_pci"]
#![deny(unsafe_code)]

#[allow(unsafe_code)]
#[path = "../abstractions/crate_vfio_pci.rs"]
mod abstractions;
#[path = "generic/denylist.rs"]
mod denylist;
#[path = "generic/driver.rs"]
mod driver;
#[path = "generic/id_list.rs"]
mod id_list;
#[cfg(CONFIG_VFIO_RUST_PCI_IGD)]
#[path = "generic/igd.rs"]
mod igd;
#[cfg(CONFIG_VFIO_RUST_PCI_IGD)]
#[path = "generic/opregion.rs"]
mod opregion;

kernel::module_driver!(<T>, vfio_pci_core::driver::Adapter<T>, {
    type: driver::VfioPci,
    name: "vfio_pci",
    authors: ["The VFIO in Rust developers"],
    description: "VFIO PCI - User Level meta-driver",
    license: "GPL v2",
});
