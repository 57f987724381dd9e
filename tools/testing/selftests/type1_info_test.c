// SPDX-License-Identifier: GPL-2.0
/* VFIO_IOMMU_GET_INFO and its chain of capabilities (5.6). */
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define PATTERN	0xa5

FIXTURE(info)
{
	struct vfio_session session;
	union {
		struct vfio_iommu_type1_info info;
		uint8_t bytes[2 * PAGE_SIZE];
	};
};

FIXTURE_VARIANT(info)
{
	int iommu;
};

FIXTURE_VARIANT_ADD(info, v1)
{
	.iommu = VFIO_TYPE1_IOMMU,
};

FIXTURE_VARIANT_ADD(info, v2)
{
	.iommu = VFIO_TYPE1v2_IOMMU,
};

FIXTURE_SETUP(info)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	memset(self->bytes, PATTERN, sizeof(self->bytes));
	ASSERT_EQ(0, session_join(&self->session, bdf, variant->iommu));
}

FIXTURE_TEARDOWN(info)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

static long get_info(int container, struct vfio_iommu_type1_info *info,
		     uint32_t argsz)
{
	info->argsz = argsz;
	return vfio_ioctl(container, VFIO_IOMMU_GET_INFO, info);
}

/* 5-79 */
TEST_F(info, refusals)
{
	int container = self->session.container;
	char *edge = memory_new(2 * PAGE_SIZE);

	ASSERT_EQ(0, munmap(edge + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(-EFAULT, vfio_ioctl(container, VFIO_IOMMU_GET_INFO, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(container, VFIO_IOMMU_GET_INFO,
				      edge + PAGE_SIZE - 15));
	EXPECT_EQ(-EINVAL, get_info(container, &self->info, 0));
	EXPECT_EQ(-EINVAL, get_info(container, &self->info, 15));
	EXPECT_EQ(15, self->info.argsz);
	EXPECT_EQ(PATTERN, self->bytes[4]);
	/* Readable, but not writable. */
	memset(edge, 0, PAGE_SIZE);
	((struct vfio_iommu_type1_info *)edge)->argsz = 16;
	ASSERT_EQ(0, mprotect(edge, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(container, VFIO_IOMMU_GET_INFO, edge));
}

/* 5-80, 5-82, 5-83: a short buffer gets its bytes, and the size to bring. */
TEST_F(info, short_buffers)
{
	static const uint32_t sizes[] = { 16, 17, 20, 23, 24, 25, 39, 47 };
	int container = self->session.container;
	uint32_t needed = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(self->bytes, PATTERN, sizeof(self->bytes));
		ASSERT_EQ(0, get_info(container, &self->info, sizes[i]));
		EXPECT_LT(48, self->info.argsz);
		if (!needed)
			needed = self->info.argsz;
		EXPECT_EQ(needed, self->info.argsz);
		EXPECT_EQ(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
			  self->info.flags);
		EXPECT_EQ(PAGE_SIZE, self->info.iova_pgsizes &
				     -self->info.iova_pgsizes);
		if (sizes[i] >= 20) {
			EXPECT_EQ(0, self->info.cap_offset);
		}
		EXPECT_EQ(PATTERN, self->bytes[sizes[i] < 24 ? sizes[i] : 24]) {
			TH_LOG("argsz %u", sizes[i]);
		}
	}
	/* One byte too few is as good as none. */
	memset(self->bytes, PATTERN, sizeof(self->bytes));
	EXPECT_EQ(0, get_info(container, &self->info, needed - 1));
	EXPECT_EQ(needed, self->info.argsz);
	EXPECT_EQ(0, self->info.cap_offset);
	EXPECT_EQ(PATTERN, self->bytes[24]);
}

/* 5-84: with room, the caller's argsz stays and nothing beyond is touched. */
TEST_F(info, room_for_all)
{
	int container = self->session.container;
	uint32_t needed;

	ASSERT_EQ(0, get_info(container, &self->info, 24));
	needed = self->info.argsz;
	memset(self->bytes, PATTERN, sizeof(self->bytes));
	ASSERT_EQ(0, get_info(container, &self->info, needed));
	EXPECT_EQ(needed, self->info.argsz);
	EXPECT_EQ(24, self->info.cap_offset);
	EXPECT_EQ(PATTERN, self->bytes[needed]);
	ASSERT_EQ(0, get_info(container, &self->info, sizeof(self->bytes)));
	EXPECT_EQ(sizeof(self->bytes), self->info.argsz);
	EXPECT_EQ(24, self->info.cap_offset);
	EXPECT_EQ(PATTERN, self->bytes[needed]);
	ASSERT_EQ(0, get_info(container, &self->info, UINT32_MAX));
	EXPECT_EQ(24, self->info.cap_offset);
}

/* 5-81: in this order; migration only where dirty pages are tracked. */
TEST_F(info, chain)
{
	struct vfio_iommu_type1_info_cap_migration *migration;
	struct vfio_iommu_type1_info_dma_avail *avail;
	struct vfio_iommu_type1_info_cap_iova_range *range;
	struct vfio_iommu_type1_info *info = type1_info(self->session.container);
	uint32_t offset;

	ASSERT_NE(NULL, info);
	offset = info->cap_offset;
	migration = (void *)info + offset;
	if (migration->header.id == VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION) {
		EXPECT_EQ(1, migration->header.version);
		EXPECT_EQ(0, migration->flags);
		EXPECT_EQ(PAGE_SIZE, migration->pgsize_bitmap);
		EXPECT_EQ(256UL << 20, migration->max_dirty_bitmap_size);
		EXPECT_EQ(offset + 32, migration->header.next);
		offset = migration->header.next;
	}
	avail = (void *)info + offset;
	EXPECT_EQ(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, avail->header.id);
	EXPECT_EQ(1, avail->header.version);
	EXPECT_EQ(offset + 16, avail->header.next);
	range = (void *)info + avail->header.next;
	EXPECT_EQ(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, range->header.id);
	EXPECT_EQ(1, range->header.version);
	EXPECT_EQ(0, range->header.next);
	ASSERT_LT(0, range->nr_iovas);
	EXPECT_EQ(info->argsz, avail->header.next + sizeof(*range) +
			       range->nr_iovas * sizeof(range->iova_ranges[0]));
	free(info);
}

/* 5-85 */
TEST_F(info, mappings_left)
{
	int container = self->session.container;
	long avail = type1_dma_avail(container);
	void *page = memory_new(2 * PAGE_SIZE);
	char limit[32] = "65535";

	file_read("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
		  limit, sizeof(limit));
	EXPECT_EQ(atol(limit), avail);
	EXPECT_EQ(0, type1_map(container, page, 0, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(avail - 1, type1_dma_avail(container));
	EXPECT_EQ(0, type1_map(container, page, SIZE_1G, 2 * PAGE_SIZE, DMA_RW));
	EXPECT_EQ(avail - 2, type1_dma_avail(container));
	EXPECT_EQ(-EEXIST, type1_map(container, page, 0, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EFAULT, type1_map(container, NULL, SIZE_2M, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(avail - 2, type1_dma_avail(container));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(container, 0, PAGE_SIZE, 0));
	EXPECT_EQ(avail - 1, type1_dma_avail(container));
	EXPECT_EQ(2 * PAGE_SIZE, type1_unmap(container, 0, 0,
					     VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(avail, type1_dma_avail(container));
}

/* A reserved region of the group, if it is one that DMA must keep out of. */
static bool next_reserved(FILE *file, uint64_t *start, uint64_t *end)
{
	unsigned long long first, last;
	char type[32];

	while (fscanf(file, "%llx %llx %31s", &first, &last, type) == 3) {
		if (!strcmp(type, "direct-relaxable"))
			continue;
		*start = first;
		*end = last;
		return true;
	}
	return false;
}

/* 5-86: sorted, not overlapping, and clear of everything reserved. */
TEST_F(info, iova_ranges)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	struct vfio_iommu_type1_info *info = type1_info(self->session.container);
	unsigned int reserved = 0;
	uint64_t start, end;
	char path[64];
	FILE *file;
	uint32_t i;

	ASSERT_NE(NULL, info);
	cap = info_cap(info, info->cap_offset,
		       VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	ASSERT_NE(NULL, cap);
	for (i = 0; i < cap->nr_iovas; i++) {
		EXPECT_LT(cap->iova_ranges[i].start, cap->iova_ranges[i].end);
		EXPECT_EQ(0, cap->iova_ranges[i].start % PAGE_SIZE);
		EXPECT_EQ(PAGE_SIZE - 1, cap->iova_ranges[i].end % PAGE_SIZE);
		if (i) {
			EXPECT_LT(cap->iova_ranges[i - 1].end,
				  cap->iova_ranges[i].start);
		}
	}
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/reserved_regions",
		 pci_group(self->session.bdf));
	file = fopen(path, "re");
	ASSERT_NE(NULL, file);
	while (next_reserved(file, &start, &end)) {
		reserved++;
		for (i = 0; i < cap->nr_iovas; i++) {
			EXPECT_TRUE(cap->iova_ranges[i].end < start ||
				    cap->iova_ranges[i].start > end);
		}
	}
	EXPECT_LT(0, reserved);
	fclose(file);
	free(info);
}

VFIO_TEST_MAIN("EDU")
