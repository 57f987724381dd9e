// SPDX-License-Identifier: GPL-2.0

//! What the kernel crate lacks for a `struct device`: its path, and keeping it
//! awake.
//!
//! C header: [`include/linux/device.h`](srctree/include/linux/device.h)

use crate::abstractions::bindings;
use core::ptr::NonNull;
use kernel::{
    device::Device,
    prelude::*,
    str::CStr, //
};

/// The `struct device` behind a reference.
pub fn as_raw(device: &Device) -> *mut bindings::device {
    // CAST: `device::Device` is a transparent wrapper of `struct device`.
    core::ptr::from_ref(device).cast_mut().cast()
}

/// The path of a device below `/sys`.
pub struct SysfsPath(NonNull<c_char>);

impl SysfsPath {
    /// Builds the path. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: there is no memory for it.
    pub fn of(device: &Device) -> Result<Self> {
        // SAFETY: The reference keeps the device, and its kobject, alive.
        let path = unsafe {
            bindings::kobject_get_path(&raw const (*as_raw(device)).kobj, bindings::GFP_KERNEL)
        };
        NonNull::new(path).map(Self).ok_or(ENOMEM)
    }

    /// The path as a string, starting with a slash.
    pub fn as_str(&self) -> &CStr {
        // SAFETY: `kobject_get_path()` returned a NUL-terminated string, which
        // lives as long as this value.
        unsafe { CStr::from_char_ptr(self.0.as_ptr()) }
    }
}

impl Drop for SysfsPath {
    fn drop(&mut self) {
        // SAFETY: The string came from the slab and is ours.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}

/// A device that is awake, and stays so.
#[must_use = "the device may be suspended as soon as this is dropped"]
pub struct Awake<'a> {
    /// Of which a count is held. None is for a device that never sleeps.
    counted: Option<&'a Device>,
}

impl<'a> Awake<'a> {
    /// Wakes `device` up.
    ///
    /// # Errors
    ///
    /// That of the resume.
    pub fn new(device: &'a Device) -> Result<Self> {
        // SAFETY: The device is valid. On failure no count is held.
        let count = unsafe { bindings::vfio_rust_awake_get(as_raw(device)) };
        if count < 0 {
            return Err(Error::from_errno(count));
        }

        Ok(Self {
            counted: (count != 0).then_some(device),
        })
    }
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        if let Some(device) = self.counted {
            // SAFETY: The device is valid, and `new()` took the count.
            unsafe { bindings::vfio_rust_awake_put(as_raw(device)) };
        }
    }
}
