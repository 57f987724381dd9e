// SPDX-License-Identifier: GPL-2.0

//! Being a good neighbour in long loops.
//!
//! C headers: [`include/linux/sched.h`](srctree/include/linux/sched.h),
//! [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h)

use kernel::prelude::*;
use vfio::abstractions::bindings;

/// Lets other tasks run if there are any that wait.
pub(crate) fn cond_resched() {
    // SAFETY: Called from sleepable context only, as all code of this module;
    // debug kernels check it.
    unsafe { bindings::vfio_rust_cond_resched() };
}

/// Fails if the current task is being killed.
///
/// # Errors
///
/// `EINTR`: it is.
pub(crate) fn check_killed() -> Result {
    // SAFETY: May be called by any task at any time.
    if unsafe { bindings::vfio_rust_fatal_signal_pending() } {
        Err(EINTR)
    } else {
        Ok(())
    }
}
