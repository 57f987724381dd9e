// SPDX-License-Identifier: GPL-2.0

//! What holds of config space for any device and any user.

use crate::pci::{
    config::{
        BarKind,
        Cell,
        Facts,
        Kind,
        Msi,
        Rom,
        Width,
        EXTENDED_SIZE, //
    },
    tests::config::fake::{
        get,
        open,
        put,
        Fake,
        TestSpace,
        FACTS, //
    }, //
};

use proptest::{
    collection::vec,
    prelude::*, //
};
use std::{
    boxed::Box,
    vec::Vec, //
};

const SIZE: usize = EXTENDED_SIZE as usize;

/// A function with noise in its config space, and lists of capabilities in the noise.
#[derive(Clone, Debug)]
struct Device {
    seed: u64,
    size: usize,
    /// Offset in dwords, ID, and offset in dwords of the next.
    conventional: Vec<(u8, u8, u8)>,
    extended: Vec<(u16, u16, u16)>,
}

fn device() -> impl Strategy<Value = Device> {
    let size = prop_oneof![
        4 => Just(SIZE),
        2 => Just(256usize),
        1 => Just(0xa0usize),
        1 => Just(0x600usize),
        1 => 0..=SIZE,
    ];
    let conventional = vec((0x0f..0x40u8, 0..0x16u8, 0x0f..0x40u8), 0..12);
    let extended = vec((0x40..0x400u16, 0..0x33u16, 0x40..0x400u16), 0..24);
    (any::<u64>(), size, conventional, extended).prop_map(|(seed, size, conventional, extended)| {
        Device {
            seed,
            size,
            conventional,
            extended,
        }
    })
}

/// A function with all of conventional config space, in whole dwords.
fn whole_device() -> impl Strategy<Value = Device> {
    device().prop_map(|device| Device {
        size: device.size.max(0x100) & !3,
        ..device
    })
}

impl Device {
    /// The registers: noise, sparse in one device of two; then the lists, each linked in order
    /// for its even entries, and anyhow for the odd ones.
    fn fake(&self) -> Box<Fake<SIZE>> {
        let mut state = self.seed | 1;
        let mut bytes = [0u8; SIZE];
        for byte in &mut bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = if self.seed & 2 == 0 || state & 0x700 == 0 {
                (state >> 32) as u8
            } else {
                0
            };
        }
        bytes[6] |= 0x10;
        if let Some((first, ..)) = self.conventional.first() {
            bytes[0x34] = first << 2;
        }
        for (i, (offset, id, next)) in self.conventional.iter().enumerate() {
            let at = usize::from(*offset) << 2;
            let linked = self.conventional.get(i + 1).map_or(0, |entry| entry.0);
            bytes[at] = *id;
            bytes[at + 1] = if i % 2 == 0 { linked } else { *next } << 2;
        }
        for (i, (offset, id, next)) in self.extended.iter().enumerate() {
            let at = if i == 0 { 0x40 } else { usize::from(*offset) } << 2;
            let linked = self.extended.get(i + 1).map_or(0, |entry| entry.0);
            let next = u32::from(if i % 2 == 0 { linked } else { *next });
            let header = u32::from(*id) | 1 << 16 | next << 22;
            bytes[at..at + 4].copy_from_slice(&header.to_le_bytes());
        }
        let mut fake = Box::new(Fake::from_bytes(bytes));
        fake.size = self.size;
        fake
    }

    fn cells(&self) -> Vec<Cell> {
        std::vec![Cell::UNASSIGNED; self.size]
    }
}

fn facts() -> impl Strategy<Value = Facts> {
    let bar = prop_oneof![
        Just(None),
        any::<u64>().prop_map(|size| Some(BarKind::Io { size })),
        (any::<u64>(), any::<bool>(), any::<bool>()).prop_map(|(size, wide, prefetchable)| {
            Some(BarKind::Memory {
                size,
                wide,
                prefetchable,
            })
        }),
    ];
    let rom = prop_oneof![
        Just(Rom::Absent),
        any::<u64>().prop_map(|size| Rom::Resource { size }),
        any::<u64>().prop_map(|length| Rom::Shadow { length }),
    ];
    let bars = proptest::array::uniform6(bar);
    (any::<[bool; 4]>(), bars, rom).prop_map(|(flags, bars, rom)| Facts {
        is_virtfn: flags[0],
        no_command_memory: flags[1],
        intx_usable: flags[2],
        no_intx: flags[3],
        bars,
        rom,
        ..FACTS
    })
}

