// SPDX-License-Identifier: GPL-2.0

//! Migration of the `edu` device: what software can read of it is saved, and written to another
//! one.
//!
//! That is the liveness register, the result of the factorial unit and whether that interrupts,
//! pending interrupts, and the addresses and the count of the DMA engine. The engine's buffer is
//! not among it: only DMA gets there.
//!
//! The state has a header, which can be read while the device runs. Somebody who reads it then
//! learns early whether another device can take the state.
//!
//! # Locking
//!
//! The lock around [`Progress`] is held while registers are accessed, and not while user memory is.

use super::{
    read,
    wait,
    BAR,
    FACTORIAL,
    STATUS, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Release, //
        },
        lock::{
            mutex::MutexBackend,
            Guard, //
        },
        Arc,
        Mutex, //
    },
    time::delay::fsleep,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};
use vfio::device::migration::{
    state::{
        State,
        Support, //
    },
    PrecopyInfo,
    ResumingStream,
    SavingStream,
    Stream, //
};
use vfio_pci_core::{
    device_region::{
        OpenDevice,
        Width, //
    },
    migration::VariantMigration, //
};

const ID: usize = 0x00;
const LIVENESS: usize = 0x04;
const STATUS_INTERRUPTS: u64 = 1 << 7;
const IRQ_STATUS: usize = 0x24;
const IRQ_RAISE: usize = 0x60;
const IRQ_ACK: usize = 0x64;
const DMA_REGISTERS: [usize; 3] = [0x80, 0x88, 0x90];
const DMA_COMMAND: usize = 0x98;
const DMA_RUNS: u64 = 1 << 0;

const MAGIC: u32 = u32::from_le_bytes(*b"edu\0");
const VERSION: u32 = 1;
const HEADER_WORDS: usize = 3;
const WORDS: usize = 13;
const HEADER: usize = HEADER_WORDS * size_of::<u32>();
const SIZE: usize = WORDS * size_of::<u32>();

/// A device whose state is read and written.
const SUPPORT: Support = Support {
    p2p: true,
    pre_copy: true,
};

/// What software can read of a device.
#[derive(Clone, Copy)]
struct Contents {
    id: u32,
    liveness: u32,
    factorial: u32,
    status: u32,
    interrupts: u32,
    dma: [u64; 3],
}

impl Contents {
    /// Reads it from a device that does nothing by itself.
    fn of(device: &OpenDevice<'_>) -> Result<Self> {
        let mut dma = [0; DMA_REGISTERS.len()];
        for (value, register) in dma.iter_mut().zip(DMA_REGISTERS) {
            *value = device.read_register(BAR, register, Width::Qword)?;
        }
        Ok(Self {
            id: read(device, ID)?,
            liveness: read(device, LIVENESS)?,
            factorial: read(device, FACTORIAL)?,
            status: read(device, STATUS)?,
            interrupts: read(device, IRQ_STATUS)?,
            dma,
        })
    }

    /// Writes it to a device, but for the interrupts: none is pending. `number` is what the result
    /// is of. False, and nothing is written, if the device is of another version.
    fn write_if_same_kind(&self, device: &OpenDevice<'_>, number: u32) -> Result<bool> {
        if self.id != read(device, ID)? {
            return Ok(false);
        }
        let write =
            |register, value| device.write_register(BAR, register, Width::Dword, u64::from(value));
        // The device gives back what was written inverted.
        write(LIVENESS, !self.liveness)?;
        // The unit takes what the result is of, and must not interrupt when it is there.
        write(STATUS, 0)?;
        write(FACTORIAL, number)?;
        wait(device)?;
        write(STATUS, self.status)?;
        for (value, register) in self.dma.into_iter().zip(DMA_REGISTERS) {
            device.write_register(BAR, register, Width::Qword, value)?;
        }
        write(IRQ_ACK, u32::MAX)?;
        Ok(true)
    }

