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
///
/// Who sets, clears and sets them again all the time would never let anybody through: most often he
/// is back before those whom he has woken have come to run. So who waits takes a [`Turn`] first,
/// and who is about to set a flag gives way to those who have one.
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

    /// Has others give way, as long as the result exists, once no flag is set any more.
    pub(crate) fn take_turn(&self) -> Turn<'_> {
        // SAFETY: As above.
        unsafe { bindings::vfio_rust_wait_flags_begin_turn(self.inner.get()) };
        Turn(self)
    }

    /// Sleeps until nobody has a turn, or a flag is set, not to be woken by signals.
    pub(crate) fn give_way(&self) {
        // SAFETY: As above.
        unsafe { bindings::vfio_rust_wait_flags_give_way(self.inner.get()) };
    }

    /// Sleeps until nobody has a turn, or a flag is set.
    ///
    /// # Errors
    ///
    /// EINTR: the task is being killed.
    pub(crate) fn give_way_killable(&self) -> Result {
        // SAFETY: As above.
        to_result(unsafe { bindings::vfio_rust_wait_flags_give_way_killable(self.inner.get()) })
    }
}

/// The right to have others give way.
#[must_use = "nobody gives way any more once this is dropped"]
pub(crate) struct Turn<'a>(&'a WaitFlags);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // SAFETY: The flags are initialised and pinned, and the turn was begun.
        unsafe { bindings::vfio_rust_wait_flags_end_turn(self.0.inner.get()) };
    }
}
