// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's sample mbochs, a display that has a page fault handler of its own, a region
 * with a capability, and planes that are dma-bufs: a C driver that both stacks load (9-3).
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "importer.h"
#include "kselftest_harness.h"
#include "mdev.h"
#include "memory_area.h"

#define MBOCHS		"mbochs"
#define SMALL		"mbochs-small"
#define MEMORY_BYTES	(4UL << 20)
#define MEMORY_OFFSET	(3 * PAGE_SIZE)
/* The driver's read() and write() of its memory begin with this page. */
#define READ_PAGE	2
#define REGISTERS	PAGE_SIZE
#define EDID_REGION	VFIO_PCI_NUM_REGIONS
#define EDID_OFFSET	(2 * PAGE_SIZE)

/* Registers of the display, of two bytes. */
#define DISPI(number)	(REGISTERS + 0x500 + 2 * (number))
#define DISPI_ID	0
#define DISPI_WIDTH	1
#define DISPI_HEIGHT	2
#define DISPI_BPP	3
#define DISPI_ENABLE	4

#define WIDTH		640
#define HEIGHT		480
#define PLANE_SIZE	(WIDTH * HEIGHT * 4UL)
#define FORMAT		0x34325258 /* XR24 */
#define PRIMARY		1
#define PATTERN		0x5a

FIXTURE(mbochs)
{
	struct vfio_session session;
	int device;
	uint8_t *memory;
};

FIXTURE_VARIANT(mbochs)
{
	bool cdev;
};

FIXTURE_VARIANT_ADD(mbochs, group) { .cdev = false };
FIXTURE_VARIANT_ADD(mbochs, cdev) { .cdev = true };

static void *display_memory(int device)
{
	return mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		    MEMORY_OFFSET);
}

FIXTURE_SETUP(mbochs)
{
	NEED_C_DRIVER("mbochs");
	if (variant->cdev)
		NEED_IOMMUFD();
	CREATE_MDEV(MBOCHS, SMALL, UUID_1);
	ASSERT_EQ(0, mdev_open(&self->session, UUID_1, variant->cdev));
	self->device = self->session.device;
	self->memory = display_memory(self->device);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
}

FIXTURE_TEARDOWN(mbochs)
{
	munmap(self->memory, MEMORY_BYTES);
	session_close(&self->session);
	EXPECT_EQ(0, mdev_remove(UUID_1));
}

static long dispi_write(int device, int number, uint16_t value)
{
	return pwrite(device, &value, 2, DISPI(number)) == 2 ? 0 : -errno;
}

static long dispi_read(int device, int number)
{
	uint16_t value;

	return pread(device, &value, 2, DISPI(number)) == 2 ? value : -errno;
}

static long dispi_mode(int device, uint16_t width, uint16_t height)
{
	long ret = dispi_write(device, DISPI_WIDTH, width);

	ret = ret ?: dispi_write(device, DISPI_HEIGHT, height);
	ret = ret ?: dispi_write(device, DISPI_BPP, 32);
	return ret ?: dispi_write(device, DISPI_ENABLE, 1);
}

TEST_F(mbochs, has_registers)
{
	int device = self->device;
	uint16_t id;

	ASSERT_EQ(2, pread(device, &id, 2, PCI_DEVICE_ID));
	EXPECT_EQ(0x1111, id);
	EXPECT_EQ(0xb0c5, dispi_read(device, DISPI_ID));
	EXPECT_EQ(0, dispi_mode(device, WIDTH, HEIGHT));
	EXPECT_EQ(WIDTH, dispi_read(device, DISPI_WIDTH));
	EXPECT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, dispi_read(device, DISPI_WIDTH));
	EXPECT_EQ(0xb0c5, dispi_read(device, DISPI_ID));
	EXPECT_EQ(-EFAULT, sys_result(pread(device, &id, 2, 1UL << 40)));
}

/* ---- regions ---- */

