// SPDX-License-Identifier: GPL-2.0

//! Flags that tasks wait for to be cleared.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)

use core::pin::Pin;
use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    sync::LockClassKey,
    types::Opaque, //
};
use vfio::abstractions::bindings;

/// Sixteen flags, and a queue of those who wait for some of them to be cleared.
#[pin_data]
pub(crate) struct WaitFlags {
    #[pin]
    inner: Opaque<bindings::vfio_rust_wait_flags>,
}

// SAFETY: Flags and queue may be used from any thread.
unsafe impl Send for WaitFlags {}
// SAFETY: The flags are atomic, and the queue has a lock.
unsafe impl Sync for WaitFlags {}

impl WaitFlags {
    /// No flag is set.
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is valid for writes; name and key are static.
                unsafe {
                    bindings::vfio_rust_wait_flags_init(slot, name.as_char_ptr(), key.as_ptr())
                }
            }),
        })
    }

    /// Sets `flags`.
    pub(crate) fn set(&self, flags: u16) {
        // SAFETY: The flags are initialised and pinned.
        unsafe { bindings::vfio_rust_wait_flags_set(self.inner.get(), flags) };
    }

    /// Clears `flags`, and wakes everybody who waits.
    pub(crate) fn clear(&self, flags: u16) {
        // SAFETY: As above.
        unsafe { bindings::vfio_rust_wait_flags_clear(self.inner.get(), flags) };
    }

    /// Sleeps until none of `flags` is set, not to be woken by signals.
    pub(crate) fn wait(&self, flags: u16) {
        // SAFETY: As above.
        unsafe { bindings::vfio_rust_wait_flags_wait(self.inner.get(), flags) };
    }

    /// Sleeps until none of `flags` is set.
    ///
    /// # Errors
    ///
    /// EINTR: the task is being killed.
    pub(crate) fn wait_killable(&self, flags: u16) -> Result {
        // SAFETY: As above.
        to_result(unsafe { bindings::vfio_rust_wait_flags_wait_killable(self.inner.get(), flags) })
    }
}
