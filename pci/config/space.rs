// SPDX-License-Identifier: GPL-2.0

//! Reading and writing.

use super::{
    bar::Sizing,
    cell::{
        load,
        permissions,
        store,
        Cell, //
    },
    finding::Finding,
    hardware::{
        Decode,
        Facts,
        Hardware, //
    },
    header,
    permission::Masks,
    size::{
        EXTENDED_SIZE,
        HEADER_SIZE, //
    },
    walk::Walk,
    width::Width, //
};

use core::ops::DerefMut;

/// Part of an access: 1, 2 or 4 aligned bytes of one capability.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Chunk {
    pub(super) offset: u16,
    pub(super) width: Width,
}

impl Chunk {
    /// Offset of the first byte.
    #[inline]
    pub fn offset(self) -> u16 {
        self.offset
    }

    /// Number of bytes.
    #[inline]
    pub fn width(self) -> Width {
        self.width
    }

    /// Whether the byte at `offset` is in this chunk.
    pub(super) fn covers(self, offset: u16) -> bool {
        offset
            .checked_sub(self.offset)
            .is_some_and(|distance| distance < self.width.bytes())
    }
}

/// The config space of one open device.
///
/// `B` holds a [`Cell`] for each byte of config space.
pub struct Space<B> {
    pub(super) cells: B,
    /// How many of them count. A copy, since every access asks several times.
    size: u16,
    pub(super) facts: Facts,
    pub(super) sizing: [Sizing; 6],
    pub(super) rom_sizing: Sizing,
    /// The BARs and the ROM BAR of the hardware when the device was opened.
    pub(super) host_bars: [u32; 7],
    /// The state of Interrupt Disable that the host was told.
    pub(super) intx_disabled: bool,
    /// A bit for each aligned dword whose bytes belong to one capability, as nearly all do: an
    /// access to one of them does not look at each byte.
    whole: [u64; WHOLE_WORDS],
}

// CAST: Widens.
const WHOLE_WORDS: usize = (EXTENDED_SIZE / 4 / 64) as usize;

impl<B: DerefMut<Target = [Cell]>> Space<B> {
    /// Examines a device.
    ///
    /// `cells` has one [`Cell::UNASSIGNED`] for each byte of config space that the host can
    /// access. Any number will do: less than a header is not used at all; nor is what is behind
    /// [`EXTENDED_SIZE`], or behind the last whole dword. What is peculiar about the device is
    /// passed to `report`.
    ///
    /// # Errors
    ///
    /// The hardware could not be read.
    pub fn build<H: Hardware>(
        mut cells: B,
        hardware: &H,
        facts: Facts,
        report: &mut dyn FnMut(Finding),
    ) -> Result<Self, H::Error> {
        let size = usable(&cells);
        let mut walk = Walk::new(hardware, &mut cells, size, report);
        walk.header()?;
        if let Some(lanes) = walk.conventional()? {
            walk.extended(lanes)?;
        }
        let mut space = Self {
            cells,
            size,
            facts,
            sizing: Sizing::of_bars(&facts.bars),
            rom_sizing: Sizing::of_rom(facts.rom),
            host_bars: [0; 7],
            intx_disabled: false,
            whole: [0; WHOLE_WORDS],
        };
        space.find_whole();
        space.adjust_header(report);
        Ok(space)
    }

    /// Number of bytes that users can access.
    #[inline]
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Cuts the first chunk off an access of `count` bytes.
    ///
    /// Returns [`None`] if the access is empty or not within config space.
    #[inline]
    pub fn chunk(&self, offset: u64, count: usize) -> Option<Chunk> {
        let offset = u16::try_from(offset).ok()?;
        let cells = self
            .cells
            .get(usize::from(offset)..usize::from(self.size))?;
        let (access, _) = cells.split_at_checked(count)?;
        let first = access.first()?;
        let to_boundary = 4 - offset % 4;
        let within = access.get(..usize::from(to_boundary)).unwrap_or(access);
        let same = if self.is_whole(offset) {
            within.len()
        } else {
            let same = within.iter().take_while(|cell| cell.same_capability(first));
            same.count()
        };
        Some(Chunk {
            offset,
            width: Width::widest(offset, u16::try_from(same).ok()?),
        })
    }

    /// Whether the aligned dword around `offset` belongs to one capability.
    fn is_whole(&self, offset: u16) -> bool {
        let dword = usize::from(offset / 4);
        let word = self.whole.get(dword / 64);
        word.is_some_and(|word| (word >> (dword % 64)) & 1 != 0)
    }

    /// Finds out which dwords do. To be called when the owner of a byte has changed.
    fn find_whole(&mut self) {
        self.whole = [0; WHOLE_WORDS];
        for (word, cells) in self.whole.iter_mut().zip(self.cells.chunks(64 * 4)) {
            for (bit, dword) in cells.chunks_exact(4).enumerate() {
                if let [first, others @ ..] = dword {
                    let is_whole = others.iter().all(|cell| cell.same_capability(first));
                    *word |= u64::from(is_whole) << bit;
                }
            }
        }
    }

    /// Reads a chunk as the user sees it.
    ///
    /// # Errors
    ///
    /// The hardware could not be read.
    pub fn read<H: Hardware>(&self, hardware: &H, chunk: Chunk) -> Result<u32, H::Error> {
        let Chunk { offset, width } = chunk;
        if !self.contains(chunk) {
            return Ok(width.mask());
        }
        let masks = permissions(&self.cells, offset, width);
        let mut value = load(&self.cells, offset, width);
        if masks.virt != width.mask() {
            let real = hardware.read(offset, width)?;
            value = (real & !masks.virt) | (value & masks.virt);
        }
        if offset == header::COMMAND && self.facts.no_command_memory {
            value |= self.command() & header::COMMAND_MEMORY;
        }
        Ok(value & width.mask())
    }