/* 9-7: the driver adds a capability, the core puts it behind the answer, if there is room. */
TEST_F(mbochs, has_a_capability)
{
	struct vfio_region_info_cap_type *type;
	struct region_info info;
	const size_t all = sizeof(info.head) + sizeof(*type);
	int device = self->device;
	char *pages;
	size_t size;

	ASSERT_EQ(0, region_info(device, EDID_REGION, &info));
	EXPECT_EQ(EDID_OFFSET, info.head.offset);
	EXPECT_EQ(PAGE_SIZE, info.head.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			  VFIO_REGION_INFO_FLAG_CAPS,
		  info.head.flags);
	EXPECT_EQ(sizeof(info), info.head.argsz);
	EXPECT_EQ(sizeof(info.head), info.head.cap_offset);
	type = info_cap(&info, info.head.cap_offset, VFIO_REGION_INFO_CAP_TYPE);
	ASSERT_NE(NULL, type);
	EXPECT_EQ(1, type->header.version);
	EXPECT_EQ(0, type->header.next);
	EXPECT_EQ(VFIO_REGION_TYPE_GFX, type->type);
	EXPECT_EQ(VFIO_REGION_SUBTYPE_GFX_EDID, type->subtype);

	/* Not a byte less. */
	for (size = sizeof(info.head); size <= all; size++) {
		memset(&info, 0xee, sizeof(info));
		info.head.argsz = size;
		info.head.index = EDID_REGION;
		ASSERT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info));
		EXPECT_EQ(all, info.head.argsz);
		EXPECT_EQ(size == all ? sizeof(info.head) : 0, info.head.cap_offset);
		EXPECT_EQ(VFIO_REGION_INFO_FLAG_CAPS,
			  info.head.flags & VFIO_REGION_INFO_FLAG_CAPS);
		EXPECT_EQ(size == all ? VFIO_REGION_INFO_CAP_TYPE : 0xeeee,
			  ((struct vfio_info_cap_header *)info.capabilities)->id);
		EXPECT_EQ((char)0xee, info.capabilities[sizeof(*type)]);
	}
	/* It cannot be written. */
	pages = memory_new(2 * PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)pages);
	ASSERT_EQ(0, munmap(pages + PAGE_SIZE, PAGE_SIZE));
	pages += PAGE_SIZE - sizeof(info.head);
	memcpy(pages, &info, sizeof(info.head));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, pages));
	/* Other regions have none. */
	ASSERT_EQ(0, region_info(device, VFIO_PCI_BAR0_REGION_INDEX, &info));
	EXPECT_EQ(MEMORY_BYTES, info.head.size);
	EXPECT_EQ(0, info.head.cap_offset);
	EXPECT_EQ(0, info.head.flags & VFIO_REGION_INFO_FLAG_CAPS);
	EXPECT_EQ(-EINVAL, region_info(device, EDID_REGION + 1, &info));
}

TEST_F(mbochs, takes_an_edid)
{
	struct vfio_region_gfx_edid edid;
	uint8_t blob[128], seen[128];
	int device = self->device;

	ASSERT_EQ(sizeof(edid), pread(device, &edid, sizeof(edid), EDID_OFFSET));
	EXPECT_EQ(800, edid.max_xres);
	EXPECT_EQ(600, edid.max_yres);
	EXPECT_EQ(1024, edid.edid_max_size);
	memset(blob, PATTERN, sizeof(blob));
	ASSERT_EQ(sizeof(blob), pwrite(device, blob, sizeof(blob),
				       EDID_OFFSET + edid.edid_offset));
	edid.edid_size = sizeof(blob);
	edid.link_state = VFIO_DEVICE_GFX_LINK_STATE_UP;
	ASSERT_EQ(sizeof(edid), pwrite(device, &edid, sizeof(edid), EDID_OFFSET));
	ASSERT_EQ(sizeof(seen), pread(device, seen, sizeof(seen), REGISTERS));
	EXPECT_EQ(0, memcmp(blob, seen, sizeof(blob)));
}

/* ---- memory ---- */

