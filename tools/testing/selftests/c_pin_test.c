// SPDX-License-Identifier: GPL-2.0
/*
 * What a driver in C has in place of DMA, and what else it may call: vfio_pins, which both
 * stacks load, does so when its user asks for it (9-2, 9-8, 9-9, 9-10).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "../c-drivers/vfio-pins/vfio_pins.h"
#include "kselftest_harness.h"
#include "kernel_log.h"
#include "locked_memory.h"
#include "samples.h"

#define MODULE		"vfio_pins"
#define NAME		"vfio-pins"

#define IOVA		0x10000000UL
#define PAGES		8UL
#define SIZE		(PAGES * PAGE_SIZE)

/* The kernel's IOMMU_READ and IOMMU_WRITE. */
#define READ		1
#define WRITE		2

static long request(int device, unsigned long what, uint64_t iova, uint32_t count,
		    uint32_t prot, void *bytes)
{
	struct pins_request request = {
		.iova = iova,
		.count = count,
		.prot = prot,
		.bytes = (uintptr_t)bytes,
	};

	return vfio_ioctl(device, what, &request);
}

static long pin(int device, uint64_t iova, uint32_t count, uint32_t prot)
{
	return request(device, PINS_PIN, iova, count, prot, NULL);
}

static long unpin(int device, uint64_t iova, uint32_t count)
{
	return request(device, PINS_UNPIN, iova, count, 0, NULL);
}

static struct pins_report report_of(int device)
{
	struct pins_report report = {};

	if (vfio_ioctl(device, PINS_REPORT, &report))
		report.opened = ~0U;
	return report;
}

/* The first byte of each page says which one it is. */
static void number(uint8_t *buffer, unsigned long pages)
{
	unsigned long i;

	for (i = 0; i < pages; i++)
		buffer[i * PAGE_SIZE] = 10 + i;
}

FIXTURE(container)
{
	struct vfio_session session;
	int container;
	int device;
	uint8_t *buffer;
	long pinned;
	long locked;
};

FIXTURE_SETUP(container)
{
	if (!sample_exists(MODULE))
		SKIP(return, "the kernel has no module " MODULE);
	self->buffer = memory_new(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	ASSERT_EQ(0, emulated_open(&self->session, NAME, VFIO_TYPE1v2_IOMMU));
	self->container = self->session.container;
	self->device = self->session.device;
	self->pinned = memory_pinned_pages();
	self->locked = memory_locked_kb();
}

FIXTURE_TEARDOWN(container)
{
	session_close(&self->session);
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(self->locked, settled_locked_kb(self->locked));
	munmap(self->buffer, SIZE);
}

#define MAP(flags)							\
	ASSERT_EQ(0, type1_map(self->container, self->buffer, IOVA, SIZE, flags))

/* 5-105, 5-106: in other portions than they were pinned. */
TEST_F(container, pins_page_by_page)
{
	int device = self->device;
	uint8_t bytes[PAGES];
	unsigned long i;

	MAP(DMA_RW);
	number(self->buffer, PAGES);
	ASSERT_EQ(PAGES, request(device, PINS_PIN, IOVA, PAGES, READ | WRITE, bytes));
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(10 + i, bytes[i]);
		EXPECT_EQ(11 + i, self->buffer[i * PAGE_SIZE]);
	}
	EXPECT_EQ(self->pinned + (long)PAGES, settled_pinned_pages(self->pinned + PAGES));
	EXPECT_EQ(self->locked + 4 * (long)PAGES, memory_locked_kb());

	/* The page is meant even if the address is in the middle of it. */
	ASSERT_EQ(3, request(device, PINS_PIN, IOVA + 2 * PAGE_SIZE, 3, READ, bytes));
	EXPECT_EQ(13, bytes[0]);
	EXPECT_EQ(PAGES + 3, report_of(device).pinned);
	EXPECT_EQ(self->pinned + (long)PAGES, settled_pinned_pages(self->pinned + PAGES));

	ASSERT_EQ(0, unpin(device, IOVA + PAGE_SIZE, 2));
	EXPECT_EQ(self->pinned + (long)PAGES - 1, settled_pinned_pages(self->pinned + PAGES - 1));
	ASSERT_EQ(0, unpin(device, IOVA + 2 * PAGE_SIZE, 6));
	EXPECT_EQ(self->pinned + 3, settled_pinned_pages(self->pinned + 3));
	EXPECT_EQ(self->locked + 12, settled_locked_kb(self->locked + 12));
	ASSERT_EQ(0, unpin(device, IOVA, 1));
	ASSERT_EQ(0, unpin(device, IOVA + 3 * PAGE_SIZE, 2));
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(0, report_of(device).pinned);
}

