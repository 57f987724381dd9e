// SPDX-License-Identifier: GPL-2.0

//! Memory that a device can reach, and the mappings that let it.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use nix::sys::mman::{
    mmap_anonymous,
    munmap,
    MapFlags,
    ProtFlags, //
};
use vfio_ioctls::VfioContainer;

use crate::container::plain;

/// The size of a page of the processor, and the smallest thing that can be mapped for DMA.
pub const PAGE: usize = 4096;

/// Pages of anonymous memory.
///
/// A device may write to them at any time, so there is never a reference into them: they are read
/// and written byte by byte, with volatile accesses.
pub struct Memory {
    base: NonNull<c_void>,
    length: usize,
}

impl Memory {
    /// Allocates `pages` pages.
    ///
    /// # Errors
    ///
    /// Fails when there is no memory for them.
    pub fn new(pages: usize) -> Result<Self> {
        let length = pages
            .checked_mul(PAGE)
            .and_then(NonZeroUsize::new)
            .context("no memory of this size")?;
        // SAFETY: The kernel chooses the address, so no memory that is in use is replaced.
        let base = unsafe {
            mmap_anonymous(
                None,
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_PRIVATE,
            )
        }
        .context("memory for DMA")?;

        Ok(Self {
            base,
            length: length.get(),
        })
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// The address of `length` bytes at `offset`.
    fn range(&self, offset: usize, length: usize) -> Result<NonNull<u8>> {
        ensure!(
            offset
                .checked_add(length)
                .is_some_and(|end| end <= self.length),
            "{length} bytes at {offset:#x} are not in memory of {} bytes",
            self.length
        );
        // SAFETY: The offset is at most the length of the mapping, as just checked.
        Ok(unsafe { self.base.cast::<u8>().add(offset) })
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// Fails when they do not fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        let target = self.range(offset, bytes.len())?;

        for (index, byte) in bytes.iter().enumerate() {
            // SAFETY: `range` has checked that all the bytes are inside the mapping, which lives as
            // long as `self` does. Nothing holds a reference to it.
            unsafe { target.add(index).write_volatile(*byte) };
        }
        Ok(())
    }

    /// Reads `length` bytes from `offset`.
    ///
    /// # Errors
    ///
    /// Fails when there are not as many.
    pub fn read(&self, offset: usize, length: usize) -> Result<Vec<u8>> {
        let source = self.range(offset, length)?;

        Ok((0..length)
            // SAFETY: As in `write`.
            .map(|index| unsafe { source.add(index).read_volatile() })
            .collect())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: The mapping was made by `new`, with this length, and is unmapped only here.
        // Whoever can still reach it for DMA keeps the pages, not the addresses.
        if let Err(error) = unsafe { munmap(self.base, self.length) } {
            eprintln!("vfio-demo: munmap of memory: {error}");
        }
    }
}

/// A range of memory that the devices of a container reach at an I/O virtual address.
///
/// Dropping it takes the range out of the IOMMU.
pub struct Mapping<'a> {
    container: &'a VfioContainer,
    iova: u64,
    length: usize,
}

impl<'a> Mapping<'a> {
    /// Maps `length` bytes of `memory`, from `offset`, at `iova`.
    ///
    /// # Errors
    ///
    /// Fails when the range is not in the memory, and when the kernel refuses the mapping.
    pub fn new(
        container: &'a VfioContainer,
        memory: &'a Memory,
        offset: usize,
        length: usize,
        iova: u64,
    ) -> Result<Self> {
        let address = memory.range(offset, length)?;
        // SAFETY: The memory is only ever accessed by volatile accesses through raw pointers, and
        // outlives the mapping, which borrows it.
        unsafe { container.vfio_dma_map(iova, length, address.as_ptr()) }
            .map_err(plain)
            .with_context(|| format!("{length} bytes at iova {iova:#x}"))?;

        Ok(Self {
            container,
            iova,
            length,
        })
    }

    /// The I/O virtual address of the first byte.
    pub fn iova(&self) -> u64 {
        self.iova
    }
}

impl Drop for Mapping<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.container.vfio_dma_unmap(self.iova, self.length) {
            eprintln!("vfio-demo: unmap of iova {:#x}: {error}", self.iova);
        }
    }
}

/// Fills `length` bytes with a pattern that repeats neither per page nor per 256 bytes.
///
/// Two seeds give two patterns that differ in every byte, unless the seeds agree modulo 256.
pub fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| {
            let mixed = index.wrapping_mul(31).wrapping_add(index >> 8);
            // The low byte is what is wanted.
            (mixed as u8).wrapping_add(seed)
        })
        .collect()
}

/// Compares what was read with what was expected, byte by byte.
///
/// # Errors
///
/// Fails with the position and the values of the first byte that differs, and how many do.
pub fn compare(found: &[u8], expected: &[u8]) -> Result<()> {
    ensure!(
        found.len() == expected.len(),
        "{} bytes where {} were expected",
        found.len(),
        expected.len()
    );
    let wrong: Vec<usize> = (0..found.len())
        .filter(|index| found.get(*index) != expected.get(*index))
        .collect();

    if let Some(first) = wrong.first() {
        bail!(
            "{} of {} bytes are wrong, the first at {first:#x}: {:#04x?}, not {:#04x?}",
            wrong.len(),
            found.len(),
            found.get(*first),
            expected.get(*first),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_differ_everywhere() {
        let (one, two) = (pattern(1, 2 * PAGE), pattern(2, 2 * PAGE));
        assert!(one.iter().zip(&two).all(|(one, two)| one != two));
        assert_ne!(one[..PAGE], one[PAGE..]);
    }

    #[test]
    fn comparison() {
        assert!(compare(&[1, 2, 3], &[1, 2, 3]).is_ok());
        assert!(compare(&[1, 2], &[1, 2, 3]).is_err());
        let error = compare(&[1, 9, 9], &[1, 2, 3]).unwrap_err().to_string();
        assert!(
            error.starts_with("2 of 3 bytes are wrong, the first at 0x1"),
            "{error}"
        );
    }

    #[test]
    fn memory_is_bounded() {
        let memory = Memory::new(1).unwrap();
        memory.write(PAGE - 2, &[1, 2]).unwrap();
        assert_eq!(memory.read(PAGE - 2, 2).unwrap(), [1, 2]);
        assert!(memory.write(PAGE - 1, &[1, 2]).is_err());
        assert!(memory.read(usize::MAX, 2).is_err());
        assert!(Memory::new(0).is_err());
        assert!(Memory::new(usize::MAX).is_err());
    }
}
