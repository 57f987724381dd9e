// SPDX-License-Identifier: GPL-2.0

//! The abstractions that only crate `vfio_iommu_type1` needs.
//!
//! Each file wraps one C header, holds all the `unsafe` code for it and is
//! worth moving to `rust/kernel/` as it is.

mod held_run;
pub(crate) mod iommu_domain;
pub(crate) mod iommu_domains;
pub(crate) mod locked_memory;
pub(crate) mod mapped_runs;
pub(crate) mod monitored;
pub(crate) mod pfnmap_lookup;
pub(crate) mod pinned_pages;
pub(crate) mod scheduler;
pub(crate) mod type1_parameters;
pub(crate) mod uapi_type1;
pub(crate) mod user_memory;
