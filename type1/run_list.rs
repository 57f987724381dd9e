// SPDX-License-Identifier: GPL-2.0

//! The runs of one mapping.
//!
//! Most mappings are one run: a page, or memory in huge pages. That one is in the list
//! itself, which saves an allocation for each mapping; only with the second
//! one does the list have memory of its own.

use super::run::Run;
use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        AllocError, //
    },
    prelude::*, //
};

/// Runs, in the order of their I/O addresses.
pub(crate) enum RunList {
    /// At most one.
    Few(Option<Run>),
    /// Any number.
    Many(KVVec<Run>),
}

impl RunList {
    /// No runs.
    pub(crate) const fn new() -> Self {
        Self::Few(None)
    }

    /// All runs.
    pub(crate) fn as_slice(&self) -> &[Run] {
        match self {
            Self::Few(run) => run.as_slice(),
            Self::Many(runs) => runs,
        }
    }

    /// All runs, to be changed.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Run] {
        match self {
            Self::Few(run) => run.as_mut_slice(),
            Self::Many(runs) => runs,
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
            Self::Few(Some(run)) => {
                let mut runs = KVVec::with_capacity(2, GFP_KERNEL_ACCOUNT)?;
                runs.push(*run, GFP_KERNEL_ACCOUNT)?;
                *self = Self::Many(runs);
            }
            Self::Many(runs) => runs.reserve(1, GFP_KERNEL_ACCOUNT)?,
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
            Self::Many(runs) => runs.push_within_capacity(run).is_ok(),
        }
    }

    /// Takes the last run out.
    pub(crate) fn pop(&mut self) -> Option<Run> {
        match self {
            Self::Few(run) => run.take(),
            Self::Many(runs) => runs.pop(),
        }
    }

    /// Gives back the room that is not used.
    pub(crate) fn shrink(&mut self) {
        if let Self::Many(runs) = self {
            // On failure the room is kept, which is as good. Lists can be longer than what may
            // be allocated without a warning.
            let _ = runs.shrink_to(0, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
        }
    }
}
