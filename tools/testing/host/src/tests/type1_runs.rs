// SPDX-License-Identifier: GPL-2.0

//! Packed runs, compared with a list of runs.

use crate::type1::{
    packed_runs::{
        revoke,
        PackedRun,
        PackedRuns,
        MOST_WORDS, //
    },
    run::{
        Kind,
        Run, //
    },
};

use proptest::{
    collection::vec,
    prelude::*, //
};
use std::vec::Vec;

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Pinned), Just(Kind::Device), Just(Kind::Revoked)]
}

fn run() -> impl Strategy<Value = Run> {
    let edges = prop_oneof![Just(0), (1u64 << 31) - 2..(1 << 31) + 2, 0..1u64 << 40];
    let lengths = prop_oneof![4 => Just(1), 1 => 1..=Run::MAX_PAGES];
    (
        edges,
        lengths,
        prop_oneof![2 => Just(Kind::Pinned), 1 => kind()],
    )
        .prop_map(|(pfn, pages, kind)| Run::new(pfn, pages, kind).expect("all are in range"))
}

fn packed(runs: &[Run]) -> Vec<u32> {
    let words = |run: &Run| PackedRun::new(*run).words().to_vec();
    runs.iter().flat_map(words).collect()
}

proptest! {
    /// What is read from either end, or from both, is what there is.
    #[test]
    fn runs_are_read_from_both_ends(runs in vec(run(), 0..40), turns in vec(any::<bool>(), 40)) {
        let words = packed(&runs);
        prop_assert_eq!(PackedRuns(&words).collect::<Vec<_>>(), runs.clone());
        let mut backward: Vec<_> = PackedRuns(&words).rev().collect();
        backward.reverse();
        prop_assert_eq!(&backward, &runs);
        let mut rest = PackedRuns(&words);
        let mut expected = runs.as_slice();
        for turn in turns {
            let (found, run, left) = if turn {
                let split = expected.split_first();
                (rest.next(), split.map(|it| *it.0), split.map(|it| it.1))
            } else {
                let split = expected.split_last();
                (rest.next_back(), split.map(|it| *it.0), split.map(|it| it.1))
            };
            prop_assert_eq!(found, run);
            expected = left.unwrap_or_default();
        }
    }

    /// A lone page takes a word, unless it is far up; nothing takes more than two.
    #[test]
    fn lone_pages_take_one_word(run in run()) {
        let packed = PackedRun::new(run);
        let lone = run.pages() == 1 && run.kind() == Kind::Pinned && run.pfn() < 1 << 31;
        prop_assert_eq!(packed.words().len(), if lone { 1 } else { MOST_WORDS });
    }

    /// Runs of a device are revoked where they are, and nothing else is.
    #[test]
    fn runs_are_revoked_in_place(
        runs in vec(run(), 0..40),
        lost in vec(any::<bool>(), 40),
        end in 0..50usize,
    ) {
        let mut words = packed(&runs);
        let mut seen = Vec::new();
        let result = revoke(&mut words, |run| {
            if seen.len() == end {
                return None;
            }
            seen.push(run);
            Some(lost[seen.len() - 1])
        });
        let count = runs.len().min(end);
        prop_assert_eq!(result.is_some(), runs.len() <= end);
        prop_assert_eq!(&seen[..], &runs[..count]);
        let mut expected = runs.clone();
        for (run, _) in expected[..count].iter_mut().zip(&lost).filter(|(_, lost)| **lost) {
            if run.kind() == Kind::Device {
                *run = run.revoked();
            }
        }
        prop_assert_eq!(PackedRuns(&words).collect::<Vec<_>>(), expected);
    }
}

/// The words for 1 TiB of memory in pieces of `pages` pages, none next to another one.
fn words_for_1_tib(pages: u64) -> u64 {
    let total = 1u64 << (40 - 12);
    (0..total / pages)
        .map(|index| Run::new(2 * index * pages, pages, Kind::Pinned).expect("it is in range"))
        .map(|run| PackedRun::new(run).words().len() as u64)
        .sum()
}

/// What a mapping of 1 TiB takes: lone pages, folios of 64 KiB, transparent huge pages, hugetlb.
/// The C module keeps nothing there and asks the IOMMU, whose page table takes eight bytes for each
/// entry with both.
#[test]
fn costs_of_1_tib() {
    for (pages, bytes) in [
        (1, 1 << 30),
        (16, 1 << 27),
        (512, 1 << 22),
        (1 << 18, 1 << 13),
    ] {
        assert_eq!(words_for_1_tib(pages) * 4, bytes, "{pages} pages");
    }
}
