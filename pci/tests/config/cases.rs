// SPDX-License-Identifier: GPL-2.0

//! Test cases, which run as KUnit in the kernel and by `cargo test` on the host.
//!
//! Each returns what was wrong. They need little stack and no memory of the heap. The rows that
//! they name are those of the parity inventory.

pub(crate) mod capabilities;
pub(crate) mod header;
pub(crate) mod lists;

use super::{
    fake::{
        open,
        Failure,
        Fake,
        FACTS, //
    },
    Cell,
    Kind,
    MemoryEffect,
    Permission, //
};

/// What a case ends with.
pub(crate) type Outcome = Result<(), &'static str>;

/// Hands the names of all cases, by the modules that they are in, to the macro `$with`, which makes
/// tests of them.
macro_rules! for_each_case {
    ($with:ident) => {
        $with! {
            cases {
                permissions chunks memory_effects
            }
            header {
                virtual_function command missed_reset bar_sizing header_fields
            }
            capabilities {
                power_management vital_product_data msi express advanced_features
                plain_capabilities write_one_to_clear emulated_dword
            }
            lists {
                hidden hidden_lengths hidden_extended_lengths hostile_hidden_lengths
                hidden_overlap hostile_lists extended_list hostile_extended_list lengths
                extended_lengths overlap cut_short reserved_link_bits odd_sizes
            }
        }
    };
}
pub(crate) use for_each_case;

impl From<Failure> for &'static str {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Wanted => "an access failed",
            Failure::Stray => "an access was outside of config space or not aligned",
        }
    }
}

fn check(ok: bool, what: &'static str) -> Outcome {
    if ok {
        Ok(())
    } else {
        Err(what)
    }
}

/// Status Register with a capability list, as a dword together with the Command Register.
const STATUS_LIST: u32 = 0x0010_0000;

/// Fresh cells.
const fn cells<const N: usize>() -> [Cell; N] {
    [Cell::UNASSIGNED; N]
}

/// A function with a PCI Express capability and these registers of extended space.
fn express_with(registers: &[(u16, u32)]) -> Fake<0x200> {
    let mut fake = Fake::new(registers);
    fake.set_dword(0x04, STATUS_LIST);
    fake.set_dword(0x34, 0x40);
    fake.set_dword(0x40, 0x0002_0010);
    fake
}

/// Rows of the permission tables, spelled out a second time.
///
/// PARITY: 7-23 to 7-66, 12-3.
pub(crate) fn permissions() -> Outcome {
    const RO: Permission = Permission::READ_ONLY;
    const RAW: Permission = Permission::RAW;
    const VIRTUAL: Permission = Permission::VIRTUAL;
    const SHOWN: Permission = Permission::SHOWN;
    let mixed = |virt, write, clear| Permission { virt, write, clear };
    let rows = [
        (Kind::Header, 0x00, SHOWN),
        (Kind::Header, 0x03, SHOWN),
        (Kind::Header, 0x04, RAW),
        (Kind::Header, 0x05, mixed(0x04, 0xff, 0)),
        (Kind::Header, 0x06, mixed(0x10, 0, 0xff)),
        (Kind::Header, 0x07, mixed(0, 0, 0xff)),
        (Kind::Header, 0x08, RO),
        (Kind::Header, 0x0c, RAW),
        (Kind::Header, 0x0e, RO),
        (Kind::Header, 0x10, VIRTUAL),
        (Kind::Header, 0x27, VIRTUAL),
        (Kind::Header, 0x28, RO),
        (Kind::Header, 0x2c, RO),
        (Kind::Header, 0x30, VIRTUAL),
        (Kind::Header, 0x34, SHOWN),
        (Kind::Header, 0x35, RO),
        (Kind::Header, 0x3c, VIRTUAL),
        (Kind::Header, 0x3d, SHOWN),
        (Kind::Header, 0x3e, RO),
        (Kind::PowerManagement, 3, mixed(0xf8, 0, 0)),
        (Kind::PowerManagement, 4, mixed(0, 0xfc, 0)),
        (Kind::PowerManagement, 5, mixed(0x81, 0x7e, 0x80)),
        (Kind::PowerManagement, 7, RAW),
        (Kind::PciX, 2, RAW),
        (Kind::PciX, 4, RO),
        (Kind::PciX, 8, RAW),
        (Kind::Express, 8, mixed(0xe0, 0xff, 0)),
        (Kind::Express, 9, mixed(0xf0, 0xfd, 0)),
        (Kind::Express, 10, mixed(0, 0, 0xff)),
        (Kind::Express, 0x10, RO),
        (Kind::Express, 0x28, mixed(0, 0xdf, 0)),
        (Kind::ReadOnly, 1, SHOWN),
        (Kind::ReadOnly, 2, RO),
        (Kind::Vendor, 1, SHOWN),
        (Kind::Vendor, 2, RAW),
        (Kind::ErrorReporting, 3, SHOWN),
        (Kind::ErrorReporting, 4, mixed(0, 0x31, 0xff)),
        (Kind::ErrorReporting, 0x15, mixed(0, 0xf1, 0)),
        (Kind::ErrorReporting, 0x18, mixed(0, 0x40, 0)),
        (Kind::ErrorReporting, 0x1c, RO),
        (Kind::PowerBudgeting, 4, RAW),
        (Kind::PowerBudgeting, 8, RO),
        (Kind::ExtendedVendor, 4, RAW),
        (Kind::Unassigned, 0, RAW),
        (Kind::Hidden, 0, SHOWN),
        (Kind::Virtual, 0, VIRTUAL),
    ];
    let wrong = rows
        .iter()
        .find(|(kind, offset, permission)| kind.layout().permission(*offset) != *permission);
    check(wrong.is_none(), "a row of a table is wrong")
}

