// SPDX-License-Identifier: GPL-2.0
/* read(2) and write(2) on the regions of a device (7.1). */
#include <fcntl.h>
#include <sys/mman.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IVSHMEM_BAR	2

FIXTURE(edu)
{
	struct vfio_session session;
	int fd;
};

FIXTURE_SETUP(edu)
{
	SHARE_DEVICE(&self->session, "EDU");
	self->fd = self->session.device;
}

FIXTURE_TEARDOWN(edu)
{
	EXPECT_EQ(0, session_finish(&self->session));
}

/* 7-4, 7-5 */
TEST_F(edu, registers)
{
	EXPECT_EQ(EDU_ID_VALUE, edu_read(self->fd, EDU_ID));
	EXPECT_EQ(0, edu_write(self->fd, EDU_LIVENESS, 0x12345678));
	EXPECT_EQ(~0x12345678U, edu_read(self->fd, EDU_LIVENESS));
}

/* 7-1: nothing to do is done, wherever it is. */
TEST_F(edu, count_zero)
{
	EXPECT_EQ(0, region_read(self->fd, 0, 0, self, 0));
	EXPECT_EQ(0, region_write(self->fd, 0, 0, self, 0));
	EXPECT_EQ(0, region_read(self->fd, 0, EDU_BAR_SIZE, self, 0));
	EXPECT_EQ(0, region_read(self->fd, 100, 0, self, 0));
	EXPECT_EQ(0, region_write(self->fd, VFIO_PCI_ROM_REGION_INDEX, 0, self,
				  0));
}

/* 7-2, 7-12, 7-10 */
TEST_F(edu, regions_that_are_not_there)
{
	uint32_t value = 0;

	EXPECT_EQ(-EINVAL, region_read(self->fd, VFIO_PCI_NUM_REGIONS, 0, &value,
				       4));
	EXPECT_EQ(-EINVAL, region_write(self->fd, VFIO_PCI_NUM_REGIONS, 0, &value,
					4));
	EXPECT_EQ(-EINVAL, region_read(self->fd, 1000, 0, &value, 4));
	EXPECT_EQ(-EINVAL, region_read(self->fd, VFIO_PCI_VGA_REGION_INDEX,
				       0xa0000, &value, 4));
	EXPECT_EQ(-EINVAL, region_write(self->fd, VFIO_PCI_VGA_REGION_INDEX,
					0xa0000, &value, 4));
	/* BARs and a ROM that this device does not have. */
	EXPECT_EQ(-EINVAL, region_read(self->fd, 1, 0, &value, 4));
	EXPECT_EQ(-EINVAL, region_write(self->fd, 5, 0, &value, 4));
	EXPECT_EQ(-EINVAL, region_read(self->fd, VFIO_PCI_ROM_REGION_INDEX, 0,
				       &value, 4));
	EXPECT_EQ(-EINVAL, region_write(self->fd, VFIO_PCI_ROM_REGION_INDEX, 0,
					&value, 4));
}

/* 7-4, 7-11: at the end of a BAR short, at the end of configuration refused. */
TEST_F(edu, ends)
{
	uint8_t buffer[64] = { 0 };

	EXPECT_EQ(4, region_read(self->fd, 0, EDU_BAR_SIZE - 4, buffer, 16));
	EXPECT_EQ(4, region_write(self->fd, 0, EDU_BAR_SIZE - 4, buffer, 64));
	EXPECT_EQ(-EINVAL, region_read(self->fd, 0, EDU_BAR_SIZE, buffer, 4));
	EXPECT_EQ(-EINVAL, region_write(self->fd, 0, EDU_BAR_SIZE, buffer, 4));
	EXPECT_EQ(-EINVAL, region_read(self->fd, 0, 1UL << 39, buffer, 4));
	EXPECT_EQ(-EINVAL, region_read(self->fd, 0, (1UL << 40) - 4, buffer, 4));

	EXPECT_EQ(4, region_read(self->fd, VFIO_PCI_CONFIG_REGION_INDEX, 252,
				 buffer, 4));
	EXPECT_EQ(-EFAULT, region_read(self->fd, VFIO_PCI_CONFIG_REGION_INDEX,
				       252, buffer, 5));
	EXPECT_EQ(-EFAULT, region_write(self->fd, VFIO_PCI_CONFIG_REGION_INDEX,
					252, buffer, 8));
	EXPECT_EQ(-EFAULT, region_read(self->fd, VFIO_PCI_CONFIG_REGION_INDEX,
				       256, buffer, 1));
	EXPECT_EQ(-EFAULT, region_read(self->fd, VFIO_PCI_CONFIG_REGION_INDEX,
				       4096, buffer, 4));
}

