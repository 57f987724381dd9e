// SPDX-License-Identifier: GPL-2.0

//! Who may touch the memory of the device, and when.
//!
//! A device answers on its BARs only while COMMAND enables memory and its power state is above
//! D3, and an access at any other time can take the whole machine down. So every access, by page
//! fault or by `read()` and `write()`, is made under the read side of one lock, and everything
//! that may disable memory holds the write side. Pages that user space has mapped are taken away
//! under the write side; whoever touches one faults, and waits in the fault handler. What has been
//! exported to other drivers is taken away with them, and comes back when the write side is given
//! up and there is memory to access.
//!
//! A reset is announced by the PCI core, whoever asked for it. From the announcement to the end of
//! the reset nobody gets either side of the lock.
//!
//! # Locking
//!
//! The mmap lock is outside of the memory lock (fault handler), so nothing that can fault, such
//! as a copy to or from user space, may run under it. The lock around config space and the one
//! around interrupts are outside too. Those of what has been exported are inside, and so is the
//! lock around the state of the link, a leaf.
//!
//! The callbacks of error recovery come with the lock of the PCI core's list of functions, for
//! which a change of the power state waits with the memory lock held. So they do not wait for the
//! memory lock, only for that leaf.
//!
//! The PCI core blocks config space for users before it announces a reset, so that block is
//! outside, too, though lockdep knows nothing of it: no `user_` accessor of [`Function`] may be
//! called with the memory lock held.

use crate::{
    abstractions::{
        pci::{
            Function,
            PowerState,
            NUM_BARS, //
        },
        pci_reset::SavedState, //
    },
    command::{
        Command,
        KeptBits, //
    },
    dma_buf::Exports,
    low_power::LowPower,
    reach::Reach,
    region::{
        PageAddress,
        Region,
        FILE_SPAN, //
    },
    reset_gate::ResetGate, //
};
use kernel::{
    bindings,
    page::PAGE_SHIFT,
    prelude::*,
    sync::Arc, //
};
use vfio::{
    abstractions::{
        pfnmap::{
            Fault,
            FaultResult, //
        },
        rwsem::{
            ReadGuard,
            RwSemaphore,
            WriteGuard, //
        }, //
    },
    device::Device,
    lock_order,
    new_rwsem, //
};

/// Page frames of a BAR that user space may map.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    /// First page frame.
    pub(crate) first: u64,
    /// Number of page frames.
    pub(crate) pages: u64,
}

impl Window {
    /// Returns the window of `len` bytes at `start`.
    pub(crate) fn new(start: u64, len: u64) -> Self {
        Self {
            first: start >> PAGE_SHIFT,
            pages: vfio::abstractions::pfnmap::pages(len),
        }
    }
}

/// The windows of all BARs.
pub(crate) type Windows = [Option<Window>; NUM_BARS];

/// What the memory lock protects.
struct Memory {
    /// Does COMMAND enable memory, as the user sees it?
    decode: bool,
    /// What may be mapped; nothing while the device is closed.
    windows: Windows,
    /// Config space of a device that forgets it in D3, from when it entered that state.
    asleep: Option<SavedState>,
    /// Must the device stay in D0?
    kept_in_d0: bool,
    /// May the device be suspended while it is open? Then nothing is mapped.
    low_power: LowPower,
    /// Is the function being reset?
    resetting: bool,
}

impl Memory {
    /// Creates the lock around what a device has that is closed.
    fn new_lock() -> impl PinInit<RwSemaphore<Self>> {
        new_rwsem!(
            Self {
                decode: false,
                windows: [None; NUM_BARS],
                asleep: None,
                kept_in_d0: false,
                low_power: LowPower::default(),
                resetting: false,
            },
            c"vfio_pci_memory_lock"
        )
    }

