// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty tracking of a container (5.5), and the unmapping that reports dirty pages
 * (5.3). A physical device may have written to all that it can reach, and nobody knows
 * what it left alone.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "dirty_fixture.h"

#define GET_SIZE	(sizeof(struct vfio_iommu_type1_dirty_bitmap) +	\
			 sizeof(struct vfio_iommu_type1_dirty_bitmap_get))
/* What a page of bitmap tells of. */
#define PAGE_BITS	(8 * PAGE_SIZE)

/* The start of the kernel's half: no address of a user. */
#define KERNEL_POINTER	((void *)(1UL << 63))

/* DIRTY_PAGES with a header alone. */
static long header(uint32_t argsz, uint32_t flags)
{
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = argsz,
		.flags = flags,
	};

	return vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &dirty);
}

/*
 * Bitmaps as they are when tracking begins. The C modules leave bits behind the end of a
 * mapping that does not begin with a word, once it has been reported (5-74).
 */
static long track_anew(void)
{
	long ret = dirty_tracking(container, DIRTY_STOP);

	return ret ? ret : dirty_tracking(container, DIRTY_START);
}

/* Memory that ends with @size bytes in front of what nobody may touch. */
static void *edge_of(size_t size)
{
	char *edge = memory_new(2 * PAGE_SIZE);

	if (edge == MAP_FAILED || munmap(edge + PAGE_SIZE, PAGE_SIZE))
		return NULL;
	return edge + PAGE_SIZE - size;
}

/* ---- the requests ---- */

/* 5-64: before anything is looked at. 5-60: its unmapping reports nothing either. */
TEST_F(dirty, not_in_version_1)
{
	session_close(&self->session);
	ASSERT_EQ(0, session_join(&self->session, pci_device("EDU"),
				  VFIO_TYPE1_IOMMU));
	container = self->session.container;
	EXPECT_EQ(-EACCES, vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, NULL));
	EXPECT_EQ(-EACCES, header(0, 0));
	EXPECT_EQ(-EACCES, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(-EACCES, dirty_tracking(container, DIRTY_STOP));
	EXPECT_EQ(-EACCES, get_pages(0, 1, bits));
	ASSERT_EQ(0, map_pages(0, 1));
	EXPECT_EQ(-EINVAL, unmap_dirty_pages(0, 1, bits));
	EXPECT_EQ(1, unmap_pages(0, 1));
}

/* 5-65 */
TEST_F(dirty, structure)
{
	struct vfio_iommu_type1_dirty_bitmap *exact = edge_of(8);
	uint32_t flags;

	EXPECT_EQ(-EFAULT, vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES,
				      edge_of(7)));
	EXPECT_EQ(-EINVAL, header(0, DIRTY_START));
	EXPECT_EQ(-EINVAL, header(7, DIRTY_START));
	for (flags = 0; flags < 8; flags++) {
		if (flags == DIRTY_START || flags == DIRTY_STOP)
			continue;
		EXPECT_EQ(-EINVAL, header(8, flags)) {
			TH_LOG("flags %#x", flags);
		}
	}
	EXPECT_EQ(-EINVAL, header(8, DIRTY_START | 8));
	EXPECT_EQ(-EINVAL, header(8, 1U << 31));
	/* None of these has begun anything. */
	EXPECT_EQ(-EINVAL, get_pages(0, 1, bits));
	ASSERT_NE(NULL, exact);
	exact->argsz = 8;
	exact->flags = DIRTY_START;
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, exact));
	EXPECT_EQ(0, get_pages(0, 1, bits));
	EXPECT_EQ(0, header(UINT32_MAX, DIRTY_STOP));
}

