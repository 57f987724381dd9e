// SPDX-License-Identifier: GPL-2.0

//! How long the capabilities are that users do not see.
//!
//! They belong to bridges, root complexes and links, or give away what the host has to decide.
//! Of a capability that is not known only the header is hidden, which has the links of the list.

use super::{
    capability,
    extended,
    hardware::Hardware,
    probe::Probe,
    width::Width, //
};

/// Bytes of the conventional capability `id` at `offset`.
///
/// # Errors
///
/// The hardware could not be read.
pub(super) fn conventional_bytes<H: Hardware>(
    probe: &Probe<'_, H>,
    id: u32,
    offset: u16,
) -> Result<u32, H::Error> {
    Ok(match id {
        0x04 => 4, // Slot Identification
        0x06 => 4, // CompactPCI Hot Swap
        0x0a => 4, // Debug Port
        0x0c => 8, // PCI Standard Hot-Plug Controller
        0x0d => 8, // Subsystem Vendor ID and Subsystem ID
        0x14 => enhanced_allocation_bytes(probe, offset)?,
        0x15 => 36, // Flattening Portal Bridge
        _ => u32::from(capability::ENTRY_SIZE),
    })
}

/// Bytes of the extended capability `id` at `offset`, of a function whose link may have `lanes`
/// lanes.
///
/// # Errors
///
/// The hardware could not be read.
pub(super) fn extended_bytes<H: Hardware>(
    probe: &Probe<'_, H>,
    id: u32,
    offset: u16,
    lanes: u32,
) -> Result<u32, H::Error> {
    Ok(match id {
        0x05 => link_declaration_bytes(probe, offset)?,
        0x06 => 12, // Root Complex Internal Link Control
        0x07 => versions_bytes(probe, offset, 8, 12)?, // Root Complex Event Collector Association
        0x0a => 16, // Root Complex Register Block Header
        0x0c => 8,  // Configuration Access Correlation
        0x19 => lane_bytes(12, lanes, 2), // Secondary PCI Express
        0x1a => multiplexing_bytes(probe, offset)?,
        0x1b => 8, // Process Address Space ID
        0x1c => 8, // Lightweight Notification Requester
        0x1d => containment_bytes(probe, offset)?,
        0x1e => versions_bytes(probe, offset, 16, 20)?, // L1 PM Substates
        0x1f => 12,                                     // Precision Time Measurement
        0x20 => 28,                                     // PCI Express over M-PHY
        0x21 => 16,                                     // FRS Queueing
        0x22 => 12,                                     // Readiness Time Reporting
        0x24 => resizable_bar_bytes(probe, offset)?,    // VF Resizable BAR
        0x25 => 12,                                     // Data Link Feature
        0x26 => lane_bytes(32, lanes, 1),               // Physical Layer 16.0 GT/s
        0x27 => lane_bytes(8, lanes, 4),                // Lane Margining at the Receiver
        0x28 => 32,                                     // Hierarchy ID
        0x29 => 16,                                     // Native PCIe Enclosure Management
        0x2a => lane_bytes(32, lanes, 1),               // Physical Layer 32.0 GT/s
        0x2b => alternate_protocol_bytes(probe, offset)?,
        0x2c => 20, // System Firmware Intermediary
        0x2d => 12, // Shadow Functions, without its instances
        0x2e => 24, // Data Object Exchange
        0x2f => 16, // Device 3
        0x30 => encryption_bytes(probe, offset)?,
        0x31 => lane_bytes(32, lanes, 1), // Physical Layer 64.0 GT/s
        0x32 => 60,                       // Flit Logging
        0x33 => 36,                       // Flit Performance Measurement
        0x34 => 36,                       // Flit Error Injection
        0x35 => streamlined_channel_bytes(probe, offset)?,
        0x36 => 8, // MMIO Register Block Locator, without its entries
        _ => u32::from(extended::HEADER_SIZE),
    })
}

/// Enhanced Allocation: entries of up to 32 bytes, which tell their length in their first byte. The
/// addresses in them are those of the host.
fn enhanced_allocation_bytes<H: Hardware>(
    probe: &Probe<'_, H>,
    offset: u16,
) -> Result<u32, H::Error> {
    const ENTRIES: u16 = 0x02;
    const ENTRIES_MASK: u32 = 0x3f;
    const FIRST_ENTRY: u16 = 0x04;
    const ENTRY_SIZE_MASK: u16 = 0x07;

    let count = probe.read(offset.saturating_add(ENTRIES), Width::Byte)? & ENTRIES_MASK;
    let mut bytes = FIRST_ENTRY;
    for _ in 0..count {
        let entry = probe.read(offset.saturating_add(bytes), Width::Byte)?;
        let entry = entry as u16 & ENTRY_SIZE_MASK; // CAST: the register has 8 bits.
        bytes = bytes.saturating_add((entry + 1) * 4);
    }
    Ok(u32::from(bytes))
}

/// A capability of which later versions are longer.
fn versions_bytes<H: Hardware>(
    probe: &Probe<'_, H>,
    offset: u16,
    first: u32,
    later: u32,
) -> Result<u32, H::Error> {
    const VERSION: u32 = 0x000f_0000;
    const VERSION_SHIFT: u32 = 16;

    let header = probe.read(offset, Width::Dword)?;
    Ok(match (header & VERSION) >> VERSION_SHIFT {
        0 | 1 => first,
        _ => later,
    })
}

