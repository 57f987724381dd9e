// SPDX-License-Identifier: GPL-2.0

//! Access of the user to config space.
//!
//! # Locking
//!
//! Whoever waits, for a reset that somebody else has asked for or for the lock around virtual
//! config space, can be killed. A write that has to do with device memory keeps others from that
//! before it takes the lock, so that nobody who has the lock waits for importers of a buffer, or
//! for another user.

use crate::{
    abstractions::{
        pci::Function,
        pm_runtime::Resumed, //
    },
    config::{
        bar_registers,
        Chunk,
        CommandWrite,
        Effects,
        Finding,
        Hardware,
        Lost,
        MemoryEffect,
        Msi,
        PowerState,
        Width, //
    },
    config_space::ConfigSpace,
    device::CoreDevice,
    memory::{
        Exclusive,
        Held,
        MemoryLock, //
    },
    user_value, //
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

/// Config space of a function that is being opened.
impl Hardware for Function {
    type Error = Error;

    fn read(&self, offset: u16, width: Width) -> Result<u32> {
        self.user_read_config(offset, width)
    }

    fn write(&self, offset: u16, width: Width, value: u32) -> Result {
        self.user_write_config(offset, width, value)
    }
}

/// Config space for the user, who waits for the end of a reset, and can be killed meanwhile.
struct UserConfig<'a> {
    function: &'a Function,
    memory: &'a MemoryLock,
}

impl<'a> UserConfig<'a> {
    fn new(core: &'a CoreDevice) -> Self {
        Self {
            function: core.function(),
            memory: core.memory(),
        }
    }
}

/// The PCI core keeps users from config space before it announces a reset, which then waits for
/// the memory lock: who held that and waited to get at config space would wait for ever. There is
/// no need to wait either while no reset can begin. When the PCI core resets the link without a
/// word it keeps users out until it is done.
impl Hardware for UserConfig<'_> {
    type Error = Error;

    fn read(&self, offset: u16, width: Width) -> Result<u32> {
        match self.memory.without_reset()? {
            Some(_no_reset) => Ok(self.function.read_config(offset, width)),
            None => self.function.user_read_config(offset, width),
        }
    }

    fn write(&self, offset: u16, width: Width, value: u32) -> Result {
        match self.memory.without_reset()? {
            Some(_no_reset) => {
                self.function.write_config(offset, width, value);
                Ok(())
            }
            None => self.function.user_write_config(offset, width, value),
        }
    }
}

/// The device as the config space of a user acts on it.
struct Access<'a> {
    core: &'a CoreDevice,
    device: &'a Device,
    config: UserConfig<'a>,
    /// Keeps the device awake, once the write has to do with more than its own register.
    awake: Option<Resumed<&'a Function>>,
    /// The memory, if the write has to do with it, until it is made.
    held: Option<Held<'a>>,
    /// Is what has been exported to be given back?
    restores: bool,
    /// Is the function to be reset?
    resets: bool,
}

impl<'a> Access<'a> {
    fn new(core: &'a CoreDevice, device: &'a Device) -> Self {
        Self {
            core,
            device,
            config: UserConfig::new(core),
            awake: None,
            held: None,
            restores: false,
            resets: false,
        }
    }

    /// Keeps the device awake until this is gone. Not to be done with device memory held, which to
    /// wake up waits for.
    fn wake_up(&mut self) -> Result {
        if self.awake.is_none() {
            self.awake = Some(self.core.resumed()?);
        }

        Ok(())
    }

    /// Keeps others from device memory, and takes it away, as `effect` wants it. Called without the
    /// lock around config space.
    fn prepare(&mut self, effect: MemoryEffect) -> Result {
        if effect != MemoryEffect::None {
            self.wake_up()?;
            let mut held = self.core.memory().hold()?;
            if effect == MemoryEffect::Revoke {
                held.revoke(self.device);
            }
            self.held = Some(held);
        }

        Ok(())
    }

    /// Takes the memory lock.
    fn exclusive(&mut self) -> Result<Exclusive<'a>> {
        let held = match self.held.take() {
            Some(held) => held,
            None => {
                self.wake_up()?;
                self.core.memory().hold()?
            }
        };

        held.lock()
    }

    /// Does what takes longer than the lock around config space is to be held for.
    fn finish(self) -> Result {
        let memory = self.core.memory();
        drop(self.held);
        if self.restores {
            memory.restore_exports();
        }
        if self.resets {
            self.core.reset(self.device)?;
        }

        Ok(())
    }

    /// Gives the device back what it has lost in a reset that nobody announced.
    fn give_back(&self, lost: &Lost) {
        let function = self.core.function();
        let command = self.core.command();

        dev_info!(function, "reset recovery - restoring BARs\n");
        for (offset, bar) in bar_registers().zip(lost.bars) {
            function.write_config(offset, Width::Dword, bar);
        }
        if lost.intx_disable {
            command.set_intx_disabled(true);
        } else {
            command.restore_intx_disable();
        }
    }
}

impl<'a> Effects for Access<'a> {
    type Error = Error;
    type Hardware = UserConfig<'a>;

