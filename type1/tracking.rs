// SPDX-License-Identifier: GPL-2.0

//! Dirty tracking: which pages devices may have written to.
//!
//! An IOMMU does not say what a device has written, so while there is a
//! [group](Table::writers) of which nobody knows better, all that is mapped is dirty, in every
//! report. Otherwise only the bits of a mapping count: those of the pages that bus drivers
//! have, or had since the last report, or have copied something to. They are all
//! set when such a group goes, for what its devices may have done since the last
//! report.
//!
//! Bits are allocated when tracking starts, or with a mapping that comes later. Nothing is
//! allocated with the lock of the table held, and no memory of a user is touched: so
//! bits are taken out piece by piece, and put back if they cannot be reported.

use super::{
    abstractions::scheduler::cond_resched,
    claims,
    dirty_bitmap::{
        all_dirty,
        shift_up,
        DirtyBits,
        Place,
        PAGES_MAX, //
    },
    mappings::{
        Dirty,
        Tracking, //
    },
    page_sizes::PageSizes,
    range::IovaRange,
    request::{
        ReportRequest,
        UserBitmap, //
    },
    table::{
        LockedTable,
        Table,
        Version, //
    }, //
};
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};
use vfio::monitor::{
    Killed,
    Monitor,
    WaitKillable, //
};

/// How many words to report in one go.
const CHUNK: usize = 512;

/// How many pages of bus drivers to look at in one go.
const PINNED_CHUNK: usize = 64;

/// Bits for the pages of a mapping of `range`, none of which is dirty.
///
/// # Errors
///
/// `EINVAL`: there are too many pages. `ENOMEM`.
pub(super) fn no_dirty_pages(range: &IovaRange, page_sizes: &PageSizes) -> Result<Dirty> {
    let pages = range.size() >> page_sizes.shift();
    if pages > PAGES_MAX {
        return Err(EINVAL);
    }
    // CAST: As many words are far below the maximum.
    let count = pages.div_ceil(u64::BITS.into()) as usize;
    let words = KVVec::from_elem(0, count, GFP_KERNEL_ACCOUNT)?;
    DirtyBits::new(words, pages).ok_or(EINVAL)
}

