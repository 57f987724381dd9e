// SPDX-License-Identifier: GPL-2.0
/*
 * Memory in the movable zone, from which pages are to be moved out before they are
 * pinned for long. It takes a kernel that was started with movablecore=.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA		0x10000000UL
#define SIZE		(16 * SIZE_2M)
#define PAGES		(SIZE / PAGE_SIZE)
#define PAGEMAP_PFN	((1ULL << 55) - 1)

/* Page frames of the movable zone. */
struct zone {
	unsigned long first;
	unsigned long count;
};

static bool zone_find(struct zone *zone)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	bool inside = false;
	unsigned long number;
	char line[256];

	zone->count = 0;
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "Node", 4))
			inside = strstr(line, "Movable");
		if (!inside)
			continue;
		if (sscanf(line, " present %lu", &number) == 1)
			zone->count = number;
		else if (sscanf(line, " start_pfn: %lu", &number) == 1)
			zone->first = number;
	}
	if (file)
		fclose(file);
	return zone->count;
}

/* How many pages of @memory are in @zone. */
static long pages_in(const struct zone *zone, const void *memory)
{
	static uint64_t entries[PAGES];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	long count = 0;
	size_t i;

	if (fd < 0)
		return -errno;
	if (pread(fd, entries, sizeof(entries),
		  (uintptr_t)memory / PAGE_SIZE * sizeof(entries[0])) !=
	    sizeof(entries))
		count = -EIO;
	close(fd);
	for (i = 0; count >= 0 && i < PAGES; i++)
		count += (entries[i] & PAGEMAP_PFN) - zone->first < zone->count;
	return count;
}

FIXTURE(movable)
{
	struct vfio_session session;
	struct zone zone;
	uint8_t *memory;
};

FIXTURE_VARIANT(movable)
{
	bool shared;
	bool huge;
};

FIXTURE_VARIANT_ADD(movable, anonymous) { };
FIXTURE_VARIANT_ADD(movable, huge) { .huge = true };
FIXTURE_VARIANT_ADD(movable, file) { .shared = true };

FIXTURE_SETUP(movable)
{
	const char *bdf;
	int fd = -1;

	NEED_DEVICE(bdf, "EDU");
	if (!zone_find(&self->zone))
		SKIP(return, "no movable zone: start the kernel with movablecore=");
	ASSERT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, edu_bus_master(self->session.device, true));
	if (variant->shared) {
		fd = memfd_create("movable", 0);
		ASSERT_EQ(0, ftruncate(fd, SIZE));
	}
	self->memory = memory_new_aligned(SIZE, SIZE_2M);
	ASSERT_EQ(self->memory,
		  mmap(self->memory, SIZE, PROT_READ | PROT_WRITE, MAP_FIXED |
		       (variant->shared ? MAP_SHARED :
					  MAP_PRIVATE | MAP_ANONYMOUS), fd, 0));
	if (variant->huge)
		ASSERT_EQ(0, madvise(self->memory, SIZE, MADV_HUGEPAGE));
	close(fd);
}

FIXTURE_TEARDOWN(movable)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

/* 5-23 */
TEST_F(movable, moved_out)
{
	int device = self->session.device;
	int container = self->session.container;
	size_t i;

	for (i = 0; i < PAGES; i++)
		memset(self->memory + i * PAGE_SIZE, i, 64);
	EXPECT_EQ(PAGES, pages_in(&self->zone, self->memory));
	ASSERT_EQ(0, type1_map(container, self->memory, IOVA, SIZE, DMA_RW));
	EXPECT_EQ(0, pages_in(&self->zone, self->memory));
	/* It is the same memory, for the CPU and for the device. */
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ((uint8_t)i, self->memory[i * PAGE_SIZE + 63]);
	for (i = 0; i < PAGES; i += PAGES / 32) {
		ASSERT_EQ(0, edu_load(device, IOVA + i * PAGE_SIZE, 64));
		ASSERT_EQ(0, edu_store(device, IOVA + i * PAGE_SIZE + 1024, 64));
		EXPECT_EQ((uint8_t)i, self->memory[i * PAGE_SIZE + 1024 + 63]);
	}
	EXPECT_EQ(SIZE, type1_unmap(container, IOVA, SIZE, 0));
}

VFIO_TEST_MAIN("EDU")
