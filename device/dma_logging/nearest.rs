// SPDX-License-Identifier: GPL-2.0

//! Which ranges of addresses to log as one, for a device that cannot log as many as there are.
//!
//! Needs nothing but the core library.

use core::ops::RangeInclusive;

/// The two neighbours with the least between them, which is logged as well if they become one: the
/// index of the first one, of the first two of those that are as near. `ranges` are in ascending
/// order.
///
/// `None`: there are less than two.
pub fn nearest(ranges: impl IntoIterator<Item = RangeInclusive<u64>>) -> Option<usize> {
    let mut ranges = ranges.into_iter();
    let mut before = ranges.next()?;
    let mut nearest = None;
    for (index, range) in ranges.enumerate() {
        let gap = range.start().saturating_sub(*before.end());
        if nearest.is_none_or(|(smallest, _)| gap < smallest) {
            nearest = Some((gap, index));
        }
        before = range;
    }
    nearest.map(|(_, index)| index)
}

/// Two neighbours as one range.
pub fn joined(first: &RangeInclusive<u64>, second: &RangeInclusive<u64>) -> RangeInclusive<u64> {
    *first.start()..=*first.end().max(second.end())
}
