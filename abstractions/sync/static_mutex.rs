// SPDX-License-Identifier: GPL-2.0

//! A mutex in a `static`, what `DEFINE_MUTEX()` is in C.
//!
//! `kernel::sync::global_lock!` wants an unsafe `init()` call before the first
//! use. This one initialises itself at the first use.
//!
//! C header: [`include/linux/mutex.h`](srctree/include/linux/mutex.h)

use crate::abstractions::bindings;
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
    },
    types::NotThreadSafe, //
};

/// A mutex that lives in a `static`.
///
/// The data is never dropped: whoever puts owned values into it takes them out
/// again before the module goes.
///
/// # Invariants
///
/// `lock` is initialised, and never moved or dropped, once `ready` is true; until
/// then only who holds the lock of `FirstUse` touches `start` and `lock`.
pub struct StaticMutex<T> {
    ready: Atomic<bool>,
    start: UnsafeCell<Option<T>>,
    lock: UnsafeCell<MaybeUninit<Mutex<T>>>,
    name: &'static CStr,
    key: fn() -> Pin<&'static LockClassKey>,
}

// SAFETY: All access to the data goes through the `Mutex`; by the type invariant
// `start` and `lock` are written by one thread at a time, before there is a `Mutex`.
unsafe impl<T: Send> Sync for StaticMutex<T> {}

impl<T> StaticMutex<T> {
    /// Creates the mutex; use [`static_mutex!`](crate::static_mutex).
    pub const fn new(
        value: T,
        name: &'static CStr,
        key: fn() -> Pin<&'static LockClassKey>,
    ) -> Self {
        Self {
            ready: Atomic::new(false),
            start: UnsafeCell::new(Some(value)),
            lock: UnsafeCell::new(MaybeUninit::uninit()),
            name,
            key,
        }
    }

    /// Takes the mutex. May sleep.
    pub fn lock(&'static self) -> MutexGuard<'static, T> {
        if !self.ready.load(Acquire) {
            self.initialize();
        }
        // SAFETY: `ready` is true, so by the type invariant the lock is
        // initialised; `self` is static, so it never moves.
        unsafe { (*self.lock.get()).assume_init_ref() }.lock()
    }

    /// Whoever comes first does it; others sleep meanwhile, so that it does not matter
    /// who may run before whom.
    #[cold]
    fn initialize(&'static self) {
        let _first_use = FirstUse::begin();
        if self.ready.load(Acquire) {
            return;
        }
        // SAFETY: The mutex is not ready, and the lock of `FirstUse` is held.
        let value = unsafe { (*self.start.get()).take() };
        if let Some(value) = value {
            let init = Mutex::new(value, self.name, (self.key)());
            // SAFETY: As above; the slot is valid for writes and never moves. A
            // mutex' initialiser cannot fail.
            unsafe { pin_init::raw_init((*self.lock.get()).as_mut_ptr(), init) };
        }
        // INVARIANT: The lock has just been initialised.
        self.ready.store(true, Release);
    }
}

/// Proof that a lock is held which all static mutexes share: a mutex of C, which the
/// compiler has initialised.
struct FirstUse(NotThreadSafe);

impl FirstUse {
    /// Not inlined: generic code is compiled in the module that uses it, which
    /// cannot call the C helpers of this one.
    #[inline(never)]
    fn begin() -> Self {
        // SAFETY: Called from sleepable context, as every mutex is taken.
        unsafe { bindings::vfio_rust_first_use_lock() };
        Self(NotThreadSafe)
    }
}

impl Drop for FirstUse {
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: The guard's existence shows that this task holds the lock.
        unsafe { bindings::vfio_rust_first_use_unlock() };
    }
}

/// Creates a [`StaticMutex`] with a name and a lock class of its own.
#[macro_export]
macro_rules! static_mutex {
    ($value:expr, $name:expr) => {
        $crate::abstractions::sync::static_mutex::StaticMutex::new(
            $value,
            $name,
            || kernel::static_lock_class!(),
        )
    };
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_static_mutex)]
mod tests {
    use super::*;
    use kernel::{
        prelude::*,
        static_lock_class,
        task::Task,
        time::{
            delay::fsleep,
            Delta, //
        },
        workqueue, //
    };

    static BEGUN: Atomic<bool> = Atomic::new(false);
    static DONE: Atomic<bool> = Atomic::new(false);
    static SLOW: StaticMutex<u32> = StaticMutex::new(1, c"vfio_slow_first_use", slow_key);

    /// A first use that is interrupted half-way.
    fn slow_key() -> Pin<&'static LockClassKey> {
        BEGUN.store(true, Release);
        fsleep(Delta::from_millis(200));
        static_lock_class!()
    }

    /// How often the current task has gone to sleep.
    fn sleeps() -> usize {
        // SAFETY: The current task exists while it runs, and changes this itself.
        unsafe { (*Task::current_raw()).nvcsw }
    }

    fn sleep_until(event: &Atomic<bool>) {
        while !event.load(Acquire) {
            fsleep(Delta::from_millis(1));
        }
    }

    #[test]
    fn who_comes_second_sleeps_until_the_first_is_ready() -> Result {
        workqueue::system().try_spawn(GFP_KERNEL, || {
            *SLOW.lock() += 1;
            DONE.store(true, Release);
        })?;
        sleep_until(&BEGUN);
        let before = sleeps();
        *SLOW.lock() += 1;
        assert!(sleeps() > before);
        sleep_until(&DONE);
        assert_eq!(*SLOW.lock(), 3);
        Ok(())
    }
}
