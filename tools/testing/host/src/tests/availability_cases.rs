// SPDX-License-Identifier: GPL-2.0

//! Who may touch device memory, and who keeps others from it.
//!
//! PARITY: 10-34, 12-27.

use crate::pci::availability::{
    Availability,
    Facts,
    Holder,
    Holders,
    Link, //
};

/// All there can be to know, and what keeps the memory from being touched.
fn all() -> impl Iterator<Item = Facts> {
    let links = [Link::Up, Link::Recovered, Link::Down];
    links.into_iter().flat_map(|link| {
        (0..16).map(move |bits: u32| {
            let mut holders = Holders::default();
            if bits & 1 != 0 {
                holders.enter(Holder::User);
            }
            if bits & 2 != 0 {
                holders.enter(Holder::Host);
            }
            Facts {
                holders,
                link,
                suspended: bits & 4 != 0,
                disabled: bits & 8 != 0,
            }
        })
    })
}

#[test]
fn it_may_be_touched_if_nothing_speaks_against_it() {
    for facts in all() {
        let free = !facts.holders.is_any()
            && facts.link == Link::Up
            && !facts.suspended
            && !facts.disabled;
        assert_eq!(
            Availability::of(facts) == Availability::Ready,
            free,
            "{facts:?}"
        );
    }
}

/// While somebody resets the device, the rest may be changing.
#[test]
fn a_reset_hides_everything_else() {
    for facts in all() {
        let resetting = Availability::of(facts) == Availability::Resetting;
        assert_eq!(resetting, facts.holders.is_any(), "{facts:?}");
    }
}

/// Nothing is asked of a function that is cut off, and nobody waits for it.
#[test]
fn an_error_of_the_bus_comes_before_what_the_user_has_done() {
    for facts in all().filter(|facts| !facts.holders.is_any()) {
        let expected = match facts.link {
            Link::Down => Availability::CutOff,
            Link::Recovered => Availability::Recovered,
            Link::Up if facts.suspended => Availability::Suspended,
            Link::Up if facts.disabled => Availability::Disabled,
            Link::Up => Availability::Ready,
        };
        assert_eq!(Availability::of(facts), expected, "{facts:?}");
    }
}

#[test]
fn who_keeps_others_from_it() {
    let mut holders = Holders::default();
    assert!(!holders.is_any());
    assert_eq!(holders.first(), None);
    holders.enter(Holder::User);
    assert_eq!(holders.first(), Some(Holder::User));
    // The PCI core does not ask.
    holders.enter(Holder::Host);
    assert_eq!(holders.first(), Some(Holder::Host));
    holders.leave(Holder::User);
    assert!(holders.is_any());
    assert_eq!(holders.first(), Some(Holder::Host));
    holders.leave(Holder::Host);
    assert!(!holders.is_any());
}
