// SPDX-License-Identifier: GPL-2.0
/*
 * An IOMMU driver that fails to unmap: what devices may still reach stays pinned
 * and charged, and a device with memory there stays watched, until it is unmapped
 * after all, or the domain goes. The module vfio_iommu_fault makes it fail; the C
 * modules, which lose the pages then, and warn, are left alone.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "edu.h"
#include "iommu_debug.h"
#include "kernel_log.h"
#include "kselftest_harness.h"
#include "samples.h"

#define FAULT	"/sys/kernel/debug/vfio-iommu-fault"
#define REPORT	"cannot be unmapped"

#define IOVA		0x10000000UL
#define IOVA_BAR	0x40000000UL
#define IOVA_LAST	0x50000000UL
#define SIZE		(16 * PAGE_SIZE)
#define BAR		2
#define PATTERN		0x5a
#define ALL		VFIO_DMA_UNMAP_FLAG_ALL

FIXTURE(fault)
{
	struct vfio_session edu;
	struct vfio_session owner;
	int container;
	uint8_t *memory;
	long pinned;
	long locked;
	long available;
	int log;
};

FIXTURE_SETUP(fault)
{
	const char *edu, *owner;

	NEED_SAMPLES();
	NEED_DEVICE(edu, "EDU");
	NEED_DEVICE(owner, "IVSHMEM");
	ASSERT_EQ(0, access(FAULT, W_OK));
	self->owner.container = self->owner.group = self->owner.device = -1;
	self->memory = memory_new(SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	ASSERT_EQ(0, session_open(&self->edu, edu, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, edu_bus_master(self->edu.device, true));
	self->container = self->edu.container;
	self->pinned = memory_pinned_pages();
	self->locked = memory_locked_kb();
	self->available = type1_dma_avail(self->container);
	self->log = log_open();
	ASSERT_LE(0, self->log);
	ASSERT_EQ(0, type1_map(self->container, self->memory, IOVA, SIZE,
			       DMA_RW));
	/* What the engine will write. */
	memset(self->memory, PATTERN, SIZE);
	ASSERT_EQ(0, edu_load(self->edu.device, IOVA, PAGE_SIZE));
}

/* In the parent, so that the IOMMU is whole again in any case. */
FIXTURE_TEARDOWN_PARENT(fault)
{
	if (!access(FAULT, W_OK))
		EXPECT_EQ(0, file_write(FAULT, "\n"));
}

/* Makes it fail to unmap what is at @iova. */
static long fault_at(struct _test_data_fault *self, uint64_t iova)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %lx", self->edu.bdf, (long)iova);
	return file_write(FAULT, text);
}

/* What a container must have given back. */
static void expect_nothing_held(struct __test_metadata *_metadata,
				struct _test_data_fault *self)
{
	EXPECT_EQ(self->pinned, memory_pinned_pages());
	EXPECT_EQ(self->locked, memory_locked_kb());
}

static void expect_all_held(struct __test_metadata *_metadata,
			    struct _test_data_fault *self)
{
	EXPECT_EQ(self->pinned + SIZE / PAGE_SIZE, memory_pinned_pages());
	EXPECT_EQ(self->locked + SIZE / 1024, memory_locked_kb());
}

/* DMA goes where it went. */
static void expect_reached(struct __test_metadata *_metadata,
			   struct _test_data_fault *self)
{
	memset(self->memory, 0, PAGE_SIZE);
	ASSERT_EQ(0, edu_store(self->edu.device, IOVA, 64));
	EXPECT_EQ(PATTERN, self->memory[63]);
}

