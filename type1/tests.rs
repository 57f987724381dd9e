// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the pure parts. The host runs more of them on the same files.

use kernel::prelude::*;

#[allow(unsafe_code)]
#[kunit_tests(vfio_type1_iova)]
mod iova {
    use crate::{
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
        }, //
    };

    fn range(start: u64, last: u64) -> Option<IovaRange> {
        IovaRange::new(start, last)
    }

    #[test]
    fn range_ends_at_the_last_address() {
        let top = IovaRange::from_size(u64::MAX - 0xfff, 0x1000);
        assert_eq!(top.map(|it| it.last()), Ok(u64::MAX));
        assert_eq!(top.map(|it| it.size()), Ok(0x1000));
        assert_eq!(
            IovaRange::from_size(u64::MAX - 0xfff, 0x1001),
            Err(RangeError::Wraps)
        );
        assert_eq!(IovaRange::from_size(1, 0), Err(RangeError::Empty));
        assert_eq!(range(1, 0), None);
    }

    #[test]
    fn holes_are_left_out() {
        // The MSI window of x86 in an aperture of 39 bits.
        let holes = [range(0xfee0_0000, 0xfeef_ffff), range(u64::MAX, u64::MAX)];
        let expected = [
            range(0, 0xfedf_ffff),
            range(0xfef0_0000, 0x7f_ffff_ffff),
            None,
        ];
        let mut found = expected.iter();
        let aperture = range(0, 0x7f_ffff_ffff);
        let result = aperture.map(|aperture| {
            without_holes(aperture, holes.iter().flatten(), |valid| {
                if found.next() == Some(&Some(valid)) {
                    Ok(())
                } else {
                    Err(())
                }
            })
        });
        assert_eq!(result, Some(Ok(())));
        assert_eq!(found.next(), Some(&None));
    }

    #[test]
    fn only_one_entry_permits() {
        let low = range(0, 0xfff);
        let high = range(0x1000, 0x1fff);
        let permitted = |wanted: Option<IovaRange>| {
            let valid = low.zip(high).map(|(low, high)| [low, high]);
            valid
                .zip(wanted)
                .is_some_and(|(valid, wanted)| permits(&valid, &wanted))
        };
        assert!(permitted(low));
        assert!(permitted(high));
        assert!(!permitted(range(0xfff, 0x1000)));
        assert!(!permitted(range(0x2000, 0x2000)));
        assert!(permits(&[], &IovaRange::ALL));
    }

    #[test]
    fn page_sizes_of_all_domains() {
        let none = PageSizes::common(core::iter::empty(), 0x1000);
        assert_eq!(none.bitmap(), !0xfff);
        assert_eq!(none.smallest(), 0x1000);
        let small = PageSizes::common([0x20_1200, 0x4020_1200].into_iter(), 0x1000);
        assert_eq!(small.bitmap(), 0x20_1000);
        assert!(small.is_aligned(0x3000));
        assert!(!small.is_aligned(0x3200));
    }

    #[test]
    fn runs_join_if_they_adjoin() {
        let run = |pfn, pages, kind| Run::new(pfn, pages, kind);
        let joined = |first: Option<Run>, next: Option<Run>, limit| {
            first
                .zip(next)
                .and_then(|(first, next)| first.joined(&next, limit))
        };
        let first = run(0x100, 2, Kind::Pinned);
        assert_eq!(
            joined(first, run(0x102, 3, Kind::Pinned), 5),
            run(0x100, 5, Kind::Pinned)
        );
        assert_eq!(joined(first, run(0x102, 3, Kind::Pinned), 4), None);
        assert_eq!(joined(first, run(0x103, 3, Kind::Pinned), 9), None);
        assert_eq!(joined(first, run(0x102, 3, Kind::Device), 9), None);
        let most = run((1 << 40) - 1, Run::MAX_PAGES, Kind::Device);
        assert_eq!(most.map(|it| it.pages()), Some(Run::MAX_PAGES));
        assert_eq!(most.map(|it| it.pfn()), Some((1 << 40) - 1));
        assert_eq!(most.map(|it| it.kind()), Some(Kind::Device));
        assert_eq!(run(1 << 40, 1, Kind::Pinned), None);
        assert_eq!(run(0, 0, Kind::Pinned), None);
    }
}

#[allow(unsafe_code)]
#[kunit_tests(vfio_type1_coverage)]
mod coverage {
    use crate::coverage::Coverage;

    #[test]
    fn who_joins_has_a_first_part() {
        let mut pages = Coverage::default();
        // None of none is all.
        assert!(pages.is_joined(1));
        pages.extend(1, 10);
        assert_eq!(pages.joined(1), 10);
        // Another domain has none until it gets some.
        assert_eq!(pages.joined(2), 0);
        assert!(!pages.is_joined(2));
        pages.join(2, 4);
        pages.extend(2, 12);
        assert_eq!(pages.mapped(), 12);
        assert_eq!(pages.joined(2), 4);
        pages.join(2, 12);
        assert!(pages.is_joined(2));
    }

    #[test]
    fn who_has_all_never_falls_behind() {
        let mut pages = Coverage::default();
        pages.extend(0, 10);
        pages.join(1, 6);
        pages.shrink(6);
        assert!(pages.is_joined(1));
        pages.extend(1, 8);
        assert_eq!(pages.mapped(), 8);
        assert_eq!(pages.joined(1), 8);
        pages.shrink(0);
        assert_eq!(pages.joined(1), 0);
        assert!(pages.is_joined(1));
    }
}

#[allow(unsafe_code)]
#[kunit_tests(vfio_type1_run_list)]
mod run_list {
    use super::*;
    use crate::{
        run::{
            Kind,
            Run, //
        },
        run_list::RunList, //
    };

