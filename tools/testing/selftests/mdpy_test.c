// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's sample mdpy, a display whose memory the driver maps for the user as a whole:
 * a C driver that both stacks load (9-3). The core gives it the area, and must leave that as
 * the driver made it.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "locked_memory.h"
#include "mdev.h"
#include "memory_area.h"

#define MDPY		"mdpy"
/* 640 * 480 pixels of four bytes, up to a power of two. */
#define VGA		"mdpy-vga"
#define STRIDE		(640 * 4)
#define DISPLAY_SIZE	(2UL << 20)
#define DISPLAY_REGION	16
#define FORMAT		0x34325258 /* XR24 */

#define IOVA		0x10000000UL
#define PATTERN		0x5a

FIXTURE(mdpy)
{
	struct vfio_session session;
	int device;
	uint8_t *memory;
};

FIXTURE_VARIANT(mdpy)
{
	bool cdev;
};

FIXTURE_VARIANT_ADD(mdpy, group) { .cdev = false };
FIXTURE_VARIANT_ADD(mdpy, cdev) { .cdev = true };

FIXTURE_SETUP(mdpy)
{
	NEED_C_DRIVER("mdpy");
	if (variant->cdev)
		NEED_IOMMUFD();
	CREATE_MDEV(MDPY, VGA, UUID_1);
	ASSERT_EQ(0, mdev_open(&self->session, UUID_1, variant->cdev));
	self->device = self->session.device;
	self->memory = mmap(NULL, DISPLAY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			    self->device, PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
}

FIXTURE_TEARDOWN(mdpy)
{
	munmap(self->memory, DISPLAY_SIZE);
	session_close(&self->session);
	EXPECT_EQ(0, mdev_remove(UUID_1));
}

/* A region that is none of PCI's. */
TEST_F(mdpy, has_regions)
{
	struct region_info info;
	int device = self->device;
	uint32_t i;

	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		size_t size = i == VFIO_PCI_BAR0_REGION_INDEX ? DISPLAY_SIZE :
			      i == VFIO_PCI_CONFIG_REGION_INDEX ? 255 : 0;

		ASSERT_EQ(0, region_info(device, i, &info));
		EXPECT_EQ(size, info.head.size);
		EXPECT_EQ(size == DISPLAY_SIZE ? PAGE_SIZE : 0, info.head.offset);
		EXPECT_EQ(size == DISPLAY_SIZE,
			  !!(info.head.flags & VFIO_REGION_INFO_FLAG_MMAP));
	}
	EXPECT_EQ(-EINVAL, region_info(device, VFIO_PCI_NUM_REGIONS, &info));
	EXPECT_EQ(-EINVAL, region_info(device, DISPLAY_REGION - 1, &info));
	ASSERT_EQ(0, region_info(device, DISPLAY_REGION, &info));
	EXPECT_EQ(DISPLAY_SIZE, info.head.size);
	EXPECT_EQ(PAGE_SIZE, info.head.offset);
}

TEST_F(mdpy, answers_about_its_plane)
{
	struct vfio_device_gfx_plane_info plane = {
		.argsz = sizeof(plane),
		.flags = VFIO_GFX_PLANE_TYPE_PROBE | VFIO_GFX_PLANE_TYPE_REGION,
	};
	int device = self->device;
	uint32_t id = 1;

	EXPECT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, &plane));
	plane.flags = VFIO_GFX_PLANE_TYPE_PROBE | VFIO_GFX_PLANE_TYPE_DMABUF;
	EXPECT_EQ(-EINVAL, vfio_ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, &plane));
	plane.flags = VFIO_GFX_PLANE_TYPE_DMABUF;
	EXPECT_EQ(-EINVAL, vfio_ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, &plane));
	plane.flags = VFIO_GFX_PLANE_TYPE_REGION;
	ASSERT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, &plane));
	EXPECT_EQ(FORMAT, plane.drm_format);
	EXPECT_EQ(640, plane.width);
	EXPECT_EQ(480, plane.height);
	EXPECT_EQ(STRIDE, plane.stride);
	EXPECT_EQ(DISPLAY_SIZE, plane.size);
	EXPECT_EQ(DISPLAY_REGION, plane.region_index);
	plane.argsz = 8;
	EXPECT_EQ(-EINVAL, vfio_ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, &plane));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, BAD_POINTER));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(device, VFIO_DEVICE_GET_GFX_DMABUF, &id));
	EXPECT_EQ(-EINVAL, irq_disable(device, VFIO_PCI_INTX_IRQ_INDEX));
}

/* All of it is there from the start, as the driver filled it. */
TEST_F(mdpy, is_populated)
{
	int i;

	EXPECT_EQ(0, faults_of(self->memory, DISPLAY_SIZE / PAGE_SIZE));
	/* A gradient. */
	for (i = 0; i < 480; i += 40)
		EXPECT_EQ(i * 255 / 480, self->memory[i * STRIDE + 7]);
	/* Pages of memory, of which the processor knows what they are. */
	EXPECT_TRUE(area_has_flag(self->memory, "mm"));
	EXPECT_FALSE(area_has_flag(self->memory, "pf"));
	EXPECT_FALSE(area_has_flag(self->memory, "io"));
}