    /// Returns the page frame behind a page that user space has mapped. `mmap()` has checked that
    /// the whole mapping lies in the window, and neither of them changes while it exists.
    fn frame(&self, address: PageAddress) -> Option<u64> {
        let Region::Bar(index) = address.region else {
            return None;
        };
        let window = (*self.windows.get(index)?)?;

        Some(window.first.wrapping_add(address.page))
    }
}

/// Tells lockdep that the memory lock is inside of the mmap lock, as in the fault handler.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn prime_lock_order() -> Result {
    let lock = KBox::pin_init(Memory::new_lock(), GFP_KERNEL)?;
    lock_order::prime(&mut |_| lock_order::with_mmap_lock(|| drop(lock.write())))
}

/// The memory lock of a device.
#[pin_data]
pub(crate) struct MemoryLock {
    function: Function,
    /// Does the device forget its config space on the way from D3 to D0?
    forgetful: bool,
    /// What has been exported to other drivers.
    exports: Arc<Exports>,
    #[pin]
    state: RwSemaphore<Memory>,
    #[pin]
    gate: ResetGate,
    command: Arc<Command>,
    #[pin]
    reach: RwSemaphore<Reach<SavedState>>,
}

/// What [`MemoryLock::try_access`] finds.
pub(crate) enum TryAccess<'a> {
    /// Memory may be accessed.
    Granted(Access<'a>),
    /// Memory is disabled.
    Disabled,
    /// Somebody keeps others from the memory, or the device sleeps: who can sleep, too, may find
    /// out.
    Later,
}

impl MemoryLock {
    /// Creates the lock of a device that is closed.
    pub(crate) fn new(function: Function, command: Arc<Command>) -> impl PinInit<Self, Error> {
        let forgetful = is_forgetful(&function);

        try_pin_init!(Self {
            function,
            forgetful,
            exports: Exports::new()?,
            state <- Memory::new_lock(),
            gate <- ResetGate::new(),
            command,
            reach <- new_rwsem!(Reach::new(), c"vfio_pci_reach"),
        })
    }

