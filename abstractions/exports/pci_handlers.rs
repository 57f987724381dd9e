// SPDX-License-Identifier: GPL-2.0

//! What the PCI core and runtime power management tell drivers in C, as far as those pass it on.
//!
//! `vfio_pci_core_err_handlers` and the operations of power management are tables in C.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

use crate::{
    abstractions::{
        exports::pci_core_device::binding_of_pci,
        pci::driver::{
            ChannelState,
            DriverData, //
        }, //
    },
    binding::Binding, //
};
use vfio::abstractions::{
    bindings,
    exports::signature::signatures, //
};

signatures!(
    vfio_pci_core_aer_err_detected,
    vfio_rust_pci_link_reset,
    vfio_rust_pci_recovered,
    vfio_rust_pci_reset_done,
    vfio_rust_pci_reset_prepare,
    vfio_rust_pci_runtime_resume,
    vfio_rust_pci_runtime_suspend,
);

/// Calls `tell` with what is bound to a device, if it is initialised.
///
/// # Safety
///
/// The driver data of `device` must be null or a `struct vfio_pci_core_device` from
/// `_vfio_alloc_device()`, which is not released during the call.
unsafe fn with_binding(device: *mut bindings::device, tell: impl FnOnce(&Binding)) {
    // SAFETY: By this function's contract.
    let data = unsafe { bindings::dev_get_drvdata(device) };
    if data.is_null() {
        return;
    }
    // SAFETY: As above.
    if let Some(binding) = unsafe { binding_of_pci(data.cast()) } {
        tell(binding);
    }
}

/// The bus has reported an error of the device: tells its user.
///
/// # Safety
///
/// `device` must be bound to a driver whose data it has is a `struct vfio_pci_core_device`, and
/// stay so during the call.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_aer_err_detected(
    device: *mut bindings::pci_dev,
    state: bindings::pci_channel_state_t,
) -> bindings::pci_ers_result_t {
    let state = ChannelState::from_raw(state);
    // SAFETY: By this function's contract.
    unsafe { with_binding(&raw mut (*device).dev, |it| it.error_detected(state)) };

    bindings::pci_ers_result_PCI_ERS_RESULT_CAN_RECOVER
}

/// The device is about to be reset.
///
/// # Safety
///
/// As of [`vfio_pci_core_aer_err_detected()`].
#[no_mangle]
pub unsafe extern "C" fn vfio_rust_pci_reset_prepare(device: *mut bindings::pci_dev) {
    // SAFETY: By this function's contract.
    unsafe { with_binding(&raw mut (*device).dev, |it| it.reset_prepare()) };
}

/// The reset is over.
///
/// # Safety
///
/// As of [`vfio_pci_core_aer_err_detected()`].
#[no_mangle]
pub unsafe extern "C" fn vfio_rust_pci_reset_done(device: *mut bindings::pci_dev) {
    // SAFETY: By this function's contract.
    unsafe { with_binding(&raw mut (*device).dev, |it| it.reset_done()) };
}

/// The link to the device has been reset.
///
/// # Safety
///
/// As of [`vfio_pci_core_aer_err_detected()`].
#[no_mangle]
pub unsafe extern "C" fn vfio_rust_pci_link_reset(device: *mut bindings::pci_dev) {
    // SAFETY: By this function's contract.
    unsafe { with_binding(&raw mut (*device).dev, |it| it.link_reset()) };
}

/// Recovery from an error has ended.
///
/// # Safety
///
/// As of [`vfio_pci_core_aer_err_detected()`].
#[no_mangle]
pub unsafe extern "C" fn vfio_rust_pci_recovered(device: *mut bindings::pci_dev) {
    // SAFETY: By this function's contract.
    unsafe { with_binding(&raw mut (*device).dev, |it| it.error_recovered()) };
}

/// Runtime power management is about to suspend the device.
///
/// # Safety
///
/// As of [`vfio_pci_core_aer_err_detected()`], for its `struct device`.
#[no_mangle]
pub unsafe extern "C" fn vfio_rust_pci_runtime_suspend(device: *mut bindings::device) {
    // SAFETY: By this function's contract.
    unsafe { with_binding(device, |it| it.runtime_suspend()) };
}

/// Runtime power management has resumed the device.
///
/// # Safety
///
/// As of [`vfio_pci_core_aer_err_detected()`], for its `struct device`.
#[no_mangle]
pub unsafe extern "C" fn vfio_rust_pci_runtime_resume(device: *mut bindings::device) {
    // SAFETY: By this function's contract.
    unsafe { with_binding(device, |it| it.runtime_resume()) };
}
