// SPDX-License-Identifier: GPL-2.0
/* Logging of DMA; see dma_logging.h. */
#include "dma_logging.h"

long logging_start_sized(int device, uint64_t page_size, const struct logging_range *ranges,
			 uint32_t count, uint64_t *chosen)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_dma_logging_control control;
	} request = {
		.head = {
			.argsz = sizeof(request),
			.flags = VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		},
		.control = {
			.page_size = page_size,
			.num_ranges = count,
			.ranges = (uintptr_t)ranges,
		},
	};
	long ret = vfio_ioctl(device, VFIO_DEVICE_FEATURE, &request);

	if (chosen)
		*chosen = request.control.page_size;
	return ret;
}

long logging_start(int device, uint64_t iova, uint64_t length)
{
	struct logging_range one = { .iova = iova, .length = length };

	return logging_start_sized(device, PAGE_SIZE, &one, 1, NULL);
}

long logging_stop(int device)
{
	return device_feature(device, VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0);
}

long logging_report(int device, uint64_t iova, uint64_t length, uint64_t page_size,
		    const void *bitmap)
{
	struct vfio_device_feature_dma_logging_report asked = {
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.bitmap = (uintptr_t)bitmap,
	};

	return device_feature(device, VFIO_DEVICE_FEATURE_GET |
			      VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
			      &asked, sizeof(asked));
}
