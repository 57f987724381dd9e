// SPDX-License-Identifier: GPL-2.0

//! The page tables that all mappings of a container are in.
//!
//! The lock is held for reading while something is mapped or unmapped, for as long as
//! the IOMMU driver needs for a piece, and for writing while a domain comes or goes, which
//! takes no time at all. How a domain that comes gets what others have is
//! in [`Coverage`](super::coverage::Coverage).

use super::{
    abstractions::{
        iommu_domain::{
            Access,
            PagingDomain, //
        },
        pinned_pages::HeldRun,
        scheduler::cond_resched, //
    },
    range::IovaRange, //
};
use core::iter;
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::Arc, //
};
use vfio::abstractions::rwsem::RwSemaphore;

/// The domains of a container, and their lock.
pub(super) type Domains = RwSemaphore<DomainList>;

/// The domains of a container.
pub(super) struct DomainList {
    full: KVec<Arc<PagingDomain>>,
    joining: Option<Arc<PagingDomain>>,
    round: u64,
}

/// Why a run is not mapped in all domains.
pub(super) enum MapError {
    /// It is mapped in none.
    Unmapped(Error),
    /// It is mapped in some of them, which could not undo that.
    Stuck,
}

impl DomainList {
    /// None.
    pub(super) const fn new() -> Self {
        Self {
            full: KVec::new(),
            joining: None,
            round: 0,
        }
    }

    /// Makes room for one more domain.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn reserve(&mut self) -> Result {
        Ok(self.full.reserve(1, GFP_KERNEL_ACCOUNT)?)
    }

    /// The number of the domain that is joining, or has been the last one to join.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// The domain that is joining.
    pub(super) fn joining(&self) -> Option<&PagingDomain> {
        self.joining.as_deref()
    }

    /// `paging` begins to join.
    pub(super) fn begin_joining(&mut self, paging: Arc<PagingDomain>) {
        // At a billion domains a second this takes five centuries.
        self.round = self.round.wrapping_add(1);
        self.joining = Some(paging);
    }

    /// The domain that is joining has got everything, and there is
    /// [room](Self::reserve) for it.
    pub(super) fn join(&mut self) {
        if let Some(paging) = self.joining.take() {
            let _ = self.full.push_within_capacity(paging);
        }
    }

    /// The domain that is joining does not join.
    pub(super) fn give_up_joining(&mut self) -> Option<Arc<PagingDomain>> {
        self.joining.take()
    }

    /// `paging` leaves: no group is attached to it any more.
    pub(super) fn remove(&mut self, paging: &Arc<PagingDomain>) {
        self.full.retain(|other| !Arc::ptr_eq(other, paging));
    }

    /// Maps `run` from `iova` on in all domains, or in none; in the one that is joining if
    /// it `is_joined`.
    ///
    /// # Errors
    ///
    /// Those of the IOMMU drivers.
    pub(super) fn map(
        &self,
        iova: u64,
        run: HeldRun<'_>,
        access: Access,
        is_joined: bool,
    ) -> Result<(), MapError> {
        for (done, paging) in self.with_joining(is_joined).enumerate() {
            if let Err(error) = paging.map(iova, run, access) {
                return Err(self.undo(iova, run, done, is_joined, error));
            }
        }
        Ok(())
    }

    /// Unmaps `run`, which the first `done` domains have.
    fn undo(
        &self,
        iova: u64,
        run: HeldRun<'_>,
        done: usize,
        is_joined: bool,
        error: Error,
    ) -> MapError {
        let Ok(range) = IovaRange::from_size(iova, run.pages() << PAGE_SHIFT) else {
            return MapError::Stuck;
        };
        let mut result = Ok(());
        for paging in self.with_joining(is_joined).take(done) {
            result = result.and(paging.unmap(iter::once(range)));
        }
        match result {
            Ok(()) => MapError::Unmapped(error),
            Err(_) => MapError::Stuck,
        }
    }

    /// Unmaps the ranges `mapped` in all domains but the one that is joining, and
    /// `joined` in that one. Each domain flushes its caches once. No device reaches
    /// them afterwards.
    ///
    /// # Errors
    ///
    /// `EIO`: in one of the domains a part is still mapped, and the devices of that
    /// domain may reach it.
    pub(super) fn unmap(
        &self,
        mapped: impl Iterator<Item = IovaRange> + Clone,
        joined: impl Iterator<Item = IovaRange>,
    ) -> Result {
        let mut result = Ok(());
        if mapped.clone().next().is_some() {
            for paging in self.full.iter() {
                result = result.and(paging.unmap(mapped.clone()));
                cond_resched();
            }
        }
        let mut joined = joined.peekable();
        if let (Some(paging), Some(_)) = (&self.joining, joined.peek()) {
            result = result.and(paging.unmap(joined));
        }
        result
    }

    fn with_joining(&self, is_joined: bool) -> impl Iterator<Item = &Arc<PagingDomain>> {
        let joining = self.joining.iter().filter(move |_| is_joined);
        Iterator::chain(self.full.iter(), joining)
    }
}
