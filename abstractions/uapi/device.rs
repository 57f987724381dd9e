// SPDX-License-Identifier: GPL-2.0

//! The part of the user interface that the drivers of all kinds of devices
//! answer: what the device and its regions are.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use crate::abstractions::{
    bindings,
    uapi::{
        self,
        number, //
    }, //
};
use core::mem::offset_of;
use kernel::{
    prelude::*,
    transmute::{
        AsBytes,
        FromBytes, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

pub use bindings::{
    VFIO_DEVICE_FLAGS_RESET,
    VFIO_REGION_INFO_FLAG_MMAP,
    VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE, //
};

/// Get the device's flags and numbers of regions and interrupts.
pub const VFIO_DEVICE_GET_INFO: u32 = number(7);
/// Get size, offset and flags of a region.
pub const VFIO_DEVICE_GET_REGION_INFO: u32 = number(8);
/// Reset the device.
pub const VFIO_DEVICE_RESET: u32 = number(11);

/// What a device is: argument of `VFIO_DEVICE_GET_INFO`.
pub type DeviceInfo = bindings::vfio_device_info;

impl DeviceInfo {
    /// Size of the first version of the structure.
    const MIN_SIZE: usize = offset_of!(Self, cap_offset);

    /// Reads what the user has, of whatever version.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory is not readable. `EINVAL`: `argsz` is less than the
    /// first version needs.
    #[inline]
    pub fn read(address: usize) -> Result<Self> {
        let [argsz, ..] = uapi::read::<[u32; Self::MIN_SIZE / size_of::<u32>()]>(address)?;
        if (argsz as usize) < Self::MIN_SIZE {
            return Err(EINVAL);
        }
        Ok(Self {
            argsz,
            ..Self::default()
        })
    }

    /// Writes as much as fits into `room` bytes, which are as many as the user has said.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory is not writable.
    #[inline]
    pub fn write(&self, address: usize, room: u32) -> Result {
        let bytes = self.as_bytes();
        let part = bytes.get(..room as usize).unwrap_or(bytes);
        UserSlice::new(UserPtr::from_addr(address), part.len())
            .writer()
            .write_slice(part)
    }
}

// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for DeviceInfo {}
// SAFETY: There is no padding.
unsafe impl AsBytes for DeviceInfo {}

/// What a region is: argument of `VFIO_DEVICE_GET_REGION_INFO`.
pub type RegionInfo = bindings::vfio_region_info;

impl RegionInfo {
    /// There are capabilities.
    pub(crate) const CAPABILITIES: u32 = bindings::VFIO_REGION_INFO_FLAG_CAPS;

    /// Reads what the user has; `index` tells what is asked for.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory is not readable. `EINVAL`: `argsz` is too small.
    #[inline]
    pub fn read(address: usize) -> Result<Self> {
        let info: Self = uapi::read(address)?;
        if (info.argsz as usize) < size_of::<Self>() {
            return Err(EINVAL);
        }
        Ok(info)
    }

    /// Writes all of it.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory is not writable.
    #[inline]
    pub fn write(&self, address: usize) -> Result {
        uapi::write(address, self)
    }
}

// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for RegionInfo {}
// SAFETY: There is no padding.
unsafe impl AsBytes for RegionInfo {}