/// Accesses are cut at dwords and capabilities; what is out of range fails as a whole.
///
/// PARITY: 7-11, 7-15.
pub(crate) fn chunks() -> Outcome {
    // An AF capability of six bytes at 0x40, raw bytes behind it.
    let fake = Fake::<0x100>::new(&[(4, STATUS_LIST), (0x34, 0x40), (0x40, 0x0306_0013)]);
    let mut buffer = cells::<0x100>();
    let space = open(&mut buffer, &fake, FACTS)?;
    let rows = [
        (0x00, 4, Some(4)),
        (0x00, 256, Some(4)),
        (0x01, 4, Some(1)),
        (0x02, 4, Some(2)),
        (0x03, 2, Some(1)),
        (0x3c, 8, Some(4)),
        (0x40, 6, Some(4)),
        (0x44, 4, Some(2)),
        (0x46, 4, Some(2)),
        (0xfc, 4, Some(4)),
        (0xfc, 5, None),
        (0x00, 257, None),
        (0x100, 1, None),
        (u64::MAX, 1, None),
        (0x00, 0, None),
        (0x00, usize::MAX, None),
    ];
    let wrong = rows.iter().find(|(offset, count, bytes)| {
        let chunk = space.chunk(*offset, *count);
        chunk.map(|chunk| chunk.width().bytes()) != *bytes
    });
    check(wrong.is_none(), "an access is cut wrongly")
}

/// Only some writes of the header and of Power Management have to do with device memory.
///
/// PARITY: 7-25, 7-47.
pub(crate) fn memory_effects() -> Outcome {
    const D3: u32 = 3;
    // Power Management at 0x40, raw bytes behind it.
    let fake = Fake::<0x100>::new(&[(4, STATUS_LIST), (0x34, 0x40), (0x40, 0x0003_0001)]);
    let mut buffer = cells::<0x100>();
    let space = open(&mut buffer, &fake, FACTS)?;
    let rows = [
        (0x04, 1, 0, MemoryEffect::Revoke),
        (0x04, 2, 0xfffd, MemoryEffect::Revoke),
        (0x04, 2, 2, MemoryEffect::Change),
        (0x04, 4, 2, MemoryEffect::Change),
        (0x05, 1, 0, MemoryEffect::Change),
        (0x06, 2, 0, MemoryEffect::None),
        (0x00, 4, 0, MemoryEffect::None),
        (0x10, 4, 0, MemoryEffect::None),
        (0x44, 1, 0, MemoryEffect::Change),
        (0x44, 2, 2, MemoryEffect::Change),
        (0x44, 2, D3, MemoryEffect::Revoke),
        (0x44, 4, D3, MemoryEffect::Revoke),
        (0x45, 1, D3, MemoryEffect::None),
        (0x42, 2, D3, MemoryEffect::None),
        (0x48, 4, D3, MemoryEffect::None),
    ];
    let wrong = rows.iter().find(|(offset, count, value, effect)| {
        let chunk = space.chunk(*offset, *count);
        chunk.map(|chunk| space.memory_effect(chunk, *value)) != Some(*effect)
    });
    check(wrong.is_none(), "an effect is wrong")
}
