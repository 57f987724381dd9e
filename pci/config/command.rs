// SPDX-License-Identifier: GPL-2.0

//! Writes to the header: the Command Register and the BARs.

use super::{
    cell::{
        load,
        store,
        Cell, //
    },
    hardware::{
        Effects,
        Hardware, //
    },
    header,
    space::{
        Chunk,
        Space, //
    },
    width::Width, //
};

use core::ops::DerefMut;

/// Offsets of the BARs, and behind them that of the ROM BAR.
pub(super) fn bar_registers() -> impl Iterator<Item = u16> {
    let bars = (header::BASE_ADDRESS_0..header::BASE_ADDRESS_END).step_by(4);
    bars.chain([header::ROM_ADDRESS])
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
            header::COMMAND => self.write_command(effects, chunk, value)?,
            COMMAND_UPPER => {
                // The decoders stay as they are. But the host may have masked INTx in between.
                effects.begin_command(false);
                let result = self.write_bits(effects, chunk, value);
                effects.end_command(self.decode());
                result?;
            }
            _ => self.write_bits(effects, chunk, value)?,
        }
        if chunk.covers(COMMAND_UPPER) {
            self.update_intx(effects);
        }
        self.size_bars();
        Ok(())
    }

    /// Writes a chunk that starts with the Command Register, so has the bits that enable decoders.
    fn write_command<E: Effects>(
        &mut self,
        effects: &mut E,
        chunk: Chunk,
        value: u32,
    ) -> Result<(), E::Error> {
        let real = effects.read(header::COMMAND, Width::Word)?;
        effects.begin_command(value & header::COMMAND_MEMORY == 0);
        if self.reset_was_missed(effects, real, value) {
            self.restore_bars(effects);
        }
        let result = self.write_bits(effects, chunk, value);
        if result.is_ok() {
            let command = (self.command() & !DECODE) | (value & DECODE);
            store(&mut self.cells, header::COMMAND, Width::Word, command);
        }
        effects.end_command(self.decode());
        result
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
        bar_registers()
            .take(6)
            .zip(self.host_bars)
            .filter(|(_, saved)| *saved != 0)
            .any(|(offset, saved)| {
                let real = hardware.read(offset, Width::Dword);
                real.map_or(true, |real| real != saved)
            })
    }

    /// Gives the BARs of the hardware the values that they had when the device was opened.
    ///
    /// This is an attempt to recover; if it fails, the write that follows fails too.
    fn restore_bars<E: Effects>(&self, effects: &mut E) {
        if self.facts.is_virtfn {
            return;
        }
        effects.bars_restored();
        for (offset, saved) in bar_registers().zip(self.host_bars) {
            let _ = effects.write(offset, Width::Dword, saved);
        }
        if self.facts.no_intx {
            if let Ok(command) = effects.read(header::COMMAND, Width::Word) {
                let command = command | header::COMMAND_INTX_DISABLE;
                let _ = effects.write(header::COMMAND, Width::Word, command);
            }
        }
    }

    /// Tells the host if Interrupt Disable is not what it was told last.
    fn update_intx<E: Effects>(&mut self, effects: &mut E) {
        let disabled = self.command() & header::COMMAND_INTX_DISABLE != 0;
        if disabled != self.intx_disabled {
            self.intx_disabled = disabled;
            effects.set_intx_disabled(disabled);
        }
    }

    /// Reduces the BARs of the shadow to the bits that their decoders have.
    pub(super) fn size_bars(&mut self) {
        let sizings = self.sizing.iter().chain([&self.rom_sizing]);
        for (offset, sizing) in bar_registers().zip(sizings) {
            let value = sizing.apply(load(&self.cells, offset, Width::Dword));
            store(&mut self.cells, offset, Width::Dword, value);
        }
    }
}
