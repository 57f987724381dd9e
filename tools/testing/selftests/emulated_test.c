// SPDX-License-Identifier: GPL-2.0
/*
 * Emulated devices: no IOMMU, a group that was made up, mappings without pages;
 * and memory of such a device in the IOMMU of another one. The device is the
 * sample vfio_memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "locked_memory.h"
#include "samples.h"
#include "vfio_memory.h"

#define IOVA		0x10000000UL
#define IOVA_MEMORY	0x40000000UL
#define PATTERN		0x5a

static bool all_bytes(const uint8_t *bytes, size_t size, uint8_t value)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* Whether all of the device's memory has @value, as read() sees it. */
static bool memory_has(int device, uint8_t value)
{
	static uint8_t bytes[MEMORY_SIZE];

	return pread(device, bytes, sizeof(bytes), 0) == sizeof(bytes) &&
	       all_bytes(bytes, sizeof(bytes), value);
}

/* ---- the device ---- */

FIXTURE(memory)
{
	struct vfio_session session;
};

FIXTURE_SETUP(memory)
{
	NEED_SAMPLES();
	ASSERT_EQ(0, memory_open(&self->session, VFIO_TYPE1v2_IOMMU));
}

FIXTURE_TEARDOWN(memory)
{
	session_close(&self->session);
}

/* 1-29 */
TEST_F(memory, has_a_group_without_an_iommu)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64], name[64];

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/name",
		 memory_group());
	ASSERT_LT(0, file_read(path, name, sizeof(name)));
	EXPECT_STREQ("vfio-noiommu\n", name);
	ASSERT_EQ(0, vfio_ioctl(self->session.group, VFIO_GROUP_GET_STATUS,
				&status));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  status.flags);
	EXPECT_EQ(-EBUSY, memory_group_open());
	EXPECT_EQ(-ENODEV, group_device(self->session.group, "vfio-other"));
}

TEST_F(memory, has_memory_and_registers)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	int fd = self->session.device;

	ASSERT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_GET_INFO, &device));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_RESET, device.flags);
	EXPECT_EQ(2, device.num_regions);
	EXPECT_EQ(0, device.num_irqs);
	device.argsz = 8;
	EXPECT_EQ(-EINVAL, vfio_ioctl(fd, VFIO_DEVICE_GET_INFO, &device));
	ASSERT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region));
	EXPECT_EQ(MEMORY_SIZE, region.size);
	EXPECT_EQ(0, region.offset);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			  VFIO_REGION_INFO_FLAG_MMAP,
		  region.flags);
	region.index = 1;
	ASSERT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region));
	EXPECT_EQ(sizeof(struct vfio_memory_registers), region.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		  region.flags);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd,
				   region.offset));
	region.index = 2;
	EXPECT_EQ(-EINVAL, vfio_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO,
				      &region));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(fd, VFIO_DEVICE_SET_IRQS, NULL));
}

TEST_F(memory, reads_what_was_written)
{
	int fd = self->session.device;
	uint8_t bytes[1000], back[1000];
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	/* Across the end of a page. */
	EXPECT_EQ(1000, pwrite(fd, bytes, 1000, PAGE_SIZE - 123));
	EXPECT_EQ(1000, pread(fd, back, 1000, PAGE_SIZE - 123));
	EXPECT_EQ(0, memcmp(bytes, back, 1000));
	EXPECT_EQ(10, pwrite(fd, bytes, 1000, MEMORY_SIZE - 10));
	EXPECT_EQ(10, pread(fd, back, 1000, MEMORY_SIZE - 10));
	EXPECT_EQ(0, pread(fd, back, 1000, MEMORY_SIZE));
	EXPECT_EQ(-EFAULT, region_read(fd, 0, 0, BAD_POINTER, 8));
}

TEST_F(memory, maps)
{
	int fd = self->session.device;
	uint8_t *memory = memory_mmap(fd);

	ASSERT_NE(MAP_FAILED, (void *)memory);
	EXPECT_TRUE(all_bytes(memory, MEMORY_SIZE, 0));
	memset(memory, PATTERN, MEMORY_SIZE);
	EXPECT_TRUE(memory_has(fd, PATTERN));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, MEMORY_SIZE + PAGE_SIZE, PROT_READ,
				   MAP_SHARED, fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd,
				   MEMORY_SIZE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE, fd,
				   0));
	munmap(memory, MEMORY_SIZE);
}

