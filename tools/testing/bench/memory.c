// SPDX-License-Identifier: GPL-2.0
/* Mapping device memory into a process, and taking it away. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "bench.h"
#include "edu.h"

#define IVSHMEM_BAR	2
#define IVSHMEM_SIZE	(64UL << 20)
#define TESTDEV_BAR	2
#define TESTDEV_SIZE	(4UL << 30)
#define FAR		(EDU_BAR_SIZE / 2)
#define EDU_PAGES	(EDU_BAR_SIZE / PAGE_SIZE)
#define IVSHMEM_PAGES	(IVSHMEM_SIZE / PAGE_SIZE)

/*
 * Maps @size bytes of a BAR @shift bytes behind an address that huge pages could be
 * used for. There is address space around it that nobody uses.
 */
static char *map_at(int device, unsigned int index, size_t size, size_t shift)
{
	char *place = memory_new_aligned(size + PAGE_SIZE, SIZE_2M);

	if (place == MAP_FAILED)
		return place;
	return mmap(place + shift, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, device, REGION_OFFSET(index));
}

static void unmap_at(char *start, size_t size, size_t shift)
{
	munmap(start - shift, size + PAGE_SIZE);
}

static void touch(const char *start, unsigned long pages)
{
	unsigned long page;

	for (page = 0; page < pages; page++)
		*(const volatile uint32_t *)(start + page * PAGE_SIZE);
}

static long walk(int device, unsigned int index, size_t size, size_t shift,
		 unsigned long pages)
{
	char *start = map_at(device, index, size, shift);
	long begin, took;

	if (start == MAP_FAILED)
		return -errno;
	begin = now();
	touch(start, pages);
	took = now() - begin;
	unmap_at(start, size, shift);
	return took;
}

/*
 * With the page table there, which a page has been put into that is too far off to
 * have brought this one along.
 */
static long fault_one(struct bench *bench)
{
	char *start = map_at(bench->edu.device, 0, EDU_BAR_SIZE, PAGE_SIZE);
	long took;

	if (start == MAP_FAILED)
		return -errno;
	touch(start, 1);
	took = now();
	touch(start + FAR, 1);
	took = now() - took;
	unmap_at(start, EDU_BAR_SIZE, PAGE_SIZE);
	return took;
}

/* A mapping of a page, a fault, and the end of the mapping. */
static long map_touch_one(struct bench *bench)
{
	long begin = now();
	char *start = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, bench->edu.device,
			   REGION_OFFSET(0));

	if (start == MAP_FAILED)
		return -errno;
	touch(start, 1);
	munmap(start, PAGE_SIZE);
	return now() - begin;
}

static long fault_walk(struct bench *bench)
{
	return walk(bench->edu.device, 0, EDU_BAR_SIZE, PAGE_SIZE, EDU_PAGES);
}

static long fault_misaligned(struct bench *bench)
{
	return walk(bench->ivshmem.device, IVSHMEM_BAR, IVSHMEM_SIZE, PAGE_SIZE,
		    IVSHMEM_PAGES);
}

/* Against the order in which a processor would guess. */
static long fault_backwards(struct bench *bench)
{
	char *start = map_at(bench->edu.device, 0, EDU_BAR_SIZE, PAGE_SIZE);
	unsigned long page = EDU_PAGES;
	long begin, took;

	if (start == MAP_FAILED)
		return -errno;
	begin = now();
	while (page-- > 0)
		touch(start + page * PAGE_SIZE, 1);
	took = now() - begin;
	unmap_at(start, EDU_BAR_SIZE, PAGE_SIZE);
	return took;
}

/* Wherever mm wants it. */
static long map_touch_4g(struct bench *bench)
{
	long begin = now();
	char *start = mmap(NULL, TESTDEV_SIZE, PROT_READ, MAP_SHARED,
			   bench->testdev.device, REGION_OFFSET(TESTDEV_BAR));
	size_t offset;

	if (start == MAP_FAILED)
		return -errno;
	for (offset = 0; offset < TESTDEV_SIZE; offset += SIZE_2M)
		touch(start + offset, 1);
	begin = now() - begin;
	munmap(start, TESTDEV_SIZE);
	return begin;
}

long memory_set(int device, bool on)
{
	long command = config_read(device, PCI_COMMAND, 2);
	uint16_t value = on ? command | PCI_COMMAND_MEMORY :
			      command & ~PCI_COMMAND_MEMORY;

	if (command < 0)
		return command;
	return TIMED(1, checked(pwrite(device, &value, sizeof(value),
				       CONFIG_OFFSET + PCI_COMMAND)));
}

static long zap(struct bench *bench)
{
	int device = bench->edu.device;
	char *start = map_at(device, 0, EDU_BAR_SIZE, PAGE_SIZE);
	long took;

	if (start == MAP_FAILED)
		return -errno;
	touch(start, EDU_PAGES);
	took = memory_set(device, false);
	TRY(memory_set(device, true));
	unmap_at(start, EDU_BAR_SIZE, PAGE_SIZE);
	return took;
}

/* A buffer with the second page of the memory of ivshmem. */
static int export_page(int device)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf buffer;
		struct vfio_region_dma_range ranges[1];
	} request = {
		.feature.argsz = sizeof(request),
		.feature.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_DMA_BUF,
		.buffer.region_index = IVSHMEM_BAR,
		.buffer.open_flags = O_RDWR | O_CLOEXEC,
		.buffer.nr_ranges = 1,
		.ranges[0] = { .offset = PAGE_SIZE, .length = PAGE_SIZE },
	};

	return checked(ioctl(device, VFIO_DEVICE_FEATURE, &request));
}

static long export_close(struct bench *bench)
{
	long begin = now();
	int buffer = export_page(bench->ivshmem.device);

	if (buffer < 0)
		return buffer;
	close(buffer);
	return now() - begin;
}

static long export_revoke(struct bench *bench)
{
	int device = bench->ivshmem.device;
	int buffer = export_page(device);
	long took;

	if (buffer < 0)
		return buffer;
	took = memory_set(device, false);
	TRY(memory_set(device, true));
	close(buffer);
	return took;
}

const struct operation memory_operations[] = {
	{ "fault-one", "fault of a 4K page, 1 MiB BAR", fault_one, 1, 20 },
	{ "fault-walk", "fault, 1 MiB BAR in order, per page", fault_walk,
	  EDU_PAGES, 10 },
	{ "fault-backwards", "fault, 1 MiB BAR backwards, per page",
	  fault_backwards, EDU_PAGES, 10 },
	{ "fault-misaligned", "fault, 64 MiB BAR misaligned, per page",
	  fault_misaligned, IVSHMEM_PAGES, 3, true },
	{ "map-touch", "mmap, fault and munmap of a page", map_touch_one, 1, 20 },
	{ "map-touch-4g", "mmap of a 4 GiB BAR, a touch of each 2 MiB",
	  map_touch_4g, 1, 3 },
	{ "zap", "zap of 1 MiB by the command register", zap, 1, 10 },
	{ "dma-buf-export", "dma-buf export and close", export_close, 1, 10 },
	{ "dma-buf-revoke", "dma-buf revoke by the command register",
	  export_revoke, 1, 10 },
	{}
};
