// SPDX-License-Identifier: GPL-2.0

//! What bus drivers of emulated devices do in place of DMA, and who lets them: a container's
//! backend, or an iommufd.
//!
//! They pin pages of their user, at the addresses where he has mapped them, and let go of
//! them when he unmaps them.

use crate::abstractions::mm::user_page::UserPage;
use core::ops::RangeInclusive;

/// The most pages that are pinned in one go through a container.
pub const MAX_PAGES: usize = 512;

/// What the bus driver is going to do with pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinAccess {
    /// Read them.
    pub read: bool,
    /// Write to them.
    pub write: bool,
}

/// Pages that are pinned until this is dropped, which may sleep.
pub trait Pins: Send + Sync {
    /// The page with the given index.
    fn page(&self, index: usize) -> Option<UserPage<'_>>;
}

/// Who pins pages, and is told what to let go of. Called with no lock held that is needed for
/// that; may sleep.
pub trait UnmapListener: Send + Sync {
    /// The user unmaps the addresses: what is pinned there has to be let go of before this
    /// returns.
    fn unmapped(&self, addresses: RangeInclusive<u64>);

    /// Somebody has not let go of what is pinned there, so that it stays mapped. Tells the
    /// log who that may be.
    fn not_let_go(&self, addresses: RangeInclusive<u64>);
}
