// SPDX-License-Identifier: GPL-2.0

//! A mutex, and a queue of those who wait for what it guards to change.
//!
//! The kernel crate's condition variable cannot be waited for by who is to be woken by
//! SIGKILL alone.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)

use core::pin::Pin;
use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    sync::{
        LockClassKey,
        Mutex,
        MutexGuard, //
    },
    types::Opaque, //
};
use vfio::{
    abstractions::bindings,
    monitor::{
        Killed,
        Monitor,
        WaitKillable, //
    }, //
};

/// A mutex, and those who wait.
#[pin_data]
pub(crate) struct Monitored<T> {
    #[pin]
    data: Mutex<T>,
    #[pin]
    changes: Changes,
}

impl<T> Monitored<T> {
    /// Guards `data`.
    pub(crate) fn new(
        data: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
        queue: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            data <- Mutex::new(data, name, key),
            changes <- Changes::new(name, queue),
        })
    }
}

impl<T: Unpin> Monitor for Monitored<T> {
    type Data = T;
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        T: 'a;

    fn lock(&self) -> MutexGuard<'_, T> {
        self.data.lock()
    }

    fn wake(&self, guard: MutexGuard<'_, T>) {
        let any_sleeper = self.changes.count();
        drop(guard);
        if any_sleeper {
            self.changes.wake();
        }
    }
}

impl<T: Unpin> WaitKillable for Monitored<T> {
    fn wait_killable<'a>(&'a self, guard: MutexGuard<'a, T>) -> Result<MutexGuard<'a, T>, Killed> {
        // Changes are counted with the mutex held: none is missed from here on.
        let seen = self.changes.seen();
        drop(guard);
        self.changes.wait_killable(seen).map_err(|_| Killed)?;
        Ok(self.data.lock())
    }
}

/// A counter of changes, and a queue of those who wait for it to go on.
#[pin_data]
struct Changes {
    #[pin]
    inner: Opaque<bindings::vfio_rust_changes>,
}

// SAFETY: Counter and queue may be used from any thread.
unsafe impl Send for Changes {}
// SAFETY: The counter is atomic, and the queue has a lock.
unsafe impl Sync for Changes {}

impl Changes {
    fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is valid for writes; name and key are static.
                unsafe { bindings::vfio_rust_changes_init(slot, name.as_char_ptr(), key.as_ptr()) }
            }),
        })
    }

    fn seen(&self) -> c_int {
        // SAFETY: The counter is initialised and pinned.
        unsafe { bindings::vfio_rust_changes_seen(self.inner.get()) }
    }

    /// One more change. Whether somebody sleeps who has not seen it.
    fn count(&self) -> bool {
        // SAFETY: As above.
        unsafe { bindings::vfio_rust_changes_count(self.inner.get()) }
    }

    fn wake(&self) {
        // SAFETY: As above.
        unsafe { bindings::vfio_rust_changes_wake(self.inner.get()) };
    }

    /// Sleeps until the counter is not at `seen` any more.
    fn wait_killable(&self, seen: c_int) -> Result {
        // SAFETY: As above.
        to_result(unsafe { bindings::vfio_rust_changes_wait_killable(self.inner.get(), seen) })
    }
}
