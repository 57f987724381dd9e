// SPDX-License-Identifier: GPL-2.0

//! Cases of the header.

use super::{
    cells,
    check,
    Outcome, //
};

use super::super::{
    fake::{
        get,
        open,
        open_reporting,
        put,
        Event,
        Fake,
        FACTS, //
    },
    BarKind,
    Decode,
    Facts,
    Finding,
    Rom, //
};

/// IDs, Command Register and interrupt pin of a virtual function.
///
/// PARITY: 7-23, 7-30, 7-41.
pub(crate) fn virtual_function() -> Outcome {
    let facts = Facts {
        is_virtfn: true,
        no_command_memory: true,
        ..FACTS
    };
    let mut fake = Fake::<0x40>::new(&[(0, 0xffff_ffff), (0x3c, 0x0000_0100)]);
    fake.fixed = &[(4, 0x02)];
    let mut buffer = cells::<0x40>();
    let mut pin = None;
    let report = &mut |finding| pin = Some(finding);
    let mut space = open_reporting(&mut buffer, &fake, facts, report)?;
    check(get(&space, &fake, 0, 4)? == 0x5678_1234, "IDs")?;
    check(get(&space, &fake, 4, 2)? == 0x0002, "memory is enabled")?;
    check(space.interrupt_pin() == 0, "there is no pin")?;
    check(
        pin == Some(Finding::VirtualFunctionPin { pin: 1 }),
        "the pin is reported",
    )?;
    put(&mut space, &mut fake, 4, 2, 0)?;
    let expected = Decode {
        memory: true,
        io: false,
    };
    check(
        fake.happened(&[wrote(true, expected)]),
        "memory cannot be disabled",
    )?;
    check(get(&space, &fake, 4, 2)? == 0, "but reads as if")
}

/// The Command Register: what goes to the hardware, and what the host is told.
///
/// PARITY: 7-20, 7-24 to 7-26, 7-28, 7-31, 12-8, 12-18.
pub(crate) fn command() -> Outcome {
    let mut fake = Fake::<0x40>::new(&[(4, 0xf900_0000)]);
    fake.clears = &[(7, 0xf9)];
    let mut buffer = cells::<0x40>();
    let mut space = open(&mut buffer, &fake, FACTS)?;

    put(&mut space, &mut fake, 4, 4, 0xffff_0406)?;
    check(fake.dword(4) == 0xf900_0006, "DisINTx and status stay")?;
    check(get(&space, &fake, 4, 2)? == 0x0406, "the user sees DisINTx")?;
    let enabled = Decode {
        memory: true,
        io: false,
    };
    let events = [wrote(false, enabled), Event::Intx { disabled: true }];
    check(fake.happened(&events), "enable")?;

    put(&mut space, &mut fake, 5, 1, 0)?;
    let events = [wrote(false, enabled), Event::Intx { disabled: false }];
    check(fake.happened(&events), "the upper byte alone")?;

    // The first access fails, then the second, then the third.
    let attempt = [Event::CommandFailed { revoke: true }];
    for (count, events) in [(0, &attempt[..0]), (1, &attempt[..]), (2, &attempt[..])] {
        fake.break_after(count);
        check(put(&mut space, &mut fake, 4, 2, 0x400).is_err(), "broken")?;
        check(fake.happened(events), "the host is asked, and fails")?;
        check(space.decode() == enabled, "a failed write changes nothing")?;
        fake.budget = u32::MAX;
    }

    put(&mut space, &mut fake, 4, 1, 0x01)?;
    let disabled = Decode {
        memory: false,
        io: true,
    };
    check(fake.happened(&[wrote(true, disabled)]), "disable")?;
    check(space.decode() == disabled, "decoders")?;

    // What the host has done to its bit, and to others, since the user wrote last.
    fake.set_dword(4, 0xf900_0440);
    put(&mut space, &mut fake, 4, 1, 0x06)?;
    check(fake.dword(4) == 0xf900_0406, "the host's bit stays")?;
    fake.set_dword(4, 0xf900_0042);
    put(&mut space, &mut fake, 5, 1, 0x05)?;
    check(fake.dword(4) == 0xf900_0142, "all of the lower byte stays")
}

/// A write of the Command Register that succeeds.
fn wrote(revoke: bool, decode: Decode) -> Event {
    Event::Command {
        revoke,
        decode,
        lost: false,
    }
}

