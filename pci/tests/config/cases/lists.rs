// SPDX-License-Identifier: GPL-2.0

//! Cases of capability lists.

use super::{
    cells,
    check,
    express_with,
    Outcome,
    STATUS_LIST, //
};

use super::super::{
    capability::{
        self,
        MsiFormat, //
    },
    extended,
    fake::{
        get,
        open,
        open_reporting,
        put,
        Fake,
        TestSpace,
        FACTS, //
    },
    header,
    Finding,
    Kind, //
};

/// Hidden capabilities are unlinked; without a visible one there is no list.
///
/// PARITY: 7-39, 7-44, 7-45, 12-4.
pub(crate) fn hidden() -> Outcome {
    // SSVID at 0x40, PM at 0x50, EA at 0x60, MSI-X at 0x70, an unknown one at 0x80.
    let registers = [
        (0x04, STATUS_LIST),
        (0x34, 0x40),
        (0x40, 0x500d),
        (0x50, 0x6001),
        (0x60, 0x7014),
        (0x70, 0x8011),
        (0x80, 0x00ee),
    ];
    let mut fake = Fake::<0x100>::new(&registers);
    let mut buffer = cells::<0x100>();
    let mut space = open(&mut buffer, &fake, FACTS)?;
    check(get(&space, &fake, 0x34, 1)? == 0x50, "first")?;
    check(get(&space, &fake, 0x50, 2)? == 0x7001, "second")?;
    check(get(&space, &fake, 0x70, 2)? == 0x0011, "last")?;
    check(get(&space, &fake, 0x40, 4)? == 0, "hidden")?;
    put(&mut space, &mut fake, 0x44, 4, u32::MAX)?;
    check(fake.dword(0x44) == 0, "hidden from writes too")?;
    put(&mut space, &mut fake, 0x48, 4, u32::MAX)?;
    check(fake.dword(0x48) == u32::MAX, "the gap behind it is not")?;

    let registers = [(0x04, STATUS_LIST), (0x34, 0x40), (0x40, 0x000d)];
    let fake = Fake::<0x100>::new(&registers);
    let mut buffer = cells::<0x100>();
    let space = open(&mut buffer, &fake, FACTS)?;
    check(get(&space, &fake, 0x34, 1)? == 0, "empty list")?;
    check(get(&space, &fake, 0x04, 4)? == 0, "status says so")
}

/// Lists that are broken end, and lengths that cannot be are not believed.
///
/// PARITY: 12-5, 12-6.
pub(crate) fn hostile_lists() -> Outcome {
    /// Registers, the findings they cause, and the list that the user sees, from the pointer on.
    type Row<'a> = (&'a [(u16, u32)], &'a [Finding], &'a [u32]);
    let rows: [Row<'_>; 5] = [
        (
            &[(0x34, 0x43), (0x40, 0x4011)],
            &[Finding::Loop { offset: 0x40 }],
            &[0x40, 0x00],
        ),
        (
            &[(0x34, 0x40), (0x40, 0x3c01)],
            &[Finding::BadPointer { offset: 0x3c }],
            &[0x40, 0x00],
        ),
        (
            &[(0x34, 0xf0), (0xf0, 0x00ff_4009), (0x40, 0x0011)],
            &[Finding::BadLength {
                id: 0x09,
                offset: 0xf0,
                length: 0xff,
            }],
            &[0x40, 0x00],
        ),
        (
            &[(0x34, 0xfc), (0xfc, 0x0000_4003), (0x40, 0x0011)],
            &[Finding::Cut {
                id: 0x03,
                offset: 0xfc,
            }],
            &[0xfc, 0x40, 0x00],
        ),
        (
            &[(0x34, 0x48), (0x48, 0x4011), (0x40, 0x0020_0009)],
            &[Finding::Overlap {
                id: 0x09,
                offset: 0x40,
            }],
            &[0x48, 0x40, 0x00],
        ),
    ];
    for (registers, expected, list) in rows {
        let mut fake = Fake::<0x100>::new(registers);
        fake.set_dword(4, STATUS_LIST);
        let mut buffer = cells::<0x100>();
        let mut count = 0;
        let mut same = true;
        let report = &mut |finding| {
            same &= expected.get(count) == Some(&finding);
            count += 1;
        };
        let space = open_reporting(&mut buffer, &fake, FACTS, report)?;
        check(same && count == expected.len(), "findings")?;
        let mut link = header::CAPABILITY_LIST;
        for pointer in list {
            check(get(&space, &fake, link, 1)? == *pointer, "list")?;
            link = *pointer as u16 + capability::NEXT;
        }
        check(!fake.stray.get(), "outside of config space")?;
    }
    Ok(())
}

