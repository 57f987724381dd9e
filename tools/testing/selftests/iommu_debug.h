/* SPDX-License-Identifier: GPL-2.0 */
/* What an IOMMU lets a device reach, and what it complains about. */
#ifndef IOMMU_DEBUG_H
#define IOMMU_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

bool iommu_table_seen(void);
uint64_t iommu_mapped(const char *bdf, uint64_t iova, uint64_t size);
bool iommu_maps_iova(const char *bdf, uint64_t iova);
long iommu_entries(const char *bdf, uint64_t start, uint64_t size);
long iommu_leaves(const char *bdf, uint64_t iova, uint64_t size);
uint64_t iommu_table(const char *bdf);
long iommu_flushes(void);
bool fault_logged(int log, uint64_t iova);
bool edu_store_faults(int device, uint64_t iova);

/* The table of the IOMMU, which debugfs shows if the kernel was built to. */
#define NEED_IOMMU_TABLE()						\
	do {								\
		if (!iommu_table_seen())				\
			SKIP(return, "debugfs has no IOMMU tables");	\
	} while (0)

#endif
