// SPDX-License-Identifier: GPL-2.0

//! The user interface of a PCI device: numbers and structures.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use crate::abstractions::{
    bindings,
    uapi::number, //
};
use kernel::transmute::{
    AsBytes,
    FromBytes, //
};

pub use bindings::{
    VFIO_DEVICE_FLAGS_CAPS,
    VFIO_DEVICE_FLAGS_PCI,
    VFIO_DEVICE_FLAGS_RESET,
    VFIO_PCI_ATOMIC_COMP128,
    VFIO_PCI_ATOMIC_COMP32,
    VFIO_PCI_ATOMIC_COMP64,
    VFIO_PCI_HOT_RESET_FLAG_DEV_ID,
    VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED,
    VFIO_REGION_INFO_FLAG_CAPS,
    VFIO_REGION_INFO_FLAG_MMAP,
    VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE, //
};

pub use super::device::{
    DeviceInfo,
    RegionInfo,
    VFIO_DEVICE_GET_INFO,
    VFIO_DEVICE_GET_REGION_INFO,
    VFIO_DEVICE_RESET, //
};

/// Get flags and count of an interrupt index.
pub const VFIO_DEVICE_GET_IRQ_INFO: u32 = number(9);
/// Set up, mask or unmask, or trigger interrupts.
pub const VFIO_DEVICE_SET_IRQS: u32 = number(10);
/// Get what a hot reset would reset.
pub const VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: u32 = number(12);
/// Reset the slot or bus of the device.
pub const VFIO_DEVICE_PCI_HOT_RESET: u32 = number(13);

/// Let an eventfd write to a register.
pub const VFIO_DEVICE_IOEVENTFD: u32 = number(16);

/// Capability of [`DeviceInfo`]: which sizes of atomic operations the root port completes.
pub const VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP: u16 = 5;

/// Capability of [`RegionInfo`]: what a device-specific region is.
pub const VFIO_REGION_INFO_CAP_TYPE: u16 = 2;
/// Capability of [`RegionInfo`]: the MSI-X table may be mapped with the rest of its BAR.
pub const VFIO_REGION_INFO_CAP_MSIX_MAPPABLE: u16 = 3;

/// In the type of a region: the rest is the PCI ID of the vendor that defines the subtypes.
pub const VFIO_REGION_TYPE_PCI_VENDOR_TYPE: u32 = 1 << 31;

/// In place of an object id: the user owns the device, which has none.
pub const VFIO_PCI_DEVID_OWNED: u32 = 0;
/// In place of an object id: the user does not own the device.
pub const VFIO_PCI_DEVID_NOT_OWNED: u32 = u32::MAX;

/// Number of fixed regions.
pub const VFIO_PCI_NUM_REGIONS: u32 = 9;
/// Number of interrupt indexes.
pub const VFIO_PCI_NUM_IRQS: u32 = 5;

/// `struct vfio_device_ioeventfd`, without the padding at its end.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub struct IoEventFd {
    /// Size of the structure.
    pub argsz: u32,
    /// Number of bytes to write.
    pub flags: u32,
    /// Where in the device file to write to.
    pub offset: u64,
    /// What to write.
    pub data: u64,
    /// Descriptor of the eventfd, or -1 to remove it.
    pub fd: i32,
}

// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for IoEventFd {}

/// Descriptor of the eventfd to signal.
pub type LowPowerEntryWithWakeup = bindings::vfio_device_low_power_entry_with_wakeup;

// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for LowPowerEntryWithWakeup {}

/// What to export, without the ranges that follow.
pub type DmaBufHeader = bindings::vfio_device_feature_dma_buf;

/// A range of a region.
pub type DmaBufRange = bindings::vfio_region_dma_range;

// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for DmaBufHeader {}
// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for DmaBufRange {}

/// `struct vfio_pci_hot_reset_info` and `struct vfio_pci_hot_reset`, without the arrays at the
/// end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct HotResetHeader {
    /// Size of the structure with its array.
    pub argsz: u32,
    /// `VFIO_PCI_HOT_RESET_FLAG_*` of the information; there are none for the reset.
    pub flags: u32,
    /// Number of elements of the array.
    pub count: u32,
}

// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for HotResetHeader {}
// SAFETY: There is no padding.
unsafe impl AsBytes for HotResetHeader {}

/// `struct vfio_pci_dependent_device`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct DependentDevice {
    /// Number of the IOMMU group, or an object id.
    pub id: u32,
    /// PCI domain.
    pub segment: u16,
    /// Bus.
    pub bus: u8,
    /// Device and function.
    pub devfn: u8,
}

// SAFETY: There is no padding.
unsafe impl AsBytes for DependentDevice {}
