// SPDX-License-Identifier: GPL-2.0

//! A function that exists only in memory, for tests.

use super::{
    header::{
        self,
        bar_registers, //
    },
    Cell,
    Chunk,
    CommandWrite,
    Decode,
    Effects,
    Facts,
    Finding,
    Hardware,
    Msi,
    PowerState,
    Rom,
    Space,
    Width, //
};

use core::cell::Cell as Slot;

/// Why an access to a [`Fake`] failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// The test asked for it.
    Wanted,
    /// The access is not within the space or not aligned: the engine is wrong.
    Stray,
}

/// What the engine asked the host to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    Command {
        revoke: bool,
        decode: Decode,
        lost: bool,
    },
    CommandFailed {
        revoke: bool,
    },
    Intx {
        disabled: bool,
    },
    Power(PowerState),
    Reset,
    ReadRequest(u32),
    VpdRead(u16),
    VpdWrite(u16, u32),
}

/// The number of events that are kept.
const EVENTS: usize = 8;

/// A function with up to `N` bytes of config space, and the host that owns it.
///
/// All bits can be written, but for those that are said to be RW1C or read-only.
pub(crate) struct Fake<const N: usize> {
    bytes: [Slot<u8>; N],
    /// RW1C bits: offset of a byte, and bits of it.
    pub(crate) clears: &'static [(u16, u8)],
    /// Read-only bits: offset of a byte, and bits of it.
    pub(crate) fixed: &'static [(u16, u8)],
    /// Number of bytes that the host can access.
    pub(crate) size: usize,
    /// Number of accesses that succeed before all others fail.
    pub(crate) budget: u32,
    /// Number of accesses, of whatever kind.
    pub(crate) accesses: Slot<u32>,
    /// Whether an access was not within the space or not aligned.
    pub(crate) stray: Slot<bool>,
    /// Whether a reset succeeds.
    pub(crate) resets: bool,
    /// What to answer to [`Effects::msi`].
    pub(crate) msi: Msi,
    /// Whether the next write has to wait while MSI is turned off by ioctl.
    pub(crate) msi_ends: Slot<bool>,
    /// What to answer to [`Effects::read_vpd`]; nothing makes writes fail too.
    pub(crate) vpd: Option<u32>,
    msi_ended: Slot<bool>,
    events: [Option<Event>; EVENTS],
}

/// What a host knows of a plain function without BARs.
pub(crate) const FACTS: Facts = Facts {
    is_virtfn: false,
    vendor: 0x1234,
    device: 0x5678,
    no_command_memory: false,
    intx_usable: true,
    no_intx: false,
    bars: [None; 6],
    rom: Rom::Absent,
};

impl<const N: usize> Fake<N> {
    /// A function whose registers have the values `dwords`, at the given offsets, and are zero
    /// elsewhere.
    pub(crate) fn new(dwords: &[(u16, u32)]) -> Self {
        let mut bytes = [0; N];
        for (offset, dword) in dwords {
            let targets = bytes.iter_mut().skip(usize::from(*offset));
            for (byte, value) in targets.zip(dword.to_le_bytes()) {
                *byte = value;
            }
        }
        Self::from_bytes(bytes)
    }

    /// A function whose registers have the values `bytes`.
    pub(crate) fn from_bytes(bytes: [u8; N]) -> Self {
        Self {
            bytes: bytes.map(Slot::new),
            clears: &[],
            fixed: &[],
            size: N,
            budget: u32::MAX,
            accesses: Slot::new(0),
            stray: Slot::new(false),
            resets: true,
            msi: Msi {
                active: false,
                log2_vectors: 0,
            },
            msi_ends: Slot::new(false),
            vpd: None,
            msi_ended: Slot::new(false),
            events: [None; EVENTS],
        }
    }

    /// The dword of the hardware at `offset`.
    pub(crate) fn dword(&self, offset: u16) -> u32 {
        let mut dword = [0; 4];
        let sources = self.bytes.iter().skip(usize::from(offset));
        for (byte, source) in dword.iter_mut().zip(sources) {
            *byte = source.get();
        }
        u32::from_le_bytes(dword)
    }

    /// Changes the dword of the hardware at `offset`, whatever can be written.
    pub(crate) fn set_dword(&mut self, offset: u16, value: u32) {
        let targets = self.bytes.iter_mut().skip(usize::from(offset));
        for (byte, value) in targets.zip(value.to_le_bytes()) {
            byte.set(value);
        }
    }

    /// Whether exactly these events happened since this was last asked.
    pub(crate) fn happened(&mut self, events: &[Event]) -> bool {
        let log = core::mem::replace(&mut self.events, [None; EVENTS]);
        log.iter().flatten().eq(events)
    }

    /// Lets only `count` more accesses succeed.
    pub(crate) fn break_after(&mut self, count: u32) {
        self.budget = self.accesses.get().saturating_add(count);
    }

    fn note(&mut self, event: Event) {
        if let Some(slot) = self.events.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(event);
        }
    }

    /// Counts an access and tells whether it can be done.
    fn admit(&self, offset: u16, width: Width) -> Result<(), Failure> {
        let before = self.accesses.replace(self.accesses.get().saturating_add(1));
        let end = usize::from(offset).saturating_add(usize::from(width.bytes()));
        if end > self.size || offset % width.bytes() != 0 {
            self.stray.set(true);
            return Err(Failure::Stray);
        }
        if before >= self.budget {
            return Err(Failure::Wanted);
        }
        Ok(())
    }
}

/// The bits that `list` has for the byte at `offset`.
fn bits(list: &[(u16, u8)], offset: u16) -> u8 {
    list.iter()
        .filter(|(at, _)| *at == offset)
        .fold(0, |all, (_, bits)| all | bits)
}

