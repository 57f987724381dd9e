// SPDX-License-Identifier: GPL-2.0

//! The way from one state of migration to another, against the text of the user interface.
//!
//! PARITY: 6-87, 9-6.

use crate::migration::state::{
    State::{
        self,
        *, //
    },
    Support, //
};
use std::{
    collections::VecDeque,
    vec,
    vec::Vec, //
};

/// Each set of flags.
const SUPPORTS: [Support; 4] = [
    support(false, false),
    support(true, false),
    support(false, true),
    support(true, true),
];

const fn support(p2p: bool, pre_copy: bool) -> Support {
    Support { p2p, pre_copy }
}

/// The arcs that `linux/vfio.h` has a text about. The texts are of a device that has all states.
const ARCS: [(State, State); 15] = [
    (RunningP2p, Stop),
    (StopCopy, Stop),
    (Resuming, Stop),
    (PreCopy, Running),
    (RunningP2p, Running),
    (PreCopyP2p, RunningP2p),
    (Running, RunningP2p),
    (Stop, RunningP2p),
    (Running, PreCopy),
    (RunningP2p, PreCopyP2p),
    (Stop, StopCopy),
    (PreCopy, PreCopyP2p),
    (PreCopyP2p, PreCopy),
    (PreCopyP2p, StopCopy),
    (Stop, Resuming),
];

/// Without P2P, its states "behave as though the device was fully running": what leads through them
/// leads on. Without PRE_COPY, "arcs touching PRE_COPY and PRE_COPY_P2P are removed".
fn arcs(support: Support) -> Vec<(State, State)> {
    let full = |state| match state {
        RunningP2p if !support.p2p => Running,
        PreCopyP2p if !support.p2p => PreCopy,
        other => other,
    };
    let mut arcs: Vec<_> = ARCS
        .iter()
        .map(|(from, to)| (full(*from), full(*to)))
        .filter(|(from, to)| from != to && support.has(*from) && support.has(*to))
        .collect();
    arcs.dedup();
    arcs
}

/// "The path cannot have saving group states as interior arcs, only starting/end states": a path
/// that is inside of that group from its start to its end goes on with one transfer.
fn may_lead_through(state: State, from: State, to: State) -> bool {
    !state.is_saving() || (from.is_saving() && to.is_saving())
}

/// The lengths of all paths without a circle; the shortest is the one to take.
fn paths(from: State, to: State, support: Support) -> Vec<Vec<State>> {
    let arcs = arcs(support);
    let mut found = Vec::new();
    let mut open = VecDeque::from([vec![from]]);
    while let Some(path) = open.pop_front() {
        let last = *path.last().unwrap();
        if last == to {
            found.push(path);
            continue;
        }
        if last != from && !may_lead_through(last, from, to) {
            continue;
        }
        for (_, next) in arcs.iter().filter(|(start, _)| *start == last) {
            if !path.contains(next) {
                let mut longer = path.clone();
                longer.push(*next);
                open.push_back(longer);
            }
        }
    }
    found
}

/// "STOP_COPY -> PRE_COPY, STOP_COPY -> PRE_COPY_P2P: these arcs are not permitted and return error
/// if requested."
fn is_forbidden(from: State, to: State) -> bool {
    from == Error || to == Error || (from == StopCopy && matches!(to, PreCopy | PreCopyP2p))
}

/// The way that the driver is led.
fn way(from: State, to: State, support: Support) -> Option<Vec<State>> {
    let mut way = vec![from];
    let mut now = from;
    while now != to {
        now = now.next(to, support)?;
        way.push(now);
        assert!(way.len() <= State::ALL.len(), "{way:?} does not end");
    }
    Some(way)
}

fn pairs() -> impl Iterator<Item = (State, State, Support)> {
    SUPPORTS.into_iter().flat_map(|support| {
        State::ALL
            .into_iter()
            .flat_map(move |from| State::ALL.into_iter().map(move |to| (from, to, support)))
    })
}

#[test]
fn numbers() {
    for (number, state) in (0..).zip(State::ALL) {
        assert_eq!(state.number(), number);
        assert_eq!(State::from_number(number), Some(state));
    }
    assert_eq!(State::from_number(8), None);
    assert_eq!(State::from_number(u32::MAX), None);
    let flags: Vec<_> = SUPPORTS.iter().map(|support| support.flags()).collect();
    assert_eq!(flags, [1, 3, 5, 7]);
    for (flags, support) in flags.into_iter().zip(SUPPORTS) {
        assert_eq!(Support::from_flags(flags), Some(support));
        assert_eq!(Support::from_flags(flags | 8), Some(support));
        assert_eq!(Support::from_flags(flags & !1), None);
    }
}

#[test]
fn a_way_exists_if_the_text_has_one() {
    for (from, to, support) in pairs() {
        let is_known = support.has(from) && support.has(to);
        let exists = is_known && !is_forbidden(from, to) && !paths(from, to, support).is_empty();
        assert_eq!(
            from.next(to, support).is_some(),
            exists,
            "{from:?} -> {to:?} of {support:?}"
        );
        // Nobody is led half of the way.
        let whole = way(from, to, support).is_some();
        assert!(whole == exists || from == to, "{from:?} -> {to:?}");
    }
}

/// In what the text permits there is a way between any two states but from the last one of saving.
#[test]
fn all_states_can_be_reached() {
    for (from, to, support) in pairs() {
        if support.has(from) && support.has(to) && !is_forbidden(from, to) {
            assert!(from.next(to, support).is_some(), "{from:?} -> {to:?}");
        }
    }
}

#[test]
fn each_step_is_an_arc() {
    for (from, to, support) in pairs() {
        let way = way(from, to, support).unwrap_or_default();
        for step in way.windows(2) {
            let arc = (step[0], step[1]);
            assert!(arcs(support).contains(&arc), "{way:?} of {support:?}");
        }
        for state in way.iter().skip(1).rev().skip(1) {
            assert!(may_lead_through(*state, from, to), "{way:?}");
            assert!(support.has(*state), "{way:?}");
        }
    }
}

#[test]
fn the_way_is_the_shortest_and_the_only_one_of_its_length() {
    for (from, to, support) in pairs() {
        let Some(way) = way(from, to, support).filter(|_| from != to) else {
            continue;
        };
        let paths = paths(from, to, support);
        let shortest = paths.iter().map(Vec::len).min();
        assert_eq!(shortest, Some(way.len()), "{way:?} of {support:?}");
        let as_short: Vec<_> = paths
            .iter()
            .filter(|path| path.len() == way.len())
            .collect();
        assert_eq!(as_short, [&way], "of {support:?}");
    }
}

#[test]
fn a_state_leads_to_itself() {
    for (from, _, support) in pairs() {
        let expected = Some(from).filter(|_| support.has(from) && from != Error);
        assert_eq!(from.next(from, support), expected);
    }
}
