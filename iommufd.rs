// SPDX-License-Identifier: GPL-2.0

//! A device's place in an iommufd: that of hardware, or of a bus driver that
//! emulates a device.

use crate::{
    abstractions::{
        iommu::iommufd::{
            Access,
            AccessSpace,
            BoundDevice,
            Context, //
        },
        registered::RegistrationRef, //
    },
    confinement::{
        Confinement,
        Dma, //
    },
    pinning::UnmapListener, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A device that is bound to an iommufd. Dropping it detaches and unbinds.
pub(crate) enum Bound {
    Physical(BoundDevice),
    Emulated(Access),
}

impl Bound {
    /// Binds the device that `hold` keeps, and returns its object id as well. `listener` is told
    /// of what is unmapped, if the device is emulated.
    ///
    /// # Errors
    ///
    /// Those of [`BoundDevice::bind()`] and [`Access::create()`].
    pub(crate) fn new(
        context: &Context,
        hold: RegistrationRef,
        confinement: Confinement,
        listener: Arc<dyn UnmapListener>,
    ) -> Result<(Self, u32)> {
        match confinement {
            // In no-IOMMU mode iommufd knows the device, and tells where memory is.
            Confinement::Kept(Dma::Physical) | Confinement::NoIommu => {
                BoundDevice::bind(context, hold).map(|(bound, id)| (Self::Physical(bound), id))
            }
            Confinement::Kept(Dma::Emulated) => {
                Access::create(context, listener).map(|(access, id)| (Self::Emulated(access), id))
            }
        }
    }

    /// The binding, unless the device is emulated.
    pub(crate) fn physical(&self) -> Option<&BoundDevice> {
        match self {
            Self::Physical(bound) => Some(bound),
            Self::Emulated(_) => None,
        }
    }

    /// Where an emulated device reads and writes memory of its user.
    pub(crate) fn space(&self) -> Option<&Arc<AccessSpace>> {
        match self {
            Self::Physical(_) => None,
            Self::Emulated(access) => Some(access.space()),
        }
    }

    /// Whether this is a place in `context`.
    pub(crate) fn is_bound_to(&self, context: &Context) -> bool {
        match self {
            Self::Physical(bound) => bound.is_bound_to(context),
            Self::Emulated(access) => access.is_bound_to(context),
        }
    }

    /// Attaches the device, or one PASID of it, to the address space or page table `id`, in
    /// place of what it is attached to, and returns the id of what it is attached to
    /// then. On failure nothing changes.
    ///
    /// # Errors
    ///
    /// Those of [`BoundDevice::attach()`], [`BoundDevice::attach_pasid()`] and
    /// [`Access::attach()`]. `EOPNOTSUPP`: there is a PASID, and the device is emulated.
    pub(crate) fn attach(&mut self, pasid: Option<u32>, id: u32) -> Result<u32> {
        match (self, pasid) {
            (Self::Physical(bound), None) => bound.attach(id),
            (Self::Physical(bound), Some(pasid)) => bound.attach_pasid(pasid, id),
            (Self::Emulated(access), None) => access.attach(id).map(|()| id),
            (Self::Emulated(_), Some(_)) => Err(EOPNOTSUPP),
        }
    }

    /// Detaches the device, or one PASID of it, if it is attached.
    pub(crate) fn detach(&mut self, pasid: Option<u32>) {
        match (self, pasid) {
            (Self::Physical(bound), None) => bound.detach(),
            (Self::Physical(bound), Some(pasid)) => bound.detach_pasid(pasid),
            (Self::Emulated(access), None) => access.detach(),
            (Self::Emulated(_), Some(_)) => {}
        }
    }
}
