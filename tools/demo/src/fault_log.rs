// SPDX-License-Identifier: GPL-2.0

//! What the kernel log says about DMA that the IOMMU stopped.

use std::fs::{
    read_to_string,
    File, //
};
use std::io::{
    ErrorKind,
    Read,
    Seek,
    SeekFrom, //
};
use std::os::unix::fs::OpenOptionsExt;
use std::thread::sleep;
use std::time::{
    Duration,
    Instant, //
};

use anyhow::{
    Context,
    Result, //
};
use nix::libc::O_NONBLOCK;

const PATH: &str = "/dev/kmsg";
const INTERRUPTS: &str = "/proc/interrupts";
/// What the driver of AMD's IOMMUs calls its interrupts.
const AMD: &str = "AMD-Vi";
/// The kernel logs a fault from an interrupt thread, some time after the device's access.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The kernel log, from now on.
pub struct FaultLog {
    file: File,
}

impl FaultLog {
    /// Opens the log behind its last line.
    ///
    /// # Errors
    ///
    /// Fails when the log cannot be read.
    pub fn open() -> Result<Self> {
        let mut file = File::options()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(PATH)
            .context(PATH)?;
        file.seek(SeekFrom::End(0)).context(PATH)?;

        Ok(Self { file })
    }

    /// Waits for faults at `iova`, and returns the lines about them.
    ///
    /// # Errors
    ///
    /// Fails when the log cannot be read.
    pub fn wait_for(&mut self, iova: u64) -> Result<Vec<String>> {
        let start = Instant::now();

        loop {
            let faults: Vec<String> = self
                .new_lines()?
                .into_iter()
                .filter(|line| is_fault(line, iova))
                .collect();
            if !faults.is_empty() || start.elapsed() >= TIMEOUT {
                return Ok(faults);
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Reads what has been logged since the last call.
    fn new_lines(&mut self) -> Result<Vec<String>> {
        let mut record = [0; 8192];
        let mut lines = Vec::new();

        loop {
            match self.file.read(&mut record) {
                Ok(length) => lines.extend(record.get(..length).and_then(message)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(lines),
                // Records were overwritten before they were read; the next read goes on after them.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(error) => return Err(error).context(PATH),
            }
        }
    }
}

/// Whether the kernel is deaf to the faults of its IOMMU: QEMU 10.0 emulates AMD's so that
/// it logs them, but never interrupts the driver, which is who reads that log.
///
/// # Errors
///
/// Fails when the list of interrupts cannot be read.
pub fn is_deaf() -> Result<bool> {
    let text = read_to_string(INTERRUPTS).context(INTERRUPTS)?;

    Ok(had_no_interrupt(&text))
}

/// Whether the list has interrupts of AMD's IOMMUs, and none of them ever came.
fn had_no_interrupt(interrupts: &str) -> bool {
    let mut counts = interrupts
        .lines()
        .filter(|line| line.contains(AMD))
        .flat_map(|line| {
            line.split_whitespace()
                .skip(1)
                .map_while(|word| word.parse().ok())
        })
        .peekable();

    counts.peek().is_some() && counts.all(|count: u64| count == 0)
}

/// The text of a record, without the fields before it and the properties after it.
fn message(record: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(record);
    let (_, text) = text.split_once(';')?;

    Some(text.lines().next()?.to_string())
}

/// Whether a line tells of a DMA fault at an address. The drivers of the Intel, AMD and virtio
/// IOMMUs all write the word and the address, each in a sentence of its own.
fn is_fault(line: &str, iova: u64) -> bool {
    let address = format!("{iova:#x}");
    let named = line
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word == address);

    named && line.to_ascii_lowercase().contains("fault")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let record = b"3,512,4711,-;DMAR: it failed\n SUBSYSTEM=pci\n";
        assert_eq!(message(record).unwrap(), "DMAR: it failed");
        assert_eq!(message(b"no record"), None);
    }

    #[test]
    fn interrupts() {
        let silent = "           CPU0       CPU1\n  0:         73          0  IO-APIC    2-edge      \
                      timer\n 24:          0          0  PCI-MSI-0000:00:01.0    0-edge      AMD-Vi\n";
        assert!(had_no_interrupt(silent));
        assert!(!had_no_interrupt(
            &silent.replace("24:          0", "24:          1")
        ));
        assert!(!had_no_interrupt(
            "  0:         73          0  IO-APIC    2-edge      timer\n"
        ));
    }

    #[test]
    fn faults() {
        let intel = "DMAR: [DMA Write NO_PASID] Request device [0000:00:04.0] \
                     fault addr 0x1001000 [fault reason 0x05] PTE Write access is not set";
        let amd = "pci 0000:00:04.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0001 \
                   address=0x1001000 flags=0x0020]";
        let virtio = "virtio_iommu virtio0: page fault from EP 32 at 0x1001000 [W]";
        for line in [intel, amd, virtio] {
            assert!(is_fault(line, 0x100_1000));
            assert!(!is_fault(line, 0x100_1001));
            assert!(!is_fault(line, 0x1001));
        }
        assert!(!is_fault("DMAR: DRHD: handling fault status reg 2", 2));
        assert!(!is_fault("mapped at 0x1001000", 0x100_1000));
    }
}
