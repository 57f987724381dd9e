// SPDX-License-Identifier: GPL-2.0

//! The OpRegion of Intel graphics: memory by which firmware and driver talk.
//!
//! The video BIOS table (VBT) in it has 6 KiB of room. A longer one is elsewhere since version 2.0;
//! the OpRegion then says where: by a physical address in version 2.0, by the distance from the
//! OpRegion since 2.1. Neither means anything to the user, so what the user sees is one piece: the
//! OpRegion, and right behind it the VBT, as version 2.1 allows.

use kernel::prelude::*;

/// Length of an OpRegion.
pub(crate) const SIZE: usize = 0x2000;

/// What an OpRegion starts with.
const SIGNATURE: &[u8; 16] = b"IntelGraphicsMem";
/// Length in KiB.
const LENGTH: usize = 0x10;
/// Version, a word: minor and major.
const VERSION: usize = 0x16;
/// RVDA: where the extended VBT is.
const VBT_ADDRESS: usize = 0x3ba;
/// RVDS: length of the extended VBT.
const VBT_LENGTH: usize = 0x3c2;

/// The version that introduced the extended VBT, at an absolute address.
const VERSION_2_0: u16 = 0x0200;
/// The version that made its address relative.
const VERSION_2_1: u16 = 0x0201;

/// A VBT holds its own length in 16 bits, so this is plenty.
const LONGEST_VBT: u32 = 1 << 20;

/// Memory that may change at any time.
pub(crate) trait Memory {
    /// Copies the bytes from `offset` on; those behind the end are zero.
    fn copy(&self, offset: usize, target: &mut [u8]);
}

fn word(memory: &impl Memory, offset: usize) -> u16 {
    let mut bytes = [0; 2];
    memory.copy(offset, &mut bytes);

    u16::from_le_bytes(bytes)
}

fn dword(memory: &impl Memory, offset: usize) -> u32 {
    let mut bytes = [0; 4];
    memory.copy(offset, &mut bytes);

    u32::from_le_bytes(bytes)
}

fn qword(memory: &impl Memory, offset: usize) -> u64 {
    let mut bytes = [0; 8];
    memory.copy(offset, &mut bytes);

    u64::from_le_bytes(bytes)
}

/// A VBT outside of the OpRegion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExtendedVbt {
    /// Physical address.
    pub(crate) address: u64,
    /// Length in bytes, not zero.
    pub(crate) len: usize,
}

/// What is peculiar about an OpRegion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// It claims another length than OpRegions have, in KiB.
    Length(u32),
    /// It claims a VBT of impossible length, or at an impossible address.
    Vbt(u32),
}

/// What the header of an OpRegion says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    version: u16,
    /// The VBT, if it is not in the OpRegion itself.
    pub(crate) vbt: Option<ExtendedVbt>,
    /// To be logged.
    pub(crate) oddity: Option<Oddity>,
}

impl Header {
    /// Examines an OpRegion, which is at a physical address.
    ///
    /// # Errors
    ///
    /// EINVAL if it is none.
    pub(crate) fn parse(memory: &impl Memory, address: u64) -> Result<Self> {
        let mut signature = [0; SIGNATURE.len()];
        memory.copy(0, &mut signature);
        let length = dword(memory, LENGTH);
        if signature != *SIGNATURE || length == 0 {
            return Err(EINVAL);
        }

        let version = word(memory, VERSION);
        let mut header = Self {
            version,
            vbt: None,
            oddity: None,
        };
        // CAST: Widens.
        if length as usize != SIZE / 1024 {
            header.oddity = Some(Oddity::Length(length));
        }
        if version >= VERSION_2_0 {
            header.locate_vbt(
                address,
                qword(memory, VBT_ADDRESS),
                dword(memory, VBT_LENGTH),
            );
        }

        Ok(header)
    }

    /// Finds the extended VBT of the OpRegion at `base`; there is one if neither is zero.
    fn locate_vbt(&mut self, base: u64, address: u64, length: u32) {
        if address == 0 || length == 0 {
            return;
        }
        let start = match self.version {
            VERSION_2_0 => Some(address),
            _ => base.checked_add(address),
        };
        let end = start.and_then(|start| start.checked_add(u64::from(length)));

        match (start, end) {
            (Some(address), Some(_)) if length <= LONGEST_VBT => {
                // CAST: Widens.
                let len = length as usize;
                self.vbt = Some(ExtendedVbt { address, len });
            }
            _ => self.oddity = Some(Oddity::Vbt(length)),
        }
    }
}