    /// Allows access to the memory, if it is enabled, for as long as the result exists.
    pub(crate) fn access(&self) -> Option<Access<'_>> {
        loop {
            let memory = self.state.read();
            if memory.resetting {
                drop(memory);
                self.gate.wait();
                continue;
            }
            let reach = self.reach.read();
            if reach.is_to_be_put_back() {
                drop(reach);
                drop(memory);
                drop(self.exclusive());
                continue;
            }
            return self.check(memory, reach);
        }
    }

    /// Allows to map the memory, which stays mapped when the result is gone: never in low power,
    /// where the device may be suspended at any time.
    pub(crate) fn mappable(&self) -> Option<Access<'_>> {
        self.access()
            .filter(|access| !access.memory.low_power.is_on())
    }

    /// Does the same as [`Self::access`] without sleeping.
    pub(crate) fn try_access(&self) -> TryAccess<'_> {
        let Some(memory) = self.state.try_read() else {
            return TryAccess::Later;
        };
        if memory.resetting || memory.low_power.is_suspended() {
            return TryAccess::Later;
        }
        let Some(reach) = self.reach.try_read() else {
            return TryAccess::Later;
        };
        if reach.is_to_be_put_back() {
            return TryAccess::Later;
        }

        self.check(memory, reach)
            .map_or(TryAccess::Disabled, TryAccess::Granted)
    }

    fn check<'a>(
        &'a self,
        memory: ReadGuard<'a, Memory>,
        reach: ReadGuard<'a, Reach<SavedState>>,
    ) -> Option<Access<'a>> {
        self.is_accessible(&memory, &reach).then(|| Access {
            _reach: reach,
            memory,
        })
    }

    fn is_accessible(&self, memory: &Memory, reach: &Reach<SavedState>) -> bool {
        let is_awake = !memory.low_power.is_suspended() && !self.function.is_in_d3();

        memory.decode && reach.is_up() && !memory.resetting && is_awake
    }

    /// Keeps everybody else from the memory.
    pub(crate) fn exclusive(&self) -> Exclusive<'_> {
        loop {
            let exclusive = self.exclusive_in_reset();
            if !exclusive.memory.resetting {
                exclusive.put_back();
                return exclusive;
            }
            drop(exclusive);
            self.gate.wait();
        }
    }

    /// Does the same without sleeping: not if somebody is at the memory, or resets the function.
    pub(crate) fn try_exclusive(&self) -> Option<Exclusive<'_>> {
        let memory = self.state.try_write()?;
        if memory.resetting {
            return None;
        }
        let exclusive = Exclusive { lock: self, memory };
        exclusive.put_back();

        Some(exclusive)
    }

    /// Keeps everybody else from the memory, even during a reset.
    fn exclusive_in_reset(&self) -> Exclusive<'_> {
        Exclusive {
            lock: self,
            memory: self.state.write(),
        }
    }

    /// Keeps everybody from the memory of `device` until [`Self::end_reset`], and takes away what
    /// they have mapped. Called with the device lock held, at the begin of a reset.
    pub(crate) fn begin_reset(&self, device: &Device) {
        self.gate.close();
        let mut exclusive = self.exclusive_in_reset();
        // The PCI core saves config space next, and restores that.
        exclusive.put_back();
        exclusive.memory.resetting = true;
        exclusive.zap(device);
        if exclusive.memory.asleep.is_some() {
            // The PCI core wakes the device up, but what it saves then is what a forgetful device
            // has left. If it does not wake up here, the reset will say so.
            let _ = exclusive.set_power_state(PowerState::D0);
        }
    }

    /// Ends what [`Self::begin_reset`] began.
    pub(crate) fn end_reset(&self) {
        self.exclusive_in_reset().memory.resetting = false;
        self.gate.open();
    }

    /// Changes what is known of the link; see [`Reach`].
    pub(crate) fn with_reach<R>(&self, change: impl FnOnce(&mut Reach<SavedState>) -> R) -> R {
        change(&mut self.reach.write())
    }

    /// The link to the function is not to be relied upon any more: keeps everybody from the memory
    /// of `device`, and takes away what user space has mapped.
    ///
    /// Waits for accesses that have begun, but not for who holds the memory lock otherwise. What
    /// has been exported stays: to revoke it is to wait for drivers that may be waiting themselves
    /// for the recovery of their devices. Their DMA finds nobody who answers.
    pub(crate) fn cut_off(&self, device: &Device) {
        self.with_reach(Reach::cut_off);
        device.zap(0, FILE_SPAN);
    }

    /// Recovery has ended. If the link was [`Self::cut_off`], config space is put back by whoever
    /// takes the memory lock next, which is this, unless somebody else has it.
    pub(crate) fn recover(&self) {
        self.with_reach(Reach::recover);
        drop(self.try_exclusive());
    }

    /// Keeps everybody else from the memory of `device`, and takes away what they have mapped, on
    /// the CPU and through what has been exported.
    pub(crate) fn revoke(&self, device: &Device) -> Exclusive<'_> {
        let exclusive = self.exclusive();
        exclusive.zap(device);

        exclusive
    }

    /// Keeps everybody else from the memory, and enables it in hardware meanwhile, for the PCI core
    /// to set up MSI or MSI-X. What that does to Interrupt Disable is undone, since it is the user
    /// who decides. Called with the mutex around interrupts held, and INTx not in use.
    pub(crate) fn with_decode(&self) -> DecodeGuard<'_> {
        let exclusive = self.exclusive();

        DecodeGuard {
            _intx_disable: self.command.keep_intx_disable(),
            _memory: self.command.force_memory(),
            _exclusive: exclusive,
        }
    }

    /// Calls `visit` with everybody else kept from the memory, and with memory enabled in hardware.
    /// `None` if the device sleeps or cannot be reached.
    pub(crate) fn visit<R>(&self, visit: impl FnOnce() -> R) -> Option<R> {
        let exclusive = self.exclusive();
        if !exclusive.is_reachable() || self.function.is_in_d3() {
            return None;
        }

        let _memory = self.command.force_memory();
        Some(visit())
    }

    /// What has been exported to other drivers.
    pub(crate) fn exports(&self) -> &Arc<Exports> {
        &self.exports
    }

    /// Calls `visit` with what has been exported, in a state that stays meanwhile.
    pub(crate) fn with_exports<R>(&self, visit: impl FnOnce(&Exports) -> R) -> R {
        let _memory = self.state.read();

        visit(&self.exports)
    }

    /// Opens the windows. `config` is config space as it is now.
    pub(crate) fn open(&self, decode: bool, windows: Windows, config: Option<SavedState>) {
        let mut exclusive = self.exclusive();
        exclusive.memory.decode = decode;
        exclusive.memory.windows = windows;
        self.with_reach(|reach| reach.open(config));
    }

    /// Closes the windows, and takes away what has been exported, for ever. User space has nothing
    /// mapped: a mapping would keep the device open.
    pub(crate) fn close(&self) {
        let mut memory = self.state.write();
        memory.decode = false;
        memory.windows = [None; NUM_BARS];
        self.exports.end();
    }

    /// Handles a page fault.
    pub(crate) fn fault(&self, fault: &Fault<'_>) -> FaultResult {
        let Some(access) = self.mappable() else {
            return FaultResult::SIGBUS;
        };

        let first = PageAddress::new(fault.page_offset());
        match first.and_then(|first| access.memory.frame(first)) {
            Some(frame) => fault.insert_pfn(frame),
            None => FaultResult::SIGBUS,
        }
    }
}

