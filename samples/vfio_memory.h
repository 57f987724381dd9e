/* SPDX-License-Identifier: GPL-2.0 */
/* The registers of the sample device vfio_memory, which are its second region. */
#ifndef VFIO_MEMORY_H
#define VFIO_MEMORY_H

#include <linux/types.h>

/*
 * Each register is read and written as a whole, eight bytes in the order of the CPU. A write
 * to the command returns when that has been carried out.
 */
struct vfio_memory_registers {
	__u64 iova;		/* where the user's memory is, */
	__u64 length;		/* how many bytes, */
	__u64 position;		/* and where in the memory of the device */
	__u64 options;
	__u64 command;		/* the last one */
	__s64 result;		/* of it: 0, or a negative errno */
	__u64 pinned;		/* how many times PIN was done that are still in force */
	__u64 told;		/* how often the driver was told what is unmapped, since open */
};

/* Options. */
#define VFIO_MEMORY_WORKER	(1 << 0)	/* a kernel thread carries commands out */
#define VFIO_MEMORY_KEEP	(1 << 1)	/* pages that are unmapped stay pinned */

/* Commands: bytes from the user's memory to that of the device, and back, */
#define VFIO_MEMORY_READ		1
#define VFIO_MEMORY_WRITE		2
/* the pages that have the bytes, to be read and written, or to be read only, */
#define VFIO_MEMORY_PIN			3
#define VFIO_MEMORY_PIN_TO_READ		4
/* all that is pinned at any of the bytes, */
#define VFIO_MEMORY_UNPIN		5
/* and bytes of one PIN, as READ and WRITE. ENOENT: there is none that has all of them. */
#define VFIO_MEMORY_READ_PINNED		6
#define VFIO_MEMORY_WRITE_PINNED	7

#endif
