// SPDX-License-Identifier: GPL-2.0

//! Who may touch the memory of the device, and when.
//!
//! A device answers on its BARs only while COMMAND enables memory and its power state is above
//! D3, and an access at any other time can take the whole machine down. So every access, by page
//! fault or by `read()` and `write()`, is made under the read side of one lock, and everything
//! that may disable memory holds the write side. Whether it may be touched is asked in one place,
//! [`Availability`].
//!
//! What takes longer than a lock is to be held for keeps everybody from the memory without it: a
//! [`Held`] does, or the PCI core from the announcement of a reset to its end, whoever asked for
//! that. Who comes meanwhile waits at the gate, and can be killed there.
//!
//! A user who takes memory away, by a reset of his own say, revokes what he has exported to other
//! drivers, and waits for them, before he takes any lock of the PCI core: who is slow to let go
//! delays only him. It comes back when there is memory to access. A reset that somebody else asks
//! for leaves it alone, since nobody could tell the importers when to come again. In either case
//! pages that user space has mapped are taken away; whoever touches one faults, and waits.
//!
//! While the device is closed there is nobody to keep from its memory, so nobody waits.
//!
//! # Locking
//!
//! The mmap lock is outside of the memory lock (fault handler), so nothing that can fault, such
//! as a copy to or from user space, may run under it. The lock around config space and the one
//! around interrupts are outside too. That around the state of the link, a leaf, is inside; with it
//! goes a copy of what an access to one register or a page fault depends on, which needs no other
//! lock then. Inside as well is that of the list of what has been exported, but importers are
//! called without the memory lock.
//!
//! The callbacks of error recovery come with the lock of the PCI core's list of functions, for
//! which a change of the power state waits with the memory lock held. So they do not wait for the
//! memory lock, only for that leaf. The resume that a recovery begins with has the same lock and
//! does wait, if the device was suspended, as in C: it stops for good only if somebody
//! adds or removes a function in between, since both want that list for reading.
//!
//! Where the driver is in C, its own lock is between the mmap lock and this one; see
//! [`c_driver`].
//!
//! The PCI core blocks config space for users before it announces a reset, so that block is
//! outside, too, though lockdep knows nothing of it: no `user_` accessor of [`Function`] may be
//! called with the memory lock held.
//!
//! # Files
//!
//! The lock and its guards, [`Exclusive`] and [`Held`], are one thing in three files: each makes
//! the others, and none is of use alone.

pub(crate) mod c_driver;
mod exclusive;
mod held;
mod no_reset;
mod published;
mod recovery;
mod register;
mod state;

pub(crate) use exclusive::{
    DecodeGuard,
    Exclusive, //
};
pub(crate) use held::Held;
use published::Leaf;
use state::Memory;

