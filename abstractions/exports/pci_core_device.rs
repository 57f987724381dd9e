// SPDX-License-Identifier: GPL-2.0

//! The life of a PCI device whose driver is in C: `struct vfio_pci_core_device`.
//!
//! Drivers embed it at the begin of a structure of their own, and let `_vfio_alloc_device()`
//! allocate that. A driver reads and writes some fields of it; the others, which are private in C,
//! stay zero.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

use crate::{
    abstractions::{
        c_driver::pci_device::CPciDevice,
        pci::driver::{
            DriverData,
            Probed, //
        }, //
    },
    binding::Binding,
    device::Options, //
};
use core::ptr::NonNull;
use kernel::{
    container_of,
    device::Core,
    error::from_result,
    pci,
    prelude::*,
    sync::Arc,
    warn_on, //
};
use vfio::{
    abstractions::{
        bindings::{
            self,
            vfio_device,
            vfio_pci_core_device, //
        },
        exports::{
            signature::signatures,
            vfio_device as face, //
        }, //
    },
    device::migration::state::Support, //
};

signatures!(
    vfio_pci_core_close_device,
    vfio_pci_core_disable,
    vfio_pci_core_enable,
    vfio_pci_core_finish_enable,
    vfio_pci_core_init_dev,
    vfio_pci_core_register_device,
    vfio_pci_core_release_dev,
    vfio_pci_core_sriov_configure,
    vfio_pci_core_unregister_device,
);

/// What this module has of a device from `vfio_pci_core_init_dev()` to
/// `vfio_pci_core_release_dev()`.
struct Served {
    binding: Binding,
    c_device: Arc<CPciDevice>,
}

impl Drop for Served {
    fn drop(&mut self) {
        // Somebody may still have a reference to what belongs to the binding.
        self.c_device.detach();
    }
}

/// What this module has of `device`; `None` if its driver has not had it initialised.
///
/// # Safety
///
/// `device` must be from `_vfio_alloc_device()`, and not be released as long as the result is used.
#[inline]
pub(super) unsafe fn binding_of<'a>(device: *mut vfio_device) -> Option<&'a Binding> {
    // SAFETY: By this function's contract.
    unsafe { face::extension::<Served>(device) }.map(|served| &served.binding)
}

/// The same for the outer structure.
///
/// # Safety
///
/// As of [`binding_of()`].
#[inline]
pub(super) unsafe fn binding_of_pci<'a>(device: *mut vfio_pci_core_device) -> Option<&'a Binding> {
    // SAFETY: By this function's contract.
    unsafe { binding_of(&raw mut (*device).vdev) }
}

/// The PCI device of a driver's device.
///
/// # Safety
///
/// `device` must be initialised, and its driver be called by the bus, which holds the lock of the
/// PCI device, as long as the result is used.
unsafe fn bus_device<'a>(device: *mut vfio_pci_core_device) -> &'a pci::Device<Core<'a>> {
    // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
    // SAFETY: By this function's contract.
    unsafe { &*(*device).pdev.cast() }
}

/// Initialises a device, which may have options set.
///
/// Returns ENOMEM.
///
/// # Safety
///
/// `device` must be new from `_vfio_alloc_device()`, be the begin of a `struct
/// vfio_pci_core_device`, and belong to a PCI device that the caller's driver is binding.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_init_dev(device: *mut vfio_device) -> c_int {
    from_result(|| {
        let raw = device.cast::<vfio_pci_core_device>();
        // SAFETY: By this function's contract.
        unsafe {
            let in_faults = !bindings::vfio_rust_pci_maps_as_core((*device).ops);
            bindings::vfio_rust_pci_init_memory_lock(&raw mut (*raw).memory_lock, in_faults);
            (*raw).pdev = container_of!((*device).dev, bindings::pci_dev, dev);
        }
        // SAFETY: As above; the driver sets the options before.
        let (pci_device, options) = unsafe {
            let options = Options {
                nointxmask: (*raw).nointxmask(),
                disable_idle_d3: (*raw).disable_idle_d3(),
                disable_vga: (*raw).disable_vga(),
            };
            (bus_device(raw), options)
        };
        // SAFETY: By this function's contract. `Served` detaches it, which goes before the device
        // does.
        let c_device = unsafe { CPciDevice::new(NonNull::new(raw).ok_or(EINVAL)?) };
        let c_device = Arc::new(c_device, GFP_KERNEL_ACCOUNT)?;
        c_device.set_interrupts(None);
        let binding = Binding::of_c_driver(pci_device, options, c_device.clone())?;
        // SAFETY: By this function's contract nobody else has it.
        unsafe { face::extend(device, Served { binding, c_device })? };

        Ok(0)
    })
}

/// Undoes that.
///
/// # Safety
///
/// `device` must be from `_vfio_alloc_device()`, and its driver be releasing it.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_release_dev(device: *mut vfio_device) {
    // SAFETY: By this function's contract.
    unsafe { face::withdraw(device) };
}