/* 5-66 to 5-68: there is only on and off. 2-19: and off again with the next user. */
TEST_F(dirty, start_and_stop)
{
	ASSERT_EQ(0, map_pages(0, 1));
	EXPECT_EQ(0, dirty_tracking(container, DIRTY_STOP));
	EXPECT_EQ(-EINVAL, get_pages(0, 1, bits));
	EXPECT_EQ(0, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(0, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(0, get_pages(0, 1, bits));
	EXPECT_EQ(1, bits[0]);
	EXPECT_EQ(0, dirty_tracking(container, DIRTY_STOP));
	EXPECT_EQ(0, dirty_tracking(container, DIRTY_STOP));
	EXPECT_EQ(-EINVAL, get_pages(0, 1, bits));
	EXPECT_EQ(-EINVAL, unmap_dirty_pages(0, 1, bits));
	EXPECT_EQ(0, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(0, get_pages(0, 1, bits));
	ASSERT_EQ(0, vfio_ioctl(self->session.group, VFIO_GROUP_UNSET_CONTAINER,
				NULL));
	EXPECT_EQ(-EINVAL, get_pages(0, 1, bits));
	ASSERT_EQ(0, group_join(self->session.group, container));
	EXPECT_EQ(-EINVAL, get_pages(0, 1, bits));
	EXPECT_EQ(0, map_pages(0, 1));
}

/* 5-69 */
TEST_F(dirty, get_structure)
{
	struct vfio_iommu_type1_dirty_bitmap *dirty = edge_of(GET_SIZE);
	struct vfio_iommu_type1_dirty_bitmap_get get = {
		.iova = IOVA,
		.size = PAGE_SIZE,
		.bitmap = {
			.pgsize = PAGE_SIZE,
			.size = 8,
			.data = (void *)bits,
		},
	};
	struct vfio_iommu_type1_dirty_bitmap *cut = edge_of(GET_SIZE - 1);

	ASSERT_EQ(0, map_pages(0, 1));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(-EINVAL, header(8, DIRTY_GET));
	EXPECT_EQ(-EINVAL, header(GET_SIZE - 1, DIRTY_GET));
	memcpy(dirty->data, &get, sizeof(get));
	dirty->flags = DIRTY_GET;
	dirty->argsz = GET_SIZE - 1;
	EXPECT_EQ(-EINVAL, vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, dirty));
	dirty->argsz = GET_SIZE;
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, dirty));
	EXPECT_EQ(1, bits[0]);
	dirty->argsz = UINT32_MAX;
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, dirty));
	cut->flags = DIRTY_GET;
	cut->argsz = GET_SIZE;
	EXPECT_EQ(-EFAULT, vfio_ioctl(container, VFIO_IOMMU_DIRTY_PAGES, cut));
}

/*
 * 5-40, 5-46, 5-70 to 5-72, 5-78, 12-33, with GET_BITMAP and with UNMAP alike, but for their
 * range.
 */
TEST_F(dirty, numbers)
{
	static const struct {
		struct dirty_request request;
		long expected;
	} cases[] = {
		/* 5-71: bitmaps that are none, or too small, or too large. */
		{ { IOVA, PAGE_SIZE, PAGE_SIZE, 0, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, PAGE_SIZE, 1, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, PAGE_SIZE, 7, bits }, -EINVAL },
		{ { IOVA, 65 * PAGE_SIZE, PAGE_SIZE, 15, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, PAGE_SIZE, DIRTY_SIZE_MAX + 1, bits },
		  -EINVAL },
		{ { IOVA, PAGE_SIZE, PAGE_SIZE, -8UL, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, PAGE_SIZE, 8, KERNEL_POINTER }, -EINVAL },
		{ { IOVA, PAGE_SIZE, PAGE_SIZE, 64, (void *)-8UL }, -EINVAL },
		/* 5-72: only the smallest pages of the IOMMU. */
		{ { IOVA, PAGE_SIZE, 0, 8, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, 1, 8, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, 1, 64, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, PAGE_SIZE / 2, 8, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, PAGE_SIZE + 1, 512, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, 3 * PAGE_SIZE, 8, bits }, -EINVAL },
		{ { IOVA, 2 * PAGE_SIZE, 2 * PAGE_SIZE, 8, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, SIZE_2M, 8, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE, 1UL << 63, 8, bits }, -EINVAL },
		{ { 0, 1UL << 63, 1UL << 63, 8, bits }, -EINVAL },
		/* 5-70, 5-44, 5-45: ranges. */
		{ { IOVA, 0, PAGE_SIZE, 8, bits }, -EINVAL },
		{ { IOVA, 1, PAGE_SIZE, 8, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE - 1, PAGE_SIZE, 8, bits }, -EINVAL },
		{ { IOVA, PAGE_SIZE + 1, PAGE_SIZE, 8, bits }, -EINVAL },
		{ { IOVA + 1, PAGE_SIZE, PAGE_SIZE, 8, bits }, -EINVAL },
		{ { -PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE, 8, bits },
		  -EOVERFLOW },
		/* 2^31 pages are fewer bytes than there may be, but one more not. */
		{ { 0, (1UL << 43) + PAGE_SIZE, PAGE_SIZE, DIRTY_SIZE_MAX, bits },
		  -EINVAL },
	};
	struct dirty_request whole = request_for(0, 1, bits);
	size_t i;

	ASSERT_EQ(0, map_pages(0, 1));
	EXPECT_EQ(-EINVAL, dirty_get(container, &whole));
	EXPECT_EQ(-EINVAL, dirty_unmap(container, &whole));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		/* With C the number of pages is shifted by 64, of which UBSAN tells. */
		if (on_c_modules() && !cases[i].request.page_size)
			continue;
		EXPECT_EQ(cases[i].expected,
			  dirty_get(container, &cases[i].request)) {
			TH_LOG("case %zu", i);
		}
		EXPECT_EQ(cases[i].expected,
			  dirty_unmap(container, &cases[i].request)) {
			TH_LOG("case %zu", i);
		}
	}
	EXPECT_EQ(0, bits[0]);
	/* None of these has unmapped anything. */
	EXPECT_EQ(-EEXIST, map_pages(0, 1));
	/* More than is needed, up to the limit, is taken. */
	whole.bytes = DIRTY_SIZE_MAX;
	EXPECT_EQ(0, dirty_get(container, &whole));
	EXPECT_EQ(1, bits[0]);
	whole.bytes = 9;
	EXPECT_EQ(PAGE_SIZE, dirty_unmap(container, &whole));
}