/// Extended capabilities: hidden ones, the anchor, the empty list.
///
/// PARITY: 7-60 to 7-62, 7-66 to 7-68.
pub(crate) fn extended_list() -> Outcome {
    // Hidden at the start and in the middle: PASID, DSN at 0x120, DOE, AER at 0x160.
    let registers = [
        (0x100, 0x1201_001b),
        (0x120, 0x1401_0003),
        (0x140, 0x1601_002e),
        (0x160, 0x0001_0001),
    ];
    let mut fake = express_with(&registers);
    let mut buffer = cells::<0x200>();
    let mut space = open(&mut buffer, &fake, FACTS)?;
    check(get(&space, &fake, 0x100, 4)? == 0x1200_0000, "anchor")?;
    check(get(&space, &fake, 0x120, 4)? == 0x1601_0003, "next")?;
    check(get(&space, &fake, 0x160, 4)? == 0x0001_0001, "last")?;
    check(get(&space, &fake, 0x104, 4)? == 0, "hidden")?;
    for offset in [0x100, 0x104, 0x120, 0x140, 0x154, 0x160] {
        let header = fake.dword(offset);
        put(&mut space, &mut fake, offset, 4, 0)?;
        check(fake.dword(offset) == header, "headers stay")?;
    }
    put(&mut space, &mut fake, 0x168, 4, u32::MAX)?;
    check(fake.dword(0x168) == 0x03ff_f031, "uncorrectable error mask")?;

    let fake = express_with(&[(0x100, 0x1401_001e), (0x140, 0x0001_0019)]);
    let mut buffer = cells::<0x200>();
    let space = open(&mut buffer, &fake, FACTS)?;
    check(get(&space, &fake, 0x100, 4)? == 0, "nothing is visible")?;

    // No capability that comes with extended space: what is there is passed through.
    let fake = Fake::<0x200>::new(&[(0x100, 0x1401_0003)]);
    let mut buffer = cells::<0x200>();
    let space = open(&mut buffer, &fake, FACTS)?;
    check(get(&space, &fake, 0x100, 4)? == 0x1401_0003, "not walked")
}

/// Extended capabilities with lies in them.
///
/// PARITY: 12-5, 12-6.
pub(crate) fn hostile_extended_list() -> Outcome {
    // A DVSEC of 0xfff bytes, then an ID that was once taken for a small one, then a loop.
    let registers = [
        (0x100, 0x1201_0023),
        (0x104, 0xfff0_0000),
        (0x120, 0x1401_0101),
        (0x140, 0x1c01_0003),
        (0x1c0, 0x1401_000d),
        (0x1c4, 0x0000_0020),
    ];
    let fake = express_with(&registers);
    let mut buffer = cells::<0x200>();
    let mut count = 0;
    let report = &mut |_| count += 1;
    let space = open_reporting(&mut buffer, &fake, FACTS, report)?;
    check(get(&space, &fake, 0x100, 4)? == 0x1400_0000, "anchor")?;
    check(get(&space, &fake, 0x140, 4)? == 0x1c01_0003, "DSN")?;
    let last = get(&space, &fake, 0x1c0, 4)?;
    check(last == 0x0001_000d, "the list ends")?;
    check(count == 3, "length, unknown ID, loop")?;
    check(!fake.stray.get(), "outside of config space")?;
    check(extended::NEXT_SHIFT == 20, "layout of the header")
}

/// Number of bytes that belong to the capability at `start`.
fn extent(space: &TestSpace<'_>, size: u16, start: u16, kind: Kind) -> usize {
    (start..size)
        .filter(|offset| space.owner(*offset) == (kind, start))
        .count()
}

