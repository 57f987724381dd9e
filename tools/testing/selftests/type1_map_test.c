// SPDX-License-Identifier: GPL-2.0
/* MAP_DMA: what is refused, in which order, and what is pinned (5.1, 5.2). */
#include <fcntl.h>
#include <sys/syscall.h>

#include "iommu_debug.h"
#include "kselftest_harness.h"
#include "locked_memory.h"
#include "vfio_fixture.h"

#define IOVA	0x10000000UL
#define BUFFER	(64 * PAGE_SIZE)

#define PARAMETERS	"/sys/module/vfio_iommu_type1/parameters/"
#define ENTRY_LIMIT	PARAMETERS "dma_entry_limit"
#define NO_HUGEPAGES	PARAMETERS "disable_hugepages"

FIXTURE(map)
{
	struct vfio_session session;
	int container;
	char *buffer;
};

FIXTURE_VARIANT(map)
{
	int iommu;
};

FIXTURE_VARIANT_ADD(map, v1)
{
	.iommu = VFIO_TYPE1_IOMMU,
};

FIXTURE_VARIANT_ADD(map, v2)
{
	.iommu = VFIO_TYPE1v2_IOMMU,
};

FIXTURE_SETUP(map)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	self->buffer = memory_new(BUFFER);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	ASSERT_EQ(0, session_join(&self->session, bdf, variant->iommu));
	self->container = self->session.container;
}

/* Whatever was refused, container and device go on working. */
FIXTURE_TEARDOWN(map)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

static long map_raw(int container, uint32_t argsz, uint32_t flags, void *vaddr)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = argsz,
		.flags = flags,
		.vaddr = (uintptr_t)vaddr,
		.iova = IOVA,
		.size = PAGE_SIZE,
	};

	return vfio_ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
}

/* The first and last address that may be mapped, by GET_INFO. */
static bool iova_bounds(int container, uint64_t *first, uint64_t *last)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	struct vfio_iommu_type1_info *info = type1_info(container);

	if (!info)
		return false;
	cap = info_cap(info, info->cap_offset,
		       VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	if (cap && cap->nr_iovas) {
		*first = cap->iova_ranges[0].start;
		*last = cap->iova_ranges[cap->nr_iovas - 1].end;
	}
	free(info);
	return cap;
}

/* 5-1 */
TEST_F(map, bad_pointer)
{
	char *edge = memory_new(2 * PAGE_SIZE);

	ASSERT_EQ(0, munmap(edge + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->container, VFIO_IOMMU_MAP_DMA, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->container, VFIO_IOMMU_MAP_DMA,
				      BAD_POINTER));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->container, VFIO_IOMMU_MAP_DMA,
				      edge + PAGE_SIZE - 31));
}

/* 5-2 */
TEST_F(map, size_and_flags_of_the_structure)
{
	EXPECT_EQ(-EINVAL, map_raw(self->container, 0, DMA_RW, self->buffer));
	EXPECT_EQ(-EINVAL, map_raw(self->container, 31, DMA_RW, self->buffer));
	EXPECT_EQ(-EINVAL, map_raw(self->container, 32, DMA_RW | 8, self->buffer));
	EXPECT_EQ(-EINVAL, map_raw(self->container, 32, DMA_RW | 1U << 31,
				   self->buffer));
	EXPECT_EQ(0, map_raw(self->container, UINT32_MAX, DMA_RW, self->buffer));
	EXPECT_EQ(-EEXIST, map_raw(self->container, 32, DMA_RW, self->buffer));
}

