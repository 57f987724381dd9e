/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the user of vfio_pci_parts sees of it: a driver for any PCI device that does for
 * itself what a driver of a particular one would, with what the core offers for that.
 *
 * read() and write() of BAR 0 and of config space, mmap() of BARs 0 and 2, and what may
 * be exported of BAR 2 are its own; the rest is the core's.
 */
#ifndef VFIO_PCI_PARTS_H
#define VFIO_PCI_PARTS_H

#include <linux/types.h>
#include <linux/vfio.h>

/* Its error handlers do not tell the core of resets; those of the other one are the core's. */
#define PARTS_DRIVER		"vfio-pci-parts"
#define PARTS_TOLD_DRIVER	"vfio-pci-parts-told"

/* Read as ones, and not written, by read() and write() of BAR 0. */
#define PARTS_HIDDEN		0xc000
#define PARTS_HIDDEN_END	0xc008

/* Two regions: memory of the driver's, and a few bytes that are only to be read. */
#define PARTS_REGION_TYPE	(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | 0x1234)
#define PARTS_MEMORY		VFIO_PCI_NUM_REGIONS
#define PARTS_MEMORY_SIZE	8192
#define PARTS_BYTES		(VFIO_PCI_NUM_REGIONS + 1)
#define PARTS_BYTES_SIZE	16
#define PARTS_BYTE		0x5a
/* The first one has a capability besides that of its type. */
#define PARTS_CAP_ID		0x7001
#define PARTS_CAP_VERSION	3
#define PARTS_CAP_VALUE		0x600dcafe

struct parts_cap {
	struct vfio_info_cap_header header;
	__u32 value;
	__u32 reserved;
};

/* Of BAR 2 only this much is exported, and of that not the page at PARTS_DENIED. */
#define PARTS_EXPORTED		0x100000
#define PARTS_DENIED		0x8000

/* What open() fails with if the parameter fail_open says so. */
#define PARTS_OPEN_ERROR	EXDEV

struct parts_report {
	__u32 memory_enabled;
	__u32 low_power;
	__u32 irq_type;
	__u32 num_regions;
	/* 1 if it is mapped, 0 for nothing there, or an error. */
	__s32 bars[6];
	/* Regions that have been released, and resets that the driver has heard of. */
	__u32 released;
	__u32 resets;
	/* Faults in areas of its own. */
	__u32 faults;
	__u32 huge_faults;
	/* Where in the device file the last transfer of a region began. */
	__u64 position;
};

#define PARTS_REPORT	_IO(VFIO_TYPE, VFIO_BASE + 81)

/* One access to a BAR; what it returns is what the ioctl does. */
struct parts_access {
	__u32 bar;
	__u32 width;
	__u32 is_write;
	__u32 test_memory;
	__u64 offset;
	__u64 value;
};

#define PARTS_ACCESS	_IO(VFIO_TYPE, VFIO_BASE + 82)

/* Returns 1 if both have something in common, and what. */
struct parts_overlap {
	__s64 transfer;
	__u64 transfer_len;
	__s64 reg;
	__u64 reg_len;
	__s64 in_transfer;
	__u64 common;
	__u64 in_register;
};

#define PARTS_OVERLAP	_IO(VFIO_TYPE, VFIO_BASE + 83)

/* Keeps the memory from being disabled for as many milliseconds. */
#define PARTS_HOLD	_IO(VFIO_TYPE, VFIO_BASE + 84)

/* One access to config space, of no more than @count bytes; returns how many there were. */
struct parts_config {
	__s64 position;
	__u64 count;
	__u64 buffer;
	__u32 is_write;
	__u32 reserved;
};

#define PARTS_CONFIG	_IO(VFIO_TYPE, VFIO_BASE + 85)

#endif
