// SPDX-License-Identifier: GPL-2.0

//! From user addresses to page frames that devices may be let at.
//!
//! Memory is pinned in batches and charged to the user. Memory of a device has
//! no pages to pin; its page frames come from the user's page table, a whole
//! entry at a time, at whatever level that is.

use super::abstractions::{
    mm::{
        pfnmap_lookup::{
            Leaf,
            Lookup, //
        },
        pinned_pages::{
            DmaRun,
            PinBatch, //
        },
        user_memory::{
            OwnMm,
            ReadLockedMm, //
        }, //
    },
    scheduler::{
        check_killed,
        cond_resched, //
    }, //
};
use super::device_memory::{
    Devices,
    Holder, //
};
use kernel::{
    mm::MmWithUser,
    page::PAGE_SHIFT,
    prelude::*, //
};

/// Pages to pin in one go: 8 MiB with pages of 4 KiB. It bounds how long interrupts are off,
/// or the mmap lock is held, and the size of the list of pages.
const BATCH_PAGES: u64 = 2048;

/// Page table entries to look up in one go, for the same reason.
const BATCH_LEAVES: usize = 512;

/// Walks through a range of user addresses and turns it into runs.
pub(crate) struct Pinner<'a> {
    mm: &'a MmWithUser,
    own: Option<OwnMm<'a>>,
    batch: PinBatch,
    /// The longest run to return, in pages.
    run_limit: u64,
}

impl<'a> Pinner<'a> {
    /// Prepares to go through `pages` pages of `mm`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(mm: &'a MmWithUser, pages: u64, write: bool, run_limit: u64) -> Result<Self> {
        // CAST: At most `BATCH_PAGES`.
        let capacity = pages.min(run_limit).min(BATCH_PAGES) as usize;
        Ok(Self {
            mm,
            own: OwnMm::of(mm),
            batch: PinBatch::new(capacity, write)?,
            run_limit,
        })
    }

    /// The page frames from `address` on, at least one page, at most `pages`.
    ///
    /// Calls must go through the address range in order, without gaps. For pages that have
    /// just been pinned, from `address` on, `charge` charges the user; memory of a device is
    /// found only once `devices` watches that device.
    ///
    /// # Errors
    ///
    /// Those of [`PinBatch::pin()`], `charge`,
    /// [`ReadLockedMm::fault_in()`] and [`Devices::watch()`]. `EFAULT`: device
    /// memory that may not be written, or plain page frames that are ordinary
    /// memory. `EINTR`: the task is being killed.
    pub(crate) fn next(
        &mut self,
        address: usize,
        pages: u64,
        charge: impl Fn(&PinBatch) -> Result,
        devices: &mut Devices<'_, impl Holder>,
    ) -> Result<DmaRun> {
        while self.batch.is_empty() {
            cond_resched();
            check_killed()?;

            // CAST: The range of addresses fits the CPU's words.
            let count = pages as usize;
            if let Some(own) = self.own {
                if self.batch.pin_own(own, address, count).is_ok() {
                    self.charge(&charge)?;
                    break;
                }
            }
            // Whether there is memory, and which, is to be asked under one lock.
            let mut mm = ReadLockedMm::lock(self.mm);
            if !mm.is_pfnmap(address) {
                match self.batch.pin(&mut mm, address, count) {
                    Ok(()) => {
                        // Charging takes the lock for writing.
                        drop(mm);
                        self.charge(&charge)?;
                        break;
                    }
                    // The lock may have been dropped, and what is there now be a device's.
                    Err(error) if !mm.is_pfnmap(address) => return Err(error),
                    Err(_) => {}
                }
            }
            if let Some(run) = self.device_run(&mut mm, address, pages, devices)? {
                return Ok(run);
            }
        }
        self.batch.take_run(pages.min(self.run_limit)).ok_or(EFAULT)
    }

    /// What follows, at most `pages` pages, if it is pinned and charged already: nothing is waited
    /// for.
    pub(crate) fn next_pinned(&mut self, pages: u64) -> Option<DmaRun> {
        self.batch.take_run(pages.min(self.run_limit))
    }

    fn charge(&mut self, charge: &impl Fn(&PinBatch) -> Result) -> Result {
        charge(&self.batch).inspect_err(|_| self.batch.unpin())
    }

    /// Consecutive page frames of a device, from the device if that can tell, or else from the
    /// page table, into which they are faulted if need be. Errors after the first entry are left
    /// for the next call to find. `None`: it was zapped, or the VMA became another one, between the
    /// fault and our look.
    fn device_run(
        &self,
        mm: &mut ReadLockedMm<'_>,
        address: usize,
        pages: u64,
        devices: &mut Devices<'_, impl Holder>,
    ) -> Result<Option<DmaRun>> {
        let limit = pages.min(self.run_limit);
        if let Some(run) = self.device_frames(mm, address, limit, devices)? {
            return Ok(Some(run));
        }
        let Some(mut run) = self.device_leaf(mm, address, limit, devices)? else {
            return Ok(None);
        };
        for _ in 1..BATCH_LEAVES {
            let left = limit.saturating_sub(run.pages());
            if left == 0 {
                break;
            }
            // CAST: Still inside of the range of addresses.
            let next = address.wrapping_add((run.pages() as usize) << PAGE_SHIFT);
            let Ok(Some(leaf)) = self.device_leaf(mm, next, left, devices) else {
                break;
            };
            if run.append(leaf, limit).is_err() {
                break;
            }
        }
        Ok(Some(run))
    }

    /// The page frames of a device that knows which ones they are.
    fn device_frames(
        &self,
        mm: &ReadLockedMm<'_>,
        address: usize,
        limit: u64,
        devices: &mut Devices<'_, impl Holder>,
    ) -> Result<Option<DmaRun>> {
        let address = mm.untagged(address);
        let Some(vma) = mm.pfnmap_vma(address) else {
            return Ok(None);
        };
        let Some((frames, memory)) = devices.frames(vma, address)? else {
            return Ok(None);
        };
        let Some(leaf) = Leaf::of_frames(vma, frames) else {
            return Ok(None);
        };
        leaf.into_run(limit, self.batch.is_writable(), memory)
            .map(Some)
    }

    /// The page frames behind one page table entry. `None` as [`device_run()`](Self::device_run).
    fn device_leaf(
        &self,
        mm: &mut ReadLockedMm<'_>,
        address: usize,
        limit: u64,
        devices: &mut Devices<'_, impl Holder>,
    ) -> Result<Option<DmaRun>> {
        let address = mm.untagged(address);
        if let Lookup::Absent = mm.pfnmap_leaf(address) {
            mm.fault_in(address, self.batch.is_writable())?;
        }
        // The lock may have been dropped for the fault, and what is there now may be pinned.
        let Some(vma) = mm.pfnmap_vma(address) else {
            return Ok(None);
        };
        let memory = devices.watch(vma)?;
        match mm.pfnmap_leaf(address) {
            Lookup::Present(leaf) => leaf
                .into_run(limit, self.batch.is_writable(), memory)
                .map(Some),
            Lookup::Absent | Lookup::NotPfnmap => Ok(None),
        }
    }
}
