// SPDX-License-Identifier: GPL-2.0

//! Chains of capabilities, as the INFO ioctls return them behind their fixed
//! structures.
//!
//! Every capability starts with a header: id (16 bits), version (16 bits) and
//! the offset of the next one (32 bits), counted from the start of the whole
//! structure, or 0.

use kernel::prelude::*;

const HEADER_SIZE: usize = 8;
const NEXT_OFFSET: usize = 4;
const ALIGNMENT: usize = 8;

/// A chain of capabilities under construction.
pub struct CapabilityChain {
    bytes: KVVec<u8>,
    /// Where the last capability starts, if there is one.
    last: Option<usize>,
}

impl CapabilityChain {
    /// Creates an empty chain.
    pub const fn new() -> Self {
        Self {
            bytes: KVVec::new(),
            last: None,
        }
    }

    /// Whether there is no capability yet.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Bytes that the chain takes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a capability; `payload` is what follows the header.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn add(&mut self, id: u16, version: u16, payload: &[u8]) -> Result {
        let start = self.bytes.len();
        let size = payload.len().checked_add(HEADER_SIZE).ok_or(ENOMEM)?;
        let size = size.checked_next_multiple_of(ALIGNMENT).ok_or(ENOMEM)?;
        self.bytes.reserve(size, GFP_KERNEL)?;
        self.bytes
            .extend_from_slice(&id.to_ne_bytes(), GFP_KERNEL)?;
        self.bytes
            .extend_from_slice(&version.to_ne_bytes(), GFP_KERNEL)?;
        self.bytes
            .extend_from_slice(&0u32.to_ne_bytes(), GFP_KERNEL)?;
        self.bytes.extend_from_slice(payload, GFP_KERNEL)?;
        let end = start.checked_add(size).ok_or(ENOMEM)?;
        self.bytes.resize(end, 0, GFP_KERNEL)?;
        if let Some(last) = self.last.replace(start) {
            self.set_next(last, start)?;
        }
        Ok(())
    }

    /// Finishes the chain for a structure in which it starts at `offset`.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW`: an offset does not fit into 32 bits.
    pub fn finish(mut self, offset: usize) -> Result<KVVec<u8>> {
        let mut at = 0;
        while let Some(last) = self.last {
            let next = self.next(at)?;
            if at == last {
                break;
            }
            self.set_next(at, next.checked_add(offset).ok_or(EOVERFLOW)?)?;
            at = next;
        }
        Ok(self.bytes)
    }

    fn next(&self, at: usize) -> Result<usize> {
        let field = self
            .bytes
            .get(at.saturating_add(NEXT_OFFSET)..)
            .and_then(|rest| rest.first_chunk::<4>())
            .ok_or(EINVAL)?;
        Ok(u32::from_ne_bytes(*field) as usize)
    }

    fn set_next(&mut self, at: usize, next: usize) -> Result {
        let next = u32::try_from(next).map_err(|_| EOVERFLOW)?;
        let field = self
            .bytes
            .get_mut(at.saturating_add(NEXT_OFFSET)..)
            .and_then(|rest| rest.first_chunk_mut::<4>())
            .ok_or(EINVAL)?;
        *field = next.to_ne_bytes();
        Ok(())
    }
}

impl Default for CapabilityChain {
    fn default() -> Self {
        Self::new()
    }
}
