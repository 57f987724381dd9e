// SPDX-License-Identifier: GPL-2.0

//! The userspace interface of interrupts.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use kernel::transmute::{
    AsBytes,
    FromBytes, //
};

/// Argument of `VFIO_DEVICE_GET_IRQ_INFO`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct IrqInfo {
    /// Size of the structure as userspace knows it.
    pub(crate) argsz: u32,
    /// What the index can do.
    pub(crate) flags: u32,
    /// The index that is asked for.
    pub(crate) index: u32,
    /// Number of interrupts of that index.
    pub(crate) count: u32,
}

// SAFETY: Four integers without padding; any bit pattern is valid.
unsafe impl FromBytes for IrqInfo {}
// SAFETY: Four integers without padding.
unsafe impl AsBytes for IrqInfo {}

/// Fixed part of the argument of `VFIO_DEVICE_SET_IRQS`; data follows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct IrqSet {
    /// Size of the structure with the data that follows.
    pub(crate) argsz: u32,
    /// Type of the data, and what to do.
    pub(crate) flags: u32,
    /// Index of the interrupts.
    pub(crate) index: u32,
    /// First interrupt of the index.
    pub(crate) start: u32,
    /// Number of interrupts.
    pub(crate) count: u32,
}

// SAFETY: Five integers without padding; any bit pattern is valid.
unsafe impl FromBytes for IrqSet {}
