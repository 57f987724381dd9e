// SPDX-License-Identifier: GPL-2.0

//! The memory lock, held for writing. A guard, and so one thing with the [lock](super).

use super::{
    published::Published,
    state::Memory,
    Held,
    MemoryLock, //
};
use crate::{
    abstractions::c_driver::pci_device::MemoryGuard,
    availability::{
        Availability,
        Holder, //
    },
    command::KeptBits,
    config::PowerState,
    low_power::LowPower, //
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use vfio::abstractions::sync::rwsem::WriteGuard;

/// Nobody else is at the memory of the device, nor comes to it.
///
/// When this is dropped, what has been exported is given back, if the memory can be accessed.
#[must_use = "others may use the memory as soon as this is dropped"]
pub(crate) struct Exclusive<'a> {
    lock: &'a MemoryLock,
    memory: WriteGuard<'a, Memory>,
    /// Was config space to be put back when the lock was taken?
    config_is_lost: bool,
    /// Is the lock to be released as fast as possible?
    in_a_hurry: bool,
    /// The lock of a driver in C, unless that is held already. Released after the other.
    of_driver: Option<MemoryGuard>,
}

/// The lock and what it protects.
impl<'a> Exclusive<'a> {
    pub(super) fn new(
        lock: &'a MemoryLock,
        memory: WriteGuard<'a, Memory>,
        of_driver: Option<MemoryGuard>,
    ) -> Self {
        // From here on nobody gets at a register without the memory lock, nor is anybody at one.
        let mut leaf = lock.leaf.write();
        leaf.published = None;
        let config_is_lost = leaf.channel.is_to_be_put_back();
        drop(leaf);

        Self {
            lock,
            memory,
            config_is_lost,
            in_a_hurry: false,
            of_driver,
        }
    }

    /// Puts config space back if that was due when the lock was taken: after that, the next one
    /// does. To ask once more would be to take the lock of the leaf once more.
    pub(super) fn put_back_if_lost(&self) {
        if self.config_is_lost {
            self.put_back();
        }
    }

    /// Is there a driver in C that cannot come to the memory now?
    pub(super) fn keeps_driver_out(&self) -> bool {
        self.of_driver.is_some()
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(super) fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Closes the gate for `holder`.
    pub(super) fn set_holder(&mut self, holder: Holder) {
        self.memory.holders.enter(holder);
        self.lock.gate.close(holder);
    }

    /// Opens the gate again.
    pub(super) fn clear_holder(&mut self, holder: Holder) {
        self.memory.holders.leave(holder);
        self.lock.gate.open(holder);
    }

    /// Keeps the memory, and releases the lock.
    pub(super) fn hold(mut self) -> Held<'a> {
        self.set_holder(Holder::User);

        Held::new(self.lock)
    }

    /// Ends this without giving back what has been exported, which may take a while. The next one
    /// does; or [`MemoryLock::restore_exports`].
    pub(crate) fn end_in_a_hurry(mut self) {
        self.in_a_hurry = true;
    }
}