/// What is hidden, and how much of it.
///
/// PARITY: 7-44, 12-4.
pub(crate) fn hidden_lengths() -> Outcome {
    let rows = [
        (0x0000_0000, 2),
        (0x0000_0004, 4),
        (0x0000_0006, 4),
        (0x0000_0009, 2), // Vendor-Specific without a length
        (0x0000_000a, 4),
        (0x0000_000c, 8),
        (0x0000_000d, 8),
        (0x0000_000e, 2),
        (0x0000_0014, 4),    // Enhanced Allocation without entries
        (0x0002_0014, 12),   // with two entries of a dword
        (0x003f_0014, 0xc0), // up to the end, with those that the device claims
        (0x0000_0015, 36),   // Flattening Portal Bridge
        (0x0000_00ff, 2),
    ];
    for (first, length) in rows {
        let mut fake = Fake::<0x100>::new(&[(0x04, STATUS_LIST), (0x34, 0x40), (0x40, first)]);
        if length == 0xc0 {
            fake.set_dword(0x44, 7);
            fake.set_dword(0x64, 7);
        }
        let mut buffer = cells::<0x100>();
        let space = open(&mut buffer, &fake, FACTS)?;
        let hidden = extent(&space, 0x100, 0x40, Kind::Hidden);
        check(hidden == length, "length of a hidden capability")?;
        check(!fake.stray.get(), "outside of config space")?;
    }

    Ok(())
}

/// Lengths of hidden extended capabilities: all of each reads as zero and cannot be written, what
/// is behind it can.
///
/// PARITY: 7-66, 12-4.
pub(crate) fn hidden_extended_lengths() -> Outcome {
    /// Header, what follows it, width of the link; the length.
    type Row = (u32, [u32; 2], u32, u16);
    const ROWS: &[Row] = &[
        (0x1_0000, [0, 0], 16, 4),     // Null
        (0x0005, [0x0000, 0], 16, 16), // Root Complex Link Declaration
        (0x0005, [0x0300, 0], 16, 64),
        (0x0006, [0, 0], 16, 12), // Root Complex Internal Link Control
        (0x0007, [0, 0], 16, 8),  // Event Collector Endpoint Association
        (0x2_0007, [0, 0], 16, 12),
        (0x000a, [0, 0], 16, 16), // Root Complex Register Block Header
        (0x000c, [0, 0], 16, 8),  // Configuration Access Correlation
        (0x0019, [0, 0], 0, 12),  // Secondary PCI Express
        (0x0019, [0, 0], 1, 16),
        (0x0019, [0, 0], 16, 44),
        (0x001a, [0xff02, 0], 16, 24), // Protocol Multiplexing
        (0x001b, [0, 0], 16, 8),       // PASID
        (0x001c, [0, 0], 16, 8),       // Lightweight Notification Requester
        (0x001d, [0x2f00, 0], 16, 12), // Downstream Port Containment, of a switch
        (0x001d, [0x0020, 0], 16, 32),
        (0x001d, [0x0420, 0], 16, 48),
        (0x001d, [0x0920, 0], 16, 68),
        (0x001d, [0x2120, 0], 16, 100),
        (0x001e, [0, 0], 16, 16), // L1 PM Substates
        (0x2_001e, [0, 0], 16, 20),
        (0x001f, [0, 0], 16, 12),   // Precision Time Measurement
        (0x0020, [0, 0], 16, 28),   // PCI Express over M-PHY
        (0x0021, [0, 0], 16, 16),   // FRS Queueing
        (0x0022, [0, 0], 16, 12),   // Readiness Time Reporting
        (0x0024, [0, 0x00], 16, 4), // VF Resizable BAR
        (0x0024, [0, 0x20], 16, 12),
        (0x0024, [0, 0xc0], 16, 52),
        (0x0025, [0, 0], 16, 12), // Data Link Feature
        (0x0026, [0, 0], 2, 36),  // Physical Layer 16.0 GT/s
        (0x0026, [0, 0], 16, 48),
        (0x0027, [0, 0], 1, 12), // Lane Margining at the Receiver
        (0x0027, [0, 0], 32, 136),
        (0x0028, [0, 0], 16, 32),      // Hierarchy ID
        (0x0029, [0, 0], 16, 16),      // Native PCIe Enclosure Management
        (0x002a, [0, 0], 8, 40),       // Physical Layer 32.0 GT/s
        (0x002b, [0x00ff, 0], 16, 20), // Alternate Protocol
        (0x002b, [0x0100, 0], 16, 24),
        (0x002c, [0, 0], 16, 20),           // System Firmware Intermediary
        (0x002d, [0, 0], 16, 12),           // Shadow Functions
        (0x002e, [0, 0], 16, 24),           // Data Object Exchange
        (0x002f, [0, 0], 16, 16),           // Device 3
        (0x0030, [0x0002_e000, 0], 16, 12), // Integrity and Data Encryption, without a stream
        (0x0030, [0x0002_2001, 0], 16, 28), // with two of the link
        (0x0030, [0x0001_0002, 0], 16, 52), // with two selective ones
        (0x0030, [0x0000_0003, 0], 16, 40), // with one of each
        (0x0031, [0, 0], 16, 48),           // Physical Layer 64.0 GT/s
        (0x0032, [0, 0], 16, 60),           // Flit Logging
        (0x0033, [0, 0], 16, 36),           // Flit Performance Measurement
        (0x0034, [0, 0], 16, 36),           // Flit Error Injection
        (0x0035, [0, 0], 16, 32),           // Streamlined Virtual Channel
        (0x0035, [7, 0], 16, 116),
        (0x0036, [0, 0], 16, 8), // MMIO Register Block Locator
        (0x0101, [0, 0], 16, 4),
        (0xffff, [0, 0], 16, 4),
    ];
    for &(header, [first, second], lanes, length) in ROWS {
        let mut fake = express_with(&[(0x100, header), (0x104, first), (0x108, second)]);
        // Link Capabilities.
        fake.set_dword(0x4c, (lanes << 4) | 0xf);
        let mut buffer = cells::<0x200>();
        let mut space = open(&mut buffer, &fake, FACTS)?;
        let hidden = extent(&space, 0x200, 0x100, Kind::Hidden);
        check(
            hidden == usize::from(length),
            "length of a hidden extended capability",
        )?;
        let end = 0x100 + length;
        for offset in (0x100..end).step_by(4) {
            let before = fake.dword(offset);
            check(get(&space, &fake, offset, 4)? == 0, "it can be read")?;
            put(&mut space, &mut fake, offset, 4, !before)?;
            check(fake.dword(offset) == before, "it can be written")?;
        }
        put(&mut space, &mut fake, end, 4, u32::MAX)?;
        check(fake.dword(end) == u32::MAX, "the gap behind it cannot")?;
        check(!fake.stray.get(), "outside of config space")?;
    }
    Ok(())
}

