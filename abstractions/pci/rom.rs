// SPDX-License-Identifier: GPL-2.0

//! Expansion ROMs.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/io.h`](srctree/include/linux/io.h)

use crate::abstractions::{
    io::mem::{
        IoMem,
        Unmap, //
    },
    pci::{
        Function,
        ShadowRom, //
    }, //
};
use kernel::prelude::*;
use vfio::abstractions::bindings;

impl Function {
    /// Switches the ROM on and maps its image; `None` if it has no valid one, or cannot be mapped.
    ///
    /// The length is that of the image, which may be less than the ROM's.
    pub(crate) fn map_rom(&self) -> Option<IoMem> {
        let mut len = 0;
        // SAFETY: The function is valid, and `len` is valid for write.
        let cookie = unsafe { bindings::pci_map_rom(self.as_raw(), &mut len) };

        // SAFETY: If the call was successful, it has mapped `len` bytes.
        unsafe { IoMem::new(cookie, len, Unmap::Rom(self.clone())) }
    }
}

impl ShadowRom {
    /// Maps the copy.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn map(self) -> Result<IoMem> {
        // SAFETY: Only `Function::shadow_rom()` makes one, so that firmware has left it there for
        // whoever uses the function, and nobody keeps anything else there.
        let cookie = unsafe { bindings::ioremap(self.start, self.len) };

        // SAFETY: If the call was successful, it has mapped as many bytes.
        unsafe { IoMem::new(cookie, self.len, Unmap::Memory) }.ok_or(ENOMEM)
    }
}
