// SPDX-License-Identifier: GPL-2.0
/* UNMAP_DMA: refusals, v1 and v2 ranges, what is written back (5.3, 5.4). */
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA	0x10000000UL
#define BUFFER	(64 * PAGE_SIZE)
#define ALL	VFIO_DMA_UNMAP_FLAG_ALL

static struct vfio_session session;
static char *buffer;

static bool container_ready(struct __test_metadata *_metadata, int iommu)
{
	const char *bdf = pci_device("EDU");

	if (!bdf)
		return false;
	buffer = memory_new(BUFFER);
	ASSERT_NE(MAP_FAILED, (void *)buffer);
	ASSERT_EQ(0, session_join(&session, bdf, iommu));
	return true;
}

/* Maps @pages pages at page @first of the range that these tests work in. */
static long map_pages(unsigned int first, unsigned int pages)
{
	return type1_map(session.container, buffer, IOVA + first * PAGE_SIZE,
			 pages * PAGE_SIZE, DMA_RW);
}

/* Unmaps likewise; returns the number of pages that went, or an errno. */
static long unmap_pages(unsigned int first, unsigned int pages)
{
	long ret = type1_unmap(session.container, IOVA + first * PAGE_SIZE,
			       pages * PAGE_SIZE, 0);

	return ret < 0 ? ret : ret / (long)PAGE_SIZE;
}

static long unmap_raw(uint32_t argsz, uint32_t flags)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = argsz,
		.flags = flags,
		.iova = IOVA,
		.size = PAGE_SIZE,
	};

	return vfio_ioctl(session.container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

/* What v1 and v2 have in common. */
FIXTURE(unmap) {};

FIXTURE_VARIANT(unmap)
{
	int iommu;
};

FIXTURE_VARIANT_ADD(unmap, v1)
{
	.iommu = VFIO_TYPE1_IOMMU,
};

FIXTURE_VARIANT_ADD(unmap, v2)
{
	.iommu = VFIO_TYPE1v2_IOMMU,
};

FIXTURE_SETUP(unmap)
{
	if (!container_ready(_metadata, variant->iommu))
		SKIP(return, "EDU names no device");
}

FIXTURE_TEARDOWN(unmap)
{
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
}

/* 5-37 */
TEST_F(unmap, structure)
{
	char *edge = memory_new(2 * PAGE_SIZE);

	ASSERT_EQ(0, munmap(edge + PAGE_SIZE, PAGE_SIZE));
	ASSERT_EQ(0, map_pages(0, 1));
	EXPECT_EQ(-EFAULT, vfio_ioctl(session.container, VFIO_IOMMU_UNMAP_DMA,
				      NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(session.container, VFIO_IOMMU_UNMAP_DMA,
				      edge + PAGE_SIZE - 23));
	EXPECT_EQ(-EINVAL, unmap_raw(0, 0));
	EXPECT_EQ(-EINVAL, unmap_raw(23, 0));
	EXPECT_EQ(-EINVAL, unmap_raw(24, 8));
	EXPECT_EQ(-EINVAL, unmap_raw(24, 1U << 31));
	/* None of these has unmapped anything. */
	EXPECT_EQ(-EEXIST, map_pages(0, 1));
	EXPECT_EQ(0, unmap_raw(UINT32_MAX, 0));
	EXPECT_EQ(0, map_pages(0, 1));
}

/* 5-42 to 5-45 */
TEST_F(unmap, numbers)
{
	int container = session.container;

	ASSERT_EQ(0, map_pages(0, 1));
	EXPECT_EQ(-EINVAL, type1_unmap(container, IOVA + 1, PAGE_SIZE, 0));
	EXPECT_EQ(-EINVAL, type1_unmap(container, IOVA, 0, 0));
	EXPECT_EQ(-EINVAL, type1_unmap(container, IOVA, PAGE_SIZE - 1, 0));
	EXPECT_EQ(-EINVAL, type1_unmap(container, IOVA, 1, 0));
	EXPECT_EQ(-EINVAL, type1_unmap(container, IOVA, 0, ALL));
	EXPECT_EQ(-EINVAL, type1_unmap(container, 0, PAGE_SIZE, ALL));
	EXPECT_EQ(-EOVERFLOW, type1_unmap(container, -PAGE_SIZE, 2 * PAGE_SIZE,
					  0));
	EXPECT_EQ(-EOVERFLOW, type1_unmap(container, IOVA, -PAGE_SIZE, 0));
	EXPECT_EQ(-EEXIST, map_pages(0, 1));
	/* Ends exactly at 2^64. */
	EXPECT_EQ(0, type1_unmap(container, -PAGE_SIZE, PAGE_SIZE, 0));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(container, IOVA, -IOVA, 0));
}

/* 5-48, 5-49: the size is what was mapped, not what was asked for. */
TEST_F(unmap, holes)
{
	EXPECT_EQ(0, unmap_pages(0, 64));
	EXPECT_EQ(0, map_pages(2, 3));
	EXPECT_EQ(0, map_pages(10, 1));
	EXPECT_EQ(0, map_pages(20, 4));
	EXPECT_EQ(0, unmap_pages(5, 5));
	EXPECT_EQ(4, unmap_pages(0, 15));
	EXPECT_EQ(0, unmap_pages(0, 15));
	EXPECT_EQ(4, unmap_pages(0, 64));
	EXPECT_EQ(0, map_pages(0, 32));
}

/* 5-52, 5-61 */
TEST_F(unmap, all)
{
	EXPECT_EQ(0, type1_unmap(session.container, 0, 0, ALL));
	EXPECT_EQ(0, map_pages(0, 3));
	EXPECT_EQ(0, map_pages(40, 5));
	EXPECT_EQ(0, type1_map(session.container, buffer, 0, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(9 * PAGE_SIZE, type1_unmap(session.container, 0, 0, ALL));
	EXPECT_EQ(0, type1_unmap(session.container, 0, 0, ALL));
	EXPECT_EQ(0, map_pages(0, 64));
}

/* 5-55 */
TEST_F(unmap, writeback)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap) + 8,
		.iova = IOVA,
		.size = 16 * PAGE_SIZE,
	};

	ASSERT_EQ(0, map_pages(1, 2));
	EXPECT_EQ(0, vfio_ioctl(session.container, VFIO_IOMMU_UNMAP_DMA, &unmap));
	EXPECT_EQ(sizeof(unmap) + 8, unmap.argsz);
	EXPECT_EQ(0, unmap.flags);
	EXPECT_EQ(IOVA, unmap.iova);
	EXPECT_EQ(2 * PAGE_SIZE, unmap.size);
	/* A failure writes nothing. */
	unmap.size = 1;
	EXPECT_EQ(-EINVAL, vfio_ioctl(session.container, VFIO_IOMMU_UNMAP_DMA,
				      &unmap));
	EXPECT_EQ(1, unmap.size);
}

