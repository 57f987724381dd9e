// SPDX-License-Identifier: GPL-2.0

//! Which ranges to log as one, against all ways to do that (row 9-6).

use crate::dma_logging::nearest::{
    joined,
    nearest, //
};

use proptest::{
    collection::vec,
    prelude::*, //
};
use std::{
    ops::RangeInclusive,
    vec,
    vec::Vec, //
};

type Range = RangeInclusive<u64>;

/// Up to eight ranges with something between any two.
fn ranges() -> impl Strategy<Value = Vec<Range>> {
    let lengths = vec((1..40u64, 0..20u64), 1..8);
    (lengths, prop_oneof![Just(0), any::<u64>()]).prop_map(|(lengths, base)| {
        let mut start = base.min(u64::MAX - 1000);
        let mut ranges = Vec::new();
        for (gap, length) in lengths {
            ranges.push(start..=start + length);
            start += length + 1 + gap;
        }
        ranges
    })
}

/// What the driver's call does.
fn combine(ranges: &[Range], count: usize) -> Vec<Range> {
    let mut ranges = ranges.to_vec();
    while ranges.len() > count {
        let first = nearest(ranges.iter().cloned()).unwrap();
        let second = ranges.remove(first + 1);
        ranges[first] = joined(&ranges[first], &second);
    }
    ranges
}

fn total(ranges: &[Range]) -> u64 {
    ranges
        .iter()
        .map(|range| range.end() - range.start() + 1)
        .sum()
}

/// All ways to make `count` ranges by joining neighbours.
fn ways(ranges: &[Range], count: usize) -> Vec<Vec<Range>> {
    let places = ranges.len() - 1;
    let mut ways = Vec::new();
    for joins in 0..1u32 << places {
        if ranges.len() - joins.count_ones() as usize != count {
            continue;
        }
        let mut way = vec![ranges[0].clone()];
        for (place, range) in ranges[1..].iter().enumerate() {
            if joins & 1 << place != 0 {
                let last = way.pop().unwrap();
                way.push(joined(&last, range));
            } else {
                way.push(range.clone());
            }
        }
        ways.push(way);
    }
    ways
}

proptest! {
    /// It is one of the ways, and none has less in it that is not to be logged.
    #[test]
    fn no_way_covers_less(ranges in ranges(), count in 1..9usize) {
        let count = count.min(ranges.len());
        let combined = combine(&ranges, count);
        let ways = ways(&ranges, count);
        prop_assert!(ways.contains(&combined), "{:?} of {:?}", combined, ranges);
        let least = ways.iter().map(|way| total(way)).min();
        prop_assert_eq!(Some(total(&combined)), least);
    }
}

#[test]
fn of_two_that_are_as_near_the_first() {
    let ranges = [0..=1, 3..=4, 6..=7];
    assert_eq!(combine(&ranges, 2), [0..=4, 6..=7]);
}

#[test]
fn there_have_to_be_two() {
    assert_eq!(nearest([]), None);
    assert_eq!(nearest([0..=u64::MAX]), None);
}

#[test]
fn the_first_and_the_last_address() {
    let ranges = [0..=0, u64::MAX..=u64::MAX];
    assert_eq!(combine(&ranges, 1), [0..=u64::MAX]);
}

#[test]
fn a_range_within_another() {
    let ranges = [0..=9, 2..=3, 11..=12];
    assert_eq!(combine(&ranges, 2), [0..=9, 11..=12]);
}
