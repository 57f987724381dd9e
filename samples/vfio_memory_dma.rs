// SPDX-License-Identifier: GPL-2.0

//! DMA of the device: it copies between its own memory and that of its user, who tells it by
//! registers what to do. They are described in `vfio_memory.h`.
//!
//! It shows what a bus driver owes a user whose pages it has pinned: it writes them down when it
//! gets them, and lets go of them when it is told.

use crate::{
    log::WriteLog,
    CHUNK, //
};
use core::ops::RangeInclusive;
use kernel::{
    impl_has_work,
    new_mutex,
    new_work,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};
use vfio::{
    abstractions::{
        mm::page_frames::PageFrames,
        sync::rwsem::RwSemaphore,
        workqueue, //
    },
    device::user_memory::{
        PinnedPages,
        UserMemory, //
    },
    pinning::PinAccess, //
};

/// How many registers there are, of eight bytes each.
const REGISTERS: usize = 8;

// Before them are the address, the length and the position.
const OPTIONS: usize = 3;
const COMMAND: usize = 4;
const RESULT: usize = 5;
const PINNED: usize = 6;
const TOLD: usize = 7;

/// Size of the registers in bytes.
pub(crate) const SIZE: usize = REGISTERS * size_of::<u64>();

/// Options.
const WORKER: u64 = 1 << 0;
const KEEP: u64 = 1 << 1;

/// Commands.
const READ: u64 = 1;
const WRITE: u64 = 2;
const PIN: u64 = 3;
const PIN_TO_READ: u64 = 4;
const UNPIN: u64 = 5;
const READ_PINNED: u64 = 6;
const WRITE_PINNED: u64 = 7;

/// The most requests to pin that are in force at a time.
const MOST_PINNED: usize = 1024;

/// A command and what it is about.
#[derive(Clone, Copy)]
struct Request {
    command: u64,
    iova: u64,
    length: u64,
    position: u64,
}

impl Request {
    /// The addresses of the bytes.
    fn addresses(&self) -> Result<RangeInclusive<u64>> {
        let more = self.length.checked_sub(1).ok_or(EINVAL)?;
        Ok(self.iova..=self.iova.checked_add(more).ok_or(EOVERFLOW)?)
    }
}

/// What the worker is to do, and what came of it.
struct Job {
    request: Request,
    user: Arc<UserMemory>,
    result: Result,
}

/// What copies between the memory of the device and that of its user.
#[pin_data]
pub(crate) struct Engine {
    frames: Arc<RwSemaphore<Arc<PageFrames>>>,
    #[pin]
    registers: Mutex<[u64; REGISTERS]>,
    #[pin]
    log: WriteLog,
    #[pin]
    pins: Mutex<KVec<PinnedPages>>,
    /// Held by who has the worker do something.
    #[pin]
    turn: Mutex<()>,
    #[pin]
    job: Mutex<Option<Job>>,
    #[pin]
    work: Work<Self>,
}

impl_has_work! {
    impl HasWork<Self> for Engine { self.work }
}