/* 5-58: it fails, and says so; all is as before; the next attempt may succeed. */
TEST_F(fault, unmap_fails)
{
	ASSERT_EQ(0, fault_at(self, IOVA));
	EXPECT_EQ(-EIO, type1_unmap(self->container, IOVA, SIZE, 0));
	EXPECT_TRUE(log_has(self->log, REPORT));
	expect_all_held(_metadata, self);
	expect_reached(_metadata, self);
	EXPECT_EQ(self->available - 1, type1_dma_avail(self->container));
	EXPECT_EQ(-EEXIST, type1_map(self->container, self->memory, IOVA,
				     PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, file_write(FAULT, "\n"));
	EXPECT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
	expect_nothing_held(_metadata, self);
	EXPECT_EQ(self->available, type1_dma_avail(self->container));
	EXPECT_TRUE(edu_store_faults(self->edu.device, IOVA));
	EXPECT_EQ(0, session_works(&self->edu));
}

/* What fails half-way cannot be undone, so that its addresses are in use. */
TEST_F(fault, map_fails)
{
	uint8_t *hole = memory_new(2 * SIZE_2M);

	ASSERT_NE(MAP_FAILED, (void *)hole);
	/* The last page is not there, but the runs in front of it are mapped. */
	ASSERT_EQ(0, munmap(hole + 2 * SIZE_2M - PAGE_SIZE, PAGE_SIZE));
	ASSERT_NE(MAP_FAILED, mmap(hole, PAGE_SIZE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
				   MAP_POPULATE, -1, 0));
	ASSERT_EQ(0, fault_at(self, IOVA_LAST));
	EXPECT_EQ(-EFAULT, type1_map(self->container, hole, IOVA_LAST,
				     2 * SIZE_2M, DMA_RW));
	EXPECT_LT(self->pinned + SIZE / PAGE_SIZE, memory_pinned_pages());
	EXPECT_EQ(-EEXIST, type1_map(self->container, self->memory, IOVA_LAST,
				     PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, file_write(FAULT, "\n"));
	EXPECT_EQ(2 * SIZE_2M, type1_unmap(self->container, IOVA_LAST,
					   2 * SIZE_2M, 0));
	expect_all_held(_metadata, self);
	EXPECT_EQ(SIZE, type1_unmap(self->container, IOVA, SIZE, 0));
}

/* One that fails does not keep the others, below it and above. */
TEST_F(fault, unmap_all)
{
	ASSERT_EQ(0, type1_map(self->container, self->memory, 0, PAGE_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, type1_map(self->container, self->memory, IOVA_LAST,
			       PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, fault_at(self, IOVA + PAGE_SIZE));
	EXPECT_EQ(-EIO, type1_unmap(self->container, 0, 0, ALL));
	EXPECT_EQ(self->available - 1, type1_dma_avail(self->container));
	expect_all_held(_metadata, self);
	ASSERT_EQ(0, file_write(FAULT, "\n"));
	EXPECT_EQ(SIZE, type1_unmap(self->container, 0, 0, ALL));
	expect_nothing_held(_metadata, self);
}

/* The domain takes with it what it was not made to let go of. */
TEST_F(fault, last_group_leaves)
{
	ASSERT_EQ(0, fault_at(self, IOVA));
	EXPECT_EQ(-EIO, type1_unmap(self->container, IOVA, SIZE, 0));
	close(self->edu.device);
	ASSERT_EQ(0, vfio_ioctl(self->edu.group, VFIO_GROUP_UNSET_CONTAINER, 0));
	expect_nothing_held(_metadata, self);
	ASSERT_EQ(0, group_join(self->edu.group, self->container));
	self->edu.device = group_device(self->edu.group, self->edu.bdf);
	ASSERT_LE(0, self->edu.device);
	EXPECT_EQ(self->available, type1_dma_avail(self->container));
	EXPECT_EQ(0, session_works(&self->edu));
}

TEST_F(fault, container_closed)
{
	ASSERT_EQ(0, fault_at(self, IOVA));
	EXPECT_EQ(-EIO, type1_unmap(self->container, 0, 0, ALL));
	session_close(&self->edu);
	expect_nothing_held(_metadata, self);
}

static void map_bar(struct __test_metadata *_metadata,
		    struct _test_data_fault *self)
{
	void *bar;

	ASSERT_EQ(0, session_open(&self->owner, pci_device("IVSHMEM"),
				  VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, memory_enable(self->owner.device, true));
	ASSERT_EQ(0, bar_mmap(self->owner.device, BAR, 0, SIZE,
			      PROT_READ | PROT_WRITE, &bar));
	ASSERT_EQ(0, type1_map(self->container, bar, IOVA_BAR, SIZE, DMA_RW));
	munmap(bar, SIZE);
}

/* A mapping that could not be unmapped still loses the memory of a device. */
TEST_F(fault, device_stays_watched)
{
	NEED_IOMMU_TABLE();
	map_bar(_metadata, self);
	ASSERT_EQ(0, fault_at(self, IOVA_BAR));
	EXPECT_EQ(-EIO, type1_unmap(self->container, IOVA_BAR, SIZE, 0));
	EXPECT_EQ(SIZE, iommu_mapped(self->edu.bdf, IOVA_BAR, SIZE));
	ASSERT_EQ(0, file_write(FAULT, "\n"));
	session_close(&self->owner);
	EXPECT_EQ(0, iommu_mapped(self->edu.bdf, IOVA_BAR, SIZE));
	EXPECT_EQ(SIZE, type1_unmap(self->container, IOVA_BAR, SIZE, 0));
}

/* The release cannot be stopped, but the log tells; driver and mapping stay. */
TEST_F(fault, release_fails)
{
	long users;

	NEED_IOMMU_TABLE();
	map_bar(_metadata, self);
	ASSERT_EQ(0, fault_at(self, IOVA_BAR));
	ASSERT_EQ(0, log_count(self->log, REPORT));
	session_close(&self->owner);
	EXPECT_EQ(1, log_count(self->log, REPORT));
	EXPECT_EQ(SIZE, iommu_mapped(self->edu.bdf, IOVA_BAR, SIZE));
	ASSERT_EQ(0, file_write(FAULT, "\n"));
	users = module_users("vfio_pci");
	EXPECT_EQ(SIZE, type1_unmap(self->container, IOVA_BAR, SIZE, 0));
	EXPECT_EQ(0, iommu_mapped(self->edu.bdf, IOVA_BAR, SIZE));
	EXPECT_EQ(users - 1, module_users("vfio_pci"));
}

int main(int argc, char **argv)
{
	static const char *const devices[] = { "EDU", "IVSHMEM", "TESTDEV", NULL };
	static const char *const modules[] = { "vfio_iommu_fault", NULL };

	samples_claim(modules);
	pci_claim(devices);
	return test_harness_run(argc, argv);
}
