// SPDX-License-Identifier: GPL-2.0

//! What is read of a device that is being examined, and what is found.

use super::{
    cell::Kind,
    hardware::Hardware,
    width::Width, //
};

/// Reads the hardware within the space that there is.
pub(super) struct Probe<'a, H> {
    pub(super) hardware: &'a H,
    /// Number of bytes of config space.
    pub(super) size: u16,
}

impl<H: Hardware> Probe<'_, H> {
    /// Reads a register; behind the end there are only ones.
    ///
    /// # Errors
    ///
    /// The hardware could not be read.
    pub(super) fn read(&self, offset: u16, width: Width) -> Result<u32, H::Error> {
        match offset.checked_add(width.bytes()) {
            Some(end) if end <= self.size => Ok(self.hardware.read(offset, width)? & width.mask()),
            _ => Ok(width.mask()),
        }
    }
}

/// A capability.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) kind: Kind,
    /// Number of bytes.
    pub(super) bytes: u32,
    /// The least number of bytes that it can have, if it is the device that tells the number.
    pub(super) claimed: Option<u16>,
    /// If a function that has it may have extended config space: how many lanes its link has.
    pub(super) extended_space: Option<u32>,
}

impl Found {
    /// A capability whose length follows from its version.
    pub(super) fn fixed(kind: Kind, bytes: u16) -> Self {
        Self {
            kind,
            bytes: u32::from(bytes),
            claimed: None,
            extended_space: None,
        }
    }

    /// A capability that tells its length itself, and has at least `minimum` bytes.
    pub(super) fn claimed(kind: Kind, bytes: u32, minimum: u16) -> Self {
        Self {
            kind,
            bytes,
            claimed: Some(minimum),
            extended_space: None,
        }
    }

    /// A capability that users do not see, of at least so many bytes.
    pub(super) fn hidden(bytes: u32) -> Self {
        Self {
            kind: Kind::Hidden,
            bytes,
            claimed: None,
            extended_space: None,
        }
    }

    /// A function with this capability may have extended config space, and has a link of so many
    /// lanes.
    pub(super) fn with_extended_space(self, lanes: u32) -> Self {
        Self {
            extended_space: Some(lanes),
            ..self
        }
    }
}
