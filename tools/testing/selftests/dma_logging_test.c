// SPDX-License-Identifier: GPL-2.0
/*
 * Logging of DMA (6-87): the sample vfio_memory, whose DMA is made by software, tells
 * which memory of its user it has written to.
 */
#include <sys/mman.h>

#include "dma_logging.h"
#include "kselftest_harness.h"
#include "memory_dma.h"

#define GET		VFIO_DEVICE_FEATURE_GET
#define SET		VFIO_DEVICE_FEATURE_SET
#define PROBE		VFIO_DEVICE_FEATURE_PROBE
#define START		VFIO_DEVICE_FEATURE_DMA_LOGGING_START
#define STOP		VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
#define REPORT		VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT

FIXTURE(log)
{
	struct vfio_session session;
	int device;
	uint8_t *buffer;
};

FIXTURE_SETUP(log)
{
	NEED_SAMPLES();
	self->buffer = memory_new(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	ASSERT_EQ(0, memory_open(&self->session, VFIO_TYPE1v2_IOMMU));
	self->device = self->session.device;
	ASSERT_EQ(0, type1_map(self->session.container, self->buffer, IOVA, SIZE,
			       DMA_RW));
}

FIXTURE_TEARDOWN(log)
{
	session_close(&self->session);
	munmap(self->buffer, SIZE);
}

/* The bits of all pages of the buffer, or a negative errno. */
static long dirty(int device)
{
	uint64_t bitmap = 0;
	long ret = logging_report(device, IOVA, SIZE, PAGE_SIZE, &bitmap);

	return ret ? ret : (long)bitmap;
}

/* Reports need what the kernel has for iommufd. */
#define NEED_BITMAPS(device)						\
	do {								\
		if (dirty(device) == -EOPNOTSUPP)			\
			SKIP(return, "the kernel has no IOMMUFD_DRIVER"); \
	} while (0)

static long dma(int device, uint64_t page, uint64_t offset, uint64_t size)
{
	return store(device, VFIO_MEMORY_WRITE, IOVA + page * PAGE_SIZE + offset,
		     size, 0x5a);
}

/* 6-84, 6-85 */
TEST_F(log, features)
{
	static const char data[64] = "";
	int device = self->device;

	EXPECT_EQ(0, device_feature(device, PROBE | SET | START, NULL, 0));
	EXPECT_EQ(0, device_feature(device, PROBE | SET | STOP, NULL, 0));
	EXPECT_EQ(0, device_feature(device, PROBE | GET | REPORT, NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(device, PROBE | GET | START, NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(device, PROBE | GET | STOP, NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(device, PROBE | SET | REPORT, NULL, 0));
	EXPECT_EQ(-EINVAL, device_feature(device, SET | START, data, 23));
	EXPECT_EQ(-EINVAL, device_feature(device, GET | REPORT, data, 31));
	/* It cannot be migrated for all that. */
	EXPECT_EQ(-ENOTTY, device_feature(device, PROBE |
					  VFIO_DEVICE_FEATURE_MIGRATION, NULL, 0));
}

TEST_F(log, starts_and_stops)
{
	struct logging_range one = { .iova = IOVA, .length = SIZE };
	uint64_t chosen = 0;

	NEED_BITMAPS(self->device);
	EXPECT_EQ(-EINVAL, logging_stop(self->device));
	EXPECT_EQ(-EINVAL, dirty(self->device));
	EXPECT_EQ(0, logging_start_sized(self->device, 512, &one, 1, &chosen));
	EXPECT_EQ(PAGE_SIZE, chosen);
	EXPECT_EQ(-EBUSY, logging_start(self->device, IOVA, SIZE));
	EXPECT_EQ(0, dirty(self->device));
	EXPECT_EQ(0, logging_stop(self->device));
	EXPECT_EQ(-EINVAL, logging_stop(self->device));
	EXPECT_EQ(0, logging_start_sized(self->device, SIZE, &one, 1, &chosen));
	EXPECT_EQ(SIZE, chosen);
}

/* 6-87: ranges that are none. */
TEST_F(log, wrong_ranges)
{
	struct logging_range ranges[] = {
		{ .iova = IOVA + SIZE, .length = PAGE_SIZE },
		{ .iova = IOVA, .length = SIZE },
	};
	int device = self->device;

	EXPECT_EQ(-EINVAL, logging_start_sized(device, PAGE_SIZE, ranges, 0, NULL));
	EXPECT_EQ(-E2BIG, logging_start_sized(device, PAGE_SIZE, ranges, MOST_RANGES + 1,
				      NULL));
	EXPECT_EQ(-E2BIG, logging_start_sized(device, PAGE_SIZE, ranges, UINT32_MAX, NULL));
	EXPECT_EQ(-EFAULT, logging_start_sized(device, PAGE_SIZE, BAD_POINTER, 1, NULL));
	EXPECT_EQ(-EINVAL, logging_start_sized(device, 0, ranges, 2, NULL));
	EXPECT_EQ(-EINVAL, logging_start_sized(device, 3 * PAGE_SIZE, ranges, 2, NULL));
	EXPECT_EQ(-EINVAL, logging_start(device, IOVA + 1, PAGE_SIZE));
	EXPECT_EQ(-EINVAL, logging_start(device, IOVA, PAGE_SIZE + 1));
	EXPECT_EQ(-EINVAL, logging_start(device, IOVA, 0));
	EXPECT_EQ(-EINVAL, logging_start(device, 0, 0));
	EXPECT_EQ(-EOVERFLOW, logging_start(device, -PAGE_SIZE, 2 * PAGE_SIZE));
	EXPECT_EQ(-EOVERFLOW, logging_start(device, PAGE_SIZE, -PAGE_SIZE));
	EXPECT_EQ(0, logging_start_sized(device, PAGE_SIZE, ranges, 2, NULL));
	EXPECT_EQ(0, logging_stop(device));
	ranges[0].iova -= PAGE_SIZE;
	EXPECT_EQ(-EINVAL, logging_start_sized(device, PAGE_SIZE, ranges, 2, NULL));
	EXPECT_EQ(-EINVAL, logging_stop(device));
}

TEST_F(log, most_ranges)
{
	struct logging_range *ranges = calloc(MOST_RANGES, sizeof(*ranges));
	int i;

	NEED_BITMAPS(self->device);
	ASSERT_NE(NULL, ranges);
	for (i = 0; i < MOST_RANGES; i++)
		ranges[i] = (struct logging_range){ IOVA + 2 * i * PAGE_SIZE, PAGE_SIZE };
	ASSERT_EQ(0, logging_start_sized(self->device, PAGE_SIZE, ranges, MOST_RANGES, NULL));
	EXPECT_EQ(0, dma(self->device, 0, 0, SIZE));
	EXPECT_EQ(0x55, dirty(self->device));
	free(ranges);
}

/* If the answer cannot be given, it has not begun. */
TEST_F(log, unwritable)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = PAGE_SIZE,
		.num_ranges = 1,
	};
	struct vfio_device_feature *head = memory_new(PAGE_SIZE);
	struct logging_range one = { .iova = IOVA, .length = SIZE };

	ASSERT_NE(MAP_FAILED, (void *)head);
	control.ranges = (uintptr_t)&one;
	head->argsz = sizeof(*head) + sizeof(control);
	head->flags = SET | START;
	memcpy(head->data, &control, sizeof(control));
	ASSERT_EQ(0, mprotect(head, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->device, VFIO_DEVICE_FEATURE, head));
	EXPECT_EQ(-EINVAL, logging_stop(self->device));
	munmap(head, PAGE_SIZE);
}

/* What was written, once, and nothing else. */
TEST_F(log, reports)
{
	int device = self->device;
	uint64_t bitmap = 1UL << 63;

	NEED_BITMAPS(self->device);
	EXPECT_EQ(0, dma(device, 0, 0, PAGE_SIZE));
	ASSERT_EQ(0, logging_start(device, IOVA, SIZE - PAGE_SIZE));
	EXPECT_EQ(0, dirty(device));
	EXPECT_EQ(0, dma(device, 1, 8, 8));
	EXPECT_EQ(0, dma(device, 3, PAGE_SIZE - 1, 2));
	EXPECT_EQ(0x1a, dirty(device));
	EXPECT_EQ(0, dirty(device));
	/* A read is none, nor is what is not in a range. */
	EXPECT_EQ(0x5a, load(device, VFIO_MEMORY_READ, IOVA + PAGE_SIZE + 8, 8));
	EXPECT_EQ(0, dma(device, PAGES - 1, 0, PAGE_SIZE));
	EXPECT_EQ(0, dirty(device));
	/* By pages that stay pinned. */
	EXPECT_EQ(0, pin(device, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, store(device, VFIO_MEMORY_WRITE_PINNED, IOVA, 8, 1));
	/* Bits are only set. */
	EXPECT_EQ(0, logging_report(device, IOVA, SIZE, PAGE_SIZE, &bitmap));
	EXPECT_EQ(1UL << 63 | 1, bitmap);
	EXPECT_EQ(0, logging_stop(device));
}

/* A part of it, and with another size of pages. */
TEST_F(log, reports_parts)
{
	int device = self->device;
	uint64_t bitmap = 0;

	NEED_BITMAPS(self->device);
	ASSERT_EQ(0, logging_start(device, IOVA, SIZE));
	EXPECT_EQ(0, dma(device, 1, 0, 4 * PAGE_SIZE));
	EXPECT_EQ(0, logging_report(device, IOVA + 2 * PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE,
			    &bitmap));
	EXPECT_EQ(0x3, bitmap);
	EXPECT_EQ(0x12, dirty(device));
	EXPECT_EQ(0, dma(device, 5, 0, 8));
	bitmap = 0;
	EXPECT_EQ(0, logging_report(device, IOVA, SIZE, 4 * PAGE_SIZE, &bitmap));
	EXPECT_EQ(0x2, bitmap);
}

/* More places than it remembers: all that is between them. */
TEST_F(log, forgets_nothing)
{
	int i;

	NEED_BITMAPS(self->device);
	ASSERT_EQ(0, logging_start(self->device, IOVA, SIZE));
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, dma(self->device, i % 2 ? 6 : 2, 0, 1));
	EXPECT_EQ(0x44, dirty(self->device) & 0x44);
	EXPECT_EQ(0, dirty(self->device));
}

/* 6-87: page sizes and ranges that are none. */
TEST_F(log, wrong_reports)
{
	uint64_t bitmap = 0;
	int device = self->device;

	NEED_BITMAPS(self->device);
	ASSERT_EQ(0, logging_start(device, IOVA, SIZE));
	EXPECT_EQ(-EINVAL, logging_report(device, IOVA, SIZE, 0, &bitmap));
	EXPECT_EQ(-EINVAL, logging_report(device, IOVA, SIZE, 2048, &bitmap));
	EXPECT_EQ(-EINVAL, logging_report(device, IOVA, SIZE, 3 * PAGE_SIZE, &bitmap));
	EXPECT_EQ(-EINVAL, logging_report(device, IOVA, 0, PAGE_SIZE, &bitmap));
	EXPECT_EQ(-EOVERFLOW, logging_report(device, -PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE,
				     &bitmap));
	EXPECT_EQ(0, bitmap);
	/* Nothing comes of memory that is not there. */
	EXPECT_EQ(0, dma(device, 1, 0, 8));
	logging_report(device, IOVA, SIZE, PAGE_SIZE, BAD_POINTER);
	EXPECT_EQ(0, dma(device, 1, 0, 8));
	EXPECT_EQ(0x2, dirty(device));
}

/* The next user finds that nothing has begun. */
TEST_F(log, ends_with_its_user)
{
	ASSERT_EQ(0, logging_start(self->device, IOVA, SIZE));
	session_close(&self->session);
	ASSERT_EQ(0, memory_open(&self->session, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, logging_stop(self->session.device));
}

SAMPLES_TEST_MAIN("vfio_memory")
