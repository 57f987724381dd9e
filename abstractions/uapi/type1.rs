// SPDX-License-Identifier: GPL-2.0

//! The structures and numbers of the type1 interface.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use kernel::transmute::{
    AsBytes,
    FromBytes, //
};
use vfio::abstractions::uapi::number;

/// Container: what the backend offers.
pub(crate) const VFIO_IOMMU_GET_INFO: u32 = number(12);
/// Container: let devices reach memory.
pub(crate) const VFIO_IOMMU_MAP_DMA: u32 = number(13);
/// Container: take memory away from devices.
pub(crate) const VFIO_IOMMU_UNMAP_DMA: u32 = number(14);
/// Container: which memory devices may have written to.
pub(crate) const VFIO_IOMMU_DIRTY_PAGES: u32 = number(17);

/// `VFIO_TYPE1_IOMMU`, an extension and a value for `VFIO_SET_IOMMU`.
pub(crate) const TYPE1_IOMMU: usize = 1;
/// `VFIO_TYPE1v2_IOMMU`, an extension and a value for `VFIO_SET_IOMMU`.
pub(crate) const TYPE1V2_IOMMU: usize = 3;
/// `VFIO_DMA_CC_IOMMU`, an extension.
pub(crate) const DMA_CC_IOMMU: usize = 4;
/// `VFIO_UNMAP_ALL`, an extension.
pub(crate) const UNMAP_ALL: usize = 9;
/// `VFIO_UPDATE_VADDR`, an extension.
pub(crate) const UPDATE_VADDR: usize = 10;

/// `VFIO_DMA_MAP_FLAG_READ`: the device may read.
pub(crate) const MAP_FLAG_READ: u32 = 1 << 0;
/// `VFIO_DMA_MAP_FLAG_WRITE`: the device may write.
pub(crate) const MAP_FLAG_WRITE: u32 = 1 << 1;
/// `VFIO_DMA_MAP_FLAG_VADDR`: a new address for the memory of a mapping.
pub(crate) const MAP_FLAG_VADDR: u32 = 1 << 2;
/// `VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP`: report what is dirty of what is unmapped.
pub(crate) const UNMAP_FLAG_GET_DIRTY_BITMAP: u32 = 1 << 0;
/// `VFIO_DMA_UNMAP_FLAG_ALL`: unmap all addresses.
pub(crate) const UNMAP_FLAG_ALL: u32 = 1 << 1;
/// `VFIO_DMA_UNMAP_FLAG_VADDR`: the address of the memory is not valid any more.
pub(crate) const UNMAP_FLAG_VADDR: u32 = 1 << 2;
/// `VFIO_IOMMU_DIRTY_PAGES_FLAG_START`: begin to keep track.
pub(crate) const DIRTY_PAGES_START: u32 = 1 << 0;
/// `VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP`: end it.
pub(crate) const DIRTY_PAGES_STOP: u32 = 1 << 1;
/// `VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP`: report.
pub(crate) const DIRTY_PAGES_GET_BITMAP: u32 = 1 << 2;
/// `VFIO_IOMMU_INFO_PGSIZES`: `iova_pgsizes` is set.
pub(crate) const INFO_PGSIZES: u32 = 1 << 0;
/// `VFIO_IOMMU_INFO_CAPS`: there are capabilities.
pub(crate) const INFO_CAPS: u32 = 1 << 1;

/// `VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE`, a capability.
pub(crate) const INFO_CAP_IOVA_RANGE: u16 = 1;
/// `VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION`, a capability.
pub(crate) const INFO_CAP_MIGRATION: u16 = 2;
/// `VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL`, a capability.
pub(crate) const INFO_DMA_AVAIL: u16 = 3;

/// `struct vfio_iommu_type1_dma_map`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct DmaMap {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) vaddr: u64,
    pub(crate) iova: u64,
    pub(crate) size: u64,
}

// SAFETY: Integers only, so all bit patterns are valid.
unsafe impl FromBytes for DmaMap {}

/// `struct vfio_iommu_type1_dma_unmap`, without the data that follows.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct DmaUnmap {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) iova: u64,
    pub(crate) size: u64,
}

// SAFETY: Integers only, so all bit patterns are valid.
unsafe impl FromBytes for DmaUnmap {}
// SAFETY: Two 32-bit and two 64-bit integers leave no padding.
unsafe impl AsBytes for DmaUnmap {}

/// `struct vfio_bitmap`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Bitmap {
    pub(crate) pgsize: u64,
    pub(crate) size: u64,
    /// A pointer; its width here is that of every machine that has these modules.
    pub(crate) data: u64,
}

// SAFETY: Integers only, so all bit patterns are valid.
unsafe impl FromBytes for Bitmap {}

/// `struct vfio_iommu_type1_dirty_bitmap`, without the data that follows.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct DirtyBitmap {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
}

// SAFETY: Integers only, so all bit patterns are valid.
unsafe impl FromBytes for DirtyBitmap {}

/// `struct vfio_iommu_type1_dirty_bitmap_get`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct DirtyBitmapGet {
    pub(crate) iova: u64,
    pub(crate) size: u64,
    pub(crate) bitmap: Bitmap,
}

// SAFETY: Integers only, so all bit patterns are valid.
unsafe impl FromBytes for DirtyBitmapGet {}

/// `struct vfio_iommu_type1_info_cap_migration`, without its header.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CapMigration {
    pub(crate) flags: u32,
    pub(crate) pad: u32,
    pub(crate) pgsize_bitmap: u64,
    pub(crate) max_dirty_bitmap_size: u64,
}

// SAFETY: Two 32-bit and two 64-bit integers leave no padding.
unsafe impl AsBytes for CapMigration {}

/// `struct vfio_iommu_type1_info` up to `iova_pgsizes`, which every caller has.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct InfoHeader {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) iova_pgsizes: u64,
}

// SAFETY: Integers only, so all bit patterns are valid.
unsafe impl FromBytes for InfoHeader {}

/// `struct vfio_iommu_type1_info`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Info {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) iova_pgsizes: u64,
    pub(crate) cap_offset: u32,
    pub(crate) pad: u32,
}

// SAFETY: Two 32-bit, one 64-bit and two 32-bit integers leave no padding.
unsafe impl AsBytes for Info {}
