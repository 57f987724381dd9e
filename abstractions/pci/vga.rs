// SPDX-License-Identifier: GPL-2.0

//! Legacy VGA: addresses that every VGA device answers on, and the arbiter that decides which one
//! does.
//!
//! C headers: [`include/linux/vgaarb.h`](srctree/include/linux/vgaarb.h),
//! [`include/linux/aperture.h`](srctree/include/linux/aperture.h)

use crate::abstractions::{
    io::mem::{
        IoMem,
        Unmap, //
    },
    pci::Function, //
};
use core::{
    ops::Range,
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};
use vfio::abstractions::bindings;

/// The name of the new owner, for the log of a framebuffer driver that is removed.
const OWNER: &CStr = c"vfio-pci";

/// Everything that a VGA device may decode.
const ALL: c_uint = NORMAL | LEGACY;
/// What its BARs decode.
const NORMAL: c_uint = bindings::VFIO_RUST_VGA_NORMAL;
/// The legacy addresses.
const LEGACY: c_uint = bindings::VFIO_RUST_VGA_LEGACY_IO | bindings::VFIO_RUST_VGA_LEGACY_MEM;

impl Function {
    /// Is this a VGA device?
    pub(crate) fn is_vga(&self) -> bool {
        // SAFETY: `as_raw()` is valid, and the field is constant after enumeration.
        let class = unsafe { (*self.as_raw()).class };

        class >> 8 == bindings::PCI_CLASS_DISPLAY_VGA
    }
}

/// A VGA device that takes part in the arbitration.
pub(crate) struct VgaClient(Function);

impl VgaClient {
    /// Takes a VGA device from whoever shows the console on it, and registers it with the arbiter.
    ///
    /// A device whose legacy addresses are `unused` gives them up if a bridge can keep them from
    /// it, so that another device does not have to wait for it.
    ///
    /// # Errors
    ///
    /// ENODEV if the arbiter does not know the device, or that of removing a framebuffer driver.
    pub(crate) fn new(function: &Function, unused: bool) -> Result<Self> {
        let set_decode = if unused { decode_own } else { decode_all };
        // SAFETY: The function is valid, and the name is static.
        to_result(unsafe {
            bindings::vfio_rust_aperture_remove_conflicting(function.as_raw(), OWNER.as_char_ptr())
        })?;
        // SAFETY: The function is valid. The callback is unregistered in `drop()`, thus before the
        // module that it is in can be unloaded.
        to_result(unsafe {
            bindings::vfio_rust_vga_client_register(function.as_raw(), Some(set_decode))
        })?;
        let client = Self(function.clone());
        // SAFETY: As above, and so the callback may be called.
        let decodes = unsafe { set_decode(function.as_raw(), false) };
        client.set_decoding(decodes);

        Ok(client)
    }

    /// Tells the arbiter what the device decodes.
    fn set_decoding(&self, decodes: c_uint) {
        // SAFETY: The function is valid. The callee ignores a device that it does not know.
        unsafe { bindings::vfio_rust_vga_set_legacy_decoding(self.0.as_raw(), decodes) };
    }
}

impl Drop for VgaClient {
    fn drop(&mut self) {
        // SAFETY: The function is valid. The arbiter's lock is held while a callback runs, so none
        // does afterwards. A device that has been removed is not known to the arbiter any more.
        let _ = unsafe { bindings::vfio_rust_vga_client_register(self.0.as_raw(), None) };
        self.set_decoding(ALL);
    }
}

/// What a device decodes whose user has access to its legacy addresses.
///
/// # Safety
///
/// None.
unsafe extern "C" fn decode_all(_function: *mut bindings::pci_dev, _single: bool) -> c_uint {
    ALL
}

/// What a device decodes whose user has no access to its legacy addresses.
///
/// The device itself does not know of that. But if there is a bridge with no other VGA device
/// below it, then the bridge can keep these addresses from it.
///
/// # Safety
///
/// `function` must be valid.
unsafe extern "C" fn decode_own(function: *mut bindings::pci_dev, single: bool) -> c_uint {
    // SAFETY: By this function's contract.
    let alone = !unsafe { bindings::vfio_rust_pci_is_root_bus(function) }
        // SAFETY: As above.
        && !unsafe { has_vga_sibling(function) };

    if !single && alone {
        NORMAL
    } else {
        ALL
    }
}

