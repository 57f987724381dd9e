// SPDX-License-Identifier: GPL-2.0

//! Device registers, in memory or in I/O ports.
//!
//! The kernel crate's `Mmio` is memory only, and its offsets are checked at build time. Here the
//! user chooses offset and width, and the cookie may stand for I/O ports.
//!
//! C header: [`include/asm-generic/iomap.h`](srctree/include/asm-generic/iomap.h)

use core::ptr::NonNull;
use kernel::prelude::*;
use vfio::abstractions::bindings;

/// Width of one access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// One byte.
    Byte = 1,
    /// Two bytes.
    Word = 2,
    /// Four bytes.
    Dword = 4,
    /// Eight bytes: one access to memory, two to I/O ports.
    Qword = 8,
}

impl Width {
    /// All widths, widest first.
    pub(crate) const WIDEST_FIRST: [Self; 4] = [Self::Qword, Self::Dword, Self::Word, Self::Byte];

    /// Number of bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        // CAST: The discriminants are small.
        self as usize
    }

    /// Number of bits.
    #[inline]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Byte => u8::BITS,
            Self::Word => u16::BITS,
            Self::Dword => u32::BITS,
            Self::Qword => u64::BITS,
        }
    }
}

/// Registers that are mapped, by memory or by I/O port.
///
/// # Invariants
///
/// `cookie` is what `pci_iomap()`, `pci_map_rom()`, `ioremap()` or `ioport_map()` returned for at
/// least `len` bytes, and is mapped as long as this exists.
pub(crate) struct IoMem {
    cookie: NonNull<c_void>,
    len: usize,
}

// SAFETY: The mapping belongs to the kernel's address space, not to a thread.
unsafe impl Send for IoMem {}

// SAFETY: Accesses from several threads are the device's business, not memory's.
unsafe impl Sync for IoMem {}

impl IoMem {
    /// Takes over a mapping.
    ///
    /// # Safety
    ///
    /// `cookie` must be what `pci_iomap()`, `pci_map_rom()`, `ioremap()` or `ioport_map()` returned
    /// for at least `len` bytes, and must not be unmapped as long as the result exists.
    pub(super) unsafe fn new(cookie: NonNull<c_void>, len: usize) -> Self {
        // INVARIANT: By the safety requirements.
        Self { cookie, len }
    }

    /// The cookie, for whoever unmaps it.
    pub(super) fn cookie(&self) -> *mut c_void {
        self.cookie.as_ptr()
    }

    /// Length in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the address of `width` bytes at `offset`.
    fn address(&self, offset: usize, width: Width) -> Result<*mut c_void> {
        let end = offset.checked_add(width.bytes()).ok_or(EINVAL)?;
        if end > self.len || offset % width.bytes() != 0 {
            return Err(EINVAL);
        }

        // The cookie of an I/O port is a number, not a pointer to an object.
        Ok(self.cookie.as_ptr().wrapping_byte_add(offset))
    }

    /// Reads `width` bytes at `offset`.
    ///
    /// # Errors
    ///
    /// EINVAL if that is beyond the end, or not aligned to `width`.
    pub(crate) fn read(&self, offset: usize, width: Width) -> Result<u64> {
        let address = self.address(offset, width)?.cast_const();

        // SAFETY: By the type invariant and `address()`, the bytes are mapped.
        Ok(unsafe {
            match width {
                // The callees return `unsigned int` for the narrow widths.
                Width::Byte => u64::from(bindings::ioread8(address)),
                Width::Word => u64::from(bindings::ioread16(address)),
                Width::Dword => u64::from(bindings::ioread32(address)),
                Width::Qword => bindings::vfio_rust_ioread64(address),
            }
        })
    }

    /// Writes the low `width` bytes of `value` at `offset`.
    ///
    /// # Errors
    ///
    /// EINVAL if that is beyond the end, or not aligned to `width`.
    pub(crate) fn write(&self, offset: usize, width: Width, value: u64) -> Result {
        let address = self.address(offset, width)?;

        // CAST: Only the low bytes are to be written.
        // SAFETY: By the type invariant and `address()`, the bytes are mapped.
        unsafe {
            match width {
                Width::Byte => bindings::iowrite8(value as u8, address),
                Width::Word => bindings::iowrite16(value as u16, address),
                Width::Dword => bindings::iowrite32(value as u32, address),
                Width::Qword => bindings::vfio_rust_iowrite64(value, address),
            }
        }

        Ok(())
    }
}
