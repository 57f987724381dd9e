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
        shift_up,
        DirtyBits,
        Place,
        PAGES_MAX, //
    },
    mappings::{
        Dirty,
        Entry,
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

/// How many words of a mapping to report in one go: those are on the stack, twice.
const CHUNK: usize = 64;

/// What is reported of a mapping all of which is dirty.
static ALL_DIRTY: [u64; 512] = [u64::MAX; 512];

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

    /// Whether devices write where nobody sees it, so that all that is mapped is dirty.
    fn is_written_anywhere(&self) -> bool {
        self.has_domains && !self.writers.is_empty()
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
    /// other bits are kept. `EINTR`: the task was killed while it waited.
    pub(super) fn report(&self, request: &ReportRequest) -> Result {
        let range = &request.range;
        let (mut table, ticket) = claims::wait_for_older(self, range).map_err(|Killed| EINTR)?;
        table.may_report(request)?;
        // Tracking is for the second version alone.
        table.may_unmap(range, ticket, Version::V2)?;

        let reporter = Reporter::new(self, range.start(), &request.bitmap);
        let mut next = Some(range.start());
        while let Some(rest) = next.and_then(|next| IovaRange::new(next, range.last())) {
            let is_written_anywhere = table.is_written_anywhere();
            let mut found = None;
            table.mappings.visit(&rest, |entry| {
                // Those that came since then may be cut by the range.
                if entry.claim.is_older_than(ticket) {
                    found = Some((
                        entry.mapping.range(),
                        reporter.source(entry, is_written_anywhere),
                    ));
                }
                found.is_none()
            });
            drop(table);
            let Some((mapping, source)) = found else {
                break;
            };
            reporter.report_from(&mapping, source)?;
            next = mapping.last().checked_add(1);
            if next.is_none_or(|next| next > range.last()) {
                break;
            }
            table = self.lock();
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
}

impl<'a> Reporter<'a> {
    /// Prepares to report to `bitmap`, whose first bit is for the page at `base`.
    pub(super) fn new(table: &'a LockedTable, base: u64, bitmap: &'a UserBitmap) -> Self {
        Self {
            table,
            base,
            bitmap,
        }
    }

    fn page_shift(&self) -> u32 {
        self.bitmap.page_size().trailing_zeros()
    }

    /// Reports the mapping of `range`, whose dirty pages are not dirty any more. There is
    /// nothing to report if it has gone.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the bitmap is not writable, or not readable where the mapping begins
    /// in a word. Then the pages are still dirty.
    pub(super) fn report(&self, range: &IovaRange) -> Result {
        let mut table = self.table.lock();
        let is_written_anywhere = table.is_written_anywhere();
        let entry = table.mappings.at(range.last());
        let Some(source) = entry.map(|entry| self.source(entry, is_written_anywhere)) else {
            return Ok(());
        };
        drop(table);
        self.report_from(range, source)
    }

    /// Where the bits of a mapping come from.
    fn source(&self, entry: &Entry, is_written_anywhere: bool) -> Source {
        let pages = entry.mapping.range().size() >> self.page_shift();
        let dirty = entry.dirty.as_ref();
        // Bits for pages of another size, which a domain has brought, tell nothing; nor do
        // none, which somebody has just taken away.
        if is_written_anywhere || dirty.is_none_or(|dirty| dirty.pages() != pages) {
            return Source::All;
        }
        Source::Bits
    }

    fn report_from(&self, range: &IovaRange, source: Source) -> Result {
        let place = Place::of(range, self.base, self.page_shift()).ok_or(EINVAL)?;
        // What others have in the first word stays.
        let kept = match place.shift {
            0 => 0,
            _ => self.bitmap.read(place.first_word)?,
        };
        match source {
            Source::All => self.report_all(&place, kept),
            Source::Bits => {
                self.report_bits(range, &place, kept)?;
                self.table.set_pinned_dirty(range);
                Ok(())
            }
        }
    }

    /// Reports that all pages of a mapping are dirty, behind `kept` in the first word.
    fn report_all(&self, place: &Place, kept: u64) -> Result {
        let mut kept = kept;
        let mut index = 0u64;
        while index < place.user_words() {
            let at = place.first_word.saturating_add(index);
            let whole = place.whole_words_from(index).min(ALL_DIRTY.len() as u64);
            // CAST: At most that many.
            let whole = ALL_DIRTY.get(..whole as usize).unwrap_or_default();
            if whole.is_empty() {
                let word = place.user_bits(index) | core::mem::take(&mut kept);
                self.bitmap.write(at, &[word])?;
            } else {
                self.bitmap.write(at, whole)?;
            }
            index = index.saturating_add(whole.len().max(1) as u64);
            cond_resched();
        }
        Ok(())
    }

    /// Reports the bits that the mapping of `range` has, behind `kept` in the first word.
    fn report_bits(&self, range: &IovaRange, place: &Place, kept: u64) -> Result {
        let (mut kept, mut carry) = (kept, 0);
        for first in (0..place.words()).step_by(CHUNK) {
            let left = place.words().saturating_sub(first);
            let mut taken = [0; CHUNK];
            let taken = taken.get_mut(..left.min(CHUNK)).unwrap_or_default();
            self.take(range, first, taken);

            // Moved to where the user has them in his words.
            let mut words = [0; CHUNK + 1];
            for (word, taken) in words.iter_mut().zip(taken.iter()) {
                *word = *taken;
            }
            let end = words.get_mut(..taken.len()).unwrap_or_default();
            carry = shift_up(end, place.shift, carry);
            if let Some(word) = words.get_mut(taken.len()) {
                *word = carry;
            }
            if let Some(word) = words.first_mut() {
                *word |= core::mem::take(&mut kept);
            }
            let is_last = left <= CHUNK;
            let extra = usize::from(is_last && place.has_carry());
            let words = words.get(..taken.len().saturating_add(extra));
            // CAST: An index fits.
            let at = place.first_word.saturating_add(first as u64);
            self.bitmap
                .write(at, words.unwrap_or_default())
                .inspect_err(|_| self.give_back(range, first, taken))?;
            cond_resched();
        }
        Ok(())
    }

    /// Takes the bits of a mapping from the word with the index `first` on.
    fn take(&self, range: &IovaRange, first: usize, taken: &mut [u64]) {
        let mut table = self.table.lock();
        if let Some(dirty) = bits_of(&mut table, range) {
            dirty.take(first, taken);
        }
    }

    /// The words from the one with the index `first` on have not been reported. Of those
    /// before them nobody remembers which bits were set.
    fn give_back(&self, range: &IovaRange, first: usize, taken: &[u64]) {
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
