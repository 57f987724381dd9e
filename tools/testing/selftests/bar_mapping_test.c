// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping of device memory: how many faults fill it, with pages of which size,
 * and how long it keeps the device open (8-11 to 8-18).
 */
#include <fcntl.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

FIXTURE(count)
{
	struct vfio_session session;
	void *place;
	size_t size;
};

FIXTURE_VARIANT(count)
{
	const char *device;
	unsigned int bar;
	/* How much of the BAR, or 0 for all. */
	size_t size;
	/* What one fault maps. */
	size_t unit;
	size_t shift;
	/* How far apart the accesses are. */
	size_t step;
};

FIXTURE_VARIANT_ADD(count, pages)
{
	.device = "EDU",
	.bar = 0,
	.unit = PAGE_SIZE,
	.step = PAGE_SIZE,
};

FIXTURE_VARIANT_ADD(count, pmd)
{
	.device = "IVSHMEM",
	.bar = 2,
	.unit = SIZE_2M,
	.step = PAGE_SIZE,
};

/* Off by a page, no block is aligned in both address and offset. */
FIXTURE_VARIANT_ADD(count, pmd_misaligned)
{
	.device = "IVSHMEM",
	.bar = 2,
	.size = 2 * SIZE_2M,
	.unit = PAGE_SIZE,
	.shift = PAGE_SIZE,
	.step = PAGE_SIZE,
};

FIXTURE_VARIANT_ADD(count, pud)
{
	.device = "TESTDEV",
	.bar = 2,
	.unit = SIZE_1G,
	.step = SIZE_2M,
};

/* Aligned to 2M only. */
FIXTURE_VARIANT_ADD(count, pud_misaligned)
{
	.device = "TESTDEV",
	.bar = 2,
	.size = SIZE_1G,
	.unit = SIZE_2M,
	.shift = SIZE_2M,
	.step = SIZE_2M,
};

static bool cpu_has(const char *flag)
{
	static char text[65536];

	return file_read("/proc/cpuinfo", text, sizeof(text)) > 0 &&
	       strstr(text, flag);
}

/* What is as large as @unit can be mapped by one entry. */
static bool unit_supported(size_t unit)
{
	if (unit == PAGE_SIZE)
		return true;
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK))
		return false;
	return unit == SIZE_2M || cpu_has("pdpe1gb");
}

FIXTURE_SETUP(count)
{
	SHARE_DEVICE(&self->session, variant->device);
	if (!unit_supported(variant->unit))
		SKIP(return, "no pages of %zu bytes", variant->unit);
	self->size = variant->size ? variant->size :
		     region_size(self->session.device, variant->bar);
	self->place = memory_new_aligned(self->size + SIZE_1G, SIZE_1G);
	ASSERT_NE(MAP_FAILED, self->place);
	self->place += variant->shift;
	ASSERT_EQ(self->place, mmap(self->place, self->size, PROT_READ,
				    MAP_SHARED | MAP_FIXED, self->session.device,
				    REGION_OFFSET(variant->bar)));
}

FIXTURE_TEARDOWN(count)
{
	munmap(self->place, self->size);
	EXPECT_EQ(0, session_finish(&self->session));
}

static long touch(const void *addr, size_t size, size_t step)
{
	long before = fault_count();
	size_t offset;

	for (offset = 0; offset < size; offset += step)
		(void)*(const volatile uint32_t *)(addr + offset);
	return fault_count() - before;
}

/* 8-14: with these modules a small page brings the 64 KiB along that it is in. */
static long faults_for(const void *place, size_t size, size_t unit)
{
	if (unit == PAGE_SIZE && !on_c_modules())
		unit = 16 * PAGE_SIZE;
	return ((uintptr_t)place % unit + size + unit - 1) / unit;
}

/* 8-11, 8-12, 8-14 */
TEST_F(count, faults)
{
	unsigned int i;

	/* The code of touch() is a page, too. */
	touch(self->place, 0, variant->step);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(faults_for(self->place, self->size, variant->unit),
			  touch(self->place, self->size, variant->step));
		EXPECT_EQ(0, touch(self->place, self->size, variant->step));
		EXPECT_EQ(0, memory_enable(self->session.device, false));
		EXPECT_EQ(-SIGBUS, mmio_at(self->place));
		EXPECT_EQ(-SIGBUS, mmio_at(self->place + self->size - PAGE_SIZE));
		EXPECT_EQ(0, memory_enable(self->session.device, true));
	}
}

