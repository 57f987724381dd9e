// SPDX-License-Identifier: GPL-2.0

//! `VFIO_IOMMU_GET_INFO`: page sizes, and capabilities that tell how dirty pages are
//! reported, how many mappings are left, and which addresses are valid.

use super::{
    abstractions::uapi::type1::{
        CapMigration,
        Info,
        INFO_CAPS,
        INFO_CAP_IOVA_RANGE,
        INFO_CAP_MIGRATION,
        INFO_DMA_AVAIL,
        INFO_PGSIZES, //
    },
    dirty_bitmap,
    page_sizes::PageSizes,
    range::IovaRange,
    request::InfoRequest, //
};
use kernel::{
    prelude::*,
    transmute::AsBytes, //
};
use vfio::capability::CapabilityChain;

/// What there is to tell of the IOMMU of a container.
pub(crate) struct IommuInfo {
    /// The page sizes of the IOMMU, one bit for each.
    pub(crate) page_sizes: u64,
    /// The capabilities.
    pub(crate) capabilities: CapabilityChain,
}

impl IommuInfo {
    /// Collects it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(page_sizes: &PageSizes, available: u32, valid: &[IovaRange]) -> Result<Self> {
        let migration = CapMigration {
            flags: 0,
            pad: 0,
            pgsize_bitmap: page_sizes.smallest(),
            max_dirty_bitmap_size: dirty_bitmap::SIZE_MAX,
        };
        let mut capabilities = CapabilityChain::new();
        capabilities.add(INFO_CAP_MIGRATION, 1, migration.as_bytes())?;
        capabilities.add(INFO_DMA_AVAIL, 1, &available.to_ne_bytes())?;
        if !valid.is_empty() {
            capabilities.add(INFO_CAP_IOVA_RANGE, 1, &range_payload(valid)?)?;
        }
        Ok(Self {
            page_sizes: page_sizes.bitmap(),
            capabilities,
        })
    }

    /// Answers `request`: with everything if there is room, and otherwise with
    /// the size that is needed.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the user's buffer is not writable.
    pub(crate) fn answer(self, request: InfoRequest) -> Result {
        let mut info = Info {
            argsz: request.argsz(),
            flags: INFO_PGSIZES | INFO_CAPS,
            iova_pgsizes: self.page_sizes,
            cap_offset: 0,
            pad: 0,
        };
        let fixed = size_of::<Info>();
        let needed = self.capabilities.len().saturating_add(fixed);
        if (info.argsz as usize) < needed {
            info.argsz = u32::try_from(needed)?;
            return request.write(&info, &[]);
        }
        // CAST: The size of a small structure.
        info.cap_offset = fixed as u32;
        let capabilities = self.capabilities.finish(fixed)?;
        request.write(&info, &capabilities)
    }
}

/// The payload of `struct vfio_iommu_type1_info_cap_iova_range`.
fn range_payload(valid: &[IovaRange]) -> Result<KVec<u8>> {
    let count = u32::try_from(valid.len())?;
    let reserved = 0u32;
    let mut payload = KVec::new();
    payload.extend_from_slice(&count.to_ne_bytes(), GFP_KERNEL)?;
    payload.extend_from_slice(&reserved.to_ne_bytes(), GFP_KERNEL)?;
    for range in valid {
        payload.extend_from_slice(&range.start().to_ne_bytes(), GFP_KERNEL)?;
        payload.extend_from_slice(&range.last().to_ne_bytes(), GFP_KERNEL)?;
    }
    Ok(payload)
}
