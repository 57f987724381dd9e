// SPDX-License-Identifier: GPL-2.0

//! Uses of a device: what unregistering it waits for.

use crate::abstractions::{
    module_ref::ModuleRef,
    sync::completion::{
        Completion,
        Wait, //
    }, //
};
use kernel::{
    device,
    new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        SpinLock, //
    },
    time::Jiffies, //
};

/// The uses of a device, the registration itself included; there are none when
/// it is not registered.
#[pin_data]
pub(crate) struct RegistrationCount {
    #[pin]
    count: SpinLock<usize>,
    #[pin]
    ended: Completion,
}

impl RegistrationCount {
    /// Of a device that is not registered yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                count <- new_spinlock!(0, "vfio_device_uses"),
                ended <- Completion::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Begins the first use, the registration.
    pub(crate) fn register(&self) {
        *self.count.lock() = 1;
    }

    /// Begins another use. False if there is none, so there must not be more.
    fn begin(&self) -> bool {
        let mut count = self.count.lock();
        match count.checked_add(1) {
            Some(more) if *count != 0 => {
                *count = more;
                true
            }
            _ => false,
        }
    }

    /// Ends a use.
    pub(crate) fn end(&self) {
        let mut count = self.count.lock();
        *count = count.saturating_sub(1);
        if *count == 0 {
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
