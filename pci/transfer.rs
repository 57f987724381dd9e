// SPDX-License-Identifier: GPL-2.0

//! Reading and writing registers for the user, of any length and alignment.
//!
//! A transfer is cut into naturally aligned accesses, the widest that fit. A range of registers
//! can be hidden: reading it gives ones, and what is written to it is dropped.
//!
//! A driver reads and writes one register at a time, so a transfer of one goes the shortest way:
//! the memory lock is taken once, and the copy to or from the user is one of a size that is known
//! here. Longer ones are done in pieces of [`PIECE`] bytes, for each of which the lock is taken
//! once and the user's memory copied once, as both cost more than many a register. A piece is
//! copied with no lock held, so the user's memory may take its time; and it is short enough that
//! whoever waits for the lock does not notice.

use crate::{
    abstractions::io::mem::{
        IoMem,
        Width, //
    },
    memory::MemoryLock,
    user_value, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};

/// Bytes that are copied, and accessed under one lock, at a time. A power of two.
const PIECE: usize = 512;

/// The same for transfers of a few registers, for which so much need not be cleared before.
const SMALL_PIECE: usize = 8;

/// Registers, and the rules for accessing them.
pub(crate) struct Registers<'a> {
    /// The registers.
    pub(crate) io: &'a IoMem,
    /// What has to be enabled for each access; nothing for I/O ports.
    pub(crate) memory: Option<&'a MemoryLock>,
    /// Offsets that the user does not get at.
    pub(crate) hidden: Range<usize>,
    /// The widest access.
    pub(crate) widest: Width,
}

/// The next step of a transfer.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// One register.
    Single(Width),
    /// As many bytes of several ones, no more than [`SMALL_PIECE`].
    Few(usize),
    /// As many bytes of several ones, no more than [`PIECE`].
    Piece(usize),
    /// As many hidden bytes.
    Hidden(usize),
}

impl Step {
    /// Returns the next step of a transfer of `count` bytes at `offset`.
    fn next(offset: usize, count: usize, hidden: &Range<usize>, widest: Width) -> Self {
        if hidden.contains(&offset) {
            return Self::Hidden(count.min(hidden.end.saturating_sub(offset)));
        }
        let accessible = if offset < hidden.start {
            count.min(hidden.start.saturating_sub(offset))
        } else {
            count
        };

        // Pieces end where the widest accesses do, so that none is cut.
        let len = accessible.min(PIECE - offset % PIECE);

        match Width::of_bytes(len) {
            Some(width) if width <= widest && offset % width.bytes() == 0 => Self::Single(width),
            _ if len <= SMALL_PIECE => Self::Few(len),
            _ => Self::Piece(len),
        }
    }
}

/// Returns the first of the naturally aligned accesses, none wider than `widest`, that `count`
/// bytes at `offset` are made of.
pub(crate) fn first_access(offset: usize, count: usize, widest: Width) -> Width {
    Width::WIDEST_FIRST
        .into_iter()
        .find(|width| *width <= widest && width.bytes() <= count && offset % width.bytes() == 0)
        .unwrap_or(Width::Byte)
}

/// Returns the width of the first accesses of `count` bytes at `offset`, and how many bytes can be
/// accessed like that.
fn first_run(offset: usize, count: usize, widest: Width) -> (Width, usize) {
    let width = first_access(offset, count, widest);
    let len = if width == widest {
        // From here on all are aligned; what is left at the end is less than one.
        count - count % width.bytes()
    } else {
        width.bytes()
    };

    (width, len)
}

/// Accesses.
impl Registers<'_> {
    /// Reads one value, if the memory is enabled.
    #[inline]
    pub(crate) fn load(&self, offset: usize, width: Width) -> Result<u64> {
        let _access = self.memory.map(MemoryLock::access).transpose()?;

        self.io.read(offset, width)
    }

    /// Writes one value, if the memory is enabled.
    #[inline]
    pub(crate) fn store(&self, offset: usize, width: Width, value: u64) -> Result {
        let _access = self.memory.map(MemoryLock::access).transpose()?;

        self.io.write(offset, width, value)
    }

    /// Reads registers until `bytes` is full, if the memory is enabled.
    fn load_all(&self, mut offset: usize, mut bytes: &mut [u8]) -> Result {
        let _access = self.memory.map(MemoryLock::access).transpose()?;

        while !bytes.is_empty() {
            let (width, len) = first_run(offset, bytes.len(), self.widest);
            let (run, rest) = bytes.split_at_mut_checked(len).ok_or(EINVAL)?;
            self.io.read_run(offset, width, run)?;
            offset = offset.saturating_add(len);
            bytes = rest;
        }

        Ok(())
    }

    /// Writes all of `bytes` to registers, if the memory is enabled.
    fn store_all(&self, mut offset: usize, mut bytes: &[u8]) -> Result {
        let _access = self.memory.map(MemoryLock::access).transpose()?;

        while !bytes.is_empty() {
            let (width, len) = first_run(offset, bytes.len(), self.widest);
            let (run, rest) = bytes.split_at_checked(len).ok_or(EINVAL)?;
            self.io.write_run(offset, width, run)?;
            offset = offset.saturating_add(len);
            bytes = rest;
        }

        Ok(())
    }
}

