// SPDX-License-Identifier: GPL-2.0

//! A mutex in a `static`, what `DEFINE_MUTEX()` is in C.
//!
//! `kernel::sync::global_lock!` wants an unsafe `init()` call before the first
//! use. This one initialises itself at the first use.
//!
//! C header: [`include/linux/mutex.h`](srctree/include/linux/mutex.h)

use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    pin::Pin, //
};
use kernel::{
    str::CStr,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        LockClassKey,
        Mutex,
        MutexGuard, //
    }, //
};

const UNUSED: i32 = 0;
const BUSY: i32 = 1;
const READY: i32 = 2;

/// A mutex that lives in a `static`.
///
/// The data is never dropped: whoever puts owned values into it takes them out
/// again before the module goes.
///
/// # Invariants
///
/// `lock` is initialised, and never moved or dropped, once `state` is `READY`.
pub struct StaticMutex<T> {
    state: Atomic<i32>,
    start: UnsafeCell<Option<T>>,
    lock: UnsafeCell<MaybeUninit<Mutex<T>>>,
    name: &'static CStr,
    key: fn() -> Pin<&'static LockClassKey>,
}

// SAFETY: All access to the data goes through the `Mutex`; `start` and `lock`
// are written by one thread only, the one that moved `state` to `BUSY`.
unsafe impl<T: Send> Sync for StaticMutex<T> {}

impl<T> StaticMutex<T> {
    /// Creates the mutex; use [`static_mutex!`](crate::static_mutex).
    pub const fn new(
        value: T,
        name: &'static CStr,
        key: fn() -> Pin<&'static LockClassKey>,
    ) -> Self {
        Self {
            state: Atomic::new(UNUSED),
            start: UnsafeCell::new(Some(value)),
            lock: UnsafeCell::new(MaybeUninit::uninit()),
            name,
            key,
        }
    }

    /// Takes the mutex. May sleep.
    pub fn lock(&'static self) -> MutexGuard<'static, T> {
        while self.state.load(Acquire) != READY {
            self.initialize();
        }
        // SAFETY: The state is `READY`, so by the type invariant the lock is
        // initialised; `self` is static, so it never moves.
        unsafe { (*self.lock.get()).assume_init_ref() }.lock()
    }

    #[cold]
    fn initialize(&'static self) {
        if self.state.cmpxchg(UNUSED, BUSY, Acquire).is_err() {
            core::hint::spin_loop();
            return;
        }
        // SAFETY: Only the thread that moved the state from `UNUSED` to `BUSY`
        // gets here, once.
        let value = unsafe { (*self.start.get()).take() };
        if let Some(value) = value {
            let init = Mutex::new(value, self.name, (self.key)());
            // SAFETY: As above, the slot is ours alone; it is valid for writes
            // and never moves. A mutex' initialiser cannot fail.
            unsafe { pin_init::raw_init((*self.lock.get()).as_mut_ptr(), init) };
        }
        // INVARIANT: The lock has just been initialised.
        self.state.store(READY, Release);
    }
}

/// Creates a [`StaticMutex`] with a name and a lock class of its own.
#[macro_export]
macro_rules! static_mutex {
    ($value:expr, $name:expr) => {
        $crate::abstractions::static_mutex::StaticMutex::new(
            $value,
            $name,
            || kernel::static_lock_class!(),
        )
    };
}