/* 5-102 to 5-104: and nothing is left of what was pinned before that. */
TEST_F(container, refuses_pins)
{
	uint32_t left = report_of(self->device).left;
	int device = self->device;

	EXPECT_EQ(-EINVAL, pin(device, IOVA, 1, READ));
	MAP(VFIO_DMA_MAP_FLAG_READ);
	EXPECT_EQ(-EINVAL, pin(device, IOVA, 0, READ));
	EXPECT_EQ(-EINVAL, vfio_ioctl(device, PINS_BAD_PIN, 0));
	EXPECT_EQ(-EINVAL, pin(device, IOVA, PAGES + 1, READ));
	EXPECT_EQ(-E2BIG, pin(device, IOVA, 513, READ));
	EXPECT_EQ(-EINVAL, pin(device, IOVA, 512, READ));
	EXPECT_EQ(-EOVERFLOW, pin(device, -PAGE_SIZE, 2, READ));
	EXPECT_EQ(-EPERM, pin(device, IOVA, PAGES, READ | WRITE));
	EXPECT_EQ(0, report_of(device).pinned);
	EXPECT_EQ(left, report_of(device).left);
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(self->locked, settled_locked_kb(self->locked));

	session_close(&self->session);
	ASSERT_EQ(0, emulated_open(&self->session, NAME, VFIO_TYPE1_IOMMU));
	self->container = self->session.container;
	MAP(DMA_RW);
	EXPECT_EQ(-EACCES, pin(self->session.device, IOVA, 1, READ));
}

/* 5-107 */
TEST_F(container, copies)
{
	uint8_t bytes[PINS_MOST];
	int device = self->device;

	EXPECT_EQ(-EINVAL, request(device, PINS_READ, IOVA, 1, 0, bytes));
	MAP(DMA_RW);
	number(self->buffer, PAGES);
	ASSERT_EQ(0, request(device, PINS_READ, IOVA + PAGE_SIZE, PINS_MOST, 0, bytes));
	EXPECT_EQ(11, bytes[0]);
	memset(bytes, 77, sizeof(bytes));
	/* Over the end of a page. */
	ASSERT_EQ(0, request(device, PINS_WRITE, IOVA + PAGE_SIZE - 10, 20, 0, bytes));
	EXPECT_EQ(0, self->buffer[PAGE_SIZE - 11]);
	EXPECT_EQ(77, self->buffer[PAGE_SIZE - 10]);
	EXPECT_EQ(77, self->buffer[PAGE_SIZE + 9]);
	EXPECT_EQ(0, self->buffer[PAGE_SIZE + 10]);
	EXPECT_EQ(-EINVAL, request(device, PINS_READ, IOVA, 0, 0, bytes));
	EXPECT_EQ(-EINVAL, request(device, PINS_READ, IOVA + SIZE - 1, 2, 0, bytes));
	EXPECT_EQ(-EINVAL, vfio_ioctl(device, PINS_BAD_READ, 0));
	EXPECT_EQ(self->pinned, memory_pinned_pages());

	ASSERT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	MAP(VFIO_DMA_MAP_FLAG_READ);
	EXPECT_EQ(-EPERM, request(device, PINS_WRITE, IOVA, 1, 0, bytes));
	EXPECT_EQ(0, request(device, PINS_READ, IOVA, 1, 0, bytes));
}

/* 5-57: the driver takes a lock that it has as well when it pins, as gvt does. */
TEST_F(container, unmap_takes_pins)
{
	struct pins_report report;

	MAP(DMA_RW);
	ASSERT_EQ(4, pin(self->device, IOVA + PAGE_SIZE, 4, READ));
	ASSERT_EQ(2, pin(self->device, IOVA + PAGE_SIZE, 2, READ | WRITE));
	report = report_of(self->device);
	EXPECT_EQ(6, report.pinned);
	EXPECT_EQ(0, report.told);
	ASSERT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	report = report_of(self->device);
	EXPECT_EQ(0, report.pinned);
	EXPECT_EQ(1, report.told);
	EXPECT_EQ(IOVA, report.told_iova);
	EXPECT_EQ(SIZE, report.told_length);
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));

	/* Who has nothing is not told anything. */
	MAP(DMA_RW);
	ASSERT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	EXPECT_EQ(1, report_of(self->device).told);
}

