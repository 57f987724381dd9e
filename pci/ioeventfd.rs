// SPDX-License-Identifier: GPL-2.0

//! Eventfds that write to a register: VFIO_DEVICE_IOEVENTFD.
//!
//! Whoever signals the eventfd, a virtual machine for example, writes a value that was fixed
//! before to a place in a BAR, without a system call.
//!
//! The write is made right there, in atomic context, if the memory lock can be had; otherwise a
//! work item makes it. The work item also wakes up a device that was left to sleep, as any other
//! access does. As with any other access, nothing is written while memory is disabled.

use crate::{
    abstractions::{
        io::mem::Width,
        pci::Function,
        pm_runtime::Resumed,
        uapi::pci::IoEventFd, //
    },
    bars::Bar,
    memory::{
        MemoryLock,
        TryAccess, //
    },
    opened::Opened,
    region::{
        self,
        Region, //
    },
    transfer::first_access, //
};
use core::ops::Range;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use vfio::{
    abstractions::uapi,
    virqfd::{
        Handler,
        Virqfd, //
    }, //
};

/// How many a device may have.
const MAX: usize = 1000;

/// What is written where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    /// Index of the BAR.
    bar: usize,
    /// Offset in it.
    offset: u64,
    width: Width,
    value: u64,
}

impl Target {
    /// Returns the offsets that are written to, if they are within `len` bytes.
    fn range(&self, len: u64) -> Option<Range<usize>> {
        let start = usize::try_from(self.offset).ok()?;
        let end = start.checked_add(self.width.bytes())?;

        // CAST: A `usize` has 64 bits where this driver runs.
        (end as u64 <= len).then_some(start..end)
    }
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// What the user asks for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    /// Signals of this eventfd are to write.
    Add(Target, i32),
    /// There is to be none for this target.
    Remove(Target),
}

impl Request {
    /// # Errors
    ///
    /// EFAULT, or EINVAL for an argument that is too short, an unknown flag, not exactly one
    /// width, a negative descriptor other than -1, or an offset that is not in a BAR.
    fn parse(arg: usize) -> Result<Self> {
        Self::check(&uapi::read(arg)?)
    }

    fn check(raw: &IoEventFd) -> Result<Self> {
        let IoEventFd {
            argsz,
            flags,
            offset,
            data,
            fd,
        } = *raw;
        // CAST: A `usize` has 64 bits where this driver runs.
        if (argsz as usize) < size_of::<IoEventFd>() {
            return Err(EINVAL);
        }
        // The flags are the numbers of bytes.
        let width = Width::WIDEST_FIRST
            .into_iter()
            .find(|width| usize::try_from(flags) == Ok(width.bytes()))
            .ok_or(EINVAL)?;
        let (Region::Bar(bar), offset) = i64::try_from(offset)
            .ok()
            .and_then(region::locate)
            .ok_or(EINVAL)?
        else {
            return Err(EINVAL);
        };
        let target = Target {
            bar,
            offset,
            width,
            value: data,
        };

        match fd {
            -1 => Ok(Self::Remove(target)),
            fd if fd < 0 => Err(EINVAL),
            fd => Ok(Self::Add(target, fd)),
        }
    }
}

/// What an eventfd does.
struct Doorbell {
    function: Function,
    memory: Arc<MemoryLock>,
    opened: Arc<Opened>,
    target: Target,
    /// The offsets, which are within the BAR.
    range: Range<usize>,
}

impl Doorbell {
    /// Makes a doorbell, if the user may ring it.
    ///
    /// # Errors
    ///
    /// EINVAL beyond the end of the BAR or in the MSI-X table; EBUSY, ENOMEM or ENODEV if the BAR
    /// could not be mapped.
    fn new(
        function: &Function,
        memory: &Arc<MemoryLock>,
        opened: &Arc<Opened>,
        target: Target,
    ) -> Result<Self> {
        let bar = opened.bars.get(target.bar).ok_or(EINVAL)?;
        let range = target.range(bar.resource().len).ok_or(EINVAL)?;
        if overlap(&bar.hidden(), &range) {
            return Err(EINVAL);
        }
        bar.mapped()?;

        Ok(Self {
            function: function.clone(),
            memory: memory.clone(),
            opened: opened.clone(),
            target,
            range,
        })
    }

    /// Is the BAR one that COMMAND enables and D3 disables? I/O ports answer to nobody when they
    /// are disabled, which harms nobody either.
    fn is_in_memory(&self) -> bool {
        self.opened
            .bars
            .get(self.target.bar)
            .is_some_and(|bar| bar.resource().is_memory())
    }

    /// Makes the same accesses as `write()` of the same bytes would.
    fn write(&self) {
        let Some(Ok(mapped)) = self.opened.bars.get(self.target.bar).map(Bar::mapped) else {
            return;
        };
        let mut value = self.target.value;
        let mut left = self.range.clone();
        while !left.is_empty() {
            let width = first_access(left.start, left.len(), Width::Qword);
            // It is within the BAR and aligned, so it cannot fail.
            let _ = mapped.registers().write(left.start, width, value);
            value = value.checked_shr(width.bits()).unwrap_or(0);
            left.start = left.start.saturating_add(width.bytes());
        }
    }
}