    /// Enough for a few pieces.
    const COUNT: u64 = 5000;

    fn run(pfn: u64) -> Result<Run> {
        Run::new(pfn, 1, Kind::Pinned).ok_or(EINVAL)
    }

    /// A run that takes one word or two.
    fn mixed(index: u64) -> Result<Run> {
        Run::new(2 * index, 1 + index % 3 / 2, Kind::Pinned).ok_or(EINVAL)
    }

    #[test]
    fn first_run_needs_no_room() -> Result {
        let mut runs = RunList::new();
        assert!(runs.push(run(1)?));
        assert!(!runs.push(run(2)?));
        assert_eq!(runs.last(), Some(run(1)?));
        assert_eq!(runs.memory(), 0);
        assert_eq!(runs.pop(), Some(run(1)?));
        assert_eq!(runs.pop(), None);
        assert!(runs.push(run(3)?));
        assert_eq!(runs.last(), Some(run(3)?));
        Ok(())
    }

    #[test]
    fn runs_keep_their_order() -> Result {
        let mut runs = RunList::new();
        for index in 0..COUNT {
            runs.reserve()?;
            assert!(runs.push(mixed(index)?));
            assert_eq!(runs.last(), Some(mixed(index)?));
        }
        let mut indices = 0..COUNT;
        for run in runs.iter() {
            assert_eq!(indices.next().map(mixed), Some(Ok(run)));
        }
        assert_eq!(indices.next(), None);
        let mut indices = 0..COUNT;
        let mut pieces = 0;
        while let Some(piece) = runs.piece(pieces) {
            for run in piece {
                assert_eq!(indices.next().map(mixed), Some(Ok(run)));
            }
            pieces += 1;
        }
        assert_eq!(indices.next(), None);
        assert!(pieces > 3);
        for index in (0..COUNT).rev() {
            assert_eq!(runs.last(), Some(mixed(index)?));
            assert_eq!(runs.pop(), Some(mixed(index)?));
        }
        assert_eq!(runs.last(), None);
        assert_eq!(runs.pop(), None);
        runs.reserve()?;
        assert!(runs.push(run(7)?));
        assert_eq!(runs.pop(), Some(run(7)?));
        Ok(())
    }

    #[test]
    fn runs_of_devices_are_revoked() -> Result {
        let device = |index: u64, kind| Run::new(2 * index, 1, kind).ok_or(EINVAL);
        let mut runs = RunList::new();
        for index in 0..COUNT {
            runs.reserve()?;
            assert!(runs.push(device(index, Kind::Device)?));
        }
        runs.revoke(|run| (run.pfn() < COUNT).then_some(run.pfn() % 4 == 0));
        for (index, run) in (0..).zip(runs.iter()) {
            let lost = 2 * index < COUNT && index % 2 == 0;
            let kind = if lost { Kind::Revoked } else { Kind::Device };
            assert_eq!(run, device(index, kind)?);
        }
        Ok(())
    }

    /// What a list has of memory for 1 GiB in pieces of `pages` pages that are not adjacent, in
    /// thousandths of a byte for each page.
    fn cost_of(pages: u64) -> Result<u64> {
        let total: u64 = 1 << 18;
        let mut runs = RunList::new();
        for index in 0..total / pages {
            runs.reserve()?;
            let run = Run::new(2 * index * pages, pages, Kind::Pinned).ok_or(EINVAL)?;
            assert!(runs.push(run));
        }
        Ok(runs.memory() as u64 * 1000 / total)
    }

    /// Lone pages, folios of 64 KiB, transparent huge pages, and hugetlb.
    #[test]
    fn memory_for_each_page() -> Result {
        for (pages, most) in [(1, 4060), (16, 510), (512, 16), (1 << 18, 0)] {
            let cost = cost_of(pages)?;
            pr_info!("1 GiB in runs of {pages} pages: {cost}/1000 bytes a page\n");
            assert!(cost <= most);
        }
        Ok(())
    }
}

#[allow(unsafe_code)]
#[kunit_tests(vfio_type1_dirty_bitmap)]
mod dirty_bitmap {
    use crate::{
        dirty_bitmap::{
            shift_up,
            DirtyBits,
            Place, //
        },
        range::IovaRange, //
    };

    #[test]
    fn pages_are_reported_once() {
        assert_eq!(DirtyBits::new([0u64; 1].as_mut_slice(), 65), None);
        let mut words = [u64::MAX; 2];
        let mut copy = [0; 2];
        let bits = DirtyBits::new(words.as_mut_slice(), 65);
        assert!(bits.is_some());
        let Some(mut bits) = bits else { return };
        assert_eq!(bits.take(0, &mut copy), 2);
        assert_eq!(copy, [0, 0]);
        bits.set_below(u64::MAX);
        assert_eq!(bits.take(0, &mut copy), 2);
        assert_eq!(copy, [u64::MAX, 1]);
        bits.give_back(1, &[u64::MAX]);
        assert_eq!(bits.take(0, &mut copy), 2);
        assert_eq!(copy, [0, 1]);
    }

    #[test]
    fn bits_go_where_the_user_has_them() {
        // From page 3 of the user's range on, 64 pages.
        let mapping = IovaRange::from_size(0x13000, 64 << 12);
        let place = mapping.ok().and_then(|it| Place::of(&it, 0x10000, 12));
        assert_eq!(place.map(|it| (it.first_word, it.shift)), Some((0, 3)));
        assert_eq!(place.map(|it| it.has_carry()), Some(true));
        let mut words = [u64::MAX];
        assert_eq!(shift_up(&mut words, 3, 0b101), 0b111);
        assert_eq!(words, [u64::MAX << 3 | 0b101]);
    }
}
