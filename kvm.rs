// SPDX-License-Identifier: GPL-2.0

//! What KVM asks about files that userspace gives to a virtual machine.
//!
//! KVM looks up C symbols, which the abstractions define and which end here. Files
//! of groups and of devices are both accepted.

use crate::{
    abstractions::{
        iommu::enforces_cache_coherency,
        kvm::KvmSlot, //
    },
    device,
    group, //
};
use kernel::fs::File;

/// Whether `file` is a group or a device.
pub(crate) fn file_is_valid(file: &File) -> bool {
    group::file::from_file(file).is_some() || device::file::with_file(file, |_| ()).is_some()
}

/// Whether DMA of all devices behind `file` is coherent with the caches,
/// whatever the devices ask for. What is no file of ours does no DMA.
pub(crate) fn file_enforced_coherent(file: &File) -> bool {
    if let Some(group) = group::file::from_file(file) {
        return group.all_devices(|device| enforces_cache_coherency(device.parent()));
    }
    device::file::with_file(file, |file| {
        enforces_cache_coherency(file.device().parent())
    })
    .unwrap_or(true)
}

/// Calls `visit` with what knows the virtual machine that `file` was given to; it is the same as
/// long as the file is open. The next first open of a device takes a reference on the machine.
pub(crate) fn with_slot(file: &File, visit: impl FnOnce(&KvmSlot)) {
    if let Some(group) = group::file::from_file(file) {
        visit(group.group().kvm_slot());
    } else {
        device::file::with_file(file, |file| visit(file.kvm_slot()));
    }
}
