// SPDX-License-Identifier: GPL-2.0

//! Virtual functions of SR-IOV: enabling them, and seeing them come.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/device/bus.h`](srctree/include/linux/device/bus.h)

use crate::abstractions::pci::Function;
use core::marker::PhantomPinned;
use kernel::{
    container_of,
    device::{
        Bound,
        Core, //
    },
    error::to_result,
    pci,
    prelude::*,
    str::CString,
    types::Opaque, //
};
use vfio::abstractions::bindings;

impl Function {
    /// Returns the physical function that a virtual one belongs to.
    pub(crate) fn physical(device: &pci::Device<Bound>) -> Option<Function> {
        // SAFETY: A virtual function is removed only after its driver is gone.
        unsafe { Function::new(device).physical_unremoved() }
    }

    /// # Safety
    ///
    /// The function must not have been removed: the PCI core takes the reference that a virtual
    /// function has to its physical one back then, and leaves the pointer.
    unsafe fn physical_unremoved(&self) -> Option<Function> {
        if !self.is_virtual() {
            return None;
        }
        // SAFETY: `as_raw()` is valid.
        let raw = unsafe { bindings::vfio_rust_pci_physfn(self.as_raw()) };

        // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
        // SAFETY: By this function's contract there is the reference.
        unsafe { raw.cast::<pci::Device>().as_ref() }.map(Function::new)
    }

    /// Lets only the driver of this name be bound to the function.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn set_driver_override(&self, driver: &CStr) -> Result {
        // SAFETY: The device is valid, and the name has that length.
        to_result(unsafe {
            bindings::__device_set_driver_override(
                self.as_raw_device(),
                driver.as_char_ptr(),
                driver.to_bytes().len(),
            )
        })
    }
}

/// Returns the name of the driver that `device` is bound to.
///
/// # Errors
///
/// ENODEV without a driver, ENOMEM.
pub(crate) fn driver_name(device: &pci::Device<Core<'_>>) -> Result<CString> {
    let function = Function::new(device);

    // SAFETY: The device is valid, and as this is called for a bus callback, the lock that binding
    // and unbinding need is held.
    let name = unsafe { bound_driver_name(function.as_raw_device()) }.ok_or(ENODEV)?;
    Ok(CString::try_from(name)?)
}

/// # Safety
///
/// `device` must be valid, and must not be bound or unbound as long as the result is used.
unsafe fn bound_driver_name<'a>(device: *mut bindings::device) -> Option<&'a CStr> {
    // SAFETY: By this function's contract.
    let driver = unsafe { (*device).driver.as_ref() }?;

    // SAFETY: A registered driver has a name.
    Some(unsafe { CStr::from_char_ptr(driver.name) })
}

/// Virtual functions that are enabled. They stay so if this is just dropped: to disable them takes
/// the lock of the physical function.
#[must_use = "the virtual functions are to be disabled"]
pub(crate) struct EnabledSriov(Function);

impl EnabledSriov {
    /// Enables virtual functions. Drivers are bound to them before this returns.
    ///
    /// # Errors
    ///
    /// Those of `pci_enable_sriov()`.
    pub(crate) fn new(device: &pci::Device<Core<'_>>, count: u32) -> Result<Self> {
        let function = Function::new(device);
        let count = c_int::try_from(count)?;
        // SAFETY: `as_raw()` is valid; its lock is held, as in all callbacks of the bus.
        to_result(unsafe { bindings::vfio_rust_pci_enable_sriov(function.as_raw(), count) })?;

        Ok(Self(function))
    }

    /// Removes them, and waits for their users. Nothing is done if `device` is another one.
    pub(crate) fn disable(self, device: &pci::Device<Core<'_>>) {
        if self.0.is_same(device) {
            // SAFETY: `as_raw()` is valid; its lock is held, as in all callbacks of the bus.
            unsafe { bindings::vfio_rust_pci_disable_sriov(self.0.as_raw()) };
        }
    }
}

/// Who is told about the virtual functions of a physical one.
pub(crate) trait Watcher: Send + Sync + 'static {
    /// A virtual function came up. No driver has been looked for yet.
    fn added(&self, function: &Function);

    /// A driver was bound to a virtual function.
    fn bound(&self, function: &Function, driver: &CStr);
}

