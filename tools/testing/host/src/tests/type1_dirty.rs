// SPDX-License-Identifier: GPL-2.0

//! Bitmaps of dirty pages, compared with a model: a list of truth values.

use crate::type1::{
    dirty_bitmap::{
        all_dirty,
        is_valid_size,
        shift_up,
        size_for,
        DirtyBits,
        Place,
        PAGES_MAX,
        SIZE_MAX, //
    },
    range::IovaRange,
};

use proptest::{
    collection::vec,
    prelude::*, //
};
use std::{
    vec,
    vec::Vec, //
};

const PAGE_SHIFT: u32 = 12;

/// The bits of `words`, one by one.
fn bits(words: &[u64]) -> Vec<bool> {
    words
        .iter()
        .flat_map(|word| (0..u64::BITS).map(move |bit| word >> bit & 1 != 0))
        .collect()
}

fn words_for(pages: u64) -> usize {
    (size_for(pages) / 8) as usize
}

fn clean(pages: u64) -> DirtyBits<Vec<u64>> {
    DirtyBits::new(vec![0; words_for(pages)], pages).expect("as many as are needed")
}

/// Bits of which those in `dirty` are set.
fn with(pages: u64, dirty: &[u64]) -> DirtyBits<Vec<u64>> {
    let mut bits = clean(pages);
    let mut words = vec![0; words_for(pages)];
    for page in dirty.iter().filter(|page| **page < pages) {
        words[(page / 64) as usize] |= 1 << (page % 64);
    }
    bits.give_back(0, &words);
    bits
}

fn taken(bits: &mut DirtyBits<Vec<u64>>) -> Vec<u64> {
    let mut words = vec![0; words_for(bits.pages())];
    assert_eq!(bits.take(0, &mut words), words.len());
    words
}

#[test]
fn limits_are_those_of_the_interface() {
    assert_eq!(SIZE_MAX, 256 << 20);
    assert_eq!(size_for(PAGES_MAX), SIZE_MAX);
    assert_eq!(size_for(0), 0);
    assert_eq!(size_for(1), 8);
    assert_eq!(size_for(64), 8);
    assert_eq!(size_for(65), 16);
    assert!(size_for(u64::MAX) > SIZE_MAX);
    assert!(is_valid_size(8, 1));
    assert!(is_valid_size(SIZE_MAX, 1));
    assert!(is_valid_size(SIZE_MAX, PAGES_MAX + 1));
    assert!(!is_valid_size(SIZE_MAX, PAGES_MAX + 2));
    assert!(!is_valid_size(SIZE_MAX + 1, 1));
    assert!(!is_valid_size(u64::MAX, u64::MAX));
    assert!(!is_valid_size(8, 0));
    assert!(!is_valid_size(0, 0));
    assert!(!is_valid_size(7, 1));
    assert!(!is_valid_size(15, 65));
}

#[test]
fn words_have_to_be_as_many_as_pages_need() {
    assert!(DirtyBits::new(vec![0u64; 1], 65).is_none());
    assert!(DirtyBits::new(vec![0u64; 3], 128).is_none());
    let mut bits = DirtyBits::new(vec![u64::MAX; 2], 65).expect("as many as are needed");
    assert_eq!(taken(&mut bits), [0, 0]);
}

#[test]
fn places() {
    let place = |start, size, base| {
        let range = IovaRange::from_size(start, size).expect("no overflow");
        Place::of(&range, base, PAGE_SHIFT)
    };
    assert_eq!(place(0, 0x1000, 0x1000), None);
    let at_end = place(u64::MAX - 0xfff, 0x1000, 0).expect("not below");
    assert_eq!(at_end.shift, 63);
    assert_eq!(at_end.first_word, (1 << 46) - 1);
    assert!(!at_end.has_carry());
    let over = place(63 << 12, 2 << 12, 0).expect("not below");
    assert!(over.has_carry());
    assert_eq!(over.words(), 1);
    assert!(!place(0, 64 << 12, 0).expect("not below").has_carry());
    assert!(place(1 << 12, 64 << 12, 0).expect("not below").has_carry());
}

