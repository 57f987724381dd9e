// SPDX-License-Identifier: GPL-2.0

//! Devices that are reset together.
//!
//! A device without a reset of its own leaves its user's hands as the user left it. It is reset
//! with its whole slot or bus, as soon as nobody uses any of the devices there.
//!
//! # Locking
//!
//! Devices that are reset together are a device set, so the lock of that set keeps them from
//! being opened and closed meanwhile. The lock around the list of devices is held only to change
//! it or to take references from it.

use crate::{
    abstractions::{
        pci_reset::ResetScope,
        pm_runtime::Resumed, //
    },
    device::CoreDevice, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use vfio::{
    abstractions::static_mutex::StaticMutex,
    static_mutex, //
};

/// All devices that are bound to a driver of ours.
static DEVICES: StaticMutex<KVec<Arc<CoreDevice>>> =
    static_mutex!(KVec::new(), c"vfio_pci_reset_set");

/// A device's place among the devices that may be reset together.
pub(crate) struct Membership(Arc<CoreDevice>);

impl Membership {
    /// Adds a device.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn join(device: Arc<CoreDevice>) -> Result<Self> {
        DEVICES.lock().push(device.clone(), GFP_KERNEL_ACCOUNT)?;

        Ok(Self(device))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut devices = DEVICES.lock();
        devices.retain(|device| !Arc::ptr_eq(device, &self.0));
        if devices.is_empty() {
            // A static is not dropped when the module goes: leave nothing allocated in it.
            *devices = KVec::new();
        }
    }
}

/// Returns the devices that are reset together with all others in `scope`.
fn members(scope: ResetScope) -> Result<KVec<Arc<CoreDevice>>> {
    let devices = DEVICES.lock();
    let mut members = KVec::new();
    for device in devices.iter().filter(|device| device.scope() == scope) {
        members.push(device.clone(), GFP_KERNEL)?;
    }

    Ok(members)
}

/// Resets the slot or bus of a device that is being closed, if nobody uses any device there, and
/// one of them needs it. Called with the device-set lock held.
pub(crate) fn reset_if_unused(closing: &CoreDevice) {
    if closing.scope() != ResetScope::Function {
        // If it does not work now, it may when the next one of them is closed.
        let _ = try_reset_if_unused(closing);
    }
}

fn try_reset_if_unused(closing: &CoreDevice) -> Result {
    let members = members(closing.scope())?;
    let is_used = members.iter().any(|member| member.is_open());
    let is_needed = members.iter().any(|member| member.needs_reset());
    let function = closing.function();
    if is_used || !is_needed || !function.can_reset_scope() {
        return Ok(());
    }
    // A device with another driver, even with none, is not ours to reset.
    let are_all_ours = function.all_in_scope(|device| {
        members
            .iter()
            .any(|member| member.function().is_same(device))
    });
    if !are_all_ours {
        return Ok(());
    }

    let mut resumed = KVec::with_capacity(members.len(), GFP_KERNEL)?;
    for member in &members {
        resumed.push(Resumed::new(member.function())?, GFP_KERNEL)?;
    }
    function.try_reset_scope()?;
    for member in &members {
        member.set_needs_reset(false);
    }

    Ok(())
}
