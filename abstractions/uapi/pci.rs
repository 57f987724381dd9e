// SPDX-License-Identifier: GPL-2.0

//! The user interface of a PCI device: numbers and structures.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use kernel::transmute::{
    AsBytes,
    FromBytes, //
};
use vfio::abstractions::uapi::number;

pub(crate) use vfio::abstractions::uapi::device::{
    DeviceInfo,
    RegionInfo,
    VFIO_DEVICE_FLAGS_RESET,
    VFIO_DEVICE_GET_INFO,
    VFIO_DEVICE_GET_REGION_INFO,
    VFIO_DEVICE_RESET,
    VFIO_REGION_INFO_FLAG_MMAP,
    VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE, //
};

/// Get flags and count of an interrupt index.
pub(crate) const VFIO_DEVICE_GET_IRQ_INFO: u32 = number(9);
/// Set up, mask or unmask, or trigger interrupts.
pub(crate) const VFIO_DEVICE_SET_IRQS: u32 = number(10);
/// Get what a hot reset would reset.
pub(crate) const VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: u32 = number(12);
/// Reset the slot or bus of the device.
pub(crate) const VFIO_DEVICE_PCI_HOT_RESET: u32 = number(13);

/// Let an eventfd write to a register.
pub(crate) const VFIO_DEVICE_IOEVENTFD: u32 = number(16);

/// The device is a PCI function.
pub(crate) const VFIO_DEVICE_FLAGS_PCI: u32 = 1 << 1;
/// The information has capabilities.
pub(crate) const VFIO_DEVICE_FLAGS_CAPS: u32 = 1 << 7;

/// Capability of [`DeviceInfo`]: which sizes of atomic operations the root port completes.
pub(crate) const VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP: u16 = 5;
/// 32-bit operations.
pub(crate) const VFIO_PCI_ATOMIC_COMP32: u32 = 1 << 0;
/// 64-bit operations.
pub(crate) const VFIO_PCI_ATOMIC_COMP64: u32 = 1 << 1;
/// 128-bit operations.
pub(crate) const VFIO_PCI_ATOMIC_COMP128: u32 = 1 << 2;

/// The information has capabilities.
pub(crate) const VFIO_REGION_INFO_FLAG_CAPS: u32 = 1 << 3;

/// Capability of [`RegionInfo`]: what a device-specific region is.
pub(crate) const VFIO_REGION_INFO_CAP_TYPE: u16 = 2;
/// Capability of [`RegionInfo`]: the MSI-X table may be mapped with the rest of its BAR.
pub(crate) const VFIO_REGION_INFO_CAP_MSIX_MAPPABLE: u16 = 3;

/// In the type of a region: the rest is the PCI ID of the vendor that defines the subtypes.
pub(crate) const VFIO_REGION_TYPE_PCI_VENDOR_TYPE: u32 = 1 << 31;

/// The devices are described by their object ids in the iommufd.
pub(crate) const VFIO_PCI_HOT_RESET_FLAG_DEV_ID: u32 = 1 << 0;
/// The user owns all of them.
pub(crate) const VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED: u32 = 1 << 1;
/// In place of an object id: the user owns the device, which has none.
pub(crate) const VFIO_PCI_DEVID_OWNED: u32 = 0;
/// In place of an object id: the user does not own the device.
pub(crate) const VFIO_PCI_DEVID_NOT_OWNED: u32 = u32::MAX;

/// Number of fixed regions.
pub(crate) const VFIO_PCI_NUM_REGIONS: u32 = 9;
/// Number of interrupt indexes.
pub(crate) const VFIO_PCI_NUM_IRQS: u32 = 5;

/// `struct vfio_device_ioeventfd`, without the padding at its end.
#[repr(C, packed(4))]
#[derive(Clone, Copy)]
pub(crate) struct IoEventFd {
    /// Size of the structure.
    pub(crate) argsz: u32,
    /// Number of bytes to write.
    pub(crate) flags: u32,
    /// Where in the device file to write to.
    pub(crate) offset: u64,
    /// What to write.
    pub(crate) data: u64,
    /// Descriptor of the eventfd, or -1 to remove it.
    pub(crate) fd: i32,
}

// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for IoEventFd {}

/// `struct vfio_device_low_power_entry_with_wakeup`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct LowPowerEntryWithWakeup {
    /// Descriptor of the eventfd to signal.
    pub(crate) wakeup_eventfd: i32,
    /// Ignored.
    pub(crate) reserved: u32,
}

// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for LowPowerEntryWithWakeup {}

/// `struct vfio_device_feature_dma_buf`, without the ranges that follow it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct DmaBufHeader {
    /// Which region.
    pub(crate) region_index: u32,
    /// Flags of the file and of its descriptor, as for `open()`.
    pub(crate) open_flags: u32,
    /// Zero.
    pub(crate) flags: u32,
    /// Number of ranges.
    pub(crate) nr_ranges: u32,
}

/// `struct vfio_region_dma_range`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct DmaBufRange {
    /// Offset within the region.
    pub(crate) offset: u64,
    /// Length in bytes.
    pub(crate) length: u64,
}

// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for DmaBufHeader {}
// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for DmaBufRange {}

/// `struct vfio_pci_hot_reset_info` and `struct vfio_pci_hot_reset`, without the arrays at the
/// end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct HotResetHeader {
    /// Size of the structure with its array.
    pub(crate) argsz: u32,
    /// `VFIO_PCI_HOT_RESET_FLAG_*` of the information; there are none for the reset.
    pub(crate) flags: u32,
    /// Number of elements of the array.
    pub(crate) count: u32,
}

// SAFETY: Any bytes are a valid value.
unsafe impl FromBytes for HotResetHeader {}
// SAFETY: There is no padding.
unsafe impl AsBytes for HotResetHeader {}

/// `struct vfio_pci_dependent_device`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct DependentDevice {
    /// Number of the IOMMU group, or an object id.
    pub(crate) id: u32,
    /// PCI domain.
    pub(crate) segment: u16,
    /// Bus.
    pub(crate) bus: u8,
    /// Device and function.
    pub(crate) devfn: u8,
}

// SAFETY: There is no padding.
unsafe impl AsBytes for DependentDevice {}
