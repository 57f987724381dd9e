// SPDX-License-Identifier: GPL-2.0

//! Who may touch device memory, and who keeps others from it.
//!
//! PARITY: 10-34, 12-27.

use crate::pci::availability::{
    Availability,
    Conditions,
    Holder,
    Holders,
    Link, //
};

/// What there can be to know: of the lock, of the link, and of the power state.
#[derive(Clone, Copy, Debug)]
struct Facts {
    conditions: Conditions,
    link: Link,
    in_d3: bool,
}

impl Facts {
    fn answer(self) -> Availability {
        Availability::of(self.conditions, self.link, || self.in_d3)
    }

    fn is_disabled(self) -> bool {
        !self.conditions.decode || self.in_d3
    }
}

/// All of it.
fn all() -> impl Iterator<Item = Facts> {
    let links = [Link::Up, Link::Recovered, Link::Down];
    links.into_iter().flat_map(|link| {
        (0..64).map(move |bits: u32| {
            let mut holders = Holders::default();
            if bits & 1 != 0 {
                holders.enter(Holder::User);
            }
            if bits & 2 != 0 {
                holders.enter(Holder::Host);
            }
            Facts {
                conditions: Conditions {
                    holders,
                    may_sleep: bits & 4 != 0,
                    suspended: bits & 8 != 0,
                    decode: bits & 16 != 0,
                },
                link,
                in_d3: bits & 32 != 0,
            }
        })
    })
}

#[test]
fn it_may_be_touched_if_nothing_speaks_against_it() {
    for facts in all() {
        let free = !facts.conditions.holders.is_any()
            && facts.link == Link::Up
            && !facts.conditions.suspended
            && !facts.is_disabled();
        assert_eq!(facts.answer() == Availability::Ready, free, "{facts:?}");
    }
}

/// While somebody resets the device, the rest may be changing.
#[test]
fn a_reset_hides_everything_else() {
    for facts in all() {
        let resetting = facts.answer() == Availability::Resetting;
        assert_eq!(resetting, facts.conditions.holders.is_any(), "{facts:?}");
    }
}

/// Nothing is asked of a function that is cut off, and nobody waits for it.
#[test]
fn an_error_of_the_bus_comes_before_what_the_user_has_done() {
    for facts in all().filter(|facts| !facts.conditions.holders.is_any()) {
        let expected = match facts.link {
            Link::Down => Availability::CutOff,
            Link::Recovered => Availability::Recovered,
            Link::Up if facts.conditions.suspended => Availability::Suspended,
            Link::Up if facts.is_disabled() => Availability::Disabled,
            Link::Up => Availability::Ready,
        };
        assert_eq!(facts.answer(), expected, "{facts:?}");
    }
}

/// The power state of a function that is suspended is that of the PCI core.
#[test]
fn the_power_state_is_looked_at_last() {
    for facts in all() {
        let Facts {
            conditions, link, ..
        } = facts;
        let looks = link == Link::Up
            && conditions.decode
            && !conditions.suspended
            && !conditions.holders.is_any();
        let mut looked = false;
        let _ = Availability::of(conditions, link, || {
            looked = true;
            facts.in_d3
        });
        assert_eq!(looked, looks, "{facts:?}");
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
