// SPDX-License-Identifier: GPL-2.0
/* A VGA device and its legacy addresses. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define VGA_MEMORY	0xa0000
#define VGA_END		0xc0000

/* Ports of the color modes: index and data of the sequencer and so on. */
#define MISC_WRITE	0x3c2
#define SEQUENCER	0x3c4
#define MISC_READ	0x3cc
#define GRAPHICS	0x3ce

static long get_region(int device, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info) {
		.argsz = sizeof(*info),
		.index = VFIO_PCI_VGA_REGION_INDEX,
	};
	return vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info);
}

static long vga_read(int device, uint64_t address, void *buf, size_t size)
{
	return region_read(device, VFIO_PCI_VGA_REGION_INDEX, address, buf,
			   size);
}

static long vga_write(int device, uint64_t address, const void *buf,
		      size_t size)
{
	return region_write(device, VFIO_PCI_VGA_REGION_INDEX, address, buf,
			    size);
}

static long port_in(int device, uint16_t port)
{
	uint8_t value;
	long ret = vga_read(device, port, &value, 1);

	return ret == 1 ? value : ret < 0 ? ret : -EIO;
}

static long port_out(int device, uint16_t port, uint8_t value)
{
	long ret = vga_write(device, port, &value, 1);

	return ret == 1 ? 0 : ret < 0 ? ret : -EIO;
}

/* A register behind an index register. */
static long indexed_out(int device, uint16_t port, uint8_t index, uint8_t value)
{
	const uint8_t bytes[] = { index, value };
	long ret = vga_write(device, port, bytes, sizeof(bytes));

	return ret == sizeof(bytes) ? 0 : ret < 0 ? ret : -EIO;
}

static long indexed_in(int device, uint16_t port, uint8_t index)
{
	long ret = port_out(device, port, index);

	return ret ? ret : port_in(device, port + 1);
}

FIXTURE(vga)
{
	struct vfio_session session;
	int fd;
};

FIXTURE_SETUP(vga)
{
	const char *bdf;

	NEED_DEVICE(bdf, "VGA");
	ASSERT_EQ(0, session_share(&self->session, bdf));
	self->fd = self->session.device;
}

FIXTURE_TEARDOWN(vga)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

/* 6-14 */
TEST_F(vga, region)
{
	struct vfio_region_info info;

	ASSERT_EQ(0, get_region(self->fd, &info));
	EXPECT_EQ(VGA_END, info.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		  info.flags);
	EXPECT_EQ(REGION_OFFSET(VFIO_PCI_VGA_REGION_INDEX), info.offset);
}

/* 7-12: the ports are those of the device. */
TEST_F(vga, ports)
{
	static const uint8_t values[] = { 0x67, 0x63, 0x67 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		EXPECT_EQ(0, port_out(self->fd, MISC_WRITE, values[i]));
		EXPECT_EQ(values[i], port_in(self->fd, MISC_READ));
	}
	EXPECT_EQ(0, indexed_out(self->fd, SEQUENCER, 2, 0x05));
	EXPECT_EQ(0x05, indexed_in(self->fd, SEQUENCER, 2));
	EXPECT_EQ(0, indexed_out(self->fd, SEQUENCER, 2, 0x0a));
	EXPECT_EQ(0x0a, indexed_in(self->fd, SEQUENCER, 2));
}

/* 7-12: so is the memory. */
TEST_F(vga, memory)
{
	uint8_t bytes[64], back[64];
	unsigned int i;

	/* All planes, in a row; the first 64 KiB of the window. */
	ASSERT_EQ(0, indexed_out(self->fd, SEQUENCER, 2, 0x0f));
	ASSERT_EQ(0, indexed_out(self->fd, SEQUENCER, 4, 0x0e));
	ASSERT_EQ(0, indexed_out(self->fd, GRAPHICS, 5, 0x40));
	ASSERT_EQ(0, indexed_out(self->fd, GRAPHICS, 6, 0x05));
	ASSERT_EQ(0, indexed_out(self->fd, GRAPHICS, 8, 0xff));
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 7 + 1;
	EXPECT_EQ(sizeof(bytes), vga_write(self->fd, VGA_MEMORY + 0x101, bytes,
					   sizeof(bytes)));
	EXPECT_EQ(sizeof(back), vga_read(self->fd, VGA_MEMORY + 0x101, back,
					 sizeof(back)));
	EXPECT_EQ(0, memcmp(bytes, back, sizeof(back)));
	/* Memory that is off for the BARs. */
	ASSERT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(1, vga_read(self->fd, VGA_MEMORY, back, 1));
	EXPECT_EQ(0, memory_enable(self->fd, true));
}

