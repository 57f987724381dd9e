// SPDX-License-Identifier: GPL-2.0

//! What becomes of a device between an error of the bus and the end of recovery.
//!
//! PARITY: 10-31, 12-27.

use crate::pci::{
    availability::Link,
    reach::Reach, //
};

/// What is put back, if anything is.
fn put_back(reach: &mut Reach<u32>) -> Option<u32> {
    let mut found = None;
    reach.put_back(|saved| {
        found = Some(*saved);
        true
    });
    found
}

/// A device that was opened when config space was 1.
fn open() -> Reach<u32> {
    let mut reach = Reach::new();
    reach.open(Some(1));
    reach
}

/// A fatal error, reported when config space was `saved`, if that is known.
fn fail(reach: &mut Reach<u32>, saved: Option<u32>) {
    reach.report(saved);
    reach.cut_off();
}

#[test]
fn not_fatal() {
    let mut reach = open();
    reach.report(Some(2));
    assert!(reach.is_up() && !reach.is_recovering());
    reach.recover();
    assert!(reach.is_up() && !reach.is_to_be_put_back());
    assert_eq!(put_back(&mut reach), None);
}

#[test]
fn fatal() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    assert!(!reach.is_up() && reach.is_recovering());
    assert_eq!(reach.link(), Link::Down);
    assert_eq!(put_back(&mut reach), None);
    // The reset of the link cuts off what is cut off.
    reach.cut_off();
    reach.recover();
    assert!(!reach.is_up() && reach.is_to_be_put_back());
    assert_eq!(reach.link(), Link::Recovered);
    assert_eq!(put_back(&mut reach), Some(2));
    assert!(reach.is_up());
    assert_eq!(reach.link(), Link::Up);
}

#[test]
fn link_reset_for_another_function() {
    let mut reach = open();
    reach.report(Some(2));
    // It is in use until the reset.
    assert!(reach.is_up());
    reach.cut_off();
    reach.recover();
    assert_eq!(put_back(&mut reach), Some(2));
}

#[test]
fn link_down_before_the_report() {
    let mut reach = open();
    fail(&mut reach, None);
    reach.recover();
    assert_eq!(put_back(&mut reach), Some(1));
    assert!(reach.is_up());
}

#[test]
fn nothing_to_put_back() {
    let mut reach = Reach::<u32>::new();
    fail(&mut reach, None);
    reach.recover();
    assert_eq!(put_back(&mut reach), None);
    assert!(!reach.is_up() && !reach.is_to_be_put_back());
    reach.open(Some(3));
    assert!(reach.is_up());
}

/// A virtual function, say, whose physical one has not been put back yet.
#[test]
fn put_back_fails_at_first() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    reach.recover();
    reach.put_back(|_| false);
    assert!(!reach.is_up() && reach.is_to_be_put_back());
    assert_eq!(put_back(&mut reach), Some(2));
    assert!(reach.is_up());
}

#[test]
fn second_error_before_it_is_put_back() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    reach.recover();
    // What could be saved now is what the reset has left.
    fail(&mut reach, Some(9));
    assert!(reach.is_recovering());
    reach.recover();
    assert_eq!(put_back(&mut reach), Some(2));
}

#[test]
fn second_error_during_recovery() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    fail(&mut reach, Some(9));
    reach.recover();
    assert_eq!(put_back(&mut reach), Some(2));
    reach.recover();
    assert!(reach.is_up());
}

#[test]
fn given_up() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    reach.give_up();
    assert!(!reach.is_up() && !reach.is_recovering() && !reach.is_to_be_put_back());
    assert_eq!(put_back(&mut reach), None);
    reach.open(Some(3));
    assert!(reach.is_up());
}

/// Recovery has failed, but then the function is reset, and answers.
#[test]
fn reset_after_it_was_given_up() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    reach.give_up();
    reach.revive(|| true);
    assert!(reach.is_to_be_put_back());
    assert_eq!(put_back(&mut reach), Some(2));
    assert!(reach.is_up());
}

/// Recovery has failed, and the function does not answer.
#[test]
fn lost_after_it_was_given_up() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    reach.give_up();
    reach.revive(|| false);
    assert!(!reach.is_up() && !reach.is_to_be_put_back());
    reach.revive(|| true);
    assert_eq!(put_back(&mut reach), Some(2));
}

/// A reset during recovery says nothing: the link may be reset again.
#[test]
fn reset_during_recovery() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    // Nobody asks the function.
    reach.revive(|| panic!());
    assert!(reach.is_recovering());
    reach.recover();
    reach.revive(|| true);
    assert_eq!(put_back(&mut reach), Some(2));
    reach.revive(|| true);
    assert!(reach.is_up());
}

/// A later error, from which the bus recovers. What can be saved by then is of no use.
#[test]
fn recovered_after_it_was_given_up() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    reach.give_up();
    fail(&mut reach, Some(9));
    assert!(reach.is_recovering());
    reach.recover();
    assert_eq!(put_back(&mut reach), Some(2));
}

/// Recovery fails, and nobody has the device any more: it is opened as it was opened last.
#[test]
fn closed_after_it_was_given_up() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    reach.give_up();
    reach.forget();
    reach.revive(|| true);
    assert_eq!(put_back(&mut reach), Some(1));
    assert!(reach.is_up());
}

/// An error that is not fatal, from which recovery fails all the same, takes nothing away.
#[test]
fn given_up_without_need() {
    let mut reach = open();
    reach.report(Some(2));
    reach.give_up();
    assert!(reach.is_up());
    reach.cut_off();
    reach.recover();
    assert_eq!(put_back(&mut reach), Some(1));
}

#[test]
fn closed_during_recovery() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    reach.forget();
    reach.recover();
    assert_eq!(put_back(&mut reach), Some(1));
    // After the end of recovery, before anybody has put it back.
    fail(&mut reach, Some(2));
    reach.recover();
    reach.forget();
    assert_eq!(put_back(&mut reach), Some(1));
}

#[test]
fn opened_during_recovery() {
    let mut reach = open();
    fail(&mut reach, Some(2));
    reach.open(Some(3));
    assert!(reach.is_recovering());
    reach.recover();
    assert_eq!(put_back(&mut reach), Some(3));
    assert!(reach.is_up());
}
