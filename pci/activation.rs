// SPDX-License-Identifier: GPL-2.0

//! A device that is in use: powered, enabled, reset, and put back afterwards.

use crate::{
    abstractions::{
        pci::{
            reset::SavedState,
            Enabled,
            Function, //
        },
        pm_runtime::Resumed, //
    },
    command::Command, //
};
use kernel::prelude::*;

/// A function that is powered and enabled, and came out of a reset if it has one.
///
/// Dropping it disables the function and lets it be suspended. A function that has been in the
/// hands of a user is given to [`Self::end`] before.
///
/// The C driver says enabling, which to the PCI core is one step of this.
pub(crate) struct Activation {
    /// Config space as it was after the reset. Bus mastering is off in it.
    saved: Option<SavedState>,
    reset_works: bool,
    // The order of these matters: the function is disabled first, then suspended.
    enabled: Enabled,
    resumed: Option<Resumed<Function>>,
}

/// A function that is not in use any more, but has not been suspended yet.
pub(crate) struct Ended {
    /// Has it been reset?
    pub(crate) was_reset: bool,
    _resumed: Option<Resumed<Function>>,
}

impl Activation {
    /// Activates a function, whose register `command` is; with `resume`, it may have been
    /// suspended.
    ///
    /// # Errors
    ///
    /// That of the resume, that of enabling the function, or EAGAIN if somebody holds the
    /// function's lock.
    pub(crate) fn new(function: &Function, command: &Command, resume: bool) -> Result<Self> {
        let resumed = resume.then(|| Resumed::new(function.clone())).transpose()?;
        command.clear_master();
        let enabled = Enabled::new(function.clone())?;
        let reset_works = match function.try_reset() {
            Err(error) if error == EAGAIN => return Err(error),
            result => result.is_ok(),
        };
        function.save_state();

        Ok(Self {
            saved: function.store_saved_state(),
            reset_works,
            enabled,
            resumed,
        })
    }

    /// Did the reset succeed? Then the user may ask for another.
    pub(crate) fn reset_works(&self) -> bool {
        self.reset_works
    }

    /// Puts the function back to how it was when it was activated, and disables it.
    pub(crate) fn end(mut self, command: &Command) -> Ended {
        let mut was_reset = false;
        if self.load_saved_state() {
            // Silent, whether somebody else holds its lock or not.
            command.quiesce();
            was_reset = self.reset_works && self.function().try_reset_keeping_saved_state().is_ok();
            self.function().restore_state();
        }

        Ended {
            was_reset,
            _resumed: self.resumed,
        }
    }

    fn function(&self) -> &Function {
        self.enabled.function()
    }

    /// Makes the state to restore the saved one. False if there is nothing to restore.
    fn load_saved_state(&mut self) -> bool {
        let saved = self.saved.take();
        let function = self.function();
        if function.load_saved_state(saved.as_ref()).is_ok() {
            return true;
        }

        dev_info!(function, "Couldn't reload saved state\n");
        if self.reset_works {
            // Restoring the present state around a reset is better than nothing.
            function.save_state();
        }

        self.reset_works
    }
}