/// A capability that ends with `bytes` for each lane, in whole dwords.
fn lane_bytes(base: u32, lanes: u32, bytes: u32) -> u32 {
    // OVERFLOW: There are less than 64 lanes.
    base + (lanes * bytes).next_multiple_of(4)
}

/// Root Complex Link Declaration: an entry for each link.
fn link_declaration_bytes<H: Hardware>(probe: &Probe<'_, H>, offset: u16) -> Result<u32, H::Error> {
    const ENTRIES: u16 = 0x05;
    const BASE_BYTES: u32 = 16;
    const ENTRY_BYTES: u32 = 16;

    let entries = probe.read(offset.saturating_add(ENTRIES), Width::Byte)?;
    Ok(BASE_BYTES + entries * ENTRY_BYTES)
}

/// Protocol Multiplexing: an array of protocols.
fn multiplexing_bytes<H: Hardware>(probe: &Probe<'_, H>, offset: u16) -> Result<u32, H::Error> {
    const CAPABILITY: u16 = 0x04;
    const PROTOCOLS: u32 = 0x3f;
    const BASE_BYTES: u32 = 16;

    let capability = probe.read(offset.saturating_add(CAPABILITY), Width::Byte)?;
    Ok(BASE_BYTES + (capability & PROTOCOLS) * 4)
}

/// Downstream Port Containment: root ports have more registers, and a log whose number of dwords
/// has five bits that are not side by side.
fn containment_bytes<H: Hardware>(probe: &Probe<'_, H>, offset: u16) -> Result<u32, H::Error> {
    const CAPABILITY: u16 = 0x04;
    const ROOT_PORT: u32 = 0x0020;
    const LOG_LOW: u32 = 0x0f00;
    const LOG_HIGH: u32 = 0x2000;
    const BASE_BYTES: u32 = 12;
    const ROOT_PORT_BYTES: u32 = 32;

    let capability = probe.read(offset.saturating_add(CAPABILITY), Width::Word)?;
    if capability & ROOT_PORT == 0 {
        return Ok(BASE_BYTES);
    }
    let dwords = ((capability & LOG_LOW) >> 8) | ((capability & LOG_HIGH) >> 9);
    Ok(ROOT_PORT_BYTES + dwords * 4)
}

/// Alternate Protocol: a mask follows if protocols can be enabled one by one.
fn alternate_protocol_bytes<H: Hardware>(
    probe: &Probe<'_, H>,
    offset: u16,
) -> Result<u32, H::Error> {
    const CAPABILITIES: u16 = 0x04;
    const SELECTIVE: u32 = 0x0100;

    let capabilities = probe.read(offset.saturating_add(CAPABILITIES), Width::Word)?;
    Ok(match capabilities & SELECTIVE {
        0 => 20,
        _ => 24,
    })
}

/// Integrity and Data Encryption: a block for each stream of the link, then one for each selective
/// stream, which tells how many blocks of addresses it has.
fn encryption_bytes<H: Hardware>(probe: &Probe<'_, H>, offset: u16) -> Result<u32, H::Error> {
    const CAPABILITY: u16 = 0x04;
    const LINK: u32 = 1 << 0;
    const SELECTIVE: u32 = 1 << 1;
    const LINK_LAST: u32 = 0x7;
    const LINK_LAST_SHIFT: u32 = 13;
    const SELECTIVE_LAST: u32 = 0xff;
    const SELECTIVE_LAST_SHIFT: u32 = 16;
    const BASE_BYTES: u16 = 12;
    const LINK_BYTES: u16 = 8;
    const SELECTIVE_BYTES: u16 = 20;
    const ADDRESSES: u16 = 0xf;
    const ADDRESS_BYTES: u16 = 12;

    let capability = probe.read(offset.saturating_add(CAPABILITY), Width::Dword)?;
    let mut bytes = BASE_BYTES;
    if capability & LINK != 0 {
        for _ in 0..=(capability >> LINK_LAST_SHIFT) & LINK_LAST {
            bytes = bytes.saturating_add(LINK_BYTES);
        }
    }
    if capability & SELECTIVE != 0 {
        for _ in 0..=(capability >> SELECTIVE_LAST_SHIFT) & SELECTIVE_LAST {
            let stream = probe.read(offset.saturating_add(bytes), Width::Word)?;
            let blocks = stream as u16 & ADDRESSES; // CAST: half of the register has 16 bits.
            bytes = bytes.saturating_add(SELECTIVE_BYTES + blocks * ADDRESS_BYTES);
        }
    }
    Ok(u32::from(bytes))
}

/// Streamlined Virtual Channel: a block for each channel.
fn streamlined_channel_bytes<H: Hardware>(
    probe: &Probe<'_, H>,
    offset: u16,
) -> Result<u32, H::Error> {
    const CAPABILITY_1: u16 = 0x04;
    const EXTENDED_CHANNELS: u32 = 0x7;
    const PORT_BYTES: u32 = 20;
    const CHANNEL_BYTES: u32 = 12;

    let capability = probe.read(offset.saturating_add(CAPABILITY_1), Width::Byte)?;
    Ok(PORT_BYTES + ((capability & EXTENDED_CHANNELS) + 1) * CHANNEL_BYTES)
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
