// SPDX-License-Identifier: GPL-2.0

//! Writes to capabilities that do more than to change bits.
//!
//! Each function writes the bits first, then looks at what has become of the shadow. `start` is
//! the offset of the capability.

use super::{
    capability,
    cell::{
        load,
        store,
        Cell,
        Kind, //
    },
    hardware::{
        Effects,
        Hardware,
        PowerState, //
    },
    space::{
        Chunk,
        Space, //
    },
    width::Width, //
};

use core::ops::DerefMut;

impl<B: DerefMut<Target = [Cell]>> Space<B> {
    /// Writes a chunk on behalf of the user. Bits that cannot be written are left alone.
    ///
    /// # Errors
    ///
    /// The hardware could not be read or written.
    pub fn write<E: Effects>(
        &mut self,
        effects: &mut E,
        chunk: Chunk,
        value: u32,
    ) -> Result<(), E::Error> {
        let cell = match self.cells.get(usize::from(chunk.offset)) {
            Some(cell) if self.contains(chunk) => *cell,
            _ => return Ok(()),
        };
        match cell.kind() {
            Kind::Header => self.write_header(effects, chunk, value),
            Kind::PowerManagement => self.write_power(effects, cell.start(), chunk, value),
            Kind::VitalProductData => self.write_vpd(effects, cell.start(), chunk, value),
            Kind::Msi(_) => self.write_msi(effects, cell.start(), chunk, value),
            Kind::Express => self.write_express(effects, cell.start(), chunk, value),
            Kind::AdvancedFeatures => self.write_advanced(effects, cell.start(), chunk, value),
            _ => self.write_bits(effects.hardware(), chunk, value),
        }
    }

    /// Writes to the Power Management capability.
    ///
    /// PowerState counts whenever it is written, whether it changes or not: the state of the
    /// device may not be what the user believes.
    pub(super) fn write_power<E: Effects>(
        &mut self,
        effects: &mut E,
        start: u16,
        chunk: Chunk,
        value: u32,
    ) -> Result<(), E::Error> {
        self.write_bits(effects.hardware(), chunk, value)?;
        if chunk.offset == start.saturating_add(capability::PM_CONTROL) {
            effects.set_power_state(match value & capability::PM_STATE {
                0 => PowerState::D0,
                1 => PowerState::D1,
                2 => PowerState::D2,
                _ => PowerState::D3hot,
            });
        }
        Ok(())
    }

    /// Writes to the Vital Product Data capability.
    ///
    /// The write that includes F starts a transfer. F is toggled when it is done; if it fails, the
    /// user waits in vain, as with hardware.
    pub(super) fn write_vpd<E: Effects>(
        &mut self,
        effects: &mut E,
        start: u16,
        chunk: Chunk,
        value: u32,
    ) -> Result<(), E::Error> {
        self.write_bits(effects.hardware(), chunk, value)?;
        let register = start.saturating_add(capability::VPD_ADDRESS);
        let data = start.saturating_add(capability::VPD_DATA);
        // A capability that another one cuts short may not have the data.
        if !chunk.covers(register.saturating_add(1)) || !self.belongs(data, start) {
            return Ok(());
        }
        let control = load(&self.cells, register, Width::Word);
        let address = control & !capability::VPD_ADDRESS_F & Width::Word.mask();
        let address = address as u16; // CAST: the register has 16 bits.
        if control & capability::VPD_ADDRESS_F != 0 {
            if !effects.write_vpd(address, load(&self.cells, data, Width::Dword)) {
                return Ok(());
            }
        } else {
            let Some(value) = effects.read_vpd(address) else {
                return Ok(());
            };
            store(&mut self.cells, data, Width::Dword, value);
        }
        let control = control ^ capability::VPD_ADDRESS_F;
        store(&mut self.cells, register, Width::Word, control);
        Ok(())
    }

