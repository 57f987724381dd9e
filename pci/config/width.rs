// SPDX-License-Identifier: GPL-2.0

//! Width of a config access.

/// Width of an access to config space, which has none of eight bytes, as registers of a BAR have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Width {
    /// One byte.
    Byte,
    /// Two bytes, at an even offset.
    Word,
    /// Four bytes, at an offset that is a multiple of four.
    Dword,
}

impl Width {
    /// Number of bytes.
    #[inline]
    pub const fn bytes(self) -> u16 {
        match self {
            Width::Byte => 1,
            Width::Word => 2,
            Width::Dword => 4,
        }
    }

    /// The bits that a value of this width can have.
    #[inline]
    pub const fn mask(self) -> u32 {
        match self {
            Width::Byte => 0xff,
            Width::Word => 0xffff,
            Width::Dword => 0xffff_ffff,
        }
    }

    /// The widest access that starts at `offset`, naturally aligned, within `length` bytes.
    ///
    /// `length` is not zero; if it is, the answer is a byte.
    #[inline]
    pub const fn widest(offset: u16, length: u16) -> Width {
        if length >= 4 && offset % 4 == 0 {
            Width::Dword
        } else if length >= 2 && offset % 2 == 0 {
            Width::Word
        } else {
            Width::Byte
        }
    }
}
