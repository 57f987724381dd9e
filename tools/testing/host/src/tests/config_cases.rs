// SPDX-License-Identifier: GPL-2.0

//! The cases that run in the kernel too.

use crate::pci::tests::config::cases;

#[test]
fn permissions() {
    assert_eq!(cases::permissions(), Ok(()));
}

#[test]
fn chunks() {
    assert_eq!(cases::chunks(), Ok(()));
}

#[test]
fn memory_effects() {
    assert_eq!(cases::memory_effects(), Ok(()));
}

#[test]
fn virtual_function() {
    assert_eq!(cases::header::virtual_function(), Ok(()));
}

#[test]
fn command() {
    assert_eq!(cases::header::command(), Ok(()));
}

#[test]
fn missed_reset() {
    assert_eq!(cases::header::missed_reset(), Ok(()));
}

#[test]
fn bar_sizing() {
    assert_eq!(cases::header::bar_sizing(), Ok(()));
}

#[test]
fn header_fields() {
    assert_eq!(cases::header::header_fields(), Ok(()));
}

#[test]
fn power_management() {
    assert_eq!(cases::capabilities::power_management(), Ok(()));
}

#[test]
fn vital_product_data() {
    assert_eq!(cases::capabilities::vital_product_data(), Ok(()));
}

#[test]
fn msi() {
    assert_eq!(cases::capabilities::msi(), Ok(()));
}

#[test]
fn express() {
    assert_eq!(cases::capabilities::express(), Ok(()));
}

#[test]
fn advanced_features() {
    assert_eq!(cases::capabilities::advanced_features(), Ok(()));
}

#[test]
fn plain_capabilities() {
    assert_eq!(cases::capabilities::plain_capabilities(), Ok(()));
}

#[test]
fn write_one_to_clear() {
    assert_eq!(cases::capabilities::write_one_to_clear(), Ok(()));
}

#[test]
fn emulated_dword() {
    assert_eq!(cases::capabilities::emulated_dword(), Ok(()));
}

#[test]
fn hidden_lengths() {
    assert_eq!(cases::lists::hidden_lengths(), Ok(()));
}

#[test]
fn hidden_extended_lengths() {
    assert_eq!(cases::lists::hidden_extended_lengths(), Ok(()));
}

#[test]
fn hostile_hidden_lengths() {
    assert_eq!(cases::lists::hostile_hidden_lengths(), Ok(()));
}

#[test]
fn hidden_overlap() {
    assert_eq!(cases::lists::hidden_overlap(), Ok(()));
}

#[test]
fn hidden() {
    assert_eq!(cases::lists::hidden(), Ok(()));
}

#[test]
fn hostile_lists() {
    assert_eq!(cases::lists::hostile_lists(), Ok(()));
}

#[test]
fn extended_list() {
    assert_eq!(cases::lists::extended_list(), Ok(()));
}

#[test]
fn hostile_extended_list() {
    assert_eq!(cases::lists::hostile_extended_list(), Ok(()));
}

#[test]
fn lengths() {
    assert_eq!(cases::lists::lengths(), Ok(()));
}

#[test]
fn extended_lengths() {
    assert_eq!(cases::lists::extended_lengths(), Ok(()));
}

#[test]
fn overlap() {
    assert_eq!(cases::lists::overlap(), Ok(()));
}

#[test]
fn cut_short() {
    assert_eq!(cases::lists::cut_short(), Ok(()));
}

#[test]
fn reserved_link_bits() {
    assert_eq!(cases::lists::reserved_link_bits(), Ok(()));
}

#[test]
fn odd_sizes() {
    assert_eq!(cases::lists::odd_sizes(), Ok(()));
}