/// Steps of reading.
impl Registers<'_> {
    /// Reads one register for the user.
    #[inline]
    fn read_single(&self, offset: usize, width: Width, buffer: &mut UserSliceWriter) -> Result {
        let value = self.load(offset, width)?;

        user_value::give(buffer, width.bytes(), value)
    }

    /// Reads `len` bytes, no more than `MOST`, for the user.
    fn read_piece<const MOST: usize>(
        &self,
        offset: usize,
        len: usize,
        buffer: &mut UserSliceWriter,
    ) -> Result {
        let mut bytes = [0; MOST];
        let bytes = bytes.get_mut(..len).ok_or(EINVAL)?;
        self.load_all(offset, bytes)?;

        buffer.write_slice(bytes)
    }

    /// Reads `count` bytes at `offset` for the user.
    ///
    /// Where a copy to the user fails, registers of the same piece have been read in vain.
    ///
    /// # Errors
    ///
    /// EIO if the memory is disabled, EINTR if the task is killed while it waits for a reset,
    /// EFAULT, EINVAL beyond the end.
    pub(crate) fn read(
        &self,
        offset: usize,
        count: usize,
        buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        let mut done = 0;
        while done < count {
            let position = offset.checked_add(done).ok_or(EINVAL)?;
            done += match Step::next(position, count - done, &self.hidden, self.widest) {
                Step::Single(width) => {
                    self.read_single(position, width, buffer)?;
                    width.bytes()
                }
                Step::Few(len) => {
                    self.read_piece::<SMALL_PIECE>(position, len, buffer)?;
                    len
                }
                Step::Piece(len) => {
                    self.read_piece::<PIECE>(position, len, buffer)?;
                    len
                }
                Step::Hidden(len) => {
                    write_ones(buffer, len)?;
                    len
                }
            };
        }

        Ok(done)
    }
}

/// Steps of writing.
impl Registers<'_> {
    /// Writes one register for the user.
    #[inline]
    fn write_single(&self, offset: usize, width: Width, buffer: &mut UserSliceReader) -> Result {
        let value = user_value::take(buffer, width.bytes())?;

        self.store(offset, width, value)
    }

    /// Writes `len` bytes, no more than `MOST`, for the user.
    fn write_piece<const MOST: usize>(
        &self,
        offset: usize,
        len: usize,
        buffer: &mut UserSliceReader,
    ) -> Result {
        let mut bytes = [0; MOST];
        let bytes = bytes.get_mut(..len).ok_or(EINVAL)?;
        if buffer.read_slice(bytes).is_err() {
            return self.write_one_by_one(offset, len, buffer);
        }

        self.store_all(offset, bytes)
    }

    /// Writes `len` bytes for the user of whose memory a part cannot be read: what is before that
    /// part is written.
    #[cold]
    fn write_one_by_one(&self, offset: usize, len: usize, buffer: &mut UserSliceReader) -> Result {
        let mut done = 0;
        while done < len {
            let position = offset.checked_add(done).ok_or(EINVAL)?;
            let width = first_access(position, len - done, self.widest);
            self.write_single(position, width, buffer)?;
            done += width.bytes();
        }

        Ok(())
    }

    /// Writes `count` bytes at `offset` for the user.
    ///
    /// # Errors
    ///
    /// EIO if the memory is disabled, EINTR if the task is killed while it waits for a reset,
    /// EFAULT, EINVAL beyond the end.
    pub(crate) fn write(
        &self,
        offset: usize,
        count: usize,
        buffer: &mut UserSliceReader,
    ) -> Result<usize> {
        let mut done = 0;
        while done < count {
            let position = offset.checked_add(done).ok_or(EINVAL)?;
            done += match Step::next(position, count - done, &self.hidden, self.widest) {
                Step::Single(width) => {
                    self.write_single(position, width, buffer)?;
                    width.bytes()
                }
                Step::Few(len) => {
                    self.write_piece::<SMALL_PIECE>(position, len, buffer)?;
                    len
                }
                Step::Piece(len) => {
                    self.write_piece::<PIECE>(position, len, buffer)?;
                    len
                }
                Step::Hidden(len) => {
                    buffer.skip(len)?;
                    len
                }
            };
        }

        Ok(done)
    }
}

