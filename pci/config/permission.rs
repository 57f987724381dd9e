// SPDX-License-Identifier: GPL-2.0

//! Permission tables: what each bit of a register allows.

use super::width::Width;

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

    /// The bits of the aligned dword that the register lies in, shifted to where they are there.
    const fn in_dword(self) -> (Masks, u32) {
        // CAST: Widens.
        let shift = (self.offset as u32 % 4) * 8;
        // Evaluated by the compiler, which refuses a row that is wrong.
        // CAST: Widens.
        assert!(shift / 8 + self.bytes as u32 <= 4);
        let bits = match self.bytes {
            1 => 0xff,
            2 => 0xffff,
            _ => ALL,
        } << shift;

        (
            Masks {
                virt: (self.virt << shift) & bits,
                write: (self.write << shift) & bits,
                clear: (self.clear << shift) & bits,
            },
            bits,
        )
    }
}

/// What is allowed for the bits of up to four bytes, the least significant one first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Masks {
    pub(super) virt: u32,
    pub(super) write: u32,
    pub(super) clear: u32,
}

impl Masks {
    /// Four bytes with the permission of one.
    const fn repeat(permission: Permission) -> Self {
        Self {
            virt: u32::from_ne_bytes([permission.virt; 4]),
            write: u32::from_ne_bytes([permission.write; 4]),
            clear: u32::from_ne_bytes([permission.clear; 4]),
        }
    }

    /// A dword with another register.
    const fn with(self, register: Register) -> Self {
        let (masks, bits) = register.in_dword();

        Self {
            virt: (self.virt & !bits) | masks.virt,
            write: (self.write & !bits) | masks.write,
            clear: (self.clear & !bits) | masks.clear,
        }
    }

    /// The part of an aligned dword that is `width` bytes from `offset` on, which do not leave it.
    #[inline]
    pub(super) fn part(self, offset: u16, width: Width) -> Self {
        let shift = u32::from(offset % 4) * 8;

        Self {
            virt: (self.virt >> shift) & width.mask(),
            write: (self.write >> shift) & width.mask(),
            clear: (self.clear >> shift) & width.mask(),
        }
    }
}

/// Dwords that have rows in a table: those of the header, of which there are more than of any
/// capability.
const DWORDS: usize = 16;

/// The table of one capability, which starts at a multiple of four.
///
/// What a user accesses is never more than an aligned dword, so the compiler joins the rows to one
/// entry for each: an access costs one look-up, however many rows there are.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The last one is for all that have no row.
    dwords: [Masks; DWORDS + 1],
}

impl Layout {
    /// Bytes without a row are read from the hardware and never written.
    pub(super) const fn new(registers: &[Register]) -> Self {
        Self::with_rest(registers, Permission::READ_ONLY)
    }

    /// Bytes without a row have the permission `rest`.
    pub(super) const fn with_rest(mut registers: &[Register], rest: Permission) -> Self {
        let rest = Masks::repeat(rest);
        let mut dwords = [rest; DWORDS + 1];
        while let [register, others @ ..] = registers {
            // CAST: Widens.
            let index = register.offset as usize / 4;
            assert!(index < DWORDS);
            dwords[index] = dwords[index].with(*register);
            registers = others;
        }

        Self { dwords }
    }

    /// The permissions of the aligned dword with the byte at `offset` from the start of the
    /// capability.
    #[inline]
    pub(super) fn dword(&self, offset: u16) -> Masks {
        let dword = self.dwords.get(usize::from(offset / 4).min(DWORDS));

        dword.copied().unwrap_or_default()
    }

    /// The permission of the byte at `offset` from the start of the capability.
    pub fn permission(&self, offset: u16) -> Permission {
        let masks = self.dword(offset).part(offset, Width::Byte);

        Permission {
            // CAST: Only the low byte is set.
            virt: masks.virt as u8,
            write: masks.write as u8,
            clear: masks.clear as u8,
        }
    }
}
