// SPDX-License-Identifier: GPL-2.0

//! Devices: what bus drivers [register](crate::registration), and users open.

pub(crate) mod c_driver;
pub(crate) mod cdev;
#[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
pub(crate) mod debugfs;
pub mod dma_logging;
pub mod feature;
pub(crate) mod file;
pub mod migration;
pub(crate) mod node;
pub mod notifiers;
pub(crate) mod object;
pub mod ops;
pub(crate) mod pages_by_address;
pub mod set;
pub mod user_memory;

pub use object::{
    Device,
    RegisteredDevice, //
};
