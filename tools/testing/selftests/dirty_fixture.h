/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A container of which dirty pages are asked for, and its requests in numbers of pages.
 * It comes after kselftest_harness.h.
 */
#ifndef DIRTY_FIXTURE_H
#define DIRTY_FIXTURE_H

#include "dirty_pages.h"
#include "vfio_fixture.h"

#define IOVA		0x10000000UL
#define PAGES		256UL
#define BUFFER		(PAGES * PAGE_SIZE)
#define WORDS		(PAGES / 64)
#define ALL		VFIO_DMA_UNMAP_FLAG_ALL

static int container;
static char *buffer;
static uint64_t bits[WORDS];

static inline long map_pages(unsigned long first, unsigned long pages)
{
	return type1_map(container, buffer, IOVA + first * PAGE_SIZE,
			 pages * PAGE_SIZE, DMA_RW);
}

/* Unmaps likewise; returns the number of pages that went, or an errno. */
static inline long unmap_pages(unsigned long first, unsigned long pages)
{
	long ret = type1_unmap(container, IOVA + first * PAGE_SIZE,
			       pages * PAGE_SIZE, 0);

	return ret < 0 ? ret : ret / (long)PAGE_SIZE;
}

/* A request for @pages pages at page @first of the range that these tests work in. */
static inline struct dirty_request request_for(unsigned long first,
					       unsigned long pages,
					       void *data)
{
	return (struct dirty_request) {
		.iova = IOVA + first * PAGE_SIZE,
		.size = pages * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.bytes = (pages + 63) / 64 * 8,
		.data = data,
	};
}

static inline long get_pages(unsigned long first, unsigned long pages, void *data)
{
	struct dirty_request request = request_for(first, pages, data);

	return dirty_get(container, &request);
}

/* Returns the number of pages that went, or an errno. */
static inline long unmap_dirty_pages(unsigned long first, unsigned long pages,
				     void *data)
{
	struct dirty_request request = request_for(first, pages, data);
	long ret = dirty_unmap(container, &request);

	return ret < 0 ? ret : ret / (long)PAGE_SIZE;
}

FIXTURE(dirty)
{
	struct vfio_session session;
};

FIXTURE_SETUP(dirty)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	buffer = memory_new(BUFFER);
	ASSERT_NE(MAP_FAILED, (void *)buffer);
	ASSERT_EQ(0, session_join(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	container = self->session.container;
}

FIXTURE_TEARDOWN(dirty)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

#endif