/// Is there another VGA device below the bridge that a function is below? Called with a spinlock
/// held.
///
/// # Safety
///
/// `function` must be valid, and not on a root bus.
unsafe fn has_vga_sibling(function: *mut bindings::pci_dev) -> bool {
    const CLASS: c_uint = bindings::PCI_CLASS_DISPLAY_VGA << 8;

    // SAFETY: By this function's contract. A function keeps its bus.
    let (domain, buses) = unsafe {
        let last = bindings::pci_bus_max_busnr((*function).bus);
        (
            bindings::vfio_rust_pci_domain(function),
            (*(*function).bus).number..=last,
        )
    };
    let mut other = ptr::null_mut();
    loop {
        // SAFETY: `other` is null or a function with the reference that the last turn returned,
        // which this one drops.
        other = unsafe { bindings::pci_get_class(CLASS, other) };
        if other.is_null() {
            return false;
        }
        // SAFETY: `other` is valid, as it is counted, and keeps its bus.
        let is_sibling = unsafe {
            !ptr::eq(other, function)
                && bindings::vfio_rust_pci_domain(other) == domain
                && !bindings::vfio_rust_pci_is_root_bus(other)
                && buses.contains(&(*(*other).bus).number)
        };
        if is_sibling {
            // SAFETY: `other` is counted, and not used any more.
            unsafe { bindings::pci_dev_put(other) };
            return true;
        }
    }
}

/// The legacy addresses, of which there are three ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegacyAddresses {
    /// The frame buffer, in graphics and in text modes.
    Memory,
    /// Ports of the CRT controller of monochrome modes.
    MonochromePorts,
    /// Ports of all other registers, and of the CRT controller of color modes.
    ColorPorts,
}

impl LegacyAddresses {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::MonochromePorts, Self::ColorPorts];

    /// Where they are, in memory or among the ports.
    pub(crate) const fn range(self) -> Range<usize> {
        match self {
            Self::Memory => 0xa0000..0xc0000,
            Self::MonochromePorts => 0x3b0..0x3bc,
            Self::ColorPorts => 0x3c0..0x3e0,
        }
    }

    /// Maps them.
    fn map(self) -> Option<IoMem> {
        let range = self.range();
        let (cookie, unmap) = if self == Self::Memory {
            // CAST: Widens.
            let start = range.start as u64;
            // SAFETY: These addresses are VGA's on every machine that has VGA, and nobody keeps
            // anything there.
            let cookie = unsafe { bindings::ioremap(start, range.len()) };
            (cookie, Unmap::Memory)
        } else {
            let count = c_uint::try_from(range.len()).ok()?;
            // SAFETY: As above.
            let cookie = unsafe { bindings::vfio_rust_ioport_map(range.start, count) };
            (cookie, Unmap::Ports)
        };

        // SAFETY: If the call was successful, it has mapped as many bytes.
        unsafe { IoMem::new(cookie, range.len(), unmap) }
    }
}

/// A range of legacy addresses, routed to a device and mapped.
///
/// Whoever else wants the addresses waits until this is dropped.
#[must_use = "the addresses may be routed elsewhere as soon as this is dropped"]
pub(crate) struct LegacyRange {
    function: Function,
    resource: c_uint,
    registers: IoMem,
}

impl LegacyRange {
    /// Maps addresses, and routes them to a VGA device.
    ///
    /// # Errors
    ///
    /// ENOMEM, ERESTARTSYS for a signal, or ENODEV if the arbiter does not know the device.
    pub(crate) fn new(function: &Function, addresses: LegacyAddresses) -> Result<Self> {
        let registers = addresses.map().ok_or(ENOMEM)?;
        let resource = match addresses {
            LegacyAddresses::Memory => bindings::VFIO_RUST_VGA_LEGACY_MEM,
            _ => bindings::VFIO_RUST_VGA_LEGACY_IO,
        };
        // SAFETY: The function is valid.
        to_result(unsafe { bindings::vfio_rust_vga_get(function.as_raw(), resource) })?;

        Ok(Self {
            function: function.clone(),
            resource,
            registers,
        })
    }

    /// The registers.
    pub(crate) fn registers(&self) -> &IoMem {
        &self.registers
    }
}

impl Drop for LegacyRange {
    fn drop(&mut self) {
        // SAFETY: Routed by `new()`.
        unsafe { bindings::vfio_rust_vga_put(self.function.as_raw(), self.resource) };
    }
}
