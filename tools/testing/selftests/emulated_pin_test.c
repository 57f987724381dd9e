// SPDX-License-Identifier: GPL-2.0
/*
 * Emulated devices that reach their user's memory through a container: pages that are
 * pinned, bytes that are copied, and what happens to them when the user unmaps them. The
 * device is the sample vfio_memory, which is told by registers what to do, or vfio_pages, the
 * same in C.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "dirty_pages.h"
#include "fault_injection.h"
#include "kernel_log.h"
#include "locked_memory.h"
#include "memory_dma.h"

#define ALL		VFIO_DMA_UNMAP_FLAG_ALL
#define MOST_PAGES	512UL

/* ---- through a container ---- */

FIXTURE(container)
{
	struct vfio_session session;
	int container;
	int device;
	uint8_t *buffer;
	long pinned;
	long locked;
};

FIXTURE_VARIANT(container)
{
	struct emulated_driver driver;
};

FIXTURE_VARIANT_ADD(container, in_rust) { .driver = MEMORY_DRIVER };
FIXTURE_VARIANT_ADD(container, in_c) { .driver = PAGES_DRIVER };

FIXTURE_SETUP(container)
{
	NEED_DRIVER(&variant->driver);
	self->buffer = memory_new(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	ASSERT_EQ(0, emulated_open(&self->session, variant->driver.name,
				   VFIO_TYPE1v2_IOMMU));
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

/* 5-107: over several mappings, in the middle of pages; for who maps, and in a worker. */
TEST_F(container, copies)
{
	int device = self->device;
	int worker;

	ASSERT_EQ(0, type1_map(self->container, self->buffer, IOVA, PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, type1_map(self->container, self->buffer + PAGE_SIZE,
			       IOVA + PAGE_SIZE, SIZE - PAGE_SIZE, DMA_RW));
	for (worker = 0; worker < 2; worker++) {
		ASSERT_TRUE(put(device, REGISTER(options),
				worker ? VFIO_MEMORY_WORKER : 0));
		memset(self->buffer, 1 + worker, SIZE);
		EXPECT_EQ(1 + worker, load(device, VFIO_MEMORY_READ, IOVA, SIZE));
		EXPECT_EQ(0, store(device, VFIO_MEMORY_WRITE, IOVA + 100,
				   SIZE - 200, 7 + worker));
		EXPECT_TRUE(has_only(self->buffer, 100, 1 + worker));
		EXPECT_TRUE(has_only(self->buffer + 100, SIZE - 200, 7 + worker));
		EXPECT_TRUE(has_only(self->buffer + SIZE - 100, 100, 1 + worker));
	}
	/* Nothing of it is pinned. */
	EXPECT_EQ(self->pinned, memory_pinned_pages());
}

/* 5-107 */
TEST_F(container, copies_refused)
{
	int device = self->device;

	EXPECT_EQ(-EINVAL, load(device, VFIO_MEMORY_READ, IOVA, 1));
	MAP(VFIO_DMA_MAP_FLAG_READ);
	EXPECT_EQ(-EINVAL, command(device, VFIO_MEMORY_READ, IOVA, 0));
	EXPECT_EQ(-EINVAL, command(device, VFIO_MEMORY_READ, IOVA + SIZE - 1, 2));
	EXPECT_EQ(-EINVAL, command(device, VFIO_MEMORY_READ, IOVA - 1, 2));
	EXPECT_EQ(-EPERM, store(device, VFIO_MEMORY_WRITE, IOVA, SIZE, 1));
	EXPECT_EQ(0, load(device, VFIO_MEMORY_READ, IOVA, SIZE));
	ASSERT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	/* To write is to read as well. */
	MAP(VFIO_DMA_MAP_FLAG_WRITE);
	EXPECT_EQ(-EPERM, load(device, VFIO_MEMORY_READ, IOVA, SIZE));
	EXPECT_EQ(-EPERM, store(device, VFIO_MEMORY_WRITE, IOVA, SIZE, 1));
	ASSERT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	ASSERT_EQ(0, type1_map(self->container, BAD_POINTER - 8, IOVA, SIZE, DMA_RW));
	EXPECT_EQ(-EFAULT, load(device, VFIO_MEMORY_READ, IOVA, SIZE));
}

/* 5-107: another process has other memory at that address, a kernel thread none. */
TEST_F(container, copies_memory_of_who_mapped_it)
{
	int device = self->device;
	pid_t child;

	MAP(DMA_RW);
	memset(self->buffer, 3, SIZE);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		memset(self->buffer, 4, SIZE);
		_exit(load(device, VFIO_MEMORY_READ, IOVA, SIZE) != -EFAULT ||
		      !put(device, REGISTER(options), VFIO_MEMORY_WORKER) ||
		      load(device, VFIO_MEMORY_READ, IOVA, SIZE) != 3);
	}
	EXPECT_EQ(0, child_result(child));
}

/* 5-105: pages are pinned and charged once, however often; until the last one lets go. */
TEST_F(container, pins)
{
	int device = self->device;

	MAP(DMA_RW);
	memset(self->buffer, 5, SIZE);
	ASSERT_EQ(0, pin(device, IOVA, SIZE));
	EXPECT_EQ(self->pinned + (long)PAGES, settled_pinned_pages(self->pinned + PAGES));
	EXPECT_EQ(self->locked + 4 * (long)PAGES, memory_locked_kb());
	ASSERT_EQ(0, pin(device, IOVA + PAGE_SIZE, 2 * PAGE_SIZE));
	/* It is a page even if a byte is asked for. */
	ASSERT_EQ(0, pin(device, IOVA + PAGE_SIZE + 7, 1));
	EXPECT_EQ(3, REG(device, pinned));
	EXPECT_EQ(self->locked + 4 * (long)PAGES, memory_locked_kb());

	EXPECT_EQ(5, load(device, VFIO_MEMORY_READ_PINNED, IOVA, SIZE));
	EXPECT_EQ(0, store(device, VFIO_MEMORY_WRITE_PINNED, IOVA + 10, SIZE - 20, 6));
	EXPECT_TRUE(has_only(self->buffer, 10, 5));
	EXPECT_TRUE(has_only(self->buffer + 10, SIZE - 20, 6));

	/* That of all, and two more of the second page. */
	EXPECT_EQ(0, unpin(device, IOVA, PAGE_SIZE));
	EXPECT_EQ(2, REG(device, pinned));
	EXPECT_EQ(self->pinned + 2, settled_pinned_pages(self->pinned + 2));
	EXPECT_EQ(self->locked + 8, settled_locked_kb(self->locked + 8));
	EXPECT_EQ(-ENOENT, load(device, VFIO_MEMORY_READ_PINNED, IOVA, SIZE));
	EXPECT_EQ(0, unpin(device, IOVA, SIZE));
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(self->locked, settled_locked_kb(self->locked));
}

/*
 * 5-102 to 5-104: and nothing is left of what was pinned before that. ENOTTY and EBUSY cannot
 * be had: a container in no-IOMMU mode has no emulated device (noiommu_test.c), nor has one
 * with an address that is not valid (type1_vaddr_test.c).
 */
TEST_F(container, pins_refused)
{
	int device = self->device;

	EXPECT_EQ(-EINVAL, pin(device, IOVA, SIZE));
	MAP(DMA_RW);
	EXPECT_EQ(-EINVAL, pin(device, IOVA, SIZE + 1));
	EXPECT_EQ(-EINVAL, pin(device, IOVA - PAGE_SIZE, SIZE));
	EXPECT_EQ(-E2BIG, pin(device, IOVA, MOST_PAGES * PAGE_SIZE + 1));
	EXPECT_EQ(-EINVAL, pin(device, IOVA, MOST_PAGES * PAGE_SIZE));
	EXPECT_EQ(-EOVERFLOW, pin(device, -PAGE_SIZE, PAGE_SIZE + 1));
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(self->locked, settled_locked_kb(self->locked));
	ASSERT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	MAP(VFIO_DMA_MAP_FLAG_READ);
	EXPECT_EQ(-EPERM, pin(device, IOVA, SIZE));
	EXPECT_EQ(0, command(device, VFIO_MEMORY_PIN_TO_READ, IOVA, SIZE));
	EXPECT_EQ(0, load(device, VFIO_MEMORY_READ_PINNED, IOVA, SIZE));
	EXPECT_EQ(-EPERM, store(device, VFIO_MEMORY_WRITE_PINNED, IOVA, SIZE, 1));
	EXPECT_EQ(0, unpin(device, IOVA, SIZE));

	/* There is no memory behind the last page, or it is that of a device. */
	ASSERT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	MAP(DMA_RW);
	ASSERT_EQ(0, munmap(self->buffer + SIZE - PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(-EFAULT, pin(device, IOVA, SIZE));
	if (!variant->driver.in_c) {
		ASSERT_EQ(self->buffer + SIZE - PAGE_SIZE,
			  mmap(self->buffer + SIZE - PAGE_SIZE, PAGE_SIZE,
			       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, device,
			       0));
		EXPECT_EQ(-EINVAL, pin(device, IOVA, SIZE));
	}
	EXPECT_EQ(0, REG(device, pinned));
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(self->locked, settled_locked_kb(self->locked));
}

/* 5-104 */
TEST_F(container, pins_not_in_version_1)
{
	session_close(&self->session);
	ASSERT_EQ(0, emulated_open(&self->session, variant->driver.name,
				   VFIO_TYPE1_IOMMU));
	self->container = self->session.container;
	MAP(DMA_RW);
	memset(self->buffer, 2, SIZE);
	EXPECT_EQ(-EACCES, pin(self->session.device, IOVA, SIZE));
	EXPECT_EQ(2, load(self->session.device, VFIO_MEMORY_READ, IOVA, SIZE));
}

/* 5-32, 5-105: the limit is that of pages, not of pins. */
TEST_F(container, pins_are_limited)
{
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		int device = self->device;

		if (!ipc_lock_drop() || locked_limit(0, 2 * PAGE_SIZE) ||
		    type1_map(self->container, self->buffer, IOVA, SIZE, DMA_RW))
			_exit(1);
		if (pin(device, IOVA, PAGE_SIZE) || pin(device, IOVA, 2 * PAGE_SIZE) ||
		    pin(device, IOVA, 2 * PAGE_SIZE))
			_exit(2);
		if (pin(device, IOVA, 3 * PAGE_SIZE) != -ENOMEM ||
		    pin(device, IOVA + 2 * PAGE_SIZE, PAGE_SIZE) != -ENOMEM)
			_exit(3);
		if (unpin(device, IOVA, SIZE) ||
		    pin(device, IOVA + 2 * PAGE_SIZE, 2 * PAGE_SIZE))
			_exit(4);
		_exit(0);
	}
	EXPECT_EQ(0, child_result(child));
	/* 5-104: its memory stays pinned, but there is no more of it. */
	EXPECT_EQ(1, REG(self->device, pinned));
	EXPECT_EQ(-ENODEV, pin(self->device, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, pin(self->device, IOVA + 2 * PAGE_SIZE, PAGE_SIZE));
}

/* ---- what is unmapped ---- */

/* 5-57: the driver is told of a whole mapping, once, and lets go. */
TEST_F(container, unmap_takes_pins)
{
	int device = self->device;

	MAP(DMA_RW);
	ASSERT_EQ(0, type1_map(self->container, self->buffer, IOVA + 2 * SIZE,
			       PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, pin(device, IOVA, PAGE_SIZE));
	ASSERT_EQ(0, pin(device, IOVA + PAGE_SIZE, PAGE_SIZE));
	/* Nothing is pinned there, so nobody is told. */
	EXPECT_EQ(PAGE_SIZE, type1_unmap(self->container, IOVA + 2 * SIZE, PAGE_SIZE, 0));
	EXPECT_EQ(0, REG(device, told));
	EXPECT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	EXPECT_EQ(1, REG(device, told));
	EXPECT_EQ(0, REG(device, pinned));
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(self->locked, settled_locked_kb(self->locked));
	EXPECT_EQ(-EINVAL, pin(device, IOVA, PAGE_SIZE));
	MAP(DMA_RW);
	EXPECT_EQ(0, pin(device, IOVA, PAGE_SIZE));
	EXPECT_EQ(SIZE, type1_unmap(self->container, 0, 0, ALL));
}

/* 12-32: a driver that does not let go keeps the mapping, and the machine goes on. */
TEST_F(container, unmap_gives_up)
{
	int device = self->device;
	char message[128];
	int log = log_open();
	int i;

	if (on_c_modules())
		SKIP(return, "C modules: the kernel would crash");
	ASSERT_LE(0, log);
	snprintf(message, sizeof(message),
		 "%s: vfio: the driver was told to let go of pages at 0x10000000",
		 variant->driver.name);
	MAP(DMA_RW);
	ASSERT_EQ(0, type1_map(self->container, self->buffer, IOVA - SIZE, SIZE, DMA_RW));
	memset(self->buffer, 9, SIZE);
	ASSERT_EQ(0, pin(device, IOVA, PAGE_SIZE));
	ASSERT_TRUE(put(device, REGISTER(options), VFIO_MEMORY_KEEP));
	EXPECT_EQ(-EBUSY, type1_unmap(self->container, IOVA, SIZE, 0));
	EXPECT_EQ(11, REG(device, told));
	EXPECT_TRUE(log_reaches(log, message));
	/* Nor is anything else of the request. */
	EXPECT_EQ(-EBUSY, type1_unmap(self->container, 0, 0, ALL));
	EXPECT_EQ(-EEXIST, type1_map(self->container, self->buffer, IOVA - SIZE,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EEXIST, type1_map(self->container, self->buffer, IOVA,
				     PAGE_SIZE, DMA_RW));
	/* All goes on. */
	EXPECT_EQ(9, load(device, VFIO_MEMORY_READ, IOVA, SIZE));
	EXPECT_EQ(9, load(device, VFIO_MEMORY_READ_PINNED, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, pin(device, IOVA + PAGE_SIZE, PAGE_SIZE));
	ASSERT_TRUE(put(device, REGISTER(options), 0));
	EXPECT_EQ(2 * SIZE, type1_unmap(self->container, 0, 0, ALL));
	/* Nor does the user fill the log. */
	MAP(DMA_RW);
	ASSERT_EQ(0, pin(device, IOVA, PAGE_SIZE));
	ASSERT_TRUE(put(device, REGISTER(options), VFIO_MEMORY_KEEP));
	for (i = 0; i < 50; i++)
		EXPECT_EQ(-EBUSY, type1_unmap(self->container, IOVA, SIZE, 0));
	i = log_count(log, message);
	EXPECT_LT(0, i);
	EXPECT_GE(12, i);
	close(log);
}

/* 5-106: a device that is closed has let go of everything. */
TEST_F(container, close_takes_pins)
{
	MAP(DMA_RW);
	ASSERT_EQ(0, pin(self->device, IOVA, SIZE));
	ASSERT_TRUE(put(self->device, REGISTER(options), VFIO_MEMORY_KEEP));
	close(self->session.device);
	self->session.device = -1;
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(self->locked, settled_locked_kb(self->locked));
	EXPECT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
}

/* Another thread of the user pins while this one unmaps and maps. */
TEST_F(container, unmap_against_pin)
{
	int device = self->device;
	pid_t child = fork();
	int i;

	ASSERT_LE(0, child);
	if (!child) {
		for (i = 0; ; i++) {
			long ret = pin(device, IOVA + i % PAGES * PAGE_SIZE, PAGE_SIZE);

			if (ret && ret != -EINVAL && ret != -ENOSPC)
				_exit(1);
		}
	}
	for (i = 0; i < 200; i++) {
		MAP(DMA_RW);
		EXPECT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	}
	EXPECT_EQ(0, waitpid(child, NULL, WNOHANG));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	EXPECT_EQ(0, REG(device, pinned));
}

/* 5-104: allocations fail, one after the other, and nothing is left of it. */
TEST_F(container, pins_without_memory)
{
	int device = self->device;
	unsigned int nth;
	bool failed = true;
	long ret = 0;

	NEED_INJECTION();
	ASSERT_EQ(0, type1_map(self->container, self->buffer, IOVA, PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, type1_map(self->container, self->buffer + PAGE_SIZE,
			       IOVA + PAGE_SIZE, SIZE - PAGE_SIZE, DMA_RW));
	ASSERT_TRUE(put(device, REGISTER(iova), IOVA));
	ASSERT_TRUE(put(device, REGISTER(length), SIZE));
	for (nth = 1; failed && nth < ATTEMPTS; nth++) {
		bool done;

		injection_begin(nth);
		done = put(device, REGISTER(command), VFIO_MEMORY_PIN);
		failed = injection_end();
		if (!done)
			continue;
		ret = REG(device, result);
		ASSERT_EQ(ret ? -ENOMEM : 0, ret);
		EXPECT_EQ(ret ? 0 : 1, REG(device, pinned));
		EXPECT_EQ(0, unpin(device, IOVA, SIZE));
		EXPECT_EQ(self->locked, settled_locked_kb(self->locked));
		EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
		ASSERT_TRUE(put(device, REGISTER(iova), IOVA));
	}
	ASSERT_LT(nth, ATTEMPTS);
	EXPECT_LT(5, nth);
	EXPECT_EQ(0, ret);
}

/* ---- dirty tracking ---- */

static long dirty_bits(int container, uint64_t *bits)
{
	const struct dirty_request request = {
		.iova = IOVA,
		.size = SIZE,
		.page_size = PAGE_SIZE,
		.bytes = sizeof(*bits),
		.data = bits,
	};

	*bits = 0;
	return dirty_get(container, &request);
}

/* 5-66, 5-75, 5-76: pages that are pinned, and those that were since the last report. */
TEST_F(container, pinned_pages_are_dirty)
{
	int container = self->container;
	int device = self->device;
	uint64_t bits;

	MAP(DMA_RW);
	ASSERT_EQ(0, pin(device, IOVA + PAGE_SIZE, PAGE_SIZE));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(2, bits);
	ASSERT_EQ(0, pin(device, IOVA + 4 * PAGE_SIZE, 2 * PAGE_SIZE));
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(0x32, bits);
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(0x32, bits);
	ASSERT_EQ(0, unpin(device, IOVA, SIZE));
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(0x32, bits);
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(0, bits);
	/* What is copied there is reported once. */
	ASSERT_EQ(0, store(device, VFIO_MEMORY_WRITE, IOVA + 2 * PAGE_SIZE - 1, 2, 1));
	EXPECT_EQ(0, load(device, VFIO_MEMORY_READ, IOVA + 5 * PAGE_SIZE, 1));
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(6, bits);
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(0, bits);
}

/* 5-57, 5-75: an unmapping that reports has the pages that the driver had. */
TEST_F(container, unmap_reports_pins)
{
	uint64_t bits = 0;
	const struct dirty_request request = {
		.iova = IOVA,
		.size = SIZE,
		.page_size = PAGE_SIZE,
		.bytes = sizeof(bits),
		.data = &bits,
	};

	MAP(DMA_RW);
	ASSERT_EQ(0, dirty_tracking(self->container, DIRTY_START));
	ASSERT_EQ(0, pin(self->device, IOVA + 3 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(SIZE, dirty_unmap(self->container, &request));
	EXPECT_EQ(8, bits);
	EXPECT_EQ(0, REG(self->device, pinned));
}

/* ---- together with a device that does DMA ---- */

FIXTURE(mixed)
{
	struct vfio_session memory;
	const char *bdf;
	int group;
	uint8_t *buffer;
};

FIXTURE_VARIANT(mixed)
{
	struct emulated_driver driver;
};

FIXTURE_VARIANT_ADD(mixed, in_rust) { .driver = MEMORY_DRIVER };
FIXTURE_VARIANT_ADD(mixed, in_c) { .driver = PAGES_DRIVER };

FIXTURE_SETUP(mixed)
{
	NEED_DRIVER(&variant->driver);
	NEED_DEVICE(self->bdf, "EDU");
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	ASSERT_EQ(0, emulated_open(&self->memory, variant->driver.name,
				   VFIO_TYPE1v2_IOMMU));
	self->group = group_open(self->bdf);
	ASSERT_LE(0, self->group);
	self->buffer = memory_new(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
}

FIXTURE_TEARDOWN(mixed)
{
	close(self->group);
	session_close(&self->memory);
	EXPECT_EQ(0, pci_bind(self->bdf, NULL));
	munmap(self->buffer, SIZE);
}

/* 5-32, 5-99, 5-105: charged once, with the device's pages or without these. */
TEST_F(mixed, is_charged_once)
{
	int container = self->memory.container;
	int device = self->memory.device;
	long locked = memory_locked_kb();
	long all = 4 * PAGES;

	ASSERT_EQ(0, type1_map(container, self->buffer, IOVA, SIZE, DMA_RW));
	ASSERT_EQ(0, pin(device, IOVA, 2 * PAGE_SIZE));
	EXPECT_EQ(locked + 8, memory_locked_kb());
	ASSERT_EQ(0, group_set_container(self->group, container));
	EXPECT_EQ(locked + all, memory_locked_kb());
	ASSERT_EQ(0, pin(device, IOVA + 6 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(locked + all, memory_locked_kb());
	ASSERT_EQ(0, unpin(device, IOVA, 2 * PAGE_SIZE));
	EXPECT_EQ(locked + all, memory_locked_kb());
	ASSERT_EQ(0, pin(device, IOVA + PAGE_SIZE, PAGE_SIZE));
	ASSERT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	/* What the driver has is left. */
	EXPECT_EQ(locked + 8, settled_locked_kb(locked + 8));
	EXPECT_EQ(0, load(device, VFIO_MEMORY_READ_PINNED, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(SIZE, type1_unmap(container, IOVA, SIZE, 0));
	EXPECT_EQ(locked, settled_locked_kb(locked));
}

/* 5-97: nor is more of the limit taken than there is of pages. */
TEST_F(mixed, is_limited_once)
{
	int container = self->memory.container;
	int device = self->memory.device;
	long locked = memory_locked_kb();
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		if (!ipc_lock_drop() || locked_limit(0, SIZE) ||
		    type1_map(container, self->buffer, IOVA, SIZE, DMA_RW) ||
		    pin(device, IOVA, 2 * PAGE_SIZE))
			_exit(1);
		if (group_set_container(self->group, container) ||
		    pin(device, IOVA + PAGE_SIZE, 3 * PAGE_SIZE))
			_exit(2);
		/* The driver is told, and all of it goes. */
		if (type1_unmap(container, IOVA, SIZE, 0) != SIZE ||
		    REG(device, told) != 1 || REG(device, pinned) ||
		    settled_locked_kb(locked) != locked)
			_exit(3);
		if (type1_map(container, self->buffer, IOVA, SIZE, DMA_RW) ||
		    vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL))
			_exit(4);
		/* What nobody has is not charged; and one page too many is refused as a whole. */
		if (type1_map(container, self->buffer, IOVA + SIZE, PAGE_SIZE, DMA_RW) ||
		    pin(device, IOVA, PAGE_SIZE) ||
		    group_set_container(self->group, container) != -ENOMEM ||
		    pin(device, IOVA, SIZE))
			_exit(5);
		_exit(0);
	}
	EXPECT_EQ(0, child_result(child));
	EXPECT_EQ(SIZE + PAGE_SIZE, type1_unmap(container, 0, 0, ALL));
}

/* 5-75, 5-77: a device that may have written anywhere makes everything dirty. */
TEST_F(mixed, all_is_dirty_with_a_device)
{
	int container = self->memory.container;
	uint64_t bits;

	ASSERT_EQ(0, type1_map(container, self->buffer, IOVA, SIZE, DMA_RW));
	ASSERT_EQ(0, pin(self->memory.device, IOVA, PAGE_SIZE));
	ASSERT_EQ(0, dirty_tracking(container, DIRTY_START));
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(1, bits);
	ASSERT_EQ(0, group_set_container(self->group, container));
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(0xff, bits);
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(0xff, bits);
	ASSERT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(0xff, bits);
	EXPECT_EQ(0, dirty_bits(container, &bits));
	EXPECT_EQ(1, bits);
}

SAMPLES_TEST_MAIN("vfio_memory", "vfio_pages")
