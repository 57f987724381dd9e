// SPDX-License-Identifier: GPL-2.0
/*
 * A container that is used again after its last group has left: it is as new,
 * though another process has held it all the time.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA		0x10000000UL
#define BUFFER		(64 * PAGE_SIZE)
#define LIMIT		5
#define ENTRY_LIMIT	"/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"

FIXTURE(reuse)
{
	struct vfio_session first;
	int container;
	char *buffer;
	char limit[32];
};

FIXTURE_SETUP(reuse)
{
	const char *bdf;
	int closed[2];
	pid_t holder;
	char none;

	NEED_DEVICE(bdf, "EDU");
	ASSERT_LT(0, file_read(ENTRY_LIMIT, self->limit, sizeof(self->limit)));
	self->buffer = memory_new(BUFFER);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	ASSERT_EQ(0, session_open(&self->first, bdf, VFIO_TYPE1v2_IOMMU));
	self->container = self->first.container;
	ASSERT_EQ(0, pipe(closed));
	holder = fork();
	ASSERT_LE(0, holder);
	if (!holder) {
		/* The container alone: groups have one user at a time. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(self->first.device);
		close(self->first.group);
		close(closed[0]);
		close(closed[1]);
		pause();
		_exit(0);
	}
	close(closed[1]);
	ASSERT_EQ(0, read(closed[0], &none, 1));
	close(closed[0]);
}

/* In the parent, so that the limit is put back in any case. */
FIXTURE_TEARDOWN_PARENT(reuse)
{
	if (self->limit[0])
		EXPECT_EQ(0, file_write(ENTRY_LIMIT, self->limit));
}

/* The ranges that may be mapped, as a copy; the caller frees it. */
static struct vfio_iommu_type1_info_cap_iova_range *iova_ranges(int container)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap, *copy = NULL;
	struct vfio_iommu_type1_info *info = type1_info(container);
	size_t size;

	if (!info)
		return NULL;
	cap = info_cap(info, info->cap_offset,
		       VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	if (cap) {
		size = sizeof(*cap) + cap->nr_iovas * sizeof(cap->iova_ranges[0]);
		copy = malloc(size);
		if (copy)
			memcpy(copy, cap, size);
	}
	free(info);
	return copy;
}

static bool same_ranges(int container, int other)
{
	struct vfio_iommu_type1_info_cap_iova_range *a = iova_ranges(container);
	struct vfio_iommu_type1_info_cap_iova_range *b = iova_ranges(other);
	bool same = a && b && a->nr_iovas == b->nr_iovas &&
		    !memcmp(a->iova_ranges, b->iova_ranges,
			    a->nr_iovas * sizeof(a->iova_ranges[0]));

	free(a);
	free(b);
	return same;
}

static void map_buffer(struct __test_metadata *_metadata,
		       struct _test_data_reuse *self)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, type1_map(self->container, self->buffer,
				       IOVA + i * BUFFER, BUFFER, DMA_RW));
}

/* The only group leaves, after its device. */
static void leave(struct __test_metadata *_metadata,
		  struct _test_data_reuse *self)
{
	close(self->first.device);
	self->first.device = -1;
	ASSERT_EQ(0, vfio_ioctl(self->first.group, VFIO_GROUP_UNSET_CONTAINER,
				0));
}

/* 2-9, 2-10, 2-15, 2-19, 5-101: nothing is there any more. */
TEST_F(reuse, nothing_is_left)
{
	long pinned = memory_pinned_pages();
	long locked = memory_locked_kb();

	map_buffer(_metadata, self);
	EXPECT_LT(pinned, memory_pinned_pages());
	leave(_metadata, self);
	EXPECT_EQ(pinned, memory_pinned_pages());
	EXPECT_EQ(locked, memory_locked_kb());
	EXPECT_EQ(-EINVAL, type1_map(self->container, self->buffer, IOVA,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EINVAL, type1_unmap(self->container, 0, 0,
				       VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(NULL, type1_info(self->container));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				      VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, vfio_ioctl_arg(self->container, VFIO_CHECK_EXTENSION,
				    VFIO_DMA_CC_IOMMU));
}

/* 1-10, 2-10, 5-50, 5-51, 5-85: another group, another type, another limit. */
TEST_F(reuse, other_type_and_limit)
{
	struct vfio_session fresh;
	const char *igb, *testdev;
	int group, device;
	unsigned int i;

	NEED_DEVICE(igb, "IGB");
	NEED_DEVICE(testdev, "TESTDEV");
	map_buffer(_metadata, self);
	leave(_metadata, self);

	group = group_open(igb);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, self->container));
	EXPECT_EQ(-EINVAL, group_device(group, igb));
	ASSERT_EQ(0, file_write(ENTRY_LIMIT, "5"));
	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, file_write(ENTRY_LIMIT, self->limit));
	device = group_device(group, igb);
	EXPECT_LE(0, device);

	/* No mapping of the first life is in the way. */
	EXPECT_EQ(LIMIT, type1_dma_avail(self->container));
	for (i = 0; i < LIMIT; i++)
		EXPECT_EQ(0, type1_map(self->container, self->buffer,
				       IOVA + i * BUFFER, BUFFER, DMA_RW));
	EXPECT_EQ(-ENOSPC, type1_map(self->container, self->buffer,
				     IOVA + i * BUFFER, BUFFER, DMA_RW));
	/* As version 1 does it. */
	EXPECT_EQ(0, type1_unmap(self->container, IOVA + PAGE_SIZE, PAGE_SIZE,
				 0));
	EXPECT_EQ(BUFFER, type1_unmap(self->container, IOVA, PAGE_SIZE, 0));
	EXPECT_EQ(1, type1_dma_avail(self->container));

	/* The addresses are those of a new container. */
	ASSERT_EQ(0, session_join(&fresh, testdev, VFIO_TYPE1_IOMMU));
	EXPECT_TRUE(same_ranges(self->container, fresh.container));
	session_close(&fresh);
	close(device);
	close(group);
}

/* DMA goes to what is mapped now. */
TEST_F(reuse, same_group_again)
{
	struct vfio_session *session = &self->first;
	char *other = memory_new(PAGE_SIZE);
	unsigned int i;

	ASSERT_NE(MAP_FAILED, (void *)other);
	memset(self->buffer, 0x11, BUFFER);
	memset(other, 0x22, PAGE_SIZE);
	for (i = 0; i < 4; i++) {
		map_buffer(_metadata, self);
		leave(_metadata, self);
		ASSERT_EQ(0, group_set_container(session->group,
						 self->container));
		ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
					i % 2 ? VFIO_TYPE1v2_IOMMU :
						VFIO_TYPE1_IOMMU));
		session->device = group_device(session->group, session->bdf);
		ASSERT_LE(0, session->device);
		ASSERT_EQ(0, edu_bus_master(session->device, true));
		ASSERT_EQ(0, type1_map(self->container, other, IOVA, PAGE_SIZE,
				       DMA_RW));
		EXPECT_EQ(0, edu_load(session->device, IOVA, 64));
		EXPECT_EQ(0, edu_store(session->device, IOVA + 1024, 64));
		EXPECT_EQ(0, memcmp(other, other + 1024, 64));
		EXPECT_EQ(PAGE_SIZE, type1_unmap(self->container, 0, 0,
						 VFIO_DMA_UNMAP_FLAG_ALL));
		memset(other + 1024, i, 64);
	}
	EXPECT_EQ(0x11, self->buffer[0]);
}

VFIO_TEST_MAIN("EDU", "IGB", "TESTDEV")
