// SPDX-License-Identifier: GPL-2.0

//! What a capability is, and how long.

use super::{
    capability::{
        self,
        MsiFormat, //
    },
    cell::Kind,
    extended,
    hardware::Hardware,
    hidden,
    probe::{
        Found,
        Probe, //
    },
    width::Width, //
};

const PCI_X_VERSION: u32 = 0x3000;
/// Length of a Vendor-Specific capability.
const VENDOR_LENGTH: u16 = 0x02;
/// The list entry and the length.
const VENDOR_HEADER_SIZE: u16 = 3;
const EXPRESS_VERSION: u32 = 0x000f;
const EXPRESS_TYPE: u32 = 0x00f0;
const EXPRESS_INTEGRATED_ENDPOINT: u32 = 0x9 << 4;
/// Maximum Link Width, of Link Capabilities.
const EXPRESS_LINK_WIDTH: u32 = 0x03f0;
/// Shift of Maximum Link Width.
const EXPRESS_LINK_WIDTH_SHIFT: u32 = 4;
/// Capability Type of a HyperTransport capability, whose upper three bits are zero for a slave
/// or primary interface.
const HYPERTRANSPORT_TYPE: u16 = 0x03;
const HYPERTRANSPORT_LONG_MASK: u32 = 0xe0;
/// SATA Capability Register 1; the index and data registers follow if they are inline.
const SATA_REGISTER_1: u16 = 0x04;
const SATA_LOCATION: u32 = 0x0f;
const SATA_INLINE: u32 = 0x0f;

/// Tells what the capability `id` at `offset` is, and how long.
///
/// # Errors
///
/// The hardware could not be read.
pub(super) fn conventional<H: Hardware>(
    probe: &Probe<'_, H>,
    id: u32,
    offset: u16,
) -> Result<Found, H::Error> {
    let field = |register: u16, width| probe.read(offset.saturating_add(register), width);
    Ok(match id {
        0x01 => Found::fixed(Kind::PowerManagement, 8),
        0x02 => Found::fixed(Kind::ReadOnly, 12), // AGP
        0x03 => Found::fixed(Kind::VitalProductData, 8),
        0x05 => {
            let format = MsiFormat::from_control(field(capability::MSI_CONTROL, Width::Word)?);
            Found::fixed(Kind::Msi(format), format.bytes())
        }
        0x07 => match field(capability::PCI_X_COMMAND, Width::Word)? & PCI_X_VERSION {
            0 => Found::fixed(Kind::PciX, 8),
            _ => Found::fixed(Kind::PciX, 24).with_extended_space(0),
        },
        0x08 => match field(HYPERTRANSPORT_TYPE, Width::Byte)? & HYPERTRANSPORT_LONG_MASK {
            0 => Found::fixed(Kind::ReadOnly, 28),
            _ => Found::fixed(Kind::ReadOnly, 24),
        },
        0x09 => match field(VENDOR_LENGTH, Width::Byte)? {
            0 => Found::hidden(u32::from(capability::ENTRY_SIZE)),
            length => Found::claimed(Kind::Vendor, length, VENDOR_HEADER_SIZE),
        },
        0x10 => {
            let capabilities = field(capability::EXPRESS_CAPABILITIES, Width::Word)?;
            let link = field(capability::EXPRESS_LINK_CAPABILITIES, Width::Dword)?;
            let lanes = (link & EXPRESS_LINK_WIDTH) >> EXPRESS_LINK_WIDTH_SHIFT;
            Found::fixed(Kind::Express, express_bytes(capabilities)).with_extended_space(lanes)
        }
        0x11 => Found::fixed(Kind::ReadOnly, 12), // MSI-X
        0x12 => match field(SATA_REGISTER_1, Width::Byte)? & SATA_LOCATION {
            SATA_INLINE => Found::fixed(Kind::ReadOnly, 16),
            _ => Found::fixed(Kind::ReadOnly, 8),
        },
        0x13 => Found::fixed(Kind::AdvancedFeatures, 6),
        _ => Found::hidden(hidden::conventional_bytes(probe, id, offset)?),
    })
}

/// A Root Complex Integrated Endpoint has no link, and neither the registers for it.
fn express_bytes(capabilities: u32) -> u16 {
    let linked = capabilities & EXPRESS_TYPE != EXPRESS_INTEGRATED_ENDPOINT;
    match (capabilities & EXPRESS_VERSION, linked) {
        (1, true) => 0x14,
        (1, false) => 0x0c,
        (_, true) => 0x34,
        (_, false) => 0x2c,
    }
}

/// Vendor-Specific Header and Designated Vendor-Specific Header 1: the upper twelve bits are the
/// length of the capability.
const VENDOR_HEADER: u16 = 0x04;
const VENDOR_LENGTH_SHIFT: u32 = 20;
/// Both headers.
const EXTENDED_VENDOR_HEADER_SIZE: u16 = 8;

/// Tells what the extended capability `id` at `offset` is, and how long. The link of the function
/// may have `lanes` lanes.
///
/// # Errors
///
/// The hardware could not be read.
pub(super) fn extended<H: Hardware>(
    probe: &Probe<'_, H>,
    id: u32,
    offset: u16,
    lanes: u32,
) -> Result<Found, H::Error> {
    let read_only = |bytes| Found::claimed(Kind::ExtendedReadOnly, bytes, extended::HEADER_SIZE);
    Ok(match id {
        0x01 => Found::fixed(Kind::ErrorReporting, 0x2c),
        0x02 | 0x08 | 0x09 => read_only(virtual_channel_bytes(probe, offset)?),
        0x03 => Found::fixed(Kind::ExtendedReadOnly, 12), // Device Serial Number
        0x04 => Found::fixed(Kind::PowerBudgeting, 16),
        0x0b | 0x23 => {
            let header = probe.read(offset.saturating_add(VENDOR_HEADER), Width::Dword)?;
            match header >> VENDOR_LENGTH_SHIFT {
                0 => Found::hidden(u32::from(extended::HEADER_SIZE)),
                length => Found::claimed(Kind::ExtendedVendor, length, EXTENDED_VENDOR_HEADER_SIZE),
            }
        }
        0x0d => read_only(access_control_bytes(probe, offset)?),
        0x0e => Found::fixed(Kind::ExtendedReadOnly, 8), // Alternative Routing-ID Interpretation
        0x0f => Found::fixed(Kind::ExtendedReadOnly, 8), // Address Translation Services
        0x10 => Found::fixed(Kind::ExtendedReadOnly, 64), // Single Root I/O Virtualization
        0x12 => Found::fixed(Kind::ExtendedReadOnly, 40), // Multicast
        0x13 => Found::fixed(Kind::ExtendedReadOnly, 16), // Page Request Interface
        0x15 => read_only(hidden::resizable_bar_bytes(probe, offset)?),
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