/* 12-32: a driver that does not let go; with the C modules this is the end of the machine. */
TEST_F(container, unmap_gives_up)
{
	int log;

	if (on_c_modules())
		SKIP(return, "C modules: BUG()");
	log = log_open();
	ASSERT_LE(0, log);
	MAP(DMA_RW);
	ASSERT_EQ(2, pin(self->device, IOVA, 2, READ));
	ASSERT_EQ(0, vfio_ioctl_arg(self->device, PINS_KEEP, 1));
	EXPECT_EQ(-EBUSY, type1_unmap(self->container, IOVA, SIZE, 0));
	EXPECT_EQ(2, report_of(self->device).pinned);
	EXPECT_LT(1, report_of(self->device).told);
	EXPECT_TRUE(log_reaches(log, "and has 2 pinned still"));
	close(log);
	ASSERT_EQ(0, vfio_ioctl_arg(self->device, PINS_KEEP, 0));
	EXPECT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	EXPECT_EQ(0, report_of(self->device).pinned);
}

TEST_F(container, close_takes_pins)
{
	uint32_t opened;

	MAP(DMA_RW);
	ASSERT_EQ(PAGES, pin(self->device, IOVA, PAGES, READ));
	opened = report_of(self->device).opened;
	close(self->device);
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	self->session.device = group_device(self->session.group, NAME);
	ASSERT_LE(0, self->session.device);
	EXPECT_EQ(0, report_of(self->session.device).pinned);
	EXPECT_EQ(opened + 1, report_of(self->session.device).opened);
}

/* 9-2 */
TEST_F(container, knows_files)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, null);
	EXPECT_EQ(3, vfio_ioctl_arg(self->device, PINS_FILE, self->session.group));
	EXPECT_EQ(0, vfio_ioctl_arg(self->device, PINS_FILE, self->device));
	EXPECT_EQ(0, vfio_ioctl_arg(self->device, PINS_FILE, self->container));
	EXPECT_EQ(0, vfio_ioctl_arg(self->device, PINS_FILE, null));
	close(null);
}

/* 9-10 */
TEST_F(container, is_called_by_an_eventfd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct pins_report before = report_of(self->device), report;
	int device = self->device;
	int event = event_new();
	int other = event_new();

	ASSERT_LE(0, null);
	ASSERT_LE(0, event);
	ASSERT_LE(0, other);
	/* Nothing to take away, or to wait for. */
	EXPECT_EQ(0, vfio_ioctl_arg(device, PINS_NO_EVENTFD, 0));
	EXPECT_EQ(0, vfio_ioctl_arg(device, PINS_FLUSH, 0));
	EXPECT_EQ(-EBADF, vfio_ioctl_arg(device, PINS_EVENTFD, 9999));
	EXPECT_EQ(-EINVAL, vfio_ioctl_arg(device, PINS_EVENTFD, null));

	ASSERT_EQ(0, vfio_ioctl_arg(device, PINS_EVENTFD, event));
	EXPECT_EQ(-EBUSY, vfio_ioctl_arg(device, PINS_EVENTFD, other));
	EXPECT_EQ(-EBADF, vfio_ioctl_arg(device, PINS_EVENTFD, 9999));
	ASSERT_EQ(0, event_signal(event));
	ASSERT_EQ(0, vfio_ioctl_arg(device, PINS_FLUSH, 0));
	report = report_of(device);
	EXPECT_EQ(before.signalled + 1, report.signalled);
	EXPECT_EQ(before.threads + 1, report.threads);
	/* The counter was read. */
	EXPECT_EQ(-EAGAIN, event_take(event));

	/* Once it is taken away it is an eventfd as any other. */
	ASSERT_EQ(0, vfio_ioctl_arg(device, PINS_NO_EVENTFD, 0));
	ASSERT_EQ(0, event_signal(event));
	EXPECT_EQ(before.signalled + 1, report_of(device).signalled);

	/* It was signalled before. */
	ASSERT_EQ(0, vfio_ioctl_arg(device, PINS_EVENTFD, event));
	EXPECT_EQ(before.signalled + 2, report_of(device).signalled);

	/* Who closes it makes room for another one. */
	close(event);
	ASSERT_EQ(0, vfio_ioctl_arg(device, PINS_EVENTFD, other));
	ASSERT_EQ(0, event_signal(other));
	ASSERT_EQ(0, vfio_ioctl_arg(device, PINS_FLUSH, 0));
	report = report_of(device);
	EXPECT_EQ(before.signalled + 3, report.signalled);
	EXPECT_EQ(before.threads + 3, report.threads);
	/* The last close of the device takes it away. */
	close(other);
	close(null);
}

/* ---- through an iommufd ---- */

FIXTURE(iommufd)
{
	int iommufd;
	int device;
	long ioas;
	uint8_t *buffer;
	long pinned;
};

