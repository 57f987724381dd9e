// SPDX-License-Identifier: GPL-2.0

//! How much config space there is.

/// Bytes of the type 0 header.
pub const HEADER_SIZE: u16 = 0x40;

/// Bytes of conventional config space; extended capabilities start here.
pub const CONVENTIONAL_SIZE: u16 = 0x100;

/// Bytes of extended config space, the most that a function can have.
pub const EXTENDED_SIZE: u16 = 0x1000;
