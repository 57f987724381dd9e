// SPDX-License-Identifier: GPL-2.0

//! Enabling the virtual functions of a physical function that a user may have.
//!
//! They are given to the same driver, as no other can trust whoever has the physical function.

use crate::{
    abstractions::{
        pci::{
            sriov::{
                driver_name,
                EnabledSriov,
                Watch,
                Watcher, //
            },
            Function, //
        },
        pm_runtime::Resumed, //
    },
    config::PowerState,
    memory::MemoryLock,
    physical::{
        Entry,
        Listed, //
    },
    vf_token::Role, //
};
use kernel::{
    device::Core,
    pci,
    prelude::*,
    str::CString,
    sync::Arc, //
};

/// A function that stays in D0, whatever its user wants: virtual functions cannot work without.
struct KeptInD0(Arc<MemoryLock>);

impl KeptInD0 {
    fn new(memory: Arc<MemoryLock>) -> Self {
        let mut exclusive = memory.exclusive();
        // If it does not wake up, enabling its virtual functions fails.
        let _ = exclusive.set_power_state(PowerState::D0);
        exclusive.keep_in_d0(true);
        drop(exclusive);

        Self(memory)
    }
}

impl Drop for KeptInD0 {
    fn drop(&mut self) {
        self.0.exclusive().keep_in_d0(false);
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

/// The virtual functions of a function that is bound, to be [disabled](Self::disable) before that
/// is unbound.
///
/// Fields are dropped in order.
pub(crate) struct VirtualFunctions {
    enabled: EnabledSriov,
    _watch: Pin<KBox<Watch<Capture>>>,
    _in_d0: KeptInD0,
    _listed: Listed,
    _resumed: Resumed<Function>,
}

impl VirtualFunctions {
    /// Enables `count` virtual functions of `device`, which `function` is, with this role and this
    /// memory lock.
    ///
    /// # Errors
    ///
    /// ENOENT if it is no physical function, ENOMEM, that of the resume, or that of the PCI core.
    pub(crate) fn enable(
        device: &pci::Device<Core<'_>>,
        function: &Function,
        role: &Role,
        memory: &Arc<MemoryLock>,
        count: u32,
    ) -> Result<Self> {
        let token = role.own_token().ok_or(ENOENT)?;
        let capture = Capture {
            physical: function.clone(),
            driver: driver_name(device)?,
        };
        let listed = Listed::new(Entry {
            physical: function.clone(),
            token: token.clone(),
            memory: memory.clone(),
        })?;
        let resumed = Resumed::new(function.clone())?;
        let in_d0 = KeptInD0::new(memory.clone());
        let watch = KBox::pin_init(Watch::new(function.clone(), capture), GFP_KERNEL)?;

        Ok(Self {
            enabled: EnabledSriov::new(device, count)?,
            _watch: watch,
            _in_d0: in_d0,
            _listed: listed,
            _resumed: resumed,
        })
    }

    /// Removes them from `device`, and waits until nobody uses them.
    pub(crate) fn disable(self, device: &pci::Device<Core<'_>>) {
        self.enabled.disable(device);
    }
}
