// SPDX-License-Identifier: GPL-2.0

//! Release notifiers: who put a device's memory somewhere is told before the
//! device is released.
//!
//! # Lock order, outermost first
//!
//! 1. group lock, device-set lock: held while notifiers are called;
//! 2. the locks that handlers take, such as that of a type1 container;
//! 3. mmap lock: registrations are made under it;
//! 4. the lock of a device's notifiers, a leaf: held for no call out of its file.
//!
//! [`lock_order`](crate::lock_order) tells lockdep.
//!
//! So who holds a lock of 2 never takes one of 1; and who drops a
//! [`ReleaseNotifier`] holds none of 2, because that waits for a call in
//! flight.

use crate::{
    abstractions::module_ref::ModuleRef,
    device::Device, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

pub use crate::device::notifiers::{
    ReleaseHandler,
    WatchedMemory, //
};

/// A registered handler. It is called at most once; after this is dropped it is
/// not called, and no call is in flight, unless the handler itself drops this.
///
/// Must not be dropped with a lock held that the handler takes.
///
/// Fields are dropped in order: the last reference to the device needs the code
/// of its bus driver.
#[must_use = "the handler is not called once this is dropped"]
pub struct ReleaseNotifier {
    device: Arc<Device>,
    id: u64,
    memory: WatchedMemory,
    _driver: ModuleRef,
}

impl ReleaseNotifier {
    /// Has `handler`, code of `module`, called before `device` is released. The
    /// module stays loaded until the handler has returned, or this is dropped.
    /// Does not sleep for long: may be called with the mmap lock held.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device is not open, or its release has begun. `ENOMEM`.
    pub fn register(
        device: &Arc<Device>,
        handler: Arc<dyn ReleaseHandler>,
        module: ModuleRef,
    ) -> Result<Self> {
        let driver = device.hold_module()?;
        let (id, memory) = device.notifiers().register(handler, module)?;
        Ok(Self {
            device: device.clone(),
            id,
            memory,
            _driver: driver,
        })
    }

    /// The memory of the device, which is watched: it goes after the handler has been told.
    pub fn memory(&self) -> WatchedMemory {
        self.memory
    }

    /// The device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

impl Drop for ReleaseNotifier {
    fn drop(&mut self) {
        self.device.notifiers().unregister(self.id);
    }
}
