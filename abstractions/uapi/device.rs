// SPDX-License-Identifier: GPL-2.0

//! The part of the user interface that the drivers of all kinds of devices
//! answer: what the device and its regions are.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use crate::abstractions::uapi::{
    self,
    number, //
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

/// Get the device's flags and numbers of regions and interrupts.
pub const VFIO_DEVICE_GET_INFO: u32 = number(7);
/// Get size, offset and flags of a region.
pub const VFIO_DEVICE_GET_REGION_INFO: u32 = number(8);
/// Reset the device.
pub const VFIO_DEVICE_RESET: u32 = number(11);

/// The device can be reset.
pub const VFIO_DEVICE_FLAGS_RESET: u32 = 1 << 0;

/// The region can be read.
pub const VFIO_REGION_INFO_FLAG_READ: u32 = 1 << 0;
/// The region can be written.
pub const VFIO_REGION_INFO_FLAG_WRITE: u32 = 1 << 1;
/// The region can be mapped.
pub const VFIO_REGION_INFO_FLAG_MMAP: u32 = 1 << 2;

/// `struct vfio_device_info`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct DeviceInfo {
    /// Size of the structure, and of what follows it.
    pub argsz: u32,
    /// `VFIO_DEVICE_FLAGS_*`.
    pub flags: u32,
    /// Highest region index plus one.
    pub num_regions: u32,
    /// Highest interrupt index plus one.
    pub num_irqs: u32,
    /// Offset of the first capability within the structure.
    pub cap_offset: u32,
    /// Padding.
    pub pad: u32,
}

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

/// `struct vfio_region_info`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct RegionInfo {
    /// Size of the structure, and of what follows it.
    pub argsz: u32,
    /// `VFIO_REGION_INFO_FLAG_*`.
    pub flags: u32,
    /// Which region.
    pub index: u32,
    /// Offset of the first capability within the structure.
    pub cap_offset: u32,
    /// Size of the region in bytes.
    pub size: u64,
    /// Offset of the region within the device file.
    pub offset: u64,
}

impl RegionInfo {
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
