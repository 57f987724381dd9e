// SPDX-License-Identifier: GPL-2.0

//! A PCI function: identity, config space, resources, power state.
//!
//! What the kernel crate's `pci::Device` lacks. Resets are in `reset`, BAR mappings
//! in `bar`.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use crate::config::{
    PowerState,
    Width,
    EXTENDED_SIZE, //
};
use core::{
    ops::Deref,
    ptr, //
};
use kernel::{
    error::to_result,
    pci,
    prelude::*,
    sync::aref::ARef, //
};
use vfio::abstractions::{
    bindings,
    device,
    registered::RegistrationRef, //
};

pub(crate) mod bar;
pub(crate) mod command;
pub mod driver;
pub(crate) mod irq;
#[cfg(CONFIG_VFIO_RUST_PCI_IGD)]
pub mod lookup;
#[cfg(all(CONFIG_PCI_P2PDMA, CONFIG_DMA_SHARED_BUFFER))]
pub(crate) mod p2pdma;
pub(crate) mod reset;
pub(crate) mod rom;
pub(crate) mod sriov;
pub(crate) mod vga;

/// Number of BARs of a function with a type 0 header.
pub(crate) const NUM_BARS: usize = 6;

/// Index of the expansion ROM among the resources of a function.
pub(crate) const ROM_RESOURCE: usize = bindings::PCI_ROM_RESOURCE as usize;

/// A PCI function, counted.
///
/// Everything here is safe to call as long as the function exists, bound or not, since `struct
/// pci_dev` keeps its bus and its resources until the last reference is gone. A function that has
/// been unplugged answers with all ones or with an error.
#[derive(Clone)]
pub(crate) struct Function(ARef<pci::Device>);

impl Deref for Function {
    type Target = pci::Device;

    #[inline]
    fn deref(&self) -> &pci::Device {
        &self.0
    }
}

impl Function {
    /// Takes a reference to `device`.
    #[inline]
    pub(crate) fn new(device: &pci::Device) -> Self {
        Self(device.into())
    }

    /// Returns the raw `struct pci_dev`, valid as long as `self`.
    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::pci_dev {
        // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
        ptr::from_ref::<pci::Device>(&self.0).cast_mut().cast()
    }

    /// Returns the raw `struct device` embedded in the function, valid as long as `self`.
    #[inline]
    pub(crate) fn as_raw_device(&self) -> *mut bindings::device {
        // SAFETY: `as_raw()` is valid; no reference to the field is made.
        unsafe { &raw mut (*self.as_raw()).dev }
    }

    /// Is `device` this function?
    #[inline]
    pub(crate) fn is_same(&self, device: &pci::Device) -> bool {
        ptr::eq::<pci::Device>(&*self.0, device)
    }

    /// Does `hold` keep this function bound?
    pub(in crate::abstractions) fn is_held_by(&self, hold: &RegistrationRef) -> bool {
        ptr::eq(device::as_raw(hold.parent()), self.as_raw_device())
    }

    /// Returns the address of the function as text, such as `0000:00:03.0`.
    #[inline]
    pub(crate) fn name(&self) -> &CStr {
        let device: &kernel::device::Device = self.0.as_ref();

        device.name()
    }
}

/// Identity and fixed properties.
impl Function {
    /// Returns the vendor id.
    #[inline]
    pub(crate) fn vendor(&self) -> u16 {
        self.0.vendor_id().as_raw()
    }

    /// Is the header of type 0, that is, not that of a bridge?
    pub(crate) fn has_normal_header(&self) -> bool {
        // SAFETY: `as_raw()` is valid, and the field is constant after enumeration.
        let header = unsafe { (*self.as_raw()).hdr_type };

        u32::from(header) == bindings::PCI_HEADER_TYPE_NORMAL
    }

    /// Returns the size of config space in bytes, quirks included.
    pub(crate) fn config_size(&self) -> usize {
        // SAFETY: `as_raw()` is valid, and the field is constant after enumeration.
        let size = unsafe { (*self.as_raw()).cfg_size };

        usize::try_from(size).unwrap_or(0)
    }

