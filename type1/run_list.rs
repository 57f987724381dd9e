// SPDX-License-Identifier: GPL-2.0

//! The runs of one mapping.
//!
//! Most mappings are one run: a page, or memory in huge pages. That one is in the list
//! itself, which saves an allocation for each mapping; only with the second
//! one does the list have memory of its own. That is in pieces of a page, so that the longest list
//! asks for no more at a time than others do: 1 TiB of lone pages has 1 GiB of them, which a vector
//! of 6 MiB knows.

use super::{
    packed_runs::{
        self,
        PackedRun,
        PackedRuns,
        MOST_WORDS, //
    },
    run::{
        Kind,
        Run, //
    }, //
};
use core::iter;
use kernel::{
    alloc::AllocError,
    page::PAGE_SIZE,
    prelude::*, //
};

/// The words in a piece.
const PIECE_WORDS: usize = PAGE_SIZE / size_of::<u32>();

/// Runs, in the order of their I/O addresses.
pub(crate) enum RunList {
    /// At most one.
    Few(Option<Run>),
    /// Any number.
    Many(Pieces),
}

/// Packed runs.
///
/// # Invariants
///
/// The words of a run are in one piece.
pub(crate) struct Pieces {
    /// Those that have no room for one more run. None is empty.
    full: KVVec<KVec<u32>>,
    /// What comes after them.
    last: KVec<u32>,
}

impl Pieces {
    /// A run, and room for another one.
    fn new(run: Run) -> Result<Self, AllocError> {
        let mut last = KVec::with_capacity(2 * MOST_WORDS, GFP_KERNEL_ACCOUNT)?;
        last.extend_from_slice(PackedRun::new(run).words(), GFP_KERNEL_ACCOUNT)?;
        // INVARIANT: There is one piece.
        Ok(Self {
            full: KVVec::new(),
            last,
        })
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = &KVec<u32>> {
        Iterator::chain(self.full.iter(), iter::once(&self.last))
    }

    fn runs(&self) -> impl DoubleEndedIterator<Item = Run> + '_ {
        self.iter().flat_map(|words| PackedRuns(words))
    }

    fn reserve(&mut self) -> Result<(), AllocError> {
        let length = self.last.len();
        if self.last.capacity().saturating_sub(length) >= MOST_WORDS {
            return Ok(());
        }
        if length.saturating_add(MOST_WORDS) <= PIECE_WORDS {
            return self.last.reserve(MOST_WORDS, GFP_KERNEL_ACCOUNT);
        }
        let next = KVec::with_capacity(PIECE_WORDS, GFP_KERNEL_ACCOUNT)?;
        self.full.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let full = core::mem::replace(&mut self.last, next);
        // There is room.
        let _ = self.full.push_within_capacity(full);
        Ok(())
    }

    fn push(&mut self, run: Run) -> bool {
        let packed = PackedRun::new(run);
        let words = packed.words();
        if self.last.capacity().saturating_sub(self.last.len()) < words.len() {
            return false;
        }
        for word in words {
            // There is room.
            let _ = self.last.push_within_capacity(*word);
        }
        true
    }

    fn pop(&mut self) -> Option<Run> {
        if self.last.is_empty() {
            self.last = self.full.pop()?;
        }
        let mut runs = PackedRuns(&self.last);
        let run = runs.next_back()?;
        let left = runs.0.len();
        self.last.truncate(left);
        Some(run)
    }
}

impl RunList {
    /// No runs.
    pub(crate) const fn new() -> Self {
        Self::Few(None)
    }

    /// The last run.
    pub(crate) fn last(&self) -> Option<Run> {
        match self {
            Self::Few(run) => *run,
            Self::Many(pieces) => pieces.runs().next_back(),
        }
    }

    /// All runs, from the first or from the last one on.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Run> + '_ {
        let (few, many) = match self {
            Self::Few(run) => (*run, None),
            Self::Many(pieces) => (None, Some(pieces)),
        };
        Iterator::chain(few.into_iter(), many.into_iter().flat_map(Pieces::runs))
    }

    /// The runs of the piece with the given index, unless there are not as many. Those before
    /// the last piece stay as they are while no run in or before them is taken out.
    pub(crate) fn piece(&self, index: usize) -> Option<impl Iterator<Item = Run> + '_> {
        let (few, words): (_, &[u32]) = match self {
            Self::Few(run) if index == 0 => (*run, &[]),
            Self::Few(_) => return None,
            Self::Many(pieces) if index == pieces.full.len() => (None, &pieces.last),
            Self::Many(pieces) => (None, pieces.full.get(index)?),
        };
        Some(Iterator::chain(few.into_iter(), PackedRuns(words)))
    }

    /// Shows the runs to `is_lost`, in their order, until it returns `None`, and marks those as
    /// revoked for which it returns true, which are memory of a device.
    pub(crate) fn revoke(&mut self, mut is_lost: impl FnMut(Run) -> Option<bool>) {
        match self {
            Self::Few(None) => {}
            Self::Few(Some(run)) => {
                if is_lost(*run) == Some(true) && run.kind() == Kind::Device {
                    *run = run.revoked();
                }
            }
            Self::Many(Pieces { full, last }) => {
                for words in Iterator::chain(full.iter_mut(), iter::once(last)) {
                    if packed_runs::revoke(words, &mut is_lost).is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Makes room for one more run.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn reserve(&mut self) -> Result<(), AllocError> {
        match self {
            Self::Few(None) => {}
            Self::Few(Some(run)) => *self = Self::Many(Pieces::new(*run)?),
            Self::Many(pieces) => pieces.reserve()?,
        }
        Ok(())
    }

    /// Appends `run`; whether there was [room](Self::reserve).
    pub(crate) fn push(&mut self, run: Run) -> bool {
        match self {
            Self::Few(Some(_)) => false,
            Self::Few(first) => {
                *first = Some(run);
                true
            }
            Self::Many(pieces) => pieces.push(run),
        }
    }

    /// Takes the last run out.
    pub(crate) fn pop(&mut self) -> Option<Run> {
        match self {
            Self::Few(run) => run.take(),
            Self::Many(pieces) => pieces.pop(),
        }
    }

    /// How many bytes of memory the list has, beside its own.
    #[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Few(_) => 0,
            Self::Many(pieces) => {
                let words: usize = pieces.iter().map(KVec::capacity).sum();
                let vector = pieces.full.capacity() * size_of::<KVec<u32>>();
                words * size_of::<u32>() + vector
            }
        }
    }
}
