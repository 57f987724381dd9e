// SPDX-License-Identifier: GPL-2.0

//! Test cases, which run as KUnit in the kernel and by `cargo test` on the host.

use super::{
    Action,
    Data,
    DataType,
    Header,
    Index,
    Operand,
    Refusal,
    Request, //
};

/// What a case ends with.
pub(crate) type Outcome = Result<(), &'static str>;

/// Hands the names of all cases to the macro `$with`, which makes tests of them.
macro_rules! for_each_case {
    ($with:ident) => {
        $with! { numbers ranges flags sizes actions operands }
    };
}
pub(crate) use for_each_case;

fn check(ok: bool, what: &'static str) -> Outcome {
    if ok {
        Ok(())
    } else {
        Err(what)
    }
}

/// `DATA_NONE | ACTION_TRIGGER`.
const NONE_TRIGGER: u32 = 0x21;
/// `DATA_BOOL | ACTION_TRIGGER`.
const BOOL_TRIGGER: u32 = 0x22;
/// `DATA_EVENTFD | ACTION_TRIGGER`.
const EVENTFD_TRIGGER: u32 = 0x24;

fn header(flags: u32, index: Index, start: u32, count: u32) -> Header {
    Header {
        argsz: 4096,
        flags,
        index,
        start,
        count,
    }
}

// Row 6-22.
pub(crate) fn numbers() -> Outcome {
    let all = [
        Index::Intx,
        Index::Msi,
        Index::Msix,
        Index::Error,
        Index::Request,
    ];
    for (number, index) in (0..).zip(all) {
        check(Index::new(number) == Some(index), "an index")?;
    }
    for number in [5, 6, u32::MAX] {
        check(Index::new(number).is_none(), "no index")?;
    }
    Ok(())
}

/// A device with ten MSI-X vectors and no MSI.
fn parse(header: Header) -> Result<Request, Refusal> {
    Request::new(header, |index| match index {
        Index::Msix => 10,
        Index::Msi => 0,
        _ => 1,
    })
}

// Rows 6-22 and 6-23.
pub(crate) fn ranges() -> Outcome {
    for (index, start, count, good) in [
        (Index::Msix, 0, 0, true),
        (Index::Msix, 0, 10, true),
        (Index::Msix, 9, 1, true),
        (Index::Msix, 9, 2, false),
        (Index::Msix, 10, 0, false),
        (Index::Msix, 0, 11, false),
        (Index::Msix, 1, u32::MAX - 1, false),
        (Index::Msix, 1, u32::MAX, false),
        (Index::Msix, u32::MAX, 0, false),
        (Index::Msix, u32::MAX, u32::MAX, false),
        (Index::Msi, 0, 0, false),
        (Index::Intx, 0, 1, true),
        (Index::Error, 0, 1, true),
        (Index::Request, 1, 0, false),
    ] {
        let request = parse(header(NONE_TRIGGER, index, start, count));
        check(request.is_ok() == good, "a range")?;
        check(
            good || request == Err(Refusal::Invalid),
            "the refusal of a range",
        )?;
    }
    Ok(())
}

// Rows 6-22 and 6-24.
pub(crate) fn flags() -> Outcome {
    for flags in [
        0x00,
        0x20,
        0x23,
        0x25,
        0x26,
        0x27,
        0x61,
        1 << 31 | NONE_TRIGGER,
    ] {
        check(
            parse(header(flags, Index::Msix, 0, 1)) == Err(Refusal::Invalid),
            "flags",
        )?;
    }
    Ok(())
}

// Rows 6-22 and 6-25.
pub(crate) fn sizes() -> Outcome {
    for (flags, argsz, count, good) in [
        (NONE_TRIGGER, 0, 1, false),
        (NONE_TRIGGER, 19, 1, false),
        (NONE_TRIGGER, 20, 1, true),
        (BOOL_TRIGGER, 20, 0, true),
        (BOOL_TRIGGER, 21, 2, false),
        (BOOL_TRIGGER, 22, 2, true),
        (EVENTFD_TRIGGER, 27, 2, false),
        (EVENTFD_TRIGGER, 28, 2, true),
        (EVENTFD_TRIGGER, u32::MAX, 2, true),
    ] {
        let request = parse(Header {
            argsz,
            ..header(flags, Index::Msix, 0, count)
        });
        check(request.is_ok() == good, "a size")?;
    }
    let request = parse(header(EVENTFD_TRIGGER, Index::Msix, 0, 2));
    check(
        request.is_ok_and(|request| request.data_len() == 8),
        "the length of the data",
    )
}

// Row 6-26.
pub(crate) fn actions() -> Outcome {
    for (index, flags, action) in [
        (Index::Intx, 0x21, Ok(Action::Trigger)),
        (Index::Intx, 0x09, Ok(Action::Mask)),
        (Index::Intx, 0x11, Ok(Action::Unmask)),
        (Index::Intx, 0x01, Err(Refusal::NotSupported)),
        (Index::Intx, 0x31, Err(Refusal::NotSupported)),
        (Index::Msix, 0x21, Ok(Action::Trigger)),
        (Index::Msix, 0x09, Err(Refusal::NotSupported)),
        (Index::Msix, 0x11, Err(Refusal::NotSupported)),
        (Index::Error, 0x09, Err(Refusal::NotSupported)),
        (Index::Request, 0x21, Ok(Action::Trigger)),
        (Index::Request, 0x11, Err(Refusal::NotSupported)),
    ] {
        let request = parse(header(flags, index, 0, 1));
        check(
            request.and_then(|request| request.action()) == action,
            "an action",
        )?;
    }
    Ok(())
}

/// The data, element by element.
pub(crate) fn operands() -> Outcome {
    let none = Data::new(DataType::None, &[]);
    check(none.operand(7) == Some(Operand::Apply), "no data")?;

    let bools = Data::new(DataType::Bool, &[0, 1, 0xff]);
    check(bools.operand(0) == Some(Operand::Skip), "false")?;
    check(bools.operand(1) == Some(Operand::Apply), "true")?;
    check(bools.operand(2) == Some(Operand::Apply), "another true")?;
    check(bools.operand(3).is_none(), "beyond the last byte")?;

    let bytes = [0xff, 0xff, 0xff, 0xff, 7];
    let fds = Data::new(DataType::EventFd, &bytes);
    check(
        fds.operand(0) == Some(Operand::EventFd(-1)),
        "a file descriptor",
    )?;
    check(fds.operand(1).is_none(), "a part of one")
}
