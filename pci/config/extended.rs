// SPDX-License-Identifier: GPL-2.0

//! Capabilities of extended config space.
//!
//! In each table the offsets are those within the capability, and bytes without a row are read
//! from the hardware and not written. The header is always virtual.

use super::permission::{
    Layout,
    Permission,
    Register,
    ALL,
    NONE, //
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
