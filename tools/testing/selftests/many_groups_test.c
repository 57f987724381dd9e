// SPDX-License-Identifier: GPL-2.0
/*
 * All groups of the machine, virtual functions and all, in one container with
 * thousands of mappings: they come and go in random order, and share one domain.
 * $SEED makes a run again.
 */
#include <sys/mman.h>
#include <time.h>

#include "edu.h"
#include "iommu_debug.h"
#include "kselftest_harness.h"
#include "seed.h"
#include "vfio_fixture.h"

#define IOVA		0x10000000UL
#define SLOT_SIZE	(16 * PAGE_SIZE)
#define SLOTS		2000
#define BUFFER		(64 * PAGE_SIZE)
#define VFS		7
#define MOST		32
#define FEWEST		20

static const char *const devices[] = {
	"EDU", "TESTDEV", "IVSHMEM", "NVME", "E1000E", "IGB", "PORT_NVME",
	"SHARED_EDU", "SHARED_TESTDEV", "VGA", "VIRTIO_NET", "PORT_IGB",
	"PORT_IVSHMEM", "XHCI", NULL
};

struct member {
	char bdf[16];
	int number;
	int group;
	bool joined;
};

FIXTURE(groups)
{
	struct member members[MOST];
	unsigned int count;
	unsigned int joined;
	int container;
	char *buffer;
	/* The pages of each mapping, 0 where there is none. */
	unsigned char pages[SLOTS];
	uint64_t seed;
	long pinned;
	long locked;
};

/* Takes in the group of @bdf, unless it is there or cannot be had. */
static void add_member(struct _test_data_groups *self, const char *bdf)
{
	struct member *member = &self->members[self->count];
	unsigned int i;

	if (!bdf || self->count == MOST)
		return;
	member->number = pci_group(bdf);
	for (i = 0; i < self->count; i++)
		if (self->members[i].number == member->number)
			return;
	snprintf(member->bdf, sizeof(member->bdf), "%s", bdf);
	member->group = group_open(bdf);
	if (member->group >= 0 &&
	    group_flags(member->group) & VFIO_GROUP_FLAGS_VIABLE)
		self->count++;
	else
		printf("# the group of %s cannot be had\n", bdf);
}

static void add_vfs(struct _test_data_groups *self, const char *name)
{
	const char *pf = pci_device(name);
	char bdf[16];
	unsigned int i;

	for (i = 0; pf && i < VFS; i++)
		if (!pci_vf(pf, i, bdf, sizeof(bdf)))
			add_member(self, bdf);
}

FIXTURE_SETUP(groups)
{
	unsigned int i;

	self->seed = seed_new();
	TH_LOG("SEED=%lu", self->seed);
	for (i = 0; devices[i]; i++)
		add_member(self, pci_device(devices[i]));
	add_vfs(self, "IGB");
	add_vfs(self, "PORT_IGB");
	TH_LOG("%u groups", self->count);
	ASSERT_LT(FEWEST, self->count);
	self->buffer = memory_new(BUFFER);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	self->container = container_open();
	ASSERT_LE(0, self->container);
	self->pinned = memory_pinned_pages();
	self->locked = memory_locked_kb();
}

/* What the kernel has pinned and charged for all mappings, no more. */
static void expect_pages(struct __test_metadata *_metadata,
			 struct _test_data_groups *self)
{
	long pages = 0;
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		pages += self->pages[i];
	EXPECT_EQ(self->pinned + pages, memory_pinned_pages());
	EXPECT_EQ(self->locked + pages * 4, memory_locked_kb());
	EXPECT_EQ(pages * PAGE_SIZE,
		  iommu_mapped(self->members[0].bdf, IOVA, SLOTS * SLOT_SIZE));
}

FIXTURE_TEARDOWN(groups)
{
	unsigned int i;

	for (i = 0; i < self->count; i++)
		close(self->members[i].group);
	close(self->container);
	EXPECT_EQ(self->pinned, memory_pinned_pages());
}

static void map_slot(struct __test_metadata *_metadata,
		     struct _test_data_groups *self, unsigned int slot)
{
	unsigned int pages = 1 + below(&self->seed, 4);
	unsigned int first = below(&self->seed, BUFFER / PAGE_SIZE - pages);

	ASSERT_EQ(0, type1_map(self->container, self->buffer + first * PAGE_SIZE,
			       IOVA + slot * SLOT_SIZE, pages * PAGE_SIZE,
			       DMA_RW));
	self->pages[slot] = pages;
}

static void unmap_slot(struct __test_metadata *_metadata,
		       struct _test_data_groups *self, unsigned int slot)
{
	ASSERT_EQ(self->pages[slot] * PAGE_SIZE,
		  type1_unmap(self->container, IOVA + slot * SLOT_SIZE,
			      SLOT_SIZE, 0));
	self->pages[slot] = 0;
}

/* A slot gets another mapping. */
static void remap(struct __test_metadata *_metadata,
		  struct _test_data_groups *self)
{
	unsigned int slot = below(&self->seed, SLOTS);

	unmap_slot(_metadata, self, slot);
	map_slot(_metadata, self, slot);
}

