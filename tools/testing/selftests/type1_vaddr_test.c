// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping whose memory has moved to another address (5.1, 5.3): UNMAP_DMA with the VADDR
 * flag says that the old address is not valid any more, MAP_DMA with it gives the new
 * one. What other processes and devices have of it is in type1_owner_test.c.
 */
#include <unistd.h>

#include "kselftest_harness.h"
#include "samples.h"
#include "vaddr_fixture.h"

static long extension(int container)
{
	return vfio_ioctl(container, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR);
}

/* ---- what v1 and v2 have in common ---- */

FIXTURE(vaddr) {};

FIXTURE_VARIANT(vaddr)
{
	int iommu;
};

FIXTURE_VARIANT_ADD(vaddr, v1)
{
	.iommu = VFIO_TYPE1_IOMMU,
};

FIXTURE_VARIANT_ADD(vaddr, v2)
{
	.iommu = VFIO_TYPE1v2_IOMMU,
};

FIXTURE_SETUP(vaddr)
{
	const char *bdf;

	NEED_DEVICE(bdf, "TESTDEV");
	ASSERT_TRUE(memory_ready());
	ASSERT_EQ(0, session_join(&session, bdf, variant->iommu));
}

FIXTURE_TEARDOWN(vaddr)
{
	EXPECT_LE(0, type1_unmap(session.container, 0, 0, ALL));
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
	close(memory_fd);
}

/* 2-7, 5-61 */
TEST_F(vaddr, extension)
{
	int other = container_open();

	EXPECT_EQ(0, extension(other));
	EXPECT_EQ(1, extension(session.container));
	ASSERT_EQ(0, map_pages(0, 1));
	EXPECT_EQ(1, invalidate_pages(0, 1));
	EXPECT_EQ(1, extension(session.container));
	close(other);
}

/* 5-2, 5-4 to 5-9: in this order. */
TEST_F(vaddr, update_refusals)
{
	int container = session.container;

	ASSERT_EQ(0, map_pages(0, 2));
	ASSERT_EQ(0, map_pages(4, 2));
	ASSERT_EQ(2, invalidate_pages(0, 2));
	EXPECT_EQ(-EINVAL, type1_map(container, buffer, IOVA, 2 * PAGE_SIZE,
				     DMA_VADDR | VFIO_DMA_MAP_FLAG_READ));
	EXPECT_EQ(-EINVAL, type1_map(container, buffer, IOVA, 2 * PAGE_SIZE,
				     DMA_VADDR | DMA_RW));
	EXPECT_EQ(-EINVAL, type1_map(container, buffer, IOVA, 2 * PAGE_SIZE,
				     DMA_VADDR | 8));
	EXPECT_EQ(-EINVAL, type1_map(container, buffer, IOVA, 0, DMA_VADDR));
	EXPECT_EQ(-EOVERFLOW, type1_map(container, buffer, -PAGE_SIZE,
					2 * PAGE_SIZE, DMA_VADDR));
	EXPECT_EQ(-EOVERFLOW, type1_map(container, (void *)-PAGE_SIZE, IOVA,
					2 * PAGE_SIZE, DMA_VADDR));
	EXPECT_EQ(-EOVERFLOW, type1_map(container, (void *)-PAGE_SIZE, IOVA,
					2 * PAGE_SIZE, DMA_VADDR | DMA_RW));
	/* 5-7, before what is there is looked at. */
	EXPECT_EQ(-EINVAL, type1_map(container, buffer + 1, IOVA,
				     2 * PAGE_SIZE, DMA_VADDR));
	EXPECT_EQ(-EINVAL, type1_map(container, buffer, IOVA + 1,
				     2 * PAGE_SIZE, DMA_VADDR));
	EXPECT_EQ(-EINVAL, type1_map(container, buffer, IOVA,
				     2 * PAGE_SIZE - 1, DMA_VADDR));
	EXPECT_EQ(-EINVAL, type1_map(container, buffer, NEW_IOVA + 1,
				     PAGE_SIZE, DMA_VADDR));
	/* 5-8 */
	EXPECT_EQ(-ENOENT, update_pages(2, 2, buffer));
	EXPECT_EQ(-ENOENT, type1_map(container, buffer, NEW_IOVA, PAGE_SIZE,
				     DMA_VADDR));
	EXPECT_EQ(-ENOENT, type1_map(container, buffer, 0xfee00000, PAGE_SIZE,
				     DMA_VADDR));
	/* 5-9 */
	EXPECT_EQ(-EINVAL, update_pages(4, 2, buffer));
	EXPECT_EQ(-EINVAL, update_pages(0, 1, buffer));
	EXPECT_EQ(-EINVAL, update_pages(1, 1, buffer));
	EXPECT_EQ(-EINVAL, update_pages(0, 3, buffer));
	EXPECT_EQ(-EINVAL, update_pages(0, 6, buffer));
	EXPECT_EQ(-EINVAL, update_pages(1, 2, buffer));
	/* 5-12: that it is invalid makes no room. */
	EXPECT_EQ(-EEXIST, map_pages(0, 2));
	/* 5-11. The address is not looked at. */
	EXPECT_EQ(0, update_pages(0, 2, NULL));
	EXPECT_EQ(-EINVAL, update_pages(0, 2, buffer));
	EXPECT_EQ(4, unmap_pages(0, PAGES));
}

