/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The registers of the test driver vfio_pages. It has those of the sample vfio_memory, and
 * the same memory; what follows is about other things that the core does for drivers.
 */
#ifndef VFIO_PAGES_H
#define VFIO_PAGES_H

#include "vfio_memory.h"

struct vfio_pages_registers {
	struct vfio_memory_registers memory;
	__u64 kvm;		/* has the device a machine now? */
	__u64 flags;		/* of migration; how many ranges there may be */
	__u64 from;		/* a state */
	__u64 to;		/* a state */
};

/* The state on the way from one to another comes into "to". */
#define VFIO_PAGES_NEXT_STATE	8
/*
 * "length" ranges, of a first and a last address each, are at the start of the memory. They
 * become so few as "flags" says, and as many as "to" says then.
 */
#define VFIO_PAGES_COMBINE	9

#endif
