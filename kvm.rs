// SPDX-License-Identifier: GPL-2.0

//! What KVM asks about files that userspace gives to a virtual machine.
//!
//! KVM looks up C symbols, which the abstractions define and which end here. Files
//! of groups and of devices are both accepted.

use crate::{
    abstractions::{
        iommu::enforces_cache_coherency,
        kvm::KvmPointer, //
    },
    device_file,
    group, //
};
use kernel::fs::File;

/// Whether `file` is a group or a device.
pub(crate) fn file_is_valid(file: &File) -> bool {
    group::from_file(file).is_some() || device_file::with_file(file, |_| ()).is_some()
}

/// Whether DMA of all devices behind `file` is coherent with the caches,
/// whatever the devices ask for. What is no file of ours does no DMA.
pub(crate) fn file_enforced_coherent(file: &File) -> bool {
    if let Some(group) = group::from_file(file) {
        return group.all_devices(|device| enforces_cache_coherency(device.parent()));
    }
    device_file::with_file(file, |file| {
        enforces_cache_coherency(file.device().parent())
    })
    .unwrap_or(true)
}

/// Gives what is behind `file` to a virtual machine, or takes it back. The
/// next first open of a device takes a reference on the machine.
pub(crate) fn file_set_kvm(file: &File, kvm: Option<KvmPointer>) {
    if let Some(group) = group::from_file(file) {
        group.set_kvm(kvm);
    } else {
        device_file::with_file(file, |file| file.set_kvm(kvm));
    }
}
