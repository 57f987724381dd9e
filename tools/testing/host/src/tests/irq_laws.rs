// SPDX-License-Identifier: GPL-2.0

//! What holds of any argument of `VFIO_DEVICE_SET_IRQS` (rows 6-22 to 6-26).

use crate::pci::irq::request::{
    Action,
    Data,
    DataType,
    Header,
    Index,
    Operand,
    Request,
    HEADER_SIZE, //
};

use proptest::{
    collection::vec,
    prelude::*, //
};

/// A number at either end of what there is, or anywhere.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        0..40u32,
        (0..40u32).prop_map(|below| u32::MAX - below),
        any::<u32>(),
    ]
}

fn header() -> impl Strategy<Value = Header> {
    let flags = prop_oneof![8 => 0..0x40u32, 1 => any::<u32>()];
    let index = (0..5u32).prop_map(|number| Index::new(number).unwrap());
    (number(), flags, index, number(), number()).prop_map(|(argsz, flags, index, start, count)| {
        Header {
            argsz,
            flags,
            index,
            start,
            count,
        }
    })
}

/// The size of an element of data, if the flags name one type.
fn element(flags: u32) -> Option<u64> {
    match flags & 7 {
        1 => Some(0),
        2 => Some(1),
        4 => Some(4),
        _ => None,
    }
}

proptest! {
    /// What is accepted lies within the index, and its data within the argument.
    #[test]
    fn accepted_requests_are_in_range(header in header(), available in number()) {
        let wide = |number: u32| u64::from(number);
        let end = wide(header.start) + wide(header.count);
        let data = element(header.flags).map(|size| size * wide(header.count));
        let expected = header.flags < 0x40
            && wide(header.start) < wide(available)
            && end <= wide(available)
            && end < wide(u32::MAX)
            && data.is_some_and(|data| data + wide(HEADER_SIZE) <= wide(header.argsz));
        let request = Request::new(header, |_| available);
        prop_assert_eq!(request.is_ok(), expected);
        if let Ok(request) = request {
            prop_assert_eq!((request.start, request.count), (header.start, header.count));
            prop_assert_eq!(Some(request.data_len() as u64), data);
            prop_assert_eq!(request.index, header.index);
        }
    }

    /// An action is done only if it is the one that was asked for, and the index has it.
    #[test]
    fn actions_are_single(index in 0..5u32, actions in 0..8u32) {
        let header = Header {
            argsz: HEADER_SIZE,
            flags: 1 | actions << 3,
            index: Index::new(index).unwrap(),
            start: 0,
            count: 1,
        };
        let action = Request::new(header, |_| 1).and_then(|request| request.action());
        let expected = match (actions, index) {
            (1, 0) => Some(Action::Mask),
            (2, 0) => Some(Action::Unmask),
            (4, _) => Some(Action::Trigger),
            _ => None,
        };
        prop_assert_eq!(action.ok(), expected);
    }

    /// There is an operand for each element that is there as a whole, and for no other.
    #[test]
    fn operands_are_what_is_there(bytes in vec(any::<u8>(), 0..40), nth in 0..50usize) {
        let bool_data = Data::new(DataType::Bool, &bytes);
        let expected = bytes.get(nth).map(|byte| match byte {
            0 => Operand::Skip,
            _ => Operand::Apply,
        });
        prop_assert_eq!(bool_data.operand(nth), expected);
        let fd_data = Data::new(DataType::EventFd, &bytes);
        let expected = bytes.get(nth * 4..nth * 4 + 4).map(|fd| {
            Operand::EventFd(i32::from_ne_bytes([fd[0], fd[1], fd[2], fd[3]]))
        });
        prop_assert_eq!(fd_data.operand(nth), expected);
        prop_assert_eq!(Data::new(DataType::None, &bytes).operand(nth), Some(Operand::Apply));
    }
}