impl<const N: usize> Hardware for Fake<N> {
    type Error = Failure;

    fn read(&self, offset: u16, width: Width) -> Result<u32, Failure> {
        self.admit(offset, width)?;
        Ok(self.dword(offset) & width.mask())
    }

    fn write(&self, offset: u16, width: Width, value: u32) -> Result<(), Failure> {
        self.admit(offset, width)?;
        self.msi_ended
            .set(self.msi_ended.get() | self.msi_ends.get());
        let targets = self.bytes.iter().skip(usize::from(offset));
        let offsets = offset..offset.saturating_add(width.bytes());
        for ((offset, byte), value) in offsets.zip(targets).zip(value.to_le_bytes()) {
            let clear = bits(self.clears, offset);
            let plain = !clear & !bits(self.fixed, offset);
            byte.set((byte.get() & !plain & !(value & clear)) | (value & plain));
        }
        Ok(())
    }
}

impl<const N: usize> Fake<N> {
    /// Gives back what was lost, and changes the Command Register of the hardware.
    fn change_command(&self, write: &CommandWrite) -> Result<(), Failure> {
        let mut other = 0;
        if let Some(lost) = &write.lost {
            for (offset, bar) in bar_registers().zip(lost.bars) {
                self.write(offset, Width::Dword, bar)?;
            }
            if lost.intx_disable {
                other = header::COMMAND_INTX_DISABLE;
            }
        }
        let mask = u32::from(write.mask);
        let before = self.read(header::COMMAND, Width::Word)?;
        let after = (before & !mask) | (u32::from(write.value) & mask) | other;
        self.write(header::COMMAND, Width::Word, after)
    }
}

impl<const N: usize> Effects for Fake<N> {
    type Error = Failure;
    type Hardware = Self;

    fn hardware(&self) -> &Self {
        self
    }

    fn write_command(&mut self, write: &CommandWrite) -> Result<(), Failure> {
        let result = self.change_command(write);
        let CommandWrite { revoke, decode, .. } = *write;
        self.note(match result {
            Ok(()) => Event::Command {
                revoke,
                decode,
                lost: write.lost.is_some(),
            },
            Err(_) => Event::CommandFailed { revoke },
        });
        result
    }

    fn set_intx_disabled(&mut self, disabled: bool) {
        self.note(Event::Intx { disabled });
    }

    fn set_power_state(&mut self, state: PowerState) {
        self.note(Event::Power(state));
    }

    fn reset_function(&mut self) -> Result<(), Failure> {
        self.note(Event::Reset);
        if self.resets {
            Ok(())
        } else {
            Err(Failure::Wanted)
        }
    }

    fn set_read_request(&mut self, bytes: u32) {
        self.note(Event::ReadRequest(bytes));
    }

    fn read_vpd(&mut self, address: u16) -> Option<u32> {
        self.note(Event::VpdRead(address));
        self.vpd
    }

    fn write_vpd(&mut self, address: u16, data: u32) -> bool {
        self.note(Event::VpdWrite(address, data));
        self.vpd.is_some()
    }

    fn msi(&self) -> Msi {
        Msi {
            active: self.msi.active && !self.msi_ended.get(),
            ..self.msi
        }
    }
}

/// A space in memory of the test.
pub(crate) type TestSpace<'a> = Space<&'a mut [Cell]>;

/// Opens a function without looking at the findings.
pub(crate) fn open<'a, const N: usize>(
    cells: &'a mut [Cell],
    fake: &Fake<N>,
    facts: Facts,
) -> Result<TestSpace<'a>, Failure> {
    open_reporting(cells, fake, facts, &mut |_| {})
}

/// Opens a function and looks at the findings.
pub(crate) fn open_reporting<'a, const N: usize>(
    cells: &'a mut [Cell],
    fake: &Fake<N>,
    facts: Facts,
    report: &mut dyn FnMut(Finding),
) -> Result<TestSpace<'a>, Failure> {
    Space::build(cells, fake, facts, report)
}

/// The first chunk of an access, or the failure of an access that is out of range.
fn chunk(space: &TestSpace<'_>, offset: u16, count: usize) -> Result<Chunk, Failure> {
    space.chunk(u64::from(offset), count).ok_or(Failure::Wanted)
}

/// Reads up to four bytes as userspace would, chunk by chunk.
pub(crate) fn get<const N: usize>(
    space: &TestSpace<'_>,
    fake: &Fake<N>,
    offset: u16,
    count: usize,
) -> Result<u32, Failure> {
    let mut value = [0; 4];
    let mut done = 0;
    while done < count {
        let chunk = chunk(space, offset.saturating_add(done as u16), count - done)?;
        let part = space.read(fake, chunk)?.to_le_bytes();
        let width = usize::from(chunk.width().bytes());
        for (target, byte) in value.iter_mut().skip(done).zip(part).take(width) {
            *target = byte;
        }
        done += width;
    }
    Ok(u32::from_le_bytes(value))
}

/// Writes up to four bytes as userspace would, chunk by chunk.
pub(crate) fn put<const N: usize>(
    space: &mut TestSpace<'_>,
    fake: &mut Fake<N>,
    offset: u16,
    count: usize,
    value: u32,
) -> Result<(), Failure> {
    let bytes = value.to_le_bytes();
    let mut done = 0;
    while done < count {
        let chunk = chunk(space, offset.saturating_add(done as u16), count - done)?;
        let mut part = [0; 4];
        for (target, byte) in part.iter_mut().zip(bytes.iter().skip(done)) {
            *target = *byte;
        }
        space.write(fake, chunk, u32::from_le_bytes(part))?;
        done += usize::from(chunk.width().bytes());
    }
    Ok(())
}
