// SPDX-License-Identifier: GPL-2.0

//! Enough of an NVMe controller to ask who it is: an admin queue and the Identify command.
//!
//! Names and numbers are those of the NVM Express Base Specification.

use std::thread::sleep;
use std::time::{
    Duration,
    Instant, //
};

use anyhow::{
    ensure,
    Context,
    Result, //
};

use crate::bar::Bar;
use crate::dma::{
    Mapping,
    Memory,
    PAGE, //
};
use crate::interrupt::Interrupt;
use crate::pci::Identity;

/// The BAR that holds the registers.
pub const BAR: u32 = 0;
/// How many pages of memory the driver needs: submission queue, completion queue, data.
pub const PAGES: usize = 3;

const CAPABILITIES: usize = 0x00;
const VERSION: usize = 0x08;
const CONFIGURATION: usize = 0x14;
const STATUS: usize = 0x1c;
const ADMIN_QUEUE_ATTRIBUTES: usize = 0x24;
const ADMIN_SUBMISSION_QUEUE: usize = 0x28;
const ADMIN_COMPLETION_QUEUE: usize = 0x30;
const DOORBELLS: usize = 0x1000;

const ENABLE: u32 = 1 << 0;
/// Entries of 2^6 bytes in submission queues, and of 2^4 in completion queues.
const ENTRY_SIZES: u32 = (6 << 16) | (4 << 20);
const READY: u32 = 1 << 0;
const FATAL: u32 = 1 << 1;

/// Entries of each queue; the smallest number that is allowed.
const ENTRIES: u32 = 2;
const COMPLETION_SIZE: usize = 16;
const COMMAND_ID: u16 = 0x1234;

const IDENTIFY: u32 = 0x06;
const IDENTIFY_CONTROLLER: u32 = 0x01;

/// Where the queues and the data are in the memory.
const SUBMISSIONS: usize = 0;
const COMPLETIONS: usize = PAGE;
const DATA: usize = 2 * PAGE;

/// Whether a PCI function is such a controller: mass storage, non-volatile memory, NVMe.
pub fn is_nvme(identity: &Identity) -> bool {
    identity.class == 0x01_08_02
}

/// The capabilities register.
#[derive(Clone, Copy)]
pub struct Capabilities(u64);

impl Capabilities {
    /// The register as it is read.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// How many entries a queue may have.
    pub fn queue_entries(self) -> u64 {
        (self.0 & 0xffff).saturating_add(1)
    }

    /// How long the controller may take to become ready, or to cease to be.
    pub fn timeout(self) -> Duration {
        Duration::from_millis(((self.0 >> 24) & 0xff).saturating_mul(500))
    }

    /// Bytes from one doorbell to the next.
    pub fn doorbell_stride(self) -> usize {
        4 << ((self.0 >> 32) & 0xf)
    }

    /// Whether the controller can use pages of 4 KiB.
    fn takes_small_pages(self) -> bool {
        (self.0 >> 48) & 0xf == 0
    }
}

/// The version of the specification that a controller follows.
pub struct Version(u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [tertiary, minor, major, _] = self.0.to_le_bytes();

        write!(f, "{major}.{minor}.{tertiary}")
    }
}

/// What the controller says about itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Identification {
    /// Serial number.
    pub serial: String,
    /// Model number.
    pub model: String,
    /// Firmware revision.
    pub firmware: String,
}

impl Identification {
    /// Takes the texts out of the data structure of the Identify command.
    fn parse(data: &[u8]) -> Option<Self> {
        let text = |range| {
            let bytes: &[u8] = data.get(range)?;
            Some(String::from_utf8_lossy(bytes).trim().to_string())
        };

        Some(Self {
            serial: text(4..24)?,
            model: text(24..64)?,
            firmware: text(64..72)?,
        })
    }
}

/// The registers of a controller.
pub struct Registers<'a> {
    bar: &'a Bar,
}

impl<'a> Registers<'a> {
    /// Takes the mapping of the controller's BAR.
    pub fn new(bar: &'a Bar) -> Self {
        Self { bar }
    }

    /// Reads the capabilities.
    ///
    /// # Errors
    ///
    /// Fails when there is no controller behind the mapping.
    pub fn capabilities(&self) -> Result<Capabilities> {
        let value = self.bar.read64(CAPABILITIES)?;
        ensure!(value != 0 && value != u64::MAX, "CAP is {value:#x}");

        Ok(Capabilities(value))
    }

    /// Reads the version.
    ///
    /// # Errors
    ///
    /// Fails when the register is not in the BAR.
    pub fn version(&self) -> Result<Version> {
        Ok(Version(self.bar.read32(VERSION)?))
    }

    /// Waits until the controller is ready, or no longer so.
    fn wait_ready(&self, ready: bool) -> Result<()> {
        let timeout = self.capabilities()?.timeout().max(Duration::from_secs(1));
        let start = Instant::now();

        loop {
            let status = self.bar.read32(STATUS)?;
            ensure!(
                status & FATAL == 0,
                "the controller failed, CSTS is {status:#x}"
            );
            if (status & READY != 0) == ready {
                return Ok(());
            }
            ensure!(
                start.elapsed() < timeout,
                "CSTS is {status:#x} after {timeout:?}, where ready is to be {ready}"
            );
            sleep(Duration::from_millis(1));
        }
    }
}

/// A controller that has its admin queue, until this is dropped.
pub struct Controller<'a> {
    registers: &'a Registers<'a>,
    memory: &'a Memory,
    iova: u64,
}

