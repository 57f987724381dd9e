// SPDX-License-Identifier: GPL-2.0

//! A BAR in the address space of the program.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use anyhow::{
    ensure,
    Context,
    Result, //
};
use nix::sys::mman::{
    mmap,
    mmap_anonymous,
    munmap,
    MapFlags,
    ProtFlags, //
};

use crate::signal::{
    self,
    BusError, //
};

/// The page size of the next level of the page tables.
pub const HUGE_PAGE: usize = 2 << 20;

/// A mapped BAR. Registers are accessed through it by plain, volatile loads and stores.
pub struct Bar {
    _reserved: Reservation,
    base: NonNull<c_void>,
    length: usize,
}

impl Bar {
    /// Maps `length` bytes at `offset` of a device's file.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses.
    pub fn map(device: BorrowedFd<'_>, offset: u64, length: u64) -> Result<Self> {
        let length = usize::try_from(length)
            .ok()
            .and_then(NonZeroUsize::new)
            .context("size of the region")?;
        let reserved = Reservation::new(length)?;
        let base = reserved.aligned()?;
        // SAFETY: The range lies in the reservation, which nothing else uses. That replaces
        // address space with nothing behind it, and `reserved` unmaps it all in the end.
        unsafe {
            mmap(
                Some(base.addr()),
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED | MapFlags::MAP_FIXED,
                device,
                i64::try_from(offset)?,
            )
        }?;

        Ok(Self {
            _reserved: reserved,
            base,
            length: length.get(),
        })
    }

    /// How many bytes are mapped.
    pub fn len(&self) -> usize {
        self.length
    }

    /// The address of an aligned register of the size of `T`.
    fn register<T>(&self, offset: usize) -> Result<NonNull<T>> {
        let size = size_of::<T>();
        ensure!(
            offset % size == 0
                && offset
                    .checked_add(size)
                    .is_some_and(|end| end <= self.length),
            "there is no {size}-byte register at {offset:#x} in a BAR of {:#x} bytes",
            self.length
        );
        // SAFETY: The offset lies inside the mapping, as just checked.
        Ok(unsafe { self.base.cast::<u8>().add(offset) }.cast())
    }

    /// Reads a 32-bit register.
    ///
    /// Ends the process by SIGBUS while the device's memory is disabled; see [`Bar::try_read32`].
    ///
    /// # Errors
    ///
    /// Fails when the offset is not aligned or not in the BAR.
    pub fn read32(&self, offset: usize) -> Result<u32> {
        let register = self.register::<u32>(offset)?;
        // SAFETY: The register is inside the mapping, aligned, and lives as long as `self`.
        Ok(u32::from_le(unsafe { register.read_volatile() }))
    }

    /// Writes a 32-bit register.
    ///
    /// # Errors
    ///
    /// As [`Bar::read32`].
    pub fn write32(&self, offset: usize, value: u32) -> Result<()> {
        let register = self.register::<u32>(offset)?;
        // SAFETY: As in `read32`.
        unsafe { register.write_volatile(value.to_le()) };
        Ok(())
    }

    /// Reads a 64-bit register in one access.
    ///
    /// # Errors
    ///
    /// As [`Bar::read32`].
    pub fn read64(&self, offset: usize) -> Result<u64> {
        let register = self.register::<u64>(offset)?;
        // SAFETY: As in `read32`.
        Ok(u64::from_le(unsafe { register.read_volatile() }))
    }

    /// Writes a 64-bit register in one access.
    ///
    /// # Errors
    ///
    /// As [`Bar::read32`].
    pub fn write64(&self, offset: usize, value: u64) -> Result<()> {
        let register = self.register::<u64>(offset)?;
        // SAFETY: As in `read32`.
        unsafe { register.write_volatile(value.to_le()) };
        Ok(())
    }

    /// Reads a 32-bit register, or says that the kernel answered the access by SIGBUS.
    ///
    /// # Errors
    ///
    /// As [`Bar::read32`].
    pub fn try_read32(&self, offset: usize) -> Result<Result<u32, BusError>> {
        let register = self.register::<u32>(offset)?;
        // SAFETY: As in `read32`.
        Ok(unsafe { signal::load(register) }?.map(u32::from_le))
    }

    /// The address of a register, for the user to read.
    pub fn address(&self, offset: usize) -> usize {
        self.base.addr().get().saturating_add(offset)
    }
}

/// Address space with nothing behind it, for a BAR to be mapped into.
///
/// The kernel maps a BAR by pages of 2 MiB where both the address and the offset are multiples of
/// that, but it leaves the choice of the address to the program.
struct Reservation {
    base: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Reservation {
    /// Reserves enough for `length` bytes, wherever among them the alignment falls.
    fn new(length: NonZeroUsize) -> Result<Self> {
        let length = length
            .checked_add(HUGE_PAGE)
            .context("size of the region")?;
        // SAFETY: The kernel chooses the address, so no memory that is in use is replaced.
        let base = unsafe {
            mmap_anonymous(
                None,
                length,
                ProtFlags::PROT_NONE,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
            )
        }
        .context("address space")?;

        Ok(Self { base, length })
    }

    /// The first aligned address; the bytes that were asked for fit behind it.
    fn aligned(&self) -> Result<NonNull<c_void>> {
        let offset = self.base.align_offset(HUGE_PAGE);
        ensure!(offset < HUGE_PAGE, "alignment of the mapping");

        // SAFETY: The reservation is one huge page longer than what was asked for.
        Ok(unsafe { self.base.byte_add(offset) })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: The range was mapped by `new`, and is unmapped only here; pointers into it do not
        // leave the methods of `Bar`.
        if let Err(error) = unsafe { munmap(self.base, self.length.get()) } {
            eprintln!("vfio-demo: munmap of a BAR: {error}");
        }
    }
}
