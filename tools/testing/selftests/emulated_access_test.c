// SPDX-License-Identifier: GPL-2.0
/*
 * Emulated devices that reach their user's memory through an iommufd (9-8), as
 * emulated_pin_test.c has it for containers.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "kselftest_harness.h"
#include "locked_memory.h"
#include "memory_dma.h"

FIXTURE(iommufd)
{
	int iommufd;
	int device;
	long ioas;
	uint8_t *buffer;
	long pinned;
};

FIXTURE_VARIANT(iommufd)
{
	struct emulated_driver driver;
};

FIXTURE_VARIANT_ADD(iommufd, in_rust) { .driver = MEMORY_DRIVER };
FIXTURE_VARIANT_ADD(iommufd, in_c) { .driver = PAGES_DRIVER };

FIXTURE_SETUP(iommufd)
{
	NEED_DRIVER(&variant->driver);
	NEED_IOMMUFD();
	self->buffer = memory_new(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	self->pinned = memory_pinned_pages();
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->device = emulated_cdev_open(variant->driver.name);
	ASSERT_LE(0, self->device);
	ASSERT_LT(0, cdev_bind(self->device, self->iommufd));
	self->ioas = iommufd_ioas(self->iommufd);
	ASSERT_LT(0, self->ioas);
}

FIXTURE_TEARDOWN(iommufd)
{
	close(self->device);
	close(self->iommufd);
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	munmap(self->buffer, SIZE);
}

static long ioas_unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t size)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = iova,
		.length = size,
	};

	return vfio_ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap);
}

/* Devices may read it only. */
static long ioas_map_to_read(int iommufd, uint32_t ioas, void *vaddr, uint64_t iova, uint64_t size)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)vaddr,
		.length = size,
		.iova = iova,
	};

	return vfio_ioctl(iommufd, IOMMU_IOAS_MAP, &map);
}

#define ATTACH()							\
	do {								\
		ASSERT_EQ(0, iommufd_map(self->iommufd, self->ioas,	\
					 self->buffer, IOVA, SIZE));	\
		ASSERT_EQ(self->ioas, cdev_attach(self->device, self->ioas));	\
	} while (0)

/* 5-108, 9-8 */
TEST_F(iommufd, copies)
{
	int device = self->device;
	int worker;

	EXPECT_EQ(-ENOENT, load(device, VFIO_MEMORY_READ, IOVA, SIZE));
	ATTACH();
	for (worker = 0; worker < 2; worker++) {
		ASSERT_TRUE(put(device, REGISTER(options),
				worker ? VFIO_MEMORY_WORKER : 0));
		memset(self->buffer, 1 + worker, SIZE);
		EXPECT_EQ(1 + worker, load(device, VFIO_MEMORY_READ, IOVA, SIZE));
		EXPECT_EQ(0, store(device, VFIO_MEMORY_WRITE, IOVA + 100,
				   SIZE - 200, 7 + worker));
		EXPECT_TRUE(has_only(self->buffer, 100, 1 + worker));
		EXPECT_TRUE(has_only(self->buffer + 100, SIZE - 200, 7 + worker));
	}
	EXPECT_EQ(-ENOENT, load(device, VFIO_MEMORY_READ, IOVA + SIZE - 1, 2));
}

/* 5-108, 9-8: the driver is told, and lets go. */
TEST_F(iommufd, pins)
{
	int device = self->device;

	EXPECT_EQ(-ENOENT, pin(device, IOVA, SIZE));
	ATTACH();
	memset(self->buffer, 5, SIZE);
	ASSERT_EQ(0, pin(device, IOVA, SIZE));
	ASSERT_EQ(0, pin(device, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(-ENOENT, pin(device, IOVA, SIZE + 1));
	EXPECT_EQ(5, load(device, VFIO_MEMORY_READ_PINNED, IOVA, SIZE));
	EXPECT_EQ(0, store(device, VFIO_MEMORY_WRITE_PINNED, IOVA, SIZE, 6));
	EXPECT_TRUE(has_only(self->buffer, SIZE, 6));
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, SIZE));
	EXPECT_LE(1, REG(device, told));
	EXPECT_EQ(0, REG(device, pinned));
	EXPECT_EQ(-ENOENT, pin(device, IOVA, SIZE));
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
}

/* 5-102, 9-8: what is mapped to be read is not written to, nor are pages that were pinned so. */
TEST_F(iommufd, pins_to_read)
{
	int device = self->device;

	ASSERT_EQ(0, ioas_map_to_read(self->iommufd, self->ioas, self->buffer, IOVA, SIZE));
	ASSERT_EQ(self->ioas, cdev_attach(device, self->ioas));
	memset(self->buffer, 5, SIZE);
	EXPECT_EQ(-EPERM, pin(device, IOVA, SIZE));
	EXPECT_EQ(-EPERM, store(device, VFIO_MEMORY_WRITE, IOVA, SIZE, 6));
	EXPECT_EQ(5, load(device, VFIO_MEMORY_READ, IOVA, SIZE));
	ASSERT_EQ(0, command(device, VFIO_MEMORY_PIN_TO_READ, IOVA, SIZE));
	EXPECT_EQ(5, load(device, VFIO_MEMORY_READ_PINNED, IOVA, SIZE));
	EXPECT_EQ(-EPERM, store(device, VFIO_MEMORY_WRITE_PINNED, IOVA, SIZE, 6));
	EXPECT_TRUE(has_only(self->buffer, SIZE, 5));
	EXPECT_EQ(0, unpin(device, IOVA, SIZE));
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
}

