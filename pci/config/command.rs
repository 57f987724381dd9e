// SPDX-License-Identifier: GPL-2.0

//! Writes to the header: the Command Register and the BARs.

use super::{
    cell::{
        permissions,
        store,
        Cell, //
    },
    hardware::{
        CommandWrite,
        Effects,
        Hardware,
        Lost, //
    },
    header,
    space::{
        Chunk,
        Space, //
    },
    width::Width, //
};

use core::ops::DerefMut;

/// Whether the byte at `offset` of the header belongs to a BAR or the ROM BAR.
fn is_bar(offset: u16) -> bool {
    matches!(
        offset,
        header::BASE_ADDRESS_0..header::BASE_ADDRESS_END
            | header::ROM_ADDRESS..header::ROM_ADDRESS_END
    )
}

/// The bits that enable decoders.
const DECODE: u32 = header::COMMAND_IO | header::COMMAND_MEMORY;

/// The upper byte of the Command Register.
const COMMAND_UPPER: u16 = header::COMMAND + 1;

impl<B: DerefMut<Target = [Cell]>> Space<B> {
    /// Writes a chunk of the header.
    pub(super) fn write_header<E: Effects>(
        &mut self,
        effects: &mut E,
        chunk: Chunk,
        value: u32,
    ) -> Result<(), E::Error> {
        match chunk.offset {
            header::COMMAND => self.write_decoders(effects, chunk, value)?,
            COMMAND_UPPER => self.write_command(effects, chunk, value, self.command(), None)?,
            _ => self.write_bits(effects.hardware(), chunk, value)?,
        }
        if chunk.covers(COMMAND_UPPER) {
            self.update_intx(effects);
        }
        // The shadow of a BAR changes by nothing else, and they are whole dwords.
        if is_bar(chunk.offset) {
            self.size_bars();
        }
        Ok(())
    }

    /// Writes a chunk that starts with the Command Register, so has the bits that enable decoders.
    fn write_decoders<E: Effects>(
        &mut self,
        effects: &mut E,
        chunk: Chunk,
        value: u32,
    ) -> Result<(), E::Error> {
        let hardware = effects.hardware();
        let real = hardware.read(header::COMMAND, Width::Word)?;
        let lost = self.reset_was_missed(hardware, real, value);
        // The BARs of a virtual function are not its own.
        let lost = (lost && !self.facts.is_virtfn).then_some(Lost {
            bars: self.host_bars,
            intx_disable: self.facts.no_intx,
        });
        let command = (self.command() & !DECODE) | (value & DECODE);
        self.write_command(effects, chunk, value, command, lost)
    }

    /// Writes a chunk with a part of the Command Register. The shadow becomes `command`, but for
    /// the virtual bits, which are written as others are.
    fn write_command<E: Effects>(
        &mut self,
        effects: &mut E,
        chunk: Chunk,
        value: u32,
        command: u32,
        lost: Option<Lost>,
    ) -> Result<(), E::Error> {
        let masks = permissions(&self.cells, chunk.offset, chunk.width);
        // What is behind the register cannot be written.
        let in_register = |bits: u32| {
            let shift = 8 * u32::from(chunk.offset.saturating_sub(header::COMMAND));
            // CAST: The register has 16 bits.
            (bits << shift) as u16
        };
        effects.write_command(&CommandWrite {
            mask: in_register(masks.write & !masks.virt & chunk.width.mask()),
            value: in_register(value),
            decode: self.decode_of(command),
            revoke: chunk.offset == header::COMMAND && value & header::COMMAND_MEMORY == 0,
            lost,
        })?;
        store(&mut self.cells, header::COMMAND, Width::Word, command);
        self.store_virtual(chunk, masks, value);
        Ok(())
    }

    /// Whether the device was reset behind the host's back.
    ///
    /// `real` is the Command Register of the hardware, `new` what the user writes. Decoders which
    /// the user enabled before, and now again, cannot be off; and the BARs cannot have changed.
    fn reset_was_missed<H: Hardware>(&self, hardware: &H, real: u32, new: u32) -> bool {
        let mut lost = new & self.command() & !real & DECODE;
        if self.facts.no_command_memory {
            lost &= !header::COMMAND_MEMORY;
        }
        lost != 0 || self.bars_differ(hardware)
    }

    /// Whether a BAR that had a value when the device was opened has another one now.
    fn bars_differ<H: Hardware>(&self, hardware: &H) -> bool {
        header::bar_registers()
            .take(6)
            .zip(self.host_bars)
            .filter(|(_, saved)| *saved != 0)
            .any(|(offset, saved)| {
                let real = hardware.read(offset, Width::Dword);
                real.map_or(true, |real| real != saved)
            })
    }

    /// Tells the host if Interrupt Disable is not what it was told last.
    fn update_intx<E: Effects>(&mut self, effects: &mut E) {
        let disabled = self.command() & header::COMMAND_INTX_DISABLE != 0;
        if disabled != self.intx_disabled {
            self.intx_disabled = disabled;
            effects.set_intx_disabled(disabled);
        }
    }
}