    /// Is this a virtual function of SR-IOV?
    pub(crate) fn is_virtual(&self) -> bool {
        // SAFETY: `as_raw()` is valid, and the bit is constant after enumeration.
        unsafe { bindings::pci_dev::is_virtfn_raw(self.as_raw()) != 0 }
    }

    /// Has this function the SR-IOV capability?
    pub(crate) fn is_physical(&self) -> bool {
        // SAFETY: `as_raw()` is valid, and the bit is constant after enumeration.
        unsafe { bindings::pci_dev::is_physfn_raw(self.as_raw()) != 0 }
    }

    /// Returns the number of virtual functions that are enabled.
    pub(crate) fn virtual_functions(&self) -> u32 {
        // SAFETY: `as_raw()` is valid.
        unsafe { bindings::vfio_rust_pci_num_vf(self.as_raw()) }
    }

    /// Does the function decode memory whatever COMMAND says? True for virtual functions.
    pub(crate) fn ignores_memory_enable(&self) -> bool {
        // SAFETY: `as_raw()` is valid, and the bit is constant after enumeration.
        unsafe { bindings::pci_dev::no_command_memory_raw(self.as_raw()) != 0 }
    }

    /// Has a quirk marked the BARs as not to be mapped?
    pub(crate) fn bars_not_mappable(&self) -> bool {
        // SAFETY: `as_raw()` is valid, and the bit is constant after enumeration.
        unsafe { bindings::pci_dev::non_mappable_bars_raw(self.as_raw()) != 0 }
    }

    /// Can INTx be masked and seen pending in the function itself (PCI 2.3)?
    pub(crate) fn masks_intx(&self) -> bool {
        // SAFETY: `as_raw()` is valid.
        unsafe { bindings::vfio_rust_pci_intx_mask_supported(self.as_raw()) }
    }

    /// Returns the Linux number of the INTx line, if there is one.
    pub(crate) fn intx_line(&self) -> Option<u32> {
        // SAFETY: `as_raw()` is valid. The PCI core changes the number when it enables the
        // function, and when it switches MSI on or off, hence the volatile read. Whichever one
        // is read, it is only a number.
        let line = unsafe { (&raw const (*self.as_raw()).irq).read_volatile() };

        (line != 0 && line != bindings::IRQ_NOTCONNECTED).then_some(line)
    }

    /// Returns the offset of the power management capability.
    pub(crate) fn pm_capability(&self) -> Option<u16> {
        // SAFETY: `as_raw()` is valid, and the field is constant after enumeration.
        capability_offset(unsafe { (*self.as_raw()).pm_cap })
    }

    /// Returns the offset of the MSI capability.
    pub(crate) fn msi_capability(&self) -> Option<u16> {
        // SAFETY: `as_raw()` is valid, and the field is constant after enumeration.
        capability_offset(unsafe { (*self.as_raw()).msi_cap })
    }

    /// Returns the offset of the MSI-X capability.
    pub(crate) fn msix_capability(&self) -> Option<u16> {
        // SAFETY: `as_raw()` is valid, and the field is constant after enumeration.
        capability_offset(unsafe { (*self.as_raw()).msix_cap })
    }

    /// Returns the AtomicOp completer bits of DEVCAP2 that reach up to the root port, and enables
    /// the function as their requester. Virtual functions request as their physical one does.
    pub(crate) fn enable_atomics_to_root(&self) -> u32 {
        let mut capabilities = 0;
        // SAFETY: `as_raw()` is valid, and `capabilities` is valid for write.
        let read = unsafe {
            bindings::pcie_capability_read_dword(
                self.as_raw(),
                bindings::PCI_EXP_DEVCAP2 as c_int,
                &mut capabilities,
            )
        };
        if read != 0 {
            return 0;
        }

        [
            bindings::PCI_EXP_DEVCAP2_ATOMIC_COMP32,
            bindings::PCI_EXP_DEVCAP2_ATOMIC_COMP64,
            bindings::PCI_EXP_DEVCAP2_ATOMIC_COMP128,
        ]
        .into_iter()
        .filter(|&size| capabilities & size != 0)
        .filter(|&size| {
            // SAFETY: As above.
            unsafe { bindings::pci_enable_atomic_ops_to_root(self.as_raw(), size) == 0 }
        })
        .fold(0, |reachable, size| reachable | size)
    }
}

