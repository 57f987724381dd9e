// SPDX-License-Identifier: GPL-2.0

//! Capabilities of extended config space.
//!
//! In each table the offsets are those within the capability, and bytes without a row are read
//! from the hardware and not written. The header is always virtual.

use super::{
    cell::Kind,
    hidden,
    permission::{
        Layout,
        Permission,
        Register,
        ALL,
        NONE, //
    },
    walk::{
        Found,
        Probe, //
    },
    width::Width,
    Hardware, //
};

/// Bytes of the header.
pub const HEADER_SIZE: u16 = 4;
/// Next Capability Offset, of the header. Its two lowest bits are reserved.
pub const NEXT: u32 = 0xfff << NEXT_SHIFT;
/// Shift of Next Capability Offset.
pub const NEXT_SHIFT: u32 = 20;
/// Capability ID, of the header.
pub const ID: u32 = 0xffff;

/// PCI Express Extended Capability Header (PCI Express Base Specification, section 7.6.3).
const HEADER: Register = Register::dword(0x00, ALL, NONE);

/// A capability that can be read only.
pub const READ_ONLY: Layout = Layout::new(&[HEADER]);

/// Errors that an endpoint can report as uncorrectable. The reserved bits between them, and those
/// above TLP Prefix Blocked, stay with the host.
const UNCORRECTABLE: u32 = (1 << 0) // Undefined
    | (1 << 4) // Data Link Protocol Error
    | (1 << 5) // Surprise Down Error
    | (1 << 12) // Poisoned TLP Received
    | (1 << 13) // Flow Control Protocol Error
    | (1 << 14) // Completion Timeout
    | (1 << 15) // Completer Abort
    | (1 << 16) // Unexpected Completion
    | (1 << 17) // Receiver Overflow
    | (1 << 18) // Malformed TLP
    | (1 << 19) // ECRC Error
    | (1 << 20) // Unsupported Request Error
    | (1 << 21) // ACS Violation
    | (1 << 22) // Uncorrectable Internal Error
    | (1 << 23) // MC Blocked TLP
    | (1 << 24) // AtomicOp Egress Blocked
    | (1 << 25); // TLP Prefix Blocked Error

/// Errors that can be reported as correctable.
const CORRECTABLE: u32 = (1 << 0) // Receiver Error
    | (1 << 6) // Bad TLP
    | (1 << 7) // Bad DLLP
    | (1 << 8) // REPLAY_NUM Rollover
    | (1 << 12) // Replay Timer Timeout
    | (1 << 13) // Advisory Non-Fatal Error
    | (1 << 14) // Corrected Internal Error
    | (1 << 15); // Header Log Overflow

/// ECRC Generation Enable and ECRC Check Enable.
const ECRC_ENABLES: u32 = (1 << 6) | (1 << 8);

/// Advanced Error Reporting Extended Capability (PCI Express Base Specification, section 7.8.4),
/// without the registers of root ports.
pub const ERROR_REPORTING: Layout = Layout::new(&[
    // offset, virtual bits, writable bits
    HEADER,
    Register::dword(0x04, NONE, UNCORRECTABLE).clears(ALL), // Uncorrectable Error Status
    Register::dword(0x08, NONE, UNCORRECTABLE),             // Uncorrectable Error Mask
    Register::dword(0x0c, NONE, UNCORRECTABLE),             // Uncorrectable Error Severity
    Register::dword(0x10, NONE, CORRECTABLE).clears(ALL),   // Correctable Error Status
    Register::dword(0x14, NONE, CORRECTABLE),               // Correctable Error Mask
    Register::dword(0x18, NONE, ECRC_ENABLES), // Advanced Error Capabilities and Control
]);

/// Power Budgeting Extended Capability (PCI Express Base Specification, section 7.8.1).
///
/// The user selects which operating condition the data register tells about.
pub const POWER_BUDGETING: Layout = Layout::new(&[
    // offset, virtual bits, writable bits
    HEADER,
    Register::byte(0x04, NONE, ALL),   // Power Budgeting Data Select
    Register::dword(0x08, NONE, NONE), // Power Budgeting Data
    Register::byte(0x0c, NONE, NONE),  // Power Budgeting Capability
]);

/// Vendor-Specific and Designated Vendor-Specific Extended Capability (PCI Express Base
/// Specification, sections 7.9.5 and 7.9.6). What the registers mean, only the user's driver knows.
pub const VENDOR: Layout = Layout::with_rest(&[HEADER], Permission::RAW);

/// Vendor-Specific Header and Designated Vendor-Specific Header 1: the upper twelve bits are the
/// length of the capability.
const VENDOR_HEADER: u16 = 0x04;
const VENDOR_LENGTH_SHIFT: u32 = 20;
/// Both headers.
const VENDOR_HEADER_SIZE: u16 = 8;