/* 5-55: the answer cannot be stored, but the work is done. */
TEST_F(unmap, writeback_fails)
{
	struct vfio_iommu_type1_dma_unmap *unmap = memory_new(PAGE_SIZE);

	ASSERT_EQ(0, map_pages(0, 1));
	unmap->argsz = sizeof(*unmap);
	unmap->iova = IOVA;
	unmap->size = PAGE_SIZE;
	ASSERT_EQ(0, mprotect(unmap, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(session.container, VFIO_IOMMU_UNMAP_DMA,
				      unmap));
	EXPECT_EQ(0, map_pages(0, 1));
}

/* Many mappings, mapped and unmapped in different orders. */
TEST_F(unmap, many)
{
	long before = memory_locked_kb();
	unsigned int i;

	for (i = 0; i < 512; i++) {
		ASSERT_EQ(0, type1_map(session.container, buffer,
				       IOVA + (i * 37 % 512) * 2 * PAGE_SIZE,
				       PAGE_SIZE, DMA_RW));
	}
	EXPECT_EQ(before + 512 * 4, memory_locked_kb());
	for (i = 0; i < 512; i += 2) {
		ASSERT_EQ(1, unmap_pages((i * 11 % 512) * 2, 1));
	}
	EXPECT_EQ(before + 256 * 4, memory_locked_kb());
	/* Some of them: the odd ones are left. */
	EXPECT_EQ(50, unmap_pages(100, 200));
	EXPECT_EQ(before + 206 * 4, memory_locked_kb());
	EXPECT_EQ(65535 - 206, type1_dma_avail(session.container));
	EXPECT_EQ(206 * PAGE_SIZE, type1_unmap(session.container, 0, 0, ALL));
	EXPECT_EQ(before, memory_locked_kb());
	EXPECT_EQ(65535, type1_dma_avail(session.container));
}

/* Where v2 refuses. */
FIXTURE(v2) {};

FIXTURE_SETUP(v2)
{
	if (!container_ready(_metadata, VFIO_TYPE1v2_IOMMU))
		SKIP(return, "EDU names no device");
}

FIXTURE_TEARDOWN(v2)
{
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
}

/* 5-47, 5-59: a mapping is never cut, and nothing goes when one would be. */
TEST_F(v2, mappings_are_not_cut)
{
	ASSERT_EQ(0, map_pages(0, 2));
	ASSERT_EQ(0, map_pages(4, 8));
	EXPECT_EQ(-EINVAL, unmap_pages(4, 4));
	EXPECT_EQ(-EINVAL, unmap_pages(8, 4));
	EXPECT_EQ(-EINVAL, unmap_pages(6, 2));
	EXPECT_EQ(-EINVAL, unmap_pages(0, 6));
	EXPECT_EQ(-EINVAL, unmap_pages(11, 20));
	EXPECT_EQ(-EINVAL, unmap_pages(1, 30));
	EXPECT_EQ(-EEXIST, map_pages(0, 1));
	EXPECT_EQ(-EEXIST, map_pages(11, 1));
	EXPECT_EQ(10, unmap_pages(0, 12));
}

/* Where v1 does something. */
FIXTURE(v1) {};

FIXTURE_SETUP(v1)
{
	if (!container_ready(_metadata, VFIO_TYPE1_IOMMU))
		SKIP(return, "EDU names no device");
}

FIXTURE_TEARDOWN(v1)
{
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
}

/* 5-50: nothing goes, neither that mapping nor those behind it. */
TEST_F(v1, start_inside_a_mapping)
{
	ASSERT_EQ(0, map_pages(0, 8));
	ASSERT_EQ(0, map_pages(8, 2));
	EXPECT_EQ(0, unmap_pages(4, 4));
	EXPECT_EQ(0, unmap_pages(4, 20));
	EXPECT_EQ(-EEXIST, map_pages(0, 1));
	EXPECT_EQ(-EEXIST, map_pages(8, 1));
	EXPECT_EQ(10, unmap_pages(0, 10));
}

/* 5-51: a mapping of which the first part is asked for goes as a whole. */
TEST_F(v1, first_part_of_a_mapping)
{
	ASSERT_EQ(0, map_pages(0, 8));
	ASSERT_EQ(0, map_pages(8, 2));
	EXPECT_EQ(8, unmap_pages(0, 1));
	EXPECT_EQ(0, map_pages(0, 8));
	EXPECT_EQ(10, unmap_pages(0, 9));
	EXPECT_EQ(0, unmap_pages(0, 64));
}

VFIO_TEST_MAIN("EDU")
