// SPDX-License-Identifier: GPL-2.0

//! Which memory of its user the device has written to, for a user who wants to know.

use core::ops::RangeInclusive;
use kernel::{
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::Mutex, //
};
use vfio::{
    abstractions::iommu::iova_bitmap::DirtyBitmap,
    device::dma_logging::DmaLogging, //
};

/// How many ranges are remembered. If there are more, all that is between them is.
const MOST: usize = 64;

/// What two ranges have in common, if anything.
fn common(a: &RangeInclusive<u64>, b: &RangeInclusive<u64>) -> Option<RangeInclusive<u64>> {
    let both = *a.start().max(b.start())..=*a.end().min(b.end());
    (!both.is_empty()).then_some(both)
}

/// What has been written since the start.
struct Log {
    /// What the user wants to know of.
    ranges: KVec<RangeInclusive<u64>>,
    /// Has room for `MOST`.
    written: KVec<RangeInclusive<u64>>,
}

impl Log {
    fn new(ranges: &[RangeInclusive<u64>]) -> Result<Self> {
        let mut log = Self {
            ranges: KVec::with_capacity(ranges.len(), GFP_KERNEL_ACCOUNT)?,
            written: KVec::with_capacity(MOST, GFP_KERNEL_ACCOUNT)?,
        };
        log.ranges.extend_from_slice(ranges, GFP_KERNEL_ACCOUNT)?;
        Ok(log)
    }

    fn add(&mut self, written: RangeInclusive<u64>) {
        let Err(error) = self.written.push_within_capacity(written) else {
            return;
        };
        // To say too much is no mistake.
        let range = error.0;
        let first = self.written.iter().map(|range| *range.start()).min();
        let last = self.written.iter().map(|range| *range.end()).max();
        let first = first.unwrap_or(u64::MAX).min(*range.start());
        let last = last.unwrap_or(0).max(*range.end());
        self.written.clear();
        let _ = self.written.push_within_capacity(first..=last);
    }

    /// Remembers what of `written` the user wants to know of.
    fn record(&mut self, written: &RangeInclusive<u64>) {
        for index in 0..self.ranges.len() {
            let both = self
                .ranges
                .get(index)
                .and_then(|range| common(range, written));
            if let Some(both) = both {
                self.add(both);
            }
        }
    }

    /// Forgets what has been written to `addresses`, and calls `found` with it. `empty` has room
    /// for `MOST`.
    fn take(
        &mut self,
        addresses: &RangeInclusive<u64>,
        empty: KVec<RangeInclusive<u64>>,
        mut found: impl FnMut(RangeInclusive<u64>),
    ) {
        for written in core::mem::replace(&mut self.written, empty) {
            let Some(both) = common(&written, addresses) else {
                self.add(written);
                continue;
            };
            if written.start() < both.start() {
                self.add(*written.start()..=both.start().saturating_sub(1));
            }
            if both.end() < written.end() {
                self.add(both.end().saturating_add(1)..=*written.end());
            }
            found(both);
        }
    }
}

/// What the device has written, if the user wants to know.
#[pin_data]
pub(crate) struct WriteLog {
    #[pin]
    log: Mutex<Option<Log>>,
}

impl WriteLog {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            log <- new_mutex!(None, "vfio_memory_log"),
        })
    }

    /// The next user wants to know nothing yet.
    pub(crate) fn forget(&self) {
        *self.log.lock() = None;
    }

    /// The device has written `length` bytes from `iova` on. Told after the write: who is told
    /// of it finds it.
    pub(crate) fn record(&self, iova: u64, length: usize) {
        // CAST: A `usize` has 64 bits where this driver runs.
        let Some(more) = (length as u64).checked_sub(1) else {
            return;
        };
        if let Some(log) = &mut *self.log.lock() {
            log.record(&(iova..=iova.saturating_add(more)));
        }
    }
}

impl DmaLogging for WriteLog {
    fn start(&self, ranges: &[RangeInclusive<u64>], page_size: u64) -> Result<u64> {
        let new = Log::new(ranges)?;
        let mut log = self.log.lock();
        if log.is_some() {
            return Err(EBUSY);
        }
        *log = Some(new);
        Ok(page_size.max(PAGE_SIZE as u64))
    }

    fn stop(&self) -> Result {
        self.log.lock().take().map(drop).ok_or(EINVAL)
    }

    fn report(&self, dirty: &mut DirtyBitmap<'_>) -> Result {
        let mut found = KVec::with_capacity(MOST, GFP_KERNEL_ACCOUNT)?;
        let empty = KVec::with_capacity(MOST, GFP_KERNEL_ACCOUNT)?;
        let last = dirty.length().checked_sub(1).ok_or(EINVAL)?;
        let addresses = dirty.iova()..=dirty.iova().saturating_add(last);
        match &mut *self.log.lock() {
            Some(log) => log.take(&addresses, empty, |written| {
                // There is room: no more than that was remembered.
                let _ = found.push_within_capacity(written);
            }),
            None => return Err(EINVAL),
        }
        // The lock is not held any more: this may have to wait for a page of the user.
        for written in &found {
            let length = written.end().saturating_sub(*written.start());
            dirty.set(*written.start(), length.saturating_add(1));
        }
        Ok(())
    }
}
