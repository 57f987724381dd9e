// SPDX-License-Identifier: GPL-2.0

//! Device registers, in memory or in I/O ports.
//!
//! The kernel crate's `Mmio` is memory only, and its offsets are checked at build time. Here the
//! user chooses offset and width, and the cookie may stand for I/O ports.
//!
//! C header: [`include/asm-generic/iomap.h`](srctree/include/asm-generic/iomap.h)

use crate::abstractions::pci::Function;
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

    /// The width with this number of bytes, if there is one.
    #[inline]
    pub(crate) const fn of_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Dword),
            8 => Some(Self::Qword),
            _ => None,
        }
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

/// How registers are unmapped, which says how they have been mapped.
pub(in crate::abstractions) enum Unmap {
    /// `pci_iounmap()`, after `pci_iomap()`.
    Bar(Function),
    /// `pci_unmap_rom()`, after `pci_map_rom()`.
    Rom(Function),
    /// `iounmap()`, after `ioremap()`.
    Memory,
    /// `ioport_unmap()`, after `ioport_map()`.
    Ports,
    /// Not at all: somebody else has mapped them, and keeps them mapped as long as this is used.
    ByOther,
}

/// Registers that are mapped, by memory or by I/O port, until this is dropped.
///
/// # Invariants
///
/// `cookie` is what the function that `unmap` says, or somebody else's, returned for at least `len`
/// bytes.
pub(crate) struct IoMem {
    cookie: NonNull<c_void>,
    len: usize,
    unmap: Unmap,
}

// SAFETY: The mapping belongs to the kernel's address space, not to a thread.
unsafe impl Send for IoMem {}

// SAFETY: Accesses from several threads are the device's business, not memory's.
unsafe impl Sync for IoMem {}

impl IoMem {
    /// Takes over a mapping. `None` if there is none, since `cookie` is null.
    ///
    /// # Safety
    ///
    /// `cookie` must be null, or what the function that `unmap` says returned for at least `len`
    /// bytes, and nobody else may unmap it.
    pub(in crate::abstractions) unsafe fn new(
        cookie: *mut c_void,
        len: usize,
        unmap: Unmap,
    ) -> Option<Self> {
        // INVARIANT: By the safety requirements.
        Some(Self {
            cookie: NonNull::new(cookie)?,
            len,
            unmap,
        })
    }

    /// What the C functions know the registers by, valid as long as this.
    pub(in crate::abstractions) fn cookie(&self) -> *mut c_void {
        self.cookie.as_ptr()
    }

    /// Length in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the address of `width` bytes at `offset`.
    #[inline]
    fn address(&self, offset: usize, width: Width) -> Result<*mut c_void> {
        self.run_address(offset, width, width.bytes())
    }

    /// Returns the address of `len` bytes at `offset`, for accesses of `width` bytes.
    #[inline]
    fn run_address(&self, offset: usize, width: Width, len: usize) -> Result<*mut c_void> {
        let end = offset.checked_add(len).ok_or(EINVAL)?;
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
    #[inline]
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
    #[inline]
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

    /// Reads one register of `width` bytes after the other from `offset` on, as many as `bytes`
    /// has room for. What is left of `bytes` stays as it was.
    ///
    /// The bounds are checked and the width is chosen once, not for each register.
    ///
    /// # Errors
    ///
    /// EINVAL if that is beyond the end, or not aligned to `width`.
    pub(crate) fn read_run(&self, offset: usize, width: Width, bytes: &mut [u8]) -> Result {
        let start = self.run_address(offset, width, bytes.len())?.cast_const();
        let at = |distance| start.wrapping_byte_add(distance);

        // The callees return `unsigned int` for the narrow widths.
        match width {
            // CAST: Only the low bytes are set.
            // SAFETY: By the type invariant and `run_address()`, as many bytes are mapped as
            // `bytes` has, and `fill()` passes distances of values that lie in those.
            Width::Byte => fill(bytes, |distance| unsafe {
                (bindings::ioread8(at(distance)) as u8).to_le_bytes()
            }),
            // CAST: As above.
            // SAFETY: As above.
            Width::Word => fill(bytes, |distance| unsafe {
                (bindings::ioread16(at(distance)) as u16).to_le_bytes()
            }),
            // SAFETY: As above.
            Width::Dword => fill(bytes, |distance| unsafe {
                bindings::ioread32(at(distance)).to_le_bytes()
            }),
            // SAFETY: As above.
            Width::Qword => fill(bytes, |distance| unsafe {
                bindings::vfio_rust_ioread64(at(distance)).to_le_bytes()
            }),
        }

        Ok(())
    }

    /// Writes one register of `width` bytes after the other from `offset` on, as many as `bytes`
    /// has values for.
    ///
    /// # Errors
    ///
    /// EINVAL if that is beyond the end, or not aligned to `width`.
    pub(crate) fn write_run(&self, offset: usize, width: Width, bytes: &[u8]) -> Result {
        let start = self.run_address(offset, width, bytes.len())?;
        let at = |distance| start.wrapping_byte_add(distance);

        match width {
            // SAFETY: By the type invariant and `run_address()`, as many bytes are mapped as
            // `bytes` has, and `drain()` passes distances of values that lie in those.
            Width::Byte => drain(bytes, |distance, value| unsafe {
                bindings::iowrite8(u8::from_le_bytes(value), at(distance))
            }),
            // SAFETY: As above.
            Width::Word => drain(bytes, |distance, value| unsafe {
                bindings::iowrite16(u16::from_le_bytes(value), at(distance))
            }),
            // SAFETY: As above.
            Width::Dword => drain(bytes, |distance, value| unsafe {
                bindings::iowrite32(u32::from_le_bytes(value), at(distance))
            }),
            // SAFETY: As above.
            Width::Qword => drain(bytes, |distance, value| unsafe {
                bindings::vfio_rust_iowrite64(u64::from_le_bytes(value), at(distance))
            }),
        }

        Ok(())
    }
}

impl Drop for IoMem {
    fn drop(&mut self) {
        let cookie = self.cookie.as_ptr();
        // SAFETY: By the type invariant; the functions are valid, as they are counted.
        unsafe {
            match &self.unmap {
                Unmap::Bar(function) => bindings::pci_iounmap(function.as_raw(), cookie),
                Unmap::Rom(function) => bindings::pci_unmap_rom(function.as_raw(), cookie),
                Unmap::Memory => bindings::iounmap(cookie),
                Unmap::Ports => bindings::vfio_rust_ioport_unmap(cookie),
                Unmap::ByOther => {}
            }
        }
    }
}

/// Calls `read` for each `N` bytes of `bytes` with their distance from its start, and puts there
/// what that returns.
#[inline(always)]
fn fill<const N: usize>(mut bytes: &mut [u8], read: impl Fn(usize) -> [u8; N]) {
    let mut distance = 0;
    while let Some((value, rest)) = bytes.split_first_chunk_mut::<N>() {
        *value = read(distance);
        // Does not wrap: it is within `bytes`.
        distance = distance.wrapping_add(N);
        bytes = rest;
    }
}

/// Calls `write` for each `N` bytes of `bytes` with their distance from its start.
#[inline(always)]
fn drain<const N: usize>(mut bytes: &[u8], write: impl Fn(usize, [u8; N])) {
    let mut distance = 0;
    while let Some((value, rest)) = bytes.split_first_chunk::<N>() {
        write(distance, *value);
        // Does not wrap: it is within `bytes`.
        distance = distance.wrapping_add(N);
        bytes = rest;
    }
}