/// The OpRegion and the extended VBT, as the user sees them.
pub(crate) struct OpRegion<M> {
    header: Header,
    memory: M,
    vbt: Option<M>,
}

impl<M: Memory> OpRegion<M> {
    /// Puts both together. `vbt` is that of the header.
    pub(crate) fn new(header: Header, memory: M, vbt: Option<M>) -> Self {
        Self {
            header,
            memory,
            vbt,
        }
    }

    /// Length in bytes.
    pub(crate) fn size(&self) -> usize {
        let vbt = self.header.vbt.map_or(0, |vbt| vbt.len);

        SIZE.saturating_add(vbt)
    }

    /// Copies the bytes from `offset` on.
    pub(crate) fn copy(&self, offset: usize, target: &mut [u8]) {
        let inside = SIZE.saturating_sub(offset).min(target.len());
        let (inside, behind) = target.split_at_mut(inside);
        self.memory.copy(offset, inside);
        overlay(inside, offset, VERSION, &self.version().to_le_bytes());
        overlay(
            inside,
            offset,
            VBT_ADDRESS,
            &self.vbt_address().to_le_bytes(),
        );
        if let Some(vbt) = &self.vbt {
            let offset = offset.saturating_add(inside.len());
            vbt.copy(offset.saturating_sub(SIZE), behind);
        }
    }

    /// The first version for which the VBT is where it is now.
    fn version(&self) -> u16 {
        match self.header {
            Header {
                version: VERSION_2_0,
                vbt: Some(_),
                ..
            } => VERSION_2_1,
            Header { version, .. } => version,
        }
    }

    /// Distance of the VBT from the OpRegion; zero if it is inside.
    fn vbt_address(&self) -> u64 {
        // CAST: Widens.
        self.header.vbt.map_or(0, |_| SIZE as u64)
    }
}

/// Replaces the part of a `field` at `position` that is among the bytes from `offset` on.
fn overlay(bytes: &mut [u8], offset: usize, position: usize, field: &[u8]) {
    for (index, value) in field.iter().enumerate() {
        let target = position
            .checked_add(index)
            .and_then(|position| position.checked_sub(offset))
            .and_then(|position| bytes.get_mut(position));
        if let Some(byte) = target {
            *byte = *value;
        }
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_opregion)]
mod tests {
    use super::*;

    const BASE: u64 = 0x7800_0000;

