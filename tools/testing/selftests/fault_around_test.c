// SPDX-License-Identifier: GPL-2.0
/*
 * 8-14: a page of a BAR that is touched brings its neighbours along: up to 64 KiB of the
 * same mapping, aligned in the address space. With the C modules each page faults.
 */
#include <linux/pci_regs.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define AROUND	16
#define PAGES	((int)(EDU_BAR_SIZE / PAGE_SIZE))
#define RW	(PROT_READ | PROT_WRITE)

FIXTURE(around)
{
	struct vfio_session session;
	int fd;
	/* 2 MiB of address space, with nothing there. */
	uint8_t *place;
};

FIXTURE_SETUP(around)
{
	SHARE_DEVICE(&self->session, "EDU");
	self->fd = self->session.device;
	self->place = memory_new_aligned(SIZE_2M, SIZE_2M);
	ASSERT_NE(MAP_FAILED, (void *)self->place);
	faults_of(self, 0);
}

FIXTURE_TEARDOWN(around)
{
	EXPECT_EQ(0, memory_enable(self->fd, true));
	munmap(self->place, SIZE_2M);
	EXPECT_EQ(0, session_finish(&self->session));
}

static uint8_t *page_at(struct _test_data_around *self, int page)
{
	return self->place + page * PAGE_SIZE;
}

/* Maps @count pages of the BAR from @first on, @page pages into the place. */
static bool map_pages(struct _test_data_around *self, int page, int first,
		      int count, int protection)
{
	void *at = page_at(self, page);

	return mmap(at, count * PAGE_SIZE, protection, MAP_SHARED | MAP_FIXED,
		    self->fd, REGION_OFFSET(0) + first * PAGE_SIZE) == at;
}

/* How many faults it takes to touch @count pages from @page on. */
static long touch(struct _test_data_around *self, int page, int count)
{
	return faults_of(page_at(self, page), count);
}

/* The faults of pages that have come along with another. */
static long along(int pages)
{
	return on_c_modules() ? pages : 0;
}

/* 8-14 */
TEST_F(around, neighbours)
{
	ASSERT_TRUE(map_pages(self, 0, 0, PAGES, PROT_READ));
	EXPECT_EQ(1, touch(self, 20, 1));
	EXPECT_EQ(along(4), touch(self, 16, 4));
	EXPECT_EQ(along(11), touch(self, 21, 11));
	EXPECT_EQ(1, touch(self, 32, 1));
	EXPECT_EQ(1, touch(self, 15, 1));
	EXPECT_EQ(along(15), touch(self, 0, 15));
	EXPECT_EQ(1, touch(self, PAGES - 1, 1));
	EXPECT_EQ(along(15), touch(self, PAGES - 16, 15));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(self->place));
}

/* Each shows its own page of the device. */
TEST_F(around, right_pages)
{
	int i;

	ASSERT_TRUE(map_pages(self, 5, 0, PAGES, RW));
	EXPECT_EQ(1, touch(self, 8, 1));
	EXPECT_EQ(along(1), touch(self, 5, 1));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(page_at(self, 5)));
	EXPECT_EQ(0, mmio_write(page_at(self, 5) + EDU_LIVENESS, 0x5a5a));
	EXPECT_EQ(~0x5a5aU, edu_read(self->fd, EDU_LIVENESS));
	for (i = 6; i < AROUND; i++)
		EXPECT_NE(EDU_ID_VALUE, mmio_at(page_at(self, i)));
}

