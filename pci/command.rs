// SPDX-License-Identifier: GPL-2.0

//! The Command Register of the function, which several parties write at the same time.
//!
//! The user writes it through config space. The interrupt handler, and whatever unmasks INTx, flip
//! Interrupt Disable. Memory is enabled for a moment when the kernel itself needs the BARs. All of
//! them read the register, change some bits, and write it: if two did so at a time, one would undo
//! what the other has written. So all of it is done here, under one lock.
//!
//! The PCI core writes the register as well. What it does at the request of this driver is under
//! the lock too, if it can be; the rest is one of these:
//!
//! * It resets the function, puts it to sleep, or restores its config space, all of which take
//!   time. The register is handed over before: the handler leaves it alone, and INTx is masked.
//! * It switches MSI on or off, for which INTx must not be in use; nobody else writes the register
//!   then: the user is kept out by the memory lock, and by that of the interrupts.
//! * It enables or disables the function, at open and close, when INTx cannot be in use yet, or not
//!   any more.
//!
//! # Locking
//!
//! The lock is a leaf. It is taken in hard interrupt context, so nothing that waits is done with it
//! held, in particular no access on behalf of the user. Those who write bits of the user, or
//! enable memory, also hold the memory lock, so that no reset begins meanwhile.

use crate::{
    abstractions::pci::{
        command::CommandRegister,
        Function, //
    },
    intx_disable::IntxDisable, //
};
use kernel::{
    bindings,
    new_spinlock_irq,
    prelude::*,
    sync::SpinLockIrq, //
};

const MEMORY: u16 = bindings::PCI_COMMAND_MEMORY as u16;
const INTX_DISABLE: u16 = bindings::PCI_COMMAND_INTX_DISABLE as u16;

/// The register, and what becomes of it when the PCI core gives it back.
struct State {
    register: CommandRegister,
    /// What Interrupt Disable is to be.
    intx: IntxDisable,
    /// Is the function to do no DMA, whatever the PCI core restores?
    master_is_cleared: bool,
}

impl State {
    /// Makes the bits of `mask` those of `value`. Returns what the register was before.
    fn change(&mut self, mask: u16, value: u16) -> u16 {
        let before = self.register.read();
        let after = (before & !mask) | (value & mask);
        if after != before {
            self.register.write(after);
        }

        before
    }

    /// Writes Interrupt Disable, if that is due.
    fn write_intx(&mut self, disabled: Option<bool>) {
        if let Some(disabled) = disabled {
            self.change(INTX_DISABLE, if disabled { INTX_DISABLE } else { 0 });
        }
    }
}

/// The Command Register of a function, from the device's probe to its removal.
#[pin_data]
pub(crate) struct Command {
    #[pin]
    state: SpinLockIrq<State>,
}

impl Command {
    /// The register of `function`.
    pub(crate) fn new(function: Function) -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_spinlock_irq!(
                State {
                    register: CommandRegister::new(function),
                    intx: IntxDisable::new(),
                    master_is_cleared: false,
                },
                "vfio_pci_command"
            ),
        })
    }

    /// Makes the bits of `mask` those of `value`, as the user has written them. Called with the
    /// memory lock held.
    pub(crate) fn write(&self, mask: u16, value: u16) {
        let mut state = self.state.lock();

        let before = state.register.read();
        // Also if nothing changes: the user may have a reason.
        state.register.write((before & !mask) | (value & mask));
    }

    /// Clears all bits, and sets Interrupt Disable: the function does nothing any more by itself.
    pub(crate) fn quiesce(&self) {
        self.state.lock().change(u16::MAX, INTX_DISABLE);
    }

    /// Stops the function from doing DMA, also if it is being reset.
    pub(crate) fn clear_master(&self) {
        let mut state = self.state.lock();

        state.register.clear_master();
        state.master_is_cleared = state.intx.is_handed_over();
    }

    /// Enables memory. Called with the memory lock held.
    pub(crate) fn enable_memory(&self) {
        self.state.lock().change(MEMORY, MEMORY);
    }

    /// Enables memory for as long as the result exists, for which the memory lock is held. In the
    /// end the bit is what it was, and all others are as they have become.
    pub(crate) fn force_memory(&self) -> KeptBits<'_> {
        let before = self.state.lock().change(MEMORY, MEMORY);

        KeptBits {
            command: self,
            mask: MEMORY,
            before,
        }
    }

    /// Does the same, and Interrupt Disable is in the end what it is now, too, whatever becomes of
    /// it as long as the result exists. INTx is not in use, nor does it become so: the mutex around
    /// interrupts is held.
    pub(crate) fn force_memory_and_keep_intx_disable(&self) -> KeptBits<'_> {
        let before = self.state.lock().change(MEMORY, MEMORY);

        KeptBits {
            command: self,
            mask: MEMORY | INTX_DISABLE,
            before,
        }
    }
}

