// SPDX-License-Identifier: GPL-2.0

//! The bytes of config space: to whom they belong, and their shadow.

use super::{
    capability,
    extended,
    header,
    permission::{
        Layout,
        Masks,
        Permission, //
    },
    size::CONVENTIONAL_SIZE,
    width::Width, //
};

/// What a byte belongs to: selects the permissions and the behaviour on writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// No known capability.
    Unassigned,
    /// A capability that is not for users.
    Hidden,
    /// A register that the host emulates for this device.
    Virtual,
    /// The type 0 header.
    Header,
    /// A capability that can be read only.
    ReadOnly,
    /// PCI Power Management Interface.
    PowerManagement,
    /// Vital Product Data.
    VitalProductData,
    /// Message Signaled Interrupts.
    Msi(capability::MsiFormat),
    /// PCI-X.
    PciX,
    /// Vendor-Specific.
    Vendor,
    /// PCI Express.
    Express,
    /// Advanced Features.
    AdvancedFeatures,
    /// An extended capability that can be read only.
    ExtendedReadOnly,
    /// Advanced Error Reporting.
    ErrorReporting,
    /// Power Budgeting.
    PowerBudgeting,
    /// Vendor-Specific and Designated Vendor-Specific Extended Capability.
    ExtendedVendor,
}

impl Kind {
    const UNASSIGNED: Layout = Layout::with_rest(&[], Permission::RAW);
    const HIDDEN: Layout = Layout::with_rest(&[], Permission::SHOWN);
    const VIRTUAL: Layout = Layout::with_rest(&[], Permission::VIRTUAL);

    /// The table of permissions.
    pub fn layout(self) -> &'static Layout {
        match self {
            Kind::Unassigned => &Self::UNASSIGNED,
            Kind::Hidden => &Self::HIDDEN,
            Kind::Virtual => &Self::VIRTUAL,
            Kind::Header => &header::LAYOUT,
            Kind::ReadOnly => &capability::READ_ONLY,
            Kind::PowerManagement => &capability::POWER_MANAGEMENT,
            Kind::VitalProductData => &capability::VITAL_PRODUCT_DATA,
            Kind::Msi(format) => format.layout(),
            Kind::PciX => &capability::PCI_X,
            Kind::Vendor => &capability::VENDOR,
            Kind::Express => &capability::EXPRESS,
            Kind::AdvancedFeatures => &capability::ADVANCED_FEATURES,
            Kind::ExtendedReadOnly => &extended::READ_ONLY,
            Kind::ErrorReporting => &extended::ERROR_REPORTING,
            Kind::PowerBudgeting => &extended::POWER_BUDGETING,
            Kind::ExtendedVendor => &extended::VENDOR,
        }
    }
}

/// One byte of config space.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Offset of the first byte of what this byte belongs to; zero if that is not a capability.
    start: u16,
    kind: Kind,
    shadow: u8,
}

// There is one of them for each byte of each open device.
const _: () = assert!(core::mem::size_of::<Cell>() == 4);

impl Cell {
    /// A byte of no known capability: what to fill the buffer of a new space with.
    pub const UNASSIGNED: Cell = Cell {
        start: 0,
        kind: Kind::Unassigned,
        shadow: 0,
    };

    /// What the byte belongs to.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Offset of the first byte of the capability.
    pub(super) fn start(&self) -> u16 {
        self.start
    }

    /// Becomes a byte that the host emulates.
    pub(super) fn emulate(&mut self, shadow: u8) {
        *self = Cell {
            start: 0,
            kind: Kind::Virtual,
            shadow,
        };
    }

    /// Whether this byte, which is the one at `offset` and of a capability, links it to the next.
    fn is_entry(&self, offset: u16) -> bool {
        let entry = match self.start {
            CONVENTIONAL_SIZE.. => extended::HEADER_SIZE,
            _ => capability::ENTRY_SIZE,
        };
        offset.saturating_sub(self.start) < entry
    }

