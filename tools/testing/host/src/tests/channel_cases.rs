// SPDX-License-Identifier: GPL-2.0

//! What becomes of a device between an error of the bus and the end of recovery.
//!
//! PARITY: 10-31, 12-27.

use crate::pci::{
    availability::Link,
    channel::Channel, //
};

/// What is put back, if anything is.
fn put_back(channel: &mut Channel<u32>) -> Option<u32> {
    let mut found = None;
    channel.put_back(|saved| {
        found = Some(*saved);
        true
    });
    found
}

/// A device that was opened when config space was 1.
fn open() -> Channel<u32> {
    let mut channel = Channel::new();
    channel.open(Some(1));
    channel
}

/// A fatal error, reported when config space was `saved`, if that is known.
fn fail(channel: &mut Channel<u32>, saved: Option<u32>) {
    channel.report(saved);
    channel.cut_off();
}

#[test]
fn not_fatal() {
    let mut channel = open();
    channel.report(Some(2));
    assert!(channel.is_up() && !channel.is_recovering());
    channel.recover();
    assert!(channel.is_up() && !channel.is_to_be_put_back());
    assert_eq!(put_back(&mut channel), None);
}

#[test]
fn fatal() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    assert!(!channel.is_up() && channel.is_recovering());
    assert_eq!(channel.link(), Link::Down);
    assert_eq!(put_back(&mut channel), None);
    // The reset of the link cuts off what is cut off.
    channel.cut_off();
    channel.recover();
    assert!(!channel.is_up() && channel.is_to_be_put_back());
    assert_eq!(channel.link(), Link::Recovered);
    assert_eq!(put_back(&mut channel), Some(2));
    assert!(channel.is_up());
    assert_eq!(channel.link(), Link::Up);
}

#[test]
fn link_reset_for_another_function() {
    let mut channel = open();
    channel.report(Some(2));
    // It is in use until the reset.
    assert!(channel.is_up());
    channel.cut_off();
    channel.recover();
    assert_eq!(put_back(&mut channel), Some(2));
}

#[test]
fn link_down_before_the_report() {
    let mut channel = open();
    fail(&mut channel, None);
    channel.recover();
    assert_eq!(put_back(&mut channel), Some(1));
    assert!(channel.is_up());
}

#[test]
fn nothing_to_put_back() {
    let mut channel = Channel::<u32>::new();
    fail(&mut channel, None);
    channel.recover();
    assert_eq!(put_back(&mut channel), None);
    assert!(!channel.is_up() && !channel.is_to_be_put_back());
    channel.open(Some(3));
    assert!(channel.is_up());
}

/// A virtual function, say, whose physical one has not been put back yet.
#[test]
fn put_back_fails_at_first() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    channel.recover();
    channel.put_back(|_| false);
    assert!(!channel.is_up() && channel.is_to_be_put_back());
    assert_eq!(put_back(&mut channel), Some(2));
    assert!(channel.is_up());
}

#[test]
fn second_error_before_it_is_put_back() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    channel.recover();
    // What could be saved now is what the reset has left.
    fail(&mut channel, Some(9));
    assert!(channel.is_recovering());
    channel.recover();
    assert_eq!(put_back(&mut channel), Some(2));
}

#[test]
fn second_error_during_recovery() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    fail(&mut channel, Some(9));
    channel.recover();
    assert_eq!(put_back(&mut channel), Some(2));
    channel.recover();
    assert!(channel.is_up());
}

#[test]
fn given_up() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    channel.give_up();
    assert!(!channel.is_up() && !channel.is_recovering() && !channel.is_to_be_put_back());
    assert_eq!(put_back(&mut channel), None);
    channel.open(Some(3));
    assert!(channel.is_up());
}

/// Recovery has failed, but then the function is reset, and answers.
#[test]
fn reset_after_it_was_given_up() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    channel.give_up();
    channel.revive(|| true);
    assert!(channel.is_to_be_put_back());
    assert_eq!(put_back(&mut channel), Some(2));
    assert!(channel.is_up());
}

/// Recovery has failed, and the function does not answer.
#[test]
fn lost_after_it_was_given_up() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    channel.give_up();
    channel.revive(|| false);
    assert!(!channel.is_up() && !channel.is_to_be_put_back());
    channel.revive(|| true);
    assert_eq!(put_back(&mut channel), Some(2));
}

/// A reset during recovery says nothing: the link may be reset again.
#[test]
fn reset_during_recovery() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    // Nobody asks the function.
    channel.revive(|| panic!());
    assert!(channel.is_recovering());
    channel.recover();
    channel.revive(|| true);
    assert_eq!(put_back(&mut channel), Some(2));
    channel.revive(|| true);
    assert!(channel.is_up());
}

/// A later error, from which the bus recovers. What can be saved by then is of no use.
#[test]
fn recovered_after_it_was_given_up() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    channel.give_up();
    fail(&mut channel, Some(9));
    assert!(channel.is_recovering());
    channel.recover();
    assert_eq!(put_back(&mut channel), Some(2));
}

/// Recovery fails, and nobody has the device any more: it is opened as it was opened last.
#[test]
fn closed_after_it_was_given_up() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    channel.give_up();
    channel.forget();
    channel.revive(|| true);
    assert_eq!(put_back(&mut channel), Some(1));
    assert!(channel.is_up());
}

/// An error that is not fatal, from which recovery fails all the same, takes nothing away.
#[test]
fn given_up_without_need() {
    let mut channel = open();
    channel.report(Some(2));
    channel.give_up();
    assert!(channel.is_up());
    channel.cut_off();
    channel.recover();
    assert_eq!(put_back(&mut channel), Some(1));
}

#[test]
fn closed_during_recovery() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    channel.forget();
    channel.recover();
    assert_eq!(put_back(&mut channel), Some(1));
    // After the end of recovery, before anybody has put it back.
    fail(&mut channel, Some(2));
    channel.recover();
    channel.forget();
    assert_eq!(put_back(&mut channel), Some(1));
}

#[test]
fn opened_during_recovery() {
    let mut channel = open();
    fail(&mut channel, Some(2));
    channel.open(Some(3));
    assert!(channel.is_recovering());
    channel.recover();
    assert_eq!(put_back(&mut channel), Some(3));
    assert!(channel.is_up());
}