/* The range ends the request before the bitmap does, but only with GET_BITMAP. */
TEST_F(dirty, order_of_refusals)
{
	const struct dirty_request wraps = {
		-PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE, 0, KERNEL_POINTER,
	};
	const struct dirty_request odd_page = {
		-PAGE_SIZE, 2 * PAGE_SIZE, 2 * PAGE_SIZE, 8, bits,
	};

	EXPECT_EQ(-EOVERFLOW, dirty_get(container, &wraps));
	EXPECT_EQ(-EINVAL, dirty_unmap(container, &wraps));
	EXPECT_EQ(-EOVERFLOW, dirty_get(container, &odd_page));
	EXPECT_EQ(-EOVERFLOW, dirty_unmap(container, &odd_page));
}

/* 5-73 */
TEST_F(dirty, mappings_are_not_cut)
{
	ASSERT_EQ(0, map_pages(0, 2));
	ASSERT_EQ(0, map_pages(4, 8));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(-EINVAL, get_pages(4, 4, bits));
	EXPECT_EQ(-EINVAL, get_pages(8, 4, bits));
	EXPECT_EQ(-EINVAL, get_pages(6, 2, bits));
	EXPECT_EQ(-EINVAL, get_pages(0, 6, bits));
	EXPECT_EQ(-EINVAL, get_pages(11, 20, bits));
	EXPECT_EQ(-EINVAL, get_pages(1, 30, bits));
	EXPECT_EQ(-EINVAL, unmap_dirty_pages(0, 6, bits));
	EXPECT_EQ(-EINVAL, unmap_dirty_pages(1, 30, bits));
	EXPECT_EQ(0, bits[0]);
	EXPECT_EQ(0, get_pages(0, 12, bits));
	EXPECT_EQ(0xff3, bits[0]);
	EXPECT_EQ(0, get_pages(2, 2, bits));
	EXPECT_EQ(0xff3, bits[0]);
}

/* ---- what is reported ---- */