/* 5-42 to 5-45: as without the flag. */
TEST_F(vaddr, invalidate_refusals)
{
	const uint32_t flag = VFIO_DMA_UNMAP_FLAG_VADDR;
	int container = session.container;

	ASSERT_EQ(0, map_pages(0, 1));
	EXPECT_EQ(-EINVAL, type1_unmap(container, IOVA + 1, PAGE_SIZE, flag));
	EXPECT_EQ(-EINVAL, type1_unmap(container, IOVA, 0, flag));
	EXPECT_EQ(-EINVAL, type1_unmap(container, IOVA, PAGE_SIZE - 1, flag));
	EXPECT_EQ(-EINVAL, type1_unmap(container, IOVA, 0, flag | ALL));
	EXPECT_EQ(-EINVAL, type1_unmap(container, 0, PAGE_SIZE, flag | ALL));
	EXPECT_EQ(-EOVERFLOW, type1_unmap(container, -PAGE_SIZE, 2 * PAGE_SIZE,
					  flag));
	EXPECT_EQ(-EINVAL, update_pages(0, 1, buffer));
	EXPECT_EQ(0, invalidate_pages(1, 10));
	EXPECT_EQ(1, invalidate_pages(0, 10));
}

/* 5-53: all, or, if one has none already, nothing. */
TEST_F(vaddr, invalidate)
{
	ASSERT_EQ(0, map_pages(0, 2));
	ASSERT_EQ(0, map_pages(4, 3));
	ASSERT_EQ(0, map_pages(10, 1));
	EXPECT_EQ(3, invalidate_pages(4, 3));
	EXPECT_EQ(-EINVAL, invalidate_pages(0, PAGES));
	EXPECT_EQ(-EINVAL, invalidate_pages(4, 3));
	EXPECT_EQ(-EINVAL, update_pages(0, 2, buffer));
	EXPECT_EQ(-EINVAL, update_pages(10, 1, buffer));
	EXPECT_EQ(0, update_pages(4, 3, buffer));
	EXPECT_EQ(6, invalidate_pages(0, PAGES));
	EXPECT_EQ(0, update_pages(0, 2, buffer));
	EXPECT_EQ(-EINVAL, invalidate_pages(0, PAGES));
	EXPECT_EQ(-EINVAL, update_pages(0, 2, buffer));
	EXPECT_EQ(0, update_pages(10, 1, buffer));
	EXPECT_EQ(0, update_pages(4, 3, buffer));
	/* 5-52 */
	EXPECT_EQ(6 * PAGE_SIZE, type1_unmap(session.container, 0, 0,
					     ALL | VFIO_DMA_UNMAP_FLAG_VADDR));
	EXPECT_EQ(-EINVAL, type1_unmap(session.container, 0, 0,
				       ALL | VFIO_DMA_UNMAP_FLAG_VADDR));
	EXPECT_EQ(6, unmap_pages(0, PAGES));
	EXPECT_EQ(0, type1_unmap(session.container, 0, 0,
				 ALL | VFIO_DMA_UNMAP_FLAG_VADDR));
}

/* 5-55: what is written back is what became invalid. */
TEST_F(vaddr, writeback)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap) + 8,
		.flags = VFIO_DMA_UNMAP_FLAG_VADDR,
		.iova = IOVA,
		.size = 16 * PAGE_SIZE,
	};

	ASSERT_EQ(0, map_pages(0, 2));
	EXPECT_EQ(0, vfio_ioctl(session.container, VFIO_IOMMU_UNMAP_DMA, &unmap));
	EXPECT_EQ(sizeof(unmap) + 8, unmap.argsz);
	EXPECT_EQ(VFIO_DMA_UNMAP_FLAG_VADDR, unmap.flags);
	EXPECT_EQ(IOVA, unmap.iova);
	EXPECT_EQ(2 * PAGE_SIZE, unmap.size);
	EXPECT_EQ(-EINVAL, vfio_ioctl(session.container, VFIO_IOMMU_UNMAP_DMA,
				      &unmap));
	EXPECT_EQ(2 * PAGE_SIZE, unmap.size);
}

