// SPDX-License-Identifier: GPL-2.0

//! Which writes have to do with device memory.

use super::{
    capability,
    cell::{
        Cell,
        Kind, //
    },
    header,
    space::{
        Chunk,
        Space, //
    }, //
};

use core::ops::DerefMut;

/// What a write may do to device memory.
///
/// The host asks before it takes the lock around the [`Space`], as keeping others from device
/// memory may take a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemoryEffect {
    /// Nothing.
    None,
    /// Others must be kept from it during the write.
    Change,
    /// It must be taken away from everybody who maps it before.
    Revoke,
}

impl<B: DerefMut<Target = [Cell]>> Space<B> {
    /// What writing `value` to a chunk may do to device memory. Does not depend on what has been
    /// written before.
    pub fn memory_effect(&self, chunk: Chunk, value: u32) -> MemoryEffect {
        let Some(cell) = self.cells.get(usize::from(chunk.offset)) else {
            return MemoryEffect::None;
        };
        let disables = match cell.kind() {
            Kind::Header if chunk.offset == header::COMMAND => value & header::COMMAND_MEMORY == 0,
            Kind::Header if chunk.covers(header::COMMAND + 1) => false,
            Kind::PowerManagement
                if chunk.offset == cell.start().saturating_add(capability::PM_CONTROL) =>
            {
                value & capability::PM_STATE == capability::PM_STATE
            }
            _ => return MemoryEffect::None,
        };
        if disables {
            MemoryEffect::Revoke
        } else {
            MemoryEffect::Change
        }
    }
}