/// The core's `u8` capability offset as an optional one; zero stands for "absent".
fn capability_offset(offset: u8) -> Option<u16> {
    (offset != 0).then_some(u16::from(offset))
}

/// Address range of a BAR or of the ROM, as the PCI core assigned it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Resource {
    /// First address, on the CPU's side. Zero if none is assigned.
    pub(crate) start: u64,
    /// Length in bytes. Zero if there is no such BAR.
    pub(crate) len: u64,
    flags: usize,
}

impl Resource {
    /// Is this a memory BAR?
    pub(crate) fn is_memory(&self) -> bool {
        self.has(bindings::IORESOURCE_MEM)
    }

    /// Is this an I/O port BAR?
    pub(crate) fn is_io(&self) -> bool {
        self.has(bindings::IORESOURCE_IO)
    }

    /// Is this a 64-bit memory BAR?
    pub(crate) fn is_wide(&self) -> bool {
        self.has(bindings::IORESOURCE_MEM_64)
    }

    /// Is this a prefetchable memory BAR?
    pub(crate) fn is_prefetchable(&self) -> bool {
        self.has(bindings::IORESOURCE_PREFETCH)
    }

    fn has(&self, flag: u32) -> bool {
        // CAST: A `u32` always fits into a `usize` on the 64-bit machines that this driver is for.
        self.flags & flag as usize != 0
    }
}

/// A copy of the ROM in memory that firmware left (Option ROM of an EFI system).
#[derive(Clone, Copy)]
pub(crate) struct ShadowRom {
    start: u64,
    len: usize,
}

impl ShadowRom {
    /// Length in bytes, not zero.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Length of the BAR that such a ROM would have: a power of two.
    pub(crate) fn window_len(&self) -> usize {
        self.len.checked_next_power_of_two().unwrap_or(self.len)
    }
}

/// Resources.
impl Function {
    /// Returns BAR `index`, or the ROM with [`ROM_RESOURCE`]. An index beyond is an empty one.
    pub(crate) fn resource(&self, index: usize) -> Resource {
        let Ok(bar) = c_int::try_from(index) else {
            return Resource::default();
        };
        if index > ROM_RESOURCE {
            return Resource::default();
        }

        Resource {
            // SAFETY: `as_raw()` is valid, and every function has resources up to the ROM's.
            start: unsafe { bindings::pci_resource_start(self.as_raw(), bar) },
            // SAFETY: As above.
            len: unsafe { bindings::pci_resource_len(self.as_raw(), bar) },
            // SAFETY: As above; `index` is within the array as it is at most the ROM's.
            flags: unsafe { (*self.as_raw()).resource[index].flags },
        }
    }

    /// Is BAR `index` one in memory?
    #[inline]
    pub(crate) fn has_memory_bar(&self, index: usize) -> bool {
        if index >= NUM_BARS {
            return false;
        }
        // SAFETY: `as_raw()` is valid; `index` is within the array, as the ROM is behind the BARs.
        let flags = unsafe { (*self.as_raw()).resource[index].flags };

        // CAST: A `u32` always fits into a `usize` on the 64-bit machines that this driver is for.
        flags & bindings::IORESOURCE_MEM as usize != 0
    }

    /// Returns the copy of the ROM that firmware left in memory.
    pub(crate) fn shadow_rom(&self) -> Option<ShadowRom> {
        // SAFETY: `as_raw()` is valid, and the fields are constant after enumeration.
        let (start, len) = unsafe { ((*self.as_raw()).rom, (*self.as_raw()).romlen) };

        (start != 0 && len != 0).then_some(ShadowRom { start, len })
    }
}

