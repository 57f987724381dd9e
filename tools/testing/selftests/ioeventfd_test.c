// SPDX-License-Identifier: GPL-2.0
/* VFIO_DEVICE_IOEVENTFD: eventfds that write to a register (6.6). */
#include <fcntl.h>
#include <sys/mman.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define RAM_BAR		2
#define RAM_SIZE	(64UL << 20)
#define CANARY		0x5a
#define MAX		1000

#define W8	VFIO_DEVICE_IOEVENTFD_8
#define W16	VFIO_DEVICE_IOEVENTFD_16
#define W32	VFIO_DEVICE_IOEVENTFD_32
#define W64	VFIO_DEVICE_IOEVENTFD_64

/* Registers of the e1000e, and the pair in its I/O BAR that leads to them. */
#define SCRATCH		0x3800
#define IO_BAR		2
#define MSIX_BAR	3

static long ioeventfd(int fd, uint64_t offset, uint32_t width, uint64_t data,
		      int event)
{
	struct vfio_device_ioeventfd arg = {
		.argsz = sizeof(arg),
		.flags = width,
		.offset = offset,
		.data = data,
		.fd = event,
	};

	return vfio_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &arg);
}

/* The memory of an ivshmem device: every byte tells who wrote to it. */
FIXTURE(ram)
{
	struct vfio_session session;
	uint64_t bar;
	void *page;
	int fd;
	int event;
};

FIXTURE_SETUP(ram)
{
	SHARE_DEVICE(&self->session, "IVSHMEM");
	self->fd = self->session.device;
	self->bar = REGION_OFFSET(RAM_BAR);
	self->event = event_new();
	ASSERT_LE(0, self->event);
	ASSERT_EQ(0, bar_mmap(self->fd, RAM_BAR, 0, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &self->page));
	memset(self->page, CANARY, PAGE_SIZE);
}

FIXTURE_TEARDOWN(ram)
{
	munmap(self->page, PAGE_SIZE);
	EXPECT_EQ(0, session_finish(&self->session));
	close(self->event);
}

/* What @size bytes at @offset are, or -1 if a neighbour has been written. */
static int64_t written(const void *page, unsigned int offset, unsigned int size)
{
	const uint8_t *bytes = page;
	uint64_t value = 0;

	if (bytes[offset + size] != CANARY || (offset && bytes[offset - 1] != CANARY))
		return -1;
	memcpy(&value, bytes + offset, size);
	return value;
}

/* Whether @offset gets its @size bytes of @value within a second. */
static bool becomes(const void *page, unsigned int offset, unsigned int size,
		    int64_t value)
{
	int i;

	for (i = 0; i < 100; i++) {
		if (written(page, offset, size) == value)
			return true;
		usleep(10000);
	}
	return false;
}

/* 6-74, in this order */
TEST_F(ram, malformed)
{
	struct vfio_device_ioeventfd arg = {
		.argsz = 28,
		.flags = W32,
		.offset = self->bar,
		.fd = self->event,
	};
	uint32_t flags;
	char *pages;
	int i;

	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_IOEVENTFD,
				      BAD_POINTER));
	arg.argsz = 27;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_IOEVENTFD, &arg));
	arg.argsz = 28;
	for (flags = 0; flags < 32; flags++) {
		arg.flags = flags;
		if (flags == W8 || flags == W16 || flags == W32 || flags == W64)
			continue;
		EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_IOEVENTFD,
					      &arg));
	}
	for (i = 5; i < 32; i++)
		EXPECT_EQ(-EINVAL, ioeventfd(self->fd, self->bar, W32 | 1U << i,
					     0, self->event));
	EXPECT_EQ(-EINVAL, ioeventfd(self->fd, self->bar, W32, 0, -2));
	EXPECT_EQ(-EINVAL, ioeventfd(self->fd, self->bar, W32, 0, INT32_MIN));

	/* It ends before its padding does. */
	pages = memory_new(2 * PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + PAGE_SIZE, PAGE_SIZE));
	arg.flags = W32;
	memcpy(pages + PAGE_SIZE - 28, &arg, 28);
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_IOEVENTFD,
				pages + PAGE_SIZE - 28));
	EXPECT_EQ(0, ioeventfd(self->fd, self->bar, W32, 0, -1));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_IOEVENTFD,
				      pages + PAGE_SIZE - 27));
	munmap(pages, PAGE_SIZE);
}

