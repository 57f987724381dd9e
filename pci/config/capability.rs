// SPDX-License-Identifier: GPL-2.0

//! Capabilities of conventional config space.
//!
//! In each table the offsets are those within the capability, and bytes without a row are read
//! from the hardware and not written. The pointer to the next capability is always virtual.

use super::permission::{
    Layout,
    Permission,
    Register,
    ALL,
    NONE, //
};

/// Next Capability Pointer, in each capability.
pub const NEXT: u16 = 0x01;

/// Bytes of the Capability ID and the Next Capability Pointer.
pub const ENTRY_SIZE: u16 = 2;

/// Capability ID and Next Capability Pointer of a capability whose list entry is virtual.
const ENTRY: Register = Register::word(0x00, ALL, NONE);

/// Next Capability Pointer of a capability whose ID is read from the hardware.
const LINK: Register = Register::byte(NEXT, ALL, NONE);

/// A capability that can be read only: AGP, HyperTransport, MSI-X, Serial ATA.
///
/// MSI-X is among them because it is enabled and masked by ioctl.
pub const READ_ONLY: Layout = Layout::new(&[ENTRY]);

/// Power Management Capabilities.
pub const PM_CAPABILITIES: u16 = 0x02;
/// Power Management Control/Status.
pub const PM_CONTROL: u16 = 0x04;
/// PME_Support, of Power Management Capabilities.
pub const PM_PME_SUPPORT: u32 = 0xf800;
/// PowerState, of Power Management Control/Status.
pub const PM_STATE: u32 = 0x0003;
/// PME_En and PME_Status, of Power Management Control/Status.
pub const PM_PME: u32 = PM_PME_ENABLE | PM_PME_STATUS;
const PM_PME_ENABLE: u32 = 0x0100;
const PM_PME_STATUS: u32 = 0x8000;

/// PCI Power Management Capability Structure (PCI Bus Power Management Interface Specification
/// 1.2, section 3.2).
///
/// The host takes the PME events, so the user sees a function that cannot signal any. A write of
/// PowerState does not reach the hardware as such, but becomes a state change by the host.
pub const POWER_MANAGEMENT: Layout = Layout::new(&[
    // offset, virtual bits, writable bits
    LINK,
    Register::word(PM_CAPABILITIES, PM_PME_SUPPORT, NONE),
    Register::word(PM_CONTROL, PM_PME, !(PM_PME | PM_STATE)).clears(PM_PME_STATUS),
    Register::byte(0x06, NONE, ALL), // Bridge Support Extensions
    Register::byte(0x07, NONE, ALL), // Data
]);

/// VPD Address.
pub const VPD_ADDRESS: u16 = 0x02;
/// VPD Data.
pub const VPD_DATA: u16 = 0x04;
/// F, of VPD Address: set by the user to write, cleared to read, toggled on completion.
pub const VPD_ADDRESS_F: u32 = 0x8000;

/// VPD Capability Structure (PCI Local Bus Specification 3.0, appendix I).
///
/// Emulated on top of the host's own access to the VPD.
pub const VITAL_PRODUCT_DATA: Layout = Layout::new(&[
    // offset, virtual bits, writable bits
    LINK,
    Register::word(VPD_ADDRESS, ALL, ALL),
    Register::dword(VPD_DATA, ALL, ALL),
]);

/// Message Control.
pub const MSI_CONTROL: u16 = 0x02;
/// MSI Enable, of Message Control.
pub const MSI_ENABLE: u32 = 0x0001;
/// Multiple Message Enable, of Message Control.
pub const MSI_QUEUE_SIZE: u32 = 0x0070;
/// Shift of Multiple Message Enable.
pub const MSI_QUEUE_SHIFT: u32 = 4;
const MSI_64BIT: u32 = 0x0080;
const MSI_MASKABLE: u32 = 0x0100;

