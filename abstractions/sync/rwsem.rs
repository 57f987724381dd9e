// SPDX-License-Identifier: GPL-2.0

//! Reader-writer semaphores.
//!
//! C header: [`include/linux/rwsem.h`](srctree/include/linux/rwsem.h)

use crate::abstractions::bindings;
use core::{
    cell::UnsafeCell,
    marker::PhantomPinned,
    ops::{
        Deref,
        DerefMut, //
    },
    pin::Pin, //
};
use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    sync::LockClassKey,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

/// A sleeping lock that many readers or one writer hold, with the data that it
/// protects.
///
/// Both sides must be taken and released by the same task.
#[pin_data]
pub struct RwSemaphore<T: ?Sized> {
    #[pin]
    semaphore: Opaque<bindings::rw_semaphore>,
    #[pin]
    _pin: PhantomPinned,
    data: UnsafeCell<T>,
}

// SAFETY: The semaphore may be used from any thread; the data moves with it.
unsafe impl<T: ?Sized + Send> Send for RwSemaphore<T> {}
// SAFETY: Readers share the data (`T: Sync`), a writer has it alone (`T: Send`).
unsafe impl<T: ?Sized + Send + Sync> Sync for RwSemaphore<T> {}

impl<T> RwSemaphore<T> {
    /// Creates a semaphore; use [`new_rwsem!`](crate::new_rwsem).
    pub fn new(
        data: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writes.
            semaphore <- Opaque::ffi_init(|slot| unsafe { init(slot, name, key) }),
            _pin: PhantomPinned,
            data: UnsafeCell::new(data),
        })
    }
}

/// Not inlined: generic code is compiled in the module that uses it, which
/// cannot call the C helpers of this one.
///
/// # Safety
///
/// `slot` must be valid for writes.
#[inline(never)]
unsafe fn init(
    slot: *mut bindings::rw_semaphore,
    name: &'static CStr,
    key: Pin<&'static LockClassKey>,
) {
    // SAFETY: By this function's contract; name and key are static.
    unsafe { bindings::vfio_rust_init_rwsem(slot, name.as_char_ptr(), key.as_ptr()) }
}

impl<T: ?Sized> RwSemaphore<T> {
    /// Takes the semaphore for reading. May sleep.
    pub fn read(&self) -> ReadGuard<'_, T> {
        // SAFETY: The semaphore is initialised and pinned.
        unsafe { bindings::down_read(self.semaphore.get()) };
        ReadGuard {
            lock: self,
            _not_send: NotThreadSafe,
        }
    }

    /// Takes the semaphore for reading. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR`: the task is being killed.
    pub fn read_killable(&self) -> Result<ReadGuard<'_, T>> {
        // SAFETY: The semaphore is initialised and pinned.
        to_result(unsafe { bindings::down_read_killable(self.semaphore.get()) })?;
        Ok(ReadGuard {
            lock: self,
            _not_send: NotThreadSafe,
        })
    }

    /// Takes the semaphore for reading if that is possible at once. Does not sleep.
    pub fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        // SAFETY: The semaphore is initialised and pinned.
        if unsafe { bindings::down_read_trylock(self.semaphore.get()) } == 0 {
            return None;
        }
        Some(ReadGuard {
            lock: self,
            _not_send: NotThreadSafe,
        })
    }

    /// Takes the semaphore for writing. May sleep.
    pub fn write(&self) -> WriteGuard<'_, T> {
        // SAFETY: The semaphore is initialised and pinned.
        unsafe { bindings::down_write(self.semaphore.get()) };
        WriteGuard {
            lock: self,
            _not_send: NotThreadSafe,
        }
    }

    /// Takes the semaphore for writing. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR`: the task is being killed.
    pub fn write_killable(&self) -> Result<WriteGuard<'_, T>> {
        // SAFETY: The semaphore is initialised and pinned.
        to_result(unsafe { bindings::down_write_killable(self.semaphore.get()) })?;
        Ok(WriteGuard {
            lock: self,
            _not_send: NotThreadSafe,
        })
    }

    /// Takes the semaphore for writing if nobody holds it. Does not sleep.
    pub fn try_write(&self) -> Option<WriteGuard<'_, T>> {
        // SAFETY: The semaphore is initialised and pinned.
        if unsafe { bindings::down_write_trylock(self.semaphore.get()) } == 0 {
            return None;
        }
        Some(WriteGuard {
            lock: self,
            _not_send: NotThreadSafe,
        })
    }
}

/// Proof that an [`RwSemaphore`] is held for reading.
#[must_use = "the semaphore is released when the guard is dropped"]
pub struct ReadGuard<'a, T: ?Sized> {
    lock: &'a RwSemaphore<T>,
    _not_send: NotThreadSafe,
}

// SAFETY: A shared guard gives shared access to the data only.
unsafe impl<T: ?Sized + Sync> Sync for ReadGuard<'_, T> {}

impl<T: ?Sized> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The read side is held, so there is no writer.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: The guard's existence shows that this task holds the read side.
        unsafe { bindings::up_read(self.lock.semaphore.get()) };
    }
}

/// Proof that an [`RwSemaphore`] is held for writing.
#[must_use = "the semaphore is released when the guard is dropped"]
pub struct WriteGuard<'a, T: ?Sized> {
    lock: &'a RwSemaphore<T>,
    _not_send: NotThreadSafe,
}

// SAFETY: A shared guard gives shared access to the data only.
unsafe impl<T: ?Sized + Sync> Sync for WriteGuard<'_, T> {}

impl<T: ?Sized> WriteGuard<'_, T> {
    /// Releases the semaphore for as long as `action` runs. Others may change
    /// the data meanwhile.
    pub fn unlocked<R>(&mut self, action: impl FnOnce() -> R) -> R {
        struct Relock<'a>(&'a Opaque<bindings::rw_semaphore>);

        impl Drop for Relock<'_> {
            fn drop(&mut self) {
                // SAFETY: The semaphore is initialised and pinned.
                unsafe { bindings::down_write(self.0.get()) };
            }
        }

        // SAFETY: The guard's existence shows that this task holds the write
        // side. It is borrowed until the semaphore is taken again, so nobody
        // has a reference to the data.
        unsafe { bindings::up_write(self.lock.semaphore.get()) };
        let _relock = Relock(&self.lock.semaphore);
        action()
    }
}

impl<T: ?Sized> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The write side is held by this guard alone.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: The write side is held by this guard alone.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: The guard's existence shows that this task holds the write side.
        unsafe { bindings::up_write(self.lock.semaphore.get()) };
    }
}

/// Creates an initialiser of an [`RwSemaphore`] with a lock class of its own.
#[macro_export]
macro_rules! new_rwsem {
    ($value:expr, $name:expr) => {
        $crate::abstractions::sync::rwsem::RwSemaphore::new(
            $value,
            $name,
            kernel::static_lock_class!(),
        )
    };
}
