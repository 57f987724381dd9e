// SPDX-License-Identifier: GPL-2.0

//! Values of registers in user memory.
//!
//! The size of each copy is a constant. That spares the kernel the look at which object of its own
//! it is about to give away or to overwrite, as a copy of constant size does in C. Always inlined:
//! with the width known, or looked at anyway, that is a quarter of what the copy takes.

use kernel::{
    prelude::*,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};

/// Writes the low `bytes` bytes of `value`, the least significant one first.
///
/// # Errors
///
/// EFAULT; EINVAL if `bytes` is not 1, 2, 4 or 8.
#[inline(always)]
pub(crate) fn give(buffer: &mut UserSliceWriter, bytes: usize, value: u64) -> Result {
    // CAST: Only the low bytes are wanted.
    match bytes {
        1 => buffer.write(&(value as u8)),
        // CAST: As above.
        2 => buffer.write(&(value as u16).to_le()),
        // CAST: As above.
        4 => buffer.write(&(value as u32).to_le()),
        8 => buffer.write(&value.to_le()),
        _ => Err(EINVAL),
    }
}

/// Reads a value of `bytes` bytes.
///
/// # Errors
///
/// As [`give`].
#[inline(always)]
pub(crate) fn take(buffer: &mut UserSliceReader, bytes: usize) -> Result<u64> {
    Ok(match bytes {
        1 => buffer.read::<u8>()?.into(),
        2 => u16::from_le(buffer.read()?).into(),
        4 => u32::from_le(buffer.read()?).into(),
        8 => u64::from_le(buffer.read()?),
        _ => return Err(EINVAL),
    })
}
