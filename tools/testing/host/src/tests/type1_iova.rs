// SPDX-License-Identifier: GPL-2.0

//! Addresses of type1, compared with a model: a set of numbers.

use crate::type1::{
    page_sizes::PageSizes,
    range::{
        IovaRange,
        RangeError, //
    },
    run::{
        Kind,
        Run, //
    },
    valid_iova::{
        permits,
        without_holes, //
    },
};

use proptest::{
    collection::vec,
    prelude::*, //
};
use std::vec::Vec;

/// The model has this many addresses.
const COUNT: u64 = 64;

/// Where the model's addresses begin: at either end of all addresses, and amid.
fn base() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX - (COUNT - 1)), Just(0x1000)]
}

/// First and last address in the model.
fn ends() -> impl Strategy<Value = (u64, u64)> {
    (0..COUNT, 0..COUNT).prop_map(|(one, other)| (one.min(other), one.max(other)))
}

fn at(base: u64, (start, last): (u64, u64)) -> IovaRange {
    IovaRange::new(base + start, base + last).expect("start is not above last")
}

fn members(base: u64, range: &IovaRange) -> Vec<u64> {
    (0..COUNT)
        .filter(|offset| range.contains_address(base + offset))
        .collect()
}

fn valid(aperture: IovaRange, holes: &[IovaRange]) -> Vec<IovaRange> {
    let mut valid = Vec::new();
    without_holes(aperture, holes.iter(), |range| {
        valid.push(range);
        Ok::<(), ()>(())
    })
    .expect("pushing does not fail");
    valid
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Pinned), Just(Kind::Device), Just(Kind::Revoked)]
}

proptest! {
    /// Rows 5-4, 5-5, 5-44, 5-45.
    #[test]
    fn sizes_and_ends_agree(start: u64, size: u64) {
        match IovaRange::from_size(start, size) {
            Ok(range) => {
                prop_assert_eq!(range.start(), start);
                prop_assert_eq!(range.size(), size);
                prop_assert_eq!(u128::from(range.last()) + 1, u128::from(start) + u128::from(size));
            }
            Err(RangeError::Empty) => prop_assert_eq!(size, 0),
            Err(RangeError::Wraps) => {
                prop_assert!(u128::from(start) + u128::from(size) > 1 << 64);
            }
        }
    }

    #[test]
    fn relations_are_those_of_sets(base in base(), one in ends(), other in ends()) {
        let (one, other) = (at(base, one), at(base, other));
        let set = members(base, &other);
        let mut shared = members(base, &one);
        shared.retain(|member| set.contains(member));
        prop_assert_eq!(one.overlaps(&other), !shared.is_empty());
        prop_assert_eq!(one.contains(&other), shared == set);
        match one.intersection(&other) {
            Some(range) => prop_assert_eq!(members(base, &range), shared),
            None => prop_assert!(shared.is_empty()),
        }
    }

    /// Row 5-86: an address is valid if it is in the aperture and in no hole;
    /// the ranges are in order, and as few as possible.
    #[test]
    fn holes_leave_what_they_do_not_cover(
        base in base(),
        aperture in ends(),
        holes in vec(ends(), 0..8),
    ) {
        let aperture = at(base, aperture);
        let holes: Vec<_> = holes.into_iter().map(|ends| at(base, ends)).collect();
        let valid = valid(aperture, &holes);
        let expected: Vec<_> = members(base, &aperture)
            .into_iter()
            .filter(|offset| !holes.iter().any(|hole| hole.contains_address(base + offset)))
            .collect();
        let found: Vec<_> = valid.iter().flat_map(|range| members(base, range)).collect();
        prop_assert_eq!(found, expected);
        for pair in valid.windows(2) {
            prop_assert!(pair[0].last() + 1 < pair[1].start());
        }
    }

    /// Row 5-14.
    #[test]
    fn a_range_in_one_entry_is_permitted(
        base in base(),
        holes in vec(ends(), 0..8),
        wanted in ends(),
    ) {
        let holes: Vec<_> = holes.into_iter().map(|ends| at(base, ends)).collect();
        let valid = valid(at(base, (0, COUNT - 1)), &holes);
        let wanted = at(base, wanted);
        let expected = valid.is_empty() || valid.iter().any(|entry| entry.contains(&wanted));
        prop_assert_eq!(permits(&valid, &wanted), expected);
    }

    /// Row 5-80.
    #[test]
    fn page_sizes_are_shared_and_not_below_the_cpu(sizes in vec(any::<u64>(), 0..4), number: u64) {
        let common = PageSizes::common(sizes.iter().copied(), 0x1000);
        let shared = sizes.iter().fold(u64::MAX, |all, it| all & it);
        prop_assert_eq!(common.bitmap() & 0xfff, 0);
        prop_assert_eq!(common.bitmap() & !0x1fff, shared & !0x1fff);
        prop_assert_eq!(common.bitmap() & 0x1000 != 0, shared & 0x1fff != 0);
        prop_assert!(common.smallest().is_power_of_two() && common.smallest() >= 0x1000);
        prop_assert_eq!(common.is_aligned(number), number % common.smallest() == 0);
    }

    #[test]
    fn runs_keep_what_they_are_made_of(
        pfn in prop_oneof![0..1u64 << 41, any::<u64>()],
        pages in prop_oneof![0..=Run::MAX_PAGES + 1, any::<u64>()],
        kind in kind(),
    ) {
        let fits = pfn < 1 << 40 && (1..=Run::MAX_PAGES).contains(&pages);
        match Run::new(pfn, pages, kind) {
            Some(run) => {
                prop_assert!(fits);
                prop_assert_eq!((run.pfn(), run.pages(), run.kind()), (pfn, pages, kind));
                let run = run.revoked();
                let expected = (pfn, pages, Kind::Revoked);
                prop_assert_eq!((run.pfn(), run.pages(), run.kind()), expected);
            }
            None => prop_assert!(!fits),
        }
    }

    /// Row 5-23: runs grow by what follows them, and by nothing else.
    #[test]
    fn runs_join_what_follows(
        pfn in 0..1u64 << 39,
        pages in 1..=Run::MAX_PAGES,
        gap in -1..=1i64,
        more in 1..=Run::MAX_PAGES,
        kinds in (kind(), kind()),
        limit in 1..=2 * Run::MAX_PAGES,
    ) {
        let next = (pfn + pages).saturating_add_signed(gap);
        let (first, next) = (Run::new(pfn, pages, kinds.0), Run::new(next, more, kinds.1));
        let joined = first.zip(next).and_then(|(first, next)| first.joined(&next, limit));
        let total = pages + more;
        let possible = gap == 0 && kinds.0 == kinds.1 && total <= limit && total <= Run::MAX_PAGES;
        prop_assert_eq!(joined.is_some(), possible);
        if let Some(run) = joined {
            prop_assert_eq!((run.pfn(), run.pages(), run.kind()), (pfn, total, kinds.0));
        }
    }
}
