// SPDX-License-Identifier: GPL-2.0
/*
 * What a Rust module cannot say about itself: version, soft dependencies, aliases
 * that depend on the configuration, parameters that can be written through sysfs, and
 * exports of plain C symbols.
 */

#include <linux/compiler.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/vfio.h>
#include <linux/vfio_device_memory.h>

#include "abstractions/helpers.h"

MODULE_VERSION("0.3");
MODULE_SOFTDEP("post: vfio_iommu_type1");

#ifdef CONFIG_VFIO_RUST_CONTAINER
/* Opening /dev/vfio/vfio loads the module. */
MODULE_ALIAS_MISCDEV(VFIO_MINOR);
MODULE_ALIAS("devname:vfio/vfio");
#endif

#ifdef CONFIG_VFIO_RUST_NOIOMMU
static bool enable_unsafe_noiommu_mode;
module_param(enable_unsafe_noiommu_mode, bool, 0644);
MODULE_PARM_DESC(enable_unsafe_noiommu_mode,
		 "UNSAFE: give users devices that no IOMMU serves. They can then read and write all of the machine's memory. Users need CAP_SYS_RAWIO, and the kernel is tainted. (default: false)");

bool vfio_rust_enable_unsafe_noiommu_mode(void)
{
	return READ_ONCE(enable_unsafe_noiommu_mode);
}
#else
bool vfio_rust_enable_unsafe_noiommu_mode(void)
{
	return false;
}
#endif

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
