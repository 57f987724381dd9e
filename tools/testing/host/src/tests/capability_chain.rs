// SPDX-License-Identifier: GPL-2.0

//! Chains of capabilities, as their reader finds them (row 9-7).

use crate::capability::chain::{
    append,
    shift,
    size,
    TooLong,
    ALIGNMENT,
    HEADER_SIZE, //
};

use proptest::{
    collection::vec,
    prelude::*, //
};
use std::{
    vec,
    vec::Vec, //
};

/// Id, version and offset of the next one.
fn header(chain: &[u8], at: usize) -> (u16, u16, usize) {
    let bytes = &chain[at..at + HEADER_SIZE];
    let word = |at| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    let next = u32::from_ne_bytes(bytes[4..].try_into().unwrap());
    (word(0), word(2), next as usize)
}

/// What somebody finds to whom the first byte of the chain is at `offset`.
fn read(chain: &[u8], offset: usize) -> Vec<(u16, u16, usize)> {
    let mut found = Vec::new();
    let mut at = offset;
    while at != 0 || found.is_empty() {
        let (id, version, next) = header(chain, at - offset);
        found.push((id, version, at));
        at = next;
    }
    found
}

fn chain_of(capabilities: &[(u16, u16, usize)]) -> Vec<u8> {
    let mut chain = Vec::new();
    for (id, version, payload) in capabilities {
        let start = chain.len();
        chain.resize(start + size(*payload).unwrap(), 0);
        append(&mut chain, start, *id, *version).unwrap();
    }
    chain
}

proptest! {
    /// All that were added are found, in their order, each where there is room for it.
    #[test]
    fn what_was_added_is_found(
        capabilities in vec((any::<u16>(), any::<u16>(), 0..40usize), 1..12),
        offset in (0..100usize).prop_map(|words| words * 8),
    ) {
        let mut chain = chain_of(&capabilities);
        let end = chain.len();
        shift(&mut chain, offset).unwrap();
        let found = read(&chain, offset);
        prop_assert_eq!(found.len(), capabilities.len());
        let mut expected = offset;
        for ((id, version, payload), (was_id, was_version, at)) in capabilities.iter().zip(found) {
            prop_assert_eq!((was_id, was_version, at), (*id, *version, expected));
            prop_assert_eq!(at % ALIGNMENT, 0);
            expected += size(*payload).unwrap();
        }
        prop_assert_eq!(expected, offset + end);
    }

    /// Bytes that are no chain are refused, and not read for ever.
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..64), start in 0..80usize, offset in any::<usize>()) {
        let mut chain = bytes.clone();
        let _ = append(&mut chain, start, 1, 1);
        prop_assert_eq!(chain.len(), bytes.len());
        let mut chain = bytes;
        let _ = shift(&mut chain, offset);
    }
}

#[test]
fn an_empty_chain_stays_empty() {
    assert_eq!(shift(&mut [], 8), Ok(()));
}

#[test]
fn there_has_to_be_room_for_a_header() {
    assert_eq!(append(&mut [0; 7], 0, 1, 1), Err(TooLong));
    let mut chain = vec![0; 15];
    append(&mut chain, 0, 1, 1).unwrap();
    assert_eq!(append(&mut chain, 8 + 6, 1, 1), Err(TooLong));
}

#[test]
fn sizes() {
    assert_eq!(size(0), Ok(8));
    assert_eq!(size(1), Ok(16));
    assert_eq!(size(8), Ok(16));
    assert_eq!(size(usize::MAX), Err(TooLong));
    assert_eq!(size(usize::MAX - 8), Err(TooLong));
}

#[test]
fn offsets_have_32_bits() {
    let mut chain = chain_of(&[(1, 1, 0), (2, 1, 0)]);
    assert_eq!(shift(&mut chain, u32::MAX as usize), Err(TooLong));
    assert_eq!(shift(&mut chain, u32::MAX as usize - 8), Ok(()));
}
