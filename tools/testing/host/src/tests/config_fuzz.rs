// SPDX-License-Identifier: GPL-2.0

//! Config space of devices that are out to break it, and users who help.
//!
//! Each round makes a device of random bytes, opens it, and lets a random user at it. In every
//! other round the device answers every read with something new, so whatever is read twice is
//! different the second time. `VFIO_FUZZ_SEED` and `VFIO_FUZZ_ROUNDS` choose which rounds are done;
//! a round that fails says how to repeat it.

use crate::pci::config::{
    BarKind,
    Cell,
    CommandWrite,
    Effects,
    Facts,
    Hardware,
    Msi,
    PowerState,
    Rom,
    Space,
    Width,
    EXTENDED_SIZE, //
};

use core::cell::Cell as Slot;
use std::{
    env,
    eprintln,
    string::String,
    thread,
    vec::Vec, //
};

/// As many as make a second or two.
const ROUNDS: u64 = if cfg!(miri) { 2 } else { 2000 };

/// How much a user does to a device.
const ACCESSES: u64 = if cfg!(miri) { 20 } else { 200 };

/// Random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn flag(&mut self) -> bool {
        self.next() & 1 != 0
    }

    /// A number of any magnitude.
    fn number(&mut self) -> u64 {
        let shift = self.below(64);
        self.next() >> shift
    }
}

/// A device of random bytes.
struct Hostile {
    bytes: Vec<Slot<u8>>,
    /// What it answers with, if not with its bytes.
    noise: Option<Slot<u64>>,
    /// Whether an access was not within the space or not aligned.
    stray: Slot<bool>,
    msi: Msi,
}

impl Hostile {
    fn new(random: &mut Random) -> Self {
        let largest = if cfg!(miri) {
            0x180
        } else {
            u64::from(EXTENDED_SIZE)
        };
        let size = match random.below(4) {
            // No function has less than a header.
            0 => 0x40 + random.below(largest - 0x3f),
            1 => 0x100,
            _ => largest,
        };
        // Zeros end lists; few of them make long lists.
        let zeros = random.below(4);
        let bytes: Vec<_> = (0..size)
            .map(|_| {
                let byte = random.next() as u8;
                Slot::new(if random.below(4) < zeros { 0 } else { byte })
            })
            .collect();
        // Most devices have lists of capabilities.
        if let Some(status) = bytes.get(6).filter(|_| random.below(8) != 0) {
            status.set(status.get() | 0x10);
        }
        let noise = random.flag().then(|| Slot::new(random.next()));
        Self {
            bytes,
            noise,
            stray: Slot::new(false),
            msi: Msi {
                active: random.flag(),
                log2_vectors: random.next() as u8,
            },
        }
    }

    /// The registers of an access, if it is one that a PCI bus has.
    fn registers(&self, offset: u16, width: Width) -> Result<&[Slot<u8>], ()> {
        let start = usize::from(offset);
        let end = start + usize::from(width.bytes());
        if offset % width.bytes() != 0 || end > self.bytes.len() {
            self.stray.set(true);
            return Err(());
        }
        Ok(&self.bytes[start..end])
    }
}

impl Hardware for Hostile {
    type Error = ();

    fn read(&self, offset: u16, width: Width) -> Result<u32, ()> {
        let registers = self.registers(offset, width)?;
        if let Some(noise) = &self.noise {
            let mut random = Random(noise.get());
            let value = random.next();
            noise.set(random.0);
            if value >> 32 & 3 == 0 {
                return Ok(value as u32 & width.mask());
            }
        }
        let mut value = 0;
        for (i, byte) in registers.iter().enumerate() {
            value |= u32::from(byte.get()) << (8 * i);
        }
        Ok(value)
    }

    fn write(&self, offset: u16, width: Width, value: u32) -> Result<(), ()> {
        let registers = self.registers(offset, width)?;
        for (byte, value) in registers.iter().zip(value.to_le_bytes()) {
            byte.set(value);
        }
        Ok(())
    }
}

impl Effects for Hostile {
    type Error = ();
    type Hardware = Self;

    fn hardware(&self) -> &Self {
        self
    }

