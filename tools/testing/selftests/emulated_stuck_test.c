// SPDX-License-Identifier: GPL-2.0
/*
 * Emulated devices that reach for memory of their user whose page does not come: who waits
 * for that, and who does not. The page is one of a FUSE file; with the C modules all calls of
 * the container wait for it, and none of those can be killed.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "locked_memory.h"
#include "memory_dma.h"
#include "slow_memory.h"
#include "waiter.h"

#define ALL		VFIO_DMA_UNMAP_FLAG_ALL
#define IOVA_STUCK	(IOVA + SIZE)
#define PATIENCE	60000
#define PROMPT		20000
#define WHILE		300

/* For those who are started; there is one test at a time. */
static struct {
	int container;
	int device;
	uint64_t command;
	const struct slow_memory *slow;
	uint8_t *buffer;
} stuck;

FIXTURE(stuck)
{
	struct vfio_session session;
	struct slow_memory slow;
	pid_t user;
	uint8_t *buffer;
	long pinned;
	long locked;
};

FIXTURE_VARIANT(stuck)
{
	uint64_t command;
};

FIXTURE_VARIANT_ADD(stuck, copy)
{
	.command = VFIO_MEMORY_READ,
};

FIXTURE_VARIANT_ADD(stuck, pin)
{
	.command = VFIO_MEMORY_PIN,
};

/* Maps the page, and has the device reach for its first byte. */
static long use_stuck(void *data)
{
	void *page = slow_memory_map(stuck.slow);

	if (page == MAP_FAILED)
		return -errno;
	return type1_map(stuck.container, page, IOVA_STUCK, PAGE_SIZE, DMA_RW) ?:
	       command(stuck.device, stuck.command, IOVA_STUCK, 1);
}

static long unmap_all(void *data)
{
	return type1_unmap(stuck.container, 0, 0, ALL) != SIZE + PAGE_SIZE;
}

static long unmap_stuck(void *data)
{
	return type1_unmap(stuck.container, IOVA_STUCK, PAGE_SIZE, 0) != PAGE_SIZE;
}

static long unmap_other(void *data)
{
	return type1_unmap(stuck.container, IOVA, SIZE, 0) != SIZE;
}

static long map_what_is_mapped(void *data)
{
	return type1_map(stuck.container, stuck.buffer, IOVA, PAGE_SIZE, DMA_RW) != -EEXIST ||
	       type1_map(stuck.container, stuck.buffer, IOVA_STUCK, PAGE_SIZE, DMA_RW) != -EEXIST;
}

/* A kernel thread copies, since this is not the process that has mapped it. */
static long use_other(void *data)
{
	bool failed = !put(stuck.device, REGISTER(options), VFIO_MEMORY_WORKER) ||
		      load(stuck.device, VFIO_MEMORY_READ, IOVA, SIZE) != 7 ||
		      pin(stuck.device, IOVA, SIZE) ||
		      unpin(stuck.device, IOVA, SIZE);

	return !put(stuck.device, REGISTER(options), 0) || failed;
}

static bool is_prompt(long (*action)(void *data))
{
	pid_t pid = waiter_start(action, NULL);
	int status = -1;

	if (waiter_ends(pid, PROMPT, &status))
		return status == 0;
	waiter_dies(pid, PROMPT);
	return false;
}

