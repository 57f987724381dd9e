// SPDX-License-Identifier: GPL-2.0

//! The device behind a memory area.

use crate::{
    device::Device,
    device_file, //
};
use kernel::{
    mm::virt::VmaRef,
    sync::Arc, //
};

impl Device {
    /// The device whose memory `vma` maps, if it is an area of a VFIO device
    /// file. The mmap lock, or the lock of the area, is held, as every
    /// [`VmaRef`] shows.
    ///
    /// The reference keeps the object alive, not the hardware, and not the
    /// code of the bus driver: ask to be told by a
    /// [`ReleaseNotifier`](crate::notifier::ReleaseNotifier), which keeps that,
    /// before using what the area maps.
    pub fn from_vma(vma: &VmaRef) -> Option<Arc<Self>> {
        device_file::OPERATIONS
            .data_of_vma(vma)
            .map(|file| file.shared_device())
    }
}
