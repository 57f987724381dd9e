// SPDX-License-Identifier: GPL-2.0

//! The page tables that all mappings of a container are in.
//!
//! The lock is held for reading while something is mapped or unmapped, for as long as
//! the IOMMU driver needs for a piece, and for writing while a domain comes or goes, which
//! takes no time at all. How a domain that comes gets what others have is
//! in [`Coverage`](crate::coverage::Coverage).
//!
//! A domain is in the list as long as a group can be attached to it: what the list has unmapped, no
//! device reaches. Who unpins pages relies on that, so it is here, though nothing in it is unsafe.

use crate::abstractions::{
    iommu::{
        domain::{
            PagingDomain, //
            Prot,
        },
        held_run::HeldRun, //
    },
    scheduler::cond_resched, //
};
use crate::range::IovaRange;
use core::iter;
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    static_lock_class,
    sync::Arc, //
};
use vfio::abstractions::sync::rwsem::{
    ReadGuard,
    RwSemaphore, //
};

/// The domains of a container, and their lock.
#[pin_data]
pub(crate) struct Domains {
    #[pin]
    list: RwSemaphore<DomainList>,
}

impl Domains {
    /// None.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                list <- RwSemaphore::new(
                    DomainList {
                        full: KVec::new(),
                        joining: None,
                        round: 0,
                    },
                    c"vfio_iommu_type1_domains",
                    static_lock_class!(),
                ),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Takes the lock for reading and calls `inner` with it held.
    pub(crate) fn touch(&self, inner: impl FnOnce()) {
        let _list = self.list.read();
        inner();
    }

    /// Keeps domains from coming and going.
    pub(in crate::abstractions) fn read(&self) -> ReadGuard<'_, DomainList> {
        self.list.read()
    }

    /// Makes room for one more domain.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn reserve(&self) -> Result {
        Ok(self.list.write().full.reserve(1, GFP_KERNEL_ACCOUNT)?)
    }

    /// `paging` begins to join.
    ///
    /// # Errors
    ///
    /// `EBUSY`: another one is joining.
    pub(crate) fn begin_joining(&self, paging: Arc<PagingDomain>) -> Result {
        let mut list = self.list.write();
        if list.joining.is_some() {
            return Err(EBUSY);
        }
        // At a billion domains a second this takes five centuries.
        list.round = list.round.wrapping_add(1);
        list.joining = Some(paging);
        Ok(())
    }

    /// The domain that is joining has got everything.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: there is no [room](Self::reserve) for it, and it is still joining.
    pub(crate) fn join(&self) -> Result {
        let list = &mut *self.list.write();
        let Some(paging) = list.joining.take() else {
            return Ok(());
        };
        list.full.push_within_capacity(paging).map_err(|error| {
            list.joining = Some(error.0);
            ENOMEM
        })
    }

    /// The domain that is joining does not join. No group is attached to it, nor will be: or else
    /// it stays.
    pub(crate) fn give_up_joining(&self) -> Option<Arc<PagingDomain>> {
        self.list.write().joining.take_if(|paging| paging.retire())
    }

    /// `paging` leaves. No group is attached to it any more, nor will be: or else it stays.
    pub(crate) fn remove(&self, paging: &Arc<PagingDomain>) {
        self.list
            .write()
            .full
            .retain(|other| !Arc::ptr_eq(other, paging) || !other.retire());
    }
}

/// The domains of a container.
///
/// # Invariants
///
/// A domain that was in here has no group attached.
pub(in crate::abstractions) struct DomainList {
    full: KVec<Arc<PagingDomain>>,
    joining: Option<Arc<PagingDomain>>,
    round: u64,
}

/// Why a run is not mapped in all domains.
pub(crate) enum MapError {
    /// It is mapped in none.
    Unmapped(Error),
    /// It is mapped in some of them, which could not undo that.
    Stuck,
}

impl DomainList {
    /// The number of the domain that is joining, or has been the last one to join.
    pub(in crate::abstractions) fn round(&self) -> u64 {
        self.round
    }

    /// The domain that is joining.
    pub(in crate::abstractions) fn joining(&self) -> Option<&PagingDomain> {
        self.joining.as_deref()
    }

    /// Maps `run` from `iova` on in all domains, or in none; in the one that is joining if
    /// it `is_joined`.
    ///
    /// # Errors
    ///
    /// Those of the IOMMU drivers.
    pub(in crate::abstractions) fn map(
        &self,
        iova: u64,
        run: HeldRun<'_>,
        prot: Prot,
        is_joined: bool,
    ) -> Result<(), MapError> {
        for (done, paging) in self.with_joining(is_joined).enumerate() {
            if let Err(error) = paging.map(iova, run, prot) {
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
    pub(in crate::abstractions) fn unmap(
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
