// SPDX-License-Identifier: GPL-2.0

//! Uses of a device: what unregistering it waits for.
//!
//! What is only valid as long as a device is bound to its driver is kept with one of these. So it
//! is here, though nothing in it is unsafe.

use crate::abstractions::{
    module_ref::ModuleRef,
    sync::completion::{
        Completion,
        Wait, //
    }, //
};
use kernel::{
    device,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    },
    time::Jiffies, //
};

/// The uses of a device, the registration itself included; there are none when
/// it is not registered.
///
/// An atomic: with a lock, to begin and end a use is a good part of what opening a
/// device once more takes.
#[pin_data]
pub(crate) struct RegistrationCount {
    count: Atomic<usize>,
    #[pin]
    ended: Completion,
}

impl RegistrationCount {
    /// Of a device that is not registered yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                count: Atomic::new(0),
                ended <- Completion::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Begins the first use, the registration.
    pub(crate) fn register(&self) {
        self.count.store(1, Release);
    }

    /// Begins another use. False if there is none, so there must not be more.
    pub(crate) fn begin(&self) -> bool {
        let mut count = self.count.load(Relaxed);
        while count != 0 {
            let Some(more) = count.checked_add(1) else {
                return false;
            };
            match self.count.cmpxchg(count, more, Acquire) {
                Ok(_) => return true,
                Err(other) => count = other,
            }
        }
        false
    }

    /// Ends a use, which the caller has begun.
    pub(crate) fn end(&self) {
        // Whoever is told that there are none comes after all that was done in them.
        if self.count.fetch_sub(1, Full) == 1 {
            self.ended.complete_all();
        }
    }

    /// Waits until all uses have ended, not to be woken by signals, for at most
    /// `limit`. May sleep.
    pub(crate) fn wait_timeout(&self, limit: Jiffies) -> Wait {
        self.ended.wait_timeout(limit)
    }

    /// Waits until all uses have ended, for at most `limit` or until a signal
    /// arrives. May sleep.
    pub(crate) fn wait_interruptible_timeout(&self, limit: Jiffies) -> Wait {
        self.ended.wait_interruptible_timeout(limit)
    }
}

/// Keeps a device registered, hence bound to its bus driver, and the module of
/// that driver loaded.
#[must_use = "the device may go once this is dropped"]
pub struct RegistrationRef {
    parent: ARef<device::Device>,
    uses: Arc<RegistrationCount>,
    _module: ModuleRef,
}

impl RegistrationRef {
    /// Begins a use, unless there is none.
    pub(crate) fn begin(
        uses: &Arc<RegistrationCount>,
        parent: &ARef<device::Device>,
        module: ModuleRef,
    ) -> Option<Self> {
        uses.begin().then(|| Self {
            parent: parent.clone(),
            uses: uses.clone(),
            _module: module,
        })
    }

    /// The bus driver's device.
    pub fn parent(&self) -> &device::Device {
        &self.parent
    }
}

impl Drop for RegistrationRef {
    fn drop(&mut self) {
        self.uses.end();
    }
}
