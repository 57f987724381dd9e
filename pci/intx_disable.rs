// SPDX-License-Identifier: GPL-2.0

//! What Interrupt Disable, of the Command Register, is to be.
//!
//! While INTx is in use the bit is the mask of INTx, whatever else becomes of the register. At
//! other times it is written when somebody asks for that, and left alone otherwise.
//!
//! When the PCI core resets the function, or lets it sleep, it saves the register and restores it
//! later. What is written in between is lost, and may undo what the PCI core has restored. So the
//! register is handed over to it before, with INTx masked, and taken back afterwards; what was
//! asked for meanwhile is written then.

// Also compiled as part of the host tests, where it is public.
#![allow(unreachable_pub)]

/// What Interrupt Disable is to be, and whether it can be written now.
///
/// What a call returns is to be written to the bit at once; nothing, if it is [`None`].
pub struct IntxDisable {
    in_use: bool,
    /// What was asked for last, as long as INTx is in use, or it is still to be written.
    asked: Option<bool>,
    /// How often the register was handed over, and has not been taken back.
    handed_over: u32,
}

impl IntxDisable {
    /// INTx is not in use, and nothing is asked for.
    pub const fn new() -> Self {
        Self {
            in_use: false,
            asked: None,
            handed_over: 0,
        }
    }

    /// Is the register in the hands of the PCI core?
    pub fn is_handed_over(&self) -> bool {
        self.handed_over != 0
    }

    /// The bit is to be `disabled`.
    #[must_use = "it is to be written"]
    pub fn ask(&mut self, disabled: bool) -> Option<bool> {
        self.asked = Some(disabled);
        self.due()
    }

    /// From now on INTx is in use; the bit is to be `disabled`.
    #[must_use = "it is to be written"]
    pub fn begin_use(&mut self, disabled: bool) -> Option<bool> {
        self.in_use = true;
        self.ask(disabled)
    }

    /// From now on INTx is not in use.
    pub fn end_use(&mut self) {
        self.in_use = false;
        if !self.is_handed_over() {
            self.asked = None;
        }
    }

    /// The bit has just been made `disabled`. Not while the register is handed over.
    pub fn wrote(&mut self, disabled: bool) {
        if self.in_use {
            self.asked = Some(disabled);
        }
    }

    /// What the bit has to be now, if the function may have lost it.
    #[must_use = "it is to be written"]
    pub fn due(&mut self) -> Option<bool> {
        if self.is_handed_over() {
            return None;
        }
        if self.in_use {
            self.asked
        } else {
            self.asked.take()
        }
    }

    /// The register is handed over to the PCI core. It may be so already.
    #[must_use = "it is to be written"]
    pub fn hand_over(&mut self) -> Option<bool> {
        let is_first = !self.is_handed_over();
        self.handed_over = self.handed_over.saturating_add(1);

        (is_first && self.in_use).then_some(true)
    }

    /// The register is taken back, if it has been as often as it was handed over.
    #[must_use = "it is to be written"]
    pub fn take_back(&mut self) -> Option<bool> {
        self.handed_over = self.handed_over.saturating_sub(1);

        self.due()
    }
}
