// SPDX-License-Identifier: GPL-2.0

//! Interrupt Disable follows what it is asked to be, whatever the PCI core does to the register.
//!
//! PARITY: 7-28, 6-36.

use crate::pci::intx_disable::IntxDisable;

use proptest::{
    collection::vec,
    prelude::*, //
};
use std::vec::Vec;

/// The bit in hardware, with its owner.
struct Register {
    bit: bool,
    intx: IntxDisable,
    /// What the PCI core has saved, each time it was given the register.
    saved: Vec<bool>,
}

impl Register {
    fn new() -> Self {
        Self {
            bit: false,
            intx: IntxDisable::new(),
            saved: Vec::new(),
        }
    }

    fn write(&mut self, due: Option<bool>) {
        self.bit = due.unwrap_or(self.bit);
    }

    fn ask(&mut self, disabled: bool) {
        let due = self.intx.ask(disabled);
        self.write(due);
    }

    fn begin_use(&mut self, disabled: bool) {
        let due = self.intx.begin_use(disabled);
        self.write(due);
    }

    /// As the interrupt handler does, and what unmasks.
    fn flip(&mut self, disabled: bool) {
        if !self.intx.is_handed_over() {
            self.bit = disabled;
            self.intx.wrote(disabled);
        }
    }

    fn hand_over(&mut self) {
        let due = self.intx.hand_over();
        self.write(due);
        self.saved.push(self.bit);
    }

    /// The PCI core forgets the bit, and restores it.
    fn take_back(&mut self) {
        if let Some(saved) = self.saved.pop() {
            self.bit = saved;
            let due = self.intx.take_back();
            self.write(due);
        }
    }
}

#[test]
fn masked_during_a_reset() {
    let mut register = Register::new();
    register.begin_use(false);
    register.hand_over();
    assert!(register.bit, "masked while the PCI core has it");
    register.flip(true);
    register.take_back();
    assert!(!register.bit, "unmasked as before");
}

#[test]
fn unmasked_during_a_reset() {
    let mut register = Register::new();
    register.begin_use(false);
    register.flip(true);
    register.hand_over();
    register.ask(false);
    assert!(register.bit, "it is not written now");
    register.take_back();
    assert!(!register.bit);
}

#[test]
fn not_in_use() {
    let mut register = Register::new();
    register.bit = true;
    register.hand_over();
    register.bit = false;
    register.take_back();
    assert!(register.bit, "what the PCI core restores stays");
    // MSI changes it, and nobody else cares.
    register.ask(false);
    register.bit = true;
    register.hand_over();
    register.take_back();
    assert!(register.bit);
    // But what was asked for meanwhile is done.
    register.hand_over();
    register.ask(false);
    register.take_back();
    assert!(!register.bit);
}

#[test]
fn use_ends_during_a_reset() {
    let mut register = Register::new();
    register.begin_use(false);
    register.hand_over();
    register.intx.end_use();
    register.take_back();
    assert!(!register.bit, "it does not stay masked for that");
    register.bit = true;
    register.hand_over();
    register.take_back();
    assert!(register.bit, "and is left alone from then on");
}

#[test]
fn reset_during_a_sleep() {
    let mut register = Register::new();
    register.begin_use(false);
    register.hand_over();
    register.hand_over();
    register.take_back();
    assert!(register.bit && register.intx.is_handed_over());
    register.take_back();
    assert!(!register.bit && !register.intx.is_handed_over());
}

#[test]
fn lost_without_a_word() {
    let mut register = Register::new();
    register.begin_use(true);
    register.bit = false;
    let due = register.intx.due();
    register.write(due);
    assert!(register.bit);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(bool),
    Flip(bool),
    HandOver,
    TakeBack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(Step::Ask),
        any::<bool>().prop_map(Step::Flip),
        Just(Step::HandOver),
        Just(Step::TakeBack),
    ]
}

proptest! {
    /// While INTx is in use, the bit is what was asked for last whenever the register is ours, and
    /// set whenever it is not.
    #[test]
    fn follows(first: bool, steps in vec(step(), 0..60)) {
        let mut register = Register::new();
        register.begin_use(first);
        let mut asked = first;
        for step in steps {
            match step {
                Step::Ask(disabled) => {
                    register.ask(disabled);
                    asked = disabled;
                }
                Step::Flip(disabled) => {
                    if !register.intx.is_handed_over() {
                        asked = disabled;
                    }
                    register.flip(disabled);
                }
                Step::HandOver => register.hand_over(),
                Step::TakeBack => register.take_back(),
            }
            let expected = register.intx.is_handed_over() || asked;
            prop_assert_eq!(register.bit, expected);
        }
    }
}