/* 7-7 */
TEST_F(edu, bad_buffer)
{
	EXPECT_EQ(-EFAULT, region_read(self->fd, 0, 0, BAD_POINTER, 4));
	EXPECT_EQ(-EFAULT, region_write(self->fd, 0, EDU_LIVENESS, BAD_POINTER,
					4));
	EXPECT_EQ(-EFAULT, region_read(self->fd, VFIO_PCI_CONFIG_REGION_INDEX, 0,
				       BAD_POINTER, 4));
	EXPECT_EQ(-EFAULT, region_write(self->fd, VFIO_PCI_CONFIG_REGION_INDEX, 0,
					BAD_POINTER, 4));
}

/* 7-6: without memory decoding, no access; with it, everything as before. */
TEST_F(edu, memory_disabled)
{
	uint32_t value = 0;

	EXPECT_EQ(0, edu_write(self->fd, EDU_LIVENESS, 1));
	EXPECT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(-EIO, region_read(self->fd, 0, 0, &value, 4));
	EXPECT_EQ(-EIO, region_write(self->fd, 0, EDU_LIVENESS, &value, 4));
	EXPECT_EQ(-EINVAL, region_read(self->fd, 0, EDU_BAR_SIZE, &value, 4));
	EXPECT_EQ(4, region_read(self->fd, VFIO_PCI_CONFIG_REGION_INDEX, 0,
				 &value, 4));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(EDU_ID_VALUE, edu_read(self->fd, EDU_ID));
	EXPECT_EQ(~1U, edu_read(self->fd, EDU_LIVENESS));
}

/*
 * 7-5: naturally aligned accesses, the largest first. Below 0x80 this device only
 * answers those of 4 bytes, so that one of another width is not the same as two
 * or four others: read() gets what the CPU gets by one load.
 */
TEST_F(edu, width_of_accesses)
{
	const uint64_t address = 0x123456789abcdef0;
	uint16_t half, expected_half;
	uint64_t full, expected_full;
	uint32_t words[2];
	void *bar;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &bar));
	expected_half = *(volatile uint16_t *)bar;
	expected_full = *(volatile uint64_t *)bar;
	ASSERT_EQ(0, edu_write(self->fd, EDU_LIVENESS, 0x12345678));
	/* Neither is what two accesses of 4 bytes would give. */
	ASSERT_NE(EDU_ID_VALUE & 0xffff, expected_half);
	ASSERT_NE(EDU_ID_VALUE, expected_full & 0xffffffff);
	EXPECT_EQ(2, region_read(self->fd, 0, EDU_ID, &half, 2));
	EXPECT_EQ(expected_half, half);
	EXPECT_EQ(8, region_read(self->fd, 0, EDU_ID, &full, 8));
	EXPECT_EQ(expected_full, full);
	/* Not aligned to 8 bytes: two of 4. */
	EXPECT_EQ(8, region_read(self->fd, 0, EDU_LIVENESS, words, 8));
	EXPECT_EQ(~0x12345678U, words[0]);
	/* 4 bytes, then 2 that reach nothing. */
	EXPECT_EQ(6, region_read(self->fd, 0, EDU_ID, words, 6));
	EXPECT_EQ(EDU_ID_VALUE, words[0]);
	/* A register that is written whole, or not as it should be. */
	EXPECT_EQ(8, region_write(self->fd, 0, EDU_DMA_SRC, &address, 8));
	EXPECT_EQ(8, region_read(self->fd, 0, EDU_DMA_SRC, &full, 8));
	EXPECT_EQ(address, full);
	munmap(bar, PAGE_SIZE);
}

/*
 * 7-3, 7-7: an error in the middle. What came before has been done, but the
 * position is where it was.
 */