/* 6-75, 6-76 */
TEST_F(ram, places)
{
	int index;

	for (index = VFIO_PCI_ROM_REGION_INDEX; index < 12; index++)
		EXPECT_EQ(-EINVAL, ioeventfd(self->fd, REGION_OFFSET(index), W32,
					     0, self->event));
	EXPECT_EQ(-EINVAL, ioeventfd(self->fd, REGION_OFFSET(1000), W32, 0,
				     self->event));
	/* Not a BAR of this device; and beyond the end of one. */
	EXPECT_EQ(-EINVAL, ioeventfd(self->fd, REGION_OFFSET(5), W32, 0,
				     self->event));
	EXPECT_EQ(-EINVAL, ioeventfd(self->fd, self->bar + RAM_SIZE, W8, 0,
				     self->event));
	EXPECT_EQ(-EINVAL, ioeventfd(self->fd, self->bar + RAM_SIZE - 4, W64, 0,
				     self->event));
	EXPECT_EQ(-EINVAL, ioeventfd(self->fd, self->bar + (1UL << 39), W8, 0,
				     self->event));
	EXPECT_EQ(0, ioeventfd(self->fd, self->bar + RAM_SIZE - 8, W64, 0,
			       self->event));
	EXPECT_EQ(0, ioeventfd(self->fd, self->bar + RAM_SIZE - 8, W64, 0, -1));
	/* The same refusals for a removal. */
	EXPECT_EQ(-EINVAL, ioeventfd(self->fd, self->bar + RAM_SIZE, W8, 0, -1));
	EXPECT_EQ(-EINVAL, ioeventfd(self->fd, CONFIG_OFFSET, W8, 0, -1));
}

/* 6-81 */
TEST_F(ram, not_an_eventfd)
{
	EXPECT_EQ(-EBADF, ioeventfd(self->fd, self->bar, W32, 0, 1000));
	EXPECT_EQ(-EINVAL, ioeventfd(self->fd, self->bar, W32, 0, self->fd));
	EXPECT_EQ(-ENODEV, ioeventfd(self->fd, self->bar, W32, 0, -1));
}

/* 6-82: of every width, just as many bytes, each time. */
TEST_F(ram, widths)
{
	const uint64_t data = 0x1122334455667788;
	static const uint32_t widths[] = { W8, W16, W32, W64 };
	int i, j;

	for (i = 0; i < 4; i++) {
		const uint64_t mask = widths[i] == 8 ? UINT64_MAX :
				      (1UL << 8 * widths[i]) - 1;
		const uint64_t offset = 64 * (i + 1);

		ASSERT_EQ(0, ioeventfd(self->fd, self->bar + offset, widths[i],
				       data, self->event));
		EXPECT_EQ(CANARY, ((uint8_t *)self->page)[offset]);
		for (j = 0; j < 3; j++) {
			EXPECT_EQ(0, event_signal(self->event));
			EXPECT_TRUE(becomes(self->page, offset, widths[i],
					    data & mask));
			memset(self->page, CANARY, PAGE_SIZE);
		}
		/* The signal was taken. */
		EXPECT_EQ(-EAGAIN, event_take(self->event));
		EXPECT_EQ(0, ioeventfd(self->fd, self->bar + offset, widths[i],
				       data, -1));
		EXPECT_EQ(0, event_signal(self->event));
		usleep(20000);
		EXPECT_EQ(CANARY, ((uint8_t *)self->page)[offset]);
		EXPECT_EQ(1, event_take(self->event));
	}
}