FIXTURE_SETUP(iommufd)
{
	if (!sample_exists(MODULE))
		SKIP(return, "the kernel has no module " MODULE);
	NEED_IOMMUFD();
	self->buffer = memory_new(PINS_MOST * PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	self->pinned = memory_pinned_pages();
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->device = emulated_cdev_open(NAME);
	ASSERT_LE(0, self->device);
	ASSERT_LT(0, cdev_bind(self->device, self->iommufd));
	self->ioas = iommufd_ioas(self->iommufd);
	ASSERT_LT(0, self->ioas);
	ASSERT_EQ(0, iommufd_map(self->iommufd, self->ioas, self->buffer, IOVA,
				 PINS_MOST * PAGE_SIZE));
	number(self->buffer, PAGES);
}

FIXTURE_TEARDOWN(iommufd)
{
	close(self->device);
	close(self->iommufd);
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	munmap(self->buffer, PINS_MOST * PAGE_SIZE);
}

/* 5-108: whoever unpins a part of what was pinned at once gets a warning of the C modules. */
TEST_F(iommufd, pins)
{
	uint8_t bytes[PAGES];
	unsigned long i;

	EXPECT_EQ(-ENOENT, pin(self->device, IOVA, 1, READ));
	ASSERT_LE(0, cdev_attach(self->device, self->ioas));
	ASSERT_EQ(PAGES, request(self->device, PINS_PIN, IOVA + 5, PAGES, READ, bytes));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(10 + i, bytes[i]);
	ASSERT_EQ(2, pin(self->device, IOVA, 2, READ | WRITE));
	EXPECT_EQ(12, self->buffer[PAGE_SIZE]);
	ASSERT_EQ(0, unpin(self->device, IOVA, PAGES));
	ASSERT_EQ(0, unpin(self->device, IOVA, 2));
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));

	/* There may be more of them than in a container. */
	ASSERT_EQ(600, pin(self->device, IOVA, 600, READ));
	ASSERT_EQ(0, unpin(self->device, IOVA, 600));
	EXPECT_EQ(-ENOENT, pin(self->device, IOVA + PAGE_SIZE, PINS_MOST, READ));
	EXPECT_EQ(-EINVAL, pin(self->device, IOVA, 0, READ));
	EXPECT_EQ(-EOVERFLOW, pin(self->device, -PAGE_SIZE, 2, READ));
	EXPECT_EQ(0, report_of(self->device).pinned);
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
}

/* 5-108 */
TEST_F(iommufd, copies)
{
	uint8_t bytes[20] = { 1, 2 };

	EXPECT_EQ(-ENOENT, request(self->device, PINS_READ, IOVA, 1, 0, bytes));
	ASSERT_LE(0, cdev_attach(self->device, self->ioas));
	ASSERT_EQ(0, request(self->device, PINS_WRITE, IOVA + PAGE_SIZE - 1, 20, 0, bytes));
	EXPECT_EQ(1, self->buffer[PAGE_SIZE - 1]);
	EXPECT_EQ(2, self->buffer[PAGE_SIZE]);
	ASSERT_EQ(0, request(self->device, PINS_READ, IOVA + 2 * PAGE_SIZE, 20, 0, bytes));
	EXPECT_EQ(12, bytes[0]);
	EXPECT_EQ(-EINVAL, request(self->device, PINS_READ, IOVA, 0, 0, bytes));
	EXPECT_EQ(-ENOENT, request(self->device, PINS_READ, IOVA - 1, 2, 0, bytes));
}

TEST_F(iommufd, unmap_takes_pins)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = self->ioas,
		.iova = IOVA,
		.length = PINS_MOST * PAGE_SIZE,
	};

	ASSERT_LE(0, cdev_attach(self->device, self->ioas));
	ASSERT_EQ(1, pin(self->device, IOVA + PAGE_SIZE, 1, READ));
	ASSERT_EQ(1, pin(self->device, IOVA + 7 * PAGE_SIZE, 1, READ));
	ASSERT_EQ(0, vfio_ioctl(self->iommufd, IOMMU_IOAS_UNMAP, &unmap));
	EXPECT_EQ(0, report_of(self->device).pinned);
	EXPECT_LT(0, report_of(self->device).told);
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
}

/* 9-9: only a device that does DMA has an object there. */
TEST_F(iommufd, has_no_id)
{
	EXPECT_EQ(-EINVAL, vfio_ioctl_arg(self->device, PINS_DEVICE_ID, 0));
}

SAMPLES_TEST_MAIN(MODULE)