/// Tells what the extended capability `id` at `offset` is, and how long. The link of the function
/// may have `lanes` lanes.
///
/// # Errors
///
/// The hardware could not be read.
pub(super) fn identify<H: Hardware>(
    probe: &Probe<'_, H>,
    id: u32,
    offset: u16,
    lanes: u32,
) -> Result<Found, H::Error> {
    let read_only = |bytes| Found::claimed(Kind::ExtendedReadOnly, bytes, HEADER_SIZE);
    Ok(match id {
        0x01 => Found::fixed(Kind::ErrorReporting, 0x2c),
        0x02 | 0x08 | 0x09 => read_only(virtual_channel_bytes(probe, offset)?),
        0x03 => Found::fixed(Kind::ExtendedReadOnly, 12), // Device Serial Number
        0x04 => Found::fixed(Kind::PowerBudgeting, 16),
        0x0b | 0x23 => {
            let header = probe.read(offset.saturating_add(VENDOR_HEADER), Width::Dword)?;
            match header >> VENDOR_LENGTH_SHIFT {
                0 => Found::hidden(u32::from(HEADER_SIZE)),
                length => Found::claimed(Kind::ExtendedVendor, length, VENDOR_HEADER_SIZE),
            }
        }
        0x0d => read_only(access_control_bytes(probe, offset)?),
        0x0e => Found::fixed(Kind::ExtendedReadOnly, 8), // Alternative Routing-ID Interpretation
        0x0f => Found::fixed(Kind::ExtendedReadOnly, 8), // Address Translation Services
        0x10 => Found::fixed(Kind::ExtendedReadOnly, 64), // Single Root I/O Virtualization
        0x12 => Found::fixed(Kind::ExtendedReadOnly, 40), // Multicast
        0x13 => Found::fixed(Kind::ExtendedReadOnly, 16), // Page Request Interface
        0x15 => read_only(resizable_bar_bytes(probe, offset)?),
        0x16 => read_only(dynamic_power_bytes(probe, offset)?),
        0x17 => read_only(processing_hints_bytes(probe, offset)?),
        0x18 => Found::fixed(Kind::ExtendedReadOnly, 8), // Latency Tolerance Reporting
        _ => Found::hidden(hidden::extended_bytes(probe, id, offset, lanes)?),
    })
}

/// Virtual Channel and Multi-Function Virtual Channel: a block per channel, then the arbitration
/// table of the port. The tables of the channels exist only where nobody can write them.
fn virtual_channel_bytes<H: Hardware>(probe: &Probe<'_, H>, offset: u16) -> Result<u32, H::Error> {
    const CAPABILITY_1: u16 = 0x04;
    const EXTENDED_CHANNELS: u32 = 0x7;
    const CAPABILITY_2: u16 = 0x08;
    const PORT_BYTES: u32 = 0x10;
    const CHANNEL_BYTES: u32 = 0x0c;

    let capability_1 = probe.read(offset.saturating_add(CAPABILITY_1), Width::Dword)?;
    let capability_2 = probe.read(offset.saturating_add(CAPABILITY_2), Width::Dword)?;
    let channels = (capability_1 & EXTENDED_CHANNELS) + 1;
    let bytes = PORT_BYTES + channels * CHANNEL_BYTES;
    // Four bits for each phase of the longest supported arbitration.
    let table = match capability_2 & 0xe {
        0 => return Ok(bytes),
        phases if phases & 0x8 != 0 => 128 / 2,
        phases if phases & 0x4 != 0 => 64 / 2,
        _ => 32 / 2,
    };
    Ok(bytes.next_multiple_of(16) + table)
}

/// Access Control Services: an egress control vector may follow, whose size of zero means 256.
fn access_control_bytes<H: Hardware>(probe: &Probe<'_, H>, offset: u16) -> Result<u32, H::Error> {
    const CAPABILITY: u16 = 0x04;
    const EGRESS_CONTROL: u32 = 0x20;
    const BASE_BYTES: u32 = 8;

    let capability = probe.read(offset.saturating_add(CAPABILITY), Width::Word)?;
    if capability & EGRESS_CONTROL == 0 {
        return Ok(BASE_BYTES);
    }
    let bits = match capability >> 8 {
        0 => 256,
        bits => bits.next_multiple_of(32),
    };
    Ok(BASE_BYTES + bits / 8)
}

/// Resizable BAR and VF Resizable BAR: two registers for each such BAR.
///
/// # Errors
///
/// The hardware could not be read.
pub(super) fn resizable_bar_bytes<H: Hardware>(
    probe: &Probe<'_, H>,
    offset: u16,
) -> Result<u32, H::Error> {
    const CONTROL: u16 = 0x08;

    let control = probe.read(offset.saturating_add(CONTROL), Width::Byte)?;
    Ok(4 + (control >> 5) * 8)
}

/// Dynamic Power Allocation: a byte for each substate, of which there is one more than it says.
fn dynamic_power_bytes<H: Hardware>(probe: &Probe<'_, H>, offset: u16) -> Result<u32, H::Error> {
    const CAPABILITY: u16 = 0x04;
    const SUBSTATES: u32 = 0x1f;

    let capability = probe.read(offset.saturating_add(CAPABILITY), Width::Byte)?;
    Ok(16 + (capability & SUBSTATES) + 1)
}

/// TPH Requester: the steering tag table may be inside, of one entry more than it says.
fn processing_hints_bytes<H: Hardware>(probe: &Probe<'_, H>, offset: u16) -> Result<u32, H::Error> {
    const CAPABILITY: u16 = 0x04;
    const TABLE_LOCATION: u32 = 0x0000_0600;
    const TABLE_INSIDE: u32 = 0x0000_0200;
    const TABLE_SIZE: u32 = 0x07ff_0000;
    const TABLE_SIZE_SHIFT: u32 = 16;
    const BASE_BYTES: u32 = 12;

    let capability = probe.read(offset.saturating_add(CAPABILITY), Width::Dword)?;
    if capability & TABLE_LOCATION != TABLE_INSIDE {
        return Ok(BASE_BYTES);
    }
    let entries = ((capability & TABLE_SIZE) >> TABLE_SIZE_SHIFT) + 1;
    Ok(BASE_BYTES + entries * 2)
}