/* 6-82: a signal from before counts. */
TEST_F(ram, signalled_before)
{
	EXPECT_EQ(0, event_signal(self->event));
	ASSERT_EQ(0, ioeventfd(self->fd, self->bar + 8, W16, 0xabcd,
			       self->event));
	EXPECT_TRUE(becomes(self->page, 8, 2, 0xabcd));
	EXPECT_EQ(0, ioeventfd(self->fd, self->bar + 8, W16, 0xabcd, -1));
}

/* 6-78, 6-79: what counts is where, how much and what. */
TEST_F(ram, duplicates)
{
	const uint64_t place = self->bar + 16;
	int other = event_new();

	ASSERT_LE(0, other);
	EXPECT_EQ(-ENODEV, ioeventfd(self->fd, place, W32, 1, -1));
	EXPECT_EQ(0, ioeventfd(self->fd, place, W32, 1, self->event));
	EXPECT_EQ(-EEXIST, ioeventfd(self->fd, place, W32, 1, self->event));
	EXPECT_EQ(-EEXIST, ioeventfd(self->fd, place, W32, 1, other));
	/* Before the descriptor is looked at. */
	EXPECT_EQ(-EEXIST, ioeventfd(self->fd, place, W32, 1, 1000));
	EXPECT_EQ(0, ioeventfd(self->fd, place, W32, 2, other));
	EXPECT_EQ(0, ioeventfd(self->fd, place, W16, 1, other));
	EXPECT_EQ(0, ioeventfd(self->fd, place + 4, W32, 1, other));
	EXPECT_EQ(-ENODEV, ioeventfd(self->fd, place, W32, 3, -1));
	EXPECT_EQ(-ENODEV, ioeventfd(self->fd, place, W64, 1, -1));
	EXPECT_EQ(0, ioeventfd(self->fd, place, W32, 1, -1));
	EXPECT_EQ(-ENODEV, ioeventfd(self->fd, place, W32, 1, -1));

	/* The closed one stays in place until it is removed. */
	close(other);
	EXPECT_EQ(-EEXIST, ioeventfd(self->fd, place, W32, 2, self->event));
	EXPECT_EQ(0, ioeventfd(self->fd, place, W32, 2, -1));
	EXPECT_EQ(0, ioeventfd(self->fd, place, W32, 2, self->event));
	EXPECT_EQ(0, event_signal(self->event));
	EXPECT_TRUE(becomes(self->page, 16, 4, 2));
	EXPECT_EQ(0, ioeventfd(self->fd, place, W32, 2, -1));
	EXPECT_EQ(0, ioeventfd(self->fd, place, W16, 1, -1));
	EXPECT_EQ(0, ioeventfd(self->fd, place + 4, W32, 1, -1));
}

/* 6-80 */
TEST_F(ram, limit)
{
	int i;

	for (i = 0; i < MAX; i++)
		ASSERT_EQ(0, ioeventfd(self->fd, self->bar, W32, i, self->event));
	EXPECT_EQ(-ENOSPC, ioeventfd(self->fd, self->bar, W32, MAX, self->event));
	/* What is there already is found first, and a bad descriptor last. */
	EXPECT_EQ(-EEXIST, ioeventfd(self->fd, self->bar, W32, 5, self->event));
	EXPECT_EQ(-ENOSPC, ioeventfd(self->fd, self->bar, W32, MAX, 1000));
	EXPECT_EQ(-ENODEV, ioeventfd(self->fd, self->bar, W32, MAX, -1));
	EXPECT_EQ(0, ioeventfd(self->fd, self->bar, W32, 5, -1));
	EXPECT_EQ(0, ioeventfd(self->fd, self->bar, W32, MAX, self->event));
	EXPECT_EQ(0, event_signal(self->event));
	for (i = 0; i <= MAX; i++)
		EXPECT_EQ(i == 5 ? -ENODEV : 0,
			  ioeventfd(self->fd, self->bar, W32, i, -1));
}