/* Joins or leaves, whichever it can. The first one stays, to be looked at. */
static void toggle(struct __test_metadata *_metadata,
		   struct _test_data_groups *self, struct member *member)
{
	long ret;

	if (member->joined)
		ret = vfio_ioctl(member->group, VFIO_GROUP_UNSET_CONTAINER, 0);
	else
		ret = group_set_container(member->group, self->container);
	ASSERT_EQ(0, ret) {
		TH_LOG("%s %s: %ld", member->bdf,
		       member->joined ? "leaves" : "joins", ret);
	}
	member->joined = !member->joined;
	self->joined += member->joined ? 1 : -1;
}

/* 5-96: all that are there have the same table. */
static void expect_one_domain(struct __test_metadata *_metadata,
			      struct _test_data_groups *self)
{
	uint64_t table = iommu_table(self->members[0].bdf);
	unsigned int i;

	ASSERT_NE(0, table);
	for (i = 1; i < self->count; i++)
		EXPECT_EQ(self->members[i].joined,
			  iommu_table(self->members[i].bdf) == table) {
			TH_LOG("%s", self->members[i].bdf);
		}
}

static uint64_t answer_sum(int container)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	struct vfio_iommu_type1_info *info = type1_info(container);
	uint64_t sum = 0;
	uint32_t i;

	if (!info)
		return 0;
	cap = info_cap(info, info->cap_offset,
		       VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	for (i = 0; cap && i < cap->nr_iovas; i++) {
		sum = draw(&sum) ^ cap->iova_ranges[i].start;
		sum = draw(&sum) ^ cap->iova_ranges[i].end;
	}
	free(info);
	return sum;
}

static void begin(struct __test_metadata *_metadata,
		  struct _test_data_groups *self)
{
	unsigned int i;

	toggle(_metadata, self, &self->members[0]);
	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
	for (i = 0; i < SLOTS; i++)
		map_slot(_metadata, self, i);
	expect_pages(_metadata, self);
}

/* 5-86, 5-88, 5-96, 5-97, 5-99, 5-100 */
TEST_F(groups, come_and_go)
{
	const unsigned int rounds = kernel_has_checkers() ? 40 : 400;
	uint64_t ranges;
	unsigned int i;

	NEED_IOMMU_TABLE();
	begin(_metadata, self);
	ranges = answer_sum(self->container);
	ASSERT_NE(0, ranges);
	for (i = 1; i < self->count; i++)
		toggle(_metadata, self, &self->members[i]);
	expect_one_domain(_metadata, self);
	expect_pages(_metadata, self);
	for (i = 0; i < rounds; i++) {
		unsigned int member = 1 + below(&self->seed, self->count - 1);

		toggle(_metadata, self, &self->members[member]);
		remap(_metadata, self);
		remap(_metadata, self);
	}
	expect_one_domain(_metadata, self);
	expect_pages(_metadata, self);
	for (i = 1; i < self->count; i++)
		if (self->members[i].joined)
			toggle(_metadata, self, &self->members[i]);
	ASSERT_EQ(1, self->joined);
	EXPECT_EQ(ranges, answer_sum(self->container));
	expect_pages(_metadata, self);
}

static long milliseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* 2-14, 2-19: all at once, and all gone by being closed; a few times over. */
TEST_F(groups, together)
{
	const unsigned int rounds = kernel_has_checkers() ? 1 : 3;
	unsigned int i, round;
	long start;

	NEED_IOMMU_TABLE();
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < self->count; i++)
			toggle(_metadata, self, &self->members[i]);
		ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
					VFIO_TYPE1v2_IOMMU));
		for (i = 0; i < SLOTS; i++)
			map_slot(_metadata, self, i);
		expect_one_domain(_metadata, self);
		expect_pages(_metadata, self);
		start = milliseconds();
		while (self->joined) {
			struct member *member;

			member = &self->members[below(&self->seed, self->count)];
			if (!member->joined)
				continue;
			close(member->group);
			member->joined = false;
			self->joined--;
			member->group = group_open(member->bdf);
			ASSERT_LE(0, member->group);
		}
		TH_LOG("all gone in %ld ms", milliseconds() - start);
		memset(self->pages, 0, sizeof(self->pages));
		EXPECT_EQ(self->pinned, memory_pinned_pages());
		EXPECT_EQ(self->locked, memory_locked_kb());
		EXPECT_EQ(-EINVAL, type1_unmap(self->container, 0, 0,
					       VFIO_DMA_UNMAP_FLAG_ALL));
	}
}

static void set_numvfs(const char *number)
{
	static const char *const pfs[] = { "IGB", "PORT_IGB" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pfs); i++)
		if (pci_device(pfs[i]))
			pci_set_vfs(pci_device(pfs[i]), number);
}

static pid_t main_process;

static void disable_vfs(void)
{
	if (getpid() == main_process)
		set_numvfs("0");
}

int main(int argc, char **argv)
{
	main_process = getpid();
	pci_allow_vfs(true);
	pci_claim(devices);
	/* Runs before the drivers are restored. */
	atexit(disable_vfs);
	set_numvfs("7");
	return test_harness_run(argc, argv);
}