    /// Whether both bytes belong to the same capability, not just to two of one kind.
    pub(super) fn same_capability(&self, other: &Cell) -> bool {
        self.start == other.start && self.kind == other.kind
    }
}

/// The cells from `offset` on.
fn cells_from(cells: &[Cell], offset: u16) -> &[Cell] {
    let (_, cells) = cells.split_at(usize::from(offset).min(cells.len()));

    cells
}

/// Reads the shadow. Bytes behind the end read as zero.
#[inline]
pub(super) fn load(cells: &[Cell], offset: u16, width: Width) -> u32 {
    // Spelled out, since this is part of most accesses, and faster than a loop.
    match (width, cells_from(cells, offset)) {
        (Width::Dword, [a, b, c, d, ..]) => {
            u32::from_le_bytes([a.shadow, b.shadow, c.shadow, d.shadow])
        }
        (Width::Word, [a, b, ..]) => u32::from_le_bytes([a.shadow, b.shadow, 0, 0]),
        (Width::Byte, [a, ..]) => u32::from(a.shadow),
        (_, cut) => {
            let mut bytes = [0; 4];
            for (byte, cell) in bytes.iter_mut().zip(cut) {
                *byte = cell.shadow;
            }
            u32::from_le_bytes(bytes)
        }
    }
}

/// The permissions of `width` bytes from `offset` on, which are aligned and of one capability.
#[inline]
pub(super) fn permissions(cells: &[Cell], offset: u16, width: Width) -> Masks {
    let Some(cell) = cells.get(usize::from(offset)) else {
        return Masks::default();
    };
    let dword = cell.kind.layout().dword(offset.saturating_sub(cell.start));

    dword.part(offset, width)
}

/// Writes the shadow. Bytes behind the end are dropped.
pub(super) fn store(cells: &mut [Cell], offset: u16, width: Width, value: u32) {
    let bytes = value.to_le_bytes();
    let (_, targets) = cells.split_at_mut(usize::from(offset).min(cells.len()));
    match (width, targets, bytes) {
        (Width::Byte, [a, ..], [byte, ..]) => a.shadow = byte,
        (_, targets, _) => {
            let bytes = bytes.into_iter().take(usize::from(width.bytes()));
            for (cell, byte) in targets.iter_mut().zip(bytes) {
                cell.shadow = byte;
            }
        }
    }
}

/// Writes the shadow, but only of bytes that belong to the capability at `start`.
pub(super) fn fill(cells: &mut [Cell], start: u16, offset: u16, width: Width, value: u32) {
    let bytes = value.to_le_bytes();
    let targets = cells.iter_mut().skip(usize::from(offset));
    for (cell, byte) in targets.zip(bytes).take(usize::from(width.bytes())) {
        if cell.start == start {
            cell.shadow = byte;
        }
    }
}

/// Gives `length` bytes to a capability that starts at `start`, and tells whether all were free.
///
/// Of those which are not, it takes what is not the list entry of another capability: links have
/// to stay virtual.
pub(super) fn assign(cells: &mut [Cell], start: u16, length: u16, kind: Kind) -> bool {
    let mut free = true;
    let mut offset = start;
    let targets = cells.iter_mut().skip(usize::from(start));
    for cell in targets.take(usize::from(length)) {
        let taken = cell.kind != Kind::Unassigned;
        if !taken || !cell.is_entry(offset) {
            cell.start = start;
            cell.kind = kind;
        }
        free &= !taken;
        offset = offset.saturating_add(1);
    }
    free
}

/// Takes `length` bytes of a hidden capability that starts at `start` out of sight. What belongs to
/// another capability already stays.
pub(super) fn hide(cells: &mut [Cell], start: u16, length: u16) {
    let targets = cells.iter_mut().skip(usize::from(start));
    for cell in targets.take(usize::from(length)) {
        if cell.kind == Kind::Unassigned {
            *cell = Cell {
                start,
                kind: Kind::Hidden,
                shadow: 0,
            };
        }
    }
}
