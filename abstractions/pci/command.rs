// SPDX-License-Identifier: GPL-2.0

//! The Command Register of a PCI function.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use crate::{
    abstractions::pci::Function,
    config::Width, //
};
use vfio::abstractions::bindings;

const COMMAND: u16 = bindings::PCI_COMMAND as u16;

/// The Command Register of a function.
///
/// Nothing here waits, so all of it may be called in any context. Some of it reads the register and
/// writes it again, and would undo what is written in between. So a function has one of these, in
/// a lock, and every access wants it mutable.
pub(crate) struct CommandRegister(Function);

impl CommandRegister {
    /// The register of `function`.
    pub(crate) fn new(function: Function) -> Self {
        Self(function)
    }

    /// Reads the register; all ones if that fails.
    pub(crate) fn read(&mut self) -> u16 {
        self.0.read_config_word(COMMAND)
    }

    /// Writes the register. A function that is gone does not notice.
    pub(crate) fn write(&mut self, value: u16) {
        self.0.write_config(COMMAND, Width::Word, value.into());
    }

    /// Masks INTx in the function if it is the one that asserts it.
    ///
    /// Returns whether it was.
    pub(crate) fn mask_pending_intx(&mut self) -> bool {
        // SAFETY: `as_raw()` is valid.
        unsafe { bindings::pci_check_and_mask_intx(self.0.as_raw()) }
    }

    /// Unmasks INTx in the function unless it would be asserted at once.
    ///
    /// Returns whether it is unmasked.
    pub(crate) fn unmask_idle_intx(&mut self) -> bool {
        // SAFETY: `as_raw()` is valid.
        unsafe { bindings::pci_check_and_unmask_intx(self.0.as_raw()) }
    }

    /// Stops the function from doing DMA.
    pub(crate) fn clear_master(&mut self) {
        // SAFETY: `as_raw()` is valid.
        unsafe { bindings::pci_clear_master(self.0.as_raw()) };
    }
}
