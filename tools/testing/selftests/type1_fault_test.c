// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of a call fails in turn (5-15, 5-16, 5-17, 5-97): the call
 * fails with ENOMEM, or copes; and it leaves nothing behind.
 *
 * Needs a kernel with FAULT_INJECTION and FAILSLAB; skipped elsewhere.
 */
#include <fcntl.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA	0x10000000UL
#define PAGES	64
#define BUFFER	(PAGES * PAGE_SIZE)

/* More allocations than any of the calls makes. */
#define ATTEMPTS	1000

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_PAGE	"/sys/kernel/debug/fail_page_alloc/"

static int fail_nth = -1;

static bool injection_ready(void)
{
	if (file_write(FAILSLAB "ignore-gfp-wait", "N") ||
	    file_write(FAIL_PAGE "ignore-gfp-wait", "N") ||
	    file_write(FAIL_PAGE "ignore-gfp-highmem", "N") ||
	    file_write(FAIL_PAGE "min-order", "0"))
		return false;
	file_write(FAILSLAB "verbose", "0");
	file_write(FAIL_PAGE "verbose", "0");
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fail_nth >= 0;
}

/* The nth allocation from now on will fail. */
static void injection_begin(unsigned int nth)
{
	char buf[16];
	int length = snprintf(buf, sizeof(buf), "%u", nth);

	if (pwrite(fail_nth, buf, length, 0) != length)
		abort();
}

/* Whether it came to that. */
static bool injection_end(void)
{
	char buf[16] = "";
	bool failed;

	failed = pread(fail_nth, buf, sizeof(buf) - 1, 0) > 0 && atoi(buf) == 0;
	injection_begin(0);
	return failed;
}

/* What must be as before after a call that failed. */
struct remains {
	long locked;
	long pinned;
	long available;
};

static struct remains remains_of(int container)
{
	return (struct remains) {
		.locked = memory_locked_kb(),
		.pinned = memory_pinned_pages(),
		.available = type1_dma_avail(container),
	};
}

FIXTURE(fault)
{
	struct vfio_session session;
	int container;
	char *buffer;
	struct remains before;
};

FIXTURE_SETUP(fault)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	if (!injection_ready())
		SKIP(return, "no fault injection in this kernel");
	self->buffer = memory_new(BUFFER);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	ASSERT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	self->container = self->session.container;
	self->before = remains_of(self->container);
}

FIXTURE_TEARDOWN(fault)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

static void expect_as(struct __test_metadata *_metadata,
		      const struct remains *before, int container)
{
	struct remains now = remains_of(container);

	EXPECT_EQ(before->locked, now.locked);
	EXPECT_EQ(before->pinned, now.pinned);
	EXPECT_EQ(before->available, now.available);
}

/* Maps until no allocation is left that fails; then all of it is mapped. */
static void map_with_failures(struct __test_metadata *_metadata, int container,
			      void *memory, uint64_t size)
{
	struct remains before = remains_of(container);
	unsigned int nth;
	bool failed = true;
	long ret;

	for (nth = 1; failed && nth < ATTEMPTS; nth++) {
		injection_begin(nth);
		ret = type1_map(container, memory, IOVA, size, DMA_RW);
		failed = injection_end();
		ASSERT_EQ(ret ? -ENOMEM : 0, ret);
		if (!ret)
			ASSERT_EQ(size, type1_unmap(container, IOVA, size, 0));
		expect_as(_metadata, &before, container);
	}
	ASSERT_LT(nth, ATTEMPTS);
	EXPECT_LT(2, nth);
	EXPECT_EQ(0, ret);
}

TEST_F(fault, map_memory)
{
	map_with_failures(_metadata, self->container, self->buffer, BUFFER);
}

/* Every other page is elsewhere, so that there are many runs. */
TEST_F(fault, map_scattered_memory)
{
	int i;

	for (i = 0; i < PAGES; i += 2)
		ASSERT_NE(MAP_FAILED,
			  mmap(self->buffer + i * PAGE_SIZE, PAGE_SIZE,
			       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED |
			       MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
	map_with_failures(_metadata, self->container, self->buffer, BUFFER);
}

/* Pages that the user has not touched come into being in the call. */
TEST_F(fault, map_untouched_memory)
{
	void *memory = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, memory);
	map_with_failures(_metadata, self->container, memory, BUFFER);
}

TEST_F(fault, map_device_memory)
{
	struct vfio_session other;
	const char *bdf = pci_device("IVSHMEM");
	void *bar;

	if (!bdf)
		SKIP(return, "IVSHMEM names no device");
	ASSERT_EQ(0, session_open(&other, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, bar_mmap(other.device, 2, 0, BUFFER, PROT_READ | PROT_WRITE,
			      &bar));
	map_with_failures(_metadata, self->container, bar, BUFFER);
	munmap(bar, BUFFER);
	session_close(&other);
}

/* Unmapping needs no memory that it could lack. */
TEST_F(fault, unmap)
{
	unsigned int nth;
	bool failed = true;

	for (nth = 1; failed && nth < ATTEMPTS; nth++) {
		ASSERT_EQ(0, type1_map(self->container, self->buffer, IOVA,
				       BUFFER, DMA_RW));
		injection_begin(nth);
		ASSERT_EQ(BUFFER, type1_unmap(self->container, IOVA, BUFFER, 0));
		failed = injection_end();
		expect_as(_metadata, &self->before, self->container);
	}
}

/* A second group joins a container that has mappings, or it does not. */
TEST_F(fault, attach_group)
{
	const char *bdf = pci_device("TESTDEV");
	unsigned int nth;
	bool failed = true;
	long ret = -1;
	int group;

	if (!bdf)
		SKIP(return, "TESTDEV names no device");
	ASSERT_EQ(0, type1_map(self->container, self->buffer, IOVA, BUFFER,
			       DMA_RW));
	group = group_open(bdf);
	ASSERT_LE(0, group);
	self->before = remains_of(self->container);
	for (nth = 1; failed && nth < ATTEMPTS; nth++) {
		injection_begin(nth);
		ret = group_set_container(group, self->container);
		failed = injection_end();
		ASSERT_EQ(ret ? -ENOMEM : 0, ret);
		if (!ret)
			ASSERT_EQ(0, vfio_ioctl(group,
						VFIO_GROUP_UNSET_CONTAINER, 0));
		expect_as(_metadata, &self->before, self->container);
	}
	EXPECT_EQ(0, ret);
	close(group);
	EXPECT_EQ(BUFFER, type1_unmap(self->container, IOVA, BUFFER, 0));
}

/* Choosing the backend, with all that this allocates. */
TEST_F(fault, set_iommu)
{
	const char *bdf = pci_device("TESTDEV");
	unsigned int nth;
	bool failed = true;
	long ret = -1;
	int container;
	int group;

	if (!bdf)
		SKIP(return, "TESTDEV names no device");
	container = container_open();
	group = group_open(bdf);
	ASSERT_LE(0, container);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, container));
	for (nth = 1; failed && nth < ATTEMPTS; nth++) {
		injection_begin(nth);
		ret = vfio_ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
		failed = injection_end();
		ASSERT_EQ(ret ? -ENOMEM : 0, ret);
		if (ret)
			continue;
		ASSERT_EQ(0, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));
		ASSERT_EQ(0, group_set_container(group, container));
	}
	EXPECT_EQ(0, ret);
	close(group);
	close(container);
}

VFIO_TEST_MAIN("EDU", "TESTDEV", "IVSHMEM")