impl Engine {
    /// One for the device whose memory is `frames`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(frames: Arc<RwSemaphore<Arc<PageFrames>>>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                frames,
                registers <- new_mutex!([0; REGISTERS], "vfio_memory_registers"),
                log <- WriteLog::new(),
                pins <- new_mutex!(KVec::new(), "vfio_memory_pins"),
                turn <- new_mutex!((), "vfio_memory_turn"),
                job <- new_mutex!(None, "vfio_memory_job"),
                work <- new_work!("vfio_memory_work"),
            }),
            GFP_KERNEL,
        )
    }

    /// Lets go of all that is pinned.
    pub(crate) fn unpin_all(&self) {
        while let Some(pinned) = self.take_pinned(&(0..=u64::MAX)) {
            drop(pinned);
        }
    }

    /// A user finds nothing of the one before him. It is told what that unmaps even after
    /// [`unpin_all()`](Self::unpin_all).
    pub(crate) fn reset(&self) {
        *self.registers.lock() = [0; REGISTERS];
        self.log.forget();
    }

    /// What it has written, for a user who wants to know.
    pub(crate) fn log(&self) -> &WriteLog {
        &self.log
    }

    /// The register with the given index.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there is none.
    pub(crate) fn register(&self, index: usize) -> Result<u64> {
        if index == PINNED {
            return Ok(self.pins.lock().len() as u64);
        }
        self.registers.lock().get(index).copied().ok_or(EINVAL)
    }

    /// Writes a register; what is written to the command is carried out before this returns.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there is none, or it cannot be written to.
    pub(crate) fn set_register(
        self: &Arc<Self>,
        user: &Arc<UserMemory>,
        index: usize,
        value: u64,
    ) -> Result {
        if index > COMMAND {
            return Err(EINVAL);
        }
        let mut registers = self.registers.lock();
        *registers.get_mut(index).ok_or(EINVAL)? = value;
        if index != COMMAND {
            return Ok(());
        }
        let [iova, length, position, options, command, ..] = *registers;
        drop(registers);
        let request = Request {
            command,
            iova,
            length,
            position,
        };
        let result = if options & WORKER != 0 {
            self.have_done(request, user)
        } else {
            self.carry_out(&request, user)
        };
        let errno = result.map_or_else(|error| error.to_errno(), |()| 0);
        if let Some(result) = self.registers.lock().get_mut(RESULT) {
            // CAST: With its sign.
            *result = i64::from(errno) as u64;
        }
        Ok(())
    }

    /// Has the worker carry out `request`.
    fn have_done(self: &Arc<Self>, request: Request, user: &Arc<UserMemory>) -> Result {
        let _turn = self.turn.lock();
        *self.job.lock() = Some(Job {
            request,
            user: user.clone(),
            result: Err(EAGAIN),
        });
        let _ = workqueue::system().enqueue(self.clone());
        workqueue::flush(&self.work);
        let job = self.job.lock().take();
        job.ok_or(EIO)?.result
    }

    fn carry_out(&self, request: &Request, user: &Arc<UserMemory>) -> Result {
        match request.command {
            READ => self.copy_in(request, |offset, chunk| {
                user.read(request.iova.checked_add(offset).ok_or(EOVERFLOW)?, chunk)
            }),
            WRITE => self.copy_out(request, |offset, chunk| {
                user.write(request.iova.checked_add(offset).ok_or(EOVERFLOW)?, chunk)
            }),
            PIN => self.pin(request, user, true),
            PIN_TO_READ => self.pin(request, user, false),
            UNPIN => self.unpin(request),
            READ_PINNED => self.with_pinned(request, |pinned, start| {
                self.copy_in(request, |offset, chunk| {
                    let offset = usize::try_from(start.saturating_add(offset))?;
                    let copied = pinned.read(offset, chunk);
                    (copied == chunk.len()).then_some(()).ok_or(EIO)
                })
            }),
            WRITE_PINNED => self.with_pinned(request, |pinned, start| {
                self.copy_out(request, |offset, chunk| {
                    let offset = usize::try_from(start.saturating_add(offset))?;
                    let copied = pinned.write(offset, chunk);
                    (copied == chunk.len()).then_some(()).ok_or(EPERM)
                })
            }),
            _ => Err(EINVAL),
        }
    }

    /// Calls `each` for each chunk of the bytes, with its offset and length; its own memory
    /// is not locked while that of the user is touched, since a fault may take that lock as
    /// well.
    fn for_chunks(
        request: &Request,
        mut each: impl FnMut(u64, usize, &mut [u8]) -> Result,
    ) -> Result {
        request.addresses()?;
        let mut chunk = [0; CHUNK];
        let mut done = 0u64;
        while done < request.length {
            let left = request.length.saturating_sub(done).min(CHUNK as u64);
            // CAST: At most a chunk.
            let part = chunk.get_mut(..left as usize).ok_or(EINVAL)?;
            let position = request.position.checked_add(done).ok_or(EOVERFLOW)?;
            each(done, usize::try_from(position)?, part)?;
            done = done.saturating_add(left);
        }
        Ok(())
    }

    /// Copies bytes that `read` reads to the memory of the device.
    fn copy_in(&self, request: &Request, mut read: impl FnMut(u64, &mut [u8]) -> Result) -> Result {
        Self::for_chunks(request, |done, position, chunk| {
            read(done, chunk)?;
            let copied = self.frames.read().write(position, chunk);
            (copied == chunk.len()).then_some(()).ok_or(ERANGE)
        })
    }

    /// Copies bytes of the memory of the device, which `write` writes.
    fn copy_out(&self, request: &Request, mut write: impl FnMut(u64, &[u8]) -> Result) -> Result {
        Self::for_chunks(request, |done, position, chunk| {
            let copied = self.frames.read().read(position, chunk);
            if copied != chunk.len() {
                return Err(ERANGE);
            }
            let written = write(done, chunk);
            // A part of it may have been, whatever has become of the rest.
            self.log
                .record(request.iova.saturating_add(done), chunk.len());
            written
        })
    }

    fn pin(&self, request: &Request, user: &Arc<UserMemory>, write: bool) -> Result {
        let addresses = request.addresses()?;
        let page = PAGE_SIZE as u64;
        let first = addresses.start() / page;
        let count = (addresses.end() / page)
            .saturating_sub(first)
            .saturating_add(1);
        let access = PinAccess { read: true, write };
        user.pin_pages(request.iova, usize::try_from(count)?, access, |pinned| {
            let mut pins = self.pins.lock();
            if pins.len() >= MOST_PINNED {
                return Err(ENOSPC);
            }
            Ok(pins.push(pinned, GFP_KERNEL)?)
        })?
    }

    fn unpin(&self, request: &Request) -> Result {
        let addresses = request.addresses()?;
        while let Some(pinned) = self.take_pinned(&addresses) {
            drop(pinned);
        }
        Ok(())
    }

    /// Takes out something that is pinned at any of the addresses, to be dropped without the
    /// lock.
    fn take_pinned(&self, addresses: &RangeInclusive<u64>) -> Option<PinnedPages> {
        let mut pins = self.pins.lock();
        let index = pins.iter().position(|pinned| pinned.overlaps(addresses))?;
        pins.remove(index).ok()
    }

    /// Calls `copy` with pages that have all bytes, and with the offset of the first of these.
    fn with_pinned(
        &self,
        request: &Request,
        copy: impl FnOnce(&PinnedPages, u64) -> Result,
    ) -> Result {
        let addresses = request.addresses()?;
        let pins = self.pins.lock();
        let has_all = |pinned: &&PinnedPages| {
            let end = pinned.iova().saturating_add(pinned.size() as u64);
            pinned.iova() <= *addresses.start() && *addresses.end() < end
        };
        let pinned = pins.iter().find(has_all).ok_or(ENOENT)?;
        copy(pinned, request.iova.saturating_sub(pinned.iova()))
    }

    /// The user unmaps the addresses.
    pub(crate) fn unmapped(&self, addresses: &RangeInclusive<u64>) {
        let mut registers = self.registers.lock();
        if let Some(told) = registers.get_mut(TOLD) {
            *told = told.saturating_add(1);
        }
        let keep = registers.get(OPTIONS).is_some_and(|it| it & KEEP != 0);
        drop(registers);
        if keep {
            return;
        }
        while let Some(pinned) = self.take_pinned(addresses) {
            drop(pinned);
        }
    }
}

impl WorkItem for Engine {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        // Who waits does so until the work has ended, and takes the job back then.
        let Some(mut job) = this.job.lock().take() else {
            return;
        };
        job.result = this.carry_out(&job.request, &job.user);
        *this.job.lock() = Some(job);
    }
}
