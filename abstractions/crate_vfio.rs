// SPDX-License-Identifier: GPL-2.0

//! The abstractions that crate `vfio` needs and offers to the other crates.
//!
//! Each file wraps one C header, holds all the `unsafe` code for it and is
//! worth moving to `rust/kernel/` as it is. They are in folders as there.

#[doc(hidden)]
pub mod bindings;
/// What drivers in C have in place of the traits of those in Rust.
pub mod c_driver {
    pub mod device;
    pub mod device_set;
    pub mod log_ops;
    pub mod migration_ops;
}
#[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
pub mod debugfs;
pub mod device;
/// Symbols that C code looks up: the entries to this crate, which are above all of it.
pub mod exports {
    pub mod device_memory;
    pub mod device_set;
    #[cfg(CONFIG_INTERVAL_TREE)]
    pub mod dma_logging;
    #[cfg(CONFIG_VFIO_GROUP)]
    pub mod group;
    pub mod info_cap;
    #[cfg(CONFIG_IOMMUFD)]
    pub mod iommufd;
    pub mod irq_set;
    pub mod kvm;
    pub mod mapping;
    pub mod migration;
    pub mod registration;
    #[doc(hidden)]
    pub mod signature;
    pub mod user_memory;
    pub mod vfio_device;
    pub mod virqfd;
}
/// Files, and the filesystems and nodes that they come from.
pub mod fs {
    pub mod char_device;
    pub mod eventfd;
    pub mod file;
    pub mod misc_device;
    pub mod pseudo_fs;
}
pub mod ida;
pub mod iommu;
pub mod kvm;
/// Memory of processes, and what is mapped there.
pub mod mm {
    pub mod page_frames;
    pub mod pfnmap;
    pub(super) mod unmapped_area;
    pub mod user_page;
}
pub mod module_ref;
pub mod nospec;
/// Module parameters.
pub(crate) mod parameters {
    pub(crate) mod vfio;
}
pub mod ratelimit;
pub mod registered;
/// Locks, and waiting for others.
pub mod sync {
    pub mod completion;
    pub mod rwsem;
    pub mod static_mutex;
}
pub(crate) mod taint;
pub mod task;
pub mod uaccess;
pub mod uapi;
pub mod workqueue;