/* 5-74: which bits of the user's words change, and which stay. */
TEST_F(dirty, bits)
{
	static const struct {
		struct {
			unsigned int first;
			unsigned int pages;
		} mappings[3];
		uint64_t before;
		uint64_t after[WORDS];
	} cases[] = {
		/* Nothing is mapped. */
		{ {}, 0xa5, { 0xa5, 0xa5, 0xa5, 0xa5 } },
		/* At the start of a word: what is behind it goes. */
		{ { { 0, 2 } }, -1, { 3, -1, -1, -1 } },
		{ { { 128, 2 } }, -1, { -1, -1, 3, -1 } },
		{ { { 0, 64 } }, 0, { -1, 0, 0, 0 } },
		/* In a word: what was there stays. */
		{ { { 3, 2 } }, 0, { 0x18, 0, 0, 0 } },
		{ { { 3, 2 } }, -1, { -1, -1, -1, -1 } },
		{ { { 3, 61 } }, 4, { -8ULL | 4, 4, 4, 4 } },
		/* Over the end of one: before it all stays, behind it all goes. */
		{ { { 60, 10 } }, 0, { 0xfULL << 60, 0x3f, 0, 0 } },
		{ { { 60, 10 } }, -1, { -1, 0x3f, -1, -1 } },
		{ { { 60, 68 } }, 0, { 0xfULL << 60, -1, 0, 0 } },
		{ { { 1, 255 } }, 0, { -2, -1, -1, -1 } },
		{ { { 63, 66 } }, 0xa5, { 0xa5 | 1ULL << 63, -1, 1, 0xa5 } },
		/* Several. */
		{ { { 0, 2 }, { 4, 2 }, { 9, 1 } }, -1, { 0x233, -1, -1, -1 } },
		{ { { 0, 2 }, { 66, 2 } }, 1, { 3, 0xd, 1, 1 } },
		{ { { 2, 2 }, { 66, 2 }, { 130, 126 } }, 0,
		  { 0xc, 0xc, -4, -1 } },
		{ { { 0, 63 }, { 63, 2 }, { 65, 1 } }, 0, { -1, 3, 0, 0 } },
	};
	size_t i, j;

	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (j = 0; j < 3 && cases[i].mappings[j].pages; j++) {
			ASSERT_EQ(0, map_pages(cases[i].mappings[j].first,
					       cases[i].mappings[j].pages));
		}
		for (j = 0; j < WORDS; j++)
			bits[j] = cases[i].before;
		EXPECT_EQ(0, get_pages(0, PAGES, bits));
		for (j = 0; j < WORDS; j++) {
			EXPECT_EQ(cases[i].after[j], bits[j]) {
				TH_LOG("case %zu word %zu", i, j);
			}
			bits[j] = cases[i].before;
		}
		/* The same with what is unmapped. */
		ASSERT_EQ(0, track_anew());
		EXPECT_LE(0, unmap_dirty_pages(0, PAGES, bits));
		for (j = 0; j < WORDS; j++) {
			EXPECT_EQ(cases[i].after[j], bits[j]) {
				TH_LOG("case %zu word %zu", i, j);
			}
		}
		EXPECT_EQ(0, type1_unmap(container, 0, 0, ALL));
	}
}

/* 5-74: bits count from the start of what was asked for. */
TEST_F(dirty, first_bit)
{
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	ASSERT_EQ(0, map_pages(70, 3));
	EXPECT_EQ(0, get_pages(70, 3, bits));
	EXPECT_EQ(7, bits[0]);
	memset(bits, 0, sizeof(bits));
	EXPECT_EQ(0, get_pages(69, 5, bits));
	EXPECT_EQ(0xe, bits[0]);
	memset(bits, 0, sizeof(bits));
	ASSERT_EQ(0, track_anew());
	EXPECT_EQ(0, get_pages(6, 128, bits));
	EXPECT_EQ(0, bits[0]);
	EXPECT_EQ(7, bits[1]);
}

/* 5-75, 5-76: all that the device reaches, in each report, whatever it does with it. */
TEST_F(dirty, all_of_it)
{
	int i;

	ASSERT_EQ(0, type1_map(container, buffer, IOVA, PAGE_SIZE,
			       VFIO_DMA_MAP_FLAG_READ));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	ASSERT_EQ(0, map_pages(64, 2));
	for (i = 0; i < 3; i++) {
		memset(bits, 0, sizeof(bits));
		EXPECT_EQ(0, get_pages(0, PAGES, bits));
		EXPECT_EQ(1, bits[0]);
		EXPECT_EQ(3, bits[1]);
	}
	EXPECT_EQ(2, unmap_pages(64, 2));
	memset(bits, 0, sizeof(bits));
	EXPECT_EQ(0, get_pages(0, PAGES, bits));
	EXPECT_EQ(1, bits[0]);
	EXPECT_EQ(0, bits[1]);
	ASSERT_EQ(0, map_pages(4, 1));
	memset(bits, 0, sizeof(bits));
	EXPECT_EQ(1, unmap_dirty_pages(1, 10, bits));
	EXPECT_EQ(8, bits[0]);
	EXPECT_EQ(0, unmap_dirty_pages(1, 10, bits));
	EXPECT_EQ(8, bits[0]);
}