/// Which of the four layouts an MSI capability has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MsiFormat {
    /// 32-bit Message Address.
    Narrow,
    /// 64-bit Message Address.
    Wide,
    /// 32-bit Message Address and Per-Vector Masking.
    NarrowMaskable,
    /// 64-bit Message Address and Per-Vector Masking.
    WideMaskable,
}

impl MsiFormat {
    pub(super) fn from_control(control: u32) -> Self {
        match (control & MSI_64BIT != 0, control & MSI_MASKABLE != 0) {
            (false, false) => MsiFormat::Narrow,
            (true, false) => MsiFormat::Wide,
            (false, true) => MsiFormat::NarrowMaskable,
            (true, true) => MsiFormat::WideMaskable,
        }
    }

    pub(super) fn bytes(self) -> u16 {
        match self {
            MsiFormat::Narrow => 10,
            MsiFormat::Wide => 14,
            MsiFormat::NarrowMaskable => 20,
            MsiFormat::WideMaskable => 24,
        }
    }

    /// MSI Capability Structure (PCI Local Bus Specification 3.0, section 6.8.1).
    ///
    /// The message belongs to the host, the user gets a copy to scribble on. Of Message Control,
    /// MSI Enable and Multiple Message Enable can be written, within what is set up by ioctl;
    /// the fields that describe the function cannot.
    pub(super) fn layout(self) -> &'static Layout {
        const CONTROL: Register = Register::byte(MSI_CONTROL, ALL, MSI_ENABLE | MSI_QUEUE_SIZE);
        const NARROW: Layout = Layout::new(&[
            // offset, virtual bits, writable bits
            LINK,
            CONTROL,
            Register::dword(0x04, ALL, ALL), // Message Address
            Register::word(0x08, ALL, ALL),  // Message Data
        ]);
        const WIDE: Layout = Layout::new(&[
            LINK,
            CONTROL,
            Register::dword(0x04, ALL, ALL), // Message Address
            Register::dword(0x08, ALL, ALL), // Message Upper Address
            Register::word(0x0c, ALL, ALL),  // Message Data
        ]);
        const NARROW_MASKABLE: Layout = Layout::new(&[
            LINK,
            CONTROL,
            Register::dword(0x04, ALL, ALL),  // Message Address
            Register::word(0x08, ALL, ALL),   // Message Data
            Register::dword(0x0c, NONE, ALL), // Mask Bits
            Register::dword(0x10, NONE, ALL), // Pending Bits
        ]);
        const WIDE_MASKABLE: Layout = Layout::new(&[
            LINK,
            CONTROL,
            Register::dword(0x04, ALL, ALL),  // Message Address
            Register::dword(0x08, ALL, ALL),  // Message Upper Address
            Register::word(0x0c, ALL, ALL),   // Message Data
            Register::dword(0x10, NONE, ALL), // Mask Bits
            Register::dword(0x14, NONE, ALL), // Pending Bits
        ]);
        match self {
            MsiFormat::Narrow => &NARROW,
            MsiFormat::Wide => &WIDE,
            MsiFormat::NarrowMaskable => &NARROW_MASKABLE,
            MsiFormat::WideMaskable => &WIDE_MASKABLE,
        }
    }
}

/// PCI-X Command.
pub(super) const PCI_X_COMMAND: u16 = 0x02;

/// PCI-X Capabilities List Item (PCI-X Protocol Addendum 2.0, section 7.2). Version 0 ends
/// behind PCI-X Status.
pub const PCI_X: Layout = Layout::new(&[
    // offset, virtual bits, writable bits
    LINK,
    Register::word(PCI_X_COMMAND, NONE, ALL),
    Register::dword(0x04, NONE, NONE), // PCI-X Status
    Register::dword(0x08, NONE, ALL),  // ECC Control and Status
]);

/// Vendor-Specific capability (PCI Local Bus Specification 3.0, appendix H). What the registers
/// mean, only the user's driver knows.
pub const VENDOR: Layout = Layout::with_rest(&[ENTRY], Permission::RAW);

