// SPDX-License-Identifier: GPL-2.0
/* The requests of type1's dirty tracking; see dirty_pages.h. */
#include <string.h>

#include "dirty_pages.h"
#include "vfio_fixture.h"

/* Requests end in structures that are data to the compiler. */
union dirty_argument {
	struct vfio_iommu_type1_dirty_bitmap dirty;
	struct vfio_iommu_type1_dma_unmap unmap;
	uint8_t bytes[64];
};

/* Begins or ends it. */
long dirty_tracking(int container, uint32_t flag)
{
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = sizeof(dirty),
		.flags = flag,
	};

	return vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &dirty);
}

static struct vfio_bitmap bitmap_of(const struct dirty_request *request)
{
	return (struct vfio_bitmap) {
		.pgsize = request->page_size,
		.size = request->bytes,
		.data = request->data,
	};
}

long dirty_get(int container, const struct dirty_request *request)
{
	struct vfio_iommu_type1_dirty_bitmap_get get = {
		.iova = request->iova,
		.size = request->size,
		.bitmap = bitmap_of(request),
	};
	union dirty_argument argument = {
		.dirty = {
			.argsz = sizeof(argument.dirty) + sizeof(get),
			.flags = DIRTY_GET,
		},
	};

	memcpy(argument.bytes + sizeof(argument.dirty), &get, sizeof(get));
	return vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &argument);
}

/* Returns the number of bytes that are no longer mapped. */
long dirty_unmap(int container, const struct dirty_request *request)
{
	struct vfio_bitmap bitmap = bitmap_of(request);
	union dirty_argument argument = {
		.unmap = {
			.argsz = sizeof(argument.unmap) + sizeof(bitmap),
			.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
			.iova = request->iova,
			.size = request->size,
		},
	};
	long ret;

	memcpy(argument.bytes + sizeof(argument.unmap), &bitmap, sizeof(bitmap));
	ret = vfio_ioctl(container, VFIO_IOMMU_UNMAP_DMA, &argument);
	return ret ? ret : (long)argument.unmap.size;
}
