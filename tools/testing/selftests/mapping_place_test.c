// SPDX-License-Identifier: GPL-2.0
/*
 * 8-10: where a BAR is mapped if nobody says where. With these modules the address suits
 * entries of the page table as large as they can be; with the C modules, by chance.
 */
#include <fcntl.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define BAR		2
#define BAR_SIZE	(4UL << 30)
#define RW		(PROT_READ | PROT_WRITE)

FIXTURE(place)
{
	struct vfio_session session;
	int iommufd;
	int fd;
};

FIXTURE_VARIANT(place)
{
	bool cdev;
};

FIXTURE_VARIANT_ADD(place, group)
{
	.cdev = false,
};

FIXTURE_VARIANT_ADD(place, cdev)
{
	.cdev = true,
};

FIXTURE_SETUP(place)
{
	const char *bdf;

	NEED_DEVICE(bdf, "TESTDEV");
	self->iommufd = -1;
	if (variant->cdev) {
		NEED_IOMMUFD();
		self->iommufd = iommufd_open();
		self->fd = cdev_open(bdf, O_RDWR);
		ASSERT_LE(0, self->fd);
		ASSERT_LE(0, cdev_bind(self->fd, self->iommufd));
	} else {
		ASSERT_EQ(0, session_open(&self->session, bdf,
					  VFIO_TYPE1v2_IOMMU));
		self->fd = self->session.device;
	}
	ASSERT_EQ(0, memory_enable(self->fd, true));
	ASSERT_EQ(BAR_SIZE, region_size(self->fd, BAR));
}

FIXTURE_TEARDOWN(place)
{
	if (variant->cdev) {
		close(self->fd);
		close(self->iommufd);
	} else {
		session_close(&self->session);
	}
}

/* Maps a part of the BAR, at @address if that is not NULL. */
static uint8_t *map(int fd, void *address, uint64_t offset, size_t size, int flags)
{
	return mmap(address, size, RW, MAP_SHARED | flags, fd,
		    REGION_OFFSET(BAR) + offset);
}

/* The faults of touching one page of each 2 MiB. */
static long faults_by_2m(const uint8_t *addr, size_t size)
{
	long before;
	size_t at;

	faults_of(addr, 0);
	before = fault_count();
	for (at = 0; at < size; at += SIZE_2M)
		(void)*(const volatile uint32_t *)(addr + at);
	return fault_count() - before;
}

static bool cpu_has_1g(void)
{
	static char text[65536];

	return file_read("/proc/cpuinfo", text, sizeof(text)) > 0 &&
	       strstr(text, "pdpe1gb");
}

/* 8-10, 8-12: 4 GiB are four faults. */
TEST_F(place, whole)
{
	uint8_t *addr = map(self->fd, NULL, 0, BAR_SIZE, 0);
	uint64_t unit = cpu_has_1g() ? SIZE_1G : SIZE_2M;
	long faults;

	ASSERT_NE(MAP_FAILED, (void *)addr);
	faults = faults_by_2m(addr, BAR_SIZE);
	printf("# %ld faults for 4 GiB\n", faults);
	if (!on_c_modules()) {
		EXPECT_EQ(0, (uintptr_t)addr % SIZE_1G);
		EXPECT_EQ(BAR_SIZE / unit, faults);
	}
	EXPECT_EQ(0, faults_by_2m(addr, BAR_SIZE));
	munmap(addr, BAR_SIZE);
}

/* A part is aligned as it is in the BAR, by what it has blocks of. */
TEST_F(place, parts)
{
	static const struct {
		uint64_t offset;
		size_t size;
		uint64_t unit;
	} parts[] = {
		{ 0, SIZE_2M, SIZE_2M },
		{ SIZE_2M / 2, 3 * SIZE_2M, SIZE_2M },
		{ SIZE_1G - PAGE_SIZE, SIZE_2M + PAGE_SIZE, SIZE_2M },
		{ SIZE_1G - PAGE_SIZE, SIZE_1G + PAGE_SIZE, SIZE_1G },
		{ SIZE_2M, SIZE_1G, SIZE_2M },
		{ PAGE_SIZE, SIZE_2M, 0 },
		{ 0, PAGE_SIZE, 0 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		uint8_t *addr = map(self->fd, NULL, parts[i].offset,
				    parts[i].size, 0);

		ASSERT_NE(MAP_FAILED, (void *)addr);
		EXPECT_LE(0, mmio_at(addr));
		EXPECT_LE(0, mmio_at(addr + parts[i].size - PAGE_SIZE));
		if (parts[i].unit && !on_c_modules())
			EXPECT_EQ(0, ((uintptr_t)addr - parts[i].offset) %
					     parts[i].unit);
		munmap(addr, parts[i].size);
	}
}

/* Where the program says where, it is there, or it is as ever. */
TEST_F(place, wanted)
{
	const size_t size = 4 * SIZE_2M;
	uint8_t *there = memory_new_aligned(2 * size, SIZE_2M);
	uint8_t *addr;

	ASSERT_NE(MAP_FAILED, (void *)there);
	there += PAGE_SIZE;
	EXPECT_EQ(there, map(self->fd, there, 0, size, MAP_FIXED));
	EXPECT_LE(0, mmio_at(there));
	EXPECT_EQ(MAP_FAILED, (void *)map(self->fd, there, 0, size,
					  MAP_FIXED_NOREPLACE));
	EXPECT_EQ(EEXIST, errno);
	/* A hint that cannot be had. */
	addr = map(self->fd, there, 0, size, 0);
	ASSERT_NE(MAP_FAILED, (void *)addr);
	EXPECT_NE(there, addr);
	EXPECT_LE(0, mmio_at(addr));
	munmap(addr, size);
	/* And one that can. */
	ASSERT_EQ(0, munmap(there, size));
	EXPECT_EQ(there, map(self->fd, there, 0, size, 0));
	EXPECT_LE(0, mmio_at(there));
	munmap(there, size);
	EXPECT_EQ(there, map(self->fd, there, 0, size, MAP_FIXED_NOREPLACE));
	munmap(there, size);
	/* No address has room for that. */
	EXPECT_EQ(MAP_FAILED, (void *)map(self->fd, NULL, 0, 1UL << 48, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(MAP_FAILED, (void *)map(self->fd, NULL, BAR_SIZE, SIZE_2M, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, (void *)map(self->fd, NULL, 0, 2 * BAR_SIZE, 0));
	EXPECT_EQ(EINVAL, errno);
}

VFIO_TEST_MAIN("TESTDEV")
