// SPDX-License-Identifier: GPL-2.0

//! Legacy VGA addresses: a region that VGA devices have.
//!
//! A BIOS and generic drivers know a VGA device only by addresses that all VGA devices share.
//! The region has them at their own offsets; the arbiter of the kernel sees to it that they reach
//! this device while they are accessed. The rest of the region cannot be accessed, and nothing of
//! it can be mapped.

use crate::{
    abstractions::{
        io::mem::Width,
        pci::{
            vga::{
                LegacyAddresses,
                LegacyRange, //
            },
            Function, //
        }, //
    },
    transfer::Registers, //
};
use kernel::{
    prelude::*,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};

/// Length of the region: it ends with the memory.
pub(crate) const REGION_SIZE: u64 = LegacyAddresses::Memory.range().end as u64;

/// Can this driver give users legacy addresses at all?
pub(crate) const IS_SUPPORTED: bool = cfg!(CONFIG_VFIO_RUST_PCI_VGA);

/// Does the user of a device get its legacy addresses, unless they are `disabled`?
pub(crate) fn has_region(function: &Function, disabled: bool) -> bool {
    IS_SUPPORTED && !disabled && function.is_vga()
}

/// A transfer to or from legacy addresses.
#[derive(Debug, PartialEq, Eq)]
struct Transfer {
    addresses: LegacyAddresses,
    /// Offset of the first byte within the addresses.
    offset: usize,
    count: usize,
}

impl Transfer {
    /// The part of a transfer of `count` bytes that stays within the addresses it starts in.
    ///
    /// # Errors
    ///
    /// EINVAL if it starts in none.
    fn new(position: u64, count: usize) -> Result<Self> {
        let position = usize::try_from(position)?;
        let addresses = LegacyAddresses::ALL
            .into_iter()
            .find(|addresses| addresses.range().contains(&position))
            .ok_or(EINVAL)?;
        let range = addresses.range();

        Ok(Self {
            offset: position.saturating_sub(range.start),
            count: count.min(range.end.saturating_sub(position)),
            addresses,
        })
    }

    /// Routes the addresses to a device, for as long as the result exists.
    fn route(&self, function: &Function) -> Result<LegacyRange> {
        LegacyRange::new(function, self.addresses)
    }
}

/// Devices answer on these addresses whatever their BARs are set to, so it does not matter
/// whether memory is enabled; the arbiter enables it anyway.
fn registers(range: &LegacyRange) -> Registers<'_> {
    Registers {
        io: range.registers(),
        memory: None,
        hidden: 0..0,
        widest: Width::Dword,
    }
}

/// Reads legacy addresses for the user.
///
/// # Errors
///
/// EINVAL for other addresses, ENOMEM, ERESTARTSYS for a signal while another device has them,
/// ENODEV if the arbiter does not know the device, EFAULT.
pub(crate) fn read(
    function: &Function,
    position: u64,
    buffer: &mut UserSliceWriter,
) -> Result<usize> {
    let transfer = Transfer::new(position, buffer.len())?;
    let range = transfer.route(function)?;

    registers(&range).read(transfer.offset, transfer.count, buffer)
}

/// Writes legacy addresses for the user.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn write(
    function: &Function,
    position: u64,
    buffer: &mut UserSliceReader,
) -> Result<usize> {
    let transfer = Transfer::new(position, buffer.len())?;
    let range = transfer.route(function)?;

    registers(&range).write(transfer.offset, transfer.count, buffer)
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_vga)]
mod tests {
    use super::*;

    fn part(position: u64, count: usize) -> Option<(usize, usize)> {
        let transfer = Transfer::new(position, count).ok()?;

        Some((transfer.offset, transfer.count))
    }

    /// PARITY: 7-12.
    #[test]
    fn a_transfer_stays_within_its_addresses() {
        assert_eq!(part(0xa0000, 8), Some((0, 8)));
        assert_eq!(part(0xbffff, 8), Some((0x1ffff, 1)));
        assert_eq!(part(0x3b0, 64), Some((0, 12)));
        assert_eq!(part(0x3c0, 64), Some((0, 32)));
        assert_eq!(part(0x3df, 4), Some((31, 1)));
    }

    /// PARITY: 7-12.
    #[test]
    fn other_addresses_are_refused() {
        for position in [0, 0x3af, 0x3bc, 0x3bf, 0x3e0, 0x9ffff, 0xc0000, u64::MAX] {
            assert_eq!(part(position, 1), None);
        }
    }
}
