// SPDX-License-Identifier: GPL-2.0
/*
 * Device memory in pieces: a mapping in which every other page is one of a BAR,
 * and the rest ordinary memory. The C modules do not revoke.
 */
#include <sys/mman.h>

#include "iommu_debug.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA		0x100000000UL
#define BAR		2
#define BAR_PAGES	((64UL << 20) / PAGE_SIZE)
/* More than fit into what the kernel allocates in one piece: 4 MiB, of 24 bytes each. */
#define MANY		132000
#define SOME		1000
#define MOST_AREAS	"/proc/sys/vm/max_map_count"

FIXTURE(scattered)
{
	struct vfio_session edu;
	struct vfio_session owner;
	uint8_t *memory;
	size_t size;
	char most_areas[32];
};

FIXTURE_SETUP(scattered)
{
	const char *edu, *owner;

	NEED_DEVICE(edu, "EDU");
	NEED_DEVICE(owner, "IVSHMEM");
	ASSERT_LT(0, file_read(MOST_AREAS, self->most_areas,
			       sizeof(self->most_areas)));
	ASSERT_EQ(0, session_join(&self->edu, edu, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, session_open(&self->owner, owner, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, memory_enable(self->owner.device, true));
}

/* In the parent, so that the limit is put back in any case. */
FIXTURE_TEARDOWN_PARENT(scattered)
{
	if (self->most_areas[0])
		EXPECT_EQ(0, file_write(MOST_AREAS, self->most_areas));
}

/* @pieces pages of memory, each with a page of the BAR behind it, in the IOMMU. */
static void map_pieces(struct __test_metadata *_metadata,
		       struct _test_data_scattered *self, size_t pieces)
{
	size_t i;

	ASSERT_EQ(0, file_write(MOST_AREAS, "1000000"));
	self->size = 2 * pieces * PAGE_SIZE;
	self->memory = memory_new(self->size);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	for (i = 0; i < pieces; i++) {
		uint64_t offset = i % BAR_PAGES * PAGE_SIZE;
		void *page = self->memory + (2 * i + 1) * PAGE_SIZE;

		ASSERT_EQ(page, mmap(page, PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_FIXED, self->owner.device,
				     REGION_OFFSET(BAR) + offset));
	}
	ASSERT_EQ(0, type1_map(self->edu.container, self->memory, IOVA,
			       self->size, DMA_RW));
}

/* The other device goes; returns how often the IOMMU's caches are flushed for that. */
static long close_owner(struct _test_data_scattered *self)
{
	long flushes;

	munmap(self->memory, self->size);
	flushes = iommu_flushes();
	session_close(&self->owner);
	return iommu_flushes() - flushes;
}

static bool piece_mapped(struct _test_data_scattered *self, size_t page)
{
	return iommu_maps_iova(self->edu.bdf, IOVA + page * PAGE_SIZE);
}

/* 5-25, 5-26: there may be as many pieces as there are pages. */
TEST_F(scattered, many_pieces)
{
	if (kernel_has_checkers())
		SKIP(return, "takes minutes with checkers");
	map_pieces(_metadata, self, MANY);
	EXPECT_TRUE(piece_mapped(self, 2 * MANY - 1));
	close_owner(self);
	EXPECT_EQ(on_c_modules(), piece_mapped(self, 1));
	EXPECT_EQ(on_c_modules(), piece_mapped(self, 2 * MANY - 1));
	EXPECT_TRUE(piece_mapped(self, 2 * MANY - 2));
	EXPECT_EQ(self->size, type1_unmap(self->edu.container, IOVA, self->size,
					  0));
	EXPECT_EQ(0, session_works(&self->edu));
}

/* 12-46: what it takes to revoke them does not go with their number. */
TEST_F(scattered, one_flush_for_all)
{
	const uint64_t half = SOME * PAGE_SIZE;
	long flushes;

	map_pieces(_metadata, self, SOME);
	EXPECT_EQ(2 * half, iommu_mapped(self->edu.bdf, IOVA, 2 * half));
	flushes = close_owner(self);
	EXPECT_EQ(half + (on_c_modules() ? half : 0),
		  iommu_mapped(self->edu.bdf, IOVA, 2 * half));
	TH_LOG("%ld flushes", flushes);
	/* Closing a device takes some by itself. */
	EXPECT_GT(SOME / 10, flushes);
	EXPECT_EQ(self->size, type1_unmap(self->edu.container, IOVA, self->size,
					  0));
	EXPECT_EQ(0, session_works(&self->edu));
}

VFIO_TEST_MAIN("EDU", "IVSHMEM")
