// SPDX-License-Identifier: GPL-2.0

//! Limits on how often users can make the kernel say something.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)

use super::bindings;

/// Whether a message may be printed now. The default limit holds for all
/// messages of VFIO together.
///
/// Not inlined: other modules cannot call the C helpers of this one.
#[inline(never)]
pub fn may_print() -> bool {
    // SAFETY: May be called from any context.
    unsafe { bindings::vfio_rust_ratelimit() }
}
