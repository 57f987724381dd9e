// SPDX-License-Identifier: GPL-2.0

//! Containers: `/dev/vfio/vfio`, the IOMMU context that groups share.
//!
//! Which IOMMU interface a container offers is up to a backend driver, a
//! module of its own that registers here.

pub(crate) mod driver;
pub(crate) mod group;
pub(crate) mod object;

pub use driver::{
    DriverRegistration,
    IommuBackend,
    IommuDriver, //
};
