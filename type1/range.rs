// SPDX-License-Identifier: GPL-2.0

//! Ranges of I/O virtual addresses.
//!
//! Pure arithmetic on `core` alone, so that the same file is tested in the
//! kernel and on the host.

/// Why an address and a size make no [`IovaRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// The size is zero.
    Empty,
    /// The last address is beyond `u64::MAX`.
    Wraps,
}

/// A range of addresses that holds at least one address.
///
/// The end is kept as the last address, not as the one after it: a range may
/// end at `u64::MAX`.
///
/// # Invariants
///
/// `start <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IovaRange {
    start: u64,
    last: u64,
}

impl IovaRange {
    /// All addresses.
    pub const ALL: Self = Self {
        // INVARIANT: Zero is the smallest number.
        start: 0,
        last: u64::MAX,
    };

    /// The range from `start` to `last`, both included.
    pub const fn new(start: u64, last: u64) -> Option<Self> {
        if start <= last {
            // INVARIANT: Just compared.
            Some(Self { start, last })
        } else {
            None
        }
    }

    /// The `size` addresses from `start` on.
    ///
    /// # Errors
    ///
    /// [`RangeError::Empty`] and [`RangeError::Wraps`], in this order.
    pub const fn from_size(start: u64, size: u64) -> Result<Self, RangeError> {
        let Some(distance) = size.checked_sub(1) else {
            return Err(RangeError::Empty);
        };
        match start.checked_add(distance) {
            // INVARIANT: An addition that did not wrap does not get smaller.
            Some(last) => Ok(Self { start, last }),
            None => Err(RangeError::Wraps),
        }
    }

    /// The first address.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The last address.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// The number of addresses; `u64::MAX` for [`IovaRange::ALL`], whose size
    /// is one more than a `u64` holds.
    pub const fn size(&self) -> u64 {
        // OVERFLOW: `start <= last` by the type invariant.
        (self.last - self.start).saturating_add(1)
    }

    /// Whether `address` is in this range.
    pub const fn contains_address(&self, address: u64) -> bool {
        self.start <= address && address <= self.last
    }

    /// Whether all of `other` is in this range.
    pub const fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.last <= self.last
    }

    /// Whether this range and `other` share an address.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.last && other.start <= self.last
    }

    /// The addresses that this range and `other` share.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.last.min(other.last))
    }
}
