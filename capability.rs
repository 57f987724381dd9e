// SPDX-License-Identifier: GPL-2.0

//! Chains of capabilities, as the INFO ioctls return them behind their fixed
//! structures.

pub mod chain;

use chain::TooLong;
use kernel::prelude::*;

impl From<TooLong> for Error {
    fn from(_: TooLong) -> Self {
        EOVERFLOW
    }
}

/// A chain of capabilities under construction.
pub struct CapabilityChain {
    bytes: KVVec<u8>,
}

impl CapabilityChain {
    /// Creates an empty chain.
    pub const fn new() -> Self {
        Self {
            bytes: KVVec::new(),
        }
    }

    /// Whether there is no capability yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that the chain takes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a capability; `payload` is what follows the header.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. `EOVERFLOW`: an offset does not fit into 32 bits.
    pub fn add(&mut self, id: u16, version: u16, payload: &[u8]) -> Result {
        let start = self.bytes.len();
        let size = chain::size(payload.len())?;
        let end = start.checked_add(size).ok_or(EOVERFLOW)?;
        self.bytes.resize(end, 0, GFP_KERNEL)?;
        if let Err(error) = chain::append(&mut self.bytes, start, id, version) {
            self.bytes.truncate(start);
            return Err(error.into());
        }
        let behind = start.saturating_add(chain::HEADER_SIZE);
        let room = self.bytes.get_mut(behind..);
        if let Some(room) = room.and_then(|room| room.get_mut(..payload.len())) {
            room.copy_from_slice(payload);
        }
        Ok(())
    }

    /// Appends another chain, whose offsets are from its own start.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. `EOVERFLOW`: an offset does not fit into 32 bits. Then this chain is as it was.
    pub(crate) fn append(&mut self, mut others: KVec<u8>) -> Result {
        if others.is_empty() {
            return Ok(());
        }
        let start = self.bytes.len();
        chain::shift(&mut others, start)?;
        self.bytes.reserve(others.len(), GFP_KERNEL)?;
        chain::link(&mut self.bytes, start)?;
        self.bytes.extend_from_slice(&others, GFP_KERNEL)?;
        Ok(())
    }

    /// Appends the chain to another one, which is empty or has its offsets from its own start.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. `EOVERFLOW`: an offset does not fit into 32 bits. Then `others` is as it was.
    pub(crate) fn join(mut self, others: &mut KVec<u8>) -> Result {
        if self.is_empty() {
            return Ok(());
        }
        let start = others.len();
        chain::shift(&mut self.bytes, start)?;
        others.reserve(self.bytes.len(), GFP_KERNEL)?;
        chain::link(others, start)?;
        others.extend_from_slice(&self.bytes, GFP_KERNEL)?;
        Ok(())
    }

    /// Finishes the chain for a structure in which it starts at `offset`.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW`: an offset does not fit into 32 bits.
    pub fn finish(mut self, offset: usize) -> Result<KVVec<u8>> {
        chain::shift(&mut self.bytes, offset)?;
        Ok(self.bytes)
    }
}

impl Default for CapabilityChain {
    fn default() -> Self {
        Self::new()
    }
}
