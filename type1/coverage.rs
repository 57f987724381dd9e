// SPDX-License-Identifier: GPL-2.0

//! How many pages of a mapping which domains have.
//!
//! All domains of a container have all pages of a mapping that are mapped, but for one
//! that is *joining*: it has a first part of them, which who attaches it makes longer, step
//! by step, while others go on. Once it has all, whoever maps more pages maps
//! them there as well; so it never falls behind again, and when every mapping has
//! come so far it is one like the others.
//!
//! Which domain is joining is told by the number of the *round*: one that
//! a mapping has not heard of has none of its pages.
//!
//! Pure arithmetic on `core` alone, so that the same file is tested in the
//! kernel and on the host.

/// How many pages of a mapping, from its start on, are mapped where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// In all domains but the joining one.
    mapped: u64,
    /// In the domain that was joining in `round`.
    joined: u64,
    round: u64,
}

impl Coverage {
    /// The pages that are mapped.
    pub const fn mapped(&self) -> u64 {
        self.mapped
    }

    /// The pages that the domain has which joins in `round`.
    pub const fn joined(&self, round: u64) -> u64 {
        if self.round == round {
            self.joined
        } else {
            0
        }
    }

    /// Whether the domain that joins in `round` has all pages, so that it gets those
    /// that come next as well.
    pub const fn is_joined(&self, round: u64) -> bool {
        self.joined(round) == self.mapped
    }

    /// The domain that joins in `round` has got all pages below `end`.
    pub fn join(&mut self, round: u64, end: u64) {
        self.round = round;
        self.joined = end.min(self.mapped);
    }

    /// All pages below `end` are mapped, by who asked
    /// [`is_joined()`](Self::is_joined) for `round` before, and acted on it.
    pub fn extend(&mut self, round: u64, end: u64) {
        let joined = self.is_joined(round);
        self.mapped = end.max(self.mapped);
        if joined {
            self.join(round, end);
        }
    }

    /// The pages from `end` on are mapped nowhere any more.
    pub fn shrink(&mut self, end: u64) {
        self.mapped = self.mapped.min(end);
        self.joined = self.joined.min(end);
    }
}