/* 6-82: nothing is written while memory is disabled, then or later. */
TEST_F(ram, memory_disabled)
{
	ASSERT_EQ(0, ioeventfd(self->fd, self->bar + 8, W32, 1, self->event));
	EXPECT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(0, event_signal(self->event));
	usleep(50000);
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	usleep(50000);
	EXPECT_EQ(CANARY, ((uint8_t *)self->page)[8]);
	EXPECT_EQ(0, event_signal(self->event));
	EXPECT_TRUE(becomes(self->page, 8, 4, 1));
	EXPECT_EQ(0, ioeventfd(self->fd, self->bar + 8, W32, 1, -1));
}

/* 6-82: at any offset, as with write(). */
TEST_F(ram, unaligned)
{
	const uint64_t data = 0x1122334455667788;
	static const struct {
		uint32_t width;
		uint32_t offset;
		int64_t value;
	} writes[] = {
		{ W16, 3, 0x7788 },
		{ W32, 21, 0x55667788 },
		{ W32, 42, 0x55667788 },
		{ W64, 65, 0x1122334455667788 },
		{ W64, 84, 0x1122334455667788 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(writes); i++) {
		const uint64_t place = self->bar + writes[i].offset;

		ASSERT_EQ(0, ioeventfd(self->fd, place, writes[i].width, data,
				       self->event));
		EXPECT_EQ(0, event_signal(self->event));
		EXPECT_TRUE(becomes(self->page, writes[i].offset,
				    writes[i].width, writes[i].value));
		EXPECT_EQ(0, ioeventfd(self->fd, place, writes[i].width, data,
				       -1));
	}
}

/* 6-76: the MSI-X table must not be written behind the driver's back. */
TEST(msix_table)
{
	const uint64_t bar = REGION_OFFSET(MSIX_BAR);
	struct vfio_session session;
	long cap, table, entries;
	int event = event_new();
	int fd;

	SHARE_DEVICE(&session, "E1000E");
	fd = session.device;
	cap = config_cap(fd, PCI_CAP_ID_MSIX);
	ASSERT_LT(0, cap);
	table = config_read(fd, cap + PCI_MSIX_TABLE, 4);
	ASSERT_EQ(MSIX_BAR, table & PCI_MSIX_TABLE_BIR);
	table &= PCI_MSIX_TABLE_OFFSET;
	entries = config_read(fd, cap + PCI_MSIX_FLAGS, 2);
	entries = (entries & PCI_MSIX_FLAGS_QSIZE) + 1;

	EXPECT_EQ(-EINVAL, ioeventfd(fd, bar + table, W32, 0, event));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, bar + table + 12, W8, 0, event));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, bar + table + entries * 16 - 8, W64, 0,
				     event));
	EXPECT_EQ(-EINVAL, ioeventfd(fd, bar + table, W32, 0, -1));
	EXPECT_EQ(0, ioeventfd(fd, bar + table + entries * 16, W32, 0, event));
	EXPECT_EQ(0, ioeventfd(fd, bar + table + entries * 16, W32, 0, -1));
	/* At the same offset of another BAR there is none. */
	EXPECT_EQ(0, ioeventfd(fd, REGION_OFFSET(0) + table, W32, 0, event));
	EXPECT_EQ(0, ioeventfd(fd, REGION_OFFSET(0) + table, W32, 0, -1));
	EXPECT_EQ(0, session_finish(&session));
	close(event);
}

static uint32_t scratch(int fd)
{
	uint32_t value = 0;

	region_read(fd, 0, SCRATCH, &value, 4);
	return value;
}

static void set_scratch(int fd, uint32_t value)
{
	region_write(fd, 0, SCRATCH, &value, 4);
}

