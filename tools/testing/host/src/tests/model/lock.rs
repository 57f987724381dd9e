// SPDX-License-Identifier: GPL-2.0

//! A monitor of the model checker.

use crate::monitor::{
    Killed,
    Monitor,
    Wait,
    WaitKillable, //
};
use loom::sync::{
    Condvar,
    Mutex,
    MutexGuard, //
};

/// A mutex and its queue. At most one thread of a scenario is killed, by
/// [`kill()`](Self::kill); which one is up to the scenario.
pub struct Lock<T> {
    data: Mutex<T>,
    queue: Condvar,
    killed: Mutex<bool>,
}

impl<T> Lock<T> {
    pub fn new(data: T) -> Self {
        Self {
            data: Mutex::new(data),
            queue: Condvar::new(),
            killed: Mutex::new(false),
        }
    }

    /// Whoever waits killably is killed, now and from now on.
    pub fn kill(&self) {
        *self.killed.lock().expect("no thread panics") = true;
        drop(self.lock());
        self.queue.notify_all();
    }
}

impl<T> Monitor for Lock<T> {
    type Data = T;
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        T: 'a;

    fn lock(&self) -> MutexGuard<'_, T> {
        self.data.lock().expect("no thread panics")
    }

    fn wake(&self, guard: MutexGuard<'_, T>) {
        drop(guard);
        self.queue.notify_all();
    }
}

impl<T> Wait for Lock<T> {
    fn wait<'a>(&'a self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.queue.wait(guard).expect("no thread panics")
    }
}

impl<T> WaitKillable for Lock<T> {
    fn wait_killable<'a>(&'a self, guard: MutexGuard<'a, T>) -> Result<MutexGuard<'a, T>, Killed> {
        if *self.killed.lock().expect("no thread panics") {
            return Err(Killed);
        }
        Ok(self.wait(guard))
    }
}
