// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty tracking of a container that several use at the same time (5.5), and with
 * an emulated device, which has no hand in memory that it has not pinned.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "dirty_fixture.h"
#include "samples.h"
#include "slow_memory.h"
#include "waiter.h"
#include "workers.h"

/* ---- at the same time ---- */

/* Always in its own part of the range. */
static void round_of_mapping(struct worker *worker)
{
	unsigned long first = worker->number * 64 + worker->rounds % 16;
	unsigned long pages = 1 + worker->rounds % 33;

	CHECK(worker, !map_pages(first, pages));
	CHECK(worker, map_pages(first, pages) == -EEXIST);
	CHECK(worker, unmap_pages(first, pages) == pages);
}

static void round_of_reports(struct worker *worker)
{
	uint64_t words[WORDS];
	long ret = get_pages(0, PAGES, words);

	/* Tracking may be off. */
	CHECK(worker, ret == 0 || ret == -EINVAL);
	ret = get_pages(3 * 64, 64, words);
	CHECK(worker, ret == 0 || ret == -EINVAL);
}

static void round_of_unmapping(struct worker *worker)
{
	unsigned long first = worker->number * 64;
	uint64_t word = 0;
	long ret;

	CHECK(worker, !map_pages(first, 3));
	ret = unmap_dirty_pages(first, 64, &word);
	CHECK(worker, ret == 3 || ret == -EINVAL);
	CHECK(worker, word == (ret == 3 ? 7 : 0));
	if (ret != 3)
		CHECK(worker, unmap_pages(first, 64) == 3);
}

static void round_of_tracking(struct worker *worker)
{
	CHECK(worker, !dirty_tracking(container, DIRTY_START));
	if (worker->rounds % 4)
		usleep(200);
	CHECK(worker, !dirty_tracking(container, DIRTY_STOP));
}

TEST_F(dirty, all_at_the_same_time)
{
	struct worker workers[] = {
		{ .round = round_of_mapping, .number = 0 },
		{ .round = round_of_mapping, .number = 1 },
		{ .round = round_of_unmapping, .number = 2 },
		{ .round = round_of_reports },
		{ .round = round_of_tracking },
		{ .round = round_of_tracking },
	};

	ASSERT_EQ(0, map_pages(3 * 64, 64));
	workers_work(_metadata, workers, ARRAY_SIZE(workers));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	memset(bits, 0, sizeof(bits));
	EXPECT_EQ(0, get_pages(0, PAGES, bits));
	EXPECT_EQ(0, bits[0]);
	EXPECT_EQ(0, bits[1]);
	EXPECT_EQ(0, bits[2]);
	EXPECT_EQ(UINT64_MAX, bits[3]);
	EXPECT_EQ(64, unmap_pages(0, PAGES));
}

/* ---- a bitmap whose memory never comes ---- */

static struct slow_memory slow;

#define PROMPT		20000
#define PATIENCE	60000

static long get_slowly(void *data)
{
	return get_pages(0, 64, slow_memory_map(&slow));
}

static long unmap_slowly(void *data)
{
	return unmap_dirty_pages(0, 64, slow_memory_map(&slow)) != 2;
}

static long use_tracking(void *data)
{
	long ret = map_pages(128, 4);

	if (!ret)
		ret = get_pages(64, 128, bits);
	if (!ret)
		ret = dirty_tracking(container, DIRTY_STOP);
	if (!ret)
		ret = dirty_tracking(container, DIRTY_START);
	if (!ret)
		ret = unmap_dirty_pages(64, 128, bits) != 4;
	return ret;
}

static long get_all(void *data)
{
	return get_pages(0, PAGES, bits);
}

/* 12-41: who waits for memory of his own keeps nobody. The C modules do. */
TEST_F(dirty, slow_bitmap)
{
	long (*const calls[])(void *data) = { get_slowly, unmap_slowly };
	size_t i;

	if (on_c_modules())
		SKIP(return, "one lock for the whole container");
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		pid_t pid, other;
		int status = -1;

		ASSERT_EQ(0, slow_memory_new(&slow, PAGE_SIZE));
		ASSERT_EQ(0, map_pages(0, 2));
		ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
		pid = waiter_start(calls[i], NULL);
		ASSERT_LT(0, pid);
		ASSERT_TRUE(slow_memory_is_awaited(&slow, PATIENCE));
		other = waiter_start(use_tracking, NULL);
		EXPECT_TRUE(waiter_ends(other, PROMPT, &status));
		EXPECT_EQ(0, status);
		if (calls[i] == get_slowly) {
			other = waiter_start(get_all, NULL);
			EXPECT_TRUE(waiter_ends(other, PROMPT, &status));
			EXPECT_EQ(0, status);
		} else {
			/* What is being unmapped is waited for, killably. */
			other = waiter_start(get_all, NULL);
			EXPECT_TRUE(waiter_waits(other, 300));
			EXPECT_TRUE(waiter_dies(other, PROMPT));
		}
		EXPECT_TRUE(waiter_dies(pid, PATIENCE));
		/* Nothing has been lost with it. */
		memset(bits, 0, sizeof(bits));
		EXPECT_EQ(0, get_pages(0, PAGES, bits));
		EXPECT_EQ(3, bits[0]);
		EXPECT_EQ(2, unmap_pages(0, PAGES));
		slow_memory_end(&slow);
	}
}

