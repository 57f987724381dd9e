// SPDX-License-Identifier: GPL-2.0

//! A PCI device behind its VFIO file descriptor: regions, configuration space, interrupts.

use std::os::fd::{
    AsRawFd,
    BorrowedFd, //
};
use std::sync::Arc;

use anyhow::{
    ensure,
    Context,
    Result, //
};
use nix::errno::Errno;
use nix::sys::uio::{
    pread,
    pwrite, //
};
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_BAR0_REGION_INDEX,
    VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_INTX_IRQ_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX,
    VFIO_PCI_MSI_IRQ_INDEX,
    VFIO_PCI_ROM_REGION_INDEX,
    VFIO_REGION_INFO_FLAG_MMAP,
    VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE, //
};
use vfio_ioctls::{
    VfioContainer,
    VfioDevice,
    VfioRegionInfoCap, //
};
use vmm_sys_util::eventfd::EventFd;

use crate::bar::Bar;
use crate::container::plain;
use crate::pci::Address;
use crate::report::size;

/// Offset of the command register in configuration space.
const COMMAND: u64 = 0x04;
/// The device answers accesses to its memory BARs.
const COMMAND_MEMORY: u16 = 1 << 1;
/// The device may start DMA, which message-signalled interrupts are too.
const COMMAND_MASTER: u16 = 1 << 2;

/// The kinds of interrupt that the demo uses.
#[derive(Clone, Copy, Debug)]
pub enum IrqKind {
    /// A message, set up in configuration space.
    Msi,
    /// A message, set up in a table in a BAR.
    Msix,
}

/// One region, as the kernel describes it.
pub struct Region {
    index: u32,
    flags: u32,
    size: u64,
    offset: u64,
    caps: Vec<VfioRegionInfoCap>,
}

/// An open device.
pub struct Device {
    device: VfioDevice,
    address: Address,
}

impl Device {
    /// Opens the device at `address`, and its group into `container`.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses the group or the device.
    pub fn open(address: Address, container: Arc<VfioContainer>) -> Result<Self> {
        let device = VfioDevice::new(&address.sysfs(), container, false).map_err(plain)?;

        Ok(Self { device, address })
    }

    /// The PCI address.
    pub fn address(&self) -> Address {
        self.address
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: The descriptor stays open as long as `self.device` lives, which the lifetime of
        // the result is bound to.
        unsafe { BorrowedFd::borrow_raw(self.device.as_raw_fd()) }
    }

    /// How many vectors there are of INTx, MSI and MSI-X.
    pub fn vectors(&self) -> [u32; 3] {
        [
            VFIO_PCI_INTX_IRQ_INDEX,
            VFIO_PCI_MSI_IRQ_INDEX,
            VFIO_PCI_MSIX_IRQ_INDEX,
        ]
        .map(|index| self.device.get_irq_info(index).map_or(0, |irq| irq.count))
    }

    /// The regions that have a size: BARs, ROM and configuration space.
    pub fn regions(&self) -> Vec<Region> {
        (VFIO_PCI_BAR0_REGION_INDEX..=VFIO_PCI_CONFIG_REGION_INDEX)
            .map(|index| self.region(index))
            .filter(|region| region.size != 0)
            .collect()
    }

    fn region(&self, index: u32) -> Region {
        Region {
            index,
            flags: self.device.get_region_flags(index),
            size: self.device.get_region_size(index),
            offset: self.device.get_region_offset(index),
            caps: self.device.get_region_caps(index),
        }
    }

    /// Reads exactly the bytes of `buffer` from a region, by a system call.
    ///
    /// # Errors
    ///
    /// The errno of the kernel; EIO also stands for fewer bytes than asked for.
    pub fn read(&self, index: u32, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let count = pread(self.fd(), buffer, self.position(index, offset)?)?;

        (count == buffer.len()).then_some(()).ok_or(Errno::EIO)
    }

    /// Writes exactly the bytes of `buffer` to a region, by a system call.
    ///
    /// # Errors
    ///
    /// As [`Device::read`].
    pub fn write(&self, index: u32, offset: u64, buffer: &[u8]) -> Result<(), Errno> {
        let count = pwrite(self.fd(), buffer, self.position(index, offset)?)?;

        (count == buffer.len()).then_some(()).ok_or(Errno::EIO)
    }

    /// Where a byte of a region is in the device's file.
    fn position(&self, index: u32, offset: u64) -> Result<i64, Errno> {
        self.region(index)
            .offset
            .checked_add(offset)
            .and_then(|position| i64::try_from(position).ok())
            .ok_or(Errno::EINVAL)
    }

    /// Reads a register of a BAR by a system call, not through a mapping.
    ///
    /// # Errors
    ///
    /// As [`Device::read`].
    pub fn read_register(&self, index: u32, offset: u64) -> Result<u32, Errno> {
        let mut bytes = [0; 4];
        self.read(index, offset, &mut bytes)?;

        Ok(u32::from_le_bytes(bytes))
    }

