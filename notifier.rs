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

/// A handler and what keeps its code loaded, dropped in this order.
struct Callback {
    handler: Arc<dyn ReleaseHandler>,
    _module: ModuleRef,
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
    handlers: RBTree<u64, Callback>,
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
        while let Some(callback) = self.begin_call() {
            callback.handler.released();
            // Before the call ends: who waits for that expects that nothing of
            // the handler is left.
            drop(callback);
            self.end_call();
        }
    }

    /// Takes the first handler, if there is any, and says that it is called.
    fn begin_call(&self) -> Option<Callback> {
        let mut state = self.state.lock();
        let (_, node) = state.handlers.cursor_front_mut()?.remove_current();
        let (id, callback) = node.to_key_value();
        state.call = Some(Call {
            id,
            task: current_task(),
        });
        Some(callback)
    }

    fn end_call(&self) {
        self.state.lock().call = None;
        self.returned.notify_all();
    }

    /// Takes the lock once, for [`lock_order`](crate::lock_order).
    pub(crate) fn touch(&self) {
        drop(self.state.lock());
    }

    fn register(&self, handler: Arc<dyn ReleaseHandler>, module: ModuleRef) -> Result<u64> {
        let callback = Callback {
            handler,
            _module: module,
        };
        let slot = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let mut state = self.state.lock();
        if !state.accepting {
            return Err(ENODEV);
        }
        let id = state.next_id;
        state.handlers.insert(slot.into_node(id, callback));
        // At a billion registrations a second this takes five centuries.
        state.next_id = id.wrapping_add(1);
        Ok(id)
    }

    fn unregister(&self, id: u64) {
        let mut state = self.state.lock();
        let callback = state.handlers.remove(&id);
        while state.call.as_ref().is_some_and(|call| call.is_awaited(id)) {
            self.returned.wait(&mut state);
        }
        drop(state);
        // Without the lock: that runs code of whoever registered it.
        drop(callback);
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
    _driver: ModuleRef,
}

impl ReleaseNotifier {
    /// Has `handler`, code of `module`, called before `device` is released. The
    /// module stays loaded until the handler has returned, or this is dropped.
    /// Does not sleep for long: may be called with the mmap lock held.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device is not open, or its release has begun. `ENOMEM`.
    pub fn register(
        device: &Arc<Device>,
        handler: Arc<dyn ReleaseHandler>,
        module: ModuleRef,
    ) -> Result<Self> {
        let driver = device.hold_module()?;
        let id = device.notifiers().register(handler, module)?;
        Ok(Self {
            device: device.clone(),
            id,
            _driver: driver,
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