/* The core finds what several files and processes have mapped. */
TEST_F(memory, reset_zaps_every_mapping)
{
	int fd = self->session.device;
	int other = group_device(self->session.group, MEMORY_NAME);
	uint8_t *first = memory_mmap(fd);
	uint8_t *second = memory_mmap(other);
	pid_t child;

	ASSERT_LE(0, other);
	ASSERT_NE(MAP_FAILED, (void *)first);
	ASSERT_NE(MAP_FAILED, (void *)second);
	memset(first, PATTERN, MEMORY_SIZE);
	EXPECT_TRUE(all_bytes(second, MEMORY_SIZE, PATTERN));
	ASSERT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_TRUE(all_bytes(first, MEMORY_SIZE, 0));
	EXPECT_TRUE(all_bytes(second, MEMORY_SIZE, 0));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(!all_bytes(second, MEMORY_SIZE, 0) ||
		      vfio_ioctl(other, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, child_result(child));
	close(other);
	munmap(first, MEMORY_SIZE);
	munmap(second, MEMORY_SIZE);
}

TEST_F(memory, is_empty_for_the_next_user)
{
	uint8_t byte = PATTERN;

	ASSERT_EQ(1, pwrite(self->session.device, &byte, 1, 0));
	close(self->session.device);
	self->session.device = group_device(self->session.group, MEMORY_NAME);
	ASSERT_LE(0, self->session.device);
	EXPECT_TRUE(memory_has(self->session.device, 0));
}

TEST_F(memory, keeps_its_driver)
{
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio_memory"));
}

/* ---- containers ---- */

/* 5-21, 5-89, 2-6: nothing is pinned, charged or translated. */
TEST_F(memory, alone_needs_no_pages)
{
	int container = self->session.container;
	long pinned = memory_pinned_pages();
	long locked = memory_locked_kb();
	void *page = memory_new(PAGE_SIZE);
	long slots = type1_dma_avail(container);

	ASSERT_NE(MAP_FAILED, page);
	EXPECT_EQ(1, vfio_ioctl_arg(container, VFIO_CHECK_EXTENSION,
				    VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(0, type1_map(container, page, IOVA, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EEXIST, type1_map(container, page, IOVA, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(slots - 1, type1_dma_avail(container));
	/* Any address will do, and what is there is not looked at. */
	EXPECT_EQ(0, type1_map(container, NULL, 0xfee00000,
			       PAGE_SIZE, DMA_RW));
	EXPECT_EQ(pinned, memory_pinned_pages());
	EXPECT_EQ(locked, memory_locked_kb());
	EXPECT_EQ(2 * PAGE_SIZE, type1_unmap(container, 0, 0,
					     VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(slots, type1_dma_avail(container));
	munmap(page, PAGE_SIZE);
}

/* With the last group go the mappings, whatever kind of group it is. */
TEST_F(memory, last_group_takes_the_mappings)
{
	int container = self->session.container;
	void *page = memory_new(PAGE_SIZE);

	ASSERT_EQ(0, type1_map(container, page, IOVA, PAGE_SIZE, DMA_RW));
	close(self->session.device);
	self->session.device = -1;
	ASSERT_EQ(0, vfio_ioctl(self->session.group,
				VFIO_GROUP_UNSET_CONTAINER, NULL));
	ASSERT_EQ(0, group_set_container(self->session.group, container));
	ASSERT_EQ(0, vfio_ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, type1_unmap(container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL));
	munmap(page, PAGE_SIZE);
}

/* ---- together with a device that does DMA ---- */

FIXTURE(mixed)
{
	struct vfio_session memory;
	const char *bdf;
	int group;
	int device;
	uint8_t *page;
};

FIXTURE_SETUP(mixed)
{
	NEED_SAMPLES();
	NEED_DEVICE(self->bdf, "EDU");
	self->device = -1;
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	ASSERT_EQ(0, memory_open(&self->memory, VFIO_TYPE1v2_IOMMU));
	self->group = group_open(self->bdf);
	ASSERT_LE(0, self->group);
	self->page = memory_new(PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->page);
}

FIXTURE_TEARDOWN(mixed)
{
	if (self->device >= 0)
		close(self->device);
	close(self->group);
	session_close(&self->memory);
	EXPECT_EQ(0, pci_bind(self->bdf, NULL));
}

/* 5-97, 5-99: pages come and go with the device that needs them. */
TEST_F(mixed, first_domain_gets_what_is_mapped)
{
	int container = self->memory.container;
	long pinned = memory_pinned_pages();
	long locked = memory_locked_kb();
	int round;

	ASSERT_EQ(0, type1_map(container, self->page, IOVA, PAGE_SIZE, DMA_RW));
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, group_set_container(self->group, container));
		EXPECT_EQ(pinned + 1, settled_pinned_pages(pinned + 1));
		EXPECT_EQ(locked + 4, memory_locked_kb());
		self->device = group_device(self->group, self->bdf);
		ASSERT_LE(0, self->device);
		ASSERT_EQ(0, edu_bus_master(self->device, true));
		memset(self->page, PATTERN + round, PAGE_SIZE);
		ASSERT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
		memset(self->page, 0, PAGE_SIZE);
		ASSERT_EQ(0, edu_store(self->device, IOVA, PAGE_SIZE));
		EXPECT_TRUE(all_bytes(self->page, PAGE_SIZE, PATTERN + round));
		close(self->device);
		self->device = -1;
		ASSERT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER,
					NULL));
		EXPECT_EQ(pinned, settled_pinned_pages(pinned));
		EXPECT_EQ(locked, memory_locked_kb());
	}
	EXPECT_EQ(PAGE_SIZE, type1_unmap(container, IOVA, PAGE_SIZE, 0));
}

/*
 * Has another process map its own copy of @page, or take a mapping over with it, as @flags
 * say, until @lives says so.
 */
static pid_t start_mapper(int container, uint8_t *page, uint32_t flags, int mapped,
			  int lives)
{
	pid_t pid = fork();
	char byte;

	if (pid)
		return pid;
	memset(page, PATTERN, PAGE_SIZE);
	if (type1_map(container, page, IOVA, PAGE_SIZE, flags) ||
	    write(mapped, "", 1) != 1)
		_exit(1);
	_exit(read(lives, &byte, 1) != 1);
}

/* 5-97: it is the memory of who mapped it, whoever brings the device. */
TEST_F(mixed, first_domain_gets_memory_of_who_mapped)
{
	int container = self->memory.container;
	int mapped[2], lives[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(mapped));
	ASSERT_EQ(0, pipe(lives));
	pid = start_mapper(container, self->page, DMA_RW, mapped[1], lives[0]);
	ASSERT_LT(0, pid);
	memset(self->page, 0, PAGE_SIZE);
	ASSERT_EQ(1, read(mapped[0], &byte, 1));
	ASSERT_EQ(0, group_set_container(self->group, container));
	self->device = group_device(self->group, self->bdf);
	ASSERT_LE(0, self->device);
	ASSERT_EQ(0, edu_bus_master(self->device, true));
	ASSERT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
	ASSERT_EQ(0, type1_map(container, self->page, IOVA + SIZE_2M, PAGE_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, edu_store(self->device, IOVA + SIZE_2M, PAGE_SIZE));
	EXPECT_TRUE(all_bytes(self->page, PAGE_SIZE, PATTERN));
	close(self->device);
	self->device = -1;
	ASSERT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL));

	/* Without that process there is no such memory. */
	ASSERT_EQ(1, write(lives[1], "", 1));
	ASSERT_EQ(0, child_result(pid));
	EXPECT_EQ(-ENODEV, group_set_container(self->group, container));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(container, IOVA, PAGE_SIZE, 0));
	EXPECT_EQ(0, group_set_container(self->group, container));
	close(mapped[0]);
	close(mapped[1]);
	close(lives[0]);
	close(lives[1]);
}

/* 5-11, 5-97: what is pinned again is the memory of who took it over, where he has it. */
TEST_F(mixed, first_domain_gets_memory_at_new_address)
{
	int container = self->memory.container;
	int updated[2], lives[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(updated));
	ASSERT_EQ(0, pipe(lives));
	ASSERT_EQ(0, group_set_container(self->group, container));
	close(self->memory.device);
	self->memory.device = -1;
	ASSERT_EQ(0, vfio_ioctl(self->memory.group, VFIO_GROUP_UNSET_CONTAINER,
				NULL));
	memset(self->page, 0, PAGE_SIZE);
	ASSERT_EQ(0, type1_map(container, self->page, IOVA, PAGE_SIZE, DMA_RW));
	ASSERT_EQ(PAGE_SIZE, type1_unmap(container, IOVA, PAGE_SIZE,
					 VFIO_DMA_UNMAP_FLAG_VADDR));
	pid = start_mapper(container, self->page, VFIO_DMA_MAP_FLAG_VADDR,
			   updated[1], lives[0]);
	ASSERT_LT(0, pid);
	ASSERT_EQ(1, read(updated[0], &byte, 1));

	/* It loses its pages, and gets them again. */
	ASSERT_EQ(0, group_set_container(self->memory.group, container));
	ASSERT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	ASSERT_EQ(0, group_set_container(self->group, container));
	self->device = group_device(self->group, self->bdf);
	ASSERT_LE(0, self->device);
	ASSERT_EQ(0, edu_bus_master(self->device, true));
	ASSERT_EQ(0, edu_load(self->device, IOVA, PAGE_SIZE));
	ASSERT_EQ(0, type1_map(container, self->page, IOVA + SIZE_2M, PAGE_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, edu_store(self->device, IOVA + SIZE_2M, PAGE_SIZE));
	EXPECT_TRUE(all_bytes(self->page, PAGE_SIZE, PATTERN));
	ASSERT_EQ(1, write(lives[1], "", 1));
	ASSERT_EQ(0, child_result(pid));
	close(updated[0]);
	close(updated[1]);
	close(lives[0]);
	close(lives[1]);
}

/* How many ranges of addresses GET_INFO tells of, and the ends of the first. */
static long iova_ranges(int container, uint64_t *start, uint64_t *end)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	struct vfio_iommu_type1_info *info = type1_info(container);
	long count = -ENOENT;

	if (!info)
		return -EIO;
	cap = info_cap(info, info->cap_offset,
		       VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	if (cap) {
		count = cap->nr_iovas;
		*start = cap->iova_ranges[0].start;
		*end = cap->iova_ranges[0].end;
	}
	free(info);
	return count;
}

/* 5-14, 5-81, 5-100: no list before there is an IOMMU, and all in it after that. */
TEST_F(mixed, addresses_are_valid_again)
{
	int container = self->memory.container;
	uint64_t start = 0, end = 0;
	int round;

	EXPECT_EQ(-ENOENT, iova_ranges(container, &start, &end));
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, group_set_container(self->group, container));
		EXPECT_LT(1, iova_ranges(container, &start, &end));
		EXPECT_GT(0xfee00000, end);
		EXPECT_EQ(-EINVAL, type1_map(container, self->page, 0xfee00000,
					     PAGE_SIZE, DMA_RW));
		ASSERT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER,
					NULL));
		EXPECT_EQ(1, iova_ranges(container, &start, &end));
		EXPECT_EQ(0, start);
		EXPECT_EQ(UINT64_MAX, end);
		EXPECT_EQ(0, type1_map(container, self->page, -PAGE_SIZE,
				       PAGE_SIZE, DMA_RW));
		EXPECT_EQ(PAGE_SIZE, type1_unmap(container, -PAGE_SIZE,
						 PAGE_SIZE, 0));
	}
}

