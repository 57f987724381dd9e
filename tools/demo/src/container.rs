// SPDX-License-Identifier: GPL-2.0

//! The container: one IOMMU address space, shared by the devices in it.

use std::sync::Arc;

use anyhow::{
    anyhow,
    Context,
    Error,
    Result, //
};
use vfio_ioctls::{
    VfioContainer,
    VfioError, //
};

use crate::device::Device;
use crate::dma::{
    Mapping,
    Memory, //
};
use crate::iommu::IommuInfo;
use crate::pci::Address;

/// Takes an error of `vfio-ioctls` as the one line that it prints as. The line has the cause in it
/// already, which a chain of causes would print again.
pub fn plain(error: VfioError) -> Error {
    anyhow!("{error}")
}

/// An open container with the type1 v2 IOMMU backend.
pub struct Container {
    container: Arc<VfioContainer>,
}

impl Container {
    /// Opens `/dev/vfio/vfio`, checks the version of the interface and that type1 v2 is there.
    ///
    /// # Errors
    ///
    /// Fails when one of these does.
    pub fn open() -> Result<Self> {
        let container = VfioContainer::new(None)
            .map_err(plain)
            .context("are the modules vfio and vfio_iommu_type1 loaded?")?;

        Ok(Self {
            container: Arc::new(container),
        })
    }

    /// Opens the group of a function, puts it into the container, and opens the device.
    ///
    /// The first group is what gives the container its IOMMU backend.
    ///
    /// # Errors
    ///
    /// Fails when the group cannot be used, for example because another program has it or because
    /// another device of the group is bound to a driver of the host.
    pub fn open_device(&self, address: Address) -> Result<Device> {
        Device::open(address, self.container.clone()).with_context(|| format!("device {address}"))
    }

    /// Asks what the IOMMU can do.
    ///
    /// # Errors
    ///
    /// Fails while there is no group in the container, which has no IOMMU until then.
    pub fn iommu_info(&self) -> Result<IommuInfo> {
        IommuInfo::query(&self.container)
    }

    /// Maps `length` bytes of `memory`, from `offset`, for DMA at `iova`.
    ///
    /// # Errors
    ///
    /// Fails when the range is not in the memory, and when the kernel refuses the mapping.
    pub fn map<'a>(
        &'a self,
        memory: &'a Memory,
        offset: usize,
        length: usize,
        iova: u64,
    ) -> Result<Mapping<'a>> {
        Mapping::new(&self.container, memory, offset, length, iova)
    }
}