/// An offset as the PCI core takes it. It leaves those beyond the end to the host bridge.
///
/// # Errors
///
/// EINVAL beyond the end.
fn config_offset(offset: u16) -> Result<c_int> {
    if offset < EXTENDED_SIZE {
        Ok(c_int::from(offset))
    } else {
        Err(EINVAL)
    }
}

/// Config space.
///
/// The `user_` forms wait while the PCI core blocks access from user space, such as during a
/// reset, and report errors. The others are for the driver's own use.
impl Function {
    /// Reads on behalf of the user.
    ///
    /// # Errors
    ///
    /// Those of `pci_user_read_config_byte()` and its like: EINVAL for an address that the bus does
    /// not have or that is not aligned, ENODEV for a function that is gone.
    pub(crate) fn user_read_config(&self, offset: u16, width: Width) -> Result<u32> {
        let (function, offset) = (self.as_raw(), config_offset(offset)?);
        let (mut byte, mut word, mut dword) = (0, 0, 0);
        // SAFETY: `as_raw()` is valid, and the values are valid for write.
        to_result(unsafe {
            match width {
                Width::Byte => bindings::pci_user_read_config_byte(function, offset, &mut byte),
                Width::Word => bindings::pci_user_read_config_word(function, offset, &mut word),
                Width::Dword => bindings::pci_user_read_config_dword(function, offset, &mut dword),
            }
        })?;

        Ok(match width {
            Width::Byte => byte.into(),
            Width::Word => word.into(),
            Width::Dword => dword,
        })
    }

    /// Writes the low bytes of `value` on behalf of the user.
    ///
    /// # Errors
    ///
    /// As [`Self::user_read_config`].
    pub(crate) fn user_write_config(&self, offset: u16, width: Width, value: u32) -> Result {
        let (function, offset) = (self.as_raw(), config_offset(offset)?);
        // CAST: Only the low bytes are to be written.
        let (byte, word) = (value as u8, value as u16);
        // SAFETY: `as_raw()` is valid.
        to_result(unsafe {
            match width {
                Width::Byte => bindings::pci_user_write_config_byte(function, offset, byte),
                Width::Word => bindings::pci_user_write_config_word(function, offset, word),
                Width::Dword => bindings::pci_user_write_config_dword(function, offset, value),
            }
        })
    }

    /// Reads; all ones if that fails.
    pub(crate) fn read_config(&self, offset: u16, width: Width) -> u32 {
        let Ok(offset) = config_offset(offset) else {
            return width.mask();
        };
        let function = self.as_raw();
        let (mut byte, mut word, mut dword) = (u8::MAX, u16::MAX, u32::MAX);
        // SAFETY: `as_raw()` is valid, and the values are valid for write. On failure the PCI core
        // stores all ones, or leaves them.
        unsafe {
            match width {
                Width::Byte => bindings::pci_read_config_byte(function, offset, &mut byte),
                Width::Word => bindings::pci_read_config_word(function, offset, &mut word),
                Width::Dword => bindings::pci_read_config_dword(function, offset, &mut dword),
            }
        };

        match width {
            Width::Byte => byte.into(),
            Width::Word => word.into(),
            Width::Dword => dword,
        }
    }

    /// Reads a word; all ones if that fails.
    pub(crate) fn read_config_word(&self, offset: u16) -> u16 {
        // CAST: A word.
        self.read_config(offset, Width::Word) as u16
    }

    /// Writes the low bytes of `value`. A function that is gone does not notice. The Command
    /// Register is written by [`command`] only.
    pub(crate) fn write_config(&self, offset: u16, width: Width, value: u32) {
        let Ok(offset) = config_offset(offset) else {
            return;
        };
        let function = self.as_raw();
        // CAST: Only the low bytes are to be written.
        let (byte, word) = (value as u8, value as u16);
        // SAFETY: `as_raw()` is valid.
        unsafe {
            match width {
                Width::Byte => bindings::pci_write_config_byte(function, offset, byte),
                Width::Word => bindings::pci_write_config_word(function, offset, word),
                Width::Dword => bindings::pci_write_config_dword(function, offset, value),
            }
        };
    }

