// SPDX-License-Identifier: GPL-2.0

//! PCI drivers that hand their device to user space.
//!
//! The kernel crate's `pci::Driver` sets a name, an id table, probe and remove. A driver of this
//! kind also has to say that it manages the DMA of its devices itself, wants to hear of bus errors,
//! and answers requests for virtual functions. Its id table is one for `driver_override`, and ids
//! can be added at run time, by the driver and through sysfs.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use core::{
    marker::PhantomData,
    ops::Deref, //
};
use kernel::{
    container_of,
    device,
    driver,
    error::{
        from_result,
        to_result, //
    },
    pci,
    prelude::*,
    types::Opaque,
    ThisModule, //
};
use vfio::abstractions::bindings;

/// A table of the devices that a driver binds to.
#[derive(Clone, Copy)]
pub struct IdTable(*const bindings::pci_device_id);

impl IdTable {
    /// Refers to a table made in C.
    ///
    /// # Safety
    ///
    /// `table` must be static, and end with an empty entry.
    pub unsafe fn from_raw(table: *const bindings::pci_device_id) -> Self {
        Self(table)
    }
}

/// Devices that a driver binds to, but only if their `driver_override` names it:
/// without that they are for drivers that use them.
#[repr(C)]
pub struct OverrideIds<const N: usize> {
    ids: [bindings::pci_device_id; N],
    end: bindings::pci_device_id,
}

// SAFETY: The table is never written after its creation, and its driver data is
// not used.
unsafe impl<const N: usize> Sync for OverrideIds<N> {}

impl<const N: usize> OverrideIds<N> {
    /// Makes the table of devices with these vendors and devices.
    pub const fn new(devices: [(u16, u16); N]) -> Self {
        let end: bindings::pci_device_id = pin_init::zeroed();
        let mut ids = [end; N];
        let mut index = 0;
        // There are no iterators in constants; the table is of the same length.
        while index < N {
            let (vendor, device) = devices[index];
            ids[index].vendor = vendor as u32;
            ids[index].device = device as u32;
            ids[index].subvendor = DynamicId::ANY;
            ids[index].subdevice = DynamicId::ANY;
            ids[index].override_only = bindings::PCI_ID_F_VFIO_DRIVER_OVERRIDE;
            index += 1;
        }
        Self { ids, end }
    }
}

impl IdTable {
    /// Refers to a table of devices for `driver_override`.
    pub fn of<const N: usize>(ids: &'static OverrideIds<N>) -> Self {
        // The table is its `N` entries and the empty one behind them.
        Self(core::ptr::from_ref(ids).cast())
    }
}

/// What a dynamic id matches. The default matches anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicId {
    /// Vendor.
    pub vendor: u32,
    /// Device.
    pub device: u32,
    /// Subsystem vendor.
    pub subvendor: u32,
    /// Subsystem device.
    pub subdevice: u32,
    /// Class, as far as `class_mask` covers it.
    pub class: u32,
    /// Which bits of the class count.
    pub class_mask: u32,
}

impl DynamicId {
    /// Matches anything, where a vendor or device is asked for.
    pub const ANY: u32 = !0;
}

impl Default for DynamicId {
    fn default() -> Self {
        Self {
            vendor: Self::ANY,
            device: Self::ANY,
            subvendor: Self::ANY,
            subdevice: Self::ANY,
            class: 0,
            class_mask: 0,
        }
    }
}

/// The ids that are added to a registered driver at run time.
pub struct DynamicIds<'a> {
    driver: &'a Opaque<bindings::pci_driver>,
}

impl DynamicIds<'_> {
    /// Adds an id, and binds the devices that match it and have no driver.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub fn add(&self, id: &DynamicId) -> Result {
        // SAFETY: The driver is registered as long as `self` exists. Driver data is not used.
        to_result(unsafe {
            bindings::pci_add_dynid(
                self.driver.get(),
                id.vendor,
                id.device,
                id.subvendor,
                id.subdevice,
                id.class,
                id.class_mask,
                0,
            )
        })
    }
}

