// SPDX-License-Identifier: GPL-2.0

//! A device's place in an iommufd: that of hardware, or of a bus driver that
//! emulates a device.

use crate::{
    abstractions::iommufd::{
        Access,
        BoundDevice,
        Context, //
    },
    device::{
        Confinement,
        Dma, //
    }, //
};
use kernel::{
    device,
    prelude::*, //
};

/// A device that is bound to an iommufd. Dropping it detaches and unbinds.
pub(crate) enum Bound {
    Physical(BoundDevice),
    Emulated(Access),
}

impl Bound {
    /// Binds `device` and returns its object id as well.
    ///
    /// # Errors
    ///
    /// Those of [`BoundDevice::bind()`] and [`Access::create()`].
    pub(crate) fn new(
        context: &Context,
        device: &device::Device,
        confinement: Confinement,
    ) -> Result<(Self, u32)> {
        match confinement {
            // In no-IOMMU mode iommufd knows the device, and tells where memory is.
            Confinement::Kept(Dma::Physical) | Confinement::NoIommu => {
                BoundDevice::bind(context, device).map(|(bound, id)| (Self::Physical(bound), id))
            }
            Confinement::Kept(Dma::Emulated) => {
                Access::create(context).map(|(access, id)| (Self::Emulated(access), id))
            }
        }
    }

    /// Whether this is a place in `context`.
    pub(crate) fn is_bound_to(&self, context: &Context) -> bool {
        match self {
            Self::Physical(bound) => bound.is_bound_to(context),
            Self::Emulated(access) => access.is_bound_to(context),
        }
    }

    /// Attaches the device to the address space or page table `id`, in place of
    /// what it is attached to, and returns the id of what it is attached to
    /// then. On failure nothing changes.
    ///
    /// # Errors
    ///
    /// Those of [`BoundDevice::attach()`] and [`Access::attach()`].
    pub(crate) fn attach(&mut self, id: u32) -> Result<u32> {
        match self {
            Self::Physical(bound) => bound.attach(id),
            Self::Emulated(access) => access.attach(id).map(|()| id),
        }
    }

    /// Detaches the device, if it is attached.
    pub(crate) fn detach(&mut self) {
        match self {
            Self::Physical(bound) => bound.detach(),
            Self::Emulated(access) => access.detach(),
        }
    }
}
