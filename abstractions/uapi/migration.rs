// SPDX-License-Identifier: GPL-2.0

//! The part of the user interface that is about migration and the logging of DMA.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use crate::abstractions::{
    bindings,
    uapi::number, //
};
use kernel::transmute::{
    AsBytes,
    FromBytes, //
};

/// File that a state is read from: how much there is to read while the device runs.
pub const VFIO_MIG_GET_PRECOPY_INFO: u32 = number(21);

/// `VFIO_MIGRATION_*`, for the user.
pub type Migration = bindings::vfio_device_feature_migration;

/// A state, in or out, and for the user a new descriptor, or -1.
pub type MigrationState = bindings::vfio_device_feature_mig_state;

/// How many bytes there will be, for the user.
pub type MigrationDataSize = bindings::vfio_device_feature_mig_data_size;

/// How many bytes of the first round are left, and how many have changed since they were read.
pub type PrecopyInfo = bindings::vfio_precopy_info;

impl PrecopyInfo {
    /// There is a new first round.
    pub const REINIT: u32 = bindings::VFIO_PRECOPY_INFO_REINIT;
}

/// The size of pages, a wish and what became of it, and the address of ranges to log.
pub type DmaLoggingControl = bindings::vfio_device_feature_dma_logging_control;

/// Addresses as the device sees them.
pub type DmaLoggingRange = bindings::vfio_device_feature_dma_logging_range;

/// Addresses as the device sees them, and that of a bitmap for them.
pub type DmaLoggingReport = bindings::vfio_device_feature_dma_logging_report;

// SAFETY: An integer.
unsafe impl AsBytes for Migration {}
// SAFETY: Two integers without padding.
unsafe impl FromBytes for MigrationState {}
// SAFETY: Two integers without padding.
unsafe impl AsBytes for MigrationState {}
// SAFETY: An integer.
unsafe impl AsBytes for MigrationDataSize {}
// SAFETY: Integers without padding.
unsafe impl FromBytes for PrecopyInfo {}
// SAFETY: Integers without padding.
unsafe impl AsBytes for PrecopyInfo {}
// SAFETY: Integers without padding.
unsafe impl FromBytes for DmaLoggingControl {}
// SAFETY: Integers without padding.
unsafe impl AsBytes for DmaLoggingControl {}
// SAFETY: Two integers without padding.
unsafe impl FromBytes for DmaLoggingRange {}
// SAFETY: Integers without padding.
unsafe impl FromBytes for DmaLoggingReport {}
