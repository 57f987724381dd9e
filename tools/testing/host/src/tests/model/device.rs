// SPDX-License-Identifier: GPL-2.0

//! A device whose memory is mapped, and its release notifiers.

use super::lock::Lock;
use crate::{
    monitor::Monitor,
    notifier::calls::{
        self,
        Handlers,
        State, //
    }, //
};
use loom::sync::{
    Arc,
    Mutex, //
};
use std::{
    boxed::Box,
    collections::BTreeMap, //
};

/// Told the task that calls it.
pub type Handler = Box<dyn FnOnce(usize) + Send>;

#[derive(Default)]
pub struct Map(BTreeMap<u64, Handler>);

impl Handlers for Map {
    type Handler = Handler;
    type Slot = ();

    fn insert(&mut self, (): (), id: u64, handler: Handler) {
        assert!(self.0.insert(id, handler).is_none());
    }

    fn remove(&mut self, id: u64) -> Option<Handler> {
        self.0.remove(&id)
    }

    fn remove_first(&mut self) -> Option<(u64, Handler)> {
        self.0.pop_first()
    }
}

/// What one open of the device is worth: page frames of an earlier one are somebody else's.
pub type Generation = u64;

/// The device.
pub struct Device {
    pub notifiers: Lock<State<Map>>,
    /// The page frames that a page table leads to, if any.
    frames: Mutex<Option<Generation>>,
    opens: Mutex<Generation>,
}

impl Device {
    pub fn open() -> Arc<Self> {
        let device = Arc::new(Self {
            notifiers: Lock::new(State::new(Map::default())),
            frames: Mutex::new(None),
            opens: Mutex::new(0),
        });
        device.reopen();
        device
    }

    pub fn reopen(&self) {
        let mut opens = self.opens.lock().expect("no thread panics");
        *opens += 1;
        self.notifiers.lock().accept();
        *self.frames.lock().expect("no thread panics") = Some(*opens);
    }

    /// The last file is closed: no page table leads to the device any more, then everybody is
    /// told.
    pub fn release(&self, task: usize) {
        *self.frames.lock().expect("no thread panics") = None;
        calls::notify(&self.notifiers, task, |handler: Handler| handler(task));
    }

    pub fn look_up(&self) -> Option<Generation> {
        *self.frames.lock().expect("no thread panics")
    }

    pub fn register(&self, handler: Handler) -> Option<u64> {
        let result = self.notifiers.lock().register((), handler);
        // The handler goes without the lock.
        result.map_err(drop).ok()
    }

    pub fn unregister(&self, id: u64, task: usize) {
        drop(calls::unregister(&self.notifiers, id, task));
    }
}