use crate::{
    abstractions::{
        c_driver::pci_device::{
            self,
            CPciDevice,
            MemoryGuard, //
        },
        pci::{
            reset::SavedState,
            Function, //
        },
        pm_runtime::Resumed, //
    },
    availability::{
        Availability,
        Conditions,
        Holder, //
    },
    bars::Bars,
    command::Command,
    dma_buf::Exports,
    region::{
        PageAddress,
        Region,
        BARS_SPAN,
        FILE_SPAN, //
    },
    reset_gate::ResetGate, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use vfio::{
    abstractions::{
        mm::pfnmap::{
            Fault,
            FaultResult,
            FrameRange, //
        },
        sync::rwsem::{
            ReadGuard,
            RwSemaphore, //
        }, //
    },
    device::Device,
    lock_order,
    new_rwsem, //
};

/// Tells lockdep that the memory lock is inside of the mmap lock, as in the fault handler, and that
/// the lock of a driver in C is between them.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn prime_lock_order() -> Result {
    let lock = KBox::pin_init(Memory::new_lock(), GFP_KERNEL)?;
    let mut result = Ok(());
    lock_order::prime(&mut |_| {
        lock_order::with_mmap_lock(|| {
            result = pci_device::prime_lock_order(|| drop(lock.write()));
        });
    })?;
    result
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
    gate: Arc<ResetGate>,
    command: Arc<Command>,
    /// The state of the link, and what is published of `state`. A leaf.
    #[pin]
    leaf: RwSemaphore<Leaf>,
    /// That of the physical function, if this is a virtual one and both are ours.
    physical: Option<Arc<MemoryLock>>,
    /// May the open device be suspended? A copy, for who does not need the answer to stay true.
    may_sleep: Atomic<bool>,
    /// The device of a driver in C.
    c_device: Option<Arc<CPciDevice>>,
    /// Has somebody who resets the device taken the lock of its driver?
    driver_is_out: Atomic<bool>,
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

/// The device's memory, or why it cannot be touched.
type Answer<'a> = Result<Access<'a>, Availability>;

/// Being created and asked.
impl MemoryLock {
    /// Creates the lock of a device that is closed. `physical` is that of its physical function,
    /// `c_device` the device if its driver is in C.
    pub(crate) fn new(
        function: Function,
        command: Arc<Command>,
        physical: Option<Arc<MemoryLock>>,
        c_device: Option<Arc<CPciDevice>>,
    ) -> impl PinInit<Self, Error> {
        let forgetful = is_forgetful(&function);

        try_pin_init!(Self {
            function,
            forgetful,
            exports: Exports::new()?,
            state <- Memory::new_lock(),
            gate: ResetGate::new()?,
            command,
            leaf <- new_rwsem!(Leaf::new(), c"vfio_pci_channel"),
            physical,
            may_sleep: Atomic::new(false),
            c_device,
            driver_is_out: Atomic::new(false),
        })
    }

    /// Answers. This is the only place that does.
    #[inline]
    fn availability(&self, conditions: Conditions, leaf: &Leaf) -> Availability {
        Availability::of(conditions, leaf.channel.link(), || self.function.is_in_d3())
    }

    #[inline]
    fn answer<'a>(
        &'a self,
        memory: ReadGuard<'a, Memory>,
        leaf: ReadGuard<'a, Leaf>,
    ) -> Answer<'a> {
        match self.availability(memory.conditions(), &leaf) {
            Availability::Ready => Ok(Access {
                leaf,
                memory: Some(memory),
            }),
            other => Err(other),
        }
    }

    /// The same for a device that stays awake, with the lock of the leaf only: nothing if the
    /// memory is not to be had, or not that way.
    #[inline]
    fn answer_at_once(&self) -> Option<Access<'_>> {
        let leaf = self.leaf.read();
        let conditions = leaf.published.as_ref()?.conditions;
        let is_ready =
            !conditions.may_sleep && self.availability(conditions, &leaf) == Availability::Ready;

        is_ready.then_some(Access { leaf, memory: None })
    }

    /// Asks for the memory, and puts config space back on the way if that is due.
    fn ask(&self) -> Answer<'_> {
        let answer = self.answer(self.state.read(), self.leaf.read());
        if !matches!(answer, Err(Availability::Recovered)) {
            return answer;
        }
        drop(answer);
        drop(self.enter());

        self.answer(self.state.read(), self.leaf.read())
    }

    /// Allows access to the memory, if it is enabled, for as long as the result exists. Waits for
    /// who keeps others from it, and wakes the device up.
    ///
    /// # Errors
    ///
    /// EIO if it is not enabled or cannot be reached, or does not wake up; EINTR if the task is
    /// killed while it waits.
    #[inline]
    pub(crate) fn access(&self) -> Result<Access<'_>> {
        match self.answer(self.state.read(), self.leaf.read()) {
            Ok(access) => Ok(access),
            Err(_) => self.wait_for_access(),
        }
    }

    /// Does the same, after the first answer was that it is not to be had.
    #[cold]
    fn wait_for_access(&self) -> Result<Access<'_>> {
        let mut resumed = None;
        let mut place = None;
        loop {
            match self.ask() {
                Ok(access) => return Ok(access),
                Err(Availability::Resetting) => {
                    place.get_or_insert_with(|| self.gate.queue()).wait()?;
                }
                // It cannot fall asleep again before the lock is released.
                Err(Availability::Suspended) if resumed.is_none() => {
                    // Nobody is to wait for that.
                    place = None;
                    resumed = Some(Resumed::new(&self.function).map_err(|_| EIO)?);
                }
                Err(_) => return Err(EIO),
            }
        }
    }

    /// May the device be suspended, although it is open?
    ///
    /// Every open device has a count that keeps it resumed, unless its user has let go of that. So
    /// whoever is about to access it need not take another, which is a good part of what reading
    /// one register takes; as long as he asks again under the lock, as [`Self::access`] does: the
    /// user may let go in between.
    #[inline]
    pub(crate) fn may_sleep(&self) -> bool {
        self.may_sleep.load(Relaxed)
    }

    /// Allows to map the memory, which stays mapped when the result is gone: never in low power,
    /// where the device may be suspended at any time.
    ///
    /// # Errors
    ///
    /// What becomes of the page fault that asks.
    #[inline]
    pub(crate) fn mappable(&self) -> Result<Access<'_>, FaultResult> {
        match self.answer_at_once() {
            Some(access) => Ok(access),
            None => self.ask_for_fault(),
        }
    }

    /// Does the same with all that it takes to say why not.
    #[cold]
    fn ask_for_fault(&self) -> Result<Access<'_>, FaultResult> {
        match self.ask() {
            Ok(access) if !access.may_sleep() => Ok(access),
            Err(Availability::Resetting) => Err(FaultResult::after(self.gate.clone())),
            _ => Err(FaultResult::SIGBUS),
        }
    }

    /// Does the same as [`Self::access`] without sleeping.
    pub(crate) fn try_access(&self) -> TryAccess<'_> {
        let Some(memory) = self.state.try_read() else {
            return TryAccess::Later;
        };
        let Some(leaf) = self.leaf.try_read() else {
            return TryAccess::Later;
        };

        match self.answer(memory, leaf) {
            Ok(access) => TryAccess::Granted(access),
            Err(Availability::Resetting | Availability::Recovered | Availability::Suspended) => {
                TryAccess::Later
            }
            Err(Availability::CutOff | Availability::Disabled | Availability::Ready) => {
                TryAccess::Disabled
            }
        }
    }

    /// The page frames that a fault would map from `address` on, to the end of the BAR.
    pub(crate) fn frames(&self, address: PageAddress) -> Option<FrameRange> {
        let Region::Bar(index) = address.region else {
            return None;
        };

        self.mappable().ok()?.window(index)?.skip(address.page)
    }

    /// Handles a page fault.
    pub(crate) fn fault(&self, fault: &Fault<'_>) -> FaultResult {
        let access = match self.mappable() {
            Ok(access) => access,
            Err(result) => return result,
        };

        let Some(PageAddress {
            region: Region::Bar(index),
            page,
        }) = PageAddress::new(fault.page_offset())
        else {
            return FaultResult::SIGBUS;
        };
        match access.window(index) {
            Some(frames) => fault.insert_frames(frames, page),
            None => FaultResult::SIGBUS,
        }
    }
}

