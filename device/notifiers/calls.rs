// SPDX-License-Identifier: GPL-2.0

//! The life of a registration: who may register, who is called, who waits for whom.
//!
//! Needs only `core` and a [`Monitor`], so that a model checker on the host runs this file
//! in every order that threads can take.

use crate::monitor::{
    Monitor,
    Wait, //
};

/// The registered handlers, by name.
pub trait Handlers {
    /// What is called.
    type Handler;
    /// Room for one more.
    type Slot;

    /// Adds a handler whose name is higher than that of every other one.
    fn insert(&mut self, slot: Self::Slot, id: u64, handler: Self::Handler);

    /// Removes the handler with the name `id`, if it is there.
    fn remove(&mut self, id: u64) -> Option<Self::Handler>;

    /// Removes the one with the lowest name.
    fn remove_first(&mut self) -> Option<(u64, Self::Handler)>;
}

/// A call in flight: of which registration, by which task.
struct Call {
    id: u64,
    task: usize,
}

impl Call {
    /// Whether it is one of the registration `id`, and made by another task than `task`,
    /// which therefore can wait for it.
    fn is_awaited(&self, id: u64, task: usize) -> bool {
        self.id == id && self.task != task
    }
}

/// What a lock guards: the handlers of one device.
pub struct State<H> {
    /// Whether the device is open and its release has not begun.
    accepting: bool,
    next_id: u64,
    handlers: H,
    call: Option<Call>,
}

/// The device is not open, or its release has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl<H: Handlers> State<H> {
    /// Those of a device that is not open.
    pub const fn new(handlers: H) -> Self {
        Self {
            accepting: false,
            next_id: 0,
            handlers,
            call: None,
        }
    }

    /// The device is open.
    pub fn accept(&mut self) {
        self.accepting = true;
    }

    /// Registers `handler`, and gives its name.
    ///
    /// # Errors
    ///
    /// [`Closed`], with the handler, which is to be dropped without the lock.
    pub fn register(
        &mut self,
        slot: H::Slot,
        handler: H::Handler,
    ) -> Result<u64, (Closed, H::Handler)> {
        if !self.accepting {
            return Err((Closed, handler));
        }
        let id = self.next_id;
        self.handlers.insert(slot, id, handler);
        // At a billion registrations a second this takes five centuries.
        self.next_id = id.wrapping_add(1);
        Ok(id)
    }
}

/// Lets nobody register any more and hands all handlers to `call`, in the order of
/// their registration, without the lock. `task` is the current one.
pub fn notify<M, H>(monitor: &M, task: usize, mut call: impl FnMut(H::Handler))
where
    M: Monitor<Data = State<H>>,
    H: Handlers,
{
    monitor.lock().accepting = false;
    loop {
        let mut state = monitor.lock();
        let Some((id, handler)) = state.handlers.remove_first() else {
            return;
        };
        state.call = Some(Call { id, task });
        drop(state);
        call(handler);
        let mut state = monitor.lock();
        state.call = None;
        monitor.wake(state);
    }
}

/// Removes the registration `id`: when this returns its handler is not called any
/// more, and no call of it is in flight, unless `task`, the current one, makes it.
/// The handler, if it was not called, is to be dropped.
pub fn unregister<M, H>(monitor: &M, id: u64, task: usize) -> Option<H::Handler>
where
    M: Wait<Data = State<H>>,
    H: Handlers,
{
    let mut state = monitor.lock();
    let handler = state.handlers.remove(id);
    while state
        .call
        .as_ref()
        .is_some_and(|call| call.is_awaited(id, task))
    {
        state = monitor.wait(state);
    }
    drop(state);
    handler
}
