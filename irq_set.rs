// SPDX-License-Identifier: GPL-2.0

//! `VFIO_DEVICE_SET_IRQS`, as far as it is the same for all devices.

pub mod request;

use crate::abstractions::uapi::irq::{
    self as uapi,
    IrqSet, //
};
use kernel::prelude::*;
use request::Refusal;

// What `request` knows without the kernel is what the interface says.
const _: () = {
    assert!(request::HEADER_SIZE as usize == size_of::<IrqSet>());
    assert!(request::DATA_NONE == uapi::VFIO_IRQ_SET_DATA_NONE);
    assert!(request::DATA_BOOL == uapi::VFIO_IRQ_SET_DATA_BOOL);
    assert!(request::DATA_EVENTFD == uapi::VFIO_IRQ_SET_DATA_EVENTFD);
    assert!(request::ACTION_MASK == uapi::VFIO_IRQ_SET_ACTION_MASK);
    assert!(request::ACTION_UNMASK == uapi::VFIO_IRQ_SET_ACTION_UNMASK);
    assert!(request::ACTION_TRIGGER == uapi::VFIO_IRQ_SET_ACTION_TRIGGER);
};

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid => EINVAL,
            Refusal::NotSupported => ENOTTY,
        }
    }
}
