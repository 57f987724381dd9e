// SPDX-License-Identifier: GPL-2.0

//! The lock order of a device's release, told to lockdep when modules load.
//!
//! Lockdep knows an order once the locks have been taken in it. Several crates
//! are part of this one, and it occurs as a whole only when a device is closed
//! whose memory another one can reach. So each crate takes its locks once in
//! order, right when it is loaded, and who takes two of them the wrong way round
//! is told at once, whatever has been going on before.

use crate::{
    abstractions::c_driver::device_set,
    container::group::Users,
    device::{
        notifiers::ReleaseNotifiers,
        set::{
            DeviceSetKey,
            Membership, //
        },
        user_memory::Listener, //
    }, //
};
use kernel::{
    current,
    prelude::*, //
};

/// Takes the locks under which release handlers are called, then calls
/// `handler`, which takes those that its crate's handlers take. It is given a
/// function that takes the lock under which a handler is registered. Does
/// nothing on kernels that do not check lock orders.
///
/// # Errors
///
/// `ENOMEM`.
pub fn prime(handler: &mut dyn FnMut(&dyn Fn())) -> Result {
    if !cfg!(CONFIG_PROVE_LOCKING) {
        return Ok(());
    }
    let group = KBox::pin_init(Users::new_lock(), GFP_KERNEL)?;
    let set = Membership::join(DeviceSetKey::Alone)?;
    let notifiers = KBox::pin_init(ReleaseNotifiers::new(), GFP_KERNEL)?;

    let _group = group.lock();
    let _set = set.set().lock().lock();
    device_set::prime_lock_order(|| Listener::prime_lock_order(|| with_mmap_lock(|| ())))??;
    handler(&|| notifiers.touch());
    Ok(())
}

/// Calls `inner` with the mmap lock held, if the task has an address space: who
/// loads a module has, but not the kernel that starts with it built in.
pub fn with_mmap_lock(inner: impl FnOnce()) {
    if let Some(mm) = current!().mm() {
        let _mmap = mm.mmap_read_lock();
        inner();
    }
}
