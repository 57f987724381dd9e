// SPDX-License-Identifier: GPL-2.0

//! How drivers in C register their devices, and keep them registered.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::{
    abstractions::{
        bindings,
        c_driver::{
            device::CDevice,
            device_set, //
        },
        exports::{
            signature::signatures,
            vfio_device::Face, //
        },
        module_ref::DriverModule, //
    },
    confinement::Dma,
    device::{
        c_driver::CDriver,
        ops::DeviceOps,
        set::DeviceSetKey,
        Device, //
    },
    registration::Registration, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    device,
    error::from_result,
    prelude::*,
    sync::Arc,
    warn_on, //
};

signatures!(
    vfio_device_put_registration,
    vfio_device_try_get_registration,
    vfio_register_emulated_iommu_dev,
    vfio_register_group_dev,
    vfio_unregister_group_dev,
);

/// Registers a device that does DMA.
///
/// Returns EINVAL if its operations are incomplete or those of another core; otherwise as
/// [`Registration::new()`].
///
/// # Safety
///
/// `device` must be from `_vfio_alloc_device()`, and the caller its driver, which is bound to its
/// parent, and does not register or unregister it at the same time.
#[no_mangle]
pub unsafe extern "C" fn vfio_register_group_dev(device: *mut bindings::vfio_device) -> c_int {
    // SAFETY: By this function's contract.
    from_result(|| unsafe { register(device, Dma::Physical, None) }.map(|_| 0))
}

/// Registers a device that is made of software.
///
/// Returns what [`vfio_register_group_dev()`] does.
///
/// # Safety
///
/// As for that.
#[no_mangle]
pub unsafe extern "C" fn vfio_register_emulated_iommu_dev(
    device: *mut bindings::vfio_device,
) -> c_int {
    // SAFETY: By this function's contract.
    from_result(|| unsafe { register(device, Dma::Emulated, None) }.map(|_| 0))
}

/// Whether these operations can be those of a device with such DMA.
///
/// # Safety
///
/// `ops` must be valid.
unsafe fn may_register(ops: *const bindings::vfio_device_ops, dma: Dma) -> bool {
    // SAFETY: By this function's contract.
    unsafe {
        match dma {
            Dma::Physical => bindings::vfio_rust_iommufd_ops_are_physical(ops),
            Dma::Emulated => bindings::vfio_rust_iommufd_ops_are_emulated(ops),
        }
    }
}

/// The module of the driver that `parent` is bound to.
///
/// # Safety
///
/// That driver must be the caller, who has a device that he unregisters before he goes.
unsafe fn driver_module(parent: *mut bindings::device) -> DriverModule {
    // SAFETY: By this function's contract.
    unsafe {
        let driver = (*parent).driver;
        DriverModule::from_raw(if driver.is_null() {
            ptr::null_mut()
        } else {
            (*driver).owner
        })
    }
}

/// Registers a device. `bus` does for it what the driver leaves to the module that knows the bus.
///
/// # Errors
///
/// Those of [`vfio_register_group_dev()`].
///
/// # Safety
///
/// As for [`vfio_register_group_dev()`].
pub unsafe fn register(
    raw: *mut bindings::vfio_device,
    dma: Dma,
    bus: Option<Arc<dyn DeviceOps>>,
) -> Result<Arc<Device>> {
    // SAFETY: By this function's contract; the fields are there from the creation on.
    let (parent, face) = unsafe {
        if warn_on!(!may_register((*raw).ops, dma)) {
            return Err(EINVAL);
        }
        (device::Device::from_raw((*raw).dev), Face::of(raw))
    };
    if warn_on!(face.device().is_some()) {
        return Err(EBUSY);
    }
    // SAFETY: By this function's contract. A device that was put into no set has one of its own.
    let key = unsafe {
        if (*raw).dev_set.is_null() {
            device_set::join(raw, raw.cast())?;
        }
        (*(*raw).dev_set).set_id
    };
    let key = if key == raw.cast() {
        DeviceSetKey::Alone
    } else {
        DeviceSetKey::Shared(key.addr())
    };
    // SAFETY: `Face::forget()` detaches it, and is called, below or when the driver unregisters the
    // device or gives it back, when nobody uses it.
    let device = unsafe { CDevice::new(NonNull::new(raw).ok_or(EINVAL)?) };
    let driver = Arc::new(CDriver::new(device, bus)?, GFP_KERNEL)?;
    // SAFETY: By this function's contract.
    let module = unsafe { driver_module((*raw).dev) };
    let registration =
        Registration::with_device(parent, driver.clone(), key, dma, module, |device| {
            // SAFETY: The device is valid, and nobody uses it yet. Its inode is there until
            // `Face::forget()`.
            unsafe { (*raw).inode = device.inode().as_raw() };
            face.begin(device, driver.clone());
        });
    match registration {
        Ok(registration) => {
            let device = registration.device().clone();
            face.keep(registration);
            Ok(device)
        }
        Err(error) => {
            // SAFETY: The device is the one of `face`; it is not registered, and who may have
            // opened it has been waited for.
            unsafe { face.forget(raw) };
            Err(error)
        }
    }
}

/// Unregisters a device: hides it from users, and sleeps until the last of them has let it go.
///
/// # Safety
///
/// `device` must be registered, and the caller its driver, which does not register or unregister
/// it at the same time.
#[no_mangle]
pub unsafe extern "C" fn vfio_unregister_group_dev(device: *mut bindings::vfio_device) {
    // SAFETY: By this function's contract.
    warn_on!(!unsafe { unregister(device) });
}

/// Unregisters a device, as [`vfio_unregister_group_dev()`] does, if it is registered, and says
/// whether it was.
///
/// # Safety
///
/// The caller must be the driver of `device`, which does not register or unregister it at the same
/// time.
pub unsafe fn unregister(device: *mut bindings::vfio_device) -> bool {
    // SAFETY: By this function's contract.
    unsafe { Face::of(device).unregister(device) }
}

/// Keeps a device registered, and says so, unless it is not.
///
/// # Safety
///
/// The caller must have a reference to `device`, which must be from `_vfio_alloc_device()`.
#[no_mangle]
pub unsafe extern "C" fn vfio_device_try_get_registration(
    device: *mut bindings::vfio_device,
) -> bool {
    // SAFETY: By this function's contract.
    let device = unsafe { Face::of(device) }.device();
    device.is_some_and(|device| device.uses().begin())
}

/// Undoes that.
///
/// # Safety
///
/// The caller must have kept `device` registered.
#[no_mangle]
pub unsafe extern "C" fn vfio_device_put_registration(device: *mut bindings::vfio_device) {
    // SAFETY: By this function's contract.
    if let Some(device) = unsafe { Face::of(device) }.device() {
        device.uses().end();
    }
}