/// Lengths that a hidden extended capability makes up end with the space, and leave the others
/// alone.
///
/// PARITY: 12-4, 12-5, 12-6.
pub(crate) fn hostile_hidden_lengths() -> Outcome {
    // Integrity and Data Encryption with all that there can be, over a Device Serial Number.
    let registers = [
        (0x100, 0x1c01_0003),
        (0x1c0, 0x1801_000d),
        (0x180, 0x0001_0030),
        (0x184, 0xffff_ffff),
        (0x190, 0xffff_ffff),
    ];
    let fake = express_with(&registers);
    let mut buffer = cells::<0x200>();
    let space = open(&mut buffer, &fake, FACTS)?;
    check(
        extent(&space, 0x200, 0x180, Kind::Hidden) == 0x80 - 8,
        "the rest",
    )?;
    check(get(&space, &fake, 0x100, 4)? == 0x1c01_0003, "first")?;
    check(get(&space, &fake, 0x1c0, 4)? == 0x0001_000d, "last")?;
    check(
        extent(&space, 0x200, 0x1c0, Kind::ExtendedReadOnly) == 8,
        "whole",
    )?;
    check(!fake.stray.get(), "outside of config space")
}

/// A hidden capability takes nothing of one that the user sees.
///
/// PARITY: 12-4, 12-6.
pub(crate) fn hidden_overlap() -> Outcome {
    // MSI-X at 0x44, then Subsystem IDs from 0x40 over it.
    let registers = [
        (0x04, STATUS_LIST),
        (0x34, 0x44),
        (0x44, 0x4011),
        (0x40, 0x000d),
    ];
    let fake = Fake::<0x100>::new(&registers);
    let mut buffer = cells::<0x100>();
    let space = open(&mut buffer, &fake, FACTS)?;
    check(get(&space, &fake, 0x44, 2)? == 0x0011, "still on the list")?;
    check(extent(&space, 0x100, 0x44, Kind::ReadOnly) == 12, "whole")?;
    check(extent(&space, 0x100, 0x40, Kind::Hidden) == 4, "the rest")
}