/// Keeping everybody else from the memory.
impl MemoryLock {
    /// Takes the lock for writing, unless somebody keeps others from the memory.
    fn enter(&self) -> Result<Exclusive<'_>, Holder> {
        self.put_back_physical();
        if self.c_device.is_some() {
            // Who resets the device may have the driver's lock until he is done.
            self.state.read().check_holders()?;
        }

        self.enter_behind(self.lock_driver_out())
    }

    /// Does the same with the lock of a driver in C taken, if there is one.
    #[inline]
    fn enter_behind(&self, of_driver: Option<MemoryGuard>) -> Result<Exclusive<'_>, Holder> {
        let exclusive = Exclusive::new(self, self.state.write(), of_driver);
        exclusive.memory().check_holders()?;
        exclusive.put_back_if_lost();

        Ok(exclusive)
    }

    /// Puts config space of the physical function back first, if that is to be done.
    #[inline]
    fn put_back_physical(&self) {
        if let Some(physical) = self.awaited_physical() {
            // Who resets it puts it back, and others come after him.
            drop(physical.enter());
        }
    }

    /// The lock of the physical function, if config space of that is to be put back first.
    fn awaited_physical(&self) -> Option<&MemoryLock> {
        self.physical
            .as_deref()
            .filter(|_| self.leaf.read().channel.is_to_be_put_back())
            .filter(|physical| !physical.leaf.read().channel.is_up())
    }

    /// Takes the lock for writing, whoever keeps others from the memory.
    fn enter_regardless(&self) -> Exclusive<'_> {
        let of_driver = self.lock_driver_out();

        Exclusive::new(self, self.state.write(), of_driver)
    }

    /// Takes the lock for writing to give the memory back, which a driver in C may have waited for
    /// with its own lock.
    fn enter_to_give_back(&self) -> Exclusive<'_> {
        Exclusive::new(self, self.state.write(), None)
    }

    /// Keeps everybody else from the memory. Cannot be killed while it waits for somebody, so it
    /// is for those who cannot turn back.
    pub(crate) fn exclusive(&self) -> Exclusive<'_> {
        match self.enter() {
            Ok(exclusive) => exclusive,
            Err(_) => self.wait_for_exclusive(),
        }
    }

    /// Does the same, if somebody keeps others from the memory.
    #[cold]
    fn wait_for_exclusive(&self) -> Exclusive<'_> {
        let place = self.gate.queue();
        loop {
            place.wait_for_ever();
            if let Ok(exclusive) = self.enter() {
                return exclusive;
            }
        }
    }

    /// Does the same as [`Self::exclusive`] without sleeping: not if somebody is at the memory, or
    /// keeps others from it.
    pub(crate) fn try_exclusive(&self) -> Option<Exclusive<'_>> {
        let of_driver = match &self.c_device {
            Some(device) => device.try_lock_memory().ok()?,
            None => None,
        };
        let exclusive = Exclusive::new(self, self.state.try_write()?, of_driver);
        if exclusive.memory().holders.is_any() {
            return None;
        }
        exclusive.put_back_if_lost();

        Some(exclusive)
    }

    /// Takes away what user space has mapped of `device`. Nobody may map it anew meanwhile.
    ///
    /// What a driver in C lets users map of regions of its own may be anything, and it is not told
    /// to map it again. So that is left to it.
    fn zap(&self, device: &Device) {
        let span = match &self.c_device {
            Some(_) => BARS_SPAN,
            None => FILE_SPAN,
        };
        device.zap(0, span);
    }

    /// Waits for who keeps others from the memory, as somebody who will do so without being
    /// killable had better do first.
    ///
    /// # Errors
    ///
    /// EINTR: the task is killed while it waits.
    pub(crate) fn wait(&self) -> Result {
        self.gate.queue().wait()
    }

    /// Waits for the end of a reset that somebody else has asked for.
    ///
    /// # Errors
    ///
    /// EINTR: the task is killed while it waits.
    pub(crate) fn wait_for_reset(&self) -> Result {
        self.gate.queue().wait_for(Holder::Host)
    }

    /// Lets those come to the memory who have waited for it; to be done before others are kept from
    /// it for longer than a lock could be held.
    ///
    /// # Errors
    ///
    /// EINTR: the task is killed while it waits for them.
    pub(crate) fn give_way(&self) -> Result {
        self.gate.give_way_killable()
    }

    /// Keeps everybody else from the memory for longer than a lock could be held.
    ///
    /// # Errors
    ///
    /// EINTR: the task is killed while it waits for somebody else who does, or for those who have
    /// waited themselves.
    pub(crate) fn hold(&self) -> Result<Held<'_>> {
        self.give_way()?;
        match self.try_hold() {
            Ok(held) => Ok(held),
            Err(_) => self.wait_to_hold(),
        }
    }

    /// Does the same, if somebody else keeps others from the memory.
    #[cold]
    fn wait_to_hold(&self) -> Result<Held<'_>> {
        let place = self.gate.queue();
        loop {
            place.wait()?;
            if let Ok(held) = self.try_hold() {
                return Ok(held);
            }
        }
    }

    /// Does the same, unless somebody else keeps others from the memory.
    ///
    /// # Errors
    ///
    /// Who does.
    pub(crate) fn try_hold(&self) -> Result<Held<'_>, Holder> {
        self.enter().map(Exclusive::hold)
    }

    /// Does the same for a reset.
    ///
    /// # Errors
    ///
    /// EAGAIN while the function is being reset; EINTR if the task is killed while it waits for
    /// another user.
    // Inlined, it would cost the other ioctls a larger stack.
    #[inline(never)]
    pub(crate) fn hold_for_reset(&self) -> Result<Held<'_>> {
        self.give_way()?;
        let mut place = None;
        loop {
            match self.try_hold() {
                Ok(held) => return Ok(held),
                Err(Holder::Host) => return Err(EAGAIN),
                Err(Holder::User) => place
                    .get_or_insert_with(|| self.gate.queue())
                    .wait_for(Holder::User)?,
            }
        }
    }

    /// Keeps everybody from the memory of `device` until [`Self::end_reset`], and takes away what
    /// user space has mapped. Called with the device lock held, at the begin of a reset.
    pub(crate) fn begin_reset(&self, device: &Device) {
        self.gate.give_way();
        let mut exclusive = if self.driver_is_out.load(Relaxed) {
            Exclusive::new(self, self.state.write(), None)
        } else {
            self.enter_regardless()
        };
        // The PCI core saves config space next, and restores that.
        exclusive.put_back();
        exclusive.set_holder(Holder::Host);
        self.zap(device);
        exclusive.wake_up();
        exclusive.end_in_a_hurry();
    }

    /// Ends what [`Self::begin_reset`] began.
    pub(crate) fn end_reset(&self) {
        let mut exclusive = self.enter_to_give_back();
        // What the PCI core has restored is what there was before, which may not have been much.
        exclusive.revive();
        exclusive.clear_holder(Holder::Host);
        exclusive.end_in_a_hurry();
    }

    /// Gives back what has been exported, if the memory can be accessed.
    pub(crate) fn restore_exports(&self) {
        if self.exports.is_revoked() {
            // Who is being killed leaves it to the next one.
            drop(self.hold());
        }
    }

    /// Keeps everybody else from the memory, and enables it in hardware meanwhile, for the PCI core
    /// to set up MSI or MSI-X. What that does to Interrupt Disable is undone, since it is the user
    /// who decides. Called with the mutex around interrupts held, and INTx not in use.
    pub(crate) fn with_decode(&self) -> DecodeGuard<'_> {
        DecodeGuard::new(self.exclusive())
    }

    /// Calls `visit` with everybody else kept from the memory, and with memory enabled in hardware.
    /// `None` if the device sleeps or cannot be reached.
    pub(crate) fn visit<R>(&self, visit: impl FnOnce() -> R) -> Option<R> {
        self.exclusive().visit(visit)
    }
}

