// SPDX-License-Identifier: GPL-2.0
/*
 * Exports of vfio.ko for code in C, which are defined in Rust.
 */

#include <linux/export.h>
#include <linux/vfio.h>
#include <linux/vfio_device_memory.h>

/* Looked up by KVM with symbol_get(). */
EXPORT_SYMBOL_GPL(vfio_file_is_valid);
EXPORT_SYMBOL_GPL(vfio_file_enforced_coherent);
EXPORT_SYMBOL_GPL(vfio_file_set_kvm);
EXPORT_SYMBOL_GPL(vfio_file_iommu_group);

/* For whoever finds memory of a device in a process. */
EXPORT_SYMBOL_GPL(vfio_device_ref_from_vma);
EXPORT_SYMBOL_GPL(vfio_device_ref_get);
EXPORT_SYMBOL_GPL(vfio_device_ref_put);
EXPORT_SYMBOL_GPL(vfio_release_notifier_register);
EXPORT_SYMBOL_GPL(vfio_release_notifier_unregister);