    /// As it is transferred.
    fn to_bytes(self) -> [u8; SIZE] {
        let words: [u32; WORDS] = [
            MAGIC,
            VERSION,
            self.id,
            self.liveness,
            self.factorial,
            self.status,
            self.interrupts,
            low(self.dma[0]),
            high(self.dma[0]),
            low(self.dma[1]),
            high(self.dma[1]),
            low(self.dma[2]),
            high(self.dma[2]),
        ];
        let mut bytes = [0; SIZE];
        for (place, word) in bytes.chunks_exact_mut(size_of::<u32>()).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// # Errors
    ///
    /// `EINVAL`: this is not the state of any device.
    fn from_bytes(bytes: &[u8; SIZE]) -> Result<Self> {
        let mut words = [0; WORDS];
        for (word, place) in words.iter_mut().zip(bytes.chunks_exact(size_of::<u32>())) {
            *word = u32::from_le_bytes(place.try_into().map_err(|_| EINVAL)?);
        }
        let [MAGIC, VERSION, id, liveness, factorial, status, interrupts, dma @ ..] = words else {
            return Err(EINVAL);
        };
        if u64::from(status) & !STATUS_INTERRUPTS != 0 {
            return Err(EINVAL);
        }
        let [a, b, c, d, e, f] = dma;
        Ok(Self {
            id,
            liveness,
            factorial,
            status,
            interrupts,
            dma: [joined(a, b), joined(c, d), joined(e, f)],
        })
    }

    /// The number that the factorial unit has the result of. The result has 32 bits; from 34 on
    /// they are all zero.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it has the result of none.
    fn number(&self) -> Result<u32> {
        const LAST: u32 = 34;
        let mut result = 1u32;
        for number in 0..=LAST {
            result = result.wrapping_mul(number.max(1));
            if result == self.factorial {
                return Ok(number);
            }
        }
        Err(EINVAL)
    }
}

fn low(value: u64) -> u32 {
    // CAST: The upper half is transferred on its own.
    value as u32
}

fn high(value: u64) -> u32 {
    // CAST: What is left has 32 bits.
    (value >> 32) as u32
}

fn joined(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// What is being transferred.
enum Transfer {
    None,
    /// The bytes up to `ready` can be read, and those up to `position` have been.
    Saving {
        bytes: [u8; SIZE],
        ready: usize,
        position: usize,
    },
    /// The bytes up to `filled` have been written.
    Resuming {
        bytes: [u8; SIZE],
        filled: usize,
    },
}

/// How far a migration is.
struct Progress {
    state: State,
    transfer: Transfer,
    /// How many transfers there have been, so that a stream knows its own.
    transfers: u64,
    /// What interrupts when the device runs again.
    interrupts: u32,
}

impl Progress {
    fn forget(&mut self) {
        self.state = State::Running;
        self.transfer = Transfer::None;
        self.interrupts = 0;
    }

    fn begin(&mut self, transfer: Transfer) {
        self.transfer = transfer;
        self.transfers = self.transfers.wrapping_add(1);
    }

    /// All that can be read of the device, which is stopped.
    fn contents(&self, device: &OpenDevice<'_>) -> Result<[u8; SIZE]> {
        let mut contents = Contents::of(device)?;
        contents.interrupts |= self.interrupts;
        Ok(contents.to_bytes())
    }

    fn begin_saving(&mut self, device: &OpenDevice<'_>, ready: usize) -> Result {
        let bytes = self.contents(device)?;
        self.begin(Transfer::Saving {
            bytes,
            ready,
            position: 0,
        });
        Ok(())
    }

    /// The rest can be read.
    fn go_on_saving(&mut self, device: &OpenDevice<'_>) -> Result {
        let contents = self.contents(device)?;
        if let Transfer::Saving { bytes, ready, .. } = &mut self.transfer {
            *bytes = contents;
            *ready = SIZE;
        }
        Ok(())
    }

    /// What has been written, if it is all of the state of a device.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it is not.
    fn written(&self) -> Result<Contents> {
        match &self.transfer {
            Transfer::Resuming {
                bytes,
                filled: SIZE,
            } => Contents::from_bytes(bytes),
            _ => Err(EINVAL),
        }
    }

    /// What was written becomes what the device is.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it is not the state of such a device. The device is stopped, and what it was: it
    /// cannot be reset by its user, who can go on nevertheless. Otherwise nobody knows what it is.
    fn resume(&mut self, device: &OpenDevice<'_>) -> Result {
        let written = self.written();
        self.transfer = Transfer::None;
        // What the step leads to, unless the device fails.
        self.state = State::Stop;
        let contents = written?;
        let number = contents.number()?;
        let is_its_own = contents
            .write_if_same_kind(device, number)
            .inspect_err(|_| self.state = State::Error)?;
        if !is_its_own {
            return Err(EINVAL);
        }
        self.interrupts = contents.interrupts;
        Ok(())
    }

    /// Interrupts that were pending when the device was saved.
    fn interrupt(&mut self, device: &OpenDevice<'_>) -> Result {
        if self.interrupts != 0 {
            device.write_register(BAR, IRQ_RAISE, Width::Dword, self.interrupts.into())?;
            self.interrupts = 0;
        }
        Ok(())
    }

    /// Makes one step.
    fn step(&mut self, device: &OpenDevice<'_>, to: State) -> Result {
        match (self.state, to) {
            (State::Running, State::RunningP2p) | (State::PreCopy, State::PreCopyP2p) => {
                wait_for_dma(device)?;
            }
            (State::RunningP2p, State::Stop) => wait_for_all(device)?,
            (State::Stop, State::RunningP2p) => self.interrupt(device)?,
            (State::Running, State::PreCopy) | (State::RunningP2p, State::PreCopyP2p) => {
                self.begin_saving(device, HEADER)?;
            }
            (State::Stop, State::StopCopy) => self.begin_saving(device, SIZE)?,
            (State::PreCopyP2p, State::StopCopy) => {
                wait_for_all(device)?;
                self.go_on_saving(device)?;
            }
            (State::Stop, State::Resuming) => self.begin(Transfer::Resuming {
                bytes: [0; SIZE],
                filled: 0,
            }),
            (State::Resuming, State::Stop) => self.resume(device)?,
            (from, _) if from.is_saving() && !to.is_saving() => self.transfer = Transfer::None,
            _ => {}
        }
        self.state = to;
        Ok(())
    }
}

/// Waits for the end of the DMA that goes on; without its user the device begins none. It cannot be
/// told which of it is to other devices.
fn wait_for_dma(device: &OpenDevice<'_>) -> Result {
    for _ in 0..super::POLLS {
        if device.read_register(BAR, DMA_COMMAND, Width::Dword)? & DMA_RUNS == 0 {
            return Ok(());
        }
        fsleep(super::POLL_PERIOD);
    }
    Err(ETIMEDOUT)
}

/// Waits until the device does nothing by itself.
fn wait_for_all(device: &OpenDevice<'_>) -> Result {
    wait_for_dma(device)?;
    wait(device)
}

/// The migration of a device.
#[pin_data]
pub(crate) struct Migration {
    /// The device was reset or closed, and nobody has looked since. Whoever resets it must not wait
    /// for the lock: who has that may be waiting for the end of the reset.
    is_over: Atomic<bool>,
    #[pin]
    progress: Mutex<Progress>,
}

impl Migration {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let progress = Progress {
            state: State::Running,
            transfer: Transfer::None,
            transfers: 0,
            interrupts: 0,
        };
        Arc::pin_init(
            pin_init!(Self {
                is_over: Atomic::new(false),
                progress <- new_mutex!(progress, "vfio_pci_edu_progress"),
            }),
            GFP_KERNEL,
        )
    }

    /// The device was reset or closed.
    pub(crate) fn forget(&self) {
        self.is_over.store(true, Release);
    }

    fn progress(&self) -> Guard<'_, Progress, MutexBackend> {
        let mut progress = self.progress.lock();
        if self.is_over.xchg(false, Full) {
            progress.forget();
        }
        progress
    }
}