/// Tells a [`Watcher`] about virtual functions for as long as it exists.
///
/// # Invariants
///
/// From the end of the construction until `drop`, `block` is registered with the PCI bus.
#[pin_data(PinnedDrop)]
pub(crate) struct Watch<T: Watcher> {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    physical: Function,
    watcher: T,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The notifier chain's lock serialises all access to the block; the rest may be sent, as
// `Watcher` requires it.
unsafe impl<T: Watcher> Send for Watch<T> {}
// SAFETY: As above; a shared reference gives no access to the block.
unsafe impl<T: Watcher> Sync for Watch<T> {}

impl<T: Watcher> Watch<T> {
    /// Tells `watcher` about the virtual functions of `physical`.
    ///
    /// # Errors
    ///
    /// Those of `bus_register_notifier()`.
    pub(crate) fn new(physical: Function, watcher: T) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            block <- Opaque::ffi_init(|slot: *mut bindings::notifier_block| {
                let block = bindings::notifier_block {
                    notifier_call: Some(notify::<T>),
                    ..Default::default()
                };
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(block) };
            }),
            physical,
            watcher,
            _pin: PhantomPinned,
            _: {
                // SAFETY: All fields are initialised; the pointer is not dereferenced here.
                let block = unsafe { &raw const (*this.as_ptr()).block };
                // INVARIANT: On success the block is registered, and nothing after this can fail.
                // SAFETY: The block stays where it is until `drop()` takes it from the chain, as
                // `Self` is pinned.
                to_result(unsafe {
                    bindings::bus_register_notifier(
                        &raw const bindings::pci_bus_type,
                        Opaque::cast_into(block),
                    )
                })?;
            },
        })
    }

    fn notify(&self, action: usize, device: &pci::Device) {
        const ADDED: usize = bindings::bus_notifier_event_BUS_NOTIFY_ADD_DEVICE as usize;
        const BOUND: usize = bindings::bus_notifier_event_BUS_NOTIFY_BOUND_DRIVER as usize;

        if !matches!(action, ADDED | BOUND) {
            return;
        }
        let function = Function::new(device);
        // SAFETY: This is called for a device that has been added, or whose lock is held while
        // it is in use: its removal comes after that.
        let physical = unsafe { function.physical_unremoved() };
        if !physical.is_some_and(|physical| physical.is_same(&self.physical)) {
            return;
        }
        if action == ADDED {
            self.watcher.added(&function);
            return;
        }
        // SAFETY: The device is valid. The driver core makes this call with the device's lock
        // held, which binding and unbinding need.
        if let Some(driver) = unsafe { bound_driver_name(function.as_raw_device()) } {
            self.watcher.bound(&function, driver);
        }
    }
}

#[pinned_drop]
impl<T: Watcher> PinnedDrop for Watch<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The block is registered by the type invariants. The call takes the chain's
        // lock for writing, so no callback runs when it returns.
        unsafe {
            bindings::bus_unregister_notifier(&raw const bindings::pci_bus_type, self.block.get())
        };
    }
}

/// The notifier's callback.
///
/// # Safety
///
/// `block` is that of a `Watch<T>` and registered, and `device` that of a `struct pci_dev`.
unsafe extern "C" fn notify<T: Watcher>(
    block: *mut bindings::notifier_block,
    action: usize,
    device: *mut c_void,
) -> c_int {
    let block = Opaque::cast_from(block.cast_const());
    // SAFETY: The block is a member of a `Watch<T>` by the requirement, and all fields of it are
    // initialised when it is registered.
    let watch: &Watch<T> = unsafe { &*container_of!(block, Watch<T>, block) };
    // SAFETY: The bus passes the `struct device` of one of its devices, which lives as long as the
    // call.
    let device =
        unsafe { &*container_of!(device.cast::<bindings::device>(), bindings::pci_dev, dev) };
    // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
    // SAFETY: As above.
    watch.notify(action, unsafe { &*core::ptr::from_ref(device).cast() });

    bindings::NOTIFY_DONE as c_int
}
