// SPDX-License-Identifier: GPL-2.0

//! The device behind a memory area.

use crate::{
    abstractions::{
        mm::pfnmap::{
            FilePages,
            FrameRange, //
        },
        module_ref::ModuleRef, //
    },
    device::{
        file::OPERATIONS,
        Device, //
    }, //
};
use core::ops::Deref;
use kernel::{
    mm::virt::VmaRef,
    sync::Arc, //
};

/// A reference to a device that may outlive the device's files.
///
/// It keeps the object alive and the code of the bus driver loaded, but not the
/// hardware usable: ask to be told by a
/// [`ReleaseNotifier`](crate::notifier::ReleaseNotifier) before using what an
/// area maps.
///
/// Fields are dropped in order: the last reference to the device needs the code
/// of its bus driver.
#[derive(Clone)]
pub struct DeviceRef {
    device: Arc<Device>,
    module: ModuleRef,
}

impl DeviceRef {
    /// A reference to a device that has an open file.
    fn new(device: &Arc<Device>) -> Option<Self> {
        let module = device.hold_module().ok()?;
        Some(Self {
            device: device.clone(),
            module,
        })
    }

    /// Takes the reference apart, for C.
    pub(crate) fn into_parts(self) -> (Arc<Device>, ModuleRef) {
        (self.device, self.module)
    }

    /// Undoes [`into_parts()`](Self::into_parts).
    pub(crate) fn from_parts(device: Arc<Device>, module: ModuleRef) -> Self {
        Self { device, module }
    }
}

impl Deref for DeviceRef {
    type Target = Arc<Device>;

    fn deref(&self) -> &Arc<Device> {
        &self.device
    }
}

impl Device {
    /// The device whose memory `vma` maps, if it is an area of a VFIO device
    /// file. The mmap lock, or the lock of the area, is held, as every
    /// [`VmaRef`] shows.
    pub fn from_vma(vma: &VmaRef) -> Option<DeviceRef> {
        OPERATIONS
            .data_of_vma(vma)
            .and_then(|file| DeviceRef::new(file.shared_device()))
    }

    /// The page frames that `vma`, an area of this device, maps from `address` on, as far as they
    /// follow each other, however the area is aligned. They are good until the device is
    /// released, if that had not begun when a
    /// [`ReleaseNotifier`](crate::notifier::ReleaseNotifier) was registered.
    ///
    /// `None`: they cannot be accessed now, or only a page fault can tell.
    pub fn frames(&self, vma: &VmaRef, address: usize) -> Option<FrameRange> {
        let wanted = FilePages::of_vma(vma, address)?;
        self.ops().frames(self, wanted.first)?.at_most(wanted.pages)
    }
}