/* 9-8: who leaves an address space leaves all that is pinned there. */
TEST_F(iommufd, pins_go_with_the_address_space)
{
	int device = self->device;
	long other = iommufd_ioas(self->iommufd);

	ASSERT_LT(0, other);
	ATTACH();
	ASSERT_EQ(0, pin(device, IOVA, SIZE));
	ASSERT_EQ(other, cdev_attach(device, other));
	EXPECT_EQ(1, REG(device, told));
	EXPECT_EQ(0, REG(device, pinned));
	EXPECT_EQ(-ENOENT, pin(device, IOVA, SIZE));
	ASSERT_EQ(self->ioas, cdev_attach(device, self->ioas));
	EXPECT_EQ(0, pin(device, IOVA, SIZE));
}

/* 5-108, 9-8: the driver is told of what is unmapped, and keeps what is not. */
TEST_F(iommufd, other_pins_stay)
{
	int device = self->device;
	unsigned long i;

	ASSERT_EQ(self->ioas, cdev_attach(device, self->ioas));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(0, iommufd_map(self->iommufd, self->ioas, self->buffer + i * PAGE_SIZE,
					 IOVA + i * PAGE_SIZE, PAGE_SIZE));
		ASSERT_EQ(0, pin(device, IOVA + i * PAGE_SIZE, PAGE_SIZE));
	}
	for (i = 0; i < PAGES; i++) {
		unsigned long page = i * 3 % PAGES;

		EXPECT_EQ((long)(PAGES - i), REG(device, pinned));
		EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA + page * PAGE_SIZE,
					PAGE_SIZE));
		EXPECT_EQ(-ENOENT, load(device, VFIO_MEMORY_READ_PINNED, IOVA + page * PAGE_SIZE,
					PAGE_SIZE));
	}
	EXPECT_EQ(0, REG(device, pinned));
}

/*
 * A process that pins page after page, until it is killed, and exits at an error that must
 * not be: a page may have left its address space or, where pages are unmapped, be about to.
 */
static pid_t pins_without_end(int device, bool unmapped)
{
	pid_t child = fork();
	int i;

	if (child)
		return child;
	for (i = 0; ; i++) {
		long ret = pin(device, IOVA + i % PAGES * PAGE_SIZE, PAGE_SIZE);

		if (ret && ret != -ENOENT && ret != -ENOSPC && !(unmapped && ret == -EINVAL))
			_exit(1);
	}
}

/* 9-8: while another thread of the user pins, pages go when they are unmapped. */
TEST_F(iommufd, unmap_against_pin)
{
	int device = self->device;
	pid_t child;
	int i;

	ATTACH();
	child = pins_without_end(device, true);
	ASSERT_LE(0, child);
	for (i = 0; i < 200; i++) {
		EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, SIZE));
		EXPECT_EQ(0, iommufd_map(self->iommufd, self->ioas, self->buffer, IOVA, SIZE));
	}
	EXPECT_EQ(0, waitpid(child, NULL, WNOHANG));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, SIZE));
	EXPECT_EQ(0, REG(device, pinned));
}

/* 9-8: while another thread of the user pins, pages go back to the address space they are of. */
TEST_F(iommufd, address_space_against_pin)
{
	long other = iommufd_ioas(self->iommufd);
	int device = self->device;
	pid_t child;
	int i;

	ASSERT_LT(0, other);
	ASSERT_EQ(0, iommufd_map(self->iommufd, other, self->buffer, IOVA, SIZE));
	ATTACH();
	child = pins_without_end(device, false);
	ASSERT_LE(0, child);
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(other, cdev_attach(device, other));
		ASSERT_EQ(self->ioas, cdev_attach(device, self->ioas));
	}
	EXPECT_EQ(0, waitpid(child, NULL, WNOHANG));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, SIZE));
	EXPECT_EQ(0, ioas_unmap(self->iommufd, other, IOVA, SIZE));
	EXPECT_EQ(0, REG(device, pinned));
}

/* 9-8: a device that is closed, or detached, has let go of everything. */
TEST_F(iommufd, close_takes_pins)
{
	ATTACH();
	ASSERT_EQ(0, pin(self->device, IOVA, SIZE));
	ASSERT_TRUE(put(self->device, REGISTER(options), VFIO_MEMORY_KEEP));
	close(self->device);
	self->device = -1;
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, IOVA, SIZE));
}

SAMPLES_TEST_MAIN("vfio_memory", "vfio_pages")