/// Writes `len` bytes with all bits set.
fn write_ones(buffer: &mut UserSliceWriter, len: usize) -> Result {
    const ONES: [u8; 64] = [0xff; 64];

    let mut left = len;
    while left > 0 {
        let part = ONES.get(..left.min(ONES.len())).unwrap_or(&ONES);
        buffer.write_slice(part)?;
        left = left.saturating_sub(part.len());
    }

    Ok(())
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_transfer)]
mod tests {
    use super::*;

    /// All accesses that `count` bytes at `offset` are made of.
    fn accesses(mut offset: usize, mut count: usize, widest: Width) -> [usize; 8] {
        let mut bytes = [0; 8];
        for access in &mut bytes {
            if count > 0 {
                let (width, len) = first_run(offset, count, widest);
                *access = width.bytes();
                assert_eq!(len % width.bytes(), 0);
                assert!(len <= count);
                // One access of the run, then the rest.
                offset += width.bytes();
                count -= width.bytes();
            }
        }
        assert_eq!(count, 0);

        bytes
    }

    #[test]
    fn accesses_are_aligned_and_as_wide_as_possible() {
        for (offset, count, width) in [
            (0, 8, Width::Qword),
            (0, 7, Width::Dword),
            (4, 16, Width::Dword),
            (2, 2, Width::Word),
            (1, 8, Width::Byte),
            (8, 1, Width::Byte),
        ] {
            assert_eq!(first_access(offset, count, Width::Qword), width);
        }
        assert_eq!(first_access(0, 8, Width::Dword), Width::Dword);
        assert_eq!(accesses(1, 23, Width::Qword), [1, 2, 4, 8, 8, 0, 0, 0]);
        assert_eq!(accesses(6, 7, Width::Dword), [2, 4, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_run_is_of_the_widest_accesses_only() {
        assert_eq!(first_run(0, 64, Width::Qword), (Width::Qword, 64));
        assert_eq!(first_run(0, 63, Width::Qword), (Width::Qword, 56));
        assert_eq!(first_run(4, 64, Width::Qword), (Width::Dword, 4));
        assert_eq!(first_run(4, 64, Width::Dword), (Width::Dword, 64));
        assert_eq!(first_run(1, 3, Width::Qword), (Width::Byte, 1));
    }

    #[test]
    fn one_register_is_a_step_of_its_own() {
        let next = |offset, count, widest| Step::next(offset, count, &(0..0), widest);

        assert_eq!(next(4, 4, Width::Qword), Step::Single(Width::Dword));
        assert_eq!(next(8, 8, Width::Qword), Step::Single(Width::Qword));
        assert_eq!(next(8, 8, Width::Dword), Step::Few(8));
        assert_eq!(next(4, 8, Width::Qword), Step::Few(8));
        assert_eq!(next(3, 2, Width::Qword), Step::Few(2));
        assert_eq!(next(0, 3, Width::Qword), Step::Few(3));
    }

    #[test]
    fn no_piece_ends_within_an_access() {
        let next = |offset, count| Step::next(offset, count, &(0..0), Width::Qword);

        assert_eq!(next(0, 9), Step::Piece(9));
        assert_eq!(next(0, 4 * PIECE), Step::Piece(PIECE));
        assert_eq!(next(PIECE, 4 * PIECE), Step::Piece(PIECE));
        assert_eq!(next(PIECE + 3, 4 * PIECE), Step::Piece(PIECE - 3));
        assert_eq!(next(2 * PIECE - 1, PIECE), Step::Single(Width::Byte));
        assert_eq!(next(PIECE - 3, 8), Step::Few(3));
    }

    #[test]
    fn hidden_bytes_end_and_interrupt_accesses() {
        let hidden = 4..20;
        let next = |offset, count| Step::next(offset, count, &hidden, Width::Qword);

        assert_eq!(next(0, 8), Step::Single(Width::Dword));
        assert_eq!(next(1, 8), Step::Few(3));
        assert_eq!(next(4, 8), Step::Hidden(8));
        assert_eq!(next(16, 8), Step::Hidden(4));
        assert_eq!(next(20, 8), Step::Few(8));
    }
}
