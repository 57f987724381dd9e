// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to take a device's memory out of an IOMMU when the device is
 * closed: it goes with the entries of the page table, not with the pages. With
 * huge entries 4 GiB are gone sooner than 1 GiB in entries of 4 KiB.
 *
 * The times are those of the guest. Where QEMU counts instructions, and says so by
 * INSTRUCTIONS in the environment, they do not depend on the host, and are compared; what
 * "make check" does with the operations that it counts. Elsewhere, and with the C
 * modules, which do not revoke and unmap page by page, they are only printed.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "iommu_debug.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA		0x100000000UL
#define BAR		2
#define BAR_SIZE	(4UL << 30)
#define REPEATS		9

struct shape {
	const char *name;
	uint64_t size;
	/* How far the address is from one that huge entries can be used for. */
	uint64_t shift;
};

enum { NOTHING, PAGE, PAGES_2M, HUGE_2M, HUGE_64M, HUGE_4G, PAGES_1G, SHAPES };

static const struct shape shapes[SHAPES] = {
	[NOTHING] = { "nothing", 0, 0 },
	[PAGE] = { "4 KiB", PAGE_SIZE, PAGE_SIZE },
	[PAGES_2M] = { "2 MiB in entries of 4 KiB", SIZE_2M, PAGE_SIZE },
	[HUGE_2M] = { "2 MiB", SIZE_2M, 0 },
	[HUGE_64M] = { "64 MiB", 64UL << 20, 0 },
	[HUGE_4G] = { "4 GiB", BAR_SIZE, 0 },
	[PAGES_1G] = { "1 GiB in entries of 4 KiB", SIZE_1G, PAGE_SIZE },
};

/* Nanoseconds, the least of some attempts, and entries of the page table. */
struct cost {
	long revoke;
	long unmap;
	long entries;
};

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

static long least(long a, long b)
{
	return !a || b < a ? b : a;
}

FIXTURE(cost)
{
	struct vfio_session edu;
	struct vfio_session owner;
	uint64_t address;
	char *place;
	struct cost costs[SHAPES];
};

FIXTURE_SETUP(cost)
{
	const char *edu, *bdf;
	uint64_t size;

	if (kernel_has_checkers())
		SKIP(return, "checkers cost more; the plain kernel has it");
	NEED_DEVICE(edu, "EDU");
	NEED_DEVICE(bdf, "TESTDEV");
	ASSERT_EQ(0, pci_resource(bdf, BAR, &self->address, &size));
	/* The one that counts instructions has more. */
	ASSERT_LE(BAR_SIZE, size);
	ASSERT_EQ(0, session_join(&self->edu, edu, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, session_join(&self->owner, bdf, VFIO_TYPE1v2_IOMMU));
	self->place = memory_new_aligned(BAR_SIZE, SIZE_1G);
	ASSERT_NE(MAP_FAILED, (void *)self->place);
}

FIXTURE_TEARDOWN(cost)
{
	session_close(&self->owner);
	session_close(&self->edu);
}

static void map_shape(struct __test_metadata *_metadata,
		      struct _test_data_cost *self, const struct shape *shape)
{
	int container = self->edu.container;

	if (shape->size)
		ASSERT_EQ(0, type1_map(container, self->place,
				       IOVA + shape->shift, shape->size,
				       DMA_RW));
}

static long unmap_shape(struct _test_data_cost *self, const struct shape *shape)
{
	long begin = now();

	if (shape->size)
		type1_unmap(self->edu.container, IOVA + shape->shift,
			    shape->size, 0);
	return now() - begin;
}

static void measure(struct __test_metadata *_metadata,
		    struct _test_data_cost *self, const struct shape *shape,
		    struct cost *cost)
{
	long device, begin;

	device = group_device(self->owner.group, self->owner.bdf);
	ASSERT_LE(0, device);
	ASSERT_EQ(0, memory_enable(device, true));
	ASSERT_EQ(self->place,
		  mmap(self->place, BAR_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, device, REGION_OFFSET(BAR)));
	map_shape(_metadata, self, shape);
	cost->unmap = least(cost->unmap, unmap_shape(self, shape));
	map_shape(_metadata, self, shape);
	/* A list of so many small entries takes longer than all the rest. */
	if (!shape->shift)
		cost->entries = iommu_entries(self->edu.bdf, self->address,
					      BAR_SIZE);
	else
		cost->entries = shape->size / PAGE_SIZE;
	ASSERT_EQ(self->place, mmap(self->place, BAR_SIZE, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
				    MAP_FIXED, -1, 0));
	begin = now();
	close(device);
	cost->revoke = least(cost->revoke, now() - begin);
	unmap_shape(self, shape);
}

/* Closing costs something with nothing mapped; that is taken off. */
static void report(struct _test_data_cost *self)
{
	long base = self->costs[NOTHING].revoke;
	int i;

	for (i = 0; i < SHAPES; i++) {
		struct cost *cost = &self->costs[i];

		cost->revoke -= least(base, cost->revoke);
		printf("# %-28s %6ld entries, revoked in %9ld ns, unmapped in %9ld ns\n",
		       shapes[i].name, cost->entries, cost->revoke, cost->unmap);
	}
	printf("# closing alone takes %ld ns\n", base);
	fflush(stdout);
}

/* 12-46 */
TEST_F(cost, goes_with_the_entries)
{
	struct cost *costs = self->costs;
	int i, repeat;

	for (repeat = 0; repeat < REPEATS; repeat++)
		for (i = 0; i < SHAPES; i++)
			measure(_metadata, self, &shapes[i], &costs[i]);
	report(self);
	EXPECT_EQ(0, costs[NOTHING].entries);
	EXPECT_EQ(1, costs[PAGE].entries);
	EXPECT_EQ(1, costs[HUGE_2M].entries);
	EXPECT_EQ(32, costs[HUGE_64M].entries);
	/* Of 1 GiB, or of 2 MiB where the IOMMU has no larger ones. */
	EXPECT_LE(BAR_SIZE / SIZE_1G, costs[HUGE_4G].entries);
	EXPECT_GE(BAR_SIZE / SIZE_2M, costs[HUGE_4G].entries);
	report_difference("UNMAP_DMA of 4 GiB of device memory against 1 GiB in 4 KiB",
			  costs[HUGE_4G].unmap < costs[PAGES_1G].unmap ? "faster" :
								     "slower");
	if (on_c_modules() || !getenv("INSTRUCTIONS"))
		return;
	/*
	 * 4 GiB are 64 times as many pages as 64 MiB, in fewer entries: they cost
	 * what the entries cost.
	 */
	EXPECT_LT(costs[HUGE_4G].unmap, 16 * costs[HUGE_64M].unmap);
	EXPECT_LT(2 * costs[HUGE_64M].unmap, costs[PAGES_1G].unmap);
	EXPECT_LT(2 * costs[HUGE_64M].revoke, costs[PAGES_1G].revoke);
	/* There are at least 128 times as many entries in a quarter of the memory. */
	EXPECT_LT(2 * costs[HUGE_4G].unmap, costs[PAGES_1G].unmap);
	EXPECT_LT(2 * costs[HUGE_4G].revoke, costs[PAGES_1G].revoke);
}

VFIO_TEST_MAIN("EDU", "TESTDEV")