TEST_F(edu, error_in_the_middle)
{
	char *edge = memory_new(2 * PAGE_SIZE);
	uint32_t value = 0x01020304;

	ASSERT_NE(MAP_FAILED, (void *)edge);
	ASSERT_EQ(0, munmap(edge + PAGE_SIZE, PAGE_SIZE));
	edge += PAGE_SIZE - 4;
	ASSERT_EQ(4, read(self->fd, &value, 4));
	ASSERT_EQ(EDU_ID_VALUE, value);
	/* The position is that of the liveness register from now on. */
	value = 0x01020304;
	memcpy(edge, &value, 4);
	EXPECT_EQ(-EFAULT, sys_result(write(self->fd, edge, 8)));
	EXPECT_EQ(~0x01020304U, edu_read(self->fd, EDU_LIVENESS));
	memset(edge, 0, 4);
	EXPECT_EQ(-EFAULT, sys_result(read(self->fd, edge, 8)));
	memcpy(&value, edge, 4);
	EXPECT_EQ(~0x01020304U, value);
	value = 0x05060708;
	EXPECT_EQ(4, write(self->fd, &value, 4));
	EXPECT_EQ(~0x05060708U, edu_read(self->fd, EDU_LIVENESS));
	munmap(edge - (PAGE_SIZE - 4), PAGE_SIZE);
}