/// Does the function forget its config space on the way from D3 to D0?
fn is_forgetful(function: &Function) -> bool {
    const CONTROL: u16 = bindings::PCI_PM_CTRL as u16;
    const NO_SOFT_RESET: u16 = bindings::PCI_PM_CTRL_NO_SOFT_RESET as u16;

    function
        .pm_capability()
        .and_then(|capability| capability.checked_add(CONTROL))
        .is_some_and(|offset| function.read_word(offset) & NO_SOFT_RESET == 0)
}

/// The memory of the device is enabled, and stays so.
#[must_use = "the memory may be disabled as soon as this is dropped"]
pub(crate) struct Access<'a> {
    _reach: ReadGuard<'a, Reach<SavedState>>,
    memory: ReadGuard<'a, Memory>,
}

/// Nobody else is at the memory of the device, nor comes to it.
///
/// When this is dropped, what has been exported is given back, if the memory can be accessed.
#[must_use = "others may use the memory as soon as this is dropped"]
pub(crate) struct Exclusive<'a> {
    lock: &'a MemoryLock,
    memory: WriteGuard<'a, Memory>,
}

impl Exclusive<'_> {
    /// Takes away everything that user space has mapped of `device`, and what has been exported.
    pub(crate) fn zap(&self, device: &Device) {
        device.zap(0, FILE_SPAN);
        self.lock.exports.revoke();
    }

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
        self.lock.reach.read().is_up()
    }

    /// Puts config space back if the function has lost it and the link works again.
    fn put_back(&self) {
        let function = &self.lock.function;
        self.lock.with_reach(|reach| {
            reach.put_back(|saved| {
                if !function.is_present() || function.load_saved_state(Some(saved)).is_err() {
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

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        let is_accessible = {
            let reach = self.lock.reach.read();
            self.lock.is_accessible(&self.memory, &reach)
        };
        if is_accessible && !self.memory.low_power.is_on() {
            self.lock.exports.restore();
        }
    }
}

/// Nobody else is at the memory of the device, and its hardware has memory enabled.
#[must_use = "memory is as the user left it as soon as this is dropped"]
pub(crate) struct DecodeGuard<'a> {
    // Dropped in this order.
    _intx_disable: KeptBits<'a>,
    _memory: KeptBits<'a>,
    _exclusive: Exclusive<'a>,
}