/// The migration of a device, as its driver has it.
pub(crate) struct SharedMigration(pub(crate) Arc<Migration>);

impl SharedMigration {
    /// The stream of the transfer that has just begun.
    fn stream(&self, progress: &Progress) -> Result<Option<Stream>> {
        let end = StreamEnd {
            migration: self.0.clone(),
            transfer: progress.transfers,
        };
        Ok(match progress.transfer {
            Transfer::None => None,
            Transfer::Saving { .. } => {
                let stream: KBox<dyn SavingStream> = KBox::new(end, GFP_KERNEL)?;
                Some(Stream::Saving(stream))
            }
            Transfer::Resuming { .. } => {
                let stream: KBox<dyn ResumingStream> = KBox::new(end, GFP_KERNEL)?;
                Some(Stream::Resuming(stream))
            }
        })
    }
}

impl VariantMigration for SharedMigration {
    fn support(&self) -> Support {
        SUPPORT
    }

    fn state(&self) -> Result<State> {
        Ok(self.0.progress().state)
    }

    fn set_state(&self, device: &OpenDevice<'_>, to: State) -> Result<Option<Stream>> {
        let mut progress = self.0.progress();
        let before = progress.transfers;
        // A state leads to itself.
        while progress.state != to {
            let next = progress.state.next(to, SUPPORT).ok_or(EINVAL)?;
            progress.step(device, next)?;
        }
        if progress.transfers == before {
            return Ok(None);
        }
        self.stream(&progress)
    }

