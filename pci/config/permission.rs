// SPDX-License-Identifier: GPL-2.0

//! Permission tables: what each bit of a register allows.

/// What is allowed for the eight bits of one byte.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Permission {
    /// Bits that live in the shadow.
    pub virt: u8,
    /// Bits that a write changes.
    pub write: u8,
    /// Bits of the hardware that a one clears.
    pub clear: u8,
}

impl Permission {
    /// Read from the hardware, never written.
    pub const READ_ONLY: Permission = Permission {
        virt: 0,
        write: 0,
        clear: 0,
    };

    /// Read from the shadow, never written.
    pub const SHOWN: Permission = Permission {
        virt: 0xff,
        write: 0,
        clear: 0,
    };

    /// Read from and written to the hardware.
    pub const RAW: Permission = Permission {
        virt: 0,
        write: 0xff,
        clear: 0,
    };

    /// Read from and written to the shadow.
    pub const VIRTUAL: Permission = Permission {
        virt: 0xff,
        write: 0xff,
        clear: 0,
    };
}

/// One row of a table: a register of up to four bytes, least significant byte first.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    offset: u16,
    bytes: u16,
    virt: u32,
    write: u32,
    clear: u32,
}

/// No bit of a register.
pub(super) const NONE: u32 = 0;

/// Each bit of a register.
pub(super) const ALL: u32 = u32::MAX;

impl Register {
    const fn new(offset: u16, bytes: u16, virt: u32, write: u32) -> Self {
        Self {
            offset,
            bytes,
            virt,
            write,
            clear: NONE,
        }
    }

    /// A register of 8 bits.
    pub(super) const fn byte(offset: u16, virt: u32, write: u32) -> Self {
        Self::new(offset, 1, virt, write)
    }

    /// A register of 16 bits.
    pub(super) const fn word(offset: u16, virt: u32, write: u32) -> Self {
        Self::new(offset, 2, virt, write)
    }

    /// A register of 32 bits.
    pub(super) const fn dword(offset: u16, virt: u32, write: u32) -> Self {
        Self::new(offset, 4, virt, write)
    }

    /// Declares the RW1C bits.
    ///
    /// Needed only where the same aligned dword has writable bits of the hardware, because no
    /// other dword is ever written. Read-only bits may be included.
    pub(super) const fn clears(mut self, clear: u32) -> Self {
        self.clear = clear;
        self
    }

    fn permission(&self, offset: u16) -> Option<Permission> {
        let byte = usize::from(offset.checked_sub(self.offset)?);
        if byte >= usize::from(self.bytes) {
            return None;
        }
        Some(Permission {
            virt: *self.virt.to_le_bytes().get(byte)?,
            write: *self.write.to_le_bytes().get(byte)?,
            clear: *self.clear.to_le_bytes().get(byte)?,
        })
    }
}

/// The table of one capability.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    registers: &'static [Register],
    rest: Permission,
}

impl Layout {
    /// Bytes without a row are read from the hardware and never written.
    pub(super) const fn new(registers: &'static [Register]) -> Self {
        Self::with_rest(registers, Permission::READ_ONLY)
    }

    /// Bytes without a row have the permission `rest`.
    pub(super) const fn with_rest(registers: &'static [Register], rest: Permission) -> Self {
        Self { registers, rest }
    }

    /// The permission of the byte at `offset` from the start of the capability.
    pub fn permission(&self, offset: u16) -> Permission {
        self.registers
            .iter()
            .find_map(|register| register.permission(offset))
            .unwrap_or(self.rest)
    }
}