    /// Maps a whole BAR.
    ///
    /// # Errors
    ///
    /// Fails when the region cannot be mapped.
    pub fn map_bar(&self, index: u32) -> Result<Bar> {
        let region = self.region(index);
        ensure!(
            region.flags & VFIO_REGION_INFO_FLAG_MMAP != 0,
            "{} of {} cannot be mapped",
            region.name(),
            self.address
        );

        Bar::map(self.fd(), region.offset, region.size)
            .with_context(|| format!("mmap of {} of {}", region.name(), self.address))
    }

    /// The largest BAR that can be mapped.
    pub fn largest_bar(&self) -> Option<u32> {
        (VFIO_PCI_BAR0_REGION_INDEX..VFIO_PCI_ROM_REGION_INDEX)
            .map(|index| self.region(index))
            .filter(|region| region.flags & VFIO_REGION_INFO_FLAG_MMAP != 0)
            .max_by_key(|region| region.size)
            .map(|region| region.index)
    }

    /// Reads the command register.
    ///
    /// # Errors
    ///
    /// As [`Device::read`].
    pub fn command(&self) -> Result<u16> {
        let mut bytes = [0; 2];
        self.read(VFIO_PCI_CONFIG_REGION_INDEX, COMMAND, &mut bytes)
            .context("read of the command register")?;

        Ok(u16::from_le_bytes(bytes))
    }

    fn set_command(&self, command: u16) -> Result<u16> {
        self.write(
            VFIO_PCI_CONFIG_REGION_INDEX,
            COMMAND,
            &command.to_le_bytes(),
        )
        .context("write of the command register")?;
        let found = self.command()?;
        ensure!(
            found == command,
            "the command register reads {found:#06x} after a write of {command:#06x}"
        );

        Ok(found)
    }

    /// Lets the device start DMA and send messages; returns the command register.
    ///
    /// VFIO opens a device with this switched off.
    ///
    /// # Errors
    ///
    /// Fails when the register cannot be accessed, or does not take the bit.
    pub fn enable_master(&self) -> Result<u16> {
        self.set_command(self.command()? | COMMAND_MASTER | COMMAND_MEMORY)
    }

    /// Switches the memory BARs on or off; returns the command register.
    ///
    /// # Errors
    ///
    /// As [`Device::enable_master`].
    pub fn set_memory(&self, on: bool) -> Result<u16> {
        let others = self.command()? & !COMMAND_MEMORY;

        self.set_command(if on { others | COMMAND_MEMORY } else { others })
    }

    /// Has vector 0 of a kind of interrupt signal `event`.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses, for example because the device has no such vector.
    pub fn enable_irq(&self, kind: IrqKind, event: &EventFd) -> Result<()> {
        match kind {
            IrqKind::Msi => self.device.enable_msi(vec![event]),
            IrqKind::Msix => self.device.enable_msix(vec![event]),
        }
        .map_err(plain)
        .with_context(|| format!("{kind:?} of {}", self.address))
    }

    /// Disables all vectors of a kind of interrupt.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses.
    pub fn disable_irq(&self, kind: IrqKind) -> Result<()> {
        match kind {
            IrqKind::Msi => self.device.disable_msi(),
            IrqKind::Msix => self.device.disable_msix(),
        }
        .map_err(plain)
        .with_context(|| format!("{kind:?} of {}", self.address))
    }
}

impl Region {
    /// What the region is.
    fn name(&self) -> String {
        match self.index {
            VFIO_PCI_CONFIG_REGION_INDEX => "config".to_string(),
            VFIO_PCI_ROM_REGION_INDEX => "ROM".to_string(),
            bar => format!("BAR{bar}"),
        }
    }

    /// One line for the user to read.
    pub fn describe(&self) -> String {
        let access = [
            (VFIO_REGION_INFO_FLAG_READ, "read"),
            (VFIO_REGION_INFO_FLAG_WRITE, "write"),
            (VFIO_REGION_INFO_FLAG_MMAP, "mmap"),
        ]
        .into_iter()
        .filter(|(flag, _)| self.flags & flag != 0)
        .map(|(_, name)| name);
        let words: Vec<&str> = access.chain(self.caps.iter().map(name)).collect();

        format!(
            "{:<6} {:>8} at {:#013x}  {}",
            self.name(),
            size(self.size),
            self.offset,
            words.join(" ")
        )
    }
}

/// The name of a capability of a region.
fn name(cap: &VfioRegionInfoCap) -> &'static str {
    match cap {
        VfioRegionInfoCap::SparseMmap(_) => "[sparse mmap]",
        VfioRegionInfoCap::Type(_) => "[type]",
        VfioRegionInfoCap::MsixMappable => "[MSI-X table mappable]",
        _ => "[other capability]",
    }
}