    /// Reads four bytes of vital product data; `None` if that fails. What is behind the end of the
    /// data reads as zero.
    pub(crate) fn read_vpd(&self, address: u16) -> Option<u32> {
        let mut data = [0u8; 4];
        // SAFETY: `as_raw()` is valid, and `data` is valid for write of its length.
        let read = unsafe {
            bindings::pci_read_vpd(
                self.as_raw(),
                bindings::loff_t::from(address),
                data.len(),
                data.as_mut_ptr().cast(),
            )
        };

        // The data need not end with a whole word; fewer bytes are no error, nor are none.
        (read >= 0).then(|| u32::from_le_bytes(data))
    }

    /// Writes four bytes of vital product data; false if that fails.
    pub(crate) fn write_vpd(&self, address: u16, value: u32) -> bool {
        let data = value.to_le_bytes();
        // SAFETY: `as_raw()` is valid, and `data` is valid for read of its length.
        let written = unsafe {
            bindings::pci_write_vpd(
                self.as_raw(),
                bindings::loff_t::from(address),
                data.len(),
                data.as_ptr().cast(),
            )
        };

        usize::try_from(written) == Ok(data.len())
    }
}

/// A function that is enabled: awake, with its BARs switched on.
///
/// # Invariants
///
/// One of the counts that keep the function enabled is this value's.
#[must_use = "the function is disabled when this is dropped"]
pub(crate) struct Enabled(Function);

impl Enabled {
    /// Enables a function.
    ///
    /// # Errors
    ///
    /// Those of `pci_enable_device()`.
    pub(crate) fn new(function: Function) -> Result<Self> {
        // SAFETY: `as_raw()` is valid.
        to_result(unsafe { bindings::pci_enable_device(function.as_raw()) })?;

        // INVARIANT: The call was successful, so it has counted.
        Ok(Self(function))
    }

    /// The function.
    pub(crate) fn function(&self) -> &Function {
        &self.0
    }
}

impl Drop for Enabled {
    fn drop(&mut self) {
        // SAFETY: `as_raw()` is valid, and by the type invariant the count is ours.
        unsafe { bindings::pci_disable_device(self.0.as_raw()) };
    }
}

/// Operation.
impl Function {
    /// Sets the largest read request. What the function does not support is not set.
    pub(crate) fn set_read_request(&self, bytes: u32) {
        let Ok(bytes) = c_int::try_from(bytes) else {
            return;
        };

        // SAFETY: `as_raw()` is valid; the callee checks the value.
        unsafe { bindings::pcie_set_readrq(self.as_raw(), bytes) };
    }

    /// Does the function answer?
    pub(crate) fn is_present(&self) -> bool {
        // SAFETY: `as_raw()` is valid.
        unsafe { bindings::pci_device_is_present(self.as_raw()) }
    }

    /// Is the function in D3 or deeper, where its memory does not answer?
    pub(crate) fn is_in_d3(&self) -> bool {
        // SAFETY: `as_raw()` is valid. The PCI core may change the field at any time, hence the
        // volatile read.
        let state = unsafe { (&raw const (*self.as_raw()).current_state).read_volatile() };

        // CAST: The discriminants are those of `pci_power_t`.
        state >= PowerState::D3hot as bindings::pci_power_t
    }

    /// Changes the power state.
    ///
    /// # Errors
    ///
    /// Those of `pci_set_power_state()`.
    pub(crate) fn set_power_state(&self, state: PowerState) -> Result {
        // CAST: The discriminants are those of `pci_power_t`.
        // SAFETY: `as_raw()` is valid.
        to_result(unsafe {
            bindings::pci_set_power_state(self.as_raw(), state as bindings::pci_power_t)
        })
    }
}
