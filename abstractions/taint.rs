// SPDX-License-Identifier: GPL-2.0

//! Marks of the kernel that tell whoever reads its reports what was done to it.
//!
//! C header: [`include/linux/panic.h`](srctree/include/linux/panic.h)

use crate::abstractions::bindings;

/// Marks the kernel as one that a user has been allowed to disturb: `TAINT_USER`, the
/// `U` of reports. It stays so until the next boot.
pub(crate) fn taint_by_user() {
    // SAFETY: `add_taint()` may be called with any of the flags, in any context.
    unsafe { bindings::add_taint(bindings::TAINT_USER, bindings::lockdep_ok_LOCKDEP_STILL_OK) };
}