    /// Writes the bits that can be written to where they are, without any further effect.
    ///
    /// # Errors
    ///
    /// The hardware could not be read or written; then the shadow is unchanged.
    pub(super) fn write_bits<H: Hardware>(
        &mut self,
        hardware: &H,
        chunk: Chunk,
        value: u32,
    ) -> Result<(), H::Error> {
        let Chunk { offset, width } = chunk;
        let masks = permissions(&self.cells, offset, width);
        let real = masks.write & !masks.virt;
        if real != 0 {
            let mut merged = value & real;
            if real != width.mask() {
                // A bit that a one clears keeps its state if it is written as zero.
                merged |= hardware.read(offset, width)? & !(real | masks.clear);
            }
            hardware.write(offset, width, merged & width.mask())?;
        }
        self.store_virtual(chunk, masks, value);
        Ok(())
    }

    /// Writes the virtual bits that can be written.
    pub(super) fn store_virtual(&mut self, chunk: Chunk, masks: Masks, value: u32) {
        let Chunk { offset, width } = chunk;
        let virt = masks.write & masks.virt;
        if virt != 0 {
            let old = load(&self.cells, offset, width);
            let new = (old & !virt) | (value & virt);
            store(&mut self.cells, offset, width, new);
        }
    }

    /// Whether `chunk`, which may come from another space, is within this one.
    pub(super) fn contains(&self, chunk: Chunk) -> bool {
        let end = usize::from(chunk.offset).saturating_add(usize::from(chunk.width.bytes()));
        end <= usize::from(self.size)
    }

    /// Which decoders the user has enabled.
    pub fn decode(&self) -> Decode {
        self.decode_of(self.command())
    }

    /// Which decoders are enabled when the Command Register is `command`.
    pub(super) fn decode_of(&self, command: u32) -> Decode {
        Decode {
            memory: self.facts.no_command_memory || command & header::COMMAND_MEMORY != 0,
            io: command & header::COMMAND_IO != 0,
        }
    }

    /// The Interrupt Pin Register as the user sees it; zero if there is no INTx.
    pub fn interrupt_pin(&self) -> u8 {
        let [pin, ..] = load(&self.cells, header::INTERRUPT_PIN, Width::Byte).to_le_bytes();
        pin
    }

    /// Makes a dword one that the host emulates, with this first value.
    pub fn set_virtual_dword(&mut self, offset: u16, value: u32) {
        let cells = self.cells.iter_mut().skip(usize::from(offset));
        for (cell, byte) in cells.zip(value.to_le_bytes()) {
            cell.emulate(byte);
        }
        self.find_whole();
    }

    /// Whether the byte at `offset` belongs to the capability at `start`.
    pub(super) fn belongs(&self, offset: u16, start: u16) -> bool {
        let cell = self.cells.get(usize::from(offset));
        cell.is_some_and(|cell| cell.start() == start)
    }

    /// What a byte belongs to, and where that starts.
    #[cfg(any(test, CONFIG_VFIO_RUST_KUNIT_TEST))]
    pub(crate) fn owner(&self, offset: u16) -> (super::cell::Kind, u16) {
        let cell = self.cells.get(usize::from(offset)).copied();
        let cell = cell.unwrap_or(Cell::UNASSIGNED);
        (cell.kind(), cell.start())
    }

    /// The shadow of the Command Register.
    pub(super) fn command(&self) -> u32 {
        load(&self.cells, header::COMMAND, Width::Word)
    }

    /// Adapts the shadow of the header to what the host knows.
    fn adjust_header(&mut self, report: &mut dyn FnMut(Finding)) {
        for (bar, offset) in self.host_bars.iter_mut().zip(header::bar_registers()) {
            *bar = load(&self.cells, offset, Width::Dword);
        }
        self.size_bars();
        if self.facts.is_virtfn {
            self.adjust_virtual_function(report);
        }
        if self.facts.no_command_memory {
            let command = self.command() | header::COMMAND_MEMORY;
            store(&mut self.cells, header::COMMAND, Width::Word, command);
        }
        if self.facts.is_virtfn || !self.facts.intx_usable {
            store(&mut self.cells, header::INTERRUPT_PIN, Width::Byte, 0);
        }
    }

    /// Reduces the BARs of the shadow to the bits that their decoders have.
    pub(super) fn size_bars(&mut self) {
        let sizings = self.sizing.iter().chain([&self.rom_sizing]);
        for (offset, sizing) in header::bar_registers().zip(sizings) {
            let value = sizing.apply(load(&self.cells, offset, Width::Dword));
            store(&mut self.cells, offset, Width::Dword, value);
        }
    }

    /// A virtual function has no IDs of its own, and must not have an interrupt pin.
    fn adjust_virtual_function(&mut self, report: &mut dyn FnMut(Finding)) {
        let Facts { vendor, device, .. } = self.facts;
        let pin = self.interrupt_pin();
        if pin != 0 {
            report(Finding::VirtualFunctionPin { pin });
        }
        let cells = &mut self.cells;
        store(cells, header::VENDOR_ID, Width::Word, u32::from(vendor));
        store(cells, header::DEVICE_ID, Width::Word, u32::from(device));
    }
}

/// Number of bytes of config space that `cells` describe.
fn usable(cells: &[Cell]) -> u16 {
    match u16::try_from(cells.len()) {
        Ok(..HEADER_SIZE) => 0,
        Ok(size) => size.min(EXTENDED_SIZE) & !0x3,
        Err(_) => EXTENDED_SIZE,
    }
}
