// SPDX-License-Identifier: GPL-2.0

//! The part of the user interface that is about migration and the logging of DMA.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use crate::abstractions::uapi::number;
use kernel::transmute::{
    AsBytes,
    FromBytes, //
};

/// File that a state is read from: how much there is to read while the device runs.
pub const VFIO_MIG_GET_PRECOPY_INFO: u32 = number(21);

/// `struct vfio_device_feature_migration`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Migration {
    /// `VFIO_MIGRATION_*`, for the user.
    pub flags: u64,
}

/// `struct vfio_device_feature_mig_state`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MigrationState {
    /// `enum vfio_device_mig_state`, in or out.
    pub device_state: u32,
    /// A new descriptor, or -1, for the user.
    pub data_fd: i32,
}

/// `struct vfio_device_feature_mig_data_size`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MigrationDataSize {
    /// In bytes, for the user.
    pub stop_copy_length: u64,
}

/// `struct vfio_precopy_info`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PrecopyInfo {
    /// Size of the structure, from the user.
    pub argsz: u32,
    /// `REINIT`, for the user, if that is wanted.
    pub flags: u32,
    /// Bytes of the first round that are left, for the user.
    pub initial_bytes: u64,
    /// Bytes that have changed since they were read, for the user.
    pub dirty_bytes: u64,
}

impl PrecopyInfo {
    /// There is a new first round.
    pub const REINIT: u32 = 1 << 0;
}

/// `struct vfio_device_feature_dma_logging_control`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DmaLoggingControl {
    /// In bytes; a wish, and what became of it.
    pub page_size: u64,
    /// How many ranges there are.
    pub num_ranges: u32,
    /// Not looked at.
    pub reserved: u32,
    /// Address of the ranges.
    pub ranges: u64,
}

/// `struct vfio_device_feature_dma_logging_range`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DmaLoggingRange {
    /// The first address, as the device sees it.
    pub iova: u64,
    /// In bytes.
    pub length: u64,
}

/// `struct vfio_device_feature_dma_logging_report`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DmaLoggingReport {
    /// The first address, as the device sees it.
    pub iova: u64,
    /// In bytes.
    pub length: u64,
    /// What a bit stands for, in bytes.
    pub page_size: u64,
    /// Address of the bitmap.
    pub bitmap: u64,
}

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