/* Nothing comes outside of the mapping that was touched. */
TEST_F(around, ends)
{
	ASSERT_TRUE(map_pages(self, 0, 0, 3, PROT_READ));
	ASSERT_TRUE(map_pages(self, 3, 8, 5, PROT_READ));
	ASSERT_TRUE(map_pages(self, 9, 0, 3, PROT_READ));
	EXPECT_EQ(1, touch(self, 5, 1));
	EXPECT_EQ(along(2), touch(self, 3, 2));
	EXPECT_EQ(along(2), touch(self, 6, 2));
	EXPECT_EQ(-SIGSEGV, mmio_at(page_at(self, 8)));
	EXPECT_EQ(1, touch(self, 11, 1));
	EXPECT_EQ(1, touch(self, 0, 1));
	EXPECT_EQ(along(2), touch(self, 9, 2));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(self->place));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(page_at(self, 9)));
	EXPECT_EQ(-SIGSEGV, mmio_at(page_at(self, 12)));
	/* A mapping in place of another has nothing of it. */
	ASSERT_TRUE(map_pages(self, 3, 0, 1, PROT_READ));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(page_at(self, 3)));
}

/* One zap takes all of them, and none comes back while memory is disabled. */
TEST_F(around, zap)
{
	int i;

	ASSERT_TRUE(map_pages(self, 0, 0, PAGES, PROT_READ));
	EXPECT_EQ(1, touch(self, 20, 1));
	EXPECT_EQ(0, memory_enable(self->fd, false));
	for (i = 0; i < 3 * AROUND; i++)
		EXPECT_EQ(-SIGBUS, mmio_at(page_at(self, i)));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(1, touch(self, 31, 1));
	EXPECT_EQ(along(15), touch(self, 16, 15));
}

/* They may be accessed as the page that was touched may, and not otherwise. */
TEST_F(around, protection)
{
	ASSERT_TRUE(map_pages(self, 0, 0, PAGES, RW));
	EXPECT_EQ(1, touch(self, 2, 1));
	EXPECT_EQ(0, mmio_write(self->place + EDU_LIVENESS, 1));
	EXPECT_EQ(~1U, edu_read(self->fd, EDU_LIVENESS));
	ASSERT_EQ(0, mprotect(self->place, PAGES * PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-SIGSEGV, mmio_write(self->place + EDU_LIVENESS, 2));
	/* What comes after the change is as the rest. */
	EXPECT_EQ(1, touch(self, 40, 1));
	EXPECT_EQ(-SIGSEGV, mmio_write(page_at(self, 41), 2));
	ASSERT_EQ(0, mprotect(self->place, PAGE_SIZE, PROT_NONE));
	EXPECT_EQ(along(14), touch(self, 1, 1) + touch(self, 3, 13));
	EXPECT_EQ(-SIGSEGV, mmio_at(self->place));
	EXPECT_EQ(~1U, edu_read(self->fd, EDU_LIVENESS));
}

/* After a part is gone, or has moved, and in a child, as before. */
TEST_F(around, parts)
{
	uint8_t *moved;
	pid_t pid;

	ASSERT_TRUE(map_pages(self, 0, 0, 2 * AROUND, PROT_READ));
	EXPECT_EQ(1, touch(self, 20, 1));
	ASSERT_EQ(0, munmap(page_at(self, 4), PAGE_SIZE));
	EXPECT_EQ(1, touch(self, 2, 1));
	EXPECT_EQ(along(3), touch(self, 0, 2) + touch(self, 3, 1));
	EXPECT_EQ(1, touch(self, 9, 1));
	EXPECT_EQ(-SIGSEGV, mmio_at(page_at(self, 4)));
	moved = page_at(self, 64);
	ASSERT_EQ(moved, mremap(self->place, 4 * PAGE_SIZE, 4 * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, moved));
	EXPECT_EQ(EDU_ID_VALUE, mmio_at(moved));
	EXPECT_EQ(-SIGSEGV, mmio_at(self->place));
	EXPECT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(-SIGBUS, mmio_at(moved));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	pid = fork();
	if (!pid)
		_exit(mmio_at(moved) != EDU_ID_VALUE ||
		      faults_of(moved + PAGE_SIZE, 3) != along(3));
	EXPECT_EQ(0, child_result(pid));
	EXPECT_EQ(1, touch(self, 67, 1));
	EXPECT_EQ(along(3), touch(self, 64, 3));
}

VFIO_TEST_MAIN_OPEN("EDU")
