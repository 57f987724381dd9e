// SPDX-License-Identifier: GPL-2.0

//! What protocols between threads need of a lock.
//!
//! Written on `core` alone: in the kernel the lock is a mutex with a queue beside it, on
//! the host it is one of a model checker, which runs the same protocols in every order
//! that threads can take.

use core::ops::DerefMut;

/// The current task is being killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

/// A lock, the data that it guards, and a queue of those who wait for the data to change.
pub trait Monitor {
    /// What the lock guards.
    type Data;

    /// Proof that the lock is held.
    type Guard<'a>: DerefMut<Target = Self::Data>
    where
        Self: 'a;

    /// Takes the lock.
    fn lock(&self) -> Self::Guard<'_>;

    /// Lets go of the lock, and wakes everybody who waits.
    fn wake(&self, guard: Self::Guard<'_>);
}

/// A [`Monitor`] whose queue no signal wakes anybody in.
pub trait Wait: Monitor {
    /// Lets go of the lock, sleeps until somebody calls [`wake()`](Monitor::wake), and
    /// takes it again. Whoever wakes others between the first two of these is not missed.
    fn wait<'a>(&'a self, guard: Self::Guard<'a>) -> Self::Guard<'a>;
}

/// A [`Monitor`] in whose queue tasks can be killed.
pub trait WaitKillable: Monitor {
    /// As [`Wait::wait()`], for who can be killed.
    ///
    /// # Errors
    ///
    /// [`Killed`]: the task is being killed; the lock is not held any more.
    fn wait_killable<'a>(&'a self, guard: Self::Guard<'a>) -> Result<Self::Guard<'a>, Killed>;
}
