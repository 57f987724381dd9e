// SPDX-License-Identifier: GPL-2.0

//! The abstractions that only crate `vfio_iommu_type1` needs.
//!
//! Each file wraps one C header, holds all the `unsafe` code for it and is
//! worth moving to `rust/kernel/` as it is. They are in folders as there.

/// Domains, and what is mapped in them.
pub(crate) mod iommu {
    pub(crate) mod domain;
    pub(crate) mod domains;
    mod held_run;
    pub(crate) mod mapped_runs;
}
/// Memory of processes, and what is mapped there.
pub(crate) mod mm {
    pub(crate) mod locked_memory;
    pub(crate) mod pfnmap_lookup;
    pub(crate) mod pinned_pages;
    pub(crate) mod user_memory;
}
/// Module parameters.
pub(crate) mod parameters {
    pub(crate) mod type1;
}
pub(crate) mod scheduler;
/// Locks, and waiting for others.
pub(crate) mod sync {
    pub(crate) mod monitored;
}
/// What userspace and the kernel say to each other.
pub(crate) mod uapi {
    pub(crate) mod type1;
}
