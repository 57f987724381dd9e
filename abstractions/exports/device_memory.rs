// SPDX-License-Identifier: GPL-2.0

//! The C interface of device memory: a device from an area, release notifiers.
//!
//! C header: `include/linux/vfio_device_memory.h`, which says what callers may
//! expect, and what they owe.

use crate::abstractions::{
    bindings,
    exports::signature::signatures,
    module_ref::ModuleRef, //
};
use crate::{
    device::Device,
    notifier::{
        ReleaseHandler,
        ReleaseNotifier,
        WatchedMemory, //
    },
    vma::DeviceRef, //
};
use core::{
    mem::ManuallyDrop,
    ptr, //
};
use kernel::{
    error::from_result,
    mm::virt::VmaRef,
    prelude::*,
    sync::{
        Arc,
        Completion, //
    }, //
};

signatures!(
    vfio_device_ref_from_vma,
    vfio_device_ref_get,
    vfio_device_ref_put,
    vfio_release_notifier_register,
    vfio_release_notifier_unregister,
);

/// Makes a reference one of C's.
fn into_raw(device: DeviceRef) -> *mut bindings::vfio_device_ref {
    let (device, module) = device.into_parts();
    module.into_raw();
    Arc::into_raw(device).cast_mut().cast()
}

/// Makes a reference of C's one of ours.
///
/// # Safety
///
/// `device` must come from [`into_raw()`], and the caller must own it. If the
/// result is dropped, that is its end.
unsafe fn from_raw(device: *mut bindings::vfio_device_ref) -> DeviceRef {
    // SAFETY: `into_raw()` gave up a reference to the device, which the caller
    // owns.
    let device = unsafe { Arc::from_raw(device.cast::<Device>()) };
    // SAFETY: It gave up a reference to the module as well.
    let module = unsafe { ModuleRef::from_raw(device.module()) };
    DeviceRef::from_parts(device, module)
}

/// The device whose memory an area maps, or null.
///
/// # Safety
///
/// `vma` must be an area, and its lock or the mmap lock must be held.
#[no_mangle]
pub unsafe extern "C" fn vfio_device_ref_from_vma(
    vma: *mut bindings::vm_area_struct,
) -> *mut bindings::vfio_device_ref {
    // SAFETY: By this function's contract.
    let vma = unsafe { VmaRef::from_raw(vma) };
    Device::from_vma(vma).map_or(ptr::null_mut(), into_raw)
}

/// Takes one more reference to a device.
///
/// # Safety
///
/// The caller must own a reference to `device`.
#[no_mangle]
pub unsafe extern "C" fn vfio_device_ref_get(device: *mut bindings::vfio_device_ref) {
    // SAFETY: The caller's reference is only borrowed: it is not dropped.
    let device = ManuallyDrop::new(unsafe { from_raw(device) });
    into_raw(DeviceRef::clone(&device));
}

/// Gives a reference to a device back.
///
/// # Safety
///
/// The caller must own a reference to `device`, and not use it any more.
#[no_mangle]
pub unsafe extern "C" fn vfio_device_ref_put(device: *mut bindings::vfio_device_ref) {
    // SAFETY: By this function's contract the reference is ours now.
    drop(unsafe { from_raw(device) });
}

/// Calls a C notifier.
///
/// # Invariants
///
/// `notifier` is valid as long as the registration exists or the call lasts.
#[pin_data]
struct Callback {
    notifier: *mut bindings::vfio_release_notifier,
    /// Once the notifier can be unregistered.
    #[pin]
    registered: Completion,
}

// SAFETY: A notifier may be called from any thread.
unsafe impl Send for Callback {}
// SAFETY: The pointer never changes, and completions may be shared.
unsafe impl Sync for Callback {}

impl ReleaseHandler for Callback {
    fn released(&self, _memory: WatchedMemory) {
        // The device can be closed while the notifier is being registered, and
        // the notifier may want to unregister itself.
        self.registered.wait_for_completion();
        // SAFETY: By the type invariant. C callers do not change the function
        // while the notifier is registered.
        if let Some(released) = unsafe { (*self.notifier).released } {
            // SAFETY: This is what the function is for.
            unsafe { released(self.notifier) };
        }
    }
}

/// Registers a notifier.
///
/// # Safety
///
/// The caller must own a reference to `device`. `notifier` must be valid, stay
/// in place and be left alone until it is unregistered.
#[no_mangle]
pub unsafe extern "C" fn vfio_release_notifier_register(
    device: *mut bindings::vfio_device_ref,
    notifier: *mut bindings::vfio_release_notifier,
) -> c_int {
    // SAFETY: The caller's reference is only borrowed: it is not dropped.
    let device = ManuallyDrop::new(unsafe { from_raw(device) });
    from_result(|| {
        // INVARIANT: By this function's contract.
        let callback = Arc::pin_init(
            pin_init!(Callback {
                notifier,
                registered <- Completion::new(),
            }),
            GFP_KERNEL,
        )?;
        let room = KBox::new_uninit(GFP_KERNEL)?;
        // SAFETY: `notifier` is valid, and its owner is who calls this.
        let owner = unsafe { ModuleRef::get_raw((*notifier).owner) }?;
        let registration = ReleaseNotifier::register(&device, callback.clone(), owner)?;
        let registration = KBox::write(room, registration);
        // SAFETY: `notifier` is valid, and its user does not look at the field.
        // A call, which may, waits for the completion.
        unsafe { (*notifier).registration = KBox::into_raw(registration).cast() };
        callback.registered.complete_all();
        Ok(0)
    })
}

/// Unregisters a notifier, if it is registered.
///
/// # Safety
///
/// `notifier` must be valid, and nobody else may register or unregister it at
/// the same time.
#[no_mangle]
pub unsafe extern "C" fn vfio_release_notifier_unregister(
    notifier: *mut bindings::vfio_release_notifier,
) {
    // SAFETY: By this function's contract.
    let registration = unsafe { ptr::replace(&raw mut (*notifier).registration, ptr::null_mut()) };
    if !registration.is_null() {
        // SAFETY: The field is null, or what registering put there.
        drop(unsafe { KBox::from_raw(registration.cast::<ReleaseNotifier>()) });
    }
}
