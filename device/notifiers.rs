// SPDX-License-Identifier: GPL-2.0

//! The release notifiers of one device.

use crate::{
    abstractions::module_ref::ModuleRef,
    monitor::{
        Monitor,
        Wait, //
    }, //
};
use calls::{
    Handlers,
    State, //
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
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        CondVar,
        Mutex,
        MutexGuard, //
    },
    task::Task, //
};

pub mod calls;
#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
mod tests;

/// The memory of a device, by the name of a registration of somebody who is told before it goes.
/// Only a registration makes one: page frames of the device are not found without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedMemory(u64);

impl WatchedMemory {
    /// A name that no other registration has had, of whatever device, so that a late call cannot
    /// hit another one.
    fn next() -> Self {
        static NEXT: Atomic<u64> = Atomic::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// What to do before a device is released.
pub trait ReleaseHandler: Send + Sync {
    /// The device is about to be released: nothing may reach its memory any more when this
    /// returns, which the registration calls `memory`. Called once, with the device-set lock held,
    /// and that of the group if the last file came from there; may sleep, and may register and
    /// drop other notifiers.
    fn released(&self, memory: WatchedMemory);
}

/// A handler and what keeps its code loaded, dropped in this order.
pub(crate) struct Callback {
    handler: Arc<dyn ReleaseHandler>,
    memory: WatchedMemory,
    _module: ModuleRef,
}

/// The callbacks of one device by the name of their registration, hence in the order of
/// registration. There may be one for each mapping of a container, tens of thousands, so
/// neither adding nor removing one looks at all others.
pub(crate) struct Callbacks(RBTree<u64, Callback>);

impl Handlers for Callbacks {
    type Handler = Callback;
    type Slot = RBTreeNodeReservation<u64, Callback>;

    fn insert(&mut self, slot: Self::Slot, id: u64, callback: Callback) {
        self.0.insert(slot.into_node(id, callback));
    }

    fn remove(&mut self, id: u64) -> Option<Callback> {
        self.0.remove(&id)
    }

    fn remove_first(&mut self) -> Option<(u64, Callback)> {
        let (_, node) = self.0.cursor_front_mut()?.remove_current();
        Some(node.to_key_value())
    }
}

/// The notifiers of one device.
#[pin_data]
pub(crate) struct ReleaseNotifiers {
    #[pin]
    state: Mutex<State<Callbacks>>,
    #[pin]
    returned: CondVar,
}

impl Monitor for ReleaseNotifiers {
    type Data = State<Callbacks>;
    type Guard<'a> = MutexGuard<'a, State<Callbacks>>;

    fn lock(&self) -> Self::Guard<'_> {
        self.state.lock()
    }

    fn wake(&self, guard: Self::Guard<'_>) {
        drop(guard);
        self.returned.notify_all();
    }
}

impl Wait for ReleaseNotifiers {
    fn wait<'a>(&'a self, mut guard: Self::Guard<'a>) -> Self::Guard<'a> {
        self.returned.wait(&mut guard);
        guard
    }
}

impl ReleaseNotifiers {
    /// None; registrations fail until the device is opened.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(
                State::new(Callbacks(RBTree::new())),
                "vfio_release_notifiers"
            ),
            returned <- new_condvar!("vfio_release_notifier_returned"),
        })
    }

    /// The device is open.
    pub(crate) fn accept(&self) {
        self.state.lock().accept();
    }

    /// The device is about to be released: lets nobody register any more and
    /// calls all handlers, in the order of their registration. May sleep.
    pub(crate) fn notify(&self) {
        calls::notify(self, current_task(), |callback: Callback| {
            callback.handler.released(callback.memory);
            // Before the call ends: who waits for that expects that nothing of
            // the handler is left.
            drop(callback);
        });
    }

    /// Takes the lock once, for [`lock_order`](crate::lock_order).
    pub(crate) fn touch(&self) {
        drop(self.state.lock());
    }

    /// Has `handler`, code of `module`, called once; returns the name of the registration
    /// among those of the device, and that of the memory.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device is not open, or its release has begun. `ENOMEM`.
    pub(crate) fn register(
        &self,
        handler: Arc<dyn ReleaseHandler>,
        module: ModuleRef,
    ) -> Result<(u64, WatchedMemory)> {
        let memory = WatchedMemory::next();
        let callback = Callback {
            handler,
            memory,
            _module: module,
        };
        let slot = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let registered = self.state.lock().register(slot, callback);
        // What was refused is dropped without the lock.
        registered.map(|id| (id, memory)).map_err(|_| ENODEV)
    }

    /// Undoes [`register()`](Self::register), and waits for a call in flight, unless that is the
    /// current task's.
    pub(crate) fn unregister(&self, id: u64) {
        // Without the lock: that runs code of whoever registered it.
        drop(calls::unregister(self, id, current_task()));
    }
}

/// The identity of the current task; only ever compared.
fn current_task() -> usize {
    Task::current_raw().addr()
}