/// Lengths of conventional capabilities.
///
/// PARITY: 7-46 to 7-59.
pub(crate) fn lengths() -> Outcome {
    let msi = Kind::Msi;
    let rows = [
        (0x0000_0001, 0, Kind::PowerManagement, 8),
        (0x0000_0002, 0, Kind::ReadOnly, 12),
        (0x0000_0003, 0, Kind::VitalProductData, 8),
        (0x0000_0005, 0, msi(MsiFormat::Narrow), 10),
        (0x0080_0005, 0, msi(MsiFormat::Wide), 14),
        (0x0100_0005, 0, msi(MsiFormat::NarrowMaskable), 20),
        (0x0180_0005, 0, msi(MsiFormat::WideMaskable), 24),
        (0x0fff_0007, 0, Kind::PciX, 8),
        (0x1000_0007, 0, Kind::PciX, 24),
        (0x2000_0007, 0, Kind::PciX, 24),
        (0x1fff_0008, 0, Kind::ReadOnly, 28),
        (0x2000_0008, 0, Kind::ReadOnly, 24),
        (0x0003_0009, 0, Kind::Vendor, 3),
        (0x0041_0009, 0, Kind::Vendor, 65),
        (0x0001_0010, 0, Kind::Express, 20),
        (0x0091_0010, 0, Kind::Express, 12),
        (0x0002_0010, 0, Kind::Express, 52),
        (0x0092_0010, 0, Kind::Express, 44),
        (0x0000_0011, 0, Kind::ReadOnly, 12),
        (0x0000_0012, 0xfe, Kind::ReadOnly, 8),
        (0x0000_0012, 0xff, Kind::ReadOnly, 16),
        (0x0000_0013, 0, Kind::AdvancedFeatures, 6),
    ];
    for (first, second, kind, length) in rows {
        let registers = [
            (0x04, STATUS_LIST),
            (0x34, 0x40),
            (0x40, first),
            (0x44, second),
        ];
        let fake = Fake::<0x100>::new(&registers);
        let mut buffer = cells::<0x100>();
        let space = open(&mut buffer, &fake, FACTS)?;
        check(extent(&space, 0x100, 0x40, kind) == length, "length")?;
    }
    Ok(())
}

/// Lengths of extended capabilities.
///
/// PARITY: 7-62 to 7-65.
pub(crate) fn extended_lengths() -> Outcome {
    const PLAIN: Kind = Kind::ExtendedReadOnly;
    let rows = [
        (0x01, 0, 0, Kind::ErrorReporting, 44),
        (0x02, 0, 0, PLAIN, 28),
        (0x02, 7, 0, PLAIN, 112),
        (0x08, 0, 0x2, PLAIN, 48),
        (0x08, 0, 0x6, PLAIN, 64),
        (0x09, 0, 0xe, PLAIN, 96),
        (0x03, 0, 0, PLAIN, 12),
        (0x04, 0, 0, Kind::PowerBudgeting, 16),
        (0x0b, 0x0100_0000, 0, Kind::ExtendedVendor, 16),
        (0x0d, 0xff00, 0, PLAIN, 8),
        (0x0d, 0x0020, 0, PLAIN, 40),
        (0x0d, 0x2020, 0, PLAIN, 12),
        (0x0d, 0x2120, 0, PLAIN, 16),
        (0x0e, 0, 0, PLAIN, 8),
        (0x0f, 0, 0, PLAIN, 8),
        (0x10, 0, 0, PLAIN, 64),
        (0x12, 0, 0, PLAIN, 40),
        (0x13, 0, 0, PLAIN, 16),
        (0x15, 0, 0x20, PLAIN, 12),
        (0x15, 0, 0xc0, PLAIN, 52),
        (0x16, 0x00, 0, PLAIN, 17),
        (0x16, 0xff, 0, PLAIN, 48),
        (0x17, 0x0010_0400, 0, PLAIN, 12),
        (0x17, 0x0010_0200, 0, PLAIN, 46),
        (0x18, 0, 0, PLAIN, 8),
        (0x23, 0x0fe0_0000, 0, Kind::ExtendedVendor, 254),
    ];
    for (id, first, second, kind, length) in rows {
        let fake = express_with(&[(0x100, id), (0x104, first), (0x108, second)]);
        let mut buffer = cells::<0x200>();
        let space = open(&mut buffer, &fake, FACTS)?;
        check(extent(&space, 0x200, 0x100, kind) == length, "length")?;
    }
    Ok(())
}