/* Two mappings, read() and write(), and another process have the same memory. */
TEST_F(mdpy, has_one_memory)
{
	uint8_t *second = mmap(NULL, DISPLAY_SIZE / 2, PROT_READ, MAP_SHARED, self->device,
			       PAGE_SIZE);
	uint32_t value = 0x12345678, back = 0;
	pid_t child;

	ASSERT_NE(MAP_FAILED, (void *)second);
	memset(self->memory, PATTERN, DISPLAY_SIZE);
	EXPECT_EQ(PATTERN, second[0]);
	EXPECT_EQ(PATTERN, second[DISPLAY_SIZE / 2 - 1]);
	/* The driver knows of the first bytes only. */
	ASSERT_EQ(4, pread(self->device, &back, 4, PAGE_SIZE));
	EXPECT_EQ(0x5a5a5a5a, back);
	ASSERT_EQ(4, pwrite(self->device, &value, 4, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(second, &value, 4));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		self->memory[DISPLAY_SIZE / 2 - 1] = 0x77;
		_exit(second[0] != 0x78);
	}
	EXPECT_EQ(0, child_result(child));
	EXPECT_EQ(0x77, second[DISPLAY_SIZE / 2 - 1]);
	/* A reset draws the gradient again. */
	EXPECT_EQ(0, vfio_ioctl(self->device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, second[0]);
	munmap(second, DISPLAY_SIZE / 2);
}

/* What the driver, or the core for it, refuses. */
TEST_F(mdpy, wrong_mappings)
{
	const int shared = MAP_SHARED, rw = PROT_READ | PROT_WRITE;
	static const struct {
		size_t size;
		int private;
		uint64_t offset;
	} wrong[] = {
		{ PAGE_SIZE, 0, 0 },
		{ PAGE_SIZE, 0, 2 * PAGE_SIZE },
		{ PAGE_SIZE, 0, 1UL << 40 },
		{ DISPLAY_SIZE + PAGE_SIZE, 0, PAGE_SIZE },
		{ PAGE_SIZE, 1, PAGE_SIZE },
	};
	void *memory;
	int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		int kind = wrong[i].private ? MAP_PRIVATE : shared;

		errno = 0;
		EXPECT_EQ(MAP_FAILED, mmap(NULL, wrong[i].size, rw, kind, self->device,
					   wrong[i].offset));
		EXPECT_EQ(EINVAL, errno);
	}
	memory = mmap(NULL, PAGE_SIZE, PROT_READ, shared, self->device, PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, memory);
	munmap(memory, PAGE_SIZE);
}

/* Areas are split, made read-only, moved and grown as those of other memory. */
TEST_F(mdpy, area_is_changed)
{
	uint8_t *memory = self->memory;
	uint8_t *moved;
	uint32_t value;

	memset(memory, PATTERN, DISPLAY_SIZE);
	ASSERT_EQ(0, mprotect(memory + 4 * PAGE_SIZE, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-SIGSEGV, mmio_write(memory + 4 * PAGE_SIZE, 1));
	EXPECT_EQ(0, mmio_write(memory + 5 * PAGE_SIZE, 1));
	ASSERT_EQ(0, munmap(memory + 8 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(-SIGSEGV, mmio_read(memory + 8 * PAGE_SIZE, &value));
	ASSERT_EQ(0, mmio_read(memory + 9 * PAGE_SIZE, &value));
	EXPECT_EQ(0x5a5a5a5a, value);
	moved = mremap(memory + 16 * PAGE_SIZE, 4 * PAGE_SIZE, 4 * PAGE_SIZE,
		       MREMAP_MAYMOVE | MREMAP_FIXED, memory_new(4 * PAGE_SIZE));
	ASSERT_NE(MAP_FAILED, (void *)moved);
	EXPECT_EQ(PATTERN, moved[4 * PAGE_SIZE - 1]);
	EXPECT_EQ(MAP_FAILED, mremap(moved, 4 * PAGE_SIZE, 8 * PAGE_SIZE, MREMAP_MAYMOVE));
	munmap(moved, 4 * PAGE_SIZE);
}

/* An area keeps the device open. */
TEST_F(mdpy, area_keeps_the_device)
{
	session_close(&self->session);
	self->memory[0] = PATTERN;
	EXPECT_EQ(-EAGAIN, module_unload("mdpy"));
	ASSERT_EQ(0, munmap(self->memory, DISPLAY_SIZE));
	ASSERT_EQ(0, mdev_open(&self->session, UUID_1, variant->cdev));
	self->memory = mmap(NULL, DISPLAY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			    self->session.device, PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	/* The memory is the driver's, and stays as it is. */
	EXPECT_EQ(PATTERN, self->memory[0]);
}

/* The memory of the one device in the IOMMU of another one, as any other memory. */
TEST_F(mdpy, gets_dma)
{
	struct vfio_session edu;
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&edu, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, type1_map(edu.container, self->memory, IOVA, DISPLAY_SIZE, DMA_RW));
	ASSERT_EQ(0, edu_bus_master(edu.device, true));
	memset(self->memory, PATTERN, PAGE_SIZE);
	ASSERT_EQ(0, edu_load(edu.device, IOVA, PAGE_SIZE));
	ASSERT_EQ(0, edu_store(edu.device, IOVA + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(self->memory, self->memory + PAGE_SIZE, PAGE_SIZE));
	/* It stays where it is when its device is closed. */
	session_close(&self->session);
	munmap(self->memory, DISPLAY_SIZE);
	EXPECT_EQ(0, edu_load(edu.device, IOVA, PAGE_SIZE));
	session_close(&edu);
	EXPECT_EQ(0, pci_bind(bdf, NULL));
	ASSERT_EQ(0, mdev_open(&self->session, UUID_1, variant->cdev));
	self->memory = mmap(NULL, DISPLAY_SIZE, PROT_READ, MAP_SHARED,
			    self->session.device, PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
}

int main(int argc, char **argv)
{
	static const char *const devices[] = { "EDU", NULL };
	static const char *const modules[] = { "mdpy", NULL };

	pci_claim(devices);
	samples_claim(modules);
	return test_harness_run(argc, argv);
}