/// Has the driver said how the device is migrated, and how it tells where it writes to, in full, or
/// not at all?
///
/// # Safety
///
/// `device` must be initialised.
unsafe fn has_complete_ops(device: *mut vfio_device) -> bool {
    // SAFETY: By this function's contract; the tables are static.
    unsafe {
        let migration = (*device).mig_ops.as_ref();
        let log = (*device).log_ops.as_ref();
        let flags = u64::from((*device).migration_flags);
        migration.is_none_or(|ops| {
            ops.migration_get_state.is_some()
                && ops.migration_set_state.is_some()
                && ops.migration_get_data_size.is_some()
                && Support::from_flags(flags).is_some()
        }) && log.is_none_or(|ops| {
            ops.log_start.is_some() && ops.log_stop.is_some() && ops.log_read_and_clear.is_some()
        })
    }
}

/// Makes a device available to users.
///
/// Returns EINVAL if it is not the driver data of its PCI device, has no name, incomplete
/// operations, or has not been initialised; otherwise as [`Binding`] does.
///
/// # Safety
///
/// `device` must be from `_vfio_alloc_device()`, and its driver be binding its PCI device.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_register_device(device: *mut vfio_pci_core_device) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let (data, has_name) = unsafe {
            let data = bindings::dev_get_drvdata(&raw mut (*(*device).pdev).dev);
            (data, !(*(*device).vdev.ops).name.is_null())
        };
        if warn_on!(data != device.cast()) || warn_on!(!has_name) {
            return Err(EINVAL);
        }
        // SAFETY: By this function's contract.
        let binding = unsafe {
            if !has_complete_ops(&raw mut (*device).vdev) {
                return Err(EINVAL);
            }
            binding_of_pci(device).ok_or(EINVAL)?
        };
        // SAFETY: As above; the operations find the device by its data, which is set.
        unsafe { bindings::vfio_rust_pci_set_pm_operations((*device).pdev) };
        // SAFETY: As above.
        binding.bind(unsafe { &Probed::of_c_driver(bus_device(device)) })?;

        Ok(0)
    })
}

/// Undoes that: hides the device from users, and sleeps until the last of them has let it go.
///
/// # Safety
///
/// `device` must be registered, and its driver be unbinding its PCI device, or be failing to bind
/// it.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_unregister_device(device: *mut vfio_pci_core_device) {
    // SAFETY: By this function's contract.
    unsafe {
        if let Some(binding) = binding_of_pci(device) {
            binding.unbind(bus_device(device));
        }
    }
}

/// Makes a device usable for its first user, who gets it after
/// [`vfio_pci_core_finish_enable()`]; the driver may add to it before.
///
/// Returns what `CoreDevice::enable()` does.
///
/// # Safety
///
/// The driver of `device` must be opening it.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_enable(device: *mut vfio_pci_core_device) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let binding = unsafe { binding_of_pci(device) }.ok_or(ENODEV)?;
        binding.core().enable()?;

        Ok(0)
    })
}

/// Gives a device to its first user.
///
/// # Safety
///
/// The driver of `device` must be opening it, and have enabled it.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_finish_enable(device: *mut vfio_pci_core_device) {
    // SAFETY: By this function's contract.
    if let Some(binding) = unsafe { binding_of_pci(device) } {
        binding.core().finish_enable();
    }
}

/// Undoes [`vfio_pci_core_enable()`].
///
/// # Safety
///
/// The driver of `device` must be opening it, which has failed, or be closing it.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_disable(device: *mut vfio_pci_core_device) {
    // SAFETY: By this function's contract.
    if let Some(binding) = unsafe { binding_of_pci(device) } {
        binding.core().disable();
    }
}

/// Undoes [`vfio_pci_core_enable()`] and [`vfio_pci_core_finish_enable()`].
///
/// # Safety
///
/// The driver of `device` must be closing it.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_close_device(device: *mut vfio_device) {
    // SAFETY: By this function's contract.
    if let Some(binding) = unsafe { binding_of(device) } {
        binding.core().disable();
    }
}

/// Enables `count` virtual functions, or disables them with 0.
///
/// Returns how many there are, or an error of [`Binding::configure_virtual_functions`].
///
/// # Safety
///
/// `device` must be registered, and the caller hold the lock of its PCI device.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_sriov_configure(
    device: *mut vfio_pci_core_device,
    count: c_int,
) -> c_int {
    from_result(|| {
        let count = u32::try_from(count)?;
        // SAFETY: By this function's contract.
        let enabled = unsafe {
            let binding = binding_of_pci(device).ok_or(ENODEV)?;
            binding.configure_virtual_functions(bus_device(device), count)?
        };

        Ok(c_int::try_from(enabled)?)
    })
}
