// SPDX-License-Identifier: GPL-2.0

//! Migration of devices of drivers in C: `struct vfio_migration_ops`.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::abstractions::{
    bindings,
    c_driver::device::{
        CDevice,
        Present, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    fs::File,
    prelude::*,
    sync::aref::ARef, //
};

impl Present<'_> {
    /// The operations, which do not change once a device is registered.
    fn migration_ops(&self) -> Option<&bindings::vfio_migration_ops> {
        // SAFETY: The device is valid by the type invariant, and so is the table, if there is one.
        unsafe { (*self.raw).mig_ops.as_ref() }
    }
}

impl CDevice {
    /// Whether it can be migrated.
    pub fn has_migration(&self) -> bool {
        self.present()
            .is_some_and(|device| device.migration_ops().is_some())
    }

    /// `migration_flags`: what of that is optional it can.
    pub fn migration_flags(&self) -> u32 {
        self.present().map_or(0, |device| {
            // SAFETY: The device is valid; the field does not change once it is registered.
            unsafe { (*device.raw).migration_flags }
        })
    }

    /// `migration_get_state`: the number of the state that the device is in.
    pub fn migration_state(&self) -> Option<Result<u32>> {
        let device = self.present()?;
        device.migration_ops()?.migration_get_state?;
        let mut state = 0;
        // SAFETY: The device is valid, and has the operation.
        let result = unsafe { bindings::vfio_rust_migration_get_state(device.raw, &mut state) };
        Some(to_result(result).map(|()| state))
    }

    /// `migration_set_state`: brings it to the state with this number. Returns a file if that
    /// begins a transfer.
    pub fn set_migration_state(&self, state: u32) -> Option<Result<Option<ARef<File>>>> {
        let device = self.present()?;
        device.migration_ops()?.migration_set_state?;
        // SAFETY: The device is valid, and has the operation.
        let file = unsafe { bindings::vfio_rust_migration_set_state(device.raw, state) };
        let file = from_err_ptr(file).map(|file| {
            // SAFETY: The driver gives its reference to the file away, which nobody else has yet.
            NonNull::new(file.cast::<File>()).map(|file| unsafe { ARef::from_raw(file) })
        });
        Some(file)
    }

    /// `migration_get_data_size`: about how many bytes it takes to save the device.
    pub fn migration_data_size(&self) -> Option<Result<u64>> {
        let device = self.present()?;
        let size_of = device.migration_ops()?.migration_get_data_size?;
        let mut size = 0;
        // SAFETY: This is what the operation is for; the device is valid.
        let result = to_result(unsafe { size_of(device.raw, &mut size) });
        Some(result.map(|()| size as u64))
    }

    /// `precopy_info_v2`: the user understands the second version of what is said of a first
    /// round. `vfio_check_precopy_ioctl()` looks at it.
    pub fn set_precopy_info_v2(&self, knows: bool) {
        if let Some(device) = self.present() {
            // SAFETY: The device is valid; only this function writes the field, which is read
            // without a lock.
            unsafe { (&raw mut (*device.raw).precopy_info_v2).write_volatile(u8::from(knows)) };
        }
    }
}
