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
//! [`lock_order`](crate::lock_order) tells lockdep.
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
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        Arc,
        CondVar,
        Mutex, //
    },
    task::Task, //
};

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
mod tests;

/// What to do before a device is released.
pub trait ReleaseHandler: Send + Sync {
    /// The device is about to be released: nothing may reach its memory any
    /// more when this returns. Called once, with the device-set lock held, and
    /// that of the group if the last file came from there; may sleep, and may
    /// register and drop other notifiers.
    fn released(&self);
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
    /// By the name of their registration, hence in the order of registration.
    /// There may be one for each mapping of a container, tens of thousands, so
    /// neither adding nor removing one looks at all others.
    handlers: RBTree<u64, Arc<dyn ReleaseHandler>>,
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
                    handlers: RBTree::new(),
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
        self.state.lock().accepting = false;
        while let Some(handler) = self.begin_call() {
            handler.released();
            // Before the call ends: who waits for that may unload the code of
            // the handler next.
            drop(handler);
            self.end_call();
        }
    }

    /// Takes the first handler, if there is any, and says that it is called.
    fn begin_call(&self) -> Option<Arc<dyn ReleaseHandler>> {
        let mut state = self.state.lock();
        let (_, node) = state.handlers.cursor_front_mut()?.remove_current();
        let (id, handler) = node.to_key_value();
        state.call = Some(Call {
            id,
            task: current_task(),
        });
        Some(handler)
    }

    fn end_call(&self) {
        self.state.lock().call = None;
        self.returned.notify_all();
    }

    /// Takes the lock once, for [`lock_order`](crate::lock_order).
    pub(crate) fn touch(&self) {
        drop(self.state.lock());
    }

    fn register(&self, handler: Arc<dyn ReleaseHandler>) -> Result<u64> {
        let slot = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let mut state = self.state.lock();
        if !state.accepting {
            return Err(ENODEV);
        }
        let id = state.next_id;
        state.handlers.insert(slot.into_node(id, handler));
        // At a billion registrations a second this takes five centuries.
        state.next_id = id.wrapping_add(1);
        Ok(id)
    }

    fn unregister(&self, id: u64) {
        let mut state = self.state.lock();
        let handler = state.handlers.remove(&id);
        while state.call.as_ref().is_some_and(|call| call.is_awaited(id)) {
            self.returned.wait(&mut state);
        }
        drop(state);
        // Without the lock: that runs code of whoever registered it.
        drop(handler);
    }
}

impl Call {
    /// Whether it is one of the registration `id`, and made by another task,
    /// for which the current one can wait.
    fn is_awaited(&self, id: u64) -> bool {
        self.id == id && self.task != current_task()
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
