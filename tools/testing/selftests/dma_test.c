// SPDX-License-Identifier: GPL-2.0
/* Real DMA by the edu device: what reaches memory and what must not. */
#include <fcntl.h>
#include <sys/mman.h>

#include <linux/iommufd.h>
#include <linux/pci_regs.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "locked_memory.h"
#include "vfio_fixture.h"

#define IOVA	0x10000000UL
#define PAGES	4

FIXTURE(dma)
{
	struct vfio_session session;
	int container;
	int device;
	uint8_t *memory;
};

static void fill(uint8_t *memory, size_t size, uint8_t seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		memory[i] = seed + i * 7 + i / 256;
}

static bool is_filled_with(const uint8_t *memory, size_t size, uint8_t value)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (memory[i] != value)
			return false;
	}
	return true;
}

FIXTURE_SETUP(dma)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	self->memory = memory_new(PAGES * PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	ASSERT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	self->container = self->session.container;
	self->device = self->session.device;
	ASSERT_EQ(EDU_ID_VALUE, edu_read(self->device, EDU_ID));
	ASSERT_EQ(0, edu_bus_master(self->device, true));
}

FIXTURE_TEARDOWN(dma)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

/* 5-19, 5-20 */
TEST_F(dma, bytes_arrive)
{
	uint8_t *memory = self->memory;

	ASSERT_EQ(0, type1_map(self->container, memory, IOVA, PAGES * PAGE_SIZE,
			       DMA_RW));
	fill(memory, PAGE_SIZE, 3);
	EXPECT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(self->device, IOVA + 2 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(memory, memory + 2 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(memory + PAGE_SIZE, PAGE_SIZE, 0));
	/* Not aligned, and from one page into the next. */
	EXPECT_EQ(0, edu_store(self->device, IOVA + 2 * PAGE_SIZE - 1001, 1999));
	EXPECT_EQ(0, memcmp(memory, memory + 2 * PAGE_SIZE - 1001, 1999));
	EXPECT_EQ(0, memory[2 * PAGE_SIZE - 1002]);
}

/* Neighbouring addresses, memory from opposite ends. */
TEST_F(dma, scattered_memory)
{
	uint8_t *memory = self->memory;

	ASSERT_EQ(0, type1_map(self->container, memory + 3 * PAGE_SIZE, IOVA,
			       PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, type1_map(self->container, memory, IOVA + PAGE_SIZE,
			       PAGE_SIZE, DMA_RW));
	fill(memory + 3 * PAGE_SIZE + 2048, 2048, 1);
	fill(memory, 2048, 99);
	EXPECT_EQ(0, edu_load(self->device, IOVA + 2048, 4096));
	EXPECT_EQ(0, type1_map(self->container, memory + PAGE_SIZE,
			       IOVA + SIZE_2M, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(0, edu_store(self->device, IOVA + SIZE_2M, 4096));
	EXPECT_EQ(0, memcmp(memory + PAGE_SIZE, memory + 3 * PAGE_SIZE + 2048,
			    2048));
	EXPECT_EQ(0, memcmp(memory + PAGE_SIZE + 2048, memory, 2048));
}

/* 5-35: what was only read so far is a page of zeroes of the kernel's, but not for a device. */
TEST_F(dma, memory_only_read)
{
	long before = memory_locked_kb();
	uint8_t *fresh = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)fresh);
	EXPECT_TRUE(is_filled_with(fresh, PAGE_SIZE, 0));
	ASSERT_EQ(0, type1_map(self->container, fresh, IOVA, PAGE_SIZE,
			       VFIO_DMA_MAP_FLAG_READ));
	EXPECT_EQ(before + 4, memory_locked_kb());
	ASSERT_EQ(0, type1_map(self->container, self->memory, IOVA + PAGE_SIZE,
			       PAGE_SIZE, DMA_RW));
	fill(fresh, PAGE_SIZE, 5);
	EXPECT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(self->device, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(fresh, self->memory, PAGE_SIZE));
	EXPECT_EQ(0, munmap(fresh, PAGE_SIZE));
}

/* An address that was never mapped leaves memory and mappings intact. */
TEST_F(dma, never_mapped)
{
	uint8_t *memory = self->memory;

	ASSERT_EQ(0, type1_map(self->container, memory, IOVA, PAGE_SIZE, DMA_RW));
	fill(memory, PAGE_SIZE, 17);
	EXPECT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
	memset(memory, 0x33, PAGES * PAGE_SIZE);
	EXPECT_EQ(0, edu_store(self->device, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(self->device, (uintptr_t)memory, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(memory, PAGES * PAGE_SIZE, 0x33));
	/* What is mapped is still reached. */
	EXPECT_EQ(0, edu_store(self->device, IOVA, 64));
	EXPECT_FALSE(is_filled_with(memory, 64, 0x33));
	EXPECT_TRUE(is_filled_with(memory + 64, PAGE_SIZE - 64, 0x33));
}

/* After UNMAP_DMA the same address reaches nothing. */
TEST_F(dma, unmapped)
{
	uint8_t *memory = self->memory;

	ASSERT_EQ(0, type1_map(self->container, memory, IOVA, PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, type1_map(self->container, memory + PAGE_SIZE,
			       IOVA + PAGE_SIZE, PAGE_SIZE, DMA_RW));
	fill(memory, PAGE_SIZE, 5);
	EXPECT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
	ASSERT_EQ(PAGE_SIZE, type1_unmap(self->container, IOVA, PAGE_SIZE, 0));
	memset(memory, 0x44, PAGES * PAGE_SIZE);
	EXPECT_EQ(0, edu_store(self->device, IOVA, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(memory, PAGES * PAGE_SIZE, 0x44));
	EXPECT_EQ(0, edu_store(self->device, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(memory, PAGE_SIZE, 0x44));
	EXPECT_FALSE(is_filled_with(memory + PAGE_SIZE, PAGE_SIZE, 0x44));
	/* The address may point elsewhere later. */
	ASSERT_EQ(0, type1_map(self->container, memory + 2 * PAGE_SIZE, IOVA,
			       PAGE_SIZE, DMA_RW));
	EXPECT_EQ(0, edu_store(self->device, IOVA, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(memory, PAGE_SIZE, 0x44));
	EXPECT_EQ(0, memcmp(memory + PAGE_SIZE, memory + 2 * PAGE_SIZE,
			    PAGE_SIZE));
}

/* 5-20: a mapping without WRITE is not written. */
TEST_F(dma, read_only_mapping)
{
	uint8_t *memory = self->memory;

	ASSERT_EQ(0, type1_map(self->container, memory, IOVA, PAGE_SIZE,
			       VFIO_DMA_MAP_FLAG_READ));
	ASSERT_EQ(0, type1_map(self->container, memory + PAGE_SIZE,
			       IOVA + PAGE_SIZE, PAGE_SIZE, DMA_RW));
	fill(memory, PAGE_SIZE, 77);
	EXPECT_EQ(0, edu_load(self->device, IOVA, 256));
	EXPECT_EQ(0, edu_store(self->device, IOVA + PAGE_SIZE, 256));
	EXPECT_EQ(0, memcmp(memory, memory + PAGE_SIZE, 256));
	EXPECT_EQ(0, edu_store(self->device, IOVA + 1024, 256));
	EXPECT_NE(0, memcmp(memory, memory + 1024, 256));
}

/* Without bus mastering there is no DMA: 7-29. */
TEST_F(dma, bus_master)
{
	uint8_t *memory = self->memory;

	ASSERT_EQ(0, type1_map(self->container, memory, IOVA, PAGE_SIZE, DMA_RW));
	fill(memory, 64, 1);
	EXPECT_EQ(0, edu_load(self->device, IOVA, 64));
	memset(memory, 0, PAGE_SIZE);
	EXPECT_EQ(0, edu_bus_master(self->device, false));
	EXPECT_EQ(0, edu_store(self->device, IOVA, 64));
	EXPECT_TRUE(is_filled_with(memory, PAGE_SIZE, 0));
	EXPECT_EQ(0, edu_bus_master(self->device, true));
	EXPECT_EQ(0, edu_store(self->device, IOVA, 64));
	EXPECT_FALSE(is_filled_with(memory, PAGE_SIZE, 0));
}

/* The engine's own interrupt, by MSI, when the transfer is over. */
TEST_F(dma, completion_interrupt)
{
	int event = event_new();

	ASSERT_EQ(0, irq_eventfd(self->device, VFIO_PCI_MSI_IRQ_INDEX, 0, event));
	ASSERT_EQ(0, type1_map(self->container, self->memory, IOVA, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(-EAGAIN, event_take(event));
	EXPECT_EQ(0, edu_dma(self->device, IOVA, 0, 64, EDU_DMA_IRQ));
	EXPECT_EQ(1, event_wait(event, 2000));
	EXPECT_EQ(EDU_DMA_IRQ_STATUS, edu_read(self->device, EDU_IRQ_STATUS));
	EXPECT_EQ(0, edu_write(self->device, EDU_IRQ_ACK, EDU_DMA_IRQ_STATUS));
	EXPECT_EQ(0, irq_disable(self->device, VFIO_PCI_MSI_IRQ_INDEX));
}

/* 5-22, 5-58: a large mapping is reached at its far end, up to where it ends. */
TEST_F(dma, far_end)
{
	const size_t size = 2 * SIZE_2M + 2 * PAGE_SIZE;
	uint8_t *large = memory_new(size);

	ASSERT_NE(MAP_FAILED, (void *)large);
	ASSERT_EQ(0, type1_map(self->container, large, IOVA, size, DMA_RW));
	fill(large, PAGE_SIZE, 8);
	EXPECT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(self->device, IOVA + size - PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(large, large + size - PAGE_SIZE, PAGE_SIZE));
	ASSERT_EQ(size, type1_unmap(self->container, 0, 0,
				    VFIO_DMA_UNMAP_FLAG_ALL));
	memset(large, 0, size);
	EXPECT_EQ(0, edu_store(self->device, IOVA + size - PAGE_SIZE, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(large, size, 0));
}

/* 5-25: into the BAR of another device, past the CPU. */
TEST_F(dma, peer)
{
	const char *bdf = pci_device("IVSHMEM");
	struct vfio_session peer;
	uint8_t seen[256];
	uint8_t *memory = self->memory;
	void *bar;

	if (!bdf)
		SKIP(return, "IVSHMEM names no device");
	ASSERT_EQ(0, session_open(&peer, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, bar_mmap(peer.device, 2, SIZE_2M, 2 * PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &bar));
	ASSERT_EQ(0, type1_map(self->container, bar, IOVA, 2 * PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, type1_map(self->container, memory, IOVA + SIZE_2M,
			       PAGE_SIZE, DMA_RW));
	fill(memory, PAGE_SIZE, 40);
	memset(seen, 0, sizeof(seen));
	ASSERT_EQ(256, region_write(peer.device, 2, SIZE_2M + PAGE_SIZE, seen,
				    256));
	EXPECT_EQ(0, edu_load(self->device, IOVA + SIZE_2M, 256));
	EXPECT_EQ(0, edu_store(self->device, IOVA + PAGE_SIZE, 256));
	EXPECT_EQ(256, region_read(peer.device, 2, SIZE_2M + PAGE_SIZE, seen, 256));
	EXPECT_EQ(0, memcmp(memory, seen, 256));
	/* And not any more once it is unmapped. */
	EXPECT_EQ(2 * PAGE_SIZE, type1_unmap(self->container, IOVA,
					     2 * PAGE_SIZE, 0));
	memset(seen, 0, sizeof(seen));
	ASSERT_EQ(256, region_write(peer.device, 2, SIZE_2M + PAGE_SIZE, seen,
				    256));
	EXPECT_EQ(0, edu_store(self->device, IOVA + PAGE_SIZE, 256));
	EXPECT_EQ(256, region_read(peer.device, 2, SIZE_2M + PAGE_SIZE, seen, 256));
	EXPECT_TRUE(is_filled_with(seen, sizeof(seen), 0));
	munmap(bar, 2 * PAGE_SIZE);
	session_close(&peer);
}

/* 5-31, 12-1: with its owner goes the way to its memory, whatever the IOMMU is. */
TEST_F(dma, peer_whose_owner_has_gone)
{
	const char *bdf = pci_device("IVSHMEM");
	struct vfio_session peer;
	uint8_t seen[256];
	bool survives;
	void *bar;

	if (!bdf)
		SKIP(return, "IVSHMEM names no device");
	ASSERT_EQ(0, type1_map(self->container, self->memory, IOVA + SIZE_2M,
			       PAGE_SIZE, DMA_RW));
	fill(self->memory, PAGE_SIZE, 41);
	EXPECT_EQ(0, edu_load(self->device, IOVA + SIZE_2M, sizeof(seen)));
	ASSERT_EQ(0, session_open(&peer, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, bar_mmap(peer.device, 2, 0, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &bar));
	ASSERT_EQ(0, type1_map(self->container, bar, IOVA, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(0, edu_store(self->device, IOVA, sizeof(seen)));
	EXPECT_EQ(0, memcmp(self->memory, bar, sizeof(seen)));
	munmap(bar, PAGE_SIZE);
	session_close(&peer);

	ASSERT_EQ(0, session_open(&peer, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, memory_enable(peer.device, true));
	memset(seen, 0x33, sizeof(seen));
	ASSERT_EQ(256, region_write(peer.device, 2, 0, seen, sizeof(seen)));
	EXPECT_EQ(0, edu_store(self->device, IOVA, sizeof(seen)));
	EXPECT_EQ(256, region_read(peer.device, 2, 0, seen, sizeof(seen)));
	survives = !is_filled_with(seen, sizeof(seen), 0x33);
	EXPECT_EQ(on_c_modules(), survives);
	session_close(&peer);
	/* What the IOMMU has refused is not in the way of what follows. */
	EXPECT_EQ(0, edu_store(self->device, IOVA + SIZE_2M, 64));
}

#define HUGE_PAGES	6
#define HUGE_SIZE	(HUGE_PAGES * SIZE_2M)
/* The part that is asked for, in the middle. */
#define PART		(2 * SIZE_2M)
#define PART_SIZE	(2 * SIZE_2M)

FIXTURE(v1)
{
	struct vfio_session session;
	int container;
	int device;
	uint8_t *huge;
	uint8_t *window;
};

FIXTURE_SETUP(v1)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	self->window = memory_new(2 * PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->window);
	self->huge = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			  MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	if (self->huge == MAP_FAILED)
		SKIP(return, "no huge pages");
	ASSERT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1_IOMMU));
	self->container = self->session.container;
	self->device = self->session.device;
	ASSERT_EQ(0, edu_bus_master(self->device, true));
}

FIXTURE_TEARDOWN(v1)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

/*
 * 5-50: a part is asked for, does not go, and its memory is given back to the
 * kernel and taken anew. Devices still reach the old pages; these stay as long as
 * the mapping, so that nobody else gets them.
 */
TEST_F(v1, part_that_does_not_go)
{
	uint8_t *part = self->huge + PART;
	uint8_t *window = self->window;
	int container = self->container;
	int device = self->device;
	long before;

	ASSERT_EQ(0, type1_map(container, self->huge, IOVA, HUGE_SIZE, DMA_RW));
	ASSERT_EQ(0, type1_map(container, window, IOVA + SIZE_1G, 2 * PAGE_SIZE,
			       DMA_RW));
	memset(part, 0x0d, PART_SIZE);
	EXPECT_EQ(0, type1_unmap(container, IOVA + PART, PART_SIZE, 0));

	before = huge_pages_free();
	ASSERT_EQ(0, munmap(part, PART_SIZE));
	EXPECT_EQ(before, huge_pages_free());
	ASSERT_EQ(part, mmap(part, PART_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
			     MAP_FIXED | MAP_POPULATE, -1, 0));
	EXPECT_EQ(before - 2, huge_pages_free());
	memset(part, 0x99, PART_SIZE);
	EXPECT_EQ(-EEXIST, type1_map(container, part, IOVA + PART, PART_SIZE,
				     DMA_RW));

	EXPECT_EQ(0, edu_load(device, IOVA + PART, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(device, IOVA + SIZE_1G, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(window, PAGE_SIZE, 0x0d));
	fill(window, PAGE_SIZE, 61);
	EXPECT_EQ(0, edu_load(device, IOVA + SIZE_1G, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(device, IOVA + PART + SIZE_2M, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(part, PART_SIZE, 0x99));
	EXPECT_EQ(0, edu_load(device, IOVA + PART + SIZE_2M, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(device, IOVA + SIZE_1G + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(window, window + PAGE_SIZE, PAGE_SIZE));

	/* The first part takes the whole mapping along, and the old pages. */
	EXPECT_EQ(HUGE_SIZE, type1_unmap(container, IOVA, SIZE_2M, 0));
	EXPECT_EQ(before, huge_pages_free());
	EXPECT_EQ(0, type1_map(container, part, IOVA + PART, PART_SIZE, DMA_RW));
	EXPECT_EQ(0, edu_store(device, IOVA + PART + SIZE_2M, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(window, part + SIZE_2M, PAGE_SIZE));
	EXPECT_EQ(0, munmap(self->huge, HUGE_SIZE));
	EXPECT_EQ(before + 4, huge_pages_free());
	EXPECT_EQ(PART_SIZE, type1_unmap(container, IOVA + PART, PART_SIZE, 0));
	EXPECT_EQ(before + 6, huge_pages_free());
}

FIXTURE(iommufd)
{
	const char *bdf;
	int fd;
	int device;
	long ioas;
	uint8_t *memory;
};

FIXTURE_SETUP(iommufd)
{
	NEED_DEVICE(self->bdf, "EDU");
	self->device = cdev_open(self->bdf, O_RDWR);
	self->fd = iommufd_open();
	if (self->device == -ENOENT || self->fd < 0)
		SKIP(return, "no cdev or no iommufd");
	ASSERT_LE(0, self->device);
	self->memory = memory_new(PAGES * PAGE_SIZE);
	self->ioas = iommufd_ioas(self->fd);
	ASSERT_LT(0, self->ioas);
	ASSERT_LT(0, cdev_bind(self->device, self->fd));
	ASSERT_EQ(0, iommufd_map(self->fd, self->ioas, self->memory, IOVA,
				 PAGES * PAGE_SIZE));
	ASSERT_EQ(0, edu_bus_master(self->device, true));
}

FIXTURE_TEARDOWN(iommufd)
{
	close(self->device);
	close(self->fd);
}

/* 4-24, 4-33, 4-42: bound is not attached; detached is blocked. */
TEST_F(iommufd, attach_and_detach)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	uint8_t *memory = self->memory;
	uint8_t *copy = memory + PAGE_SIZE;

	detach.argsz = 8;
	memset(memory, 0x11, PAGES * PAGE_SIZE);
	EXPECT_EQ(0, edu_store(self->device, IOVA, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(memory, PAGES * PAGE_SIZE, 0x11));

	ASSERT_LT(0, cdev_attach(self->device, self->ioas));
	fill(memory, PAGE_SIZE, 9);
	EXPECT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(self->device, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(memory, copy, PAGE_SIZE));

	ASSERT_EQ(0, vfio_ioctl(self->device, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				&detach));
	memset(copy, 0x22, PAGE_SIZE);
	EXPECT_EQ(0, edu_store(self->device, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(copy, PAGE_SIZE, 0x22));

	ASSERT_LT(0, cdev_attach(self->device, self->ioas));
	EXPECT_EQ(0, edu_store(self->device, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(memory, copy, PAGE_SIZE));
}

/* 4-36: attached to another address space, the old addresses are gone. */
TEST_F(iommufd, replace)
{
	uint8_t *memory = self->memory;
	long other = iommufd_ioas(self->fd);

	ASSERT_LT(0, other);
	ASSERT_LT(0, cdev_attach(self->device, self->ioas));
	ASSERT_EQ(0, iommufd_map(self->fd, other, memory + 2 * PAGE_SIZE,
				 IOVA + SIZE_2M, PAGE_SIZE));
	fill(memory, PAGE_SIZE, 21);
	EXPECT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
	ASSERT_LT(0, cdev_attach(self->device, other));
	EXPECT_EQ(0, edu_store(self->device, IOVA + SIZE_2M, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(memory, memory + 2 * PAGE_SIZE, PAGE_SIZE));
	memset(memory, 0x66, PAGE_SIZE);
	EXPECT_EQ(0, edu_store(self->device, IOVA, PAGE_SIZE));
	EXPECT_TRUE(is_filled_with(memory, PAGE_SIZE, 0x66));
}

/* 3-17: through a group whose container is an iommufd. */
TEST_F(iommufd, group_on_iommufd)
{
	uint8_t *memory = self->memory;
	int group;
	int device;

	close(self->device);
	self->device = -1;
	group = group_open(self->bdf);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, self->fd));
	device = group_device(group, self->bdf);
	ASSERT_LE(0, device);
	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, type1_map(self->fd, memory, IOVA, 2 * PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, edu_bus_master(device, true));
	fill(memory, PAGE_SIZE, 50);
	EXPECT_EQ(0, edu_load(device, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(device, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(memory, memory + PAGE_SIZE, PAGE_SIZE));
	close(device);
	close(group);
}

VFIO_TEST_MAIN("EDU", "IVSHMEM")
