// SPDX-License-Identifier: GPL-2.0

//! Regions: where they are in the device file.
//!
//! The device file is divided into spans of 2^40 bytes, one for each region, so the upper bits of
//! a file position name the region, and the lower ones the offset in it.

use crate::abstractions::{
    pci::NUM_BARS,
    uapi::pci::VFIO_PCI_NUM_REGIONS, //
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*, //
};
use vfio::abstractions::nospec;

/// Bits of a file position that are the offset in a region.
pub(crate) const OFFSET_BITS: u32 = 40;

/// The index of config space.
const CONFIG_INDEX: u32 = 7;

/// Bits of a page offset of the device file that are the page in a region.
const PAGE_BITS: u32 = OFFSET_BITS - PAGE_SHIFT as u32;

/// Length of the device file. All of it that can be mapped is memory of the device, or can be
/// taken away with it.
pub(crate) const FILE_SPAN: u64 = i64::MAX as u64;

/// Length of the part of the device file where the BARs are.
pub(crate) const BARS_SPAN: u64 = (NUM_BARS as u64) << OFFSET_BITS;

/// A region of a PCI device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// A BAR, by its index, which is below [`NUM_BARS`].
    Bar(usize),
    /// The expansion ROM.
    Rom,
    /// Config space.
    Config,
    /// The legacy VGA ranges.
    Vga,
    /// One that the driver has added, by its index among those. There may be none.
    Device(usize),
}

impl Region {
    /// Returns the region with an index that the user gave, if there is one.
    ///
    /// The index of a BAR is within its bounds even where a processor speculates. How many regions
    /// the driver has added is known only where they are.
    pub(crate) fn from_index(index: u32) -> Option<Self> {
        // CAST: Widens.
        if let Some(bar) = nospec::checked_index(index as usize, NUM_BARS) {
            return Some(Self::Bar(bar));
        }
        match index {
            6 => Some(Self::Rom),
            CONFIG_INDEX => Some(Self::Config),
            8 => Some(Self::Vga),
            _ => {
                let index = index.checked_sub(VFIO_PCI_NUM_REGIONS)?;
                Some(Self::Device(usize::try_from(index).ok()?))
            }
        }
    }
}

/// Returns the position in the device file where the region with an index starts.
pub(crate) fn start_of(index: u32) -> u64 {
    u64::from(index).wrapping_shl(OFFSET_BITS)
}

/// Where `offset` in config space is in the device file.
pub(crate) fn config_position(offset: usize) -> Option<i64> {
    // CAST: A `usize` has 64 bits where this driver runs.
    i64::try_from(start_of(CONFIG_INDEX).checked_add(offset as u64)?).ok()
}

/// Where `offset` in the device-specific region `index` is in the device file.
pub(crate) fn device_position(index: usize, offset: u64) -> Option<i64> {
    let index = u32::try_from(index).ok()?;
    let start = start_of(index.checked_add(VFIO_PCI_NUM_REGIONS)?);

    i64::try_from(start.checked_add(offset)?).ok()
}

/// Returns the region that a position in the device file lies in, and the offset in it.
pub(crate) fn locate(position: i64) -> Option<(Region, u64)> {
    let position = u64::try_from(position).ok()?;
    let index = u32::try_from(position >> OFFSET_BITS).ok()?;
    let offset = position & ((1 << OFFSET_BITS) - 1);

    Some((Region::from_index(index)?, offset))
}

/// The part of a region of `len` bytes that a transfer of `count` bytes at `offset` is about. The
/// offset that is returned is within the region even where a processor speculates.
///
/// # Errors
///
/// EINVAL if it begins beyond the end.
pub(crate) fn clip(offset: u64, count: usize, len: u64) -> Result<(usize, usize)> {
    let len = usize::try_from(len)?;
    let offset = usize::try_from(offset)?;
    let offset = nospec::checked_index(offset, len).ok_or(EINVAL)?;

    Ok((offset, count.min(len.saturating_sub(offset))))
}

/// A page of the device file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageAddress {
    /// The region.
    pub(crate) region: Region,
    /// Page within the region.
    pub(crate) page: u64,
}

impl PageAddress {
    /// Takes a page offset of the device file apart, if there can be a region.
    pub(crate) fn new(page_offset: u64) -> Option<Self> {
        let index = u32::try_from(page_offset >> PAGE_BITS).ok()?;

        Some(Self {
            region: Region::from_index(index)?,
            page: page_offset & ((1 << PAGE_BITS) - 1),
        })
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_region)]
mod tests {
    use super::*;

    #[test]
    fn a_position_names_region_and_offset() {
        assert_eq!(locate(0x10), Some((Region::Bar(0), 0x10)));
        assert_eq!(locate((7 << OFFSET_BITS) | 4), Some((Region::Config, 4)));
        assert_eq!(locate(9 << OFFSET_BITS), Some((Region::Device(0), 0)));
        assert_eq!(
            locate((11 << OFFSET_BITS) | 1),
            Some((Region::Device(2), 1))
        );
        assert_eq!(locate(-1), None);
    }

    #[test]
    fn a_page_names_region_and_page() {
        let address = |region, page| Some(PageAddress { region, page });

        assert_eq!(
            PageAddress::new((5 << PAGE_BITS) | 3),
            address(Region::Bar(5), 3)
        );
        assert_eq!(
            PageAddress::new(9 << PAGE_BITS),
            address(Region::Device(0), 0)
        );
        assert_eq!(PageAddress::new(u64::MAX), None);
    }

    #[test]
    fn a_transfer_ends_with_its_region() {
        assert_eq!(clip(0, 8, 4).ok(), Some((0, 4)));
        assert_eq!(clip(3, 8, 4).ok(), Some((3, 1)));
        assert_eq!(clip(4, 8, 4).ok(), None);
        assert_eq!(clip(u64::MAX, 8, 4).ok(), None);
        assert_eq!(clip(0, 8, 0).ok(), None);
    }
}
