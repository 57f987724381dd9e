// SPDX-License-Identifier: GPL-2.0
/*
 * What a Rust module cannot say about itself: version, soft dependencies, aliases
 * that depend on the configuration, and parameters that can be written through sysfs.
 */

#include <linux/compiler.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

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
