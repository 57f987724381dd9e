// SPDX-License-Identifier: GPL-2.0

//! Config space without a reset in between.

use super::{
    published::Leaf,
    state::Memory,
    MemoryLock, //
};
use crate::{
    abstractions::pm_runtime::Resumed,
    availability::{
        Conditions,
        Holder, //
    }, //
};
use kernel::prelude::*;
use vfio::abstractions::sync::rwsem::ReadGuard;

/// No reset begins.
#[must_use = "a reset may begin as soon as this is dropped"]
pub(crate) struct NoReset<'a> {
    _leaf: ReadGuard<'a, Leaf>,
    _memory: Option<ReadGuard<'a, Memory>>,
}

impl<'a> NoReset<'a> {
    /// Nothing if the link is not to be relied upon.
    fn new(leaf: ReadGuard<'a, Leaf>, memory: Option<ReadGuard<'a, Memory>>) -> Option<Self> {
        let is_up = leaf.channel.is_up();

        is_up.then_some(Self {
            _leaf: leaf,
            _memory: memory,
        })
    }
}

impl Conditions {
    /// Is the function awake, and not being reset? A user who resets it keeps others from the
    /// memory before; but the reset itself is announced by the PCI core, as any other.
    fn are_calm(self) -> bool {
        self.holders.first() != Some(Holder::Host) && !self.suspended
    }
}

impl MemoryLock {
    /// Keeps resets from beginning, and the device from falling asleep, for as long as the result
    /// exists; nothing if the link is not to be relied upon, as that is reset without a word.
    /// Wakes the device up.
    ///
    /// # Errors
    ///
    /// EIO if it does not wake up; EINTR if the task is killed while it waits for the end of a
    /// reset.
    pub(crate) fn without_reset(&self) -> Result<Option<NoReset<'_>>> {
        let leaf = self.leaf.read();
        let published = leaf.published.as_ref();
        if published.is_some_and(|published| published.conditions.are_calm()) {
            return Ok(NoReset::new(leaf, None));
        }
        drop(leaf);

        self.wait_without_reset()
    }

    /// Does the same, if that is not to be had at once.
    #[cold]
    fn wait_without_reset(&self) -> Result<Option<NoReset<'_>>> {
        let mut resumed = None;
        let mut place = None;
        loop {
            let memory = self.state.read();
            let Conditions {
                holders, suspended, ..
            } = memory.conditions();
            if holders.first() == Some(Holder::Host) {
                drop(memory);
                place
                    .get_or_insert_with(|| self.gate.queue())
                    .wait_for(Holder::Host)?;
            } else if suspended && resumed.is_none() {
                drop(memory);
                // Nobody is to wait for that.
                place = None;
                resumed = Some(Resumed::new(&self.function).map_err(|_| EIO)?);
            } else {
                return Ok(NoReset::new(self.leaf.read(), Some(memory)));
            }
        }
    }
}
