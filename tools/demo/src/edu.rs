// SPDX-License-Identifier: GPL-2.0

//! QEMU's educational device: a DMA engine, and an interrupt that software raises.
//!
//! The device is described in `docs/specs/edu.rst` of QEMU.

use std::thread::sleep;
use std::time::{
    Duration,
    Instant, //
};

use anyhow::{
    ensure,
    Result, //
};

use crate::bar::Bar;
use crate::pci::Identity;

/// The BAR that holds all registers, and the device's own buffer.
pub const BAR: u32 = 0;
/// Offset of the identification register.
pub const IDENTIFICATION: usize = 0x00;

const LIVENESS: usize = 0x04;
const INTERRUPT_STATUS: usize = 0x24;
const INTERRUPT_RAISE: usize = 0x60;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const DMA_SOURCE: usize = 0x80;
const DMA_DESTINATION: usize = 0x88;
const DMA_COUNT: usize = 0x90;
const DMA_COMMAND: usize = 0x98;

const DMA_START: u64 = 1 << 0;
const DMA_FROM_DEVICE: u64 = 1 << 1;

/// Where the DMA engine sees the device's own buffer.
const BUFFER: u64 = 0x40000;
/// How many bytes that buffer has.
pub const BUFFER_SIZE: usize = 4096;

/// The low byte of the identification register.
const SIGNATURE: u32 = 0xed;
/// The device takes 100 ms for a transfer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a PCI function is such a device.
pub fn is_edu(identity: &Identity) -> bool {
    (identity.vendor, identity.device) == (0x1234, 0x11e8)
}

/// The way that data goes.
#[derive(Clone, Copy, Debug)]
pub enum Direction {
    /// From memory into the device's buffer.
    ToDevice,
    /// From the device's buffer into memory.
    FromDevice,
}

/// The registers of a device.
pub struct Edu<'a> {
    bar: &'a Bar,
}

impl<'a> Edu<'a> {
    /// Takes the mapping of the device's BAR.
    pub fn new(bar: &'a Bar) -> Self {
        Self { bar }
    }

    /// Reads the identification register.
    ///
    /// # Errors
    ///
    /// Fails when it is not that of an `edu` device.
    pub fn identification(&self) -> Result<u32> {
        let value = self.bar.read32(IDENTIFICATION)?;
        ensure!(
            value & 0xff == SIGNATURE,
            "the identification register is {value:#010x}, which is no edu device"
        );

        Ok(value)
    }

    /// Writes the liveness register, which answers with the complement.
    ///
    /// # Errors
    ///
    /// Fails when it answers anything else.
    pub fn check_liveness(&self, value: u32) -> Result<u32> {
        self.bar.write32(LIVENESS, value)?;
        let answer = self.bar.read32(LIVENESS)?;
        ensure!(
            answer == !value,
            "the liveness register is {answer:#010x} after a write of {value:#010x}"
        );

        Ok(answer)
    }

    /// Raises the interrupt, with these bits in its status register.
    ///
    /// # Errors
    ///
    /// Fails when the register is not in the BAR.
    pub fn raise_interrupt(&self, bits: u32) -> Result<()> {
        self.bar.write32(INTERRUPT_RAISE, bits)
    }

    /// Reads the interrupt status, and acknowledges the interrupt.
    ///
    /// # Errors
    ///
    /// Fails when the status does not go away.
    pub fn acknowledge_interrupt(&self) -> Result<u32> {
        let status = self.bar.read32(INTERRUPT_STATUS)?;
        self.bar.write32(INTERRUPT_ACKNOWLEDGE, status)?;
        let left = self.bar.read32(INTERRUPT_STATUS)?;
        ensure!(
            left == 0,
            "the interrupt status is {left:#x} after {status:#x} was acknowledged"
        );

        Ok(status)
    }

    /// Has the DMA engine copy the whole buffer from or to `iova`, and waits until it has.
    ///
    /// The device does not tell whether the IOMMU let the transfer pass.
    ///
    /// # Errors
    ///
    /// Fails when the engine does not finish.
    pub fn copy(&self, direction: Direction, iova: u64) -> Result<Duration> {
        let (source, destination, command) = match direction {
            Direction::ToDevice => (iova, BUFFER, DMA_START),
            Direction::FromDevice => (BUFFER, iova, DMA_START | DMA_FROM_DEVICE),
        };
        let start = Instant::now();

        self.bar.write64(DMA_SOURCE, source)?;
        self.bar.write64(DMA_DESTINATION, destination)?;
        self.bar.write64(DMA_COUNT, u64::try_from(BUFFER_SIZE)?)?;
        self.bar.write64(DMA_COMMAND, command)?;
        while self.bar.read64(DMA_COMMAND)? & DMA_START != 0 {
            ensure!(
                start.elapsed() < TIMEOUT,
                "the DMA engine did not finish in {} s",
                TIMEOUT.as_secs()
            );
            sleep(Duration::from_millis(1));
        }

        Ok(start.elapsed())
    }
}
