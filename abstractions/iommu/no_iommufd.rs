// SPDX-License-Identifier: GPL-2.0

//! The kernel has no iommufd: nothing is one, and nothing can be bound to one.
//!
//! C header: [`include/linux/iommufd.h`](srctree/include/linux/iommufd.h)

use crate::abstractions::{
    iommu,
    registered::RegistrationRef, //
};
use crate::pinning::{
    Pins,
    UnmapListener, //
};
use core::convert::Infallible;
use kernel::{
    fs::File,
    prelude::*,
    sync::Arc, //
};

/// An open `/dev/iommu`: there is none.
pub struct Context(Infallible);

impl Context {
    /// The context behind `file`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`.
    pub fn from_file(_file: &File) -> Result<Self> {
        Err(EOPNOTSUPP)
    }

    /// The context behind a descriptor of the current process.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`.
    pub fn from_fd(_fd: i32) -> Result<Self> {
        Err(EOPNOTSUPP)
    }

    /// Makes sure that there is an address space for users of the container
    /// interface.
    ///
    /// # Errors
    ///
    /// None.
    pub fn create_compat_address_space(&self) -> Result {
        match self.0 {}
    }

    /// Puts the context into no-IOMMU mode.
    ///
    /// # Errors
    ///
    /// None.
    pub fn set_no_iommu(&self) -> Result {
        match self.0 {}
    }

    /// The object id of the address space for users of the container interface.
    ///
    /// # Errors
    ///
    /// None.
    pub fn compat_address_space(&self) -> Result<u32> {
        match self.0 {}
    }

    /// Whether `other` is a reference to the same context.
    pub fn is(&self, _other: &Self) -> bool {
        match self.0 {}
    }

    /// Another reference to the same context.
    pub fn share(&self) -> Self {
        match self.0 {}
    }
}

/// A way for software to the address spaces of a context: there is none.
pub struct Access(Infallible);

impl Access {
    /// Creates an access to `context` and returns it with its object id.
    ///
    /// # Errors
    ///
    /// None.
    pub fn create(context: &Context, _listener: Arc<dyn UnmapListener>) -> Result<(Self, u32)> {
        match context.0 {}
    }

    /// What it is attached to, for who reads and writes there.
    pub fn space(&self) -> &Arc<AccessSpace> {
        match self.0 {}
    }

    /// Whether the access is to `context`.
    pub fn is_bound_to(&self, _context: &Context) -> bool {
        match self.0 {}
    }

    /// Attaches to the address space `id`.
    ///
    /// # Errors
    ///
    /// None.
    pub fn attach(&mut self, _id: u32) -> Result {
        match self.0 {}
    }

    /// Detaches, if it is attached.
    pub fn detach(&mut self) {
        match self.0 {}
    }
}

/// What an access is attached to: there is none.
pub struct AccessSpace(Infallible);

impl AccessSpace {
    /// Pins `count` pages from `iova` on, and gives them to `keep`.
    ///
    /// # Errors
    ///
    /// None.
    pub fn pin(
        self: &Arc<Self>,
        _iova: u64,
        _count: usize,
        _write: bool,
        _keep: &mut dyn FnMut(KBox<dyn Pins>),
    ) -> Result {
        match self.0 {}
    }

    /// Copies bytes from `iova` on to `buffer`.
    ///
    /// # Errors
    ///
    /// None.
    pub fn read(&self, _iova: u64, _buffer: &mut [u8]) -> Result {
        match self.0 {}
    }

    /// Copies `bytes` to `iova`.
    ///
    /// # Errors
    ///
    /// None.
    pub fn write(&self, _iova: u64, _bytes: &[u8]) -> Result {
        match self.0 {}
    }
}

/// A device that is bound to a context: there is none.
pub struct BoundDevice(Infallible);

impl BoundDevice {
    /// Binds the device that `hold` keeps to `context` and returns it with its object id.
    ///
    /// # Errors
    ///
    /// None.
    pub fn bind(context: &Context, _hold: RegistrationRef) -> Result<(Self, u32)> {
        match context.0 {}
    }

    /// Whether the device is bound to `context`.
    pub fn is_bound_to(&self, _context: &Context) -> bool {
        match self.0 {}
    }

    /// Whether the device is bound to the same context as `other`.
    pub fn has_context_of(&self, _other: &Self) -> bool {
        match self.0 {}
    }

    /// Whether a device of `group` is bound to the same context.
    pub fn context_has_group(&self, _group: &iommu::Group) -> bool {
        match self.0 {}
    }

    /// The device's object id.
    pub fn id(&self) -> u32 {
        match self.0 {}
    }

    /// Attaches the device to the address space or page table `id`, and
    /// returns the id of the page table.
    ///
    /// # Errors
    ///
    /// None.
    pub fn attach(&mut self, _id: u32) -> Result<u32> {
        match self.0 {}
    }

    /// Attaches one PASID of the device.
    ///
    /// # Errors
    ///
    /// None.
    pub fn attach_pasid(&mut self, _pasid: u32, _id: u32) -> Result<u32> {
        match self.0 {}
    }

    /// Detaches one PASID of the device.
    pub fn detach_pasid(&mut self, _pasid: u32) {
        match self.0 {}
    }

    /// Detaches the device, if it is attached.
    pub fn detach(&mut self) {
        match self.0 {}
    }
}
