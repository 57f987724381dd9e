// SPDX-License-Identifier: GPL-2.0

//! QEMU's educational device, as `docs/specs/edu.rst` of QEMU has it.

use std::os::fd::{
    AsFd,
    AsRawFd, //
};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{
    bail,
    ensure,
    Result, //
};
use nix::poll::{
    poll,
    PollFd,
    PollFlags,
    PollTimeout, //
};
use nix::sys::eventfd::EventFd;
use pci_driver::device::PciDevice;
use pci_driver::regions::{
    MappedOwningPciRegion,
    PciRegion,
    Permissions, //
};

use crate::memory;

const IDENTIFICATION: u64 = 0x00;
const LIVENESS: u64 = 0x04;
const INTERRUPT_RAISE: u64 = 0x60;
const INTERRUPT_ACKNOWLEDGE: u64 = 0x64;
const DMA_SOURCE: u64 = 0x80;
const DMA_DESTINATION: u64 = 0x88;
const DMA_COUNT: u64 = 0x90;
const DMA_COMMAND: u64 = 0x98;
const DMA_START: u32 = 1;
const DMA_FROM_DEVICE: u32 = 2;
/// Where the DMA engine sees the device's own memory.
const BUFFER: u32 = 0x40000;
/// A transfer takes a tenth of a second.
const WAITS: u32 = 600;
const WAIT: Duration = Duration::from_millis(50);
const INTERRUPT_LIMIT: u16 = 30_000;

/// Its registers, mapped.
pub struct Edu {
    bar: MappedOwningPciRegion,
}

impl Edu {
    /// Maps the registers.
    ///
    /// # Errors
    ///
    /// There is no such BAR, or it cannot be mapped.
    pub fn new(device: &dyn PciDevice) -> Result<Self> {
        let Some(bar) = device.bar(0) else {
            bail!("there is no BAR 0");
        };
        Ok(Self {
            bar: bar.map(.., Permissions::ReadWrite)?,
        })
    }

    /// The device is what it says, and answers.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn answers(&self) -> Result<()> {
        let value = self.bar.read_le_u32(IDENTIFICATION)?;
        ensure!(value & 0xff == 0xed, "the identification is {value:#x}");
        self.bar.write_le_u32(LIVENESS, 0x1234_5678)?;
        let value = self.bar.read_le_u32(LIVENESS)?;
        ensure!(value == !0x1234_5678, "liveness is {value:#x}");
        Ok(())
    }

    fn transfer(&self, source: u32, destination: u32, direction: u32) -> Result<()> {
        self.bar.write_le_u32(DMA_SOURCE, source)?;
        self.bar.write_le_u32(DMA_DESTINATION, destination)?;
        self.bar.write_le_u32(DMA_COUNT, memory::SIZE as u32)?;
        self.bar.write_le_u32(DMA_COMMAND, DMA_START | direction)?;
        for _ in 0..WAITS {
            if self.bar.read_le_u32(DMA_COMMAND)? & DMA_START == 0 {
                return Ok(());
            }
            sleep(WAIT);
        }
        bail!("the transfer does not end");
    }

    /// Copies a page by way of the device's own memory.
    ///
    /// # Errors
    ///
    /// The device does not come to an end.
    pub fn copy(&self, from: u32, to: u32) -> Result<()> {
        self.transfer(from, BUFFER, 0)?;
        self.transfer(BUFFER, to, DMA_FROM_DEVICE)
    }

    /// Has the device raise its interrupt, and waits for it.
    ///
    /// # Errors
    ///
    /// None comes.
    pub fn interrupt(&self, device: &dyn PciDevice) -> Result<()> {
        let event = EventFd::new()?;
        let interrupts = device.interrupts();
        let msi = interrupts.msi();
        msi.enable(&[event.as_raw_fd()])?;
        self.bar.write_le_u32(INTERRUPT_RAISE, 1)?;
        let mut waits = [PollFd::new(event.as_fd(), PollFlags::POLLIN)];
        ensure!(
            poll(&mut waits, PollTimeout::from(INTERRUPT_LIMIT))? == 1,
            "no interrupt"
        );
        ensure!(event.read()? == 1, "more than one interrupt");
        self.bar.write_le_u32(INTERRUPT_ACKNOWLEDGE, 1)?;
        msi.disable()?;
        Ok(())
    }
}
