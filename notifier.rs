// SPDX-License-Identifier: GPL-2.0

//! Release notifiers: who put a device's memory somewhere is told before the
//! device is released.
//!
//! # Lock order, outermost first
//!
//! 1. group lock, device-set lock: held while notifiers are called;
//! 2. the locks that handlers take, such as that of a type1 container;
//! 3. mmap lock: registrations are made under it;
//! 4. the lock in here, a leaf: held for no call out of this file.
//!
//! So who holds a lock of 2 never takes one of 1; and who drops a
//! [`ReleaseNotifier`] holds none of 2, because that waits for a call in
//! flight.

use crate::{
    abstractions::module_ref::ModuleRef,
    device::Device, //
};
use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        CondVar,
        Mutex, //
    },
    task::Task, //
};

/// What to do before a device is released.
pub trait ReleaseHandler: Send + Sync {
    /// The device is about to be released: nothing may reach its memory any
    /// more when this returns. Called once, with the device-set lock held; may
    /// sleep, and may register and drop other notifiers.
    fn released(&self);
}

/// A handler and the name of its registration.
struct Entry {
    id: u64,
    handler: Arc<dyn ReleaseHandler>,
}

/// A call in flight: of which registration, by which task.
struct Call {
    id: u64,
    task: usize,
}

struct State {
    /// Whether the device is open and its release has not begun.
    accepting: bool,
    next_id: u64,
    /// In the order of registration.
    entries: KVec<Entry>,
    call: Option<Call>,
}

/// The notifiers of one device.
#[pin_data]
pub(crate) struct ReleaseNotifiers {
    #[pin]
    state: Mutex<State>,
    #[pin]
    returned: CondVar,
}

impl ReleaseNotifiers {
    /// None; registrations fail until the device is opened.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(
                State {
                    accepting: false,
                    next_id: 0,
                    entries: KVec::new(),
                    call: None,
                },
                "vfio_release_notifiers"
            ),
            returned <- new_condvar!("vfio_release_notifier_returned"),
        })
    }

    /// The device is open.
    pub(crate) fn accept(&self) {
        self.state.lock().accepting = true;
    }

    /// The device is about to be released: lets nobody register any more and
    /// calls all handlers, in the order of their registration. May sleep.
    pub(crate) fn notify(&self) {
        let mut state = self.state.lock();
        state.accepting = false;
        while !state.entries.is_empty() {
            let Ok(entry) = state.entries.remove(0) else {
                break;
            };
            state.call = Some(Call {
                id: entry.id,
                task: current_task(),
            });
            drop(state);
            entry.handler.released();
            state = self.state.lock();
            state.call = None;
            self.returned.notify_all();
        }
        state.entries = KVec::new();
    }

    fn register(&self, handler: Arc<dyn ReleaseHandler>) -> Result<u64> {
        let mut state = self.state.lock();
        if !state.accepting {
            return Err(ENODEV);
        }
        let id = state.next_id;
        state.entries.push(Entry { id, handler }, GFP_KERNEL)?;
        // At a billion registrations a second this takes five centuries.
        state.next_id = id.wrapping_add(1);
        Ok(id)
    }

    fn unregister(&self, id: u64) {
        let mut state = self.state.lock();
        state.entries.retain(|entry| entry.id != id);
        while state
            .call
            .as_ref()
            .is_some_and(|call| call.id == id && call.task != current_task())
        {
            self.returned.wait(&mut state);
        }
    }
}

/// The identity of the current task; only ever compared.
fn current_task() -> usize {
    Task::current_raw().addr()
}

/// A registered handler. It is called at most once; after this is dropped it is
/// not called, and no call is in flight, unless the handler itself drops this.
///
/// Must not be dropped with a lock held that the handler takes.
///
/// Fields are dropped in order: the last reference to the device needs the code
/// of its bus driver.
#[must_use = "the handler is not called once this is dropped"]
pub struct ReleaseNotifier {
    device: Arc<Device>,
    id: u64,
    _module: ModuleRef,
}

impl ReleaseNotifier {
    /// Has `handler` called before `device` is released. Does not sleep for
    /// long: may be called with the mmap lock held.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device is not open, or its release has begun. `ENOMEM`.
    pub fn register(device: &Arc<Device>, handler: Arc<dyn ReleaseHandler>) -> Result<Self> {
        let module = device.hold_module()?;
        let id = device.notifiers().register(handler)?;
        Ok(Self {
            device: device.clone(),
            id,
            _module: module,
        })
    }

    /// The device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

impl Drop for ReleaseNotifier {
    fn drop(&mut self) {
        self.device.notifiers().unregister(self.id);
    }
}
