// SPDX-License-Identifier: GPL-2.0

//! What drivers of PCI devices for users differ in.
//!
//! A driver implements [`DeviceDriver`] and is registered as
//! `kernel::driver::Registration<Adapter<T>>`; what the bus tells it of a device goes to the
//! [`Binding`] of that.

use crate::{
    binding::Binding,
    device::Options,
    driver::{
        Driver,
        DynamicIds,
        IdTable,
        Probed, //
    },
    variant::Variant, //
};
use kernel::{
    device::Core,
    pci,
    prelude::*,
    ThisModule, //
};

/// A driver that gives PCI devices to users.
pub trait DeviceDriver: 'static {
    /// The driver's name in sysfs.
    const NAME: &'static CStr;

    /// The module of the driver: `this_module::<LocalModule>()`.
    fn module() -> &'static ThisModule;

    /// The devices that the driver binds to.
    fn id_table() -> IdTable;

    /// How a device that is being bound is to be handled.
    fn options() -> Options {
        Options::default()
    }

    /// What the driver adds to `device`, which is being bound.
    ///
    /// # Errors
    ///
    /// Any error refuses the device.
    fn variant(device: &pci::Device<Core<'_>>) -> Result<Option<KBox<dyn Variant>>> {
        let _ = device;
        Ok(None)
    }

    /// May the driver bind to `device`?
    ///
    /// # Errors
    ///
    /// Any error refuses the device.
    fn check(device: &pci::Device<Core<'_>>) -> Result {
        let _ = device;
        Ok(())
    }

    /// May virtual functions be enabled through sysfs?
    fn enables_virtual_functions() -> bool {
        false
    }

    /// The driver has been registered.
    fn registered(ids: &DynamicIds<'_>) {
        let _ = ids;
    }
}

impl<T: DeviceDriver> Driver for T {
    type Data = Binding;

    const NAME: &'static CStr = <T as DeviceDriver>::NAME;

    fn id_table() -> IdTable {
        <T as DeviceDriver>::id_table()
    }

    fn prepare(device: &pci::Device<Core<'_>>) -> impl PinInit<Binding, Error> {
        T::variant(device).and_then(|variant| Binding::new(device, T::options(), variant))
    }

    fn bind(device: &Probed<'_>, data: Pin<&Binding>) -> Result {
        T::check(device)?;

        data.start(device, T::module())
    }

    fn configure_virtual_functions(
        device: &pci::Device<Core<'_>>,
        data: Pin<&Binding>,
        count: u32,
    ) -> Result<u32> {
        if !T::enables_virtual_functions() {
            return Err(ENOENT);
        }

        data.configure_virtual_functions(device, count)
    }

    fn registered(ids: &DynamicIds<'_>) {
        <T as DeviceDriver>::registered(ids);
    }
}
