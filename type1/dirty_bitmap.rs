// SPDX-License-Identifier: GPL-2.0

//! Bitmaps of dirty pages: how long they are, and where the bits of a mapping go in
//! that of a user.
//!
//! The bits of a mapping are words of 64, from its first page on, and so are those
//! of a user, from the first page of the range that he asks for. A mapping can begin
//! anywhere in a word of the user, who may have the bits of others in there.
//!
//! Pure arithmetic on `core` alone, so that the same file is tested in the
//! kernel and on the host.

use super::range::IovaRange;
use core::ops::{
    DerefMut,
    Range, //
};

/// The most pages that one bitmap tells of: what a C `int` counts.
pub const PAGES_MAX: u64 = i32::MAX as u64;

/// The size of the longest bitmap, in bytes.
pub const SIZE_MAX: u64 = (PAGES_MAX + 1) / 8;

const WORD_BITS: u64 = u64::BITS as u64;
const WORD_SIZE: u64 = size_of::<u64>() as u64;

/// The size in bytes of a bitmap for `pages` pages, in whole words.
pub const fn size_for(pages: u64) -> u64 {
    // Far below the maximum.
    pages.div_ceil(WORD_BITS).saturating_mul(WORD_SIZE)
}

/// Whether a bitmap of `size` bytes is one, and has room for `pages` pages.
pub const fn is_valid_size(size: u64, pages: u64) -> bool {
    pages != 0 && size <= SIZE_MAX && size >= size_for(pages)
}

/// Which pages of a mapping are dirty, in words that `W` holds.
///
/// # Invariants
///
/// There is a bit for each of the `pages`, and less than a word more; these are clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirtyBits<W> {
    words: W,
    pages: u64,
}

impl<W: DerefMut<Target = [u64]>> DirtyBits<W> {
    /// No page is dirty. `None`: `words` are not as many as are needed for that many pages.
    pub fn new(mut words: W, pages: u64) -> Option<Self> {
        if words.len() as u64 != pages.div_ceil(WORD_BITS) {
            return None;
        }
        words.fill(0);
        // INVARIANT: Just compared, and just cleared.
        Some(Self { words, pages })
    }

    /// How many pages these are.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// All pages below `end` are dirty.
    pub fn set_below(&mut self, end: u64) {
        let pages = self.pages;
        for (index, word) in self.words.iter_mut().enumerate() {
            // INVARIANT: No bit is set that has no page.
            *word |= all_dirty(index, pages.min(end));
        }
    }

    /// The pages with the given indices are dirty, as far as there are any.
    pub fn set(&mut self, pages: Range<u64>) {
        let end = self.pages.min(pages.end);
        // CAST: An index beyond the last word is as good as any other.
        let first = (pages.start / WORD_BITS) as usize;
        let words = self.words.get_mut(first..).unwrap_or_default();
        for (index, word) in (first..).zip(words) {
            if index as u64 > end / WORD_BITS {
                break;
            }
            // INVARIANT: No bit is set that has no page.
            *word |= all_dirty(index, end) & !all_dirty(index, pages.start);
        }
    }

    /// Copies words from the one with the given index on to `copy`, and clears them: the
    /// pages are reported. Returns how many there were.
    pub fn take(&mut self, index: usize, copy: &mut [u64]) -> usize {
        let words = self.words.get_mut(index..).unwrap_or_default();
        let mut count = 0;
        for (word, copy) in words.iter_mut().zip(copy) {
            *copy = core::mem::take(word);
            count += 1;
        }
        count
    }

    /// What was [taken](Self::take) has not been reported: the pages are still dirty.
    pub fn give_back(&mut self, index: usize, copy: &[u64]) {
        let pages = self.pages;
        let words = self.words.get_mut(index..).unwrap_or_default();
        for (at, (word, copy)) in (index..).zip(words.iter_mut().zip(copy)) {
            // INVARIANT: No bit is set that has no page.
            *word |= copy & all_dirty(at, pages);
        }
    }
}

/// The word with the given index of a bitmap in which all of `pages` pages are dirty, and
/// no others.
pub const fn all_dirty(index: usize, pages: u64) -> u64 {
    let before = (index as u64).saturating_mul(WORD_BITS);
    match pages.saturating_sub(before) {
        0 => 0,
        // Shifted by less than 64.
        bits if bits < WORD_BITS => (1 << bits) - 1,
        _ => u64::MAX,
    }
}

/// Where the bits of a mapping go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The word of the user's bitmap with the first one.
    pub first_word: u64,
    /// How many bits of that word belong to pages below the mapping.
    pub shift: u32,
    /// How many there are.
    pub pages: u64,
}

impl Place {
    /// The place of `mapping` in a bitmap whose first bit is for the page at `base`, in pages of
    /// two to the power of `page_shift` bytes. `None` if the mapping begins below
    /// that.
    pub const fn of(mapping: &IovaRange, base: u64, page_shift: u32) -> Option<Self> {
        let Some(distance) = mapping.start().checked_sub(base) else {
            return None;
        };
        let bit = distance >> page_shift;
        Some(Self {
            first_word: bit / WORD_BITS,
            // CAST: Below 64.
            shift: (bit % WORD_BITS) as u32,
            pages: mapping.size() >> page_shift,
        })
    }

    /// How many words of the mapping's own bits there are.
    pub const fn words(&self) -> usize {
        // CAST: The bits are in memory.
        self.pages.div_ceil(WORD_BITS) as usize
    }

    /// How many words of the user's have any of them.
    pub const fn user_words(&self) -> u64 {
        self.end().div_ceil(WORD_BITS)
    }

    /// Those in the word of the user's with the given index, from the first one on.
    pub const fn user_bits(&self, index: u64) -> u64 {
        // CAST: The bits are in memory.
        let index = index as usize;
        all_dirty(index, self.end()) & !all_dirty(index, self.shift as u64)
    }

    /// How many words of the user's from the one with the given index on have no others.
    pub const fn whole_words_from(&self, index: u64) -> u64 {
        if index == 0 && self.shift != 0 {
            return 0;
        }
        (self.end() / WORD_BITS).saturating_sub(index)
    }

    /// How many bits there are from the start of the first word on.
    const fn end(&self) -> u64 {
        self.pages.saturating_add(self.shift as u64)
    }

    /// Whether the last bits are in a word more of the user's.
    pub const fn has_carry(&self) -> bool {
        let last = self.pages % WORD_BITS;
        self.shift as u64 + if last == 0 { WORD_BITS } else { last } > WORD_BITS
    }
}

/// Moves the bits of `words` up by `shift`, which is less than 64. The lowest ones come
/// from `carry`; those that leave the last word are returned, for the word behind it.
pub fn shift_up(words: &mut [u64], shift: u32, carry: u64) -> u64 {
    let mut carry = carry;
    for word in words {
        let moved = u128::from(*word) << shift;
        // CAST: The two halves.
        *word = moved as u64 | carry;
        carry = (moved >> u64::BITS) as u64;
    }
    carry
}
