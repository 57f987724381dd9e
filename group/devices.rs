// SPDX-License-Identifier: GPL-2.0

//! The devices of a group, as its users find them.

use crate::{
    container::group::Group,
    device::{
        Device,
        RegisteredDevice, //
    }, //
};
use kernel::{
    new_mutex,
    prelude::*,
    str::CStr,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// A group with its devices: what its node leads to.
#[pin_data]
pub(crate) struct GroupDevices {
    group: Arc<Group>,
    #[pin]
    devices: Mutex<KVec<Arc<Device>>>,
}

impl GroupDevices {
    /// Those of `group`: none yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(group: Arc<Group>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                group,
                devices <- new_mutex!(KVec::new(), "vfio_group_devices"),
            }),
            GFP_KERNEL,
        )
    }

    /// The group.
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Lets users find `device` by name.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn publish(&self, device: Arc<Device>) -> Result {
        Ok(self.devices.lock().push(device, GFP_KERNEL)?)
    }

    /// Hides `device` from users again.
    pub(crate) fn withdraw(&self, device: &Device) {
        let mut devices = self.devices.lock();
        devices.retain(|other| !core::ptr::eq(&**other, device));
        if devices.is_empty() {
            *devices = KVec::new();
        }
    }

    /// Runs `visit` for every device of the group until it returns `false`;
    /// returns whether it never did.
    pub(crate) fn all_devices(&self, visit: impl Fn(&Device) -> bool) -> bool {
        self.devices.lock().iter().all(|device| visit(device))
    }

    /// Finds the device that `name` names and keeps it registered.
    ///
    /// # Errors
    ///
    /// `ENODEV`: there is none. `EINVAL`, `EACCES`: the options behind the
    /// name are wrong.
    pub(crate) fn find(&self, name: &CStr) -> Result<RegisteredDevice> {
        for device in self.devices.lock().iter() {
            if device.matches(name)? {
                if let Some(registered) = RegisteredDevice::begin(device) {
                    return Ok(registered);
                }
            }
        }
        Err(ENODEV)
    }
}
