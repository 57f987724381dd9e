/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the devices of vfio_callbacks tell their user. There are three: "vfio-callbacks.0"
 * has each callback, "vfio-callbacks.1" has none that is optional, and "vfio-callbacks.2"
 * is in one set with the first one. And there is a driver for any PCI device, which says
 * no more than the first one, and knows nothing of the device.
 */
#ifndef VFIO_CALLBACKS_H
#define VFIO_CALLBACKS_H

#include <linux/types.h>
#include <linux/vfio.h>

#define CALLBACKS_REGION_SIZE	8192
/* The token that opens the first device. */
#define CALLBACKS_TOKEN		"vfio-callbacks t"
/* What is read anywhere in the region, before anything is written. */
#define CALLBACKS_BYTE		0x5a
/* A feature that only the driver knows: it returns what it was given. */
#define CALLBACKS_FEATURE	0xcafe

struct callbacks_report {
	/* In open_device(), and now. */
	__u32 open_count_then;
	__u32 open_count;
	__u32 cdev_opened;
	__u32 set_locked_then;
	/* Files of all devices of the set. */
	__u32 set_open_count;
	/* The device is found in its set, and another one is not. */
	__u32 found_in_set;
	/* One more user can keep it registered. */
	__u32 has_registration;
	/* How often close_device() was called. */
	__u32 closed;
	/* The file that was mapped last maps through the inode of the device. */
	__u32 inode_is_that_of_file;
	/* Where the last read() of the driver was to write to. */
	__u64 read_address;
	__u64 read_size;
};

#define CALLBACKS_REPORT	_IO(VFIO_TYPE, VFIO_BASE + 80)

#endif
