// SPDX-License-Identifier: GPL-2.0

//! Enough of an Intel 82576 network controller to read its address and to have it interrupt.
//!
//! Names and numbers are those of the 82576 datasheet.

use anyhow::{
    ensure,
    Result, //
};

use crate::bar::Bar;
use crate::pci::Identity;

/// The BAR that holds the registers.
pub const BAR: u32 = 0;

const DEVICE_STATUS: usize = 0x0008;
const GENERAL_PURPOSE_INTERRUPT_ENABLE: usize = 0x1514;
const INTERRUPT_CAUSE_SET: usize = 0x1520;
const INTERRUPT_MASK_SET: usize = 0x1524;
const INTERRUPT_MASK_CLEAR: usize = 0x1528;
const RECEIVE_ADDRESS_LOW: usize = 0x5400;
const RECEIVE_ADDRESS_HIGH: usize = 0x5404;

/// One vector per cause.
const MULTIPLE_MSIX: u32 = 1 << 4;
const VECTOR_0: u32 = 1 << 0;
const ADDRESS_VALID: u32 = 1 << 31;

/// Whether a PCI function is such a controller.
pub fn is_igb(identity: &Identity) -> bool {
    (identity.vendor, identity.device) == (0x8086, 0x10c9)
}

/// The registers of a controller.
pub struct Igb<'a> {
    bar: &'a Bar,
}

impl<'a> Igb<'a> {
    /// Takes the mapping of the controller's BAR.
    pub fn new(bar: &'a Bar) -> Self {
        Self { bar }
    }

    /// Reads the device status register.
    ///
    /// # Errors
    ///
    /// Fails when there is no controller behind the mapping.
    pub fn status(&self) -> Result<u32> {
        let status = self.bar.read32(DEVICE_STATUS)?;
        ensure!(status != u32::MAX, "STATUS is {status:#x}");

        Ok(status)
    }

    /// Reads the Ethernet address.
    ///
    /// # Errors
    ///
    /// Fails when the controller has none.
    pub fn address(&self) -> Result<String> {
        let low = self.bar.read32(RECEIVE_ADDRESS_LOW)?;
        let high = self.bar.read32(RECEIVE_ADDRESS_HIGH)?;
        ensure!(
            high & ADDRESS_VALID != 0,
            "the first receive address is not valid: RAH is {high:#010x}"
        );

        Ok(ethernet_address(low, high))
    }

    /// Has the controller raise the interrupt of vector 0.
    ///
    /// # Errors
    ///
    /// Fails when a register is not in the BAR.
    pub fn raise_interrupt(&self) -> Result<()> {
        self.bar
            .write32(GENERAL_PURPOSE_INTERRUPT_ENABLE, MULTIPLE_MSIX)?;
        self.bar.write32(INTERRUPT_MASK_SET, VECTOR_0)?;
        self.bar.write32(INTERRUPT_CAUSE_SET, VECTOR_0)
    }

    /// Masks the interrupt of vector 0.
    ///
    /// # Errors
    ///
    /// Fails when the register is not in the BAR.
    pub fn mask_interrupt(&self) -> Result<()> {
        self.bar.write32(INTERRUPT_MASK_CLEAR, VECTOR_0)
    }
}

/// Formats the six bytes that start in the low register.
fn ethernet_address(low: u32, high: u32) -> String {
    let bytes = low.to_le_bytes().into_iter().chain(high.to_le_bytes());
    let digits: Vec<String> = bytes.take(6).map(|byte| format!("{byte:02x}")).collect();

    digits.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address() {
        assert_eq!(
            ethernet_address(0x1200_5452, 0x8000_5634),
            "52:54:00:12:34:56"
        );
    }
}
