// SPDX-License-Identifier: GPL-2.0

//! Completions with a time limit.
//!
//! The kernel crate's completion waits without one.
//!
//! C header: [`include/linux/completion.h`](srctree/include/linux/completion.h)

use crate::abstractions::bindings;
use kernel::{
    prelude::*,
    time::Jiffies,
    types::Opaque, //
};

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The event has happened.
    Completed,
    /// The time was over first.
    TimedOut,
    /// A signal came first.
    Interrupted,
}

/// An event that others wait for.
#[pin_data]
pub struct Completion {
    #[pin]
    inner: Opaque<bindings::completion>,
}

// SAFETY: Completions may be used from any thread.
unsafe impl Send for Completion {}
// SAFETY: Every method takes the completion's own lock.
unsafe impl Sync for Completion {}

impl Completion {
    /// Creates an event that has not happened yet.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is valid for writes.
                unsafe { bindings::init_completion(slot) }
            }),
        })
    }

    /// Marks the event as happened and wakes everybody who waits.
    pub fn complete_all(&self) {
        // SAFETY: The completion is initialised and pinned.
        unsafe { bindings::complete_all(self.inner.get()) };
    }

    /// Marks the event as happened for one that waits, now or later, and wakes
    /// it.
    pub fn complete(&self) {
        // SAFETY: The completion is initialised and pinned.
        unsafe { bindings::complete(self.inner.get()) };
    }

    /// Waits, not to be woken by signals, for at most `limit`. May sleep.
    pub fn wait_timeout(&self, limit: Jiffies) -> Wait {
        // SAFETY: The completion is initialised and pinned.
        match unsafe { bindings::wait_for_completion_timeout(self.inner.get(), limit) } {
            0 => Wait::TimedOut,
            _ => Wait::Completed,
        }
    }

    /// Waits for at most `limit` or until a signal arrives. May sleep.
    pub fn wait_interruptible_timeout(&self, limit: Jiffies) -> Wait {
        // SAFETY: The completion is initialised and pinned.
        let left =
            unsafe { bindings::wait_for_completion_interruptible_timeout(self.inner.get(), limit) };
        match left {
            0 => Wait::TimedOut,
            left if left < 0 => Wait::Interrupted,
            _ => Wait::Completed,
        }
    }
}
