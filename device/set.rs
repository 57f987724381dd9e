// SPDX-License-Identifier: GPL-2.0

//! Device sets: devices that are opened, closed and reset under one lock.
//!
//! A bus driver puts devices that a reset affects together into one set.

use crate::{
    abstractions::sync::static_mutex::StaticMutex,
    static_mutex, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// Which set a device belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DeviceSetKey {
    /// One of its own.
    Alone,
    /// That of all devices with the same key: the address of something they
    /// have in common and that outlives them, such as their bus.
    Shared(usize),
}

/// The state of a set; a reference to it proves that its lock is held.
pub struct SetState {
    pub(crate) open_devices: usize,
}

impl SetState {
    /// How many devices of the set are open.
    pub fn open_devices(&self) -> usize {
        self.open_devices
    }
}

/// A device set. Its lock is below the group lock and above everything that a
/// bus driver locks.
#[pin_data]
pub struct DeviceSet {
    key: DeviceSetKey,
    #[pin]
    state: Mutex<SetState>,
}

impl DeviceSet {
    /// The set's lock.
    pub fn lock(&self) -> &Mutex<SetState> {
        &self.state
    }
}

/// A set with a shared key, and how many devices it has.
struct Entry {
    set: Arc<DeviceSet>,
    members: usize,
}

/// The sets with a shared key. A leaf lock: the last reference to a device may
/// be dropped with any other lock held, and that leaves its set.
static SHARED_SETS: StaticMutex<KVec<Entry>> = static_mutex!(KVec::new(), c"vfio_device_sets");

/// A device's place in its set.
pub(crate) struct Membership(Arc<DeviceSet>);

impl Membership {
    /// Joins the set of `key`; the first member creates it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn join(key: DeviceSetKey) -> Result<Self> {
        if key == DeviceSetKey::Alone {
            return Ok(Self(Self::create(key)?));
        }
        let mut sets = SHARED_SETS.lock();
        if let Some(entry) = sets.iter_mut().find(|entry| entry.set.key == key) {
            entry.members = entry.members.saturating_add(1);
            return Ok(Self(entry.set.clone()));
        }
        let set = Self::create(key)?;
        sets.push(
            Entry {
                set: set.clone(),
                members: 1,
            },
            GFP_KERNEL,
        )?;
        Ok(Self(set))
    }

    fn create(key: DeviceSetKey) -> Result<Arc<DeviceSet>> {
        Arc::pin_init(
            pin_init!(DeviceSet {
                key,
                state <- new_mutex!(SetState { open_devices: 0 }, "vfio_device_set"),
            }),
            GFP_KERNEL,
        )
    }

    pub(crate) fn set(&self) -> &DeviceSet {
        &self.0
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if self.0.key == DeviceSetKey::Alone {
            return;
        }
        let mut sets = SHARED_SETS.lock();
        if let Some(entry) = sets
            .iter_mut()
            .find(|entry| Arc::ptr_eq(&entry.set, &self.0))
        {
            entry.members = entry.members.saturating_sub(1);
        }
        sets.retain(|entry| entry.members > 0);
        if sets.is_empty() {
            // The static outlives the module's other data: leave nothing
            // allocated in it.
            *sets = KVec::new();
        }
    }
}
