// SPDX-License-Identifier: GPL-2.0

//! Reading and writing registers for the user, of any length and alignment.
//!
//! A transfer is cut into naturally aligned accesses, the widest that fit. A range of registers
//! can be hidden: reading it gives ones, and what is written to it is dropped.

use crate::{
    abstractions::iomem::{
        IoMem,
        Width, //
    },
    memory::MemoryLock, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};

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
    /// One access.
    Access(Width),
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

        Self::Access(first_access(offset, accessible, widest))
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

impl Registers<'_> {
    fn step(&self, offset: usize, count: usize) -> Step {
        Step::next(offset, count, &self.hidden, self.widest)
    }

    /// Reads one value, if the memory is enabled.
    fn load(&self, offset: usize, width: Width) -> Result<u64> {
        let _access = self.memory.map(MemoryLock::access).transpose()?;

        self.io.read(offset, width)
    }

    /// Writes one value, if the memory is enabled.
    fn store(&self, offset: usize, width: Width, value: u64) -> Result {
        let _access = self.memory.map(MemoryLock::access).transpose()?;

        self.io.write(offset, width, value)
    }

    /// Reads `count` bytes at `offset` for the user.
    ///
    /// # Errors
    ///
    /// EIO if the memory is disabled, EINTR if the task is killed while it waits for a reset, EFAULT,
    /// EINVAL beyond the end.
    pub(crate) fn read(
        &self,
        offset: usize,
        count: usize,
        buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        let mut done = 0;
        while done < count {
            let position = offset.checked_add(done).ok_or(EINVAL)?;
            let step = match self.step(position, count - done) {
                Step::Access(width) => {
                    let value = self.load(position, width)?.to_le_bytes();
                    let bytes = value.get(..width.bytes()).ok_or(EINVAL)?;
                    buffer.write_slice(bytes)?;
                    width.bytes()
                }
                Step::Hidden(len) => {
                    write_ones(buffer, len)?;
                    len
                }
            };
            done += step;
        }

        Ok(done)
    }

    /// Writes `count` bytes at `offset` for the user.
    ///
    /// # Errors
    ///
    /// EIO if the memory is disabled, EINTR if the task is killed while it waits for a reset, EFAULT,
    /// EINVAL beyond the end.
    pub(crate) fn write(
        &self,
        offset: usize,
        count: usize,
        buffer: &mut UserSliceReader,
    ) -> Result<usize> {
        let mut done = 0;
        while done < count {
            let position = offset.checked_add(done).ok_or(EINVAL)?;
            let step = match self.step(position, count - done) {
                Step::Access(width) => {
                    let mut value = [0; size_of::<u64>()];
                    buffer.read_slice(value.get_mut(..width.bytes()).ok_or(EINVAL)?)?;
                    self.store(position, width, u64::from_le_bytes(value))?;
                    width.bytes()
                }
                Step::Hidden(len) => {
                    buffer.skip(len)?;
                    len
                }
            };
            done += step;
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
            assert_eq!(
                Step::next(offset, count, &(0..0), Width::Qword),
                Step::Access(width)
            );
        }
        assert_eq!(
            Step::next(0, 8, &(0..0), Width::Dword),
            Step::Access(Width::Dword)
        );
    }

    #[test]
    fn hidden_bytes_end_and_interrupt_accesses() {
        let hidden = 4..20;

        assert_eq!(
            Step::next(0, 8, &hidden, Width::Qword),
            Step::Access(Width::Dword)
        );
        assert_eq!(Step::next(4, 8, &hidden, Width::Qword), Step::Hidden(8));
        assert_eq!(Step::next(16, 8, &hidden, Width::Qword), Step::Hidden(4));
        assert_eq!(
            Step::next(20, 8, &hidden, Width::Qword),
            Step::Access(Width::Dword)
        );
    }
}
