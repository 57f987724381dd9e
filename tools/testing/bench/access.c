// SPDX-License-Identifier: GPL-2.0
/* Reading and writing of regions, and what there is of them. */
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "bench.h"
#include "edu.h"

#define TIMES	100
#define LONG	(64UL << 10)

/* What is written to a register that the user has a copy of. */
#define LINE	0x2a

/* RAM in a BAR. */
#define IVSHMEM_RAM	2

static long region_info(struct bench *bench)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };

	return TIMED(TIMES, checked(ioctl(bench->edu.device,
					  VFIO_DEVICE_GET_REGION_INFO, &info)));
}

static long read_times(int device, unsigned int index, uint64_t offset,
		       size_t size, unsigned long times)
{
	static uint64_t buffer[LONG / sizeof(uint64_t)];
	uint64_t position = REGION_OFFSET(index) + offset;

	return TIMED(times, checked(pread(device, buffer, size, position)));
}

static long write_times(int device, unsigned int index, uint64_t offset,
			size_t size, unsigned long times)
{
	static const uint64_t buffer[LONG / sizeof(uint64_t)] = { LINE };
	uint64_t position = REGION_OFFSET(index) + offset;

	return TIMED(times, checked(pwrite(device, buffer, size, position)));
}

/* The copy of the user. */
static long config_read_virtual(struct bench *bench)
{
	return read_times(bench->edu.device, VFIO_PCI_CONFIG_REGION_INDEX,
			  PCI_BASE_ADDRESS_0, 4, TIMES);
}

/* The hardware. */
static long config_read_real(struct bench *bench)
{
	return read_times(bench->edu.device, VFIO_PCI_CONFIG_REGION_INDEX,
			  PCI_CLASS_REVISION, 4, TIMES);
}

static long config_write_virtual(struct bench *bench)
{
	return write_times(bench->edu.device, VFIO_PCI_CONFIG_REGION_INDEX,
			   PCI_INTERRUPT_LINE, 1, TIMES);
}

static long config_write_real(struct bench *bench)
{
	return write_times(bench->edu.device, VFIO_PCI_CONFIG_REGION_INDEX,
			   PCI_CACHE_LINE_SIZE, 1, TIMES);
}

static long bar_read_1(struct bench *bench)
{
	return read_times(bench->ivshmem.device, IVSHMEM_RAM, 3, 1, TIMES);
}

static long bar_read_4(struct bench *bench)
{
	return read_times(bench->edu.device, 0, EDU_ID, 4, TIMES);
}

static long bar_read_8(struct bench *bench)
{
	return read_times(bench->ivshmem.device, IVSHMEM_RAM, 8, 8, TIMES);
}

static long bar_write_4(struct bench *bench)
{
	return write_times(bench->edu.device, 0, EDU_LIVENESS, 4, TIMES);
}

static long bar_read_long(struct bench *bench)
{
	return read_times(bench->ivshmem.device, IVSHMEM_RAM, 0, LONG, 1);
}

static long bar_write_long(struct bench *bench)
{
	return write_times(bench->ivshmem.device, IVSHMEM_RAM, 0, LONG, 1);
}

const struct operation access_operations[] = {
	{ "region-info", "region info ioctl", region_info, TIMES, 20 },
	{ "config-read-4", "read 4 bytes of config space, hardware",
	  config_read_real, TIMES, 20 },
	{ "config-read-4-virtual", "read 4 bytes of config space, virtual",
	  config_read_virtual, TIMES, 20 },
	{ "config-write-1", "write 1 byte of config space, virtual",
	  config_write_virtual, TIMES, 20 },
	{ "config-write-1-real", "write 1 byte of config space, hardware",
	  config_write_real, TIMES, 20 },
	{ "bar-read-1", "read 1 byte of a BAR", bar_read_1, TIMES, 20 },
	{ "bar-read-4", "read 4 bytes of a BAR", bar_read_4, TIMES, 20 },
	{ "bar-read-8", "read 8 bytes of a BAR", bar_read_8, TIMES, 20 },
	{ "bar-write-4", "write 4 bytes of a BAR", bar_write_4, TIMES, 20 },
	{ "bar-read-64k", "read 64 KiB of a BAR", bar_read_long, 1, 20 },
	{ "bar-write-64k", "write 64 KiB of a BAR", bar_write_long, 1, 20 },
	{}
};