/* ---- emulated devices ---- */

/* A container with an emulated device, and a physical one that comes and goes. */
FIXTURE(emulated)
{
	struct vfio_session memory;
	int group;
};

FIXTURE_SETUP(emulated)
{
	const char *bdf;

	NEED_SAMPLES();
	NEED_DEVICE(bdf, "EDU");
	ASSERT_EQ(0, memory_open(&self->memory, VFIO_TYPE1v2_IOMMU));
	container = self->memory.container;
	buffer = memory_new(BUFFER);
	ASSERT_NE(MAP_FAILED, (void *)buffer);
	self->group = group_open(bdf);
	ASSERT_LE(0, self->group);
}

FIXTURE_TEARDOWN(emulated)
{
	close(self->group);
	session_close(&self->memory);
}

/* What a report sets, in the first word. */
static uint64_t reported(void)
{
	memset(bits, 0, sizeof(bits));
	return get_pages(0, PAGES, bits) ? -1 : bits[0];
}

/* 5-75: it has pinned nothing. 5-77: what a physical device did is told of once. */
TEST_F(emulated, physical_device_comes_and_goes)
{
	ASSERT_EQ(0, map_pages(3, 2));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	ASSERT_EQ(0, map_pages(7, 1));
	EXPECT_EQ(0, reported());
	ASSERT_EQ(0, group_set_container(self->group, container));
	EXPECT_EQ(0x98, reported());
	EXPECT_EQ(0x98, reported());
	ASSERT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_EQ(0x98, reported());
	EXPECT_EQ(0, reported());
	/* Without tracking it is not. */
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_STOP));
	ASSERT_EQ(0, group_set_container(self->group, container));
	ASSERT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(0, reported());
}

/* 5-76: a report that fails loses nothing of what it could not tell. */
TEST_F(emulated, failed_report)
{
	ASSERT_EQ(0, map_pages(3, 2));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	ASSERT_EQ(0, group_set_container(self->group, container));
	ASSERT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_EQ(-EFAULT, get_pages(0, PAGES, BAD_POINTER));
	EXPECT_EQ(-EFAULT, unmap_dirty_pages(0, PAGES, BAD_POINTER));
	EXPECT_EQ(0x18, reported());
	EXPECT_EQ(0, reported());
	EXPECT_EQ(2, unmap_dirty_pages(0, PAGES, bits));
}

/* 5-66, 5-18: a mapping of more pages than a bitmap may have. No page of it is pinned. */
TEST_F(emulated, too_many_pages)
{
	const uint64_t limit = ((1UL << 31) - 1) * PAGE_SIZE;
	const uint64_t far = 1UL << 44;
	long available = type1_dma_avail(container);

	ASSERT_EQ(0, type1_map(container, NULL, far, limit + PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EINVAL, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(-EINVAL, get_pages(0, 1, bits));
	EXPECT_EQ(limit + PAGE_SIZE, type1_unmap(container, 0, 0, ALL));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(-EINVAL, type1_map(container, NULL, far, limit + PAGE_SIZE,
				     DMA_RW));
	EXPECT_EQ(available, type1_dma_avail(container));
	EXPECT_EQ(0, map_pages(0, 1));
	EXPECT_EQ(0, get_pages(0, 1, bits));
	/* Other refusals come first. */
	EXPECT_EQ(-EEXIST, type1_map(container, NULL, 0, limit + PAGE_SIZE,
				     DMA_RW));
	EXPECT_EQ(-EINVAL, type1_map(container, NULL, far + 1, limit + PAGE_SIZE,
				     DMA_RW));
}

/* A long bitmap in its whole length: 256 GiB in pages of 4 KiB. */
TEST_F(emulated, long_bitmap)
{
	const unsigned long pages = 1UL << 26;
	const size_t size = pages / 8;
	struct dirty_request request = {
		.iova = 0,
		.size = pages * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.bytes = size,
	};
	uint8_t *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)data);
	request.data = data;
	ASSERT_EQ(0, type1_map(container, NULL, 0, pages * PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	data[0] = 0xff;
	data[size / 2 + 1] = 0xff;
	data[size - 1] = 0xff;
	EXPECT_EQ(0, dirty_get(container, &request));
	EXPECT_EQ(0, data[0]);
	EXPECT_EQ(0, data[size / 2 + 1]);
	EXPECT_EQ(0, data[size - 1]);
	EXPECT_EQ(pages * PAGE_SIZE, dirty_unmap(container, &request));
	munmap(data, size);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "EDU", NULL };
	static const char *const samples[] = { "vfio_memory", NULL };

	pci_claim(names);
	samples_claim(samples);
	return test_harness_run(argc, argv);
}
