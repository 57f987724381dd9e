// SPDX-License-Identifier: GPL-2.0

//! Memory in which firmware has left something.
//!
//! C header: [`include/linux/io.h`](srctree/include/linux/io.h)

use core::ptr::NonNull;
use kernel::{
    bindings,
    prelude::*, //
};

/// Memory that firmware has reserved, mapped. Firmware may change it at any time.
///
/// # Invariants
///
/// `len` bytes are mapped at `start` as long as this exists.
pub(crate) struct FirmwareMemory {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: The mapping belongs to the kernel's address space, not to a thread.
unsafe impl Send for FirmwareMemory {}

// SAFETY: The memory is only read, byte by byte and without the assumption that it stays the same.
unsafe impl Sync for FirmwareMemory {}

impl FirmwareMemory {
    /// Maps `len` bytes at a physical address.
    ///
    /// # Errors
    ///
    /// EINVAL if any of it is memory that the kernel uses, which firmware cannot have reserved;
    /// ENOMEM.
    pub(crate) fn new(address: u64, len: usize) -> Result<Self> {
        // SAFETY: No requirement.
        let intersection = unsafe {
            bindings::region_intersects(
                address,
                len,
                // CAST: Widens.
                bindings::IORESOURCE_SYSTEM_RAM as usize,
                // CAST: The constant is zero.
                bindings::IORES_DESC_NONE as usize,
            )
        };
        // CAST: The constant is small.
        if len == 0 || intersection != bindings::REGION_DISJOINT as c_int {
            return Err(EINVAL);
        }

        // CAST: The constant is small.
        // SAFETY: No requirement.
        let start = unsafe { bindings::memremap(address, len, bindings::MEMREMAP_WB as c_ulong) };
        let start = NonNull::new(start).ok_or(ENOMEM)?;

        // INVARIANT: `memremap()` has mapped them; `drop()` unmaps them.
        Ok(Self {
            start: start.cast(),
            len,
        })
    }

    /// Copies the bytes from `offset` on; those behind the end are zero.
    pub(crate) fn copy(&self, offset: usize, target: &mut [u8]) {
        let left = self.len.saturating_sub(offset);
        target.fill(0);
        for (index, byte) in target.iter_mut().take(left).enumerate() {
            // SAFETY: By the type invariant, as `offset + index` is less than `len`. Firmware may
            // write at the same time, hence the volatile access.
            *byte = unsafe { self.start.add(offset).add(index).read_volatile() };
        }
    }
}

impl Drop for FirmwareMemory {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::memunmap(self.start.as_ptr().cast()) };
    }
}
