// SPDX-License-Identifier: GPL-2.0

//! The page sizes that an IOMMU can map, as a bitmap of powers of two.
//!
//! Pure arithmetic on `core` alone, so that the same file is tested in the
//! kernel and on the host.

/// The page sizes that all domains of a container share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSizes {
    bitmap: u64,
    cpu_page_size: u64,
}

impl PageSizes {
    /// The sizes in every bitmap of `domains`, for a CPU that has pages of
    /// `cpu_page_size` bytes, a power of two.
    ///
    /// Sizes below the page size of the CPU appear as that page size: memory is
    /// pinned by whole CPU pages, and the IOMMU driver may well map one of them
    /// with several smaller entries.
    pub fn common(domains: impl Iterator<Item = u64>, cpu_page_size: u64) -> Self {
        let below = cpu_page_size.wrapping_sub(1);
        let mut bitmap = domains.fold(u64::MAX, |common, sizes| common & sizes);
        if bitmap & below != 0 {
            bitmap = (bitmap & !below) | cpu_page_size;
        }
        Self {
            bitmap,
            cpu_page_size,
        }
    }

    /// The bitmap, as the user sees it.
    pub const fn bitmap(&self) -> u64 {
        self.bitmap
    }

    /// The smallest size. Domains that share no size leave the CPU's.
    pub const fn smallest(&self) -> u64 {
        // Shifted by less than 64.
        1 << self.shift()
    }

    /// The smallest size is two to the power of this.
    pub const fn shift(&self) -> u32 {
        if self.bitmap == 0 {
            self.cpu_page_size.trailing_zeros()
        } else {
            self.bitmap.trailing_zeros()
        }
    }

    /// Whether `number` is a multiple of the smallest size.
    pub const fn is_aligned(&self, number: u64) -> bool {
        number & self.smallest().wrapping_sub(1) == 0
    }
}
