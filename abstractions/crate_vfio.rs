// SPDX-License-Identifier: GPL-2.0

//! The abstractions that crate `vfio` needs and offers to the other crates.
//!
//! Each file wraps one C header, holds all the `unsafe` code for it and is
//! worth moving to `rust/kernel/` as it is.

#[doc(hidden)]
pub mod bindings;
pub mod char_device;
pub mod completion;
pub mod device;
pub mod device_memory;
pub mod eventfd;
pub mod file;
pub mod ida;
pub mod iommu;
#[cfg(CONFIG_IOMMUFD)]
pub mod iommufd;
#[cfg(not(CONFIG_IOMMUFD))]
#[path = "no_iommufd.rs"]
pub mod iommufd;
pub mod kvm;
mod kvm_symbols;
pub mod misc_device;
pub mod module_ref;
pub mod nospec;
pub mod page_frames;
pub mod pfnmap;
pub mod pseudo_fs;
pub mod ratelimit;
pub mod rwsem;
pub mod static_mutex;
pub(crate) mod taint;
pub mod task;
pub mod uapi;
pub mod uapi_device;
mod unmapped_area;
pub mod user_page;
pub(crate) mod vfio_parameters;
pub mod workqueue;