/* 7-12: a transfer ends where the addresses do. */
TEST_F(vga, ends)
{
	static const struct {
		uint32_t address;
		long count;
	} ends[] = {
		{ 0x3b0, 12 }, { 0x3bb, 1 }, { 0x3c0, 32 }, { 0x3df, 1 },
		{ VGA_END - 1, 1 }, { VGA_END - 6, 6 },
	};
	uint8_t bytes[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		EXPECT_EQ(ends[i].count, vga_read(self->fd, ends[i].address,
						  bytes, sizeof(bytes))) {
			TH_LOG("at %#x", ends[i].address);
		}
	}
	EXPECT_EQ(6, vga_write(self->fd, VGA_END - 6, bytes, sizeof(bytes)));
}

/* 7-12, 7-1, 7-7 */
TEST_F(vga, refusals)
{
	static const uint32_t others[] = {
		0, 0x3af, 0x3bc, 0x3bf, 0x3e0, VGA_MEMORY - 1, VGA_END,
		0x7fffffff,
	};
	uint32_t value = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		EXPECT_EQ(-EINVAL, vga_read(self->fd, others[i], &value, 1)) {
			TH_LOG("at %#x", others[i]);
		}
		EXPECT_EQ(-EINVAL, vga_write(self->fd, others[i], &value, 1)) {
			TH_LOG("at %#x", others[i]);
		}
		EXPECT_EQ(0, vga_read(self->fd, others[i], &value, 0));
	}
	EXPECT_EQ(-EFAULT, vga_read(self->fd, VGA_MEMORY, BAD_POINTER, 4));
	EXPECT_EQ(-EFAULT, vga_write(self->fd, VGA_MEMORY, BAD_POINTER, 4));
}

/* 8-4 */
TEST_F(vga, no_mapping)
{
	void *addr;

	EXPECT_EQ(-EINVAL, bar_mmap(self->fd, VFIO_PCI_VGA_REGION_INDEX, 0,
				    PAGE_SIZE, PROT_READ, &addr));
	EXPECT_EQ(-EINVAL, bar_mmap(self->fd, VFIO_PCI_VGA_REGION_INDEX,
				    VGA_MEMORY, PAGE_SIZE, PROT_READ, &addr));
}

/*
 * 6-12, 7-9: the ROM of the device that the firmware shows the console on may be
 * a copy in memory, which has another address than the BAR.
 */
TEST_F(vga, rom)
{
	const unsigned int index = VFIO_PCI_ROM_REGION_INDEX;
	uint64_t start, size;
	uint8_t head[64], again[64];

	ASSERT_EQ(0, pci_resource(self->session.bdf, 6, &start, &size));
	if (!size)
		SKIP(return, "QEMU has no ROM for this device");
	EXPECT_EQ(size, region_size(self->fd, index));
	ASSERT_EQ(64, region_read(self->fd, index, 0, head, 64));
	EXPECT_EQ(0x55, head[0]);
	EXPECT_EQ(0xaa, head[1]);
	EXPECT_EQ(8, region_read(self->fd, index, size - 8, again, 64));
	EXPECT_EQ(-EINVAL, region_read(self->fd, index, size, again, 1));
	EXPECT_EQ(-EINVAL, region_write(self->fd, index, 0, head, 4));
	printf("# ROM of %#lx bytes at %#lx\n", (long)size, (long)start);
	ASSERT_EQ(64, region_read(self->fd, index, 0, again, 64));
	EXPECT_EQ(0, memcmp(head, again, 64));
}

/*
 * 10-6: the arbiter of legacy addresses has the driver as a client, since it lets no
 * user change what a device decodes that has one.
 */
TEST_F(vga, arbiter)
{
	const char *bdf = self->session.bdf;
	char text[256] = "";
	int arbiter = open("/dev/vga_arbiter", O_RDWR | O_CLOEXEC);
	int length = snprintf(text, sizeof(text), "target PCI:%s", bdf);

	ASSERT_LE(0, arbiter);
	ASSERT_EQ(length, write(arbiter, text, length));
	ASSERT_EQ(12, write(arbiter, "decodes none", 12));
	length = read(arbiter, text, sizeof(text) - 1);
	ASSERT_LT(0, length);
	text[length] = '\0';
	EXPECT_NE(NULL, strstr(text, bdf));
	EXPECT_NE(NULL, strstr(text, "decodes=io+mem"));
	close(arbiter);
}

/* 6-14, 7-12: any other device. */
TEST(not_vga)
{
	struct vfio_region_info info;
	struct vfio_session session;
	uint8_t byte = 0;
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	ASSERT_EQ(0, session_share(&session, bdf));
	EXPECT_EQ(-EINVAL, get_region(session.device, &info));
	EXPECT_EQ(-EINVAL, vga_read(session.device, VGA_MEMORY, &byte, 1));
	EXPECT_EQ(-EINVAL, vga_write(session.device, VGA_MEMORY, &byte, 1));
	session_close(&session);
}

VFIO_TEST_MAIN_OPEN("VGA", "EDU")
