// SPDX-License-Identifier: GPL-2.0

//! An interrupt that arrives on an event file descriptor.

use std::os::fd::{
    AsRawFd,
    BorrowedFd, //
};
use std::time::{
    Duration,
    Instant, //
};

use anyhow::{
    ensure,
    Context,
    Result, //
};
use nix::poll::{
    poll,
    PollFd,
    PollFlags,
    PollTimeout, //
};
use vmm_sys_util::eventfd::{
    EventFd,
    EFD_CLOEXEC,
    EFD_NONBLOCK, //
};

use crate::device::{
    Device,
    IrqKind, //
};

/// How long to wait for an interrupt: an emulator on a busy machine takes its time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Vector 0 of a kind of interrupt, enabled until this is dropped.
pub struct Interrupt<'a> {
    device: &'a Device,
    kind: IrqKind,
    event: EventFd,
}

impl<'a> Interrupt<'a> {
    /// Enables the interrupt.
    ///
    /// # Errors
    ///
    /// Fails when the device has no such interrupt or the kernel refuses it.
    pub fn new(device: &'a Device, kind: IrqKind) -> Result<Self> {
        let event = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).context("eventfd")?;
        device.enable_irq(kind, &event)?;

        Ok(Self {
            device,
            kind,
            event,
        })
    }

    /// Waits for the interrupt; returns how often it came and how long that took.
    ///
    /// # Errors
    ///
    /// Fails when it does not come.
    pub fn wait(&self) -> Result<(u64, Duration)> {
        let start = Instant::now();
        ensure!(
            self.is_signalled(TIMEOUT)?,
            "no {:?} of {} arrived in {} s",
            self.kind,
            self.device.address(),
            TIMEOUT.as_secs()
        );
        let count = self.event.read().context("read of the eventfd")?;

        Ok((count, start.elapsed()))
    }

    /// Whether the interrupt comes within a time.
    ///
    /// # Errors
    ///
    /// Fails when the event file descriptor cannot be waited for.
    pub fn is_signalled(&self, timeout: Duration) -> Result<bool> {
        // SAFETY: The event file descriptor is open as long as `self` lives.
        let event = unsafe { BorrowedFd::borrow_raw(self.event.as_raw_fd()) };
        let mut events = [PollFd::new(event, PollFlags::POLLIN)];

        Ok(poll(&mut events, PollTimeout::try_from(timeout)?).context("poll")? == 1)
    }
}

impl Drop for Interrupt<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.device.disable_irq(self.kind) {
            eprintln!("vfio-demo: {error:#}");
        }
    }
}