/// What is exported, and when there is any memory at all.
impl MemoryLock {
    /// What has been exported to other drivers.
    pub(crate) fn exports(&self) -> &Arc<Exports> {
        &self.exports
    }

    /// Calls `visit` with what has been exported, which no user takes away or gives back meanwhile.
    ///
    /// # Errors
    ///
    /// EINTR if the task is killed while it waits for one who does.
    pub(crate) fn with_exports<R>(&self, visit: impl FnOnce(&Exports) -> R) -> Result<R> {
        loop {
            let memory = self.state.read();
            if memory.holders.first() != Some(Holder::User) {
                return Ok(visit(&self.exports));
            }
            drop(memory);
            self.gate.queue().wait_for(Holder::User)?;
        }
    }

    /// Opens the device, with `bars`. `config` is config space as it is now.
    pub(crate) fn open(&self, decode: bool, bars: Arc<Bars>, config: Option<SavedState>) {
        let mut exclusive = self.exclusive();
        let memory = exclusive.memory_mut();
        memory.open = true;
        memory.decode = decode;
        memory.bars = Some(bars);
        self.with_channel(|channel| channel.open(config));
    }

    /// Closes the device, and takes away what has been exported, for ever. User space has nothing
    /// mapped: a mapping would keep the device open.
    pub(crate) fn close(&self) {
        let mut exclusive = self.enter_regardless();
        let memory = exclusive.memory_mut();
        memory.open = false;
        memory.decode = false;
        // Who closes the device has got the BARs as well: this is not their end.
        memory.bars = None;
        drop(exclusive);
        self.exports.end();
    }
}

