// SPDX-License-Identifier: GPL-2.0

//! The interrupts that are no interrupts of the device: ERR and REQ.
//!
//! The host signals them, to say that the device had an error, or that it wants
//! the device back.

use super::request::{
    Data,
    Operand, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};
use vfio::abstractions::fs::eventfd::EventFd;

/// An eventfd that the host signals.
///
/// Changed with the interrupt mutex held, signalled without it: the lock here is
/// a leaf, and the eventfd is signalled when it is released again.
#[pin_data]
pub(super) struct Notifier {
    #[pin]
    eventfd: SpinLock<Option<Arc<EventFd>>>,
}

impl Notifier {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            eventfd <- new_spinlock!(None, "vfio_pci_irq_notifier"),
        })
    }

    /// Signals the eventfd. Returns false if there is none.
    pub(super) fn signal(&self) -> bool {
        let eventfd = self.eventfd.lock().clone();

        match eventfd {
            Some(eventfd) => {
                eventfd.signal();
                true
            }
            None => false,
        }
    }

    /// Takes the eventfd away.
    pub(super) fn clear(&self) {
        self.replace(None);
    }

    fn replace(&self, new: Option<Arc<EventFd>>) {
        // The old one is released after the lock.
        let old = core::mem::replace(&mut *self.eventfd.lock(), new);
        drop(old);
    }

    /// Does the TRIGGER action with `count` elements of data, one at most.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the data makes no sense or there is nothing to signal; those
    /// of [`EventFd::from_fd`]. An error leaves the present eventfd in place.
    pub(super) fn trigger(&self, count: u32, data: &Data<'_>) -> Result {
        match (data, count) {
            (Data::None, 0) if self.eventfd.lock().is_some() => self.clear(),
            (Data::None, 1) if self.signal() => (),
            (Data::None, _) | (_, 0) => return Err(EINVAL),
            _ => match data.operand(0).ok_or(EINVAL)? {
                Operand::Skip => (),
                Operand::Apply => {
                    self.signal();
                }
                Operand::EventFd(-1) => self.clear(),
                Operand::EventFd(fd) if fd < 0 => return Err(EINVAL),
                Operand::EventFd(fd) => {
                    let new = Arc::new(EventFd::from_fd(fd)?, GFP_KERNEL_ACCOUNT)?;
                    self.replace(Some(new));
                }
            },
        }
        Ok(())
    }
}
