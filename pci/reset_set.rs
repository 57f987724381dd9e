// SPDX-License-Identifier: GPL-2.0

//! Devices that are reset together.
//!
//! A device without a reset of its own leaves its user's hands as the user left it. It is reset
//! with its whole slot or bus, as soon as nobody uses any of the devices there. And its user may
//! ask for that reset: see [`crate::hot_reset`].
//!
//! # Locking
//!
//! Devices that are reset together are a device set. The lock of that set keeps them from being
//! opened and closed, and from being bound to other drivers. The lock around the list of devices
//! is held only to change it or to take references from it.

use crate::{
    abstractions::{
        pci::{
            reset::ResetScope,
            Function, //
        },
        pm_runtime::Resumed, //
    },
    device::CoreDevice,
    memory::Held,
    reset::CDriverReset, //
};
use kernel::{
    pci,
    prelude::*,
    sync::Arc, //
};
use vfio::{
    abstractions::sync::static_mutex::StaticMutex,
    device::Device,
    static_mutex, //
};

/// A device in both its forms: that of this driver, and that of the core.
#[derive(Clone)]
pub(crate) struct Member {
    core: Arc<CoreDevice>,
    device: Arc<Device>,
}

impl Member {
    /// The device, to the core.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }
}

/// All devices that are bound to a driver of ours.
static DEVICES: StaticMutex<KVec<Member>> = static_mutex!(KVec::new(), c"vfio_pci_reset_set");

/// A device's place among the devices that may be reset together. Dropping it waits for a reset
/// of them to end.
pub(crate) struct Membership(Member);

impl Membership {
    /// Adds a device.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn join(core: Arc<CoreDevice>, device: Arc<Device>) -> Result<Self> {
        let member = Member { core, device };
        DEVICES.lock().push(member.clone(), GFP_KERNEL_ACCOUNT)?;

        Ok(Self(member))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let _set = self.0.device.set().lock().lock();
        let mut devices = DEVICES.lock();
        devices.retain(|member| !Arc::ptr_eq(&member.core, &self.0.core));
        if devices.is_empty() {
            // A static is not dropped when the module goes: leave nothing allocated in it.
            *devices = KVec::new();
        }
    }
}

/// The devices of ours that are reset together. Made and used with the lock of their device set
/// held, they stay what they are.
pub(crate) struct ResetSet<'a> {
    function: &'a Function,
    members: KVec<Member>,
}

impl<'a> ResetSet<'a> {
    /// Finds the devices that are reset together with `core`.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn of(core: &'a CoreDevice) -> Result<Self> {
        let mut members = KVec::new();
        for member in DEVICES.lock().iter() {
            // A device that is alone in its set is not in that of others without a slot or bus.
            let belongs = match core.scope() {
                ResetScope::Function => core::ptr::eq(&*member.core, core),
                scope => member.core.scope() == scope,
            };
            if belongs {
                members.push(member.clone(), GFP_KERNEL)?;
            }
        }

        Ok(Self {
            function: core.function(),
            members,
        })
    }

    /// The devices.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Returns the device that `device` is, if it is one of these.
    pub(crate) fn find(&self, device: &pci::Device) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| member.core.function().is_same(device))
    }

    /// Can the slot or bus be reset, and are all devices there in the set? One with another
    /// driver, even with none, is not ours to reset.
    pub(crate) fn is_resettable(&self) -> bool {
        self.function.can_reset_scope()
            && self
                .function
                .all_in_scope(|device| self.find(device).is_some())
    }

    /// Wakes all devices up for as long as the result exists.
    ///
    /// # Errors
    ///
    /// That of the first one that does not wake up, ENOMEM.
    pub(crate) fn resumed(&self) -> Result<KVec<Resumed<&Function>>> {
        let mut resumed = KVec::with_capacity(self.members.len(), GFP_KERNEL)?;
        for member in &self.members {
            resumed.push(Resumed::new(member.core.function())?, GFP_KERNEL)?;
        }

        Ok(resumed)
    }

    /// Keeps everybody from the memory of all devices for as long as the result exists, and takes
    /// away what they have of it.
    ///
    /// # Errors
    ///
    /// EAGAIN if somebody else keeps others from the memory of one of them, EBUSY if a driver in C
    /// is at it; EINTR if the task is killed while it waits for those who have waited themselves;
    /// ENOMEM.
    pub(crate) fn hold(&self) -> Result<KVec<Held<'_>>> {
        let mut all = KVec::with_capacity(self.members.len(), GFP_KERNEL)?;
        for member in &self.members {
            let memory = member.core.memory();
            memory.give_way()?;
            let mut held = memory.try_hold_one_of_many()?;
            held.revoke(&member.device);
            all.push(held, GFP_KERNEL)?;
        }

        Ok(all)
    }

    /// Begins the reset of those whose drivers are in C, which ends when the result is dropped.
    ///
    /// # Errors
    ///
    /// EBUSY if such a driver is at the memory of its device, ENOMEM.
    pub(crate) fn begin_of_c_drivers(&self) -> Result<KVec<CDriverReset<'_>>> {
        let mut all = KVec::with_capacity(self.members.len(), GFP_KERNEL)?;
        for member in &self.members {
            if let Some(reset) = CDriverReset::new(&member.core, &member.device, false)? {
                all.push(reset, GFP_KERNEL)?;
            }
        }

        Ok(all)
    }

    /// Resets the slot or bus. Nobody gets at the memory of any device meanwhile: the PCI core
    /// announces the reset to each of them.
    ///
    /// # Errors
    ///
    /// EAGAIN if somebody holds the lock of one of the devices, or that of the reset.
    pub(crate) fn try_reset(&self) -> Result {
        self.function.try_reset_scope()
    }

    /// Is nobody using any of the devices, and has one of them been used since its last reset?
    fn is_due(&self) -> bool {
        !self.members.iter().any(|member| member.core.is_open())
            && self.members.iter().any(|member| member.core.needs_reset())
    }
}

/// Resets the slot or bus of a device that is being closed, if nobody uses any device there, and
/// one of them needs it. If it does not work now, it may when the next one of them is closed.
/// Called with the device-set lock held.
pub(crate) fn reset_if_unused(closing: &CoreDevice) {
    if closing.scope() != ResetScope::Function {
        let _ = try_reset_if_unused(closing);
    }
}

fn try_reset_if_unused(closing: &CoreDevice) -> Result {
    let reset_set = ResetSet::of(closing)?;
    if !reset_set.is_due() || !reset_set.is_resettable() {
        return Ok(());
    }

    let _resumed = reset_set.resumed()?;
    reset_set.try_reset()?;
    for member in reset_set.members() {
        member.core.set_needs_reset(false);
    }

    Ok(())
}
