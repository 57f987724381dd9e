// SPDX-License-Identifier: GPL-2.0

//! One register of a BAR, which is what most accesses of users are.

use super::{
    published::Leaf,
    MemoryLock, //
};
use crate::{
    abstractions::io::mem::{
        IoMem,
        Width, //
    },
    availability::Availability,
    bars::Bars, //
};
use kernel::prelude::*;

/// The shortest way to a register: all that it takes is found under one lock, that of the leaf.
/// Where that is not enough nothing has happened, and [`MemoryLock::access`] waits, or says why
/// not.
impl MemoryLock {
    /// Runs `access` with a register of `width` bytes at `offset` of BAR `index`, if that can be
    /// had at once and nothing is special about it.
    #[inline]
    fn with_register<R>(
        &self,
        index: usize,
        offset: u64,
        width: Width,
        access: impl FnOnce(&IoMem, usize) -> Result<R>,
    ) -> Option<R> {
        // I/O ports have nothing to do with the lock.
        if !self.function.has_memory_bar(index) {
            return None;
        }

        self.with_register_of(&self.leaf.read(), index, offset, width, access)
    }

    #[inline]
    fn with_register_of<R>(
        &self,
        leaf: &Leaf,
        index: usize,
        offset: u64,
        width: Width,
        access: impl FnOnce(&IoMem, usize) -> Result<R>,
    ) -> Option<R> {
        let published = leaf.published.as_ref()?;
        if self.availability(published.conditions, leaf) != Availability::Ready {
            return None;
        }
        let (registers, offset) = published.bars.register(index, offset, width.bytes())?;

        access(registers, offset).ok()
    }

    /// Calls `visit` with the BARs of an open device, unless somebody has got the memory lock for
    /// writing. `visit` must not wait for anything.
    pub(crate) fn with_bars<R>(&self, visit: impl FnOnce(&Bars) -> R) -> Option<R> {
        let leaf = self.leaf.read();

        leaf.published
            .as_ref()
            .map(|published| visit(&published.bars))
    }

    /// Reads a register as [`Self::with_register`] finds it.
    #[inline]
    pub(crate) fn read_register(&self, index: usize, offset: u64, width: Width) -> Option<u64> {
        self.with_register(index, offset, width, |registers, offset| {
            registers.read(offset, width)
        })
    }

    /// Writes a register as [`Self::with_register`] finds it.
    #[inline]
    pub(crate) fn write_register(
        &self,
        index: usize,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Option<()> {
        self.with_register(index, offset, width, |registers, offset| {
            registers.write(offset, width, value)
        })
    }

    /// Does the same without sleeping.
    pub(crate) fn try_write_register(
        &self,
        index: usize,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Option<()> {
        if !self.function.has_memory_bar(index) {
            return None;
        }
        let leaf = self.leaf.try_read()?;

        self.with_register_of(&leaf, index, offset, width, |registers, offset| {
            registers.write(offset, width, value)
        })
    }
}