/* 5-19 */
TEST_F(map, nothing_is_written_back)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map) + 4,
		.flags = DMA_RW,
		.vaddr = (uintptr_t)self->buffer,
		.iova = IOVA,
		.size = PAGE_SIZE,
	};
	struct vfio_iommu_type1_dma_map before = map;

	EXPECT_EQ(0, vfio_ioctl(self->container, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_EQ(0, memcmp(&before, &map, sizeof(map)));
}

/* 5-4, 5-6, 5-7 */
TEST_F(map, numbers)
{
	char *buffer = self->buffer;

	EXPECT_EQ(-EINVAL, type1_map(self->container, buffer, IOVA, 0, DMA_RW));
	EXPECT_EQ(-EINVAL, type1_map(self->container, buffer, IOVA, PAGE_SIZE, 0));
	EXPECT_EQ(-EINVAL, type1_map(self->container, buffer, IOVA + 1, PAGE_SIZE,
				     DMA_RW));
	EXPECT_EQ(-EINVAL, type1_map(self->container, buffer, IOVA + 2048,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EINVAL, type1_map(self->container, buffer + 1, IOVA, PAGE_SIZE,
				     DMA_RW));
	EXPECT_EQ(-EINVAL, type1_map(self->container, buffer, IOVA, PAGE_SIZE - 1,
				     DMA_RW));
	EXPECT_EQ(-EINVAL, type1_map(self->container, buffer, IOVA, PAGE_SIZE + 1,
				     DMA_RW));
	EXPECT_EQ(0, type1_unmap(self->container, 0, 1UL << 38, 0));
}

/* 5-5, and that it is tested after size 0 and before flags and alignment. */
TEST_F(map, wrapping_ranges)
{
	uint64_t first = 0, last = 0;

	EXPECT_EQ(-EOVERFLOW, type1_map(self->container, self->buffer,
					-PAGE_SIZE, 2 * PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EOVERFLOW, type1_map(self->container, (void *)-PAGE_SIZE,
					IOVA, 2 * PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EOVERFLOW, type1_map(self->container, self->buffer, IOVA,
					-PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EOVERFLOW, type1_map(self->container, self->buffer, -1UL, 2,
					0));
	EXPECT_EQ(-EINVAL, type1_map(self->container, self->buffer, -1UL, 0, 0));
	/* Ends exactly at 2^64: does not wrap, but few IOMMUs go that far. */
	ASSERT_TRUE(iova_bounds(self->container, &first, &last));
	EXPECT_EQ(last == UINT64_MAX ? 0 : -EINVAL,
		  type1_map(self->container, self->buffer, -PAGE_SIZE, PAGE_SIZE,
			    DMA_RW));
}

/* 5-12, 5-62: any overlap, and whatever the flags of the new mapping are. */
TEST_F(map, overlaps)
{
	static const struct {
		unsigned int first, pages;
	} overlaps[] = { { 8, 4 }, { 8, 1 }, { 11, 1 }, { 9, 2 }, { 0, 32 },
			 { 7, 2 }, { 11, 2 }, { 0, 9 } };
	size_t i;

	ASSERT_EQ(0, type1_map(self->container, self->buffer,
			       IOVA + 8 * PAGE_SIZE, 4 * PAGE_SIZE, DMA_RW));
	for (i = 0; i < ARRAY_SIZE(overlaps); i++) {
		EXPECT_EQ(-EEXIST,
			  type1_map(self->container, self->buffer,
				    IOVA + overlaps[i].first * PAGE_SIZE,
				    overlaps[i].pages * PAGE_SIZE,
				    VFIO_DMA_MAP_FLAG_READ)) {
			TH_LOG("%u pages at %u", overlaps[i].pages,
			       overlaps[i].first);
		}
	}
	/* Neighbours do not overlap. */
	EXPECT_EQ(0, type1_map(self->container, self->buffer, IOVA,
			       8 * PAGE_SIZE, DMA_RW));
	EXPECT_EQ(0, type1_map(self->container, self->buffer,
			       IOVA + 12 * PAGE_SIZE, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(13 * PAGE_SIZE, type1_unmap(self->container, IOVA,
					      13 * PAGE_SIZE, 0));
}

/* One page of memory may be seen at many addresses. */
TEST_F(map, aliases)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		EXPECT_EQ(0, type1_map(self->container, self->buffer,
				       IOVA + i * PAGE_SIZE, PAGE_SIZE, DMA_RW));
	}
	EXPECT_EQ(16 * PAGE_SIZE, type1_unmap(self->container, IOVA,
					      16 * PAGE_SIZE, 0));
}

/* 5-14, 5-86 */
TEST_F(map, outside_the_iova_ranges)
{
	uint64_t first = 0;
	uint64_t last = 0;

	ASSERT_TRUE(iova_bounds(self->container, &first, &last));
	/* The window of interrupts, whole, in part, and spanned. */
	EXPECT_EQ(-EINVAL, type1_map(self->container, self->buffer, 0xfee00000,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EINVAL, type1_map(self->container, self->buffer, 0xfeeff000,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EINVAL, type1_map(self->container, self->buffer, 0xfedff000,
				     2 * PAGE_SIZE, DMA_RW));
	EXPECT_EQ(0, type1_map(self->container, self->buffer, 0xfedff000,
			       PAGE_SIZE, DMA_RW));
	EXPECT_EQ(0, type1_map(self->container, self->buffer, 0xfef00000,
			       PAGE_SIZE, DMA_RW));
	/* The end of what the IOMMU translates. */
	EXPECT_EQ(0, type1_map(self->container, self->buffer,
			       last + 1 - PAGE_SIZE, PAGE_SIZE, DMA_RW));
	if (last != UINT64_MAX)
		EXPECT_EQ(-EINVAL, type1_map(self->container, self->buffer,
					     last + 1, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EINVAL, type1_map(self->container, self->buffer,
				     last + 1 - 2 * PAGE_SIZE + PAGE_SIZE / 2,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(0, type1_map(self->container, self->buffer, first, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(4 * PAGE_SIZE, type1_unmap(self->container, 0, 0,
					     VFIO_DMA_UNMAP_FLAG_ALL));
}

/* 5-16, 5-24: memory that is not there, or not for this; all or nothing. */
TEST_F(map, memory_that_cannot_be_pinned)
{
	char *buffer = self->buffer;
	char *hole = buffer + 32 * PAGE_SIZE;
	char *readonly = buffer + 48 * PAGE_SIZE;
	long avail = type1_dma_avail(self->container);
	long pinned = memory_pinned_pages();

	ASSERT_EQ(0, munmap(hole, PAGE_SIZE));
	ASSERT_EQ(0, mprotect(readonly, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, type1_map(self->container, hole, IOVA, PAGE_SIZE,
				     DMA_RW));
	EXPECT_EQ(-EFAULT, type1_map(self->container, buffer, IOVA,
				     40 * PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EFAULT, type1_map(self->container, NULL, IOVA, PAGE_SIZE,
				     DMA_RW));
	EXPECT_EQ(-EFAULT, type1_map(self->container, readonly, IOVA, PAGE_SIZE,
				     VFIO_DMA_MAP_FLAG_WRITE));
	EXPECT_EQ(-EFAULT, type1_map(self->container, readonly - PAGE_SIZE, IOVA,
				     3 * PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EFAULT, type1_map(self->container, (void *)(1UL << 62), IOVA,
				     PAGE_SIZE, DMA_RW));
	/* The failures left nothing behind. */
	EXPECT_EQ(avail, type1_dma_avail(self->container));
	EXPECT_EQ(pinned, memory_pinned_pages());
	EXPECT_EQ(0, type1_map(self->container, readonly, IOVA, PAGE_SIZE,
			       VFIO_DMA_MAP_FLAG_READ));
	EXPECT_EQ(0, type1_map(self->container, buffer, IOVA + PAGE_SIZE,
			       32 * PAGE_SIZE, DMA_RW));
	EXPECT_EQ(pinned + 33, memory_pinned_pages());
	EXPECT_EQ(33 * PAGE_SIZE, type1_unmap(self->container, IOVA,
					      33 * PAGE_SIZE, 0));
	EXPECT_EQ(pinned, memory_pinned_pages());
	/* PROT_NONE is no better than nothing. */
	ASSERT_EQ(0, mprotect(readonly, PAGE_SIZE, PROT_NONE));
	EXPECT_EQ(-EFAULT, type1_map(self->container, readonly, IOVA, PAGE_SIZE,
				     VFIO_DMA_MAP_FLAG_READ));
}

/* 5-23: memory that was never touched, shared memory, a file in memory. */
TEST_F(map, kinds_of_memory)
{
	int fd = syscall(__NR_memfd_create, "dma", 0);
	void *file;
	void *untouched;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 4 * PAGE_SIZE));
	file = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    0);
	ASSERT_NE(MAP_FAILED, file);
	untouched = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, untouched);
	EXPECT_EQ(0, type1_map(self->container, file, IOVA, 4 * PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(0, type1_map(self->container, untouched, IOVA + 4 * PAGE_SIZE,
			       4 * PAGE_SIZE, VFIO_DMA_MAP_FLAG_WRITE));
	/* The pages stay although the memory is gone from the process. */
	EXPECT_EQ(0, munmap(file, 4 * PAGE_SIZE));
	EXPECT_EQ(0, ftruncate(fd, 0));
	close(fd);
	EXPECT_EQ(8 * PAGE_SIZE, type1_unmap(self->container, IOVA,
					     8 * PAGE_SIZE, 0));
}

/* 5-23: more than one batch of pages, and a huge page where there is one. */
TEST_F(map, large)
{
	const size_t size = 3 * SIZE_2M + PAGE_SIZE;
	void *buffer = memory_new(size);
	void *huge = mmap(NULL, SIZE_2M, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	ASSERT_NE(MAP_FAILED, buffer);
	EXPECT_EQ(0, type1_map(self->container, buffer, IOVA, size, DMA_RW));
	EXPECT_EQ(size, type1_unmap(self->container, IOVA, size, 0));
	if (huge != MAP_FAILED) {
		EXPECT_EQ(0, type1_map(self->container, huge, IOVA, SIZE_2M,
				       DMA_RW));
		EXPECT_EQ(SIZE_2M, type1_unmap(self->container, IOVA, SIZE_2M,
					       0));
		munmap(huge, SIZE_2M);
	}
	munmap(buffer, size);
}

/*
 * 5-24: pages of which there are too few. Those that could be had are the process's
 * own, and are good for a mapping of their own.
 */
TEST_F(map, more_huge_pages_than_there_are)
{
	const long pages = huge_pages_free();
	const size_t size = (pages + 6) * SIZE_2M;
	long avail = type1_dma_avail(self->container);
	long pinned = memory_pinned_pages();
	long locked = memory_locked_kb();
	char *huge;

	if (pages <= 0)
		SKIP(return, "no huge pages");
	huge = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		    MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)huge);
	EXPECT_EQ(-EFAULT, type1_map(self->container, huge, IOVA, size, DMA_RW));
	EXPECT_EQ(0, huge_pages_free());
	EXPECT_EQ(locked, settled_locked_kb(locked));
	EXPECT_EQ(pinned, memory_pinned_pages());
	EXPECT_EQ(avail, type1_dma_avail(self->container));
	if (iommu_table_seen())
		EXPECT_EQ(0, iommu_mapped(self->session.bdf, IOVA, size));

	EXPECT_EQ(0, type1_map(self->container, huge, IOVA, pages * SIZE_2M,
			       DMA_RW));
	if (iommu_table_seen())
		EXPECT_EQ(pages * SIZE_2M,
			  iommu_mapped(self->session.bdf, IOVA, size));
	EXPECT_EQ(-EFAULT, type1_map(self->container, huge + pages * SIZE_2M,
				     IOVA + pages * SIZE_2M, SIZE_2M, DMA_RW));
	EXPECT_EQ(pages * SIZE_2M, type1_unmap(self->container, IOVA, size, 0));
	EXPECT_EQ(0, munmap(huge, size));
	EXPECT_EQ(pages, huge_pages_free());
}

/* 5-27: memory of the machine through a raw PFN mapping is not for DMA. */
TEST_F(map, raw_mapping_of_ram)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	int mem = open("/dev/mem", O_RDWR);
	uint64_t entry = 0;
	void *raw;

	if (pagemap < 0 || mem < 0)
		SKIP(return, "no pagemap or no /dev/mem");
	ASSERT_EQ(sizeof(entry),
		  pread(pagemap, &entry, sizeof(entry),
			(uintptr_t)self->buffer / PAGE_SIZE * sizeof(entry)));
	raw = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mem,
		   (entry & ((1UL << 55) - 1)) * PAGE_SIZE);
	if (raw == MAP_FAILED)
		SKIP(return, "/dev/mem does not map RAM");
	EXPECT_EQ(-EFAULT, type1_map(self->container, raw, IOVA, PAGE_SIZE,
				     DMA_RW));
	munmap(raw, PAGE_SIZE);
}

/* 5-22: a mapping outlives the process that made it. */
TEST_F(map, caller_that_exits)
{
	pid_t pid = fork();

	if (!pid) {
		void *page = memory_new(PAGE_SIZE);

		_exit(type1_map(self->container, page, IOVA, PAGE_SIZE,
				DMA_RW) != 0);
	}
	ASSERT_EQ(0, child_result(pid));
	EXPECT_EQ(-EEXIST, type1_map(self->container, self->buffer, IOVA,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(self->container, IOVA, PAGE_SIZE, 0));
}

/* 5-30, 5-25, 5-29: a BAR of another device as the target of DMA. */
TEST_F(map, device_memory)
{
	struct vfio_session other;
	const char *bdf = pci_device("IVSHMEM");
	long pinned = memory_pinned_pages();
	long locked = memory_locked_kb();
	void *readonly;
	void *bar;

	if (!bdf)
		SKIP(return, "IVSHMEM names no device");
	ASSERT_EQ(0, session_open(&other, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, bar_mmap(other.device, 2, 0, SIZE_2M,
			      PROT_READ | PROT_WRITE, &bar));
	EXPECT_EQ(0, type1_map(self->container, bar, IOVA, SIZE_2M, DMA_RW));
	EXPECT_EQ(-EEXIST, type1_map(self->container, bar, IOVA, PAGE_SIZE,
				     DMA_RW));
	/* Neither pinned nor charged: it is no memory of the machine. */
	EXPECT_EQ(pinned, memory_pinned_pages());
	EXPECT_EQ(locked, memory_locked_kb());
	EXPECT_EQ(SIZE_2M, type1_unmap(self->container, IOVA, SIZE_2M, 0));
	/* Part of it, not at its start. */
	EXPECT_EQ(0, type1_map(self->container, (char *)bar + 3 * PAGE_SIZE,
			       IOVA, 5 * PAGE_SIZE, DMA_RW));
	EXPECT_EQ(5 * PAGE_SIZE, type1_unmap(self->container, IOVA,
					     5 * PAGE_SIZE, 0));

	EXPECT_EQ(0, memory_enable(other.device, false));
	EXPECT_EQ(-EFAULT, type1_map(self->container, bar, IOVA, SIZE_2M,
				     DMA_RW));
	EXPECT_EQ(0, memory_enable(other.device, true));
	EXPECT_EQ(0, type1_map(self->container, bar, IOVA, SIZE_2M, DMA_RW));
	EXPECT_EQ(SIZE_2M, type1_unmap(self->container, IOVA, SIZE_2M, 0));

	/* What the CPU may only read, the device may not write. */
	ASSERT_EQ(0, bar_mmap(other.device, 2, 0, PAGE_SIZE, PROT_READ,
			      &readonly));
	EXPECT_EQ(-EFAULT, type1_map(self->container, readonly, IOVA, PAGE_SIZE,
				     DMA_RW));
	EXPECT_EQ(0, type1_map(self->container, readonly, IOVA, PAGE_SIZE,
			       VFIO_DMA_MAP_FLAG_READ));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(self->container, IOVA, PAGE_SIZE, 0));
	munmap(readonly, PAGE_SIZE);
	munmap(bar, SIZE_2M);
	session_close(&other);
}

/* The device's own BAR is no different. */
TEST_F(map, own_device_memory)
{
	struct vfio_session *session = &self->session;
	void *bar;

	session->device = group_device(session->group, session->bdf);
	ASSERT_LE(0, session->device);
	ASSERT_EQ(0, bar_mmap(session->device, 0, 0, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &bar));
	EXPECT_EQ(0, type1_map(self->container, bar, IOVA, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(self->container, IOVA, PAGE_SIZE, 0));
	/* Half of it is memory, the other half device memory. */
	EXPECT_EQ(bar, mmap(bar, PAGE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, type1_map(self->container, bar, IOVA, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(self->container, IOVA, PAGE_SIZE, 0));
}

FIXTURE(limit)
{
	struct vfio_session session;
	const char *bdf;
	char *buffer;
	char old[32];
};

FIXTURE_SETUP(limit)
{
	NEED_DEVICE(self->bdf, "EDU");
	if (file_read(ENTRY_LIMIT, self->old, sizeof(self->old)) < 0)
		SKIP(return, "no parameter dma_entry_limit");
	self->buffer = memory_new(BUFFER);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
}

/* In the parent, so that the limit is put back in any case. */
FIXTURE_TEARDOWN_PARENT(limit)
{
	if (self->old[0]) {
		EXPECT_EQ(0, file_write(ENTRY_LIMIT, self->old));
	}
}

/* 1-10, 5-13: the limit counts mappings and is read by SET_IOMMU. */
TEST_F(limit, number_of_mappings)
{
	int container;

	ASSERT_EQ(0, file_write(ENTRY_LIMIT, "3"));
	ASSERT_EQ(0, session_join(&self->session, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, file_write(ENTRY_LIMIT, self->old));
	container = self->session.container;
	EXPECT_EQ(3, type1_dma_avail(container));
	EXPECT_EQ(0, type1_map(container, self->buffer, 0, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(0, type1_map(container, self->buffer, SIZE_2M, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(0, type1_map(container, self->buffer, 2 * SIZE_2M, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(0, type1_dma_avail(container));
	EXPECT_EQ(-ENOSPC, type1_map(container, self->buffer, 3 * SIZE_2M,
				     PAGE_SIZE, DMA_RW));
	/* Overlap is found before the limit is. */
	EXPECT_EQ(-EEXIST, type1_map(container, self->buffer, SIZE_2M, PAGE_SIZE,
				     DMA_RW));
	/* The limit is found before the address is. */
	EXPECT_EQ(-ENOSPC, type1_map(container, self->buffer, 0xfee00000,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(container, SIZE_2M, PAGE_SIZE, 0));
	EXPECT_EQ(1, type1_dma_avail(container));
	EXPECT_EQ(0, type1_map(container, self->buffer, 3 * SIZE_2M, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(3 * PAGE_SIZE, type1_unmap(container, 0, 0,
					     VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(3, type1_dma_avail(container));
	session_close(&self->session);
}

FIXTURE(huge)
{
	struct vfio_session session;
	char *memory;
	char old[32];
};

FIXTURE_SETUP(huge)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	NEED_IOMMU_TABLE();
	self->memory = mmap(NULL, SIZE_2M, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (self->memory == MAP_FAILED)
		SKIP(return, "no huge page");
	ASSERT_EQ(0, session_join(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_LT(0, file_read(NO_HUGEPAGES, self->old, sizeof(self->old)));
}

/* In the parent, so that the parameter is put back in any case. */
FIXTURE_TEARDOWN_PARENT(huge)
{
	if (self->old[0]) {
		EXPECT_EQ(0, file_write(NO_HUGEPAGES, self->old));
	}
}

/* 5-36: who changes the parameter changes mappings that are made from then on. */
TEST_F(huge, disabled)
{
	const char *bdf = self->session.bdf;
	int container = self->session.container;

	ASSERT_EQ(0, type1_map(container, self->memory, IOVA, SIZE_2M, DMA_RW));
	EXPECT_EQ(1, iommu_leaves(bdf, IOVA, SIZE_2M));
	ASSERT_EQ(0, file_write(NO_HUGEPAGES, "Y"));
	EXPECT_EQ(1, iommu_leaves(bdf, IOVA, SIZE_2M));
	ASSERT_EQ(0, type1_map(container, self->memory, IOVA + SIZE_2M, SIZE_2M,
			       DMA_RW));
	EXPECT_EQ(512, iommu_leaves(bdf, IOVA + SIZE_2M, SIZE_2M));
	EXPECT_EQ(2 * SIZE_2M, type1_unmap(container, IOVA, 2 * SIZE_2M, 0));
	EXPECT_EQ(0, iommu_leaves(bdf, IOVA, 2 * SIZE_2M));
	session_close(&self->session);
}

VFIO_TEST_MAIN("EDU", "IVSHMEM")
