// SPDX-License-Identifier: GPL-2.0

//! A page of memory for a device.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{
    AtomicU8,
    Ordering, //
};

use anyhow::{
    Context,
    Result, //
};
use nix::libc::c_void;
use nix::sys::mman::{
    mmap_anonymous,
    munmap,
    MapFlags,
    ProtFlags, //
};
use pci_driver::iommu::PciIommu;
use pci_driver::regions::Permissions;

/// Bytes of a page.
pub const SIZE: usize = 4096;

/// One page, which this process and a device can read and write.
pub struct Page {
    address: NonNull<c_void>,
}

impl Page {
    /// A page of zeros.
    ///
    /// # Errors
    ///
    /// That of `mmap(2)`.
    pub fn new() -> Result<Self> {
        let size = NonZeroUsize::new(SIZE).context("a page of no size")?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: The kernel chooses an address at which nothing is.
        let address = unsafe { mmap_anonymous(None, size, protection, MapFlags::MAP_PRIVATE) }?;
        Ok(Self { address })
    }

    fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: The mapping has `SIZE` bytes and lives as long as `self`. A device may
        // write to it at any time, which atomic bytes allow.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr().cast::<AtomicU8>(), SIZE) }
    }

    /// Fills it with bytes that differ from seed to seed.
    pub fn fill(&self, seed: u8) {
        for (index, byte) in self.bytes().iter().enumerate() {
            byte.store(seed ^ (index % 251) as u8, Ordering::Relaxed);
        }
    }

    /// How many bytes are the same in both.
    pub fn same(&self, other: &Page) -> usize {
        let both = self.bytes().iter().zip(other.bytes());
        both.filter(|(a, b)| a.load(Ordering::Relaxed) == b.load(Ordering::Relaxed))
            .count()
    }

    /// Has devices behind this IOMMU find the page at `iova`.
    ///
    /// # Errors
    ///
    /// That of `VFIO_IOMMU_MAP_DMA`.
    pub fn map(&self, iommu: &PciIommu<'_>, iova: u64) -> Result<()> {
        let address = self.address.as_ptr().cast::<u8>();
        // SAFETY: All access to the page is by atomic bytes; the kernel keeps the memory
        // for as long as it is mapped there, even if this process unmaps it.
        unsafe { iommu.map(iova, SIZE, address, Permissions::ReadWrite) }?;
        Ok(())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: The mapping is this one's own, and nothing borrows from it any more.
        let _ = unsafe { munmap(self.address, SIZE) };
    }
}
