// SPDX-License-Identifier: GPL-2.0

//! Enabling the virtual functions of a physical function that a user may have.
//!
//! They are given to the same driver, as no other can trust whoever has the physical function.

use crate::{
    abstractions::{
        pci::{
            Function,
            PowerState, //
        },
        pci_sriov::{
            driver_name,
            Enabled,
            Watch,
            Watcher, //
        },
        pm_runtime::Resumed, //
    },
    device::CoreDevice,
    memory::MemoryLock,
    vf_token::SharedToken, //
};
use kernel::{
    device::Core,
    pci,
    prelude::*,
    str::CString,
    sync::Arc, //
};
use vfio::{
    abstractions::static_mutex::StaticMutex,
    static_mutex, //
};

/// A physical function whose virtual functions are enabled.
struct Entry {
    physical: Function,
    token: Arc<SharedToken>,
    memory: Arc<MemoryLock>,
}

/// All of those. A leaf lock.
static PHYSICAL: StaticMutex<KVec<Entry>> = static_mutex!(KVec::new(), c"vfio_pci_sriov_physical");

/// Returns the token of a physical function, if we have enabled its virtual functions.
pub(crate) fn token_of(physical: &Function) -> Option<Arc<SharedToken>> {
    PHYSICAL
        .lock()
        .iter()
        .find(|entry| entry.physical.is_same(physical))
        .map(|entry| entry.token.clone())
}

/// Returns the memory lock of a physical function, if we have enabled its virtual functions.
pub(crate) fn memory_above(physical: &Function) -> Option<Arc<MemoryLock>> {
    PHYSICAL
        .lock()
        .iter()
        .find(|entry| entry.physical.is_same(physical))
        .map(|entry| entry.memory.clone())
}

/// Lets virtual functions find what they need of their physical one.
struct Listed(Function);

impl Listed {
    fn new(entry: Entry) -> Result<Self> {
        let physical = entry.physical.clone();
        PHYSICAL.lock().push(entry, GFP_KERNEL)?;

        Ok(Self(physical))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut entries = PHYSICAL.lock();
        entries.retain(|entry| !entry.physical.is_same(&self.0));
        if entries.is_empty() {
            // A static is not dropped when the module goes: leave nothing allocated in it.
            *entries = KVec::new();
        }
    }
}

/// A function that stays in D0, whatever its user wants: virtual functions cannot work without.
struct KeptInD0(Arc<CoreDevice>);

impl KeptInD0 {
    fn new(core: Arc<CoreDevice>) -> Self {
        let mut exclusive = core.memory().exclusive();
        // If it does not wake up, enabling its virtual functions fails.
        let _ = exclusive.set_power_state(PowerState::D0);
        exclusive.keep_in_d0(true);
        drop(exclusive);

        Self(core)
    }
}

impl Drop for KeptInD0 {
    fn drop(&mut self) {
        self.0.memory().exclusive().keep_in_d0(false);
    }
}

/// Gives virtual functions to the driver of their physical function.
struct Capture {
    physical: Function,
    driver: CString,
}

impl Watcher for Capture {
    fn added(&self, function: &Function) {
        dev_info!(
            self.physical,
            "Captured SR-IOV VF {} driver_override\n",
            function.name()
        );
        if let Err(error) = function.set_driver_override(&self.driver) {
            dev_warn!(
                self.physical,
                "driver_override of VF {} failed {}\n",
                function.name(),
                error.to_errno()
            );
        }
    }

    fn bound(&self, function: &Function, driver: &CStr) {
        if driver != &*self.driver {
            dev_warn!(
                self.physical,
                "VF {} bound to driver {} while PF bound to driver {}\n",
                function.name(),
                driver,
                &*self.driver
            );
        }
    }
}

/// The virtual functions of a function that is bound. Dropping this removes them, and waits until
/// nobody uses them.
///
/// Fields are dropped in order.
pub(crate) struct VirtualFunctions {
    _enabled: Enabled,
    _watch: Pin<KBox<Watch<Capture>>>,
    _in_d0: KeptInD0,
    _listed: Listed,
    _resumed: Resumed<Function>,
}

impl VirtualFunctions {
    /// Enables `count` virtual functions of `device`, which `core` is for.
    ///
    /// # Errors
    ///
    /// ENOENT if it is no physical function, ENOMEM, that of the resume, or that of the PCI core.
    pub(crate) fn enable(
        device: &pci::Device<Core<'_>>,
        core: &Arc<CoreDevice>,
        count: u32,
    ) -> Result<Self> {
        let function = core.function();
        let token = core.role().own_token().ok_or(ENOENT)?;
        let capture = Capture {
            physical: function.clone(),
            driver: driver_name(device)?,
        };
        let listed = Listed::new(Entry {
            physical: function.clone(),
            token: token.clone(),
            memory: core.memory().clone(),
        })?;
        let resumed = Resumed::new(function.clone())?;
        let in_d0 = KeptInD0::new(core.clone());
        let watch = KBox::pin_init(Watch::new(function.clone(), capture), GFP_KERNEL)?;

        Ok(Self {
            _enabled: Enabled::new(device, count)?,
            _watch: watch,
            _in_d0: in_d0,
            _listed: listed,
            _resumed: resumed,
        })
    }
}
