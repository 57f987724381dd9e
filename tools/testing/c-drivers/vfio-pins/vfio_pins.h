/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the device of vfio_pins, which is "vfio-pins", does for its user: it calls the
 * functions that drivers of emulated devices have in place of DMA, and others that they
 * may call at any time.
 */
#ifndef VFIO_PINS_H
#define VFIO_PINS_H

#include <linux/types.h>
#include <linux/vfio.h>

struct pins_request {
	__u64 iova;
	/* Pages, or bytes to copy: PINS_MOST at most. */
	__u32 count;
	/* IOMMU_READ, IOMMU_WRITE */
	__u32 prot;
	/* Where to put the first byte of each page, or the bytes to copy. */
	__u64 bytes;
};

struct pins_report {
	/* Pages that the driver has, each as often as it has it. */
	__u32 pinned;
	/* How often it was told what is unmapped, and what the last time. */
	__u32 told;
	__u64 told_iova;
	__u64 told_length;
	/* How often the eventfd was signalled, and its thread ran. */
	__u32 signalled;
	__u32 threads;
	/* How often the device was opened. */
	__u32 opened;
	/* How often something was left of pages that could not be pinned. */
	__u32 left;
};

/* What it calls, which is what the ioctl returns. */
#define PINS_PIN	_IO(VFIO_TYPE, VFIO_BASE + 81)
#define PINS_UNPIN	_IO(VFIO_TYPE, VFIO_BASE + 82)
#define PINS_READ	_IO(VFIO_TYPE, VFIO_BASE + 83)
#define PINS_WRITE	_IO(VFIO_TYPE, VFIO_BASE + 84)
/* The same with no array, or no buffer. */
#define PINS_BAD_PIN	_IO(VFIO_TYPE, VFIO_BASE + 85)
#define PINS_BAD_READ	_IO(VFIO_TYPE, VFIO_BASE + 86)
/* With the argument 1, pages that are unmapped stay pinned. */
#define PINS_KEEP	_IO(VFIO_TYPE, VFIO_BASE + 87)
/* Takes an eventfd, takes it away, waits for its thread. */
#define PINS_EVENTFD	_IO(VFIO_TYPE, VFIO_BASE + 88)
#define PINS_NO_EVENTFD	_IO(VFIO_TYPE, VFIO_BASE + 89)
#define PINS_FLUSH	_IO(VFIO_TYPE, VFIO_BASE + 90)
/* Of a file: is it that of a group (1), of the device's (2)? */
#define PINS_FILE	_IO(VFIO_TYPE, VFIO_BASE + 91)
#define PINS_DEVICE_ID	_IO(VFIO_TYPE, VFIO_BASE + 92)
#define PINS_REPORT	_IO(VFIO_TYPE, VFIO_BASE + 93)

#define PINS_MOST	1024

#endif
