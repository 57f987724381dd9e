// SPDX-License-Identifier: GPL-2.0

//! A device from probe to remove.
//!
//! A driver of PCI devices for users implements [`Driver`](crate::driver::Driver) with a
//! [`Binding`] as its data: what the bus tells of a device goes there. It is registered by
//! `kernel::module_driver!`, as an [`Adapter`](crate::driver::Adapter).

use crate::{
    abstractions::{
        c_driver::pci_device::{
            self,
            CPciDevice, //
        },
        pci::{
            driver::{
                ChannelState,
                DriverData,
                Probed, //
            },
            reset::ResetScope,
            vga::VgaClient, //
        },
        pm_runtime::Allowed, //
    },
    config::PowerState,
    device::{
        CoreDevice,
        Options, //
    },
    reset_set::Membership,
    sriov::VirtualFunctions,
    variant::Variant,
    vga, //
};
use kernel::{
    device::Core,
    new_mutex,
    pci,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    ThisModule, //
};
use vfio::{
    confinement::Dma,
    device::{
        set::DeviceSetKey,
        Device, //
    },
    registration::Registration, //
};

/// The registration of the device, by a driver in either language.
enum Registered {
    Rust(Registration),
    C(pci_device::Registered),
}

impl Registered {
    fn device(&self) -> &Arc<Device> {
        match self {
            Self::Rust(registration) => registration.device(),
            Self::C(registered) => registered.device(),
        }
    }
}

/// Users may open the device as long as this exists.
struct Service {
    // The order of these matters: when the registration is gone, so are all users.
    registered: Registered,
    _membership: Membership,
    _vga: Option<VgaClient>,
    _power: Allowed,
}

/// Devices that one reset affects are opened and closed one at a time.
fn device_set_key(scope: ResetScope) -> DeviceSetKey {
    match scope {
        ResetScope::Function => DeviceSetKey::Alone,
        ResetScope::Slot(address) | ResetScope::Bus(address) => DeviceSetKey::Shared(address),
    }
}

/// Whose driver it is that a device is bound to.
enum Owner {
    /// That in a module in Rust.
    Module(&'static ThisModule),
    /// One in C, which knows the device as this.
    C(Arc<CPciDevice>),
}

/// A device from probe to remove: what a driver keeps as its data.
pub struct Binding {
    core: Arc<CoreDevice>,
    owner: Owner,
    // In boxes: otherwise every driver compiles the initialisation of the mutexes, with a name of
    // its own for the one lock class.
    service: Pin<KBox<Mutex<Option<Service>>>>,
    /// Changed in callbacks of the bus only, which come one at a time.
    virtual_functions: Pin<KBox<Mutex<Option<VirtualFunctions>>>>,
}

impl Binding {
    /// Prepares a device for a driver in `module`, which may add something to it, without touching
    /// it.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub fn new(
        device: &pci::Device<Core<'_>>,
        module: &'static ThisModule,
        options: Options,
        variant: Option<KBox<dyn Variant>>,
    ) -> Result<Self> {
        let core = CoreDevice::new(device, options, variant)?;

        Self::with_owner(core, Owner::Module(module))
    }