/* Pages come one by one, from the driver's own handler, and are memory. */
TEST_F(mbochs, faults)
{
	uint8_t *second = display_memory(self->device);
	uint32_t value = 0;
	long before;
	int i;

	ASSERT_NE(MAP_FAILED, (void *)second);
	before = fault_count();
	for (i = 0; i < 16; i++)
		self->memory[i * PAGE_SIZE] = i;
	EXPECT_EQ(before + 16, fault_count());
	for (i = 0; i < 16; i++)
		EXPECT_EQ(i, second[i * PAGE_SIZE]);
	EXPECT_FALSE(area_has_flag(self->memory, "pf"));
	EXPECT_FALSE(area_has_flag(self->memory, "io"));
	EXPECT_FALSE(area_has_flag(self->memory, "de"));
	memset(self->memory + READ_PAGE * PAGE_SIZE, PATTERN, PAGE_SIZE);
	ASSERT_EQ(4, pread(self->device, &value, 4, MEMORY_OFFSET + 8));
	EXPECT_EQ(0x5a5a5a5a, value);
	value = 0x12345678;
	ASSERT_EQ(4, pwrite(self->device, &value, 4, MEMORY_OFFSET + 4));
	EXPECT_EQ(0, memcmp(second + READ_PAGE * PAGE_SIZE + 4, &value, 4));
	munmap(second, MEMORY_BYTES);
}

/* System calls and other processes reach it, as they do all memory that has pages. */
TEST_F(mbochs, memory_is_memory)
{
	int pipes[2];
	pid_t child;
	char text[8];

	ASSERT_EQ(0, pipe(pipes));
	strcpy((char *)self->memory, "display");
	ASSERT_EQ(8, write(pipes[1], self->memory, 8));
	ASSERT_EQ(8, read(pipes[0], self->memory + PAGE_SIZE, 8));
	EXPECT_STREQ("display", (char *)self->memory + PAGE_SIZE);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		self->memory[0] = 'D';
		_exit(0);
	}
	EXPECT_EQ(0, child_result(child));
	EXPECT_STREQ("Display", (char *)self->memory);
	EXPECT_EQ(0, mprotect(self->memory, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-SIGSEGV, mmio_write(self->memory, 1));
	EXPECT_EQ(0, madvise(self->memory, PAGE_SIZE, MADV_DONTNEED));
	memcpy(text, self->memory, 8);
	EXPECT_STREQ("Display", text);
	close(pipes[0]);
	close(pipes[1]);
}

/* As long as an area is there the device is open; then all pages are new. */
TEST_F(mbochs, area_keeps_the_device)
{
	self->memory[0] = PATTERN;
	session_close(&self->session);
	EXPECT_EQ(PATTERN, self->memory[0]);
	EXPECT_EQ(-EAGAIN, module_unload("mbochs"));
	ASSERT_EQ(0, munmap(self->memory, MEMORY_BYTES));
	ASSERT_EQ(0, mdev_open(&self->session, UUID_1, variant->cdev));
	self->memory = display_memory(self->session.device);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	EXPECT_EQ(0, self->memory[0]);
}

TEST_F(mbochs, wrong_mappings)
{
	static const struct {
		size_t size;
		int private;
		uint64_t offset;
	} wrong[] = {
		{ PAGE_SIZE, 0, 0 },
		{ PAGE_SIZE, 0, REGISTERS },
		{ PAGE_SIZE, 0, MEMORY_OFFSET + PAGE_SIZE },
		{ MEMORY_BYTES + PAGE_SIZE, 0, MEMORY_OFFSET },
		{ PAGE_SIZE, 1, MEMORY_OFFSET },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		errno = 0;
		EXPECT_EQ(MAP_FAILED, mmap(NULL, wrong[i].size, PROT_READ,
					   wrong[i].private ? MAP_PRIVATE : MAP_SHARED,
					   self->device, wrong[i].offset));
		EXPECT_EQ(EINVAL, errno);
	}
}

/* ---- planes ---- */

static long plane_query(int device, uint32_t flags, struct vfio_device_gfx_plane_info *plane)
{
	*plane = (struct vfio_device_gfx_plane_info){
		.argsz = sizeof(*plane),
		.flags = flags,
		.drm_plane_type = PRIMARY,
	};
	return vfio_ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, plane);
}