/// The link to a device that reports an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelState {
    /// It works.
    Normal,
    /// It is blocked until recovery has ended.
    Frozen,
    /// It could not be recovered.
    Failed,
}

impl ChannelState {
    pub(in crate::abstractions) fn from_raw(state: bindings::pci_channel_state_t) -> Self {
        match state {
            bindings::pci_channel_io_normal => Self::Normal,
            bindings::pci_channel_io_frozen => Self::Frozen,
            _ => Self::Failed,
        }
    }
}

/// What a driver keeps for each device that it is bound to, and what the bus tells that.
pub trait DriverData: Send + Sync + 'static {
    /// Starts service for a device. The other callbacks may come from here on.
    ///
    /// # Errors
    ///
    /// Any error refuses the device; whatever was started is stopped before it is returned.
    fn bind(&self, device: &Probed<'_>) -> Result;

    /// Ends service for a device. When this returns, nobody uses the device.
    fn unbind(&self, device: &pci::Device<device::Core<'_>>);

    /// Runtime power management is about to suspend the device.
    fn runtime_suspend(&self) {}

    /// Runtime power management has resumed the device.
    fn runtime_resume(&self) {}

    /// The device is about to be reset, by whomever. Until [`Self::reset_done`] nobody may touch
    /// it, users included: that is why there is no default.
    fn reset_prepare(&self);

    /// The reset is over, successful or not, and config space is as it was before.
    fn reset_done(&self);

    /// The bus reported an error of the device. Users may not touch a device whose link is frozen
    /// until [`Self::error_recovered`]: that is why there is no default.
    fn error_detected(&self, state: ChannelState);

    /// The link to the device has been reset, without a call of [`Self::reset_prepare`]. The
    /// device has lost its config space.
    fn link_reset(&self);

    /// Recovery from an error has ended, and the link works. After a fatal error it has been reset,
    /// perhaps without a call of [`Self::link_reset`].
    fn error_recovered(&self);
}

/// A device that is being bound, and has its data: callbacks find that from here on.
///
/// # Invariants
///
/// The driver data of the device is set.
pub struct Probed<'a>(&'a pci::Device<device::Core<'a>>);

impl<'a> Probed<'a> {
    /// A device that a driver in C is binding, which has set its driver data.
    ///
    /// # Safety
    ///
    /// This must be so as long as the result exists; the lock of the device is held.
    pub(in crate::abstractions) unsafe fn of_c_driver(
        device: &'a pci::Device<device::Core<'a>>,
    ) -> Self {
        // INVARIANT: By this function's contract.
        Self(device)
    }

    /// Is it this one?
    pub(in crate::abstractions) fn is(&self, raw: *const bindings::pci_dev) -> bool {
        core::ptr::from_ref(self.0).addr() == raw.addr()
    }
}

impl<'a> Deref for Probed<'a> {
    type Target = pci::Device<device::Core<'a>>;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

/// A PCI driver that hands its devices to user space.
pub trait Driver: 'static {
    /// What the driver keeps for each device that it is bound to.
    type Data: DriverData;

    /// The driver's name in sysfs.
    const NAME: &'static CStr;

    /// The devices that the driver binds to.
    fn id_table() -> IdTable;

    /// Makes the data for a device, without touching the device.
    ///
    /// # Errors
    ///
    /// Any error refuses the device.
    fn probe(device: &pci::Device<device::Core<'_>>) -> Result<Self::Data>;

    /// Somebody asked through sysfs for `count` virtual functions. Returns how many there are then.
    ///
    /// # Errors
    ///
    /// ENOENT if the driver does not do this.
    fn sriov_configure(
        device: &pci::Device<device::Core<'_>>,
        data: &Self::Data,
        count: u32,
    ) -> Result<u32> {
        let _ = (device, data, count);
        Err(ENOENT)
    }

    /// The driver has been registered.
    fn registered(ids: &DynamicIds<'_>) {
        let _ = ids;
    }
}

/// Makes a [`Driver`] fit for the kernel crate's `driver::Registration`.
pub struct Adapter<T: Driver>(PhantomData<T>);

// SAFETY:
// - `bindings::pci_driver` is a C type, hence `repr(C)`.
// - `T::Data` is the type of the driver data, which `probe()` sets.
// - `struct pci_driver` embeds a `struct device_driver` at that offset.
unsafe impl<T: Driver> driver::DriverLayout for Adapter<T> {
    type DriverType = bindings::pci_driver;
    type DriverData<'bound> = T::Data;
    const DEVICE_DRIVER_OFFSET: usize = core::mem::offset_of!(bindings::pci_driver, driver);
}

// SAFETY: `unregister()` undoes what a successful `register()` did.
unsafe impl<T: Driver> driver::RegistrationOps for Adapter<T> {
    unsafe fn register(
        driver: &Opaque<bindings::pci_driver>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let raw = driver.get();
        // SAFETY: The driver is not registered yet, so nobody else uses it.
        unsafe {
            (*raw).name = T::NAME.as_char_ptr();
            (*raw).id_table = T::id_table().0;
            (*raw).probe = Some(Self::probe);
            (*raw).remove = Some(Self::remove);
            (*raw).sriov_configure = Some(Self::sriov_configure);
            (*raw).err_handler = Self::ERROR_HANDLERS;
            (*raw).driver_managed_dma = true;
            (*raw).driver.pm = Self::PM_OPERATIONS;
        }

        // SAFETY: The driver is initialised, and by this function's contract stays where it is
        // until it is unregistered.
        to_result(unsafe {
            bindings::__pci_register_driver(raw, module.as_ptr(), name.as_char_ptr())
        })?;
        T::registered(&DynamicIds { driver });

        Ok(())
    }

    unsafe fn unregister(driver: &Opaque<bindings::pci_driver>) {
        // SAFETY: By this function's contract, `register()` has been successful.
        unsafe { bindings::pci_unregister_driver(driver.get()) }
    }
}

impl<T: Driver> Adapter<T> {
    const ERROR_HANDLERS: &'static bindings::pci_error_handlers = &bindings::pci_error_handlers {
        error_detected: Some(Self::error_detected),
        mmio_enabled: None,
        slot_reset: Some(Self::slot_reset),
        reset_prepare: Some(Self::reset_prepare),
        reset_done: Some(Self::reset_done),
        resume: Some(Self::resume),
        cor_error_detected: None,
    };

    const PM_OPERATIONS: &'static bindings::dev_pm_ops = &bindings::dev_pm_ops {
        runtime_suspend: Some(Self::runtime_suspend),
        runtime_resume: Some(Self::runtime_resume),
        ..pin_init::zeroed()
    };

    /// Turns the argument of a callback into a device.
    ///
    /// # Safety
    ///
    /// `raw` must be the argument of a bus callback, and the result must not outlive it.
    unsafe fn device<'a>(raw: *mut bindings::pci_dev) -> &'a pci::Device<device::CoreInternal<'a>> {
        // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
        // SAFETY: By this function's contract.
        unsafe { &*raw.cast() }
    }

    extern "C" fn probe(raw: *mut bindings::pci_dev, _id: *const bindings::pci_device_id) -> c_int {
        // SAFETY: The bus calls this with a valid device.
        let device = unsafe { Self::device(raw) };

        from_result(|| {
            let core: &device::Device<device::CoreInternal<'_>> = device.as_ref();
            // The driver core drops the data after `remove()`, or when this function fails.
            core.set_drvdata(T::probe(device))?;
            // SAFETY: The data has just been set.
            let data = unsafe { core.drvdata_borrow::<T::Data>() };
            // INVARIANT: As above.
            data.bind(&Probed(device))?;

            Ok(0)
        })
    }

    /// The data of the device that is the argument of a callback.
    ///
    /// # Safety
    ///
    /// `raw` must be the argument of a callback that the bus makes after a successful `probe()`, up
    /// to `remove()`, and the result must not outlive it.
    unsafe fn data<'a>(raw: *mut bindings::pci_dev) -> Pin<&'a T::Data> {
        // SAFETY: By this function's contract.
        let device = unsafe { Self::device(raw) };
        // SAFETY: `probe()` has set the data, which is dropped after `remove()`.
        unsafe { AsRef::<device::Device<_>>::as_ref(device).drvdata_borrow::<T::Data>() }
    }

    extern "C" fn remove(raw: *mut bindings::pci_dev) {
        // SAFETY: The bus calls this with a valid device, after a successful `probe()`.
        let (device, data) = unsafe { (Self::device(raw), Self::data(raw)) };

        data.unbind(device);
    }

    /// Calls `tell` with the data of the device, unless that has none yet: usage counts are
    /// anybody's to take and to give back, so that it may be suspended while its data is made.
    ///
    /// # Safety
    ///
    /// `raw` must be the argument of a callback of runtime power management.
    unsafe fn with_data_of(raw: *mut bindings::device, tell: impl FnOnce(Pin<&T::Data>)) -> c_int {
        // SAFETY: By this function's contract it is the device of a function that is bound to this
        // driver, or being bound or unbound.
        if !unsafe { bindings::dev_get_drvdata(raw) }.is_null() {
            // SAFETY: As above. The data is set, and is dropped after `remove()`, which the PCI
            // core runs with the device resumed; it makes no call after that.
            tell(unsafe { Self::data(function_of(raw)) });
        }

        0
    }

    extern "C" fn runtime_suspend(raw: *mut bindings::device) -> c_int {
        // SAFETY: Runtime power management calls this.
        unsafe { Self::with_data_of(raw, |data| data.runtime_suspend()) }
    }

    extern "C" fn runtime_resume(raw: *mut bindings::device) -> c_int {
        // SAFETY: Runtime power management calls this.
        unsafe { Self::with_data_of(raw, |data| data.runtime_resume()) }
    }

    extern "C" fn sriov_configure(raw: *mut bindings::pci_dev, count: c_int) -> c_int {
        // SAFETY: The bus calls this with a valid device, whose lock it holds, after a
        // successful `probe()`; `remove()` needs the lock too.
        let (device, data) = unsafe { (Self::device(raw), Self::data(raw)) };

        from_result(|| {
            let count = u32::try_from(count)?;
            let enabled = T::sriov_configure(device, &data, count)?;

            Ok(c_int::try_from(enabled)?)
        })
    }

    extern "C" fn reset_prepare(raw: *mut bindings::pci_dev) {
        // SAFETY: The PCI core calls this with a valid device, whose lock it holds, after a
        // successful `probe()`; `remove()` needs the lock too.
        unsafe { Self::data(raw) }.reset_prepare();
    }

    extern "C" fn reset_done(raw: *mut bindings::pci_dev) {
        // SAFETY: As in `reset_prepare()`; the lock has been held since then.
        unsafe { Self::data(raw) }.reset_done();
    }

    extern "C" fn error_detected(
        raw: *mut bindings::pci_dev,
        state: bindings::pci_channel_state_t,
    ) -> bindings::pci_ers_result_t {
        let state = ChannelState::from_raw(state);
        // SAFETY: Error recovery calls this with a valid device, whose lock it holds, after a
        // successful `probe()`; `remove()` needs the lock too.
        unsafe { Self::data(raw) }.error_detected(state);

        bindings::pci_ers_result_PCI_ERS_RESULT_CAN_RECOVER
    }

    extern "C" fn slot_reset(raw: *mut bindings::pci_dev) -> bindings::pci_ers_result_t {
        // SAFETY: As in `error_detected()`.
        unsafe { Self::data(raw) }.link_reset();

        bindings::pci_ers_result_PCI_ERS_RESULT_RECOVERED
    }

    extern "C" fn resume(raw: *mut bindings::pci_dev) {
        // SAFETY: As in `error_detected()`.
        unsafe { Self::data(raw) }.error_recovered();
    }
}

/// The function that has this `struct device`.
///
/// # Safety
///
/// There must be one.
unsafe fn function_of(device: *mut bindings::device) -> *mut bindings::pci_dev {
    // SAFETY: By this function's contract.
    unsafe { container_of!(device, bindings::pci_dev, dev) }
}
