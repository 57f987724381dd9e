// SPDX-License-Identifier: GPL-2.0

//! Runs, packed into words of 32 bits.
//!
//! Memory that is scattered in lone pages has a run for each of them, so these take the least: one
//! word, which is half of what the IOMMU's page table takes. All others take two, also a
//! lone page behind the first 8 TiB, whose number does not fit. So no page takes more than
//! eight bytes, and only there more than four.
//!
//! Words can be read from either end: the highest bit of both words of two is set, and that of
//! a single one is not.
//!
//! Pure arithmetic on `core` alone, so that the same file is tested in the
//! kernel and on the host.

use super::run::{
    Kind,
    Run, //
};

/// That a word is one of two.
const PAIR: u32 = 1 << 31;

// Both words have room for 31 bits.
const _: () = assert!(Run::BITS <= 62);

/// The most words that a run takes.
pub const MOST_WORDS: usize = 2;

/// The words of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedRun {
    /// A lone page.
    One([u32; 1]),
    /// Anything.
    Two([u32; 2]),
}

impl PackedRun {
    /// The words of `run`.
    pub fn new(run: Run) -> Self {
        if run.pages() == 1 && run.kind() == Kind::Pinned && run.pfn() < PAIR.into() {
            // CAST: Just compared.
            return Self::One([run.pfn() as u32]);
        }
        let bits = run.bits();
        // CAST: The lowest 31 bits each are meant.
        Self::Two([bits as u32 | PAIR, (bits >> 31) as u32 | PAIR])
    }

    /// The words, in their order.
    pub fn words(&self) -> &[u32] {
        match self {
            Self::One(words) => words,
            Self::Two(words) => words,
        }
    }
}

/// The run of one word. `None`: it is one of two.
fn of_one(word: u32) -> Option<Run> {
    let pfn = Some(word).filter(|word| word & PAIR == 0)?;
    Run::new(pfn.into(), 1, Kind::Pinned)
}

/// The run of two words.
fn of_two(low: u32, high: u32) -> Run {
    let part = |word: u32| u64::from(word & !PAIR);
    Run::from_bits(part(low) | part(high) << 31)
}

/// Runs of words that begin with the first one of a run and end with the last one of one.
#[derive(Clone)]
pub struct PackedRuns<'a>(pub &'a [u32]);

impl Iterator for PackedRuns<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let (first, rest) = self.0.split_first()?;
        if let Some(run) = of_one(*first) {
            self.0 = rest;
            return Some(run);
        }
        let (second, rest) = rest.split_first()?;
        self.0 = rest;
        Some(of_two(*first, *second))
    }
}

impl DoubleEndedIterator for PackedRuns<'_> {
    fn next_back(&mut self) -> Option<Run> {
        let (last, rest) = self.0.split_last()?;
        if let Some(run) = of_one(*last) {
            self.0 = rest;
            return Some(run);
        }
        let (before, rest) = rest.split_last()?;
        self.0 = rest;
        Some(of_two(*before, *last))
    }
}

/// Shows the runs of such words to `is_lost`, in their order, until it returns `None`, and marks
/// those of them as revoked for which it returns true. These are memory of a device.
pub fn revoke(words: &mut [u32], mut is_lost: impl FnMut(Run) -> Option<bool>) -> Option<()> {
    let mut rest = words;
    while let Some(run) = PackedRuns(rest).next() {
        let packed = PackedRun::new(run);
        let (these, others) = rest.split_at_mut_checked(packed.words().len())?;
        if is_lost(run)? && run.kind() == Kind::Device {
            these.copy_from_slice(PackedRun::new(run.revoked()).words());
        }
        rest = others;
    }
    Some(())
}
