// SPDX-License-Identifier: GPL-2.0

//! The argument of `VFIO_DEVICE_SET_IRQS` for a PCI device.
//!
//! No kernel types: the file is compiled and tested on the host as well, where
//! it belongs to the interface of a crate.

#![allow(unreachable_pub)]

use vfio::irq_set::request;
pub use vfio::irq_set::request::{
    Action,
    Data,
    DataType,
    Operand,
    Refusal,
    HEADER_SIZE, //
};

/// The fixed part of the argument, as userspace gave it, of an index that there is.
pub type Header = request::Header<Index>;

/// A request whose fixed part is valid; the data is still to be read.
pub type Request = request::Request<Index>;

/// The interrupt indexes of a PCI device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Index {
    /// The legacy interrupt line.
    Intx = 0,
    /// Message signalled interrupts.
    Msi = 1,
    /// Message signalled interrupts with a table.
    Msix = 2,
    /// The device had an uncorrectable error.
    Error = 3,
    /// The host asks for the device back.
    Request = 4,
}

impl Index {
    /// Returns the index with this number in the userspace interface.
    pub fn new(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Intx),
            1 => Some(Self::Msi),
            2 => Some(Self::Msix),
            3 => Some(Self::Error),
            4 => Some(Self::Request),
            _ => None,
        }
    }

    /// Its number there.
    pub fn number(self) -> u32 {
        // CAST: The discriminants are those numbers.
        self as u32
    }
}

impl request::Index for Index {
    /// The vectors of MSI and MSI-X are masked by means of the device itself:
    /// in config space, and in the table in the BAR.
    fn can(self, action: Action) -> bool {
        self == Self::Intx || action == Action::Trigger
    }
}