impl Handler for Doorbell {
    fn signalled(&self) -> bool {
        let Target {
            bar,
            offset,
            width,
            value,
        } = self.target;
        // Most often that is all, and takes one lock.
        let written = self.memory.try_write_register(bar, offset, width, value);
        if written.is_some() {
            return false;
        }
        if !self.is_in_memory() {
            self.write();
            return false;
        }
        match self.memory.try_access() {
            TryAccess::Granted(_access) => {
                self.write();
                false
            }
            // What is not written now is not written when memory is enabled again either.
            TryAccess::Disabled => false,
            TryAccess::Later => true,
        }
    }

    fn follow_up(&self) {
        // If it does not wake up, there is no access.
        let _resumed = Resumed::new(&self.function);
        if let Ok(_access) = self.memory.access() {
            self.write();
        }
    }
}

/// An eventfd and its target.
struct Installed {
    target: Target,
    _virqfd: Option<Virqfd>,
}

/// The eventfds of a device that is open.
#[pin_data]
pub(crate) struct IoEventFds {
    #[pin]
    installed: Mutex<KVec<Installed>>,
}

impl IoEventFds {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            installed <- new_mutex!(KVec::new(), "vfio_pci_ioeventfds"),
        })
    }

    /// Removes all. When this returns, none of them writes any more.
    pub(crate) fn clear(&self) {
        let installed = core::mem::take(&mut *self.installed.lock());

        drop(installed);
    }

    /// VFIO_DEVICE_IOEVENTFD
    ///
    /// # Errors
    ///
    /// EFAULT; EINVAL for what is malformed, not in a BAR, or in the MSI-X table; EBUSY, ENOMEM or
    /// ENODEV if the BAR could not be mapped; EEXIST for a target that has an eventfd, ENODEV if
    /// one without is to have none; ENOSPC for too many; EBADF or EINVAL for what is not an
    /// eventfd.
    pub(crate) fn set(
        &self,
        function: &Function,
        memory: &Arc<MemoryLock>,
        opened: &Arc<Opened>,
        arg: usize,
    ) -> Result<isize> {
        match Request::parse(arg)? {
            Request::Add(target, fd) => {
                self.add(Doorbell::new(function, memory, opened, target)?, fd)?;
            }
            Request::Remove(target) => {
                Doorbell::new(function, memory, opened, target)?;
                self.remove(target)?;
            }
        }

        Ok(0)
    }

    fn remove(&self, target: Target) -> Result {
        let mut installed = self.installed.lock();
        let index = installed
            .iter()
            .position(|entry| entry.target == target)
            .ok_or(ENODEV)?;
        let removed = installed.remove(index);
        drop(installed);
        // Waits for the work item without the lock.
        drop(removed);

        Ok(())
    }

    fn add(&self, doorbell: Doorbell, fd: i32) -> Result {
        let target = doorbell.target;
        let mut installed = self.installed.lock();
        if installed.iter().any(|entry| entry.target == target) {
            return Err(EEXIST);
        }
        if installed.len() >= MAX {
            return Err(ENOSPC);
        }
        installed.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let mut virqfd = None;
        let handler = Arc::new(doorbell, GFP_KERNEL_ACCOUNT)?;
        Virqfd::install(&mut virqfd, fd, handler)?;
        installed.push(
            Installed {
                target,
                _virqfd: virqfd,
            },
            GFP_KERNEL_ACCOUNT,
        )?;

        Ok(())
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_ioeventfd)]
mod tests {
    use super::*;

    fn raw(flags: u32, offset: u64, fd: i32) -> IoEventFd {
        IoEventFd {
            argsz: 28,
            flags,
            offset,
            data: 0,
            fd,
        }
    }

    fn target(offset: u64, width: Width) -> Target {
        Target {
            bar: 0,
            offset,
            width,
            value: 0,
        }
    }

    // PARITY: 6-75.
    #[test]
    fn malformed_requests_are_refused() {
        assert!(Request::check(&raw(4, 0, 0)).is_ok());
        for flags in [0, 3, 5, 15, 16, 0x14] {
            assert!(Request::check(&raw(flags, 0, 0)).is_err());
        }
        assert!(Request::check(&raw(4, 0, -1)).is_ok());
        assert!(Request::check(&raw(4, 0, -2)).is_err());
        assert!(Request::check(&raw(4, 6 << 40, 0)).is_err());
        assert!(Request::check(&raw(4, 1 << 63, 0)).is_err());
        assert!(Request::check(&raw(4, u64::MAX, 0)).is_err());
        assert!(Request::check(&IoEventFd {
            argsz: 27,
            ..raw(4, 0, 0)
        })
        .is_err());
    }

    #[test]
    fn targets_are_within_their_bar() {
        assert_eq!(target(12, Width::Dword).range(16), Some(12..16));
        assert_eq!(target(13, Width::Dword).range(16), None);
        assert_eq!(target(12, Width::Dword).range(15), None);
        assert_eq!(target(0, Width::Byte).range(0), None);
        assert_eq!(target(u64::MAX, Width::Byte).range(u64::MAX), None);
    }

    #[test]
    fn ranges_overlap_if_they_share_an_offset() {
        assert!(overlap(&(0..4), &(3..8)));
        assert!(overlap(&(3..8), &(0..4)));
        assert!(overlap(&(0..8), &(2..4)));
        assert!(!overlap(&(0..4), &(4..8)));
        assert!(!overlap(&(4..8), &(0..4)));
    }
}
