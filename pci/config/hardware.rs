// SPDX-License-Identifier: GPL-2.0

//! What the engine needs from the host.

use super::{
    bar::{
        BarKind,
        Rom, //
    },
    width::Width, //
};

/// The config space of the physical function.
pub trait Hardware {
    /// Why an access failed.
    type Error;

    /// Reads a register. `offset` is aligned to `width` and inside of the space.
    ///
    /// # Errors
    ///
    /// The access failed. What the hardware answers for a device that is gone, all ones, is not
    /// an error.
    fn read(&self, offset: u16, width: Width) -> Result<u32, Self::Error>;

    /// Writes a register. `offset` is aligned to `width` and inside of the space.
    ///
    /// # Errors
    ///
    /// The access failed.
    fn write(&self, offset: u16, width: Width, value: u32) -> Result<(), Self::Error>;
}

/// Address decoders as the user enabled them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decode {
    /// Memory space. Always on for a function whose Memory Space Enable bit does nothing.
    pub memory: bool,
    /// I/O space.
    pub io: bool,
}

/// Power states that a function can be put into by its Power Management Control/Status Register,
/// with the numbers that they have there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PowerState {
    /// Fully on.
    D0 = 0,
    /// Light sleep.
    D1 = 1,
    /// Deeper sleep.
    D2 = 2,
    /// Off but for config space.
    D3hot = 3,
}

/// State of MSI, which is set up by ioctl and not through config space.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Msi {
    /// Whether MSI is the interrupt type in use.
    pub active: bool,
    /// Base 2 logarithm of the number of vectors; zero before MSI was first enabled.
    pub log2_vectors: u8,
}

/// A write of the Command Register.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CommandWrite {
    /// The bits that are written. The host uses Interrupt Disable itself, so that is not one.
    pub mask: u16,
    /// What they become.
    pub value: u16,
    /// The decoders that are enabled then.
    pub decode: Decode,
    /// Whether memory is being disabled.
    pub revoke: bool,
    /// What the device has lost.
    pub lost: Option<Lost>,
}

/// What a device has lost that was reset without a word to the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lost {
    /// The BARs and the ROM BAR, as they were when the device was opened.
    pub bars: [u32; 7],
    /// Interrupt Disable, which has to be set because INTx is broken.
    pub intx_disable: bool,
}

/// What a write asks the host to do.
///
/// Where there is no error to return, the user sees in a register whether it worked, as with
/// hardware.
///
/// The calls come with the lock around the [`Space`](super::Space) held.
pub trait Effects {
    /// Why a call failed.
    type Error;
    /// What else the user's accesses reach.
    type Hardware: Hardware<Error = Self::Error>;

    /// The config space of the physical function.
    fn hardware(&self) -> &Self::Hardware;

    /// Writes the Command Register, which other parts of the host write at the same time: all but
    /// the bits that are written have to keep the value that they have by then.
    ///
    /// Device memory is to be kept from being touched meanwhile, and if it is being disabled, to
    /// be taken away before from everybody who maps it. What the device has lost it gets back
    /// first. This is an attempt to recover; if it fails, so does the write.
    ///
    /// # Errors
    ///
    /// The register has not been written; decoders are as they were.
    fn write_command(&mut self, write: &CommandWrite) -> Result<(), Self::Error>;

    /// Interrupt Disable has changed: mask or unmask INTx.
    fn set_intx_disabled(&mut self, disabled: bool);

    /// Changes the power state. Device memory has to be taken away before it stops to respond.
    fn set_power_state(&mut self, state: PowerState);

    /// Resets the function, with device memory taken away during the reset.
    ///
    /// # Errors
    ///
    /// The function has not been reset.
    fn reset_function(&mut self) -> Result<(), Self::Error>;

    /// Sets Max_Read_Request_Size. A reserved encoding arrives as 8192 or 16384.
    fn set_read_request(&mut self, bytes: u32);

    /// Reads the four bytes of Vital Product Data at `address`, least significant byte first.
    fn read_vpd(&mut self, address: u16) -> Option<u32>;

    /// Writes four bytes of Vital Product Data at `address` and tells whether that succeeded.
    fn write_vpd(&mut self, address: u16, data: u32) -> bool;

    /// State of MSI, needed when the user writes its Message Control Register.
    fn msi(&self) -> Msi;
}

/// What the host knows of the function when it is opened. (What C takes out of `struct pci_dev`,
/// which only the kernel has.)
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Whether it is a virtual function of SR-IOV.
    pub is_virtfn: bool,
    /// Vendor ID, needed for a virtual function, whose register has none.
    pub vendor: u16,
    /// Device ID, likewise.
    pub device: u16,
    /// Whether Memory Space Enable is not implemented, as in a virtual function.
    pub no_command_memory: bool,
    /// Whether the host can receive INTx of this device.
    pub intx_usable: bool,
    /// Whether Interrupt Disable must stay set in the hardware because INTx is broken.
    pub no_intx: bool,
    /// The BARs to which the host has assigned an address.
    pub bars: [Option<BarKind>; 6],
    /// The expansion ROM.
    pub rom: Rom,
}