/// A capability that spreads over others leaves their list entries alone.
///
/// PARITY: 12-5, 12-6.
pub(crate) fn overlap() -> Outcome {
    // MSI-X at 0x48, a hidden one at 0x80, then a vendor's from 0x40 over MSI-X.
    let registers = [
        (0x04, STATUS_LIST),
        (0x34, 0x48),
        (0x48, 0x8011),
        (0x80, 0x400d),
        (0x40, 0x0020_0009),
    ];
    let mut fake = Fake::<0x100>::new(&registers);
    let mut buffer = cells::<0x100>();
    let mut space = open(&mut buffer, &fake, FACTS)?;
    check(get(&space, &fake, 0x48, 2)? == 0x4011, "relinked")?;
    put(&mut space, &mut fake, 0x48, 4, u32::MAX)?;
    check(fake.dword(0x48) == 0xffff_8011, "only what is behind it")
}

/// A capability that another one cuts short does without the registers that it has lost: what is
/// there now is not touched, and has no effect.
///
/// PARITY: 12-5, 12-6.
pub(crate) fn cut_short() -> Outcome {
    // Each is cut short at its second or third dword by one that links to 0xb0, a PCI-X that
    // nobody would confuse with an address, a bit that asks for a reset, or data.
    let rows = [
        // The data of VPD.
        [(0x40, 0x0000_4403), (0x44, 0x0000_b007)],
        // Device Control of PCI Express.
        [(0x40, 0x0002_4810), (0x48, 0x0000_b007)],
        // The control register of Advanced Features.
        [(0x40, 0x0306_4413), (0x44, 0x0000_b007)],
    ];
    for row in rows {
        let [(first, _), (second, _)] = row;
        let list = [
            (0x04, STATUS_LIST),
            (0x34, u32::from(first)),
            (0xb0, 0x0007),
        ];
        let mut registers = [(0, 0); 5];
        for (register, value) in registers.iter_mut().zip(list.iter().chain(&row)) {
            *register = *value;
        }
        let mut fake = Fake::<0x100>::new(&registers);
        fake.vpd = Some(0x4433_2211);
        let mut buffer = cells::<0x100>();
        let mut space = open(&mut buffer, &fake, FACTS)?;
        for offset in first..second {
            put(&mut space, &mut fake, offset, 1, u32::MAX)?;
            put(&mut space, &mut fake, offset, 1, 0)?;
        }
        check(fake.happened(&[]), "an effect")?;
        check(get(&space, &fake, first, 2)? >> 8 == second.into(), "link")?;
        check(get(&space, &fake, second, 2)? == 0xb007, "the other one")?;
    }
    Ok(())
}

/// The reserved bits of a link do not lead anywhere.
///
/// PARITY: 12-4.
pub(crate) fn reserved_link_bits() -> Outcome {
    let registers = [(0x100, 0x1431_0003), (0x140, 0x0031_0003)];
    let mut fake = express_with(&registers);
    fake.set_dword(0x34, 0x43);
    let mut buffer = cells::<0x200>();
    let space = open(&mut buffer, &fake, FACTS)?;
    check(get(&space, &fake, 0x34, 1)? == 0x40, "first")?;
    check(get(&space, &fake, 0x100, 4)? == 0x1401_0003, "second")?;
    check(get(&space, &fake, 0x140, 4)? == 0x0001_0003, "last")
}

/// Config space may be of any size; less than a header is not used, nor half a dword.
///
/// PARITY: 12-5.
pub(crate) fn odd_sizes() -> Outcome {
    let registers = [(0x04, STATUS_LIST), (0x34, 0x40), (0x40, 0xb005)];
    for size in [0, 1, 5, 0x11, 0x35, 0x40, 0x41, 0x42, 0x43, 0x46, 0xa0] {
        let mut fake = Fake::<0x100>::new(&registers);
        fake.size = size;
        let mut buffer = cells::<0x100>();
        let (buffer, _) = buffer.split_at_mut(size);
        let mut pointer = false;
        let bad = Finding::BadPointer { offset: 0xb0 };
        let mut space = open_reporting(buffer, &fake, FACTS, &mut |finding| {
            pointer |= finding == bad;
        })?;
        check(pointer == (size >= 0x44), "pointer out of this space")?;
        check(space.chunk(0, size + 1).is_none(), "access out of it")?;
        let used = space.chunk(0x04, 2).is_some();
        check(used == (size >= 0x40), "a whole header")?;
        if used {
            put(&mut space, &mut fake, 0x04, 2, 0x0002)?;
        }
        check(!fake.stray.get(), "outside of config space")?;
    }
    Ok(())
}
