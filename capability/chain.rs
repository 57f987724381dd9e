// SPDX-License-Identifier: GPL-2.0

//! The links between the capabilities of a chain.
//!
//! Every capability starts with a header: id (16 bits), version (16 bits) and
//! the offset of the next one (32 bits), counted from the start of the chain,
//! or of whatever it is put into, or 0.
//!
//! Needs nothing but the core library.

/// Size of a header in bytes.
pub const HEADER_SIZE: usize = 8;
/// What capabilities are aligned to.
pub const ALIGNMENT: usize = 8;
const VERSION_OFFSET: usize = 2;
const NEXT_OFFSET: usize = 4;

/// An offset does not fit into 32 bits, or a header is not within the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

fn put<const N: usize>(chain: &mut [u8], at: usize, bytes: [u8; N]) -> Result<(), TooLong> {
    let field = chain
        .get_mut(at..)
        .and_then(|rest| rest.first_chunk_mut())
        .ok_or(TooLong)?;
    *field = bytes;
    Ok(())
}

/// The offset in the header at `at`.
fn next(chain: &[u8], at: usize) -> Result<usize, TooLong> {
    let field = chain
        .get(at.saturating_add(NEXT_OFFSET)..)
        .and_then(|rest| rest.first_chunk())
        .ok_or(TooLong)?;
    // CAST: Widen.
    Ok(u32::from_ne_bytes(*field) as usize)
}

fn set_next(chain: &mut [u8], at: usize, next: usize) -> Result<(), TooLong> {
    let next = u32::try_from(next).map_err(|_| TooLong)?;
    put(chain, at.saturating_add(NEXT_OFFSET), next.to_ne_bytes())
}

/// Where the last capability starts.
fn last(chain: &[u8]) -> Result<usize, TooLong> {
    let mut at = 0;
    loop {
        match next(chain, at)? {
            0 => return Ok(at),
            // Otherwise it would go round in circles.
            following if following <= at => return Err(TooLong),
            following => at = following,
        }
    }
}

/// How many bytes a capability takes that has `payload` bytes behind its header.
///
/// # Errors
///
/// There is no such number.
pub const fn size(payload: usize) -> Result<usize, TooLong> {
    match payload.checked_add(HEADER_SIZE) {
        Some(size) => match size.checked_next_multiple_of(ALIGNMENT) {
            Some(size) => Ok(size),
            None => Err(TooLong),
        },
        None => Err(TooLong),
    }
}

/// Makes the capability that will start at `start` follow the last one of a chain, if that has any.
///
/// # Errors
///
/// It starts too far from the start of the chain. Nothing has changed then.
pub fn link(chain: &mut [u8], start: usize) -> Result<(), TooLong> {
    if start == 0 {
        return Ok(());
    }
    let last = last(chain)?;
    set_next(chain, last, start)
}

/// Makes the bytes from `start` on, which are zero, a capability, the last one of the chain.
///
/// # Errors
///
/// It starts too far from the start of the chain, or there is no room for its header. Nothing has
/// changed then.
pub fn append(chain: &mut [u8], start: usize, id: u16, version: u16) -> Result<(), TooLong> {
    let room = chain.len().checked_sub(start).ok_or(TooLong)?;
    if room < HEADER_SIZE {
        return Err(TooLong);
    }
    link(chain, start)?;
    put(chain, start, id.to_ne_bytes())?;
    put(
        chain,
        start.saturating_add(VERSION_OFFSET),
        version.to_ne_bytes(),
    )
}

/// Makes all offsets count from `offset` bytes in front of the chain, which is where something
/// starts that it is put into.
///
/// # Errors
///
/// An offset would be too large; some may have changed.
pub fn shift(chain: &mut [u8], offset: usize) -> Result<(), TooLong> {
    if chain.is_empty() {
        return Ok(());
    }
    let mut at = 0;
    loop {
        match next(chain, at)? {
            0 => return Ok(()),
            following if following <= at => return Err(TooLong),
            following => {
                set_next(chain, at, following.checked_add(offset).ok_or(TooLong)?)?;
                at = following;
            }
        }
    }
}