/// Does the function forget its config space on the way from D3 to D0?
fn is_forgetful(function: &Function) -> bool {
    const CONTROL: u16 = bindings::PCI_PM_CTRL as u16;
    const NO_SOFT_RESET: u16 = bindings::PCI_PM_CTRL_NO_SOFT_RESET as u16;

    function
        .pm_capability()
        .and_then(|capability| capability.checked_add(CONTROL))
        .is_some_and(|offset| function.read_config_word(offset) & NO_SOFT_RESET == 0)
}

/// The memory of the device is enabled, and stays so: what it takes for an access, be it of a user,
/// of an eventfd, or of a page that is to be mapped.
#[must_use = "the memory may be disabled as soon as this is dropped"]
pub(crate) struct Access<'a> {
    leaf: ReadGuard<'a, Leaf>,
    /// None if there is a copy in the leaf.
    memory: Option<ReadGuard<'a, Memory>>,
}

impl Access<'_> {
    /// May the open device be suspended?
    fn may_sleep(&self) -> bool {
        self.memory
            .as_ref()
            .is_some_and(|memory| memory.low_power.is_on())
    }

    /// Returns what user space may map of BAR `index`.
    #[inline]
    fn window(&self, index: usize) -> Option<FrameRange> {
        let bars = match &self.memory {
            Some(memory) => memory.bars.as_deref(),
            None => self.leaf.published.as_ref().map(|copy| &*copy.bars),
        };

        bars?.window(index)
    }
}