impl<'a> Controller<'a> {
    /// Gives the controller an admin queue in `memory`, all of which is mapped by `mapping`.
    ///
    /// # Errors
    ///
    /// Fails when the controller does not become ready.
    pub fn start(
        registers: &'a Registers<'a>,
        memory: &'a Memory,
        mapping: &'a Mapping<'_>,
    ) -> Result<Self> {
        ensure!(
            registers.capabilities()?.takes_small_pages(),
            "the controller cannot use pages of 4 KiB"
        );
        let controller = Self {
            registers,
            memory,
            iova: mapping.iova(),
        };
        let bar = registers.bar;

        bar.write32(CONFIGURATION, 0)?;
        registers.wait_ready(false)?;
        let last = ENTRIES.saturating_sub(1);
        bar.write32(ADMIN_QUEUE_ATTRIBUTES, (last << 16) | last)?;
        bar.write64(ADMIN_SUBMISSION_QUEUE, controller.address(SUBMISSIONS)?)?;
        bar.write64(ADMIN_COMPLETION_QUEUE, controller.address(COMPLETIONS)?)?;
        bar.write32(CONFIGURATION, ENTRY_SIZES | ENABLE)?;
        registers.wait_ready(true)?;

        Ok(controller)
    }

    /// The I/O virtual address of a part of the memory.
    fn address(&self, offset: usize) -> Result<u64> {
        self.iova
            .checked_add(u64::try_from(offset)?)
            .context("iova of a queue")
    }

    /// Asks the controller who it is, and waits for the answer; the queue is good for one command.
    ///
    /// # Errors
    ///
    /// Fails when no interrupt comes, and when the command fails.
    pub fn identify(&self, interrupt: &Interrupt<'_>) -> Result<(Identification, Duration)> {
        let command = identify_command(self.address(DATA)?);
        self.memory.write(SUBMISSIONS, &command)?;
        self.registers.bar.write32(DOORBELLS, 1)?;

        let (_, time) = interrupt.wait()?;
        let entry = self.memory.read(COMPLETIONS, COMPLETION_SIZE)?;
        check_completion(&entry)?;
        let stride = self.registers.capabilities()?.doorbell_stride();
        self.registers
            .bar
            .write32(DOORBELLS.saturating_add(stride), 1)?;

        let data = self.memory.read(DATA, PAGE)?;
        let identification = Identification::parse(&data).context("data of Identify")?;
        Ok((identification, time))
    }
}

impl Drop for Controller<'_> {
    /// Stops the controller, so that it uses the memory no more.
    fn drop(&mut self) {
        let stopped = self
            .registers
            .bar
            .write32(CONFIGURATION, 0)
            .and_then(|()| self.registers.wait_ready(false));

        if let Err(error) = stopped {
            eprintln!("vfio-demo: {error:#}");
        }
    }
}

/// The Identify command for the controller, with the answer to go to `data`.
fn identify_command(data: u64) -> Vec<u8> {
    let mut words = [0_u32; 16];
    words[0] = (u32::from(COMMAND_ID) << 16) | IDENTIFY;
    // Lower and upper half of the first physical region page.
    words[6] = data as u32;
    words[7] = (data >> 32) as u32;
    words[10] = IDENTIFY_CONTROLLER;

    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Checks an entry of the completion queue that was empty before.
fn check_completion(entry: &[u8]) -> Result<()> {
    let bytes = entry
        .get(12..16)
        .and_then(|bytes| bytes.try_into().ok())
        .context("length of a completion")?;
    let word = u32::from_le_bytes(bytes);

    ensure!((word >> 16) & 1 == 1, "an interrupt without a completion");
    let (id, status) = (word & 0xffff, word >> 17);
    ensure!(
        id == u32::from(COMMAND_ID),
        "a completion of command {id:#x}"
    );
    ensure!(status == 0, "Identify failed with status {status:#x}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command() {
        let command = identify_command(0x1_0203_4000);
        assert_eq!(command.len(), 64);
        assert_eq!(command[..4], [0x06, 0, 0x34, 0x12]);
        assert_eq!(command[24..32], [0x00, 0x40, 0x03, 0x02, 0x01, 0, 0, 0]);
        assert_eq!(command[40], 1);
    }

    #[test]
    fn completion() {
        let mut entry = [0; COMPLETION_SIZE];
        assert!(check_completion(&entry).is_err());
        entry[12..].copy_from_slice(&[0x34, 0x12, 0x01, 0x00]);
        assert!(check_completion(&entry).is_ok());
        entry[14] = 0x05;
        assert!(check_completion(&entry).is_err());
        assert!(check_completion(&entry[..8]).is_err());
    }

    #[test]
    fn identification() {
        let mut data = vec![b' '; PAGE];
        data[4..8].copy_from_slice(b"deaf");
        data[24..33].copy_from_slice(b"QEMU NVMe");
        data[64..67].copy_from_slice(b"1.0");
        let found = Identification::parse(&data).unwrap();
        assert_eq!(
            (&*found.serial, &*found.model, &*found.firmware),
            ("deaf", "QEMU NVMe", "1.0")
        );
        assert_eq!(Identification::parse(&data[..40]), None);
    }

    #[test]
    fn registers() {
        let capabilities = Capabilities(0x0001_0002_0f00_07ff);
        assert_eq!(capabilities.queue_entries(), 2048);
        assert_eq!(capabilities.timeout(), Duration::from_millis(7500));
        assert_eq!(capabilities.doorbell_stride(), 16);
        assert!(!capabilities.takes_small_pages());
        assert_eq!(Version(0x0001_0400).to_string(), "1.4.0");
    }
}