/* Whether the kernel has the device enabled, as a driver has that uses it. */
static bool device_enabled(const char *bdf)
{
	char text[16];

	return !pci_attribute(bdf, "enable", text, sizeof(text)) && atoi(text);
}

FIXTURE(last)
{
	struct vfio_session session;
	void *addr;
	pid_t pid;
	int ask[2];
	int answer[2];
};

/* Keeps the mapping, and nothing else of VFIO; "u" makes it unmap. */
static int keeper(struct vfio_session *session, void *addr, int ask, int answer)
{
	char byte;

	session_close(session);
	while (read(ask, &byte, 1) == 1) {
		if (byte == 'u')
			munmap(addr, PAGE_SIZE);
		byte = byte == 'u' || mmio_at(addr) >= 0;
		if (write(answer, &byte, 1) != 1)
			return 1;
	}
	return 0;
}

static bool keeper_does(const int ask[2], const int answer[2], char what)
{
	char byte = 0;

	return write(ask[1], &what, 1) == 1 && read(answer[0], &byte, 1) == 1 &&
	       byte;
}

FIXTURE_SETUP(last)
{
	const char *bdf;

	NEED_DEVICE(bdf, "NVME");
	ASSERT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, bar_mmap(self->session.device, 0, 0, PAGE_SIZE, PROT_READ,
			      &self->addr));
	ASSERT_LE(0, mmio_at(self->addr));
	ASSERT_EQ(0, pipe(self->ask));
	ASSERT_EQ(0, pipe(self->answer));
	self->pid = fork();
	if (!self->pid) {
		close(self->ask[1]);
		_exit(keeper(&self->session, self->addr, self->ask[0],
			     self->answer[1]));
	}
	close(self->answer[1]);
	/* From here on, the mapping of the child is all that is left. */
	EXPECT_TRUE(keeper_does(self->ask, self->answer, 'r'));
	munmap(self->addr, PAGE_SIZE);
	session_close(&self->session);
	EXPECT_TRUE(device_enabled(bdf));
	EXPECT_TRUE(keeper_does(self->ask, self->answer, 'r'));
}

/* Closed: whoever comes next gets it, and in order. */
FIXTURE_TEARDOWN(last)
{
	const char *bdf = self->session.bdf;

	EXPECT_FALSE(device_enabled(bdf));
	EXPECT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, session_finish(&self->session));
}

/* 8-18: the mapping keeps the device open, and its end closes it. */
TEST_F(last, unmap)
{
	/* Nobody else gets it meanwhile. */
	EXPECT_EQ(-EBUSY, group_open(self->session.bdf));
	if (kernel_has_iommufd()) {
		int iommufd = iommufd_open();
		int fd = cdev_open(self->session.bdf, O_RDWR);

		ASSERT_LE(0, fd);
		EXPECT_GT(0, cdev_bind(fd, iommufd));
		close(fd);
		close(iommufd);
	}
	EXPECT_TRUE(keeper_does(self->ask, self->answer, 'r'));
	EXPECT_TRUE(keeper_does(self->ask, self->answer, 'u'));
	EXPECT_FALSE(device_enabled(self->session.bdf));
	close(self->ask[1]);
	EXPECT_EQ(0, child_result(self->pid));
}

/* The end of the process is the end of its mappings. */
TEST_F(last, kill)
{
	kill(self->pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_result(self->pid));
	EXPECT_FALSE(device_enabled(self->session.bdf));
	close(self->ask[1]);
}

int main(int argc, char **argv)
{
	static const char *const claimed[] = {
		"EDU", "IVSHMEM", "TESTDEV", "NVME", NULL
	};
	/* All but the one whose last close is to be seen. */
	static const char *const kept[] = { "EDU", "IVSHMEM", "TESTDEV", NULL };

	pci_claim(claimed);
	session_keep(kept);
	return test_harness_run(argc, argv);
}
