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
        $with! { ranges flags sizes actions operands }
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

fn header(flags: u32, index: u32, start: u32, count: u32) -> Header {
    Header {
        argsz: 4096,
        flags,
        index,
        start,
        count,
    }
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
        (2, 0, 0, true),
        (2, 0, 10, true),
        (2, 9, 1, true),
        (2, 9, 2, false),
        (2, 10, 0, false),
        (2, 0, 11, false),
        (2, 1, u32::MAX - 1, false),
        (2, 1, u32::MAX, false),
        (2, u32::MAX, 0, false),
        (2, u32::MAX, u32::MAX, false),
        (1, 0, 0, false),
        (5, 0, 0, false),
        (u32::MAX, 0, 0, false),
        (0, 0, 1, true),
        (3, 0, 1, true),
        (4, 1, 0, false),
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
            parse(header(flags, 2, 0, 1)) == Err(Refusal::Invalid),
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
            ..header(flags, 2, 0, count)
        });
        check(request.is_ok() == good, "a size")?;
    }
    let request = parse(header(EVENTFD_TRIGGER, 2, 0, 2));
    check(
        request.is_ok_and(|request| request.data_len() == 8),
        "the length of the data",
    )
}

// Row 6-26.
pub(crate) fn actions() -> Outcome {
    for (index, flags, action) in [
        (0, 0x21, Ok(Action::Trigger)),
        (0, 0x09, Ok(Action::Mask)),
        (0, 0x11, Ok(Action::Unmask)),
        (0, 0x01, Err(Refusal::NotSupported)),
        (0, 0x31, Err(Refusal::NotSupported)),
        (2, 0x21, Ok(Action::Trigger)),
        (2, 0x09, Err(Refusal::NotSupported)),
        (2, 0x11, Err(Refusal::NotSupported)),
        (3, 0x09, Err(Refusal::NotSupported)),
        (4, 0x21, Ok(Action::Trigger)),
        (4, 0x11, Err(Refusal::NotSupported)),
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
