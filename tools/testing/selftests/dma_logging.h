/* SPDX-License-Identifier: GPL-2.0 */
/* Logging of DMA, as a user asks a device for it. */
#ifndef DMA_LOGGING_H
#define DMA_LOGGING_H

#include <stdint.h>

#include "vfio_fixture.h"

#define logging_range	vfio_device_feature_dma_logging_range
#define MOST_RANGES	(PAGE_SIZE / sizeof(struct logging_range))

/* @chosen is the size of pages that the device has chosen, if it is asked for. */
long logging_start_sized(int device, uint64_t page_size, const struct logging_range *ranges,
			 uint32_t count, uint64_t *chosen);
long logging_start(int device, uint64_t iova, uint64_t length);
long logging_stop(int device);
long logging_report(int device, uint64_t iova, uint64_t length, uint64_t page_size,
		    const void *bitmap);

#endif