    fn data_size(&self) -> Result<u64> {
        Ok(SIZE as u64)
    }
}

/// The user's end of a transfer.
struct StreamEnd {
    migration: Arc<Migration>,
    transfer: u64,
}

impl StreamEnd {
    /// Calls `visit` with the transfer.
    ///
    /// # Errors
    ///
    /// `ENODEV`: it has ended. Otherwise that of `visit`.
    fn with<R>(&self, visit: impl FnOnce(&mut Progress) -> Result<R>) -> Result<R> {
        let mut progress = self.migration.progress();
        if progress.transfers != self.transfer {
            return Err(ENODEV);
        }
        visit(&mut progress)
    }
}

impl SavingStream for StreamEnd {
    fn read(&self, buffer: &mut UserSliceWriter) -> Result<Option<usize>> {
        let (bytes, start, end) = self.with(|progress| match progress.transfer {
            Transfer::Saving {
                bytes,
                ready,
                position,
            } => Ok((bytes, position, ready)),
            _ => Err(ENODEV),
        })?;
        let rest = bytes.get(start..end).unwrap_or_default();
        if rest.is_empty() {
            return Ok((end == SIZE).then_some(0));
        }
        let part = rest.get(..buffer.len()).unwrap_or(rest);
        buffer.write_slice(part)?;
        self.with(|progress| {
            if let Transfer::Saving { position, .. } = &mut progress.transfer {
                *position = start.saturating_add(part.len());
            }
            Ok(Some(part.len()))
        })
    }

    fn precopy_info(&self) -> Result<PrecopyInfo> {
        self.with(|progress| match (progress.state, &progress.transfer) {
            (
                State::PreCopy | State::PreCopyP2p,
                Transfer::Saving {
                    ready, position, ..
                },
            ) => Ok(PrecopyInfo {
                initial_bytes: ready.saturating_sub(*position) as u64,
                ..PrecopyInfo::default()
            }),
            _ => Err(EINVAL),
        })
    }
}

impl ResumingStream for StreamEnd {
    fn write(&self, buffer: &mut UserSliceReader) -> Result<usize> {
        let mut copy = [0; SIZE];
        let part = copy.get_mut(..buffer.len()).ok_or(EINVAL)?;
        buffer.read_slice(part)?;
        self.with(|progress| {
            let Transfer::Resuming { bytes, filled } = &mut progress.transfer else {
                return Err(ENODEV);
            };
            let end = filled.saturating_add(part.len());
            bytes
                .get_mut(*filled..end)
                .ok_or(EINVAL)?
                .copy_from_slice(part);
            *filled = end;
            Ok(part.len())
        })
    }
}
