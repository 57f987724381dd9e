// SPDX-License-Identifier: GPL-2.0

//! Limits on how often users can make the kernel say something.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)

use vfio::abstractions::bindings;

/// Whether a message may be printed now. The default limit holds for all
/// messages of the module together.
pub(crate) fn may_print() -> bool {
    // SAFETY: May be called from any context.
    unsafe { bindings::vfio_rust_type1_ratelimit() }
}
