/* SPDX-License-Identifier: GPL-2.0 */
/* What an IOMMU lets a device reach, and what it complains about. */
#ifndef IOMMU_DEBUG_H
#define IOMMU_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

uint64_t iommu_mapped(const char *bdf, uint64_t iova, uint64_t size);
bool iommu_maps_iova(const char *bdf, uint64_t iova);
long iommu_entries(const char *bdf, uint64_t start, uint64_t size);
uint64_t iommu_table(const char *bdf);
long iommu_flushes(void);
bool fault_logged(int log, uint64_t iova);
bool edu_store_faults(int device, uint64_t iova);

#endif
