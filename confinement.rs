// SPDX-License-Identifier: GPL-2.0

//! How the DMA of devices is kept within the memory of their user.

/// How the DMA of a device is kept within the memory of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dma {
    /// The device does it, and an IOMMU translates it. Devices that the IOMMU
    /// cannot tell apart share a group.
    Physical,
    /// The device does none: it is made of software, the bus driver. It gets a
    /// group of its own, which no IOMMU serves.
    Emulated,
}

/// Whether the DMA of a group's devices is kept within the memory of their user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// It is, as DMA of this kind always is.
    Kept(Dma),
    /// They do DMA, and nothing confines it: the group is in no-IOMMU mode.
    NoIommu,
}