/// Bits of the register that become what they were when this is dropped.
#[must_use = "the bits are put back as soon as this is dropped"]
pub(crate) struct KeptBits<'a> {
    command: &'a Command,
    mask: u16,
    before: u16,
}

impl Drop for KeptBits<'_> {
    fn drop(&mut self) {
        self.command.state.lock().change(self.mask, self.before);
    }
}

/// Interrupt Disable.
impl Command {
    /// From now on INTx is in use, and Interrupt Disable is its mask.
    pub(crate) fn begin_intx(&self, disabled: bool) {
        let mut state = self.state.lock();

        let due = state.intx.begin_use(disabled);
        state.write_intx(due);
    }

    /// From now on INTx is not in use.
    pub(crate) fn end_intx(&self) {
        self.state.lock().intx.end_use();
    }

    /// Masks or unmasks INTx in the function.
    pub(crate) fn set_intx_disabled(&self, disabled: bool) {
        let mut state = self.state.lock();

        let due = state.intx.ask(disabled);
        state.write_intx(due);
    }

    /// Masks INTx in the function if it is the one that asserts it; INTx is in use.
    ///
    /// Returns whether it was. While the register is handed over it is masked, so that the
    /// interrupt is somebody else's.
    pub(crate) fn mask_pending_intx(&self) -> bool {
        let mut state = self.state.lock();

        let was_pending = !state.intx.is_handed_over() && state.register.mask_pending_intx();
        if was_pending {
            state.intx.wrote(true);
        }

        was_pending
    }

    /// Unmasks INTx in the function, unless it would be asserted at once; INTx is in use.
    ///
    /// Returns whether it is unmasked, or will be when the register is taken back.
    pub(crate) fn unmask_idle_intx(&self) -> bool {
        let mut state = self.state.lock();

        if state.intx.is_handed_over() {
            // Whether it is asserted cannot be told now. If so, there will be an interrupt.
            let _ = state.intx.ask(false);
            return true;
        }
        let is_unmasked = state.register.unmask_idle_intx();
        if is_unmasked {
            state.intx.wrote(false);
        }

        is_unmasked
    }

    /// Masks INTx in the function again, which is what is asked for, if the function has lost
    /// that.
    ///
    /// Returns whether it had, and asserted INTx.
    pub(crate) fn mask_lost_intx(&self) -> bool {
        let mut state = self.state.lock();
        if state.intx.due() != Some(true) || state.register.read() & INTX_DISABLE != 0 {
            return false;
        }

        let was_pending = state.register.mask_pending_intx();
        state.write_intx(Some(true));
        was_pending
    }

    /// Makes Interrupt Disable what it is to be, if it matters. The function may have lost it in
    /// a reset of which nobody has told us.
    pub(crate) fn restore_intx_disable(&self) {
        let mut state = self.state.lock();

        let due = state.intx.due();
        state.write_intx(due);
    }

    /// Hands the register over to the PCI core, which saves it, and writes it as it likes. Until
    /// [`Self::take_back`], which belongs to each call, INTx stays masked if it is in use.
    pub(crate) fn hand_over(&self) {
        let mut state = self.state.lock();

        let due = state.intx.hand_over();
        state.write_intx(due);
    }

    /// Takes the register back from the PCI core.
    pub(crate) fn take_back(&self) {
        let mut state = self.state.lock();

        let due = state.intx.take_back();
        state.write_intx(due);
        if !state.intx.is_handed_over() && core::mem::take(&mut state.master_is_cleared) {
            state.register.clear_master();
        }
    }

    /// Hands the register over for as long as the result exists.
    pub(crate) fn handed_over(&self) -> HandedOver<'_> {
        self.hand_over();

        HandedOver(self)
    }
}

/// The register is handed over to the PCI core.
#[must_use = "the register is taken back when this is dropped"]
pub(crate) struct HandedOver<'a>(&'a Command);

impl Drop for HandedOver<'_> {
    fn drop(&mut self) {
        self.0.take_back();
    }
}
