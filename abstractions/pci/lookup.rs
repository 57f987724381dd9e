// SPDX-License-Identifier: GPL-2.0

//! Another PCI function than the one that is bound, by its address.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use crate::{
    abstractions::pci::Function,
    config::Width, //
};
use core::{
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    pci,
    prelude::*,
    sync::aref::ARef, //
};
use vfio::abstractions::bindings;

/// A PCI function that belongs to somebody else. Only its config space is read.
pub struct OtherFunction(Function);

impl Deref for OtherFunction {
    type Target = pci::Device;

    fn deref(&self) -> &pci::Device {
        &self.0
    }
}

impl OtherFunction {
    /// Finds the function in a slot of bus 0 of domain 0, if there is one.
    pub fn on_first_bus(slot: u8, function: u8) -> Option<Self> {
        let devfn = c_uint::from((slot & 0x1f) << 3 | (function & 0x7));
        // SAFETY: No requirement.
        let found = unsafe { bindings::pci_get_domain_bus_and_slot(0, 0, devfn) };
        // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
        let found = NonNull::new(found)?.cast();

        // SAFETY: The callee returned a reference, which the result takes over.
        Some(Self(Function(unsafe { ARef::from_raw(found) })))
    }

    /// Size of config space in bytes.
    pub fn config_size(&self) -> usize {
        self.0.config_size()
    }

    /// Reads config space.
    ///
    /// # Errors
    ///
    /// EINVAL for an offset that does not exist or is not aligned, ENODEV for a function that is
    /// gone.
    pub fn read_config(&self, offset: u16, width: Width) -> Result<u32> {
        self.0.user_read_config(offset, width)
    }
}
