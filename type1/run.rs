// SPDX-License-Identifier: GPL-2.0

//! Runs of consecutive page frames.
//!
//! A mapping remembers which page frames are behind it as a list of runs. With it, nobody has
//! to ask the IOMMU page by page where an address leads. How little memory a list takes is
//! in [`packed_runs`](super::packed_runs).
//!
//! Pure arithmetic on `core` alone, so that the same file is tested in the
//! kernel and on the host.

/// What the page frames of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Memory, pinned in the user's name.
    Pinned,
    /// Memory of a device, which is not counted and cannot be pinned.
    Device,
    /// Memory of a device that was released: nothing is mapped any more.
    Revoked,
}

/// Consecutive page frames of one kind. A folio is something else: a run may have many, or part of
/// one, or memory of a device.
///
/// # Invariants
///
/// From bit 0 on: `PFN_BITS` bits of the first page frame number,
/// `LENGTH_BITS` bits of the number of page frames less one, one bit that
/// is set for [`Kind::Device`], and one for [`Kind::Revoked`]. That makes [`Run::BITS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run(u64);

impl Run {
    /// Enough for 52 bits of physical address and pages of 4 KiB, which is what x86 and Arm have;
    /// Kconfig offers type1 on no other machine.
    const PFN_BITS: u32 = 40;
    /// Runs of up to 4 GiB with pages of 4 KiB.
    const LENGTH_BITS: u32 = 20;
    const DEVICE: u64 = 1 << (Self::PFN_BITS + Self::LENGTH_BITS);
    const REVOKED: u64 = Self::DEVICE << 1;
    const PFN_MASK: u64 = (1 << Self::PFN_BITS) - 1;
    const LENGTH_MASK: u64 = (1 << Self::LENGTH_BITS) - 1;

    /// How many bits there are.
    pub const BITS: u32 = Self::PFN_BITS + Self::LENGTH_BITS + 2;

    /// The longest run, in pages.
    pub const MAX_PAGES: u64 = 1 << Self::LENGTH_BITS;

    /// The run of `pages` page frames from `pfn` on.
    ///
    /// `None` if there are no pages, more than [`Run::MAX_PAGES`], or if `pfn`
    /// is no page frame number.
    pub const fn new(pfn: u64, pages: u64, kind: Kind) -> Option<Self> {
        if pfn > Self::PFN_MASK || pages == 0 || pages > Self::MAX_PAGES {
            return None;
        }
        let kind = match kind {
            Kind::Pinned => 0,
            Kind::Device => Self::DEVICE,
            Kind::Revoked => Self::REVOKED,
        };
        // INVARIANT: Both numbers fit, as just checked.
        Some(Self(kind | ((pages - 1) << Self::PFN_BITS) | pfn))
    }

    /// The run whose [bits](Self::bits) are the lowest of `bits`.
    pub const fn from_bits(bits: u64) -> Self {
        // INVARIANT: Each number takes all of its bits.
        Self(bits & ((1 << Self::BITS) - 1))
    }

    /// All that there is to know, in the lowest [`Run::BITS`] bits.
    pub const fn bits(&self) -> u64 {
        self.0
    }

    /// The number of the first page frame.
    pub const fn pfn(&self) -> u64 {
        self.0 & Self::PFN_MASK
    }

    /// The number of page frames.
    pub const fn pages(&self) -> u64 {
        // OVERFLOW: The mask leaves a number far below the maximum.
        ((self.0 >> Self::PFN_BITS) & Self::LENGTH_MASK) + 1
    }

    /// What the page frames are.
    pub const fn kind(&self) -> Kind {
        if self.0 & Self::REVOKED != 0 {
            Kind::Revoked
        } else if self.0 & Self::DEVICE != 0 {
            Kind::Device
        } else {
            Kind::Pinned
        }
    }

    /// The same page frames, which are mapped no more.
    pub const fn revoked(self) -> Self {
        Self((self.0 & !Self::DEVICE) | Self::REVOKED)
    }

    /// This run and `next` as one of at most `limit` pages, if `next` is of the
    /// same kind and begins where this run ends.
    pub fn joined(&self, next: &Self, limit: u64) -> Option<Self> {
        // OVERFLOW: Both are at most 2^20 pages, and at most 2^40 page frames.
        let pages = self.pages() + next.pages();
        let adjacent = self.pfn() + self.pages() == next.pfn();
        if !adjacent || self.kind() != next.kind() || pages > limit {
            return None;
        }
        Self::new(self.pfn(), pages, self.kind())
    }
}