impl Table {
    /// Whether dirty pages can be reported to `bitmap`, if there is one.
    ///
    /// # Errors
    ///
    /// `EINVAL`: nobody keeps track of them, or not in pages of that size.
    pub(super) fn check_report(&self, bitmap: Option<&UserBitmap>) -> Result {
        let can_be_reported = bitmap.is_none_or(|bitmap| {
            self.tracking == Tracking::On && bitmap.page_size() == self.page_sizes.smallest()
        });
        if can_be_reported {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    /// Whether `request` can be answered.
    fn may_report(&self, request: &ReportRequest) -> Result {
        self.check_report(Some(&request.bitmap))?;
        let range = &request.range;
        if self.page_sizes.is_aligned(range.start()) && self.page_sizes.is_aligned(range.size()) {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    /// A group goes whose devices may have written to all that is mapped.
    pub(super) fn set_all_dirty(&mut self) {
        self.mappings.visit(&IovaRange::ALL, |entry| {
            if let Some(dirty) = &mut entry.dirty {
                dirty.set_below(u64::MAX);
            }
            true
        });
    }

    /// A bus driver may have written to pages at `addresses`, in the mapping of `range`.
    pub(super) fn set_dirty(&mut self, range: &IovaRange, addresses: &IovaRange) {
        let shift = self.page_sizes.shift();
        if let Some(dirty) = bits_of(self, range) {
            // Those for pages of another size tell nothing.
            if dirty.pages() == range.size() >> shift {
                let page = |address: u64| address.saturating_sub(range.start()) >> shift;
                let end = page(addresses.last()).saturating_add(1);
                dirty.set(page(addresses.start())..end);
            }
        }
    }

    fn end_tracking(&mut self) {
        self.tracking = Tracking::Off;
        self.mappings.visit(&IovaRange::ALL, |entry| {
            entry.dirty = None;
            true
        });
    }

    /// The range of the first mapping from `address` on that has no bits.
    fn first_without_bits(&mut self, address: u64) -> Option<IovaRange> {
        let range = IovaRange::new(address, u64::MAX)?;
        let mut found = None;
        self.mappings.visit(&range, |entry| {
            if entry.dirty.is_none() {
                found = Some(entry.mapping.range());
            }
            found.is_none()
        });
        found
    }
}

impl LockedTable {
    /// Keeps track of dirty pages from now on, if nobody does.
    ///
    /// # Errors
    ///
    /// `EINVAL`: a mapping has too many pages. `ENOMEM`.
    /// `EINTR`: the task was killed while it waited for somebody who does the same.
    pub(super) fn start_tracking(&self) -> Result {
        let mut table = self.lock();
        loop {
            match table.tracking {
                Tracking::On => return Ok(()),
                Tracking::Starting => {
                    table = self.wait_killable(table).map_err(|Killed| EINTR)?;
                }
                Tracking::Off => break,
            }
        }
        table.tracking = Tracking::Starting;
        drop(table);

        let result = self.add_bits();
        let mut table = self.lock();
        match result {
            Ok(()) => table.tracking = Tracking::On,
            Err(_) => table.end_tracking(),
        }
        self.wake(table);
        result
    }

    /// Gives bits to all mappings that have none.
    fn add_bits(&self) -> Result {
        let mut address = 0;
        loop {
            let mut table = self.lock();
            let Some(range) = table.first_without_bits(address) else {
                return Ok(());
            };
            let page_sizes = table.page_sizes;
            drop(table);
            let dirty = no_dirty_pages(&range, &page_sizes)?;
            let mut table = self.lock();
            // It may have gone meanwhile, and another one come, which has its own.
            let entry = table.mappings.at(range.last());
            let spare = match entry.filter(|it| it.dirty.is_none() && it.mapping.range() == range) {
                Some(entry) => entry.dirty.replace(dirty),
                None => Some(dirty),
            };
            drop(table);
            drop(spare);
            self.set_pinned_dirty(&range);
            address = range.start();
        }
    }

    /// Does not keep track of dirty pages from now on.
    ///
    /// # Errors
    ///
    /// `EINTR`: the task was killed while it waited for somebody who begins to.
    pub(super) fn stop_tracking(&self) -> Result {
        let mut table = self.lock();
        while table.tracking == Tracking::Starting {
            table = self.wait_killable(table).map_err(|Killed| EINTR)?;
        }
        table.end_tracking();
        Ok(())
    }

    /// Reports which pages are dirty, and that they are not any more.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the range cuts a mapping or a page; nobody keeps track of dirty pages, or not
    /// in pages of that size. `EFAULT`: the bitmap is not writable, or not readable where
    /// other bits are kept. `EINTR`: the task was killed while it waited. `ENOMEM`.
    pub(super) fn report(&self, request: &ReportRequest) -> Result {
        let range = &request.range;
        self.lock().may_report(request)?;
        let mut reporter = Reporter::new(self, range.start(), &request.bitmap)?;
        let (mut table, ticket) = claims::wait_for_older(self, range).map_err(|Killed| EINTR)?;
        table.may_report(request)?;
        // Tracking is for the second version alone.
        table.may_unmap(range, ticket, Version::V2)?;
        drop(table);

        let mut next = Some(range.start());
        while let Some(rest) = next.and_then(|next| IovaRange::new(next, range.last())) {
            let mut found = None;
            self.lock().mappings.visit(&rest, |entry| {
                // Those that came since then may be cut by the range.
                if entry.claim.is_older_than(ticket) {
                    found = Some(entry.mapping.range());
                }
                found.is_none()
            });
            let Some(mapping) = found else {
                break;
            };
            reporter.report(&mapping)?;
            self.set_pinned_dirty(&mapping);
            next = mapping.last().checked_add(1);
        }
        Ok(())
    }

    /// The pages that bus drivers have of the mapping of `range` may be written to from now on.
    fn set_pinned_dirty(&self, range: &IovaRange) {
        let mut first = 0;
        loop {
            let mut table = self.lock();
            if table.listeners.is_empty() {
                return;
            }
            let entry = table.mappings.at(range.last());
            let Some(mapping) = entry.map(|entry| entry.mapping.clone()) else {
                return;
            };
            drop(table);
            let mut indices = [0; PINNED_CHUNK];
            let count = mapping.driver_pins_from(first, &mut indices);
            let mut table = self.lock();
            for index in indices.iter().take(count) {
                let start = range.start().saturating_add(index << PAGE_SHIFT);
                let last = start.saturating_add(PAGE_SIZE as u64 - 1);
                if let Some(page) = IovaRange::new(start, last) {
                    table.set_dirty(range, &page);
                }
                first = index.saturating_add(1);
            }
            drop(table);
            if count < PINNED_CHUNK {
                return;
            }
        }
    }
}

/// Where the bits of a mapping come from.
#[derive(Clone, Copy)]
enum Source {
    /// All pages are dirty.
    All,
    /// The bits that the mapping has.
    Bits,
}

/// Reports mappings to a user's bitmap, one after the other.
pub(super) struct Reporter<'a> {
    table: &'a LockedTable,
    /// The address of the page with the first bit.
    base: u64,
    bitmap: &'a UserBitmap,
    /// The bits that are being reported: as the mapping has them,
    taken: KVec<u64>,
    /// and as the user gets them.
    words: KVec<u64>,
}

impl<'a> Reporter<'a> {
    /// Prepares to report to `bitmap`, whose first bit is for the page at `base`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(table: &'a LockedTable, base: u64, bitmap: &'a UserBitmap) -> Result<Self> {
        // CAST: At most `CHUNK`.
        let words = bitmap.pages().div_ceil(u64::BITS.into()).min(CHUNK as u64) as usize;
        Ok(Self {
            table,
            base,
            bitmap,
            taken: KVec::from_elem(0, words.max(1), GFP_KERNEL)?,
            // The last bits may be in a word more.
            words: KVec::with_capacity(words.saturating_add(1), GFP_KERNEL)?,
        })
    }

    /// Reports the mapping of `range`, whose dirty pages are not dirty any more. There is
    /// nothing to report if it has gone.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the bitmap is not writable, or not readable where the mapping begins
    /// in a word. Then the pages are still dirty.
    pub(super) fn report(&mut self, range: &IovaRange) -> Result {
        let shift = self.bitmap.page_size().trailing_zeros();
        let place = Place::of(range, self.base, shift).ok_or(EINVAL)?;
        let Some(source) = self.source(range, place.pages) else {
            return Ok(());
        };
        // What others have in the first word stays.
        let mut kept = match place.shift {
            0 => 0,
            _ => self.bitmap.read(place.first_word)?,
        };
        let mut carry = 0;
        let chunk = self.taken.len().max(1);
        for first in (0..place.words()).step_by(chunk) {
            let count = self.take(range, source, &place, first);
            carry = self.move_up(count, place.shift, carry)?;
            if let Some(word) = self.words.first_mut() {
                *word |= core::mem::take(&mut kept);
            }
            if first.saturating_add(chunk) >= place.words() && place.has_carry() {
                self.words.push(carry, GFP_KERNEL)?;
            }
            // CAST: An index fits.
            let at = place.first_word.saturating_add(first as u64);
            self.bitmap
                .write(at, &self.words)
                .inspect_err(|_| self.give_back(range, first, count))?;
            cond_resched();
        }
        Ok(())
    }

    /// Where the bits of the mapping of `range` come from, if it is there.
    fn source(&self, range: &IovaRange, pages: u64) -> Option<Source> {
        let mut table = self.table.lock();
        let written_anywhere = table.has_domains && !table.writers.is_empty();
        let entry = table.mappings.at(range.last())?;
        let dirty = entry.dirty.as_ref();
        // Bits for pages of another size, which a domain has brought, tell nothing; nor do
        // none, which somebody has just taken away.
        if written_anywhere || dirty.is_none_or(|dirty| dirty.pages() != pages) {
            return Some(Source::All);
        }
        Some(Source::Bits)
    }

    /// Takes the bits of a mapping from the word with the index `first` on; gives the number
    /// of words.
    fn take(&mut self, range: &IovaRange, source: Source, place: &Place, first: usize) -> usize {
        let count = self.taken.len().min(place.words().saturating_sub(first));
        let taken = self.taken.get_mut(..count).unwrap_or_default();
        match source {
            Source::All => {
                for (index, word) in (first..).zip(taken.iter_mut()) {
                    *word = all_dirty(index, place.pages);
                }
            }
            Source::Bits => {
                taken.fill(0);
                let mut table = self.table.lock();
                if let Some(dirty) = bits_of(&mut table, range) {
                    dirty.take(first, taken);
                }
            }
        }
        count
    }

    /// Moves what was taken to where the user has it in his words; gives the bits that belong
    /// to the word behind.
    fn move_up(&mut self, count: usize, shift: u32, carry: u64) -> Result<u64> {
        self.words.clear();
        let taken = self.taken.get(..count).unwrap_or_default();
        self.words.extend_from_slice(taken, GFP_KERNEL)?;
        Ok(shift_up(&mut self.words, shift, carry))
    }

    /// The words from the one with the index `first` on have not been reported. Of those
    /// before them nobody remembers which bits were set.
    fn give_back(&self, range: &IovaRange, first: usize, count: usize) {
        let taken = self.taken.get(..count).unwrap_or_default();
        let mut table = self.table.lock();
        if let Some(dirty) = bits_of(&mut table, range) {
            // CAST: An index fits.
            dirty.set_below((first as u64).saturating_mul(u64::BITS.into()));
            dirty.give_back(first, taken);
        }
    }
}

/// The bits of the mapping of `range`, if it is there.
fn bits_of<'a>(table: &'a mut Table, range: &IovaRange) -> Option<&'a mut Dirty> {
    let entry = table.mappings.at(range.last())?;
    if entry.mapping.range() != *range {
        return None;
    }
    entry.dirty.as_mut()
}
