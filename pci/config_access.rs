// SPDX-License-Identifier: GPL-2.0

//! Access of the user to config space.

use crate::{
    abstractions::pci::{
        Function,
        PowerState, //
    },
    config::{
        bar_registers,
        Chunk,
        CommandWrite,
        Effects,
        Finding,
        Hardware,
        Lost,
        Msi,
        PowerState as ConfigPowerState,
        Width, //
    },
    device::CoreDevice,
    opened::Opened, //
};
use kernel::{
    fmt,
    prelude::*,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};
use vfio::{
    abstractions::nospec,
    device::Device, //
};

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::fmt::Display::fmt(self, formatter)
    }
}

impl Hardware for Function {
    type Error = Error;

    fn read(&self, offset: u16, width: Width) -> Result<u32> {
        Ok(match width {
            Width::Byte => u32::from(self.user_read_byte(offset)?),
            Width::Word => u32::from(self.user_read_word(offset)?),
            Width::Dword => self.user_read_dword(offset)?,
        })
    }

    fn write(&self, offset: u16, width: Width, value: u32) -> Result {
        match width {
            // CAST: Only the low bytes are to be written.
            Width::Byte => self.user_write_byte(offset, value as u8),
            // CAST: As above.
            Width::Word => self.user_write_word(offset, value as u16),
            Width::Dword => self.user_write_dword(offset, value),
        }
    }
}

/// The device as the config space of a user acts on it.
struct Access<'a> {
    core: &'a CoreDevice,
    device: &'a Device,
}

impl Effects for Access<'_> {
    type Error = Error;
    type Hardware = Function;

    fn hardware(&self) -> &Function {
        self.core.function()
    }

    /// The PCI core keeps users from config space before it announces a reset, which then waits
    /// for the memory lock: who held that and waited to get at config space would wait for ever.
    /// So nothing here is an access on behalf of the user, which would wait. There is no need to,
    /// either, as no reset begins meanwhile. (That of a link, to recover from an error, is not
    /// announced; what is written during it is lost like everything else.)
    fn write_command(&mut self, write: &CommandWrite) -> Result {
        let memory = self.core.memory();
        let mut exclusive = if write.revoke {
            memory.revoke(self.device)
        } else {
            memory.exclusive()
        };
        if let Some(lost) = &write.lost {
            self.give_back(lost);
        }
        self.core.command().write(write.mask, write.value);
        exclusive.set_decode(write.decode.memory);

        Ok(())
    }

    fn set_intx_disabled(&mut self, disabled: bool) {
        self.core.irq().set_intx_disabled(disabled);
    }

    fn set_power_state(&mut self, state: ConfigPowerState) {
        let memory = self.core.memory();
        let (mut exclusive, state) = match state {
            ConfigPowerState::D0 => (memory.exclusive(), PowerState::D0),
            ConfigPowerState::D1 => (memory.exclusive(), PowerState::D1),
            ConfigPowerState::D2 => (memory.exclusive(), PowerState::D2),
            ConfigPowerState::D3hot => (memory.revoke(self.device), PowerState::D3hot),
        };

        // The user sees in the register whether the device has followed.
        let _ = exclusive.set_power_state(state);
    }

    fn reset_function(&mut self) -> Result {
        // The PCI core announces the reset, which takes device memory away.
        self.core.function().try_reset()
    }

    fn set_read_request(&mut self, bytes: u32) {
        self.core.function().set_read_request(bytes);
    }

    fn read_vpd(&mut self, address: u16) -> Option<u32> {
        self.core.function().read_vpd(address)
    }

    fn write_vpd(&mut self, address: u16, data: u32) -> bool {
        self.core.function().write_vpd(address, data)
    }

    fn msi(&self) -> Msi {
        self.core.irq().msi()
    }
}

impl Access<'_> {
    /// Gives the device back what it has lost in a reset that nobody announced.
    fn give_back(&self, lost: &Lost) {
        let function = self.core.function();
        let command = self.core.command();

        dev_info!(function, "reset recovery - restoring BARs\n");
        for (offset, bar) in bar_registers().zip(lost.bars) {
            function.write_dword(offset, bar);
        }
        if lost.intx_disable {
            command.set_intx_disabled(true);
        } else {
            command.restore_intx_disable();
        }
    }
}

impl Opened {
    /// Returns the next piece of an access to config space.
    fn chunk(&self, offset: u64, count: usize, done: usize) -> Result<Chunk> {
        let position = usize::try_from(offset)?.checked_add(done).ok_or(EFAULT)?;
        let config = self.config.lock();
        // Within the cells even where a processor speculates.
        let position = nospec::checked_index(position, config.size().into()).ok_or(EFAULT)?;

        // CAST: A `usize` has 64 bits where this driver runs.
        config
            .chunk(position as u64, count.saturating_sub(done))
            .ok_or(EFAULT)
    }

    /// Reads config space for the user.
    ///
    /// # Errors
    ///
    /// EFAULT beyond the end or for a bad buffer, or that of the hardware.
    pub(crate) fn read_config(
        &self,
        core: &CoreDevice,
        offset: u64,
        buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        let count = buffer.len();
        let mut done = 0;
        while done < count {
            let chunk = self.chunk(offset, count, done)?;
            let value = self.config.lock().read(core.function(), chunk)?;
            let len = usize::from(chunk.width().bytes());
            buffer.write_slice(value.to_le_bytes().get(..len).ok_or(EINVAL)?)?;
            done += len;
        }

        Ok(done)
    }

    /// Writes config space for the user.
    ///
    /// # Errors
    ///
    /// EFAULT beyond the end or for a bad buffer, or that of the hardware.
    pub(crate) fn write_config(
        &self,
        core: &CoreDevice,
        device: &Device,
        offset: u64,
        buffer: &mut UserSliceReader,
    ) -> Result<usize> {
        let mut access = Access { core, device };
        let count = buffer.len();
        let mut done = 0;
        while done < count {
            let chunk = self.chunk(offset, count, done)?;
            let len = usize::from(chunk.width().bytes());
            let mut value = [0; size_of::<u32>()];
            buffer.read_slice(value.get_mut(..len).ok_or(EINVAL)?)?;
            let value = u32::from_le_bytes(value);
            self.config.lock().write(&mut access, chunk, value)?;
            done += len;
        }

        Ok(done)
    }
}