/* 5-91, 5-92: what cannot be pinned or translated keeps the device out, and only that. */
TEST_F(mixed, first_domain_gets_all_or_nothing)
{
	int container = self->memory.container;
	long pinned = memory_pinned_pages();

	ASSERT_EQ(0, type1_map(container, self->page, IOVA, PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, type1_map(container, NULL, IOVA + SIZE_2M,
			       PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EFAULT, group_set_container(self->group, container));
	EXPECT_EQ(pinned, settled_pinned_pages(pinned));
	EXPECT_EQ(-EINVAL, group_device(self->group, self->bdf));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(container, IOVA + SIZE_2M, PAGE_SIZE,
					 0));
	/* Beyond what the IOMMU translates. */
	ASSERT_EQ(0, type1_map(container, self->page, 1UL << 60, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(-EINVAL, group_set_container(self->group, container));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(container, 1UL << 60, PAGE_SIZE, 0));
	/* Where the IOMMU has the doorbell of MSIs. */
	ASSERT_EQ(0, type1_map(container, self->page, 0xfee00000, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(-EINVAL, group_set_container(self->group, container));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(container, 0xfee00000, PAGE_SIZE, 0));
	EXPECT_EQ(0, group_set_container(self->group, container));
	EXPECT_EQ(pinned + 1, settled_pinned_pages(pinned + 1));
}

/* An emulated device can leave without anybody losing a mapping. */
TEST_F(mixed, emulated_group_may_leave)
{
	int container = self->memory.container;

	ASSERT_EQ(0, type1_map(container, self->page, IOVA, PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, group_set_container(self->group, container));
	close(self->memory.device);
	self->memory.device = -1;
	ASSERT_EQ(0, vfio_ioctl(self->memory.group, VFIO_GROUP_UNSET_CONTAINER,
				NULL));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(container, IOVA, PAGE_SIZE, 0));
}

/* The same for memory of a device, which may have changed hands meanwhile. */
TEST_F(mixed, first_domain_gets_device_memory)
{
	uint8_t *memory = memory_mmap(self->memory.device);
	int container = self->memory.container;
	long pinned = memory_pinned_pages();

	ASSERT_NE(MAP_FAILED, (void *)memory);
	ASSERT_EQ(0, type1_map(container, memory, IOVA_MEMORY, MEMORY_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, group_set_container(self->group, container));
	EXPECT_EQ(pinned, memory_pinned_pages());
	self->device = group_device(self->group, self->bdf);
	ASSERT_LE(0, self->device);
	ASSERT_EQ(0, edu_bus_master(self->device, true));
	memset(memory, PATTERN, PAGE_SIZE);
	ASSERT_EQ(0, edu_load(self->device, IOVA_MEMORY, PAGE_SIZE));
	ASSERT_EQ(0, edu_store(self->device, IOVA_MEMORY + PAGE_SIZE,
			       PAGE_SIZE));
	EXPECT_TRUE(all_bytes(memory, 2 * PAGE_SIZE, PATTERN));
	close(self->device);
	self->device = -1;
	ASSERT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, NULL));

	munmap(memory, MEMORY_SIZE);
	EXPECT_EQ(-EFAULT, group_set_container(self->group, container));
	EXPECT_EQ(MEMORY_SIZE, type1_unmap(container, IOVA_MEMORY, MEMORY_SIZE,
					   0));
	EXPECT_EQ(0, group_set_container(self->group, container));
}

/*
 * The release notifier comes for free: another device has this one's memory in
 * its IOMMU, and loses it when this one is closed.
 */
TEST_F(mixed, memory_is_revoked_from_the_iommu)
{
	uint8_t *memory = memory_mmap(self->memory.device);
	struct vfio_session edu;

	ASSERT_NE(MAP_FAILED, (void *)memory);
	close(self->group);
	ASSERT_EQ(0, session_open(&edu, self->bdf, VFIO_TYPE1v2_IOMMU));
	self->group = edu.group;
	self->device = edu.device;
	ASSERT_EQ(0, edu_bus_master(edu.device, true));
	ASSERT_EQ(0, type1_map(edu.container, self->page, IOVA, PAGE_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, type1_map(edu.container, memory, IOVA_MEMORY, MEMORY_SIZE,
			       DMA_RW));

	/* DMA reaches the emulated device. */
	memset(self->page, PATTERN, PAGE_SIZE);
	ASSERT_EQ(0, edu_load(edu.device, IOVA, PAGE_SIZE));
	ASSERT_EQ(0, edu_store(edu.device, IOVA_MEMORY + 3 * PAGE_SIZE,
			       PAGE_SIZE));
	EXPECT_TRUE(all_bytes(memory + 3 * PAGE_SIZE, PAGE_SIZE, PATTERN));
	EXPECT_TRUE(all_bytes(memory + 4 * PAGE_SIZE, PAGE_SIZE, 0));

	/* After the last close it does not, neither for the next user. */
	munmap(memory, MEMORY_SIZE);
	close(self->memory.device);
	self->memory.device = group_device(self->memory.group, MEMORY_NAME);
	ASSERT_LE(0, self->memory.device);
	ASSERT_EQ(0, edu_store(edu.device, IOVA_MEMORY + 3 * PAGE_SIZE,
			       PAGE_SIZE));
	EXPECT_TRUE(memory_has(self->memory.device, 0));

	/* The mapping is there until its owner unmaps it. */
	EXPECT_EQ(-EEXIST, type1_map(edu.container, self->page, IOVA_MEMORY,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(MEMORY_SIZE, type1_unmap(edu.container, IOVA_MEMORY,
					   MEMORY_SIZE, 0));
	EXPECT_EQ(0, session_works(&edu));
	close(edu.container);
}

/* ---- iommufd ---- */

FIXTURE(cdev)
{
	int iommufd;
	int device;
};

FIXTURE_SETUP(cdev)
{
	NEED_SAMPLES();
	NEED_IOMMUFD();
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->device = memory_cdev_open();
	ASSERT_LE(0, self->device);
}

FIXTURE_TEARDOWN(cdev)
{
	close(self->device);
	close(self->iommufd);
}

static long ioas_destroy(int iommufd, uint32_t id)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	return vfio_ioctl(iommufd, IOMMU_DESTROY, &destroy);
}

static long cdev_detach(int device)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};

	return vfio_ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

TEST_F(cdev, attaches_to_address_spaces)
{
	long id, first, second;
	uint8_t *memory;

	EXPECT_EQ(-EINVAL, sys_result(pread(self->device, &id, 8, 0)));
	id = cdev_bind(self->device, self->iommufd);
	ASSERT_LT(0, id);
	EXPECT_EQ(-EINVAL, cdev_bind(self->device, self->iommufd));
	EXPECT_EQ(-EBUSY, memory_group_open());
	first = iommufd_ioas(self->iommufd);
	second = iommufd_ioas(self->iommufd);
	ASSERT_LT(0, first);
	ASSERT_LT(0, second);
	EXPECT_EQ(-ENOENT, cdev_attach(self->device, 12345));
	/* An object, but no address space. */
	EXPECT_EQ(-ENOENT, cdev_attach(self->device, id));
	EXPECT_EQ(first, cdev_attach(self->device, first));
	EXPECT_EQ(-EBUSY, ioas_destroy(self->iommufd, first));
	/* In place of the first one. */
	EXPECT_EQ(second, cdev_attach(self->device, second));
	EXPECT_EQ(0, ioas_destroy(self->iommufd, first));
	EXPECT_EQ(-EBUSY, ioas_destroy(self->iommufd, second));
	memory = memory_mmap(self->device);
	ASSERT_NE(MAP_FAILED, (void *)memory);
	memset(memory, PATTERN, MEMORY_SIZE);
	EXPECT_TRUE(memory_has(self->device, PATTERN));
	EXPECT_EQ(0, cdev_detach(self->device));
	EXPECT_EQ(0, cdev_detach(self->device));
	EXPECT_EQ(0, ioas_destroy(self->iommufd, second));
	munmap(memory, MEMORY_SIZE);
}

/* Close detaches, and the iommufd does not hold on to the device. */
TEST_F(cdev, close_detaches)
{
	long ioas = iommufd_ioas(self->iommufd);

	ASSERT_LT(0, ioas);
	ASSERT_LT(0, cdev_bind(self->device, self->iommufd));
	ASSERT_EQ(ioas, cdev_attach(self->device, ioas));
	EXPECT_EQ(0, iommufd_map(self->iommufd, ioas, memory_new(PAGE_SIZE),
				 IOVA, PAGE_SIZE));
	close(self->device);
	EXPECT_EQ(0, ioas_destroy(self->iommufd, ioas));
	self->device = memory_cdev_open();
	ASSERT_LE(0, self->device);
	EXPECT_LT(0, cdev_bind(self->device, self->iommufd));
}

/* A group can have an iommufd in place of a container. */
TEST_F(cdev, group_takes_an_iommufd)
{
	int group = memory_group_open();
	int device, other;

	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, self->iommufd));
	device = group_device(group, MEMORY_NAME);
	ASSERT_LE(0, device);
	other = group_device(group, MEMORY_NAME);
	EXPECT_LE(0, other);
	EXPECT_TRUE(memory_has(device, 0));
	EXPECT_EQ(-EBUSY, cdev_bind(self->device, self->iommufd));
	close(other);
	close(device);
	close(group);
	EXPECT_LT(0, cdev_bind(self->device, self->iommufd));
}

SAMPLES_TEST_MAIN("vfio_memory")
