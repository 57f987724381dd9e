// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of a call fails in turn (5-15, 5-16, 5-17, 5-97): the call
 * fails with ENOMEM, or copes; and it leaves nothing behind.
 *
 * Needs a kernel with FAULT_INJECTION and FAILSLAB; skipped elsewhere.
 */
#include "fault_injection.h"
#include "iommu_debug.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA	0x10000000UL
#define PAGES	64
#define BUFFER	(PAGES * PAGE_SIZE)

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
	NEED_INJECTION();
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

/* 5-15 to 5-17: whosever allocation it is. */
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

#define BAR		2
#define IOVA_OTHER	0x50000000UL

/* A device whose memory others map. */
struct owner {
	struct vfio_session session;
	void *bar;
};

static int owner_open(struct owner *owner)
{
	const char *bdf = pci_device("IVSHMEM");
	int ret = bdf ? session_open(&owner->session, bdf, VFIO_TYPE1v2_IOMMU) :
			-ENODEV;

	if (!ret)
		ret = memory_enable(owner->session.device, true);
	if (!ret)
		ret = bar_mmap(owner->session.device, BAR, 0, BUFFER,
			       PROT_READ | PROT_WRITE, &owner->bar);
	return ret;
}

static void owner_close(struct owner *owner)
{
	munmap(owner->bar, BUFFER);
	session_close(&owner->session);
}

TEST_F(fault, map_device_memory)
{
	struct owner owner;

	ASSERT_EQ(0, owner_open(&owner));
	map_with_failures(_metadata, self->container, owner.bar, BUFFER);
	owner_close(&owner);
}

/* The other container has the same memory, and does not lose it. */
TEST_F(fault, map_device_memory_of_two_containers)
{
	const char *edu = self->session.bdf;
	struct owner owner;

	ASSERT_EQ(0, owner_open(&owner));
	ASSERT_EQ(0, type1_map(owner.session.container, owner.bar, IOVA_OTHER,
			       BUFFER, DMA_RW));
	map_with_failures(_metadata, self->container, owner.bar, BUFFER);
	EXPECT_TRUE(iommu_maps_iova(owner.session.bdf, IOVA_OTHER));
	/* A registration that failed is not called, one that did not is. */
	ASSERT_EQ(0, type1_map(self->container, owner.bar, IOVA, BUFFER,
			       DMA_RW));
	munmap(owner.bar, BUFFER);
	close(owner.session.device);
	owner.session.device = -1;
	EXPECT_EQ(on_c_modules(), iommu_maps_iova(edu, IOVA));
	EXPECT_EQ(on_c_modules(), iommu_maps_iova(owner.session.bdf, IOVA_OTHER));
	EXPECT_EQ(BUFFER, type1_unmap(self->container, IOVA, BUFFER, 0));
	session_close(&owner.session);
}

/* Ordinary memory on both sides, which is pinned and charged. */
TEST_F(fault, map_mixed_memory)
{
	size_t size = 3 * BUFFER;
	char *area = memory_new(size);
	struct owner owner;

	ASSERT_NE(MAP_FAILED, (void *)area);
	ASSERT_EQ(0, owner_open(&owner));
	ASSERT_EQ((void *)(area + BUFFER),
		  mmap(area + BUFFER, BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED |
		       MAP_FIXED, owner.session.device, REGION_OFFSET(BAR)));
	map_with_failures(_metadata, self->container, area, size);
	munmap(area, size);
	owner_close(&owner);
}

/* Taking the mapping away from everybody works without any memory. */
TEST_F(fault, close_device)
{
	const char *edu = self->session.bdf;
	unsigned int nth;
	bool failed = true;

	for (nth = 1; failed && nth < ATTEMPTS; nth++) {
		struct owner owner;

		ASSERT_EQ(0, owner_open(&owner));
		ASSERT_EQ(0, type1_map(self->container, owner.bar, IOVA, BUFFER,
				       DMA_RW));
		ASSERT_TRUE(iommu_maps_iova(edu, IOVA));
		munmap(owner.bar, BUFFER);
		injection_begin(nth);
		close(owner.session.device);
		failed = injection_end();
		owner.session.device = -1;
		EXPECT_EQ(on_c_modules(), iommu_maps_iova(edu, IOVA));
		EXPECT_EQ(BUFFER, type1_unmap(self->container, IOVA, BUFFER, 0));
		session_close(&owner.session);
		expect_as(_metadata, &self->before, self->container);
	}
	ASSERT_LT(nth, ATTEMPTS);
}

/* The first open of a device, which makes all that there is of it. */
TEST_F(fault, open_device)
{
	const char *bdf = pci_device("IVSHMEM");
	struct vfio_session session;
	unsigned int nth;
	bool failed = true;
	long device = -1;

	if (!bdf)
		SKIP(return, "IVSHMEM names no device");
	ASSERT_EQ(0, session_join(&session, bdf, VFIO_TYPE1v2_IOMMU));
	for (nth = 1; failed && nth < ATTEMPTS; nth++) {
		injection_begin(nth);
		device = group_device(session.group, bdf);
		failed = injection_end();
		if (device >= 0)
			close(device);
		else
			ASSERT_EQ(-ENOMEM, device);
	}
	ASSERT_LT(nth, ATTEMPTS);
	EXPECT_LT(2, nth);
	EXPECT_LE(0, device);
	/* The group is as free as before. */
	session.device = group_device(session.group, bdf);
	ASSERT_LE(0, session.device);
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
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
