// SPDX-License-Identifier: GPL-2.0

//! Another PCI function than the one that is bound, by its address.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::{
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    error::to_result,
    pci,
    prelude::*,
    sync::aref::ARef, //
};

/// A PCI function that belongs to somebody else. Only its config space is read.
pub(crate) struct OtherFunction(ARef<pci::Device>);

impl Deref for OtherFunction {
    type Target = pci::Device;

    fn deref(&self) -> &pci::Device {
        &self.0
    }
}

impl OtherFunction {
    /// Finds the function in a slot of bus 0 of domain 0, if there is one.
    pub(crate) fn on_first_bus(slot: u8, function: u8) -> Option<Self> {
        let devfn = c_uint::from((slot & 0x1f) << 3 | (function & 0x7));
        // SAFETY: No requirement.
        let found = unsafe { bindings::pci_get_domain_bus_and_slot(0, 0, devfn) };
        // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
        let found = NonNull::new(found)?.cast();

        // SAFETY: The callee returned a reference, which the result takes over.
        Some(Self(unsafe { ARef::from_raw(found) }))
    }

    fn as_raw(&self) -> *mut bindings::pci_dev {
        // CAST: As above.
        ptr::from_ref::<pci::Device>(&self.0).cast_mut().cast()
    }

    /// Size of config space in bytes.
    pub(crate) fn config_size(&self) -> u64 {
        // SAFETY: The function is valid, and the field is constant after enumeration.
        let size = unsafe { (*self.as_raw()).cfg_size };

        u64::try_from(size).unwrap_or(0)
    }

    /// Reads a byte of config space.
    ///
    /// # Errors
    ///
    /// EINVAL for an offset that does not exist, ENODEV for a function that is gone.
    pub(crate) fn read_byte(&self, offset: u16) -> Result<u8> {
        let mut value = 0;
        // SAFETY: The function is valid, and `value` is valid for write.
        to_result(unsafe {
            bindings::pci_user_read_config_byte(self.as_raw(), c_int::from(offset), &mut value)
        })?;

        Ok(value)
    }

    /// Reads an aligned word of config space.
    ///
    /// # Errors
    ///
    /// As [`Self::read_byte`].
    pub(crate) fn read_word(&self, offset: u16) -> Result<u16> {
        let mut value = 0;
        // SAFETY: The function is valid, and `value` is valid for write.
        to_result(unsafe {
            bindings::pci_user_read_config_word(self.as_raw(), c_int::from(offset), &mut value)
        })?;

        Ok(value)
    }

    /// Reads an aligned dword of config space.
    ///
    /// # Errors
    ///
    /// As [`Self::read_byte`].
    pub(crate) fn read_dword(&self, offset: u16) -> Result<u32> {
        let mut value = 0;
        // SAFETY: The function is valid, and `value` is valid for write.
        to_result(unsafe {
            bindings::pci_user_read_config_dword(self.as_raw(), c_int::from(offset), &mut value)
        })?;

        Ok(value)
    }
}