/* 5-47, 5-50, 5-51 */
TEST_F(vaddr, ranges_that_cut)
{
	ASSERT_EQ(0, map_pages(0, 8));
	ASSERT_EQ(0, map_pages(8, 2));
	if (variant->iommu == VFIO_TYPE1v2_IOMMU) {
		EXPECT_EQ(-EINVAL, invalidate_pages(4, 4));
		EXPECT_EQ(-EINVAL, invalidate_pages(0, 4));
		EXPECT_EQ(-EINVAL, invalidate_pages(0, 9));
		EXPECT_EQ(-EINVAL, update_pages(0, 8, buffer));
		return;
	}
	EXPECT_EQ(0, invalidate_pages(4, 4));
	EXPECT_EQ(0, invalidate_pages(4, 20));
	EXPECT_EQ(-EINVAL, update_pages(0, 8, buffer));
	EXPECT_EQ(8, invalidate_pages(0, 1));
	EXPECT_EQ(-EINVAL, invalidate_pages(0, 9));
	EXPECT_EQ(-EINVAL, update_pages(8, 2, buffer));
	EXPECT_EQ(0, update_pages(0, 8, buffer));
	EXPECT_EQ(10, invalidate_pages(0, 9));
}

/* 5-54, 5-87: no group may come, until all is as it was, or gone. */
TEST_F(vaddr, no_group_may_come)
{
	const char *bdf = pci_device("IVSHMEM");
	int group;

	if (!bdf)
		SKIP(return, "IVSHMEM names no device");
	group = group_open(bdf);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, map_pages(0, 2));
	ASSERT_EQ(0, map_pages(4, 1));
	ASSERT_EQ(3, invalidate_pages(0, PAGES));
	EXPECT_EQ(-EBUSY, group_set_container(group, session.container));
	/* Another one need not wait, and the same one is told the same. */
	EXPECT_EQ(-EINVAL, group_set_container(session.group, session.container));
	EXPECT_EQ(0, update_pages(0, 2, buffer));
	EXPECT_EQ(-EBUSY, group_set_container(group, session.container));
	EXPECT_EQ(1, unmap_pages(4, 1));
	EXPECT_EQ(0, group_set_container(group, session.container));

	ASSERT_EQ(2, invalidate_pages(0, PAGES));
	ASSERT_EQ(0, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_EQ(-EBUSY, group_set_container(group, session.container));
	/* A call that fails has changed nothing. */
	EXPECT_EQ(-EINVAL, invalidate_pages(0, PAGES));
	EXPECT_EQ(-EBUSY, group_set_container(group, session.container));
	EXPECT_EQ(2, unmap_pages(0, PAGES));
	EXPECT_EQ(0, group_set_container(group, session.container));
	close(group);

	/* The last group takes it all with it. */
	ASSERT_EQ(0, map_pages(0, 2));
	ASSERT_EQ(2, invalidate_pages(0, 2));
	ASSERT_EQ(0, vfio_ioctl(session.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	ASSERT_EQ(0, group_join(session.group, session.container));
	EXPECT_EQ(0, map_pages(0, 2));
	EXPECT_EQ(1, extension(session.container));
}

/* ---- emulated devices ---- */

FIXTURE(emulated)
{
	int group;
};

FIXTURE_SETUP(emulated)
{
	const char *bdf;

	NEED_SAMPLES();
	NEED_DEVICE(bdf, "TESTDEV");
	ASSERT_TRUE(memory_ready());
	ASSERT_EQ(0, memory_open(&session, VFIO_TYPE1v2_IOMMU));
	self->group = group_open(bdf);
	ASSERT_LE(0, self->group);
}

FIXTURE_TEARDOWN(emulated)
{
	close(self->group);
	session_close(&session);
	close(memory_fd);
}

/* 2-7, 5-41: what an emulated device does with an address cannot be stopped. */
TEST_F(emulated, no_updates)
{
	ASSERT_EQ(0, map_pages(0, 1));
	EXPECT_EQ(0, extension(session.container));
	EXPECT_EQ(-EBUSY, invalidate_pages(0, 1));
	/* Before the range is looked at. */
	EXPECT_EQ(-EBUSY, type1_unmap(session.container, IOVA + 1, PAGE_SIZE,
				      VFIO_DMA_UNMAP_FLAG_VADDR));
	EXPECT_EQ(-EINVAL, update_pages(0, 1, buffer));
	ASSERT_EQ(0, group_set_container(self->group, session.container));
	EXPECT_EQ(0, extension(session.container));
	EXPECT_EQ(-EBUSY, invalidate_pages(0, 1));
	close(session.device);
	session.device = -1;
	ASSERT_EQ(0, vfio_ioctl(session.group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_EQ(1, extension(session.container));
	EXPECT_EQ(1, invalidate_pages(0, 1));
	/* 5-87 */
	EXPECT_EQ(-EBUSY, group_set_container(session.group, session.container));
	EXPECT_EQ(0, update_pages(0, 1, buffer));
	EXPECT_EQ(0, group_set_container(session.group, session.container));
	EXPECT_EQ(-EBUSY, invalidate_pages(0, 1));
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "TESTDEV", "IVSHMEM", NULL };
	static const char *const samples[] = { "vfio_memory", NULL };

	pci_claim(names);
	samples_claim(samples);
	return test_harness_run(argc, argv);
}
