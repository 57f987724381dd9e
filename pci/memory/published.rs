// SPDX-License-Identifier: GPL-2.0

//! What an access depends on, for who takes no more than the lock of the leaf.
//!
//! To ask whether the memory may be touched takes the memory lock and the leaf, which has the state
//! of the link. Taking two locks is a third of what it costs to read a register. So whoever has
//! had the memory lock for writing leaves a copy of what there is to be asked in the leaf, and who
//! gets that lock takes the copy away first, for which he waits for accesses that have begun. While
//! there is none, everybody comes to the memory lock. So to hold the leaf with a copy in it is as
//! good as to hold both.
//!
//! Both are locks: the copy is written and read under that of the leaf, so that whoever finds it
//! sees all that was done before it was left, and whoever has taken it away comes after all
//! accesses that found it, on any machine.

use super::state::Memory;
use crate::{
    abstractions::pci::reset::SavedState,
    availability::Conditions,
    bars::Bars,
    channel::Channel, //
};
use kernel::sync::Arc;

/// A copy of a part of [`Memory`], of a device that is open.
pub(super) struct Published {
    pub(super) conditions: Conditions,
    pub(super) bars: Arc<Bars>,
}

impl Published {
    /// What is to be published of `memory`.
    pub(super) fn of(memory: &Memory) -> Option<Self> {
        Some(Self {
            conditions: memory.conditions(),
            bars: memory.bars.clone()?,
        })
    }
}

/// What the lock of the leaf protects.
pub(super) struct Leaf {
    /// The state of the link.
    pub(super) channel: Channel<SavedState>,
    /// Nothing while somebody has got the memory lock for writing, or the device is closed.
    pub(super) published: Option<Published>,
}

impl Leaf {
    /// Of a device that has not been opened yet.
    pub(super) const fn new() -> Self {
        Self {
            channel: Channel::new(),
            published: None,
        }
    }
}
