// SPDX-License-Identifier: GPL-2.0

//! The cases that run in the kernel too.

use crate::pci::irq::request::cases;

#[test]
fn ranges() {
    assert_eq!(cases::ranges(), Ok(()));
}

#[test]
fn flags() {
    assert_eq!(cases::flags(), Ok(()));
}

#[test]
fn sizes() {
    assert_eq!(cases::sizes(), Ok(()));
}

#[test]
fn actions() {
    assert_eq!(cases::actions(), Ok(()));
}

#[test]
fn operands() {
    assert_eq!(cases::operands(), Ok(()));
}