    /// Writes to the MSI capability.
    ///
    /// MSI is set up by ioctl. The user can turn it off and on while it is, and have fewer vectors
    /// than that; the rest of Message Control stays as it is.
    pub(super) fn write_msi<E: Effects>(
        &mut self,
        effects: &mut E,
        start: u16,
        chunk: Chunk,
        value: u32,
    ) -> Result<(), E::Error> {
        self.write_bits(effects.hardware(), chunk, value)?;
        let register = start.saturating_add(capability::MSI_CONTROL);
        if !chunk.covers(register) {
            return Ok(());
        }
        let msi = effects.msi();
        let mut control = load(&self.cells, register, Width::Word);
        if !msi.active {
            control &= !capability::MSI_ENABLE;
        }
        let limit = u32::from(msi.log2_vectors) << capability::MSI_QUEUE_SHIFT;
        if control & capability::MSI_QUEUE_SIZE > limit {
            control = (control & !capability::MSI_QUEUE_SIZE) | limit;
        }
        store(&mut self.cells, register, Width::Word, control);
        effects.hardware().write(register, Width::Word, control)?;
        // The ioctl may have turned MSI off in the meantime, if the write had to wait.
        if control & capability::MSI_ENABLE != 0 && !effects.msi().active {
            control &= !capability::MSI_ENABLE;
            store(&mut self.cells, register, Width::Word, control);
            effects.hardware().write(register, Width::Word, control)?;
        }
        Ok(())
    }

    /// Writes to the PCI Express capability.
    pub(super) fn write_express<E: Effects>(
        &mut self,
        effects: &mut E,
        start: u16,
        chunk: Chunk,
        value: u32,
    ) -> Result<(), E::Error> {
        let register = start.saturating_add(capability::EXPRESS_DEVICE_CONTROL);
        let before = load(&self.cells, register, Width::Word);
        self.write_bits(effects.hardware(), chunk, value)?;
        // A capability that another one cuts short may not have the register.
        if !chunk.covers(register) && !chunk.covers(register.saturating_add(1)) {
            return Ok(());
        }
        let control = load(&self.cells, register, Width::Word);
        if control & capability::EXPRESS_FLR != 0 {
            // Reads as zero, also if there is no such reset.
            let control = control & !capability::EXPRESS_FLR;
            store(&mut self.cells, register, Width::Word, control);
            let capabilities = start.saturating_add(capability::EXPRESS_DEVICE_CAPABILITIES);
            let needed = capability::EXPRESS_FLR_CAPABLE;
            if has_bits(effects.hardware(), capabilities, Width::Dword, needed) {
                effects.reset_function()?;
            }
        }
        if (before ^ control) & capability::EXPRESS_READ_REQUEST != 0 {
            let bytes = read_request(control).max(payload(effects.hardware(), register));
            effects.set_read_request(bytes);
        }
        Ok(())
    }

    /// Writes to the Advanced Features capability.
    pub(super) fn write_advanced<E: Effects>(
        &mut self,
        effects: &mut E,
        start: u16,
        chunk: Chunk,
        value: u32,
    ) -> Result<(), E::Error> {
        self.write_bits(effects.hardware(), chunk, value)?;
        let register = start.saturating_add(capability::AF_CONTROL);
        if !chunk.covers(register) {
            return Ok(());
        }
        let control = load(&self.cells, register, Width::Byte);
        if control & capability::AF_FLR != 0 {
            // Reads as zero, also if there is no such reset.
            let control = control & !capability::AF_FLR;
            store(&mut self.cells, register, Width::Byte, control);
            let capabilities = start.saturating_add(capability::AF_CAPABILITIES);
            let needed = capability::AF_RESET_CAPABLE;
            if has_bits(effects.hardware(), capabilities, Width::Byte, needed) {
                effects.reset_function()?;
            }
        }
        Ok(())
    }
}

/// Whether a register of the hardware has all of `bits`; not if it cannot be read.
fn has_bits<H: Hardware>(hardware: &H, offset: u16, width: Width, bits: u32) -> bool {
    hardware
        .read(offset, width)
        .is_ok_and(|value| value & bits == bits)
}

/// Max_Read_Request_Size, in bytes.
fn read_request(control: u32) -> u32 {
    128 << ((control & capability::EXPRESS_READ_REQUEST) >> capability::EXPRESS_READ_REQUEST_SHIFT)
}

/// Max_Payload_Size of the hardware, in bytes.
///
/// It is the floor for read requests, since a smaller value of the user is likely to come from
/// knowing nothing of the hierarchy, and only makes the device slower.
fn payload<H: Hardware>(hardware: &H, register: u16) -> u32 {
    let control = hardware.read(register, Width::Word).unwrap_or(0);
    128 << ((control & capability::EXPRESS_PAYLOAD) >> capability::EXPRESS_PAYLOAD_SHIFT)
}