/// Changes of the device.
impl Exclusive<'_> {
    /// Remembers whether COMMAND enables memory.
    pub(crate) fn set_decode(&mut self, decode: bool) {
        self.memory.decode = decode;
    }

    /// Returns whether the device may be suspended, to change that.
    pub(crate) fn low_power(&mut self) -> &mut LowPower {
        &mut self.memory.low_power
    }

    /// From now on the device has to stay in D0, or not any more.
    pub(crate) fn keep_in_d0(&mut self, keep: bool) {
        self.memory.kept_in_d0 = keep;
    }

    /// Is the link to the function to be relied upon?
    pub(crate) fn is_reachable(&self) -> bool {
        self.lock.leaf.read().channel.is_up()
    }

    /// Puts config space back if the function has lost it and the link works again. A virtual
    /// function is not there before its physical one has got back its own.
    pub(super) fn put_back(&self) {
        let function = &self.lock.function;
        let is_there = self.lock.awaited_physical().is_none();
        self.lock.with_channel(|channel| {
            channel.put_back(|saved| {
                if !is_there
                    || !function.is_present()
                    || function.load_saved_state(Some(saved)).is_err()
                {
                    return false;
                }
                // What is restored is as old as the error.
                let _handed_over = self.lock.command.handed_over();
                function.restore_state();
                if self.memory.decode {
                    self.lock.command.enable_memory();
                }
                true
            });
        });
    }

    /// Puts config space back also if recovery from an error has failed, as long as the function
    /// answers: somebody wants it to work who has reset it, or enables its memory.
    pub(crate) fn revive(&self) {
        self.lock.revive_link();
        self.put_back();
    }

    /// Calls `visit` with memory enabled in hardware; see [`MemoryLock::visit`].
    pub(super) fn visit<R>(&self, visit: impl FnOnce() -> R) -> Option<R> {
        if !self.is_reachable() || self.lock.function.is_in_d3() {
            return None;
        }

        let _memory = self.lock.command.force_memory();
        Some(visit())
    }

    /// Wakes up a device that has forgotten its config space. The PCI core would, too, but what it
    /// saves then is what the device has left of it.
    pub(super) fn wake_up(&mut self) {
        if self.memory.asleep.is_some() {
            // If it does not wake up here, the reset that comes next will say so.
            let _ = self.set_power_state(PowerState::D0);
        }
    }

    /// Changes the power state, and with it keeps the config space of a forgetful device.
    ///
    /// # Errors
    ///
    /// EBUSY for a physical function whose virtual functions are enabled, or what the PCI core
    /// says.
    pub(crate) fn set_power_state(&mut self, state: PowerState) -> Result {
        let function = &self.lock.function;
        if state > PowerState::D0 && self.memory.kept_in_d0 {
            return Err(EBUSY);
        }

        let was_in_d3 = function.is_in_d3();
        let falls_asleep = self.lock.forgetful && !was_in_d3 && state >= PowerState::D3hot;
        let wakes_up = self.lock.forgetful && was_in_d3 && state <= PowerState::D0;
        if falls_asleep {
            function.save_state();
        }
        // From when the function has lost the register until it is restored, to what it was long
        // ago.
        let _handed_over = wakes_up.then(|| self.lock.command.handed_over());
        function.set_power_state(state)?;

        if falls_asleep && function.is_in_d3() {
            // A state from before would be one that the PCI core has woken the device from
            // itself, so it has been restored.
            self.memory.asleep = function.store_saved_state();
        } else if wakes_up {
            let asleep = self.memory.asleep.take();
            // Without it, what the PCI core saved last is as good as anything.
            let _ = function.load_saved_state(asleep.as_ref());
            function.restore_state();
        }

        Ok(())
    }
}

impl Exclusive<'_> {
    /// Is something exported to be given back? A reset by others does not take it away.
    fn may_restore(&self) -> bool {
        let mut conditions = self.memory.conditions();
        conditions.holders.leave(Holder::Host);
        if self.in_a_hurry || conditions.may_sleep || conditions.holders.is_any() {
            // That is most often so, and known without the lock of the leaf.
            return false;
        }
        let availability = {
            let leaf = self.lock.leaf.read();
            self.lock.availability(conditions, &leaf)
        };

        availability == Availability::Ready && self.lock.exports.is_revoked()
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        let may_sleep = self.memory.low_power.is_on();
        self.lock.may_sleep.store(may_sleep, Relaxed);
        if let Some(of_driver) = &self.of_driver {
            of_driver.set_low_power(may_sleep);
        }
        if self.may_restore() {
            // Importers are told, who may take their time.
            self.set_holder(Holder::User);
            let lock = self.lock;
            let of_driver = &mut self.of_driver;
            self.memory.unlocked(|| {
                let was_held = of_driver.take().is_some();
                lock.exports.restore();
                // It is outside of the memory lock.
                *of_driver = was_held.then(|| lock.lock_driver_out()).flatten();
            });
            self.clear_holder(Holder::User);
        }
        self.lock.leaf.write().published = Published::of(&self.memory);
    }
}

/// Nobody else is at the memory of the device, and its hardware has memory enabled.
#[must_use = "memory is as the user left it as soon as this is dropped"]
pub(crate) struct DecodeGuard<'a> {
    // Dropped in this order. The register is read once, and written at most once, to begin with
    // and once more in the end, as each of that is an access to the device.
    _command: KeptBits<'a>,
    _exclusive: Exclusive<'a>,
}

impl<'a> DecodeGuard<'a> {
    pub(super) fn new(exclusive: Exclusive<'a>) -> Self {
        let command = &exclusive.lock.command;

        Self {
            _command: command.force_memory_and_keep_intx_disable(),
            _exclusive: exclusive,
        }
    }
}