    /// Memory in which each byte is its offset, plus `first`, but for some fields.
    struct Fake<'a> {
        first: u8,
        fields: &'a [(usize, &'a [u8])],
    }

    impl Memory for Fake<'_> {
        fn copy(&self, offset: usize, target: &mut [u8]) {
            for (index, byte) in target.iter_mut().enumerate() {
                // CAST: The low byte is wanted.
                *byte = self.first.wrapping_add((offset + index) as u8);
            }
            for (position, field) in self.fields {
                overlay(target, offset, *position, field);
            }
        }
    }

    const EIGHT: &[u8] = &[8, 0, 0, 0];

    /// An OpRegion of this version, with these values of RVDA and RVDS.
    fn parse(version: u16, address: u64, length: u32) -> Result<Header> {
        let fields: [(usize, &[u8]); 5] = [
            (0, SIGNATURE),
            (LENGTH, EIGHT),
            (VERSION, &version.to_le_bytes()),
            (VBT_ADDRESS, &address.to_le_bytes()),
            (VBT_LENGTH, &length.to_le_bytes()),
        ];

        Header::parse(
            &Fake {
                first: 0,
                fields: &fields,
            },
            BASE,
        )
    }

    fn vbt(version: u16, address: u64, length: u32) -> Option<(u64, usize)> {
        let vbt = parse(version, address, length).ok()?.vbt?;

        Some((vbt.address, vbt.len))
    }

    /// PARITY: 7-13, 12-29. A relative address, an absolute one, and none.
    #[test]
    fn the_version_says_where_the_vbt_is() {
        let far = 0x1_2345_6000;

        assert_eq!(vbt(0x0201, 0x2000, 0x1800), Some((BASE + 0x2000, 0x1800)));
        assert_eq!(vbt(0x0300, 0x9000, 7), Some((BASE + 0x9000, 7)));
        assert_eq!(vbt(0x0200, far, 0x1800), Some((far, 0x1800)));
        assert_eq!(vbt(0x0201, far, 0x1800), Some((BASE + far, 0x1800)));
        assert_eq!(vbt(0x0100, 0x2000, 0x1800), None);
        assert_eq!(vbt(0x0201, 0, 0x1800), None);
        assert_eq!(vbt(0x0201, 0x2000, 0), None);
    }

    /// PARITY: 10-16.
    #[test]
    fn what_is_no_opregion_is_refused() {
        let fields: [(usize, &[u8]); 2] = [(0, b"IntelGraphicsMen"), (LENGTH, EIGHT)];
        let wrong = Fake {
            first: 0,
            fields: &fields,
        };
        let fields: [(usize, &[u8]); 2] = [(0, SIGNATURE), (LENGTH, &[0; 4])];
        let empty = Fake {
            first: 0,
            fields: &fields,
        };

        assert_eq!(Header::parse(&wrong, BASE), Err(EINVAL));
        assert_eq!(Header::parse(&empty, BASE), Err(EINVAL));
    }

    /// PARITY: 12-29.
    #[test]
    fn impossible_lengths_are_not_believed() {
        for (version, address, length) in [
            (0x0201, 0x2000, LONGEST_VBT + 1),
            (0x0200, 0x2000, u32::MAX),
            (0x0200, u64::MAX, 2),
            (0x0201, u64::MAX - BASE, 2),
            (0x0201, u64::MAX, 2),
        ] {
            let header = parse(version, address, length);
            let oddity = header.map(|header| (header.vbt, header.oddity));

            assert_eq!(oddity, Ok((None, Some(Oddity::Vbt(length)))));
        }
    }

    /// PARITY: 12-29. The region has the length of an OpRegion whatever this one claims.
    #[test]
    fn the_length_of_an_opregion_is_known() -> Result {
        let fields: [(usize, &[u8]); 3] =
            [(0, SIGNATURE), (LENGTH, &[0xff; 4]), (VERSION, &[0, 1])];
        let memory = Fake {
            first: 0,
            fields: &fields,
        };
        let header = Header::parse(&memory, BASE)?;

        assert_eq!(header.oddity, Some(Oddity::Length(u32::MAX)));
        assert_eq!(OpRegion::new(header, memory, None).size(), SIZE);

        Ok(())
    }

    /// An OpRegion of version 2.0 with a VBT of 16 bytes that start with 0x80.
    fn stitched() -> OpRegion<Fake<'static>> {
        let header = Header {
            version: VERSION_2_0,
            vbt: Some(ExtendedVbt {
                address: 0x1000,
                len: 16,
            }),
            oddity: None,
        };
        let memory = |first| Fake { first, fields: &[] };

        OpRegion::new(header, memory(0), Some(memory(0x80)))
    }

    /// PARITY: 7-13.
    #[test]
    fn the_vbt_follows_the_opregion() {
        let region = stitched();
        let mut bytes = [0; 8];

        assert_eq!(region.size(), SIZE + 16);
        region.copy(SIZE - 4, &mut bytes);
        assert_eq!(bytes, [0xfc, 0xfd, 0xfe, 0xff, 0x80, 0x81, 0x82, 0x83]);
        region.copy(SIZE + 8, &mut bytes);
        assert_eq!(bytes, [0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f]);
    }

    /// PARITY: 7-13. However the fields that change are read, in one piece or in two.
    #[test]
    fn the_header_tells_what_the_user_sees() {
        let region = stitched();
        let mut bytes = [0; 4];
        let mut byte = [0];

        region.copy(VERSION - 1, &mut bytes);
        assert_eq!(bytes, [0x15, 0x01, 0x02, 0x18]);
        region.copy(VERSION + 1, &mut byte);
        assert_eq!(byte, [0x02]);
        region.copy(VBT_ADDRESS - 2, &mut bytes);
        assert_eq!(bytes, [0xb8, 0xb9, 0x00, 0x20]);
        region.copy(VBT_ADDRESS + 6, &mut bytes);
        assert_eq!(bytes, [0x00, 0x00, 0xc2, 0xc3]);
    }

    /// PARITY: 7-13. Without an extended VBT, the version is that of the firmware.
    #[test]
    fn an_opregion_alone_keeps_its_version() {
        let header = Header {
            version: VERSION_2_0,
            vbt: None,
            oddity: None,
        };
        let memory = Fake {
            first: 0,
            fields: &[],
        };
        let region = OpRegion::new(header, memory, None);
        let mut bytes = [0xff; 2];

        region.copy(VERSION, &mut bytes);
        assert_eq!(bytes, [0x00, 0x02]);
        region.copy(VBT_ADDRESS, &mut bytes);
        assert_eq!(bytes, [0, 0]);
        assert_eq!(region.size(), SIZE);
    }
}