/// After a reset that went past the host, its BARs come back.
///
/// PARITY: 7-27.
pub(crate) fn missed_reset() -> Outcome {
    let facts = Facts {
        no_intx: true,
        ..FACTS
    };
    let registers = [(4, 0x2), (0x10, 0xfeb0_0000), (0x30, 0xfec0_0001)];
    let mut fake = Fake::<0x40>::new(&registers);
    let mut buffer = cells::<0x40>();
    let mut space = open(&mut buffer, &fake, facts)?;
    let decode = Decode {
        memory: true,
        io: false,
    };
    let well = wrote(false, decode);

    put(&mut space, &mut fake, 4, 2, 0x2)?;
    check(fake.happened(&[well]), "all is well")?;

    // The decoder is off, then a BAR is different.
    for (offset, value) in [(0x04, 0), (0x10, 0)] {
        fake.set_dword(offset, value);
        fake.set_dword(0x30, 0);
        put(&mut space, &mut fake, 4, 2, 0x2)?;
        let noticed = Event::Command {
            revoke: false,
            decode,
            lost: true,
        };
        check(fake.happened(&[noticed]), "the reset is noticed")?;
        check(fake.dword(0x10) == 0xfeb0_0000, "BAR 0 is back")?;
        check(fake.dword(0x30) == 0xfec0_0001, "the ROM BAR is back")?;
        check(fake.dword(4) == 0x402, "broken INTx stays off")?;
    }

    // The BARs of a virtual function are not its own.
    let facts = Facts {
        is_virtfn: true,
        ..FACTS
    };
    fake.set_dword(4, 0x2);
    let mut buffer = cells::<0x40>();
    let mut space = open(&mut buffer, &fake, facts)?;
    fake.set_dword(0x10, 0);
    put(&mut space, &mut fake, 4, 2, 0x2)?;
    check(fake.happened(&[well]), "a virtual function")?;
    check(fake.dword(0x10) == 0, "whose BAR is left alone")
}

/// BARs and the ROM BAR are sized in the shadow, the hardware is not touched.
///
/// PARITY: 7-35, 7-36, 7-38.
pub(crate) fn bar_sizing() -> Outcome {
    let memory = |size, wide, prefetchable| {
        Some(BarKind::Memory {
            size,
            wide,
            prefetchable,
        })
    };
    let facts = Facts {
        bars: [
            memory(0x2_0000, false, false),
            memory(0x1_0000_0000, true, true),
            None,
            Some(BarKind::Io { size: 0x4 }),
            memory(0x10, false, false),
            None,
        ],
        rom: Rom::Shadow { length: 0xa001 },
        ..FACTS
    };
    let mut fake = Fake::<0x40>::new(&[(0x10, 0xfeb0_0000), (0x24, 0xdead_beef)]);
    let mut buffer = cells::<0x40>();
    let mut space = open(&mut buffer, &fake, facts)?;
    check(get(&space, &fake, 0x10, 4)? == 0xfeb0_0000, "first read")?;
    check(
        get(&space, &fake, 0x24, 4)? == 0,
        "not assigned by the host",
    )?;
    let rows = [
        (0x10, 0xfffe_0000),
        (0x14, 0x0000_000c),
        (0x18, 0xffff_ffff),
        (0x1c, 0xffff_fffd),
        (0x20, 0xffff_fff0),
        (0x24, 0x0000_0000),
        (0x30, 0xffff_0001),
    ];
    for (offset, expected) in rows {
        put(&mut space, &mut fake, offset, 4, u32::MAX)?;
        check(get(&space, &fake, offset, 4)? == expected, "dword")?;
        for byte in 0..4 {
            put(&mut space, &mut fake, offset + byte, 1, 0xff)?;
        }
        check(get(&space, &fake, offset, 4)? == expected, "bytes")?;
    }
    check(fake.dword(0x10) == 0xfeb0_0000, "the BAR of the host")?;
    check(fake.dword(0x30) == 0, "the ROM BAR of the host")
}

/// What else of the header is virtual, or cannot be written.
///
/// PARITY: 7-32 to 7-34, 7-40, 7-41.
pub(crate) fn header_fields() -> Outcome {
    let mut fake = Fake::<0x40>::new(&[(0x08, 0x0200_0001), (0x3c, 0x0000_010b)]);
    let mut buffer = cells::<0x40>();
    let mut space = open(&mut buffer, &fake, FACTS)?;
    put(&mut space, &mut fake, 0x08, 4, u32::MAX)?;
    check(fake.dword(0x08) == 0x0200_0001, "class")?;
    put(&mut space, &mut fake, 0x0c, 4, u32::MAX)?;
    check(fake.dword(0x0c) == 0xff00_ffff, "all but the header type")?;
    put(&mut space, &mut fake, 0x3c, 4, 0xffff_ff05)?;
    check(
        fake.dword(0x3c) == 0x0000_010b,
        "interrupt line of the host",
    )?;
    let value = get(&space, &fake, 0x3c, 4)?;
    check(value == 0x0000_0105, "interrupt line of the user")?;

    // Without an interrupt that the host can use.
    let facts = Facts {
        intx_usable: false,
        ..FACTS
    };
    let mut buffer = cells::<0x40>();
    let space = open(&mut buffer, &fake, facts)?;
    check(space.interrupt_pin() == 0, "no pin")
}