/* 7-3, 1-23: a position that read and write move, though lseek does not. */
TEST_F(edu, file_position)
{
	uint32_t value;

	EXPECT_EQ(4, read(self->fd, &value, 4));
	EXPECT_EQ(EDU_ID_VALUE, value);
	value = 0x0f0f0f0f;
	EXPECT_EQ(4, write(self->fd, &value, 4));
	EXPECT_EQ(~0x0f0f0f0fU, edu_read(self->fd, EDU_LIVENESS));
	EXPECT_EQ(-1, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
}

/* The shared memory of ivshmem shows exactly which bytes an access reached. */
FIXTURE(ram)
{
	struct vfio_session session;
	int fd;
};

FIXTURE_SETUP(ram)
{
	SHARE_DEVICE(&self->session, "IVSHMEM");
	self->fd = self->session.device;
}

FIXTURE_TEARDOWN(ram)
{
	session_close(&self->session);
}

/* 7-5: any offset, any count. */
TEST_F(ram, widths)
{
	uint8_t written[40], read[40], expected[40];
	unsigned int offset, count, i;

	for (offset = 0; offset < 8; offset++) {
		for (count = 1; count <= 19; count++) {
			memset(expected, 0xcc, sizeof(expected));
			ASSERT_EQ(40, region_write(self->fd, IVSHMEM_BAR, 0x1000,
						   expected, 40));
			for (i = 0; i < count; i++) {
				written[i] = offset * 16 + count + i;
				expected[8 + offset + i] = written[i];
			}
			ASSERT_EQ(count, region_write(self->fd, IVSHMEM_BAR,
						      0x1008 + offset, written,
						      count));
			ASSERT_EQ(40, region_read(self->fd, IVSHMEM_BAR, 0x1000,
						  read, 40));
			ASSERT_EQ(0, memcmp(expected, read, 40));
			memset(read, 0xdd, sizeof(read));
			ASSERT_EQ(count, region_read(self->fd, IVSHMEM_BAR,
						     0x1008 + offset, read,
						     count));
			ASSERT_EQ(0, memcmp(written, read, count));
			ASSERT_EQ(0xdd, read[count]);
		}
	}
}

/* 7-4: large transfers, and one that the end of the BAR cuts. */
TEST_F(ram, large)
{
	const size_t size = 64 * 1024;
	uint8_t *out = memory_new(size);
	uint8_t *in = memory_new(size);
	long bar = region_size(self->fd, IVSHMEM_BAR);
	size_t i;

	ASSERT_EQ(64L << 20, bar);
	for (i = 0; i < size; i++)
		out[i] = i * 13 + i / 256;
	EXPECT_EQ(size, region_write(self->fd, IVSHMEM_BAR, 0x2001, out, size));
	EXPECT_EQ(size, region_read(self->fd, IVSHMEM_BAR, 0x2001, in, size));
	EXPECT_EQ(0, memcmp(out, in, size));
	memset(in, 0, size);
	EXPECT_EQ(1001, region_write(self->fd, IVSHMEM_BAR, bar - 1001, out,
				     size));
	EXPECT_EQ(1001, region_read(self->fd, IVSHMEM_BAR, bar - 1001, in, size));
	EXPECT_EQ(0, memcmp(out, in, 1001));
	EXPECT_EQ(0, in[1001]);
}

/* 7-7: the part before the fault is done, the call fails all the same. */
TEST_F(ram, buffer_that_ends)
{
	char *edge = memory_new(2 * PAGE_SIZE);

	ASSERT_EQ(0, munmap(edge + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(-EFAULT, region_read(self->fd, IVSHMEM_BAR, 0,
				       edge + PAGE_SIZE - 8, 16));
	EXPECT_EQ(-EFAULT, region_write(self->fd, IVSHMEM_BAR, 0,
					edge + PAGE_SIZE - 8, 16));
	EXPECT_EQ(8, region_read(self->fd, IVSHMEM_BAR, 0, edge + PAGE_SIZE - 8,
				 8));
}

/*
 * 7-3, 7-7: a page that is not there, far into a long transfer. The call fails and the
 * position stays; all accesses before the one that meets the page have been made, none
 * from that on.
 */
TEST_F(ram, bad_page_in_the_middle)
{
	static const uint64_t offsets[] = { 0x3000, 0x3001, 0x3004, 0x31fe };
	const size_t good = 2 * PAGE_SIZE, size = 4 * PAGE_SIZE;
	uint8_t *device = memory_new(size), *user = memory_new(size);
	unsigned int i;
	size_t done, j;

	ASSERT_EQ(0, munmap(user + good, PAGE_SIZE));
	for (i = 0; i < 4; i++) {
		/* The widest access is of 8 bytes, and none is cut. */
		done = (offsets[i] + good) / 8 * 8 - offsets[i];
		memset(device, 0xcc, size);
		ASSERT_EQ(size, region_write(self->fd, IVSHMEM_BAR, offsets[i],
					     device, size));
		for (j = 0; j < good; j++)
			user[j] = j * 7 + j / 256 + 1;
		EXPECT_EQ(-EFAULT, region_write(self->fd, IVSHMEM_BAR, offsets[i],
						user, size));
		ASSERT_EQ(size, region_read(self->fd, IVSHMEM_BAR, offsets[i],
					    device, size));
		EXPECT_EQ(0, memcmp(user, device, done));
		for (j = done; j < size; j++)
			ASSERT_EQ(0xcc, device[j]);

		for (j = 0; j < size; j++)
			device[j] = j * 5 + j / 256 + 1;
		ASSERT_EQ(size, region_write(self->fd, IVSHMEM_BAR, offsets[i],
					     device, size));
		memset(user, 0xdd, good);
		memset(user + good + PAGE_SIZE, 0xdd, PAGE_SIZE);
		EXPECT_EQ(-EFAULT, region_read(self->fd, IVSHMEM_BAR, offsets[i],
					       user, size));
		EXPECT_EQ(0, memcmp(device, user, done));
		for (j = good + PAGE_SIZE; j < size; j++)
			ASSERT_EQ(0xdd, user[j]);
	}
}

/* read() and a mapping show the same memory. */
TEST_F(ram, mapping_agrees)
{
	uint32_t value = 0x11223344;
	uint32_t *map;
	void *addr;

	ASSERT_EQ(0, bar_mmap(self->fd, IVSHMEM_BAR, PAGE_SIZE, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &addr));
	map = addr;
	ASSERT_EQ(4, region_write(self->fd, IVSHMEM_BAR, PAGE_SIZE + 8, &value, 4));
	EXPECT_EQ(0x11223344, map[2]);
	map[3] = 0x55667788;
	EXPECT_EQ(4, region_read(self->fd, IVSHMEM_BAR, PAGE_SIZE + 12, &value, 4));
	EXPECT_EQ(0x55667788, value);
	munmap(addr, PAGE_SIZE);
}

/* 7-6: an I/O BAR is not asked whether memory, or I/O, is decoded. */
TEST(io_bar)
{
	struct vfio_session session;
	uint8_t value[4] = { 0 };

	SHARE_DEVICE(&session, "TESTDEV");
	EXPECT_EQ(256, region_size(session.device, 1));
	EXPECT_EQ(1, region_read(session.device, 1, 0, value, 1));
	EXPECT_EQ(2, region_read(session.device, 1, 2, value, 2));
	EXPECT_EQ(4, region_read(session.device, 1, 4, value, 4));
	EXPECT_EQ(4, region_read(session.device, 1, 252, value, 100));
	EXPECT_EQ(-EINVAL, region_read(session.device, 1, 256, value, 1));
	EXPECT_EQ(0, config_write(session.device, PCI_COMMAND, 2, 0));
	EXPECT_EQ(1, region_read(session.device, 1, 0, value, 1));
	EXPECT_EQ(-EIO, region_read(session.device, 0, 0, value, 4));
	session_close(&session);
}

FIXTURE(msix)
{
	struct vfio_session session;
	int fd;
	unsigned int bar;
	unsigned int table;
	unsigned int size;
};

FIXTURE_VARIANT(msix)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(msix, nvme)
{
	.name = "NVME",
};

FIXTURE_VARIANT_ADD(msix, igb)
{
	.name = "IGB",
};

FIXTURE_SETUP(msix)
{
	long cap;

	SHARE_DEVICE(&self->session, variant->name);
	self->fd = self->session.device;
	cap = config_cap(self->fd, PCI_CAP_ID_MSIX);
	ASSERT_LT(0, cap);
	self->table = config_read(self->fd, cap + PCI_MSIX_TABLE, 4);
	self->bar = self->table & PCI_MSIX_TABLE_BIR;
	self->table &= PCI_MSIX_TABLE_OFFSET;
	self->size = ((config_read(self->fd, cap + PCI_MSIX_FLAGS, 2) &
		       PCI_MSIX_FLAGS_QSIZE) + 1) * PCI_MSIX_ENTRY_SIZE;
}

FIXTURE_TEARDOWN(msix)
{
	session_close(&self->session);
}

/* 7-8, 8-7: read() hides the table, write() does not reach it, mmap() does. */
TEST_F(msix, table)
{
	uint8_t zero[16] = { 0 };
	uint8_t *data = memory_new(PAGE_SIZE);
	uint32_t before, value;
	unsigned int i;
	void *addr;

	ASSERT_GE(PAGE_SIZE, self->size);
	ASSERT_EQ(self->size, region_read(self->fd, self->bar, self->table, data,
					  self->size));
	for (i = 0; i < self->size; i++)
		ASSERT_EQ(0xff, data[i]);

	ASSERT_EQ(0, bar_mmap(self->fd, self->bar,
			      self->table & ~(PAGE_SIZE - 1), PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &addr));
	addr += self->table % PAGE_SIZE;
	ASSERT_EQ(0, mmio_read(addr + PCI_MSIX_ENTRY_DATA, &before));
	ASSERT_EQ(0, mmio_write(addr + PCI_MSIX_ENTRY_DATA, 0x4321));
	EXPECT_EQ(16, region_write(self->fd, self->bar, self->table, zero, 16));
	EXPECT_EQ(4, region_write(self->fd, self->bar,
				  self->table + PCI_MSIX_ENTRY_DATA, zero, 4));
	ASSERT_EQ(0, mmio_read(addr + PCI_MSIX_ENTRY_DATA, &value));
	EXPECT_EQ(0x4321, value);
	ASSERT_EQ(0, mmio_write(addr + PCI_MSIX_ENTRY_DATA, before));
}

/* 7-8: the same where an access begins before the table or ends behind it. */
TEST_F(msix, edges_of_the_table)
{
	uint8_t data[32];
	unsigned int i;

	if (self->table >= 16) {
		ASSERT_EQ(32, region_read(self->fd, self->bar, self->table - 16,
					  data, 32));
		for (i = 16; i < 32; i++)
			EXPECT_EQ(0xff, data[i]);
		EXPECT_NE(0xff, data[12] & data[13] & data[14] & data[15]);
	}
	ASSERT_EQ(32, region_read(self->fd, self->bar,
				  self->table + self->size - 16, data, 32));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0xff, data[i]);
	EXPECT_NE(0xff, data[16] & data[17] & data[18] & data[19]);
}

/* 7-5, 7-8: any offset and any count around both ends of the table. */
TEST_F(msix, unaligned_around_the_table)
{
	const uint64_t edges[] = { self->table, self->table + self->size };
	const unsigned int around = 16;
	uint8_t whole[32], data[32], ones[32];
	unsigned int edge, from, count, i;

	memset(ones, 0xff, sizeof(ones));
	for (edge = 0; edge < 2; edge++) {
		uint64_t start = edges[edge] - around;

		/* There may be nothing before the table. */
		if (edges[edge] < around)
			continue;
		ASSERT_EQ(32, region_read(self->fd, self->bar, start, whole, 32));
		for (from = 0; from < 32; from++) {
			for (count = 1; count <= 32 - from; count++) {
				memset(data, 0x5a, sizeof(data));
				ASSERT_EQ(count,
					  region_read(self->fd, self->bar,
						      start + from, data, count));
				for (i = from; i < from + count; i++) {
					bool in_table = edge ? i < around : i >= around;

					if (in_table)
						ASSERT_EQ(0xff, data[i - from]);
				}
				if (count < 32)
					ASSERT_EQ(0x5a, data[count]);
			}
		}
		/* Registers are whole dwords, and the same by the dword. */
		for (from = 0; from < 32; from += 4) {
			ASSERT_EQ(4, region_read(self->fd, self->bar, start + from,
						 data, 4));
			EXPECT_EQ(0, memcmp(whole + from, data, 4));
		}
	}
	/* Written from the middle of an entry to behind it, one byte too far right. */
	EXPECT_EQ(7, region_write(self->fd, self->bar, self->table + 5, ones, 7));
	ASSERT_EQ(32, region_read(self->fd, self->bar, self->table + self->size - 16,
				  data, 32));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0xff, data[i]);
}

/*
 * 7-9, 7-10, 6-12. 12-19: with memory off C maps the ROM all the same, and finds
 * no image in it.
 */
TEST(rom)
{
	const unsigned int index = VFIO_PCI_ROM_REGION_INDEX;
	struct vfio_session session;
	uint8_t head[64];
	uint8_t *image;
	long size;

	SHARE_DEVICE(&session, "E1000E");
	size = region_size(session.device, index);
	if (!size)
		SKIP(return, "QEMU has no ROM for this device");
	ASSERT_EQ(64, region_read(session.device, index, 0, head, 64));
	EXPECT_EQ(0x55, head[0]);
	EXPECT_EQ(0xaa, head[1]);
	image = malloc(size + 1);
	image[size] = 0x3c;
	EXPECT_EQ(size, region_read(session.device, index, 0, image, size + 1));
	EXPECT_EQ(0, memcmp(head, image, 64));
	EXPECT_EQ(0x3c, image[size]);
	EXPECT_EQ(8, region_read(session.device, index, size - 8, head, 64));
	EXPECT_EQ(0, memcmp(head, image + size - 8, 8));
	EXPECT_EQ(3, region_read(session.device, index, 1, head, 3));
	EXPECT_EQ(0, memcmp(head, image + 1, 3));
	EXPECT_EQ(-EINVAL, region_read(session.device, index, size, head, 1));
	EXPECT_EQ(-EINVAL, region_write(session.device, index, 0, head, 4));
	ASSERT_EQ(0, memory_enable(session.device, false));
	EXPECT_EQ(on_c_modules() ? -ENOMEM : -EIO,
		  region_read(session.device, index, 0, head, 4));
	EXPECT_EQ(size, region_size(session.device, index));
	EXPECT_EQ(0, memory_enable(session.device, true));
	EXPECT_EQ(4, region_read(session.device, index, 0, head, 4));
	EXPECT_EQ(0x55, head[0]);
	free(image);
	session_close(&session);
}

VFIO_TEST_MAIN_OPEN("EDU", "TESTDEV", "IVSHMEM", "NVME", "E1000E", "IGB")
