/* SPDX-License-Identifier: GPL-2.0 */
/* The requests of type1's dirty tracking. */
#ifndef DIRTY_PAGES_H
#define DIRTY_PAGES_H

#include <stdint.h>

#define DIRTY_START	VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define DIRTY_STOP	VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
#define DIRTY_GET	VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP

/* The longest bitmap, in bytes. */
#define DIRTY_SIZE_MAX	(256UL << 20)

/* A bitmap of the user, and of what. */
struct dirty_request {
	uint64_t iova;
	uint64_t size;
	uint64_t page_size;
	uint64_t bytes;
	void *data;
};

long dirty_tracking(int container, uint32_t flag);
long dirty_get(int container, const struct dirty_request *request);
long dirty_unmap(int container, const struct dirty_request *request);

#endif