/* 5-74: a report has no bits of the one before, wherever in a word a mapping begins. */
TEST_F(dirty, second_report)
{
	uint64_t last = 0;
	int i;

	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	ASSERT_EQ(0, map_pages(3, 2));
	ASSERT_EQ(0, map_pages(60, 10));
	for (i = 0; i < 3; i++) {
		memset(bits, 0, sizeof(bits));
		EXPECT_EQ(0, get_pages(0, PAGES, bits));
		EXPECT_EQ(0x18, bits[0] & 0x18);
		EXPECT_EQ(0xfULL << 60, bits[0] & 0xfULL << 60);
		EXPECT_EQ(0x3f, bits[1] & 0x3f);
		last = bits[0];
	}
	if (!on_c_modules()) {
		EXPECT_EQ(0x18 | 0xfULL << 60, last);
		EXPECT_EQ(0x3f, bits[1]);
	}
	report_difference("5-74 bits behind the end of a mapping, in a second report",
			  bits[1] == 0x3f ? "clear" : "of the first one");
}

/* 5-75: with more than one group as with one, until the last one is gone. */
TEST_F(dirty, second_group)
{
	const char *bdf = pci_device("TESTDEV");
	int group;

	if (!bdf)
		SKIP(return, "TESTDEV names no device");
	ASSERT_EQ(0, map_pages(0, 3));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	group = group_open(bdf);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, container));
	EXPECT_EQ(0, get_pages(0, PAGES, bits));
	EXPECT_EQ(7, bits[0]);
	ASSERT_EQ(0, vfio_ioctl(self->session.group, VFIO_GROUP_UNSET_CONTAINER,
				NULL));
	memset(bits, 0, sizeof(bits));
	EXPECT_EQ(0, get_pages(0, PAGES, bits));
	EXPECT_EQ(7, bits[0]);
	ASSERT_EQ(0, group_set_container(self->session.group, container));
	close(group);
	EXPECT_EQ(0, get_pages(0, PAGES, bits));
	EXPECT_EQ(7, bits[0]);
}

/* Many mappings at once. */
TEST_F(dirty, many)
{
	const unsigned long pages = 2 * PAGE_BITS;
	uint64_t *long_bits = memory_new(pages / 8);
	unsigned long i, set = 0;

	ASSERT_NE(MAP_FAILED, (void *)long_bits);
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	/* A little less than 1 MiB each, at all offsets in a word. */
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, map_pages(i * 257 + i % 3, 255));
	}
	EXPECT_EQ(0, get_pages(0, pages, long_bits));
	for (i = 0; i < pages; i++) {
		bool is_set = long_bits[i / 64] >> i % 64 & 1;
		unsigned long page = i % 257 - i / 257 % 3;

		set += is_set;
		if (is_set != (i / 257 < 200 && page < 255))
			break;
	}
	EXPECT_EQ(pages, i);
	EXPECT_EQ(200 * 255, set);
	EXPECT_EQ(200 * 255, unmap_dirty_pages(0, pages, long_bits));
	EXPECT_EQ(65535, type1_dma_avail(container));
	munmap(long_bits, pages / 8);
}

