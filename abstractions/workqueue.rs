// SPDX-License-Identifier: GPL-2.0

//! What the kernel crate's work queues lack: waiting for one work item, and the
//! system queue under its present name.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use crate::abstractions::bindings;
use kernel::workqueue::{
    Queue,
    Work, //
};

/// The system's queue for work that needs no particular CPU (`system_dfl_wq`).
///
/// The kernel crate offers only its predecessors, on which the kernel reports
/// every use as deprecated.
pub fn system() -> &'static Queue {
    // SAFETY: The queue is made before any module is loaded, and it stays; the
    // variable does not change any more.
    unsafe { Queue::from_raw(bindings::system_dfl_wq) }
}

/// Waits until `work` is neither queued nor running.
///
/// Returns whether there was anything to wait for. A work item that is queued
/// again meanwhile is not waited for. Sleeps; must not be called from the work
/// item itself, nor with a lock held that the work item takes.
pub fn flush<T, const ID: u64>(work: &Work<T, ID>) -> bool {
    // SAFETY: The reference is valid for the pointer's use.
    let raw = unsafe { Work::raw_get(work) };
    // SAFETY: A `Work` is initialised from its construction on, and the
    // reference keeps it alive until the call returns.
    unsafe { bindings::flush_work(raw) }
}
