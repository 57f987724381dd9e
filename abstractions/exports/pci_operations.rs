// SPDX-License-Identifier: GPL-2.0

//! What a driver in C puts into its `struct vfio_device_ops`, or calls from what it has there.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

use crate::{
    abstractions::exports::pci_core_device::binding_of,
    device::CoreDevice,
    region::{
        PageAddress,
        Region, //
    }, //
};
use kernel::{
    error::from_result,
    mm::virt::{
        flags,
        VmaNew, //
    },
    prelude::*,
    str::CStr,
    uaccess::UserPtr, //
};
use vfio::{
    abstractions::{
        bindings::{
            self,
            vfio_device, //
        },
        exports::{
            info_cap,
            mapping,
            signature::signatures,
            vfio_device as face, //
        },
        uaccess::UserBytes, //
    },
    device::{
        feature::Request,
        ops::DeviceOps,
        Device, //
    }, //
};

signatures!(
    vfio_pci_core_ioctl,
    vfio_pci_core_ioctl_feature,
    vfio_pci_core_match,
    vfio_pci_core_match_token_uuid,
    vfio_pci_core_mmap,
    vfio_pci_core_read,
    vfio_pci_core_request,
    vfio_pci_core_write,
    vfio_pci_ioctl_get_region_info,
);

/// A registered device, as this module and as the core handle it.
///
/// # Errors
///
/// ENODEV if it is not registered.
///
/// # Safety
///
/// `device` must be from `_vfio_alloc_device()`. If it is registered, or open, then it must stay so
/// as long as the result is used.
pub(super) unsafe fn parts<'a>(device: *mut vfio_device) -> Result<(&'a CoreDevice, &'a Device)> {
    // SAFETY: By this function's contract.
    let found = unsafe { binding_of(device).zip(face::registered(device)) };

    found
        .map(|(binding, device)| (&**binding.core(), device))
        .ok_or(ENODEV)
}

/// A length or an error as C has it.
pub(super) fn to_ssize(result: Result<usize>) -> isize {
    match result {
        // CAST: No object is longer than that.
        Ok(done) => done as isize,
        Err(error) => error.to_errno() as isize,
    }
}

/// Reads from a region to the user's memory.
///
/// Returns as [`DeviceOps::read`] does.
///
/// # Safety
///
/// `device` must be open, and `position` valid.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_read(
    device: *mut vfio_device,
    buffer: *mut c_char,
    count: usize,
    position: *mut bindings::loff_t,
) -> isize {
    let bytes = UserBytes::new(UserPtr::from_ptr(buffer.cast()), count);
    // SAFETY: By this function's contract.
    let parts = unsafe { parts(device) };
    to_ssize(parts.and_then(|(core, device)| {
        // SAFETY: As above.
        core.read(device, bytes, unsafe { &mut *position })
    }))
}

/// Writes to a region what is in the user's memory.
///
/// Returns as [`DeviceOps::write`] does.
///
/// # Safety
///
/// `device` must be open, and `position` valid.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_write(
    device: *mut vfio_device,
    buffer: *const c_char,
    count: usize,
    position: *mut bindings::loff_t,
) -> isize {
    let bytes = UserBytes::new(UserPtr::from_ptr(buffer.cast_mut().cast()), count);
    // SAFETY: By this function's contract.
    let parts = unsafe { parts(device) };
    to_ssize(parts.and_then(|(core, device)| {
        // SAFETY: As above.
        core.write(device, bytes, unsafe { &mut *position })
    }))
}

/// Answers an ioctl.
///
/// Returns as [`DeviceOps::ioctl`] does.
///
/// # Safety
///
/// `device` must be open.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_ioctl(
    device: *mut vfio_device,
    cmd: c_uint,
    arg: c_ulong,
) -> c_long {
    // SAFETY: By this function's contract.
    let parts = unsafe { parts(device) };
    match parts.and_then(|(core, device)| core.ioctl(device, cmd, arg)) {
        Ok(value) => value,
        Err(error) => error.to_errno() as c_long,
    }
}