/// An access of a user, and what the host is like at that time.
#[derive(Clone, Debug)]
struct Access {
    offset: u64,
    count: usize,
    value: Option<u32>,
    budget: u32,
    msi: Msi,
}

fn access() -> impl Strategy<Value = Access> {
    let offset = prop_oneof![
        4 => 0..0x100u64,
        4 => 0x100..0x1000u64,
        1 => 0xff0..0x1010u64,
        1 => any::<u64>(),
    ];
    let count = prop_oneof![4 => 1..=4usize, 2 => 0..=300usize, 1 => any::<usize>()];
    let value = prop_oneof![
        Just(None),
        any::<u32>().prop_map(Some),
        Just(Some(u32::MAX)),
        Just(Some(0)),
    ];
    let budget = prop_oneof![4 => Just(u32::MAX), 1 => 0..4u32];
    let msi = (any::<bool>(), any::<u8>()).prop_map(|(active, log2_vectors)| Msi {
        active,
        log2_vectors,
    });
    (offset, count, value, budget, msi).prop_map(|(offset, count, value, budget, msi)| Access {
        offset,
        count,
        value,
        budget,
        msi,
    })
}

/// Does an access as far as it succeeds.
fn perform(space: &mut TestSpace<'_>, fake: &mut Fake<SIZE>, access: &Access) {
    fake.msi = access.msi;
    fake.vpd = access.value;
    fake.break_after(access.budget);
    let mut done = 0;
    while done < access.count {
        let offset = access.offset.saturating_add(done as u64);
        let Some(chunk) = space.chunk(offset, access.count - done) else {
            break;
        };
        let result = match access.value {
            Some(value) => space.write(fake, chunk, value),
            None => space.read(fake, chunk).map(|_| ()),
        };
        if result.is_err() {
            break;
        }
        done += usize::from(chunk.width().bytes());
    }
    fake.budget = u32::MAX;
}

/// Kinds whose writes change nothing but the bits that are written.
fn is_plain(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Header
            | Kind::Msi(_)
            | Kind::Express
            | Kind::AdvancedFeatures
            | Kind::VitalProductData
    )
}