    fn write_command(&mut self, write: &CommandWrite) -> Result<(), ()> {
        self.write(0x04, Width::Word, u32::from(write.value & write.mask))
    }

    fn set_intx_disabled(&mut self, _disabled: bool) {}
    fn set_power_state(&mut self, _state: PowerState) {}
    fn reset_function(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
    fn set_read_request(&mut self, _bytes: u32) {}

    fn read_vpd(&mut self, address: u16) -> Option<u32> {
        (address & 4 == 0).then_some(u32::from(address))
    }

    fn write_vpd(&mut self, address: u16, _data: u32) -> bool {
        address & 4 == 0
    }

    fn msi(&self) -> Msi {
        self.msi
    }
}

fn facts(random: &mut Random) -> Facts {
    let bars = [(); 6].map(|()| {
        let size = random.number();
        match random.below(3) {
            0 => None,
            1 => Some(BarKind::Io { size }),
            _ => Some(BarKind::Memory {
                size,
                wide: random.flag(),
                prefetchable: random.flag(),
            }),
        }
    });
    let rom = match random.below(3) {
        0 => Rom::Absent,
        1 => Rom::Resource {
            size: random.number(),
        },
        _ => Rom::Shadow {
            length: random.number(),
        },
    };
    Facts {
        is_virtfn: random.flag(),
        vendor: random.next() as u16,
        device: random.next() as u16,
        no_command_memory: random.flag(),
        intx_usable: random.flag(),
        no_intx: random.flag(),
        bars,
        rom,
    }
}

/// One access of the user: piece by piece, until it is done or refused.
fn access(space: &mut Space<&mut [Cell]>, device: &mut Hostile, random: &mut Random) {
    let offset = if random.below(8) == 0 {
        random.number()
    } else {
        random.below(u64::from(EXTENDED_SIZE) + 8)
    };
    let count = random.below(12) as usize;
    let write = random.flag();
    let value = match random.below(4) {
        0 => u32::MAX,
        1 => 0,
        _ => random.next() as u32,
    };
    let mut done = 0;
    while done < count {
        let at = offset.saturating_add(done as u64);
        let used = device.bytes.len() as u64 & !3;
        let inside = at.saturating_add((count - done) as u64) <= used;
        let chunk = space.chunk(at, count - done);
        assert_eq!(chunk.is_some(), inside);
        let Some(chunk) = chunk else {
            return;
        };
        let result = if write {
            space.write(device, chunk, value)
        } else {
            let read = space.read(device, chunk);
            read.map(|value| assert_eq!(value & !chunk.width().mask(), 0))
        };
        if result.is_err() {
            return;
        }
        done += usize::from(chunk.width().bytes());
    }
}

fn round(seed: u64) {
    let mut random = Random(seed);
    let mut device = Hostile::new(&mut random);
    let facts = facts(&mut random);
    let mut cells = std::vec![Cell::UNASSIGNED; device.bytes.len()];
    let Ok(mut space) = Space::build(&mut cells[..], &device, facts, &mut |_| {}) else {
        // The device answers every access that is made as it should be.
        panic!("the engine reads what is not there");
    };
    for _ in 0..ACCESSES {
        access(&mut space, &mut device, &mut random);
        assert!(!device.stray.get(), "the engine strays");
    }
}

/// Says how to repeat a round, if it fails.
struct Witness(u64);

impl Drop for Witness {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "repeat with VFIO_FUZZ_SEED={:#x} VFIO_FUZZ_ROUNDS=1",
                self.0
            );
        }
    }
}

fn parse(text: String) -> u64 {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.expect("VFIO_FUZZ_SEED and VFIO_FUZZ_ROUNDS are numbers")
}

#[test]
fn random_devices() {
    let seed = env::var("VFIO_FUZZ_SEED").map_or(0x7666_696f, parse);
    let rounds = env::var("VFIO_FUZZ_ROUNDS").map_or(ROUNDS, parse);
    eprintln!("seed {seed:#x}, {rounds} rounds");
    for number in 0..rounds {
        let witness = Witness(seed.wrapping_add(number));
        round(witness.0);
    }
}