/// Probes for, reads or sets a feature; `arg` is what follows the header, `size` bytes.
///
/// Returns as [`DeviceOps::feature`] does.
///
/// # Safety
///
/// `device` must be open.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_ioctl_feature(
    device: *mut vfio_device,
    flags: u32,
    arg: *mut c_void,
    size: usize,
) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let (core, device) = unsafe { parts(device) }?;
        let payload = UserBytes::new(UserPtr::from_ptr(arg), size);
        let value = core.feature(device, &Request::new(flags, payload)?)?;

        Ok(c_int::try_from(value)?)
    })
}

/// Describes a region: fills in `info`, whose index is set, and appends to `caps`.
///
/// Returns EINVAL if there is no such region, EINTR if the task is killed while it waits for a
/// reset, EIO if the device does not wake up, ENOMEM.
///
/// # Safety
///
/// `device` must be open. `info` must be valid, and `caps` too, and be changed by functions of
/// its header only.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_ioctl_get_region_info(
    device: *mut vfio_device,
    info: *mut bindings::vfio_region_info,
    caps: *mut bindings::vfio_info_cap,
) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let (binding, info) = unsafe { (binding_of(device).ok_or(ENODEV)?, &mut *info) };
        let capabilities = binding.core().describe_region(info)?;
        if let Some(capabilities) = capabilities {
            // SAFETY: By this function's contract.
            unsafe { info_cap::append(caps, capabilities)? };
        }

        Ok(0)
    })
}

/// Maps a region.
///
/// Returns as [`DeviceOps::mmap`] does.
///
/// # Safety
///
/// `device` must be open, and `vma` an area that `mmap()` is setting up.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_mmap(
    device: *mut vfio_device,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let core = unsafe { binding_of(device) }.ok_or(ENODEV)?.core();
        // SAFETY: By this function's contract.
        let (page_offset, is_shared) = unsafe {
            let area = VmaNew::from_raw(vma);
            ((*vma).vm_pgoff, area.flags() & flags::SHARED != 0)
        };
        // CAST: An `unsigned long` has 64 bits where this driver runs.
        if let Some(PageAddress {
            region: Region::Device(index),
            ..
        }) = PageAddress::new(page_offset as u64)
        {
            if !is_shared {
                return Err(EINVAL);
            }
            let c_device = core.c_device().ok_or(ENODEV)?;
            // SAFETY: By this function's contract.
            unsafe { c_device.map_region(index, vma)? };
            return Ok(0);
        }
        // SAFETY: By this function's contract.
        unsafe { mapping::fill_by_fault(vma, &|mapping| core.opened()?.check_mapping(mapping))? };

        Ok(0)
    })
}

/// Asks the user to let the device go.
///
/// # Safety
///
/// `device` must be registered.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_request(device: *mut vfio_device, count: c_uint) {
    // SAFETY: By this function's contract.
    if let Ok((core, device)) = unsafe { parts(device) } {
        core.request(device, count);
    }
}

/// Does `name`, behind which there may be options, mean this device?
///
/// Returns 1 or 0, or as [`DeviceOps::matches`] does.
///
/// # Safety
///
/// `device` must be registered, and `name` a string.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_match(device: *mut vfio_device, name: *mut c_char) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let ((core, device), name) = unsafe { (parts(device)?, CStr::from_char_ptr(name)) };

        Ok(core.matches(device, name)?.into())
    })
}

/// May who has this token, or none, have the device?
///
/// Returns as [`DeviceOps::match_token`] does.
///
/// # Safety
///
/// `device` must be registered, and `token` null or valid.
#[no_mangle]
pub unsafe extern "C" fn vfio_pci_core_match_token_uuid(
    device: *mut vfio_device,
    token: *const bindings::uuid_t,
) -> c_int {
    from_result(|| {
        // SAFETY: By this function's contract.
        let ((core, device), token) = unsafe { (parts(device)?, token.as_ref()) };
        core.match_token(device, token.map(|token| token.b))?;

        Ok(0)
    })
}