/// PCI Express Capabilities.
pub(super) const EXPRESS_CAPABILITIES: u16 = 0x02;

/// Device Capabilities.
pub const EXPRESS_DEVICE_CAPABILITIES: u16 = 0x04;
/// Function Level Reset Capability, of Device Capabilities.
pub const EXPRESS_FLR_CAPABLE: u32 = 1 << 28;
/// Device Control.
pub const EXPRESS_DEVICE_CONTROL: u16 = 0x08;
/// Max_Payload_Size, of Device Control.
pub const EXPRESS_PAYLOAD: u32 = 0x00e0;
/// Shift of Max_Payload_Size.
pub const EXPRESS_PAYLOAD_SHIFT: u32 = 5;
/// Phantom Functions Enable, of Device Control.
const EXPRESS_PHANTOM: u32 = 0x0200;
/// Max_Read_Request_Size, of Device Control.
pub const EXPRESS_READ_REQUEST: u32 = 0x7000;
/// Shift of Max_Read_Request_Size.
pub const EXPRESS_READ_REQUEST_SHIFT: u32 = 12;
/// Initiate Function Level Reset, of Device Control.
pub const EXPRESS_FLR: u32 = 0x8000;
/// Link Capabilities. A Root Complex Integrated Endpoint has zeros there, or nothing.
pub(super) const EXPRESS_LINK_CAPABILITIES: u16 = 0x0c;
/// ARI Forwarding Enable, of Device Control 2.
const EXPRESS_ARI: u32 = 0x0020;

/// PCI Express Capability Structure (PCI Express Base Specification, section 7.5.3).
///
/// Max_Payload_Size must agree with the rest of the hierarchy, which only the host knows. Phantom
/// functions would confuse the IOMMU about who is who. A reset is done by the host.
pub const EXPRESS: Layout = Layout::new(&[
    // offset, virtual bits, writable bits
    LINK,
    Register::word(EXPRESS_CAPABILITIES, NONE, NONE),
    Register::dword(EXPRESS_DEVICE_CAPABILITIES, NONE, NONE),
    Register::word(
        EXPRESS_DEVICE_CONTROL,
        EXPRESS_FLR | EXPRESS_PAYLOAD | EXPRESS_READ_REQUEST,
        !EXPRESS_PHANTOM,
    ),
    Register::word(0x0a, NONE, NONE).clears(ALL), // Device Status
    Register::dword(EXPRESS_LINK_CAPABILITIES, NONE, NONE),
    Register::word(0x10, NONE, NONE),             // Link Control
    Register::word(0x12, NONE, NONE),             // Link Status
    Register::dword(0x24, NONE, NONE),            // Device Capabilities 2
    Register::word(0x28, NONE, !EXPRESS_ARI),     // Device Control 2
    Register::word(0x2a, NONE, NONE).clears(ALL), // Device Status 2
    Register::dword(0x2c, NONE, NONE),            // Link Capabilities 2
    Register::word(0x30, NONE, NONE),             // Link Control 2
    Register::word(0x32, NONE, NONE),             // Link Status 2
]);

/// AF Capabilities.
pub const AF_CAPABILITIES: u16 = 0x03;
/// TP and FLR, of AF Capabilities: a reset can be done, and its end can be told.
pub const AF_RESET_CAPABLE: u32 = 0x03;
/// AF Control.
pub const AF_CONTROL: u16 = 0x04;
/// INITIATE_FLR, of AF Control.
pub const AF_FLR: u32 = 0x01;

/// Advanced Features Capability (Advanced Capabilities for Conventional PCI, engineering change
/// notice).
pub const ADVANCED_FEATURES: Layout = Layout::new(&[
    // offset, virtual bits, writable bits
    LINK,
    Register::byte(0x02, NONE, NONE), // Length
    Register::byte(AF_CAPABILITIES, NONE, NONE),
    Register::byte(AF_CONTROL, AF_FLR, AF_FLR),
    Register::byte(0x05, NONE, NONE), // AF Status
]);
