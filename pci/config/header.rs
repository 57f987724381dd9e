// SPDX-License-Identifier: GPL-2.0

//! The type 0 header (PCI Local Bus Specification 3.0, section 6.1; PCI Express Base
//! Specification, "Type 0 Configuration Space Header").

use super::permission::{
    Layout,
    Register,
    ALL,
    NONE, //
};

/// Vendor ID Register.
pub const VENDOR_ID: u16 = 0x00;
/// Device ID Register.
pub const DEVICE_ID: u16 = 0x02;
/// Command Register.
pub const COMMAND: u16 = 0x04;
/// Status Register.
pub const STATUS: u16 = 0x06;
/// First of the six Base Address Registers.
pub const BASE_ADDRESS_0: u16 = 0x10;
/// First byte behind the Base Address Registers.
pub const BASE_ADDRESS_END: u16 = 0x28;
/// Expansion ROM Base Address Register.
pub const ROM_ADDRESS: u16 = 0x30;
/// First byte behind the Expansion ROM Base Address Register.
pub const ROM_ADDRESS_END: u16 = 0x34;
/// Capabilities Pointer.
pub const CAPABILITY_LIST: u16 = 0x34;
/// Interrupt Line Register.
pub const INTERRUPT_LINE: u16 = 0x3c;
/// Interrupt Pin Register.
pub const INTERRUPT_PIN: u16 = 0x3d;

/// I/O Space Enable, of the Command Register.
pub const COMMAND_IO: u32 = 1 << 0;
/// Memory Space Enable, of the Command Register.
pub const COMMAND_MEMORY: u32 = 1 << 1;
/// Interrupt Disable, of the Command Register.
pub const COMMAND_INTX_DISABLE: u32 = 1 << 10;
/// Capabilities List, of the Status Register.
pub const STATUS_CAPABILITIES: u32 = 1 << 4;

/// Permissions of the header.
///
/// * The IDs are virtual because a virtual function has all ones there.
/// * The host uses Interrupt Disable to mask INTx, so the user's is virtual; for a device that
///   does not implement it this emulates it.
/// * The capability list can be shortened, hence the virtual pointer and the virtual status bit.
/// * The BARs of the hardware belong to the host.
/// * The Interrupt Line is a note of the firmware to itself; the user gets a copy to scribble on.
pub const LAYOUT: Layout = Layout::new(&[
    // offset, virtual bits, writable bits
    Register::word(VENDOR_ID, ALL, NONE),
    Register::word(DEVICE_ID, ALL, NONE),
    Register::word(COMMAND, COMMAND_INTX_DISABLE, ALL),
    Register::word(STATUS, STATUS_CAPABILITIES, NONE).clears(ALL),
    Register::byte(0x08, NONE, NONE),  // Revision ID
    Register::byte(0x09, NONE, NONE),  // Class Code, Programming Interface
    Register::word(0x0a, NONE, NONE),  // Class Code, Sub-Class and Base Class
    Register::byte(0x0c, NONE, ALL),   // Cache Line Size
    Register::byte(0x0d, NONE, ALL),   // Latency Timer
    Register::byte(0x0e, NONE, NONE),  // Header Type
    Register::byte(0x0f, NONE, ALL),   // BIST
    Register::dword(0x10, ALL, ALL),   // Base Address Register 0
    Register::dword(0x14, ALL, ALL),   // Base Address Register 1
    Register::dword(0x18, ALL, ALL),   // Base Address Register 2
    Register::dword(0x1c, ALL, ALL),   // Base Address Register 3
    Register::dword(0x20, ALL, ALL),   // Base Address Register 4
    Register::dword(0x24, ALL, ALL),   // Base Address Register 5
    Register::dword(0x28, NONE, NONE), // Cardbus CIS Pointer
    Register::word(0x2c, NONE, NONE),  // Subsystem Vendor ID
    Register::word(0x2e, NONE, NONE),  // Subsystem ID
    Register::dword(ROM_ADDRESS, ALL, ALL),
    Register::byte(CAPABILITY_LIST, ALL, NONE),
    Register::byte(INTERRUPT_LINE, ALL, ALL),
    Register::byte(INTERRUPT_PIN, ALL, NONE),
    Register::byte(0x3e, NONE, NONE), // Min_Gnt
    Register::byte(0x3f, NONE, NONE), // Max_Lat
]);

/// Offsets of the BARs, and behind them that of the ROM BAR.
pub fn bar_registers() -> impl Iterator<Item = u16> {
    let bars = (BASE_ADDRESS_0..BASE_ADDRESS_END).step_by(4);
    bars.chain([ROM_ADDRESS])
}
