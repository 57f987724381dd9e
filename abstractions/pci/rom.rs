// SPDX-License-Identifier: GPL-2.0

//! Expansion ROMs.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/io.h`](srctree/include/linux/io.h)

use crate::abstractions::{
    io::mem::IoMem,
    pci::{
        Function,
        ShadowRom, //
    }, //
};
use core::ptr::NonNull;
use kernel::prelude::*;
use vfio::abstractions::bindings;

/// The ROM of a function, switched on and mapped.
pub(crate) struct MappedRom {
    image: IoMem,
    function: Function,
}

impl MappedRom {
    /// Maps the ROM; `None` if it has no valid image or cannot be mapped.
    ///
    /// The length is that of the image, which may be less than the ROM's.
    pub(crate) fn new(function: &Function) -> Option<Self> {
        let mut len = 0;
        // SAFETY: The function is valid, and `len` is valid for write.
        let cookie = unsafe { bindings::pci_map_rom(function.as_raw(), &mut len) };
        let cookie = NonNull::new(cookie)?;

        Some(Self {
            // SAFETY: `len` bytes are mapped at `cookie`, until `drop()` unmaps them.
            image: unsafe { IoMem::new(cookie, len) },
            function: function.clone(),
        })
    }

    /// The image.
    pub(crate) fn image(&self) -> &IoMem {
        &self.image
    }
}

impl Drop for MappedRom {
    fn drop(&mut self) {
        // SAFETY: Mapped by `new()`.
        unsafe { bindings::pci_unmap_rom(self.function.as_raw(), self.image.cookie()) };
    }
}

/// The copy of a ROM that firmware left in memory, mapped.
pub(crate) struct MappedShadowRom(IoMem);

impl MappedShadowRom {
    /// Maps the copy.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn new(rom: ShadowRom) -> Result<Self> {
        // SAFETY: Only `Function::shadow_rom()` makes one, so that firmware has left it there for
        // whoever uses the function, and nobody keeps anything else there.
        let cookie = unsafe { bindings::ioremap(rom.start(), rom.len()) };
        let cookie = NonNull::new(cookie).ok_or(ENOMEM)?;

        // SAFETY: As many bytes are mapped, until `drop()` unmaps them.
        Ok(Self(unsafe { IoMem::new(cookie, rom.len()) }))
    }

    /// The image.
    pub(crate) fn image(&self) -> &IoMem {
        &self.0
    }
}

impl Drop for MappedShadowRom {
    fn drop(&mut self) {
        // SAFETY: Mapped by `new()`.
        unsafe { bindings::iounmap(self.0.cookie()) };
    }
}