/* 6-83: eight bytes on I/O ports are two writes, here address and data. */
TEST(io_ports)
{
	const uint64_t data = 0xabcd1230UL << 32 | SCRATCH;
	struct vfio_session session;
	int event = event_new();
	int fd, i;

	SHARE_DEVICE(&session, "E1000E");
	fd = session.device;
	set_scratch(fd, 0);
	ASSERT_EQ(0, ioeventfd(fd, REGION_OFFSET(IO_BAR), W64, data, event));
	EXPECT_EQ(0, event_signal(event));
	for (i = 0; i < 100 && !scratch(fd); i++)
		usleep(10000);
	EXPECT_EQ(0xabcd1230, scratch(fd));

	/* Memory that is disabled does not matter to ports. */
	set_scratch(fd, 0);
	EXPECT_EQ(0, memory_enable(fd, false));
	EXPECT_EQ(0, event_signal(event));
	usleep(20000);
	EXPECT_EQ(0, memory_enable(fd, true));
	EXPECT_EQ(0xabcd1230, scratch(fd));
	EXPECT_EQ(0, ioeventfd(fd, REGION_OFFSET(IO_BAR), W64, data, -1));
	EXPECT_EQ(0, session_finish(&session));
	close(event);
}

/* 6-82, 12-20: with C, a write to a device that sleeps is lost. */
TEST(low_power)
{
	const uint32_t set = VFIO_DEVICE_FEATURE_SET;
	struct vfio_session session;
	int event = event_new();
	int fd;

	SHARE_DEVICE(&session, "E1000E");
	fd = session.device;
	set_scratch(fd, 0x10);
	ASSERT_EQ(0, ioeventfd(fd, REGION_OFFSET(0) + SCRATCH, W32, 0x20, event));
	ASSERT_EQ(0, device_feature(fd, set | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
				    NULL, 0));
	EXPECT_TRUE(pci_becomes(session.bdf, "power/runtime_status",
				"suspended"));
	EXPECT_EQ(0, event_signal(event));
	usleep(100000);
	EXPECT_TRUE(pci_becomes(session.bdf, "power/runtime_status",
				"suspended"));
	EXPECT_EQ(on_c_modules() ? 0x10 : 0x20, scratch(fd));
	EXPECT_EQ(0, device_feature(fd, set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
				    NULL, 0));
	EXPECT_EQ(0, ioeventfd(fd, REGION_OFFSET(0) + SCRATCH, W32, 0x20, -1));
	EXPECT_EQ(0, session_finish(&session));
	close(event);
}

/* 10-19: they end with the last close. */
TEST(last_close)
{
	struct vfio_session session;
	int event = event_new();
	const char *bdf;
	uint32_t value;

	NEED_DEVICE(bdf, "PORT_IVSHMEM");
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	value = CANARY;
	EXPECT_EQ(4, region_write(session.device, RAM_BAR, 0, &value, 4));
	ASSERT_EQ(0, ioeventfd(session.device, REGION_OFFSET(RAM_BAR), W32, 1,
			       event));
	session_close(&session);
	EXPECT_EQ(0, event_signal(event));
	usleep(20000);
	EXPECT_EQ(1, event_take(event));

	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, event_signal(event));
	usleep(20000);
	EXPECT_EQ(4, region_read(session.device, RAM_BAR, 0, &value, 4));
	EXPECT_EQ(CANARY, value);
	EXPECT_EQ(-ENODEV, ioeventfd(session.device, REGION_OFFSET(RAM_BAR), W32,
				     1, -1));
	EXPECT_EQ(0, session_finish(&session));
	close(event);
}

int main(int argc, char **argv)
{
	static const char *const claimed[] = {
		"IVSHMEM", "E1000E", "PORT_IVSHMEM", NULL
	};
	static const char *const open[] = { "IVSHMEM", "E1000E", NULL };

	pci_claim(claimed);
	session_keep(open);
	return test_harness_run(argc, argv);
}
