// SPDX-License-Identifier: GPL-2.0
/*
 * What module!{} cannot express: parameters that can be written through sysfs,
 * and a module version. Rust reads the parameters by the functions below.
 */
#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "../abstractions/helpers.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Attach groups even if the platform cannot isolate their interrupts (no interrupt remapping).");

static bool disable_hugepages;
module_param(disable_hugepages, bool, 0644);
MODULE_PARM_DESC(disable_hugepages,
		 "Pin and map memory page by page, never by IOMMU huge pages.");

static unsigned int dma_entry_limit = U16_MAX;
module_param(dma_entry_limit, uint, 0644);
MODULE_PARM_DESC(dma_entry_limit,
		 "Maximum number of user DMA mappings per container (65535).");

bool vfio_rust_type1_allow_unsafe_interrupts(void)
{
	return READ_ONCE(allow_unsafe_interrupts);
}

bool vfio_rust_type1_disable_hugepages(void)
{
	return READ_ONCE(disable_hugepages);
}

unsigned int vfio_rust_type1_dma_entry_limit(void)
{
	return READ_ONCE(dma_entry_limit);
}

MODULE_VERSION("0.2");