proptest! {
    #[test]
    fn all_dirty_is_a_bit_for_each_page(pages in 0..400u64) {
        let words: Vec<u64> = (0..8).map(|index| all_dirty(index, pages)).collect();
        for (page, is_set) in bits(&words).into_iter().enumerate() {
            prop_assert_eq!(is_set, (page as u64) < pages);
        }
    }

    #[test]
    fn a_range_of_pages_is_set(
        pages in 1..300u64,
        before in vec(0..300u64, 0..4),
        start in 0..400u64,
        count in 0..300u64,
    ) {
        let mut dirty = with(pages, &before);
        dirty.set(start..start + count);
        for (page, is_set) in (0..).zip(bits(&taken(&mut dirty))) {
            let is_in = (start..start + count).contains(&page) || before.contains(&page);
            prop_assert_eq!(is_set, page < pages && is_in);
        }
    }

    #[test]
    fn pages_below_an_end_are_set(
        pages in 1..300u64,
        dirty in vec(0..300u64, 0..20),
        end in 0..400u64,
    ) {
        let mut bitmap = with(pages, &dirty);
        bitmap.set_below(end);
        for (page, is_set) in bits(&taken(&mut bitmap)).into_iter().enumerate() {
            let page = page as u64;
            prop_assert_eq!(is_set, page < pages && (page < end || dirty.contains(&page)));
        }
    }

    #[test]
    fn what_is_taken_is_clean_until_it_is_given_back(
        pages in 1..600u64,
        dirty in vec(0..600u64, 0..60),
        index in 0..12usize,
        count in 0..12usize,
    ) {
        let before = with(pages, &dirty);
        let mut bitmap = before.clone();
        let all = taken(&mut before.clone());
        let mut copy = vec![0; count];
        let length = bitmap.take(index, &mut copy);
        prop_assert_eq!(length, all.len().saturating_sub(index).min(count));
        let part = all.get(index..index + length).unwrap_or_default();
        prop_assert_eq!(&copy[..length], part);
        let mut rest = bitmap.clone();
        for (at, word) in taken(&mut rest).into_iter().enumerate() {
            let is_taken = (index..index + length).contains(&at);
            prop_assert_eq!(word, if is_taken { 0 } else { all[at] });
        }
        bitmap.give_back(index, &copy[..length]);
        prop_assert_eq!(bitmap, before);
    }

    /// Whoever gives back more than there are pages for.
    #[test]
    fn no_bit_is_set_without_a_page(pages in 1..200u64, index in 0..5usize) {
        let mut bitmap = clean(pages);
        bitmap.give_back(index, &[u64::MAX; 6]);
        bitmap.set_below(u64::MAX);
        let count = bits(&taken(&mut bitmap)).into_iter().filter(|it| *it).count();
        prop_assert_eq!(count as u64, pages);
    }

    /// Moves the bits of a mapping to where the user has them, in pieces of any length.
    #[test]
    fn bits_go_where_the_user_has_them(
        first in 0..200u64,
        pages in 1..300u64,
        dirty in vec(0..300u64, 0..60),
        piece in 1..6usize,
    ) {
        let start = 0x1000_0000 + (first << PAGE_SHIFT);
        let range = IovaRange::from_size(start, pages << PAGE_SHIFT).expect("no overflow");
        let place = Place::of(&range, 0x1000_0000, PAGE_SHIFT).expect("not below");
        prop_assert_eq!(place.pages, pages);
        prop_assert_eq!(place.words(), words_for(pages));
        let mut bitmap = with(pages, &dirty);
        let mut user = vec![0u64; 10];
        let mut at = place.first_word as usize;
        let mut carry = 0;
        for index in (0..place.words()).step_by(piece) {
            let mut words = vec![0; piece];
            let count = bitmap.take(index, &mut words);
            carry = shift_up(&mut words[..count], place.shift, carry);
            user[at..at + count].copy_from_slice(&words[..count]);
            at += count;
        }
        if place.has_carry() {
            user[at] = carry;
        } else {
            prop_assert_eq!(carry, 0);
        }
        for (bit, is_set) in bits(&user).into_iter().enumerate() {
            let page = (bit as u64).wrapping_sub(first);
            prop_assert_eq!(is_set, page < pages && dirty.contains(&page));
        }
    }

    /// Where all of a mapping is dirty, whole words tell so wherever they can.
    #[test]
    fn a_dirty_mapping_is_its_own_words_and_parts_of_two(
        first in 0..200u64,
        pages in 1..300u64,
    ) {
        let start = 0x1000_0000 + (first << PAGE_SHIFT);
        let range = IovaRange::from_size(start, pages << PAGE_SHIFT).expect("no overflow");
        let place = Place::of(&range, 0x1000_0000, PAGE_SHIFT).expect("not below");
        let mut user = vec![0u64; 10];
        let mut index = 0;
        while index < place.user_words() {
            let at = (place.first_word + index) as usize;
            let whole = place.whole_words_from(index);
            user[at..at + whole as usize].fill(u64::MAX);
            if whole == 0 {
                prop_assert_ne!(place.user_bits(index), u64::MAX);
                user[at] = place.user_bits(index);
            }
            index += whole.max(1);
        }
        for (bit, is_set) in bits(&user).into_iter().enumerate() {
            let page = (bit as u64).wrapping_sub(first);
            prop_assert_eq!(is_set, page < pages);
        }
    }
}