    /// The same for a driver in C.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn of_c_driver(
        device: &pci::Device<Core<'_>>,
        options: Options,
        c_device: Arc<CPciDevice>,
    ) -> Result<Self> {
        let core = CoreDevice::with_c_device(device, options, None, Some(c_device.clone()))?;

        Self::with_owner(core, Owner::C(c_device))
    }

    fn with_owner(core: Arc<CoreDevice>, owner: Owner) -> Result<Self> {
        Ok(Self {
            core,
            owner,
            service: KBox::pin_init(new_mutex!(None, "vfio_pci_service"), GFP_KERNEL)?,
            virtual_functions: KBox::pin_init(
                new_mutex!(None, "vfio_pci_virtual_functions"),
                GFP_KERNEL,
            )?,
        })
    }

    /// Lets a VGA device take part in the arbitration of the legacy addresses.
    fn arbitrate_vga(&self) -> Result<Option<VgaClient>> {
        let function = self.core.function();
        let unused = !vga::has_region(function, self.core.options().disable_vga);

        function
            .is_vga()
            .then(|| VgaClient::new(function, unused))
            .transpose()
    }

    /// Enables `count` virtual functions, or disables them with 0. Returns `count`.
    ///
    /// # Errors
    ///
    /// ENOENT if the device is no physical function, EINVAL if there are virtual functions
    /// already, ENOMEM, that of the resume, or that of the PCI core.
    pub fn configure_virtual_functions(
        &self,
        device: &pci::Device<Core<'_>>,
        count: u32,
    ) -> Result<u32> {
        if count == 0 {
            self.disable_virtual_functions(device);
            return Ok(0);
        }
        if self.virtual_functions.lock().is_some() {
            return Err(EINVAL);
        }
        // The driver is bound to them meanwhile, so no lock is held.
        let core = &self.core;
        let enabled =
            VirtualFunctions::enable(device, core.function(), core.role(), core.memory(), count)?;
        *self.virtual_functions.lock() = Some(enabled);

        Ok(count)
    }

    fn disable_virtual_functions(&self, device: &pci::Device<Core<'_>>) {
        // Waits for their users, without the lock.
        let enabled = self.virtual_functions.lock().take();

        if let Some(enabled) = enabled {
            enabled.disable(device);
        }
    }

    /// The device, if it is available to users.
    fn device(&self) -> Option<Arc<Device>> {
        let service = self.service.lock();

        service
            .as_ref()
            .map(|service| service.registered.device().clone())
    }

    /// The device as this module handles it.
    pub(crate) fn core(&self) -> &Arc<CoreDevice> {
        &self.core
    }

    /// Registers the device with the core.
    ///
    /// # Errors
    ///
    /// Those of [`Registration::new`] or of [`CPciDevice::register`].
    fn register(&self, device: &Probed<'_>) -> Result<Registered> {
        let key = device_set_key(self.core.scope());
        match &self.owner {
            Owner::Module(module) => Registration::new(
                device.as_ref(),
                self.core.clone(),
                key,
                Dma::Physical,
                module,
            )
            .map(Registered::Rust),
            Owner::C(c_device) => c_device
                .register(device, key, self.core.clone())
                .map(Registered::C),
        }
    }
}

impl DriverData for Binding {
    /// Makes the device available to users.
    ///
    /// # Errors
    ///
    /// ENODEV for a VGA device that the arbiter does not know; EINVAL for a bridge, or without an
    /// IOMMU that keeps the device apart; EBUSY for a physical function whose virtual functions are
    /// enabled; ENOMEM; ENOSPC for too many devices.
    fn bind(&self, device: &Probed<'_>) -> Result {
        let function = self.core.function();
        if !function.has_normal_header() {
            return Err(EINVAL);
        }
        // Those who use the virtual functions already have not agreed to an unknown user of the
        // physical one, which can disrupt them.
        if function.virtual_functions() != 0 {
            dev_warn!(device, "Cannot bind to PF with SR-IOV enabled\n");
            return Err(EBUSY);
        }

        let vga = self.arbitrate_vga()?;
        // The PCI core does not know the power state of a function without a driver, and knows
        // no way out of that but to D0. The device works without it, as it is enabled later.
        let _ = self
            .core
            .memory()
            .exclusive()
            .set_power_state(PowerState::D0);
        self.core.remember_config();
        let power = Allowed::new(device, !self.core.options().disable_idle_d3);
        let registered = self.register(device)?;
        let membership = Membership::join(self.core.clone(), registered.device().clone())?;
        *self.service.lock() = Some(Service {
            registered,
            _membership: membership,
            _vga: vga,
            _power: power,
        });

        Ok(())
    }

    fn unbind(&self, device: &pci::Device<Core<'_>>) {
        self.disable_virtual_functions(device);
        let service = self.service.lock().take();

        drop(service);
    }

    fn runtime_suspend(&self) {
        self.core.suspend();
    }

    fn runtime_resume(&self) {
        self.core.resume();
    }

    // The log says so, as the PCI core does for drivers that need not be told.
    fn reset_prepare(&self) {
        dev_warn!(self.core.function(), "resetting\n");
        if let Some(device) = self.device() {
            self.core.begin_reset(&device);
        }
    }

    fn reset_done(&self) {
        self.core.end_reset();
        dev_warn!(self.core.function(), "reset done\n");
    }

    fn error_detected(&self, state: ChannelState) {
        if let Some(device) = self.device() {
            self.core.begin_recovery(&device, state);
        }
    }

    fn link_reset(&self) {
        if let Some(device) = self.device() {
            self.core.memory().cut_off(&device);
        }
    }

    fn error_recovered(&self) {
        self.core.memory().recover();
    }
}
