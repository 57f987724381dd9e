// SPDX-License-Identifier: GPL-2.0

//! The user interface of interrupts.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use crate::abstractions::bindings;
use kernel::transmute::{
    AsBytes,
    FromBytes, //
};

pub use bindings::{
    VFIO_IRQ_INFO_AUTOMASKED,
    VFIO_IRQ_INFO_EVENTFD,
    VFIO_IRQ_INFO_MASKABLE,
    VFIO_IRQ_INFO_NORESIZE,
    VFIO_IRQ_SET_ACTION_MASK,
    VFIO_IRQ_SET_ACTION_TRIGGER,
    VFIO_IRQ_SET_ACTION_UNMASK,
    VFIO_IRQ_SET_DATA_BOOL,
    VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, //
};

/// Argument of `VFIO_DEVICE_GET_IRQ_INFO`.
pub type IrqInfo = bindings::vfio_irq_info;

/// Fixed part of the argument of `VFIO_DEVICE_SET_IRQS`; data follows.
pub type IrqSet = bindings::vfio_irq_set;

// SAFETY: Four integers without padding; any bit pattern is valid.
unsafe impl FromBytes for IrqInfo {}
// SAFETY: Four integers without padding.
unsafe impl AsBytes for IrqInfo {}
// SAFETY: Five integers without padding; any bit pattern is valid.
unsafe impl FromBytes for IrqSet {}