    fn hardware(&self) -> &UserConfig<'a> {
        &self.config
    }

    fn write_command(&mut self, write: &CommandWrite) -> Result {
        let mut exclusive = self.exclusive()?;
        if write.decode.memory {
            exclusive.revive();
        }
        if let Some(lost) = &write.lost {
            self.give_back(lost);
        }
        self.core.command().write(write.mask, write.value);
        exclusive.set_decode(write.decode.memory);
        exclusive.end_in_a_hurry();
        // Without memory there is nothing to give back.
        self.restores = write.decode.memory;

        Ok(())
    }

    fn set_intx_disabled(&mut self, disabled: bool) {
        // Whether it is awake or not, that is what the user wants.
        let _ = self.wake_up();
        self.core.irq().set_intx_disabled(disabled);
    }

    fn set_power_state(&mut self, state: PowerState) {
        let Ok(mut exclusive) = self.exclusive() else {
            return;
        };
        // The user sees in the register whether the device has followed.
        let _ = exclusive.set_power_state(state);
        exclusive.end_in_a_hurry();
        self.restores = true;
    }

    fn reset_function(&mut self) -> Result {
        self.wake_up()?;
        self.resets = true;

        Ok(())
    }

    fn set_read_request(&mut self, bytes: u32) {
        if self.wake_up().is_err() {
            return;
        }
        self.core.function().set_read_request(bytes);
    }

    fn read_vpd(&mut self, address: u16) -> Option<u32> {
        self.wake_up().ok()?;
        self.core.memory().wait_for_reset().ok()?;

        self.core.function().read_vpd(address)
    }

    fn write_vpd(&mut self, address: u16, data: u32) -> bool {
        self.wake_up().is_ok()
            && self.core.memory().wait_for_reset().is_ok()
            && self.core.function().write_vpd(address, data)
    }

    fn msi(&self) -> Msi {
        self.core.irq().msi()
    }
}

/// Cuts the next chunk off an access to config space: what is left of it are `left` bytes at
/// `offset`.
///
/// # Errors
///
/// EFAULT beyond the end.
#[inline(always)]
fn next_chunk(config: &ConfigSpace, offset: u64, left: usize) -> Result<Chunk> {
    let position = usize::try_from(offset)?;
    // Within the cells even where a processor speculates.
    let position = nospec::checked_index(position, config.size().into()).ok_or(EFAULT)?;

    // CAST: A `usize` has 64 bits where this driver runs.
    config.chunk(position as u64, left).ok_or(EFAULT)
}

impl CoreDevice {
    /// Reads the first chunk of what is left of an access, under one lock.
    fn read_chunk(
        &self,
        hardware: &UserConfig<'_>,
        offset: u64,
        left: usize,
    ) -> Result<(Width, u32)> {
        let config = self.config().read_killable()?;
        let config = config.as_ref().ok_or(ENODEV)?;
        let chunk = next_chunk(config, offset, left)?;

        Ok((chunk.width(), config.read(hardware, chunk)?))
    }

    /// Reads config space for the user.
    ///
    /// # Errors
    ///
    /// EFAULT beyond the end or for a bad buffer; EINTR if the task is killed while it waits; or
    /// that of the hardware.
    pub(crate) fn read_config(
        &self,
        mut offset: u64,
        buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        let hardware = UserConfig::new(self);
        let count = buffer.len();
        while !buffer.is_empty() {
            let (width, value) = self.read_chunk(&hardware, offset, buffer.len())?;
            user_value::give(buffer, width.bytes().into(), value.into())?;
            offset = offset.saturating_add(width.bytes().into());
        }

        Ok(count)
    }

    /// Writes config space for the user.
    ///
    /// # Errors
    ///
    /// EFAULT beyond the end or for a bad buffer; EINTR if the task is killed while it waits; that
    /// of a reset that has been asked for; or that of the hardware.
    pub(crate) fn write_config(
        &self,
        device: &Device,
        mut offset: u64,
        buffer: &mut UserSliceReader,
    ) -> Result<usize> {
        let count = buffer.len();
        while !buffer.is_empty() {
            let left = buffer.len();
            // As much as the first chunk can have; what is not in it is read again.
            let bytes = widest(offset, left).bytes().into();
            let value = user_value::take(&mut buffer.clone_reader(), bytes)?;
            // CAST: No chunk has more than four bytes.
            let width = self.write_chunk(device, offset, left, value as u32)?;
            buffer.skip(width.bytes().into())?;
            offset = offset.saturating_add(width.bytes().into());
        }

        Ok(count)
    }

    /// Writes the first chunk of what is left of an access, whose bytes are the low ones of
    /// `value`, and returns how wide it is.
    ///
    /// Most have nothing to do with device memory, and are made under one lock.
    fn write_chunk(&self, device: &Device, offset: u64, left: usize, value: u32) -> Result<Width> {
        let mut access = Access::new(self, device);
        let mut guard = self.config().write_killable()?;
        let config = guard.as_mut().ok_or(ENODEV)?;
        let chunk = next_chunk(config, offset, left)?;
        let value = value & chunk.width().mask();
        let written = match config.memory_effect(chunk, value) {
            MemoryEffect::None => config.write(&mut access, chunk, value),
            effect => {
                drop(guard);
                access.prepare(effect)?;
                guard = self.config().write_killable()?;
                // What a chunk is, and what writing it means, has not changed meanwhile.
                let config = guard.as_mut().ok_or(ENODEV)?;
                config.write(&mut access, chunk, value)
            }
        };
        drop(guard);
        let finished = access.finish();

        written.and(finished).map(|()| chunk.width())
    }
}

/// The widest chunk that `left` bytes at `offset` can begin with. It is less wide where a
/// capability ends within it.
fn widest(offset: u64, left: usize) -> Width {
    // CAST: Whether it is a multiple of four, or two, is all that matters.
    let offset = offset as u16;

    Width::widest(offset, u16::try_from(left).unwrap_or(u16::MAX))
}
