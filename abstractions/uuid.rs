// SPDX-License-Identifier: GPL-2.0

//! UUIDs.
//!
//! C header: [`include/linux/uuid.h`](srctree/include/linux/uuid.h)

use vfio::abstractions::bindings;

/// Returns the bytes of a random UUID.
pub(crate) fn random() -> [u8; 16] {
    let mut uuid = bindings::uuid_t::default();
    // SAFETY: `uuid` is valid for write.
    unsafe { bindings::uuid_gen(&mut uuid) };

    uuid.b
}
