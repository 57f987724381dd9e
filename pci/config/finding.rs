// SPDX-License-Identifier: GPL-2.0

//! Peculiarities of a device, for the log.

use core::fmt;

/// Something that was noticed while the config space of a device was examined.
///
/// The PCI core calls what it knows of in advance a quirk; this is what was found.
///
/// Its text, from [`Display`](fmt::Display), is one line for the kernel log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Finding {
    /// The capability is not for users and was taken from the list.
    Hidden {
        /// Capability ID.
        id: u32,
        /// Where it starts.
        offset: u16,
    },
    /// The capability claims more bytes than there are, or less than its own header, and was
    /// taken from the list.
    BadLength {
        /// Capability ID.
        id: u32,
        /// Where it starts.
        offset: u16,
        /// Number of bytes that it claims.
        length: u32,
    },
    /// The capability runs into the end of the space, and was cut.
    Cut {
        /// Capability ID.
        id: u32,
        /// Where it starts.
        offset: u16,
    },
    /// The capability takes bytes that another one had claimed before.
    Overlap {
        /// Capability ID.
        id: u32,
        /// Where it starts.
        offset: u16,
    },
    /// The list comes back to a capability that is already on it; it was ended.
    Loop {
        /// Where that capability starts.
        offset: u16,
    },
    /// The list continues at a place where no capability can be; it was ended.
    BadPointer {
        /// The pointer.
        offset: u16,
    },
    /// A virtual function has an interrupt pin, which the SR-IOV specification forbids.
    VirtualFunctionPin {
        /// Value of its Interrupt Pin Register.
        pin: u8,
    },
}

impl Finding {
    /// Whether the device is at fault, so that the line is worth a warning.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Finding::Hidden { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Finding::Hidden { id, offset } => {
                write!(f, "hiding capability {id:#x}@{offset:#x}")
            }
            Finding::BadLength { id, offset, length } => write!(
                f,
                "hiding capability {id:#x}@{offset:#x} with impossible length {length:#x}"
            ),
            Finding::Cut { id, offset } => {
                write!(f, "capability {id:#x}@{offset:#x} exceeds config space")
            }
            Finding::Overlap { id, offset } => {
                write!(f, "capability {id:#x}@{offset:#x} overlaps another one")
            }
            Finding::Loop { offset } => {
                write!(f, "capability list loops back to {offset:#x}")
            }
            Finding::BadPointer { offset } => {
                write!(f, "capability list continues at impossible {offset:#x}")
            }
            Finding::VirtualFunctionPin { pin } => {
                write!(f, "Hardware bug: VF reports bogus INTx pin {pin}")
            }
        }
    }
}