proptest! {
    /// Whatever the device, whatever the user: no panic, nothing touched outside of the space.
    #[test]
    #[cfg_attr(miri, ignore)]
    fn nothing_strays(device in device(), facts in facts(), accesses in vec(access(), 1..40)) {
        let mut fake = device.fake();
        let mut cells = device.cells();
        let mut space = open(&mut cells, &fake, facts).unwrap();
        for access in &accesses {
            perform(&mut space, &mut fake, access);
        }
        prop_assert!(!fake.stray.get());
    }

    /// An examination that fails at any access says so, and strays as little.
    #[test]
    #[cfg_attr(miri, ignore)]
    fn examination_may_fail(device in device(), budget in 0..64u32) {
        let mut fake = device.fake();
        fake.break_after(budget);
        let mut cells = device.cells();
        let result = open(&mut cells, &fake, FACTS);
        prop_assert_eq!(result.is_err(), fake.accesses.get() > budget);
        drop(result);
        prop_assert!(!fake.stray.get());
    }

    /// Chunks cover an access without gaps, naturally aligned, and within one dword.
    #[test]
    #[cfg_attr(miri, ignore)]
    fn chunks_cover(device in device(), offset in 0..0x1010u64, count in 1..600usize) {
        let fake = device.fake();
        let mut cells = device.cells();
        let space = open(&mut cells, &fake, FACTS).unwrap();
        let used = if device.size < 0x40 { 0 } else { device.size & !3 };
        let fits = offset as usize + count <= used;
        prop_assert_eq!(space.chunk(offset, count).is_some(), fits);
        let mut done = 0;
        while fits && done < count {
            let chunk = space.chunk(offset + done as u64, count - done).unwrap();
            let bytes = chunk.width().bytes();
            prop_assert_eq!(u64::from(chunk.offset()), offset + done as u64);
            prop_assert_eq!(chunk.offset() % bytes, 0);
            done += usize::from(bytes);
            prop_assert!(done <= count);
        }
    }

    /// The lists that the user sees end, and have nothing on them that is to be hidden.
    #[test]
    #[cfg_attr(miri, ignore)]
    fn lists_end(device in whole_device(), accesses in vec(access(), 0..20)) {
        const VISIBLE: [u32; 12] = [1, 2, 3, 5, 7, 8, 9, 0x10, 0x11, 0x12, 0x13, 0x13];
        const EXTENDED: [u32; 21] = [
            0, 1, 2, 3, 4, 8, 9, 0xb, 0xd, 0xe, 0xf, 0x10, 0x12, 0x13, 0x15, 0x16, 0x17, 0x18,
            0x23, 0x23, 0x23,
        ];
        let fake = device.fake();
        let mut cells = device.cells();
        let mut space = open(&mut cells, &fake, FACTS).unwrap();
        // Nothing that a user writes has an influence, if the hardware does not change its IDs.
        let mut other = device.fake();
        for access in &accesses {
            perform(&mut space, &mut other, access);
        }

        let mut steps = 0;
        let mut offset = get(&space, &fake, 0x34, 1).unwrap() as u16;
        while offset != 0 {
            prop_assert!(offset >= 0x40 && offset % 4 == 0 && steps < 48);
            let entry = get(&space, &fake, offset, 2).unwrap();
            prop_assert!(VISIBLE.contains(&(entry & 0xff)));
            offset = (entry >> 8) as u16;
            steps += 1;
        }
        let any = get(&space, &fake, 0x06, 2).unwrap() & 0x10 != 0;
        prop_assert_eq!(any, steps != 0);

        // Without a capability that has extended space, it is passed through unchanged.
        let chunk = space.chunk(0x100, 4);
        let header = fake.dword(0x100);
        if chunk.is_none() || get(&space, &fake, 0x100, 4).unwrap() == header {
            return Ok(());
        }
        let mut steps = 0;
        let mut offset = 0x100;
        while offset != 0 {
            prop_assert!(offset >= 0x100 && offset % 4 == 0 && steps < 960);
            let header = get(&space, &fake, offset, 4).unwrap();
            prop_assert!(EXTENDED.contains(&(header & 0xffff)));
            prop_assert!(header & 0xffff != 0 || steps == 0);
            offset = (header >> 20) as u16;
            steps += 1;
        }
    }

    /// What is read after a write follows from the permission table, and nothing else changes.
    #[test]
    #[cfg_attr(miri, ignore)]
    fn writes_follow_the_tables(device in device(), offset in 0x40..0x1000u16, value: u32) {
        let mut fake = device.fake();
        let mut cells = device.cells();
        let mut space = open(&mut cells, &fake, FACTS).unwrap();
        let Some(chunk) = space.chunk(u64::from(offset), 1).and_then(|_| {
            (1..=4).rev().find_map(|count| space.chunk(u64::from(offset), count))
        }) else {
            return Ok(());
        };
        let (kind, start) = space.owner(offset);
        prop_assume!(is_plain(kind));
        let (mut virt, mut write, mut clear) = (0, 0, 0);
        for byte in 0..chunk.width().bytes() {
            let permission = kind.layout().permission(offset + byte - start);
            let shift = 8 * u32::from(byte);
            virt |= u32::from(permission.virt) << shift;
            write |= u32::from(permission.write) << shift;
            clear |= u32::from(permission.clear) << shift;
        }
        let before: Vec<u32> = (0..0x400).map(|i| fake.dword(i * 4)).collect();
        let old = space.read(&*fake, chunk).unwrap();
        space.write(&mut *fake, chunk, value).unwrap();
        let new = space.read(&*fake, chunk).unwrap();

        let real = write & !virt;
        // This hardware has no bit that a one clears; a zero, which the hardware of those would
        // ignore, clears them here.
        let lost = if real != 0 { clear & !write } else { 0 };
        let mask = chunk.width().mask();
        let kept = old & !write & !(lost & !virt);
        prop_assert_eq!(new, (kept | (value & write)) & mask);
        let shift = u32::from(offset % 4) * 8;
        let touched = ((real | lost) & mask) << shift;
        for (i, before) in (0..0x400).zip(before) {
            let allowed = if i == offset / 4 { touched } else { 0 };
            prop_assert_eq!((fake.dword(i * 4) ^ before) & !allowed, 0);
        }
    }

    /// It makes no difference in how many pieces a BAR is written.
    #[test]
    fn bars_by_bytes(facts in facts(), bar in 0..6u16, value: u32, order: bool) {
        let mut fake = Fake::<0x40>::new(&[]);
        let offset = 0x10 + bar * 4;
        let mut whole = [Cell::UNASSIGNED; 0x40];
        let mut whole = open(&mut whole, &fake, facts).unwrap();
        put(&mut whole, &mut fake, offset, 4, value).unwrap();
        let mut parts = [Cell::UNASSIGNED; 0x40];
        let mut parts = open(&mut parts, &fake, facts).unwrap();
        for i in 0..4u16 {
            let byte = if order { i } else { 3 - i };
            let part = value >> (8 * u32::from(byte));
            put(&mut parts, &mut fake, offset + byte, 1, part).unwrap();
        }
        for offset in (0x10..0x28).step_by(4) {
            prop_assert_eq!(
                get(&whole, &fake, offset, 4).unwrap(),
                get(&parts, &fake, offset, 4).unwrap()
            );
        }
        prop_assert_eq!(fake.dword(offset), 0);
    }

    /// No access to the header clears an error in the Status Register.
    #[test]
    fn status_is_kept(offset in 0..0x40u16, count in 1..=4usize, value: u32, status: u16) {
        let mut fake = Fake::<0x40>::new(&[(4, u32::from(status) << 16)]);
        fake.clears = &[(6, 0xff), (7, 0xff)];
        let mut cells = [Cell::UNASSIGNED; 0x40];
        let mut space = open(&mut cells, &fake, FACTS).unwrap();
        let _ = put(&mut space, &mut fake, offset, count, value);
        prop_assert_eq!(fake.dword(4) >> 16, u32::from(status));
    }

    /// Interrupt Disable of the hardware is the host's; of the rest of the Command Register, what
    /// is not written stays as the host has it.
    #[test]
    fn command_is_shared(offset in 4..8u16, count in 1..=4usize, value: u32, command: u16) {
        let mut fake = Fake::<0x40>::new(&[(4, 0)]);
        let mut cells = [Cell::UNASSIGNED; 0x40];
        let mut space = open(&mut cells, &fake, FACTS).unwrap();
        fake.set_dword(4, u32::from(command));
        put(&mut space, &mut fake, offset, count, value).unwrap();
        let written = (u64::from(u32::MAX) >> (32 - 8 * count) << (8 * (offset - 4))) as u16 & !0x400;
        let value = (u64::from(value) << (8 * (offset - 4))) as u16;
        let expected = (command & !written) | (value & written);
        prop_assert_eq!(fake.dword(4), u32::from(expected));
    }

    /// The MSI of the hardware is never on, nor larger, unless that was set up by ioctl.
    #[test]
    fn msi_is_limited(accesses in vec((0x40..0x60u16, 1..=4usize, any::<u32>()), 1..20),
                      active: bool, log2_vectors in 0..6u8, flags in 0..0x200u32) {
        let control = flags & 0x18e;
        let registers = [(4, 0x10_0000), (0x34, 0x40), (0x40, control << 16 | 0x05)];
        let mut fake = Fake::<0x100>::new(&registers);
        fake.msi = Msi { active, log2_vectors };
        let mut cells = [Cell::UNASSIGNED; 0x100];
        let mut space = open(&mut cells, &fake, FACTS).unwrap();
        for (offset, count, value) in accesses {
            put(&mut space, &mut fake, offset, count, value).unwrap();
            for word in [fake.dword(0x40) >> 16, get(&space, &fake, 0x42, 2).unwrap()] {
                prop_assert_eq!(word & 0xff8e, control);
                prop_assert!(active || word & 1 == 0);
                prop_assert!((word & 0x70) >> 4 <= u32::from(log2_vectors));
            }
        }
    }
}

/// PARITY: 7-14.
#[test]
fn accesses_are_as_wide_as_they_can_be() {
    for (offset, left, width) in [
        (0, 4, Width::Dword),
        (0, 3, Width::Word),
        (0, 1, Width::Byte),
        (1, 8, Width::Byte),
        (2, 8, Width::Word),
        (3, 2, Width::Byte),
        (4, 64, Width::Dword),
        (0xffe, 2, Width::Word),
    ] {
        assert_eq!(Width::widest(offset, left), width);
    }
}
