// SPDX-License-Identifier: GPL-2.0

//! `VFIO_DEVICE_SET_IRQS`: from the user's argument to the action.

use super::{
    info::known_index,
    intx::Intx,
    msi::Messages,
    request::{
        Action,
        Data,
        Header,
        Index,
        Operand,
        Request,
        HEADER_SIZE, //
    },
    Irqs,
    Mode,
    State, //
};
use crate::{
    abstractions::{
        pci::irq::{
            Allocation,
            MessageKind, //
        },
        uapi::irq::IrqSet, //
    },
    memory::MemoryLock, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};
use vfio::{
    abstractions::fs::eventfd::EventFd,
    device::Device, //
};

/// Reads the fixed part of the argument.
///
/// # Errors
///
/// `EFAULT`, `EINVAL` if there is no such index.
fn read_header(arg: UserPtr) -> Result<Header> {
    let mut reader = UserSlice::new(arg, core::mem::size_of::<IrqSet>()).reader();
    let set: IrqSet = reader.read()?;

    Ok(Header {
        argsz: set.argsz,
        flags: set.flags,
        index: known_index(set.index)?,
        start: set.start,
        count: set.count,
    })
}

/// Reads the data that follows the fixed part.
fn read_data(arg: UserPtr, request: &Request) -> Result<KVVec<u8>> {
    let mut bytes = KVVec::new();
    if request.data_len() != 0 {
        // CAST: 20.
        let start = arg.wrapping_byte_add(HEADER_SIZE as usize);
        UserSlice::new(start, request.data_len()).read_all(&mut bytes, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(bytes)
}

/// Takes a reference on an eventfd; a negative number stands for none.
fn eventfd(fd: i32) -> Result<Option<Arc<EventFd>>> {
    if fd < 0 {
        return Ok(None);
    }
    Ok(Some(Arc::new(EventFd::from_fd(fd)?, GFP_KERNEL_ACCOUNT)?))
}

/// Takes references on all eventfds of a request.
fn eventfds(request: &Request, data: &Data<'_>) -> Result<KVVec<Option<Arc<EventFd>>>> {
    // CAST: A `u32` fits.
    let count = request.count as usize;
    let mut all = KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;

    for nth in 0..count {
        let Some(Operand::EventFd(fd)) = data.operand(nth) else {
            return Err(EINVAL);
        };
        all.push(eventfd(fd)?, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(all)
}

impl Irqs {
    /// Answers `VFIO_DEVICE_SET_IRQS`, whose argument is at the user's address
    /// `arg`.
    ///
    /// Returns zero, or the number of vectors that are to be had if more were
    /// asked for; then nothing was done.
    ///
    /// # Errors
    ///
    /// `EFAULT` and `ENOMEM` from reading the argument, `EINVAL` if it is not
    /// valid or the interrupts are not in a state that allows the action,
    /// `ENOTTY` if the index cannot do it, and those of the action.
    pub(crate) fn set(&self, device: &Device, memory: &MemoryLock, arg: usize) -> Result<isize> {
        let arg = UserPtr::from_addr(arg);
        // User memory is read before the mutex is taken.
        let header = read_header(arg)?;
        let request = Request::new(header, |index| self.count(index))?;
        let bytes = read_data(arg, &request)?;
        let data = Data::new(request.data_type, &bytes);
        let action = request.action()?;

        let mut state = self.state.lock();
        let kind = match request.index {
            Index::Intx => {
                let result = self.set_intx(&mut state.mode, action, &request, &data);
                self.show_mode(&state.mode);
                return result.map(|()| 0);
            }
            Index::Msi => MessageKind::Msi,
            Index::Msix => MessageKind::Msix,
            Index::Error => return self.error.trigger(request.count, &data).map(|()| 0),
            Index::Request => return self.request.trigger(request.count, &data).map(|()| 0),
        };
        let result = self.set_messages(&mut state, kind, &request, &data, device, memory);
        self.show_mode(&state.mode);
        result
    }

    fn set_intx(
        &self,
        mode: &mut Mode,
        action: Action,
        request: &Request,
        data: &Data<'_>,
    ) -> Result {
        // The only interrupt of the index is concerned or none at all.
        let operand = match request.count {
            1 => data.operand(0),
            _ => None,
        };

        match (action, mode) {
            (Action::Trigger, mode @ Mode::Intx(_)) if operand.is_none() && *data == Data::None => {
                *mode = Mode::Disabled;
                Ok(())
            }
            (Action::Trigger, mode) => self.trigger_intx(mode, operand.ok_or(EINVAL)?),
            (Action::Mask, Mode::Intx(_)) => match operand.ok_or(EINVAL)? {
                Operand::EventFd(_) => Err(ENOTTY),
                Operand::Skip => Ok(()),
                Operand::Apply => {
                    self.intx.mask();
                    Ok(())
                }
            },
            (Action::Unmask, Mode::Intx(intx)) => match operand.ok_or(EINVAL)? {
                Operand::EventFd(fd) if fd >= 0 => intx.set_unmask(fd),
                Operand::EventFd(_) => {
                    intx.clear_unmask();
                    Ok(())
                }
                Operand::Skip => Ok(()),
                Operand::Apply => {
                    self.intx.unmask_and_signal();
                    Ok(())
                }
            },
            _ => Err(EINVAL),
        }
    }

    fn trigger_intx(&self, mode: &mut Mode, operand: Operand) -> Result {
        match (operand, mode) {
            (Operand::EventFd(fd), Mode::Intx(intx)) => intx.set_trigger(eventfd(fd)?),
            (Operand::EventFd(fd), mode @ Mode::Disabled) => {
                // Also without an eventfd: then the interrupt is just requested.
                *mode = Mode::Intx(Intx::enable(&self.intx, eventfd(fd)?)?);
            }
            (Operand::Apply, Mode::Intx(_)) => self.intx.signal(),
            (Operand::Skip, Mode::Intx(_)) => (),
            _ => return Err(EINVAL),
        }
        Ok(())
    }

    fn set_messages(
        &self,
        state: &mut State,
        kind: MessageKind,
        request: &Request,
        data: &Data<'_>,
        device: &Device,
        memory: &MemoryLock,
    ) -> Result<isize> {
        match (data, &mut state.mode) {
            (Data::None, Mode::Messages(on)) if on.kind() == kind && request.count == 0 => {
                self.disable(state, memory);
                Ok(0)
            }
            (Data::EventFd(_), Mode::Messages(on)) if on.kind() == kind => {
                on.connect(request.start, eventfds(request, data)?, memory)?;
                Ok(0)
            }
            (Data::EventFd(_), Mode::Disabled) => {
                self.enable_messages(state, kind, request, data, device, memory)
            }
            (_, Mode::Messages(on)) if on.kind() == kind => {
                for (index, nth) in (request.start..).zip(0..request.count as usize) {
                    if data.operand(nth) == Some(Operand::Apply) {
                        on.signal(index);
                    }
                }
                Ok(0)
            }
            _ => Err(EINVAL),
        }
    }

    fn enable_messages(
        &self,
        state: &mut State,
        kind: MessageKind,
        request: &Request,
        data: &Data<'_>,
        device: &Device,
        memory: &MemoryLock,
    ) -> Result<isize> {
        let eventfds = eventfds(request, data)?;
        let count = request.start.saturating_add(request.count);

        let hold = device.hold().ok_or(ENODEV)?;
        let mut messages = match Messages::enable(&self.function, hold, kind, count, memory)? {
            Allocation::Complete(messages) => messages,
            Allocation::Only(available) => {
                return isize::try_from(available).map_err(|_| EOVERFLOW);
            }
        };
        self.messages_enabled(kind, count);
        let result = messages.connect(request.start, eventfds, memory);
        state.mode = Mode::Messages(messages);
        if result.is_err() {
            self.disable(state, memory);
        }
        result.map(|()| 0)
    }
}
