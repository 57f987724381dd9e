// SPDX-License-Identifier: GPL-2.0

//! Reading, writing and mapping BARs, and reading the ROM.

use crate::{
    abstractions::{
        io::mem::{
            IoMem,
            Width, //
        },
        pci::{
            Function,
            ROM_RESOURCE, //
        }, //
    },
    bars::Bar,
    memory::MemoryLock,
    opened::Opened,
    region::{
        clip,
        PageAddress,
        Region, //
    },
    transfer::Registers, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};
use vfio::abstractions::mm::pfnmap::{
    self,
    NewMapping, //
};

impl Opened {
    /// Returns a BAR that has been assigned an address.
    fn assigned_bar(&self, index: usize) -> Result<&Bar> {
        self.bars
            .get(index)
            .filter(|bar| bar.resource().start != 0)
            .ok_or(EINVAL)
    }

    /// Reads a BAR for the user.
    ///
    /// # Errors
    ///
    /// EINVAL beyond the end or without an address, EBUSY, ENOMEM or ENODEV if the BAR could not
    /// be mapped, EIO if memory is disabled, EFAULT.
    pub(crate) fn read_bar(
        &self,
        memory: &MemoryLock,
        index: usize,
        offset: u64,
        buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        let bar = self.assigned_bar(index)?;
        let (offset, count) = clip(offset, buffer.len(), bar.resource().len)?;

        bar_registers(memory, bar)?.read(offset, count, buffer)
    }

    /// Writes a BAR for the user.
    ///
    /// # Errors
    ///
    /// As [`Self::read_bar`].
    pub(crate) fn write_bar(
        &self,
        memory: &MemoryLock,
        index: usize,
        offset: u64,
        buffer: &mut UserSliceReader,
    ) -> Result<usize> {
        let bar = self.assigned_bar(index)?;
        let (offset, count) = clip(offset, buffer.len(), bar.resource().len)?;

        bar_registers(memory, bar)?.write(offset, count, buffer)
    }

    /// Checks a mapping that is being made, and makes it uncached.
    ///
    /// # Errors
    ///
    /// EINVAL unless it is a shared one of a part of a BAR, or of a region of the driver, that may
    /// be mapped; EBUSY, ENOMEM or ENODEV if the BAR could not be claimed.
    pub(crate) fn check_mapping(&self, mapping: &NewMapping<'_>) -> Result {
        let address = PageAddress::new(mapping.page_offset()).ok_or(EINVAL)?;
        if !mapping.is_shared() {
            return Err(EINVAL);
        }
        let bar = match address.region {
            Region::Bar(index) => self.bars.get(index).filter(|bar| bar.is_mappable()),
            Region::Device(index) => {
                return self.regions.check_mapping(index, address.page, mapping);
            }
            _ => None,
        }
        .ok_or(EINVAL)?;
        // CAST: A `usize` has 64 bits where this driver runs.
        let pages = pfnmap::pages(mapping.len() as u64);
        let end = address.page.checked_add(pages).ok_or(EINVAL)?;
        if end > pfnmap::pages(bar.resource().len) {
            return Err(EINVAL);
        }
        bar.mapped()?;
        mapping.set_uncached();

        Ok(())
    }
}

/// Returns the registers of a BAR.
fn bar_registers<'a>(memory: &'a MemoryLock, bar: &'a Bar) -> Result<Registers<'a>> {
    Ok(Registers {
        io: bar.mapped()?.registers(),
        memory: bar.resource().is_memory().then_some(memory),
        hidden: bar.hidden(),
        widest: Width::Qword,
    })
}

/// Reads the ROM for the user: the image, and ones behind it.
///
/// # Errors
///
/// EINVAL beyond the end or without a ROM, ENOMEM without a valid image, EIO if memory is disabled,
/// EFAULT.
pub(crate) fn read_rom(
    function: &Function,
    memory: &MemoryLock,
    offset: u64,
    buffer: &mut UserSliceWriter,
) -> Result<usize> {
    let resource = function.resource(ROM_RESOURCE);
    if resource.start != 0 {
        let (offset, count) = clip(offset, buffer.len(), resource.len)?;
        let memory = resource.is_memory().then_some(memory);
        let rom = map_rom(function, memory)?;
        let hidden = behind_image(rom.len(), resource.len);

        return rom_registers(&rom, memory, hidden).read(offset, count, buffer);
    }

    let shadow = function.shadow_rom().ok_or(EINVAL)?;
    // CAST: A `usize` has 64 bits where this driver runs.
    let len = shadow.window_len() as u64;
    let (offset, count) = clip(offset, buffer.len(), len)?;
    let rom = shadow.map()?;
    let hidden = behind_image(rom.len(), len);

    rom_registers(&rom, None, hidden).read(offset, count, buffer)
}

/// Maps the ROM, whose header is read on the way: nobody may disable memory meanwhile.
fn map_rom(function: &Function, memory: Option<&MemoryLock>) -> Result<IoMem> {
    let _enabled = memory.map(MemoryLock::access).transpose()?;

    function.map_rom().ok_or(ENOMEM)
}

fn behind_image(image: usize, window: u64) -> Range<usize> {
    image..usize::try_from(window).unwrap_or(usize::MAX)
}

/// Some devices report an error for accesses of eight bytes to the ROM, so there are none.
fn rom_registers<'a>(
    io: &'a IoMem,
    memory: Option<&'a MemoryLock>,
    hidden: Range<usize>,
) -> Registers<'a> {
    Registers {
        io,
        memory,
        hidden,
        widest: Width::Dword,
    }
}