TEST_F(mbochs, has_no_plane_without_a_mode)
{
	struct vfio_device_gfx_plane_info plane;
	const uint32_t probe = VFIO_GFX_PLANE_TYPE_PROBE;
	int device = self->device;
	uint32_t id = 1;

	EXPECT_EQ(0, plane_query(device, probe | VFIO_GFX_PLANE_TYPE_DMABUF, &plane));
	EXPECT_EQ(-EINVAL, plane_query(device, probe | VFIO_GFX_PLANE_TYPE_REGION, &plane));
	EXPECT_EQ(-EINVAL, plane_query(device, VFIO_GFX_PLANE_TYPE_REGION, &plane));
	EXPECT_EQ(0, plane_query(device, VFIO_GFX_PLANE_TYPE_DMABUF, &plane));
	EXPECT_EQ(0, plane.drm_format);
	EXPECT_EQ(0, plane.dmabuf_id);
	EXPECT_EQ(-ENOENT, vfio_ioctl(device, VFIO_DEVICE_GET_GFX_DMABUF, &id));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_GET_GFX_DMABUF, BAD_POINTER));
}

/* kmemleak would find what the driver does not free of a plane. */
static bool leaks_are_searched(void)
{
	char command[4096] = "";

	file_read("/proc/cmdline", command, sizeof(command));
	return kernel_has_checkers() && !strstr(command, "kmemleak=off");
}

/* Makes a plane, and has its buffer. */
static long plane_buffer(int device, struct vfio_device_gfx_plane_info *plane)
{
	long ret = dispi_mode(device, WIDTH, HEIGHT);

	/* The driver makes it the first time, and finds it the second time. */
	if (ret || plane_query(device, VFIO_GFX_PLANE_TYPE_DMABUF, plane) != -ENOMEM)
		return ret ?: -EIO;
	ret = plane_query(device, VFIO_GFX_PLANE_TYPE_DMABUF, plane);
	return ret ?: vfio_ioctl(device, VFIO_DEVICE_GET_GFX_DMABUF, &plane->dmabuf_id);
}

/* The driver's buffer is that of its pages, for whoever imports it, and keeps its module. */
TEST_F(mbochs, has_a_plane)
{
	struct vfio_device_gfx_plane_info plane;
	struct dma_buf_importer_map map;
	int importer = importer_open();
	const char *bdf;
	long fd;

	NEED_DEVICE(bdf, "EDU");
	if (leaks_are_searched())
		SKIP(return, "the driver does not free all of a plane");
	ASSERT_LE(0, importer);
	fd = plane_buffer(self->device, &plane);
	ASSERT_LE(0, fd);
	EXPECT_EQ(FORMAT, plane.drm_format);
	EXPECT_EQ(WIDTH, plane.width);
	EXPECT_EQ(HEIGHT, plane.height);
	EXPECT_EQ(PLANE_SIZE, plane.size);
	EXPECT_EQ(1, plane.dmabuf_id);
	EXPECT_EQ(PLANE_SIZE, lseek(fd, 0, SEEK_END));
	ASSERT_EQ(0, importer_attach(importer, fd, 0, 0, bdf));
	ASSERT_EQ(0, vfio_ioctl(importer, DMA_BUF_IMPORTER_MAP, &map));
	EXPECT_EQ(PLANE_SIZE, map.length);
	EXPECT_EQ(0, vfio_ioctl(importer, DMA_BUF_IMPORTER_UNMAP, NULL));
	close(importer);
	munmap(self->memory, MEMORY_BYTES);
	session_close(&self->session);
	EXPECT_EQ(-EAGAIN, module_unload("mbochs"));
	close(fd);
	ASSERT_EQ(0, mdev_open(&self->session, UUID_1, variant->cdev));
	self->memory = display_memory(self->session.device);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	EXPECT_EQ(0, self->memory[0]);
}

SAMPLES_TEST_MAIN("mbochs", "vfio_dma_buf_importer")
