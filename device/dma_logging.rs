// SPDX-License-Identifier: GPL-2.0

//! Logging of DMA: which memory of the user a device has written to.
//!
//! A driver remembers that, and reports it to a bitmap of the user. What users say is read and
//! checked here.

pub mod nearest;

use crate::{
    abstractions::{
        iommu::iova_bitmap::{
            DirtyBitmap,
            IovaBitmap, //
        },
        uapi::migration::{
            DmaLoggingControl,
            DmaLoggingRange,
            DmaLoggingReport, //
        }, //
    },
    device::feature::{
        Feature,
        Payload,
        Request, //
    }, //
};
use core::ops::RangeInclusive;
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// A device that can tell where it writes to. Calls may be concurrent.
pub trait DmaLogging: Send + Sync {
    /// Begins to remember writes to `ranges`, of which there is one at least; they do not overlap,
    /// and are sorted. Returns how many bytes at a time are remembered; `page_size`, a power of two
    /// that the ranges are multiples of, is what the user would like.
    ///
    /// # Errors
    ///
    /// `EBUSY`: it has begun already. Otherwise what keeps the device from it.
    fn start(&self, ranges: &[RangeInclusive<u64>], page_size: u64) -> Result<u64>;

    /// Forgets it.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it has not begun.
    fn stop(&self) -> Result;

    /// Sets in `dirty` what has been written since it was reported last, or since the start.
    /// Nothing may be locked that a page fault of the user needs.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it has not begun.
    fn report(&self, dirty: &mut DirtyBitmap<'_>) -> Result;
}

/// As many ranges as fit into a page.
const MOST_RANGES: usize = PAGE_SIZE / size_of::<DmaLoggingRange>();

/// The least that a bit of a bitmap can stand for.
const LEAST_PAGE: u64 = 4096;

/// Answers a request for a feature of the logging of DMA.
///
/// # Errors
///
/// `ENOTTY`: it is another feature. `EINVAL`: it cannot be read or set; there is no range, or there
/// are some that are empty, overlap or are not aligned; the page size is none. `E2BIG`: there are
/// too many ranges. `EOVERFLOW`: a range has no end. `EFAULT`, `ENOMEM`, or that of the driver.
pub(crate) fn answer(logging: &dyn DmaLogging, request: &Request) -> Result<isize> {
    match request.feature() {
        Some(Feature::DmaLoggingStart) => {
            if let Some(payload) = request.set(size_of::<DmaLoggingControl>())? {
                start(logging, payload)?;
            }
        }
        Some(Feature::DmaLoggingStop) => {
            if request.set(0)?.is_some() {
                logging.stop()?;
            }
        }
        Some(Feature::DmaLoggingReport) => {
            if let Some(payload) = request.get(size_of::<DmaLoggingReport>())? {
                report(logging, payload)?;
            }
        }
        _ => return Err(ENOTTY),
    }
    Ok(0)
}

/// VFIO_DEVICE_FEATURE_DMA_LOGGING_START
fn start(logging: &dyn DmaLogging, payload: &Payload) -> Result {
    let mut control: DmaLoggingControl = payload.read()?;
    let ranges = read_ranges(&control)?;
    control.page_size = logging.start(&ranges, control.page_size)?;
    payload.write(&control).inspect_err(|_| {
        // The user does not know what has begun.
        let _ = logging.stop();
    })
}

/// Reads the ranges to log, sorts them, and checks that they do not overlap.
fn read_ranges(control: &DmaLoggingControl) -> Result<KVec<RangeInclusive<u64>>> {
    // CAST: A `usize` has 64 bits where this module runs.
    let count = control.num_ranges as usize;
    match count {
        0 => return Err(EINVAL),
        1..=MOST_RANGES => {}
        _ => return Err(E2BIG),
    }
    let size = count
        .checked_mul(size_of::<DmaLoggingRange>())
        .ok_or(E2BIG)?;
    let address = UserPtr::from_addr(usize::try_from(control.ranges)?);
    let mut reader = UserSlice::new(address, size).reader();
    let mut ranges = KVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
    for _ in 0..count {
        let range = check_range(&reader.read()?, control.page_size)?;
        insert(&mut ranges, range)?;
    }
    Ok(ranges)
}

/// Adds a range where it belongs.
///
/// # Errors
///
/// `EINVAL`: it overlaps with another one.
fn insert(ranges: &mut KVec<RangeInclusive<u64>>, range: RangeInclusive<u64>) -> Result {
    let place = ranges.partition_point(|other| other.end() < range.start());
    if ranges
        .get(place)
        .is_some_and(|next| next.start() <= range.end())
    {
        return Err(EINVAL);
    }
    ranges
        .insert_within_capacity(place, range)
        .map_err(|_| ENOMEM)
}

fn check_range(range: &DmaLoggingRange, page_size: u64) -> Result<RangeInclusive<u64>> {
    let is_aligned = |value: u64| value.checked_rem(page_size) == Some(0);
    if !page_size.is_power_of_two() || !is_aligned(range.iova) || !is_aligned(range.length) {
        return Err(EINVAL);
    }
    let end = range.iova.checked_add(range.length).ok_or(EOVERFLOW)?;
    let last = end.checked_sub(1).filter(|last| *last >= range.iova);
    Ok(range.iova..=last.ok_or(EINVAL)?)
}

/// VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT
fn report(logging: &dyn DmaLogging, payload: &Payload) -> Result {
    let DmaLoggingReport {
        iova,
        length,
        page_size,
        bitmap,
    } = payload.read()?;
    if page_size < LEAST_PAGE || !page_size.is_power_of_two() {
        return Err(EINVAL);
    }
    let mut bitmap = IovaBitmap::new(iova, length, page_size, bitmap)?;
    bitmap.for_each(|dirty| logging.report(dirty))
}