/* Address space for a multiple of 2 MiB, all of it the same memory. */
static char *memory_repeated(size_t size)
{
	char *start = memory_new_aligned(size, SIZE_2M);
	int fd = memfd_create("memory", 0);
	size_t i;

	if (fd < 0 || ftruncate(fd, SIZE_2M))
		return MAP_FAILED;
	for (i = 0; i < size; i += SIZE_2M) {
		if (mmap(start + i, SIZE_2M, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			return MAP_FAILED;
	}
	close(fd);
	return start;
}

/* A mapping whose bits are more than a page of them, at either end of a word. */
TEST_F(dirty, long_mapping)
{
	const unsigned long pages = 80 * (SIZE_2M / PAGE_SIZE);
	uint64_t *long_bits = memory_new(2 * PAGE_SIZE);
	unsigned long first, i;

	buffer = memory_repeated(pages * PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)buffer);
	for (first = 0; first < 128; first += 63) {
		ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
		ASSERT_EQ(0, map_pages(first, pages));
		memset(long_bits, 0, 2 * PAGE_SIZE);
		EXPECT_EQ(0, get_pages(0, 2 * PAGE_BITS, long_bits));
		for (i = 0; i < 2 * PAGE_BITS; i++) {
			bool is_set = long_bits[i / 64] >> i % 64 & 1;

			if (is_set != (i >= first && i < first + pages))
				break;
		}
		EXPECT_EQ(2 * PAGE_BITS, i);
		EXPECT_EQ(pages, unmap_pages(first, pages));
		ASSERT_EQ(0, dirty_tracking(container, DIRTY_STOP));
	}
}

/* ---- unmapping ---- */

/* One UNMAP with these, and as many bytes of the bitmap as can be read. */
static long unmap_raw(uint32_t argsz, uint32_t flags, size_t readable)
{
	struct vfio_bitmap bitmap = {
		.pgsize = PAGE_SIZE,
		.size = 8,
		.data = (void *)bits,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = argsz,
		.flags = flags,
		.iova = IOVA,
		.size = PAGE_SIZE,
	};
	char *argument = edge_of(sizeof(unmap) + readable);

	memcpy(argument, &unmap, sizeof(unmap));
	memcpy(argument + sizeof(unmap), &bitmap, readable);
	return vfio_ioctl(container, VFIO_IOMMU_UNMAP_DMA, argument);
}

/* 5-38, 5-39 */
TEST_F(dirty, unmap_structure)
{
	const uint32_t get = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	const uint32_t vaddr = VFIO_DMA_UNMAP_FLAG_VADDR;

	ASSERT_EQ(0, map_pages(0, 1));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(-EINVAL, unmap_raw(48, get | ALL, 24));
	EXPECT_EQ(-EINVAL, unmap_raw(48, get | vaddr, 24));
	EXPECT_EQ(-EINVAL, unmap_raw(48, get | vaddr | ALL, 24));
	EXPECT_EQ(-EINVAL, unmap_raw(48, get | 8, 24));
	EXPECT_EQ(-EINVAL, unmap_raw(47, get, 24));
	EXPECT_EQ(-EINVAL, unmap_raw(24, get, 24));
	EXPECT_EQ(-EINVAL, unmap_raw(24, get, 0));
	EXPECT_EQ(-EFAULT, unmap_raw(48, get, 23));
	EXPECT_EQ(-EFAULT, unmap_raw(48, get, 0));
	EXPECT_EQ(-EEXIST, map_pages(0, 1));
	EXPECT_EQ(0, bits[0]);
	EXPECT_EQ(0, unmap_raw(48, get, 24));
	EXPECT_EQ(1, bits[0]);
	/* Nobody asks for the bitmap, so nobody reads it. */
	ASSERT_EQ(0, map_pages(0, 1));
	EXPECT_EQ(0, unmap_raw(48, 0, 0));
}

/* ---- memory that is not there ---- */

/* 5-74: a bitmap that cannot be written, or not be read where that has to be. */
TEST_F(dirty, bad_pointers)
{
	uint64_t *read_only = memory_new(PAGE_SIZE);

	ASSERT_EQ(0, mprotect(read_only, PAGE_SIZE, PROT_READ));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	/* Where nothing is mapped there is nothing to write. */
	EXPECT_EQ(0, get_pages(0, PAGES, BAD_POINTER));
	EXPECT_EQ(0, unmap_dirty_pages(0, PAGES, BAD_POINTER));
	ASSERT_EQ(0, map_pages(0, 1));
	ASSERT_EQ(0, map_pages(3, 1));
	EXPECT_EQ(-EFAULT, get_pages(0, PAGES, BAD_POINTER));
	EXPECT_EQ(-EFAULT, get_pages(0, PAGES, NULL));
	EXPECT_EQ(-EFAULT, get_pages(0, PAGES, read_only));
	EXPECT_EQ(-EFAULT, get_pages(1, PAGES - 1, BAD_POINTER));
	EXPECT_EQ(-EFAULT, get_pages(1, PAGES - 1, read_only));
	EXPECT_EQ(0, get_pages(64, 64, BAD_POINTER));
	EXPECT_EQ(-EFAULT, unmap_dirty_pages(0, PAGES, BAD_POINTER));
	EXPECT_EQ(-EFAULT, unmap_dirty_pages(1, PAGES - 1, read_only));
	/* All of it is still there, and told of. */
	ASSERT_EQ(0, track_anew());
	EXPECT_EQ(-EEXIST, map_pages(0, 1));
	EXPECT_EQ(-EEXIST, map_pages(3, 1));
	EXPECT_EQ(0, get_pages(0, PAGES, bits));
	EXPECT_EQ(9, bits[0]);
	/* Only the words of mappings are touched. */
	EXPECT_EQ(0, get_pages(0, PAGES, edge_of(8)));
	EXPECT_EQ(2, unmap_dirty_pages(0, PAGES, edge_of(8)));
}

/* 5-56, 12-35: what was reported is gone, and from the fault on all is still there. */
TEST_F(dirty, fault_half_way)
{
	uint64_t *edge = edge_of(PAGE_SIZE);
	const unsigned long far = PAGE_BITS;
	unsigned long page;

	ASSERT_NE(NULL, edge);
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	ASSERT_EQ(0, map_pages(0, 2));
	for (page = 64; page < 104; page += 2)
		ASSERT_EQ(0, map_pages(page, 1));
	ASSERT_EQ(0, map_pages(far - 64, 1));
	ASSERT_EQ(0, map_pages(far + 5, 1));
	ASSERT_EQ(0, map_pages(far + 9, 1));
	EXPECT_EQ(-EFAULT, get_pages(0, 2 * far, edge));
	EXPECT_EQ(3, edge[0]);
	EXPECT_EQ(1, edge[511]);
	memset(edge, 0, PAGE_SIZE);
	EXPECT_EQ(-EFAULT, unmap_dirty_pages(0, 2 * far, edge));
	EXPECT_EQ(3, edge[0]);
	EXPECT_EQ(0x5555555555, edge[1] & ~(-1UL << 40));
	EXPECT_EQ(1, edge[511]);
	EXPECT_EQ(65533, type1_dma_avail(container));
	EXPECT_EQ(0, map_pages(0, 2));
	for (page = 64; page < 104; page++)
		EXPECT_EQ(0, map_pages(page, 1));
	EXPECT_EQ(0, map_pages(far - 64, 1));
	EXPECT_EQ(-EEXIST, map_pages(far + 5, 1));
	EXPECT_EQ(-EEXIST, map_pages(far + 9, 1));
	EXPECT_EQ(45, unmap_pages(0, 2 * far));
}

/* A mapping of which only a part of the bits can be told: it is all there still. */
TEST_F(dirty, fault_within_a_mapping)
{
	const unsigned long pages = 2 * PAGE_BITS;
	uint64_t *edge = edge_of(PAGE_SIZE);
	uint64_t *whole = memory_new(2 * PAGE_SIZE);

	ASSERT_NE(NULL, edge);
	ASSERT_NE(MAP_FAILED, (void *)whole);
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	ASSERT_EQ(0, map_pages(PAGE_BITS - 64, 128));
	EXPECT_EQ(-EFAULT, get_pages(0, pages, edge));
	EXPECT_EQ(-EFAULT, unmap_dirty_pages(0, pages, edge));
	EXPECT_EQ(-EEXIST, map_pages(PAGE_BITS - 64, 1));
	EXPECT_EQ(-EEXIST, map_pages(PAGE_BITS + 63, 1));
	EXPECT_EQ(0, get_pages(0, pages, whole));
	EXPECT_EQ(0, whole[510]);
	EXPECT_EQ(UINT64_MAX, whole[511]);
	EXPECT_EQ(UINT64_MAX, whole[512]);
	EXPECT_EQ(0, whole[513]);
	EXPECT_EQ(128, unmap_dirty_pages(0, pages, whole));
}

VFIO_TEST_MAIN("EDU", "TESTDEV")