FIXTURE_SETUP(stuck)
{
	NEED_SAMPLES();
	self->user = -1;
	self->buffer = memory_new(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	memset(self->buffer, 7, SIZE);
	ASSERT_EQ(0, memory_open(&self->session, VFIO_TYPE1v2_IOMMU));
	self->pinned = memory_pinned_pages();
	self->locked = memory_locked_kb();
	if (slow_memory_new(&self->slow, PAGE_SIZE))
		SKIP(return, "no FUSE");
	stuck.container = self->session.container;
	stuck.device = self->session.device;
	stuck.command = variant->command;
	stuck.slow = &self->slow;
	stuck.buffer = self->buffer;
	ASSERT_EQ(0, type1_map(stuck.container, self->buffer, IOVA, SIZE, DMA_RW));
	self->user = waiter_start(use_stuck, NULL);
	ASSERT_LT(0, self->user);
	ASSERT_TRUE(slow_memory_is_awaited(&self->slow, PATIENCE));
}

FIXTURE_TEARDOWN(stuck)
{
	slow_memory_release(&self->slow);
	if (self->user > 0)
		waiter_dies(self->user, PATIENCE);
	slow_memory_end(&self->slow);
	session_close(&self->session);
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(self->locked, settled_locked_kb(self->locked));
	munmap(self->buffer, SIZE);
}

/* The page comes, and the device has it. */
static void expect_used(struct __test_metadata *_metadata, struct _test_data_stuck *self)
{
	int status = -1;

	slow_memory_release(&self->slow);
	EXPECT_TRUE(waiter_ends(self->user, PATIENCE, &status));
	EXPECT_EQ(0, status);
	self->user = -1;
}

/* 12-41: who does not need the page does not wait for it. */
TEST_F(stuck, others_go_on)
{
	EXPECT_TRUE(is_prompt(use_other));
	EXPECT_TRUE(is_prompt(map_what_is_mapped));
	EXPECT_TRUE(is_prompt(unmap_other));
	expect_used(_metadata, self);
	EXPECT_EQ(PAGE_SIZE, type1_unmap(stuck.container, 0, 0, ALL));
	EXPECT_EQ(0, REG(stuck.device, pinned));
}

/*
 * 5-57: who unmaps it waits, and changes nothing before that: no device begins to use what goes, but
 * all else is as before. Killed, he has done nothing.
 */
TEST_F(stuck, unmap_is_killed)
{
	pid_t unmapper = waiter_start(unmap_all, NULL);

	ASSERT_LT(0, unmapper);
	EXPECT_TRUE(waiter_waits(unmapper, WHILE));
	EXPECT_EQ(-EINVAL, pin(stuck.device, IOVA, SIZE));
	EXPECT_EQ(-EINVAL, load(stuck.device, VFIO_MEMORY_READ, IOVA, SIZE));
	EXPECT_TRUE(is_prompt(map_what_is_mapped));
	EXPECT_EQ(0, REG(stuck.device, told));
	EXPECT_TRUE(waiter_dies(unmapper, PROMPT));
	EXPECT_TRUE(is_prompt(use_other));
	expect_used(_metadata, self);
	EXPECT_EQ(SIZE + PAGE_SIZE, type1_unmap(stuck.container, 0, 0, ALL));
}

/* 12-41: others may unmap the rest meanwhile; then there is only the page to unmap. */
TEST_F(stuck, unmap_holds_nothing)
{
	pid_t unmapper = waiter_start(unmap_stuck, NULL);
	pid_t all = waiter_start(unmap_all, NULL);
	int status = -1;

	EXPECT_TRUE(waiter_waits(unmapper, WHILE));
	EXPECT_TRUE(waiter_waits(all, 0));
	EXPECT_TRUE(is_prompt(unmap_other));
	EXPECT_TRUE(waiter_dies(all, PROMPT));
	EXPECT_EQ(0, type1_map(stuck.container, self->buffer, IOVA, SIZE, DMA_RW));
	EXPECT_TRUE(is_prompt(use_other));
	expect_used(_metadata, self);
	EXPECT_TRUE(waiter_ends(unmapper, PROMPT, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(SIZE, type1_unmap(stuck.container, 0, 0, ALL));
	EXPECT_EQ(0, REG(stuck.device, pinned));
}

/* The other way round: who uses the page is killed, and it is unmapped then. */
TEST_F(stuck, user_is_killed)
{
	pid_t unmapper = waiter_start(unmap_all, NULL);
	int status = -1;

	EXPECT_TRUE(waiter_waits(unmapper, WHILE));
	EXPECT_TRUE(waiter_dies(self->user, PROMPT));
	self->user = -1;
	EXPECT_TRUE(waiter_ends(unmapper, PROMPT, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, REG(stuck.device, pinned));
}

SAMPLES_TEST_MAIN("vfio_memory")
