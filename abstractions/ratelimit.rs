// SPDX-License-Identifier: GPL-2.0

//! Limits on how often users can make the kernel say something.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)

use crate::abstractions::bindings;
use kernel::types::Opaque;

/// Lets ten messages pass in five seconds, the kernel's default.
///
/// A device has one of its own, so that what its user makes the kernel say about it
/// keeps nobody from learning about another one. What is not about a device has one for
/// each message.
pub struct RateLimit(Opaque<bindings::vfio_rust_ratelimit>);

// SAFETY: The structure has no pointer to itself and belongs to no thread.
unsafe impl Send for RateLimit {}
// SAFETY: Everything that is shared is accessed atomically or under a lock in there.
unsafe impl Sync for RateLimit {}

impl RateLimit {
    /// A limit that has let nothing pass yet.
    pub const fn new() -> Self {
        Self(Opaque::zeroed())
    }

    /// Whether a message may be printed now. Does not sleep.
    ///
    /// Not inlined: other modules cannot call the C helpers of this one.
    #[inline(never)]
    pub fn permits(&self) -> bool {
        // SAFETY: The structure was zero before its first use, as the helper wants it,
        // and stays where it is during the call.
        unsafe { bindings::vfio_rust_ratelimit(self.0.get()) }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}
