// SPDX-License-Identifier: GPL-2.0
/*
 * What users see of devices whose driver is in C and does its share itself (9-12 to 9-17):
 * vfio_pci_parts, which both stacks load.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/pci_regs.h>

#include "../c-drivers/vfio-pci-parts/vfio_pci_parts.h"
#include "edu.h"
#include "hot_reset.h"
#include "igb.h"
#include "iommu_debug.h"
#include "kselftest_harness.h"
#include "samples.h"

#define MODULE		"vfio_pci_parts"
#define ROUNDS		4

/* The register that keeps what is written, of another queue: the driver hides the first. */
#define IGB_RDBAL_1	0xc040
#define IGB_HIDDEN	PARTS_HIDDEN
#define IGB_BAR_SIZE	0x20000

/* The memory of the ivshmem. */
#define BAR		2
#define BAR_SIZE	(64UL << 20)

#define SET		VFIO_DEVICE_FEATURE_SET
#define ENTRY		(SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY)
#define EXIT		(SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)

static long parameter(const char *name)
{
	return module_parameter(MODULE, name);
}

static int parameter_set(const char *name, bool value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/" MODULE "/parameters/%s", name);
	return file_write(path, value ? "Y" : "N");
}

static struct parts_report report(int device)
{
	struct parts_report report = {};

	if (vfio_ioctl(device, PARTS_REPORT, &report))
		memset(&report, 0xee, sizeof(report));
	return report;
}

/* One access by the driver to a register. */
static long driver_access(int device, uint32_t bar, uint64_t offset, uint32_t width,
			  bool is_write, uint64_t *value)
{
	struct parts_access access = {
		.bar = bar,
		.width = width,
		.is_write = is_write,
		.test_memory = 1,
		.offset = offset,
		.value = *value,
	};
	long ret = vfio_ioctl(device, PARTS_ACCESS, &access);

	*value = access.value;
	return ret;
}

static uint64_t driver_read(int device, uint32_t bar, uint64_t offset, uint32_t width)
{
	uint64_t value = 0;
	long ret = driver_access(device, bar, offset, width, false, &value);

	return ret ? ret : value;
}

static long driver_write(int device, uint32_t bar, uint64_t offset, uint32_t width,
			 uint64_t value)
{
	return driver_access(device, bar, offset, width, true, &value);
}

static long mark(int device)
{
	uint32_t value = IGB_MARK;

	return region_write(device, 0, IGB_RDBAL_1, &value, 4);
}

static long marked(int device)
{
	uint32_t value = ~0U;
	long ret = region_read(device, 0, IGB_RDBAL_1, &value, 4);

	return ret == 4 ? (long)value : ret;
}

#define NEED_PARTS()							\
	do {								\
		if (!sample_exists(MODULE))				\
			SKIP(return, "the kernel has no module " MODULE);	\
	} while (0)

/* ---- a device that stays open, with the driver whose resets nobody hears of ---- */

FIXTURE(igb)
{
	struct vfio_session session;
	const char *bdf;
	int fd;
	void *bar;
};

FIXTURE_SETUP(igb)
{
	NEED_PARTS();
	SHARE_DEVICE(&self->session, "IGB");
	self->bdf = self->session.bdf;
	self->fd = self->session.device;
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, IGB_BAR_SIZE, PROT_READ | PROT_WRITE,
			      &self->bar));
}

FIXTURE_TEARDOWN(igb)
{
	munmap(self->bar, IGB_BAR_SIZE);
	EXPECT_EQ(0, session_finish(&self->session));
}

/* 9-15: vfio_pci_core_do_io_rw() */
TEST_F(igb, registers_through_the_driver)
{
	uint32_t value = 0, words[4] = {};
	uint16_t half = 0;

	EXPECT_EQ(4, region_read(self->fd, 0, IGB_VET, &value, 4));
	EXPECT_EQ(IGB_VET_VALUE, value);
	EXPECT_EQ(2, region_read(self->fd, 0, IGB_VET + 2, &half, 2));
	EXPECT_EQ(IGB_VET_VALUE >> 16, half);
	ASSERT_EQ(4, mark(self->fd));
	EXPECT_EQ(IGB_MARK, mmio_at(self->bar + IGB_RDBAL_1));
	/* Of any length and alignment. */
	EXPECT_EQ(9, region_read(self->fd, 0, IGB_VET - 3, words, 9));
	EXPECT_EQ(0, memcmp((char *)words + 3, &(uint32_t){ IGB_VET_VALUE }, 4));

	/* To its end, and not beyond. */
	EXPECT_EQ(4, region_read(self->fd, 0, IGB_BAR_SIZE - 4, words, 16));
	EXPECT_EQ(-EINVAL, region_read(self->fd, 0, IGB_BAR_SIZE, words, 4));
	EXPECT_EQ(-EFAULT, region_read(self->fd, 0, IGB_VET, BAD_POINTER, 4));
	EXPECT_EQ(-EFAULT, region_write(self->fd, 0, IGB_RDBAL_1, BAD_POINTER, 4));
	EXPECT_EQ(-EFAULT, region_read(self->fd, 0, IGB_HIDDEN, BAD_POINTER, 4));
}

/* 9-15: what the driver hides reads as ones, and is not written. */
TEST_F(igb, hidden_registers)
{
	uint32_t words[4] = {}, before = 0;

	ASSERT_EQ(0, mmio_read(self->bar + PARTS_HIDDEN_END, &before));
	ASSERT_EQ(0, mmio_write(self->bar + IGB_HIDDEN, IGB_MARK));
	ASSERT_EQ(IGB_MARK, mmio_at(self->bar + IGB_HIDDEN));
	EXPECT_EQ(sizeof(words), region_read(self->fd, 0, PARTS_HIDDEN, words,
					     sizeof(words)));
	EXPECT_EQ(~0U, words[0]);
	EXPECT_EQ(~0U, words[1]);
	EXPECT_EQ(before, words[2]);
	words[0] = 2 * IGB_MARK;
	EXPECT_EQ(4, region_write(self->fd, 0, PARTS_HIDDEN, words, 4));
	EXPECT_EQ(IGB_MARK, mmio_at(self->bar + IGB_HIDDEN));
	/* Only for those who come by the driver's read(). */
	EXPECT_EQ(IGB_MARK, driver_read(self->fd, 0, PARTS_HIDDEN, 4));
}

/* 9-15: vfio_pci_core_io{read,write}*() */
TEST_F(igb, accesses_of_the_driver)
{
	uint64_t value = 0;

	EXPECT_EQ(IGB_VET_VALUE, driver_read(self->fd, 0, IGB_VET, 4));
	EXPECT_EQ(IGB_VET_VALUE & 0xffff, driver_read(self->fd, 0, IGB_VET, 2));
	EXPECT_EQ(IGB_VET_VALUE & 0xff, driver_read(self->fd, 0, IGB_VET, 1));
	EXPECT_EQ(IGB_VET_VALUE, driver_read(self->fd, 0, IGB_VET, 8) & 0xffffffff);
	EXPECT_EQ(0, driver_write(self->fd, 0, IGB_RDBAL_1, 4, 2 * IGB_MARK));
	EXPECT_EQ(2 * IGB_MARK, marked(self->fd));

	ASSERT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(-EIO, driver_access(self->fd, 0, IGB_VET, 1, false, &value));
	EXPECT_EQ(-EIO, driver_access(self->fd, 0, IGB_VET, 2, false, &value));
	EXPECT_EQ(-EIO, driver_access(self->fd, 0, IGB_VET, 4, false, &value));
	EXPECT_EQ(-EIO, driver_access(self->fd, 0, IGB_VET, 8, false, &value));
	EXPECT_EQ(-EIO, driver_write(self->fd, 0, IGB_RDBAL_1, 1, 0));
	EXPECT_EQ(-EIO, driver_write(self->fd, 0, IGB_RDBAL_1, 2, 0));
	EXPECT_EQ(-EIO, driver_write(self->fd, 0, IGB_RDBAL_1, 4, 0));
	EXPECT_EQ(-EIO, driver_write(self->fd, 0, IGB_RDBAL_1, 8, 0));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(2 * IGB_MARK, marked(self->fd));
}

static long config_once(int device, int64_t position, size_t count, void *buffer,
			bool is_write)
{
	struct parts_config config = {
		.position = position,
		.count = count,
		.buffer = (unsigned long)buffer,
		.is_write = is_write,
	};

	return vfio_ioctl(device, PARTS_CONFIG, &config);
}

/* 9-15: vfio_pci_config_rw_single() */
TEST_F(igb, config_one_access_at_a_time)
{
	const long size = region_size(self->fd, VFIO_PCI_CONFIG_REGION_INDEX);
	uint8_t bytes[64] = {}, line = 0x5a;

	EXPECT_EQ(4, config_once(self->fd, PCI_VENDOR_ID, sizeof(bytes), bytes, false));
	EXPECT_EQ(0, memcmp(bytes, &(uint32_t){ pci_hw_config(self->bdf, 0, 4) }, 4));
	EXPECT_EQ(0, bytes[4]);
	EXPECT_EQ(2, config_once(self->fd, PCI_DEVICE_ID, 8, bytes, false));
	EXPECT_EQ(1, config_once(self->fd, PCI_DEVICE_ID + 1, 8, bytes, false));
	EXPECT_EQ(2, config_once(self->fd, PCI_VENDOR_ID, 3, bytes, false));
	EXPECT_EQ(1, config_once(self->fd, PCI_INTERRUPT_LINE, 1, &line, true));
	EXPECT_EQ(line, config_read(self->fd, PCI_INTERRUPT_LINE, 1));

	EXPECT_EQ(4, config_once(self->fd, size - 4, 4, bytes, false));
	EXPECT_EQ(-EFAULT, config_once(self->fd, size - 4, 5, bytes, false));
	EXPECT_EQ(-EFAULT, config_once(self->fd, size, 1, bytes, false));
	EXPECT_EQ(-EFAULT, config_once(self->fd, -4, 4, bytes, false));
	EXPECT_EQ(-EFAULT, config_once(self->fd, 0, 4, BAD_POINTER, false));
	EXPECT_EQ(-EFAULT, config_once(self->fd, PCI_COMMAND, 2, BAD_POINTER, true));
}

/* All of config space, as the driver puts it together. */
TEST_F(igb, config_through_the_driver)
{
	uint8_t whole[4096] = {}, piece[5];
	long msix = config_cap(self->fd, PCI_CAP_ID_MSIX);

	ASSERT_LT(0, msix);
	ASSERT_EQ(sizeof(whole), region_read(self->fd, VFIO_PCI_CONFIG_REGION_INDEX, 0,
					     whole, sizeof(whole)));
	EXPECT_EQ(PCI_CAP_ID_MSIX, whole[msix]);
	EXPECT_EQ(5, region_read(self->fd, VFIO_PCI_CONFIG_REGION_INDEX, msix - 1, piece,
				 5));
	EXPECT_EQ(0, memcmp(whole + msix - 1, piece, 5));
	EXPECT_EQ(-EFAULT, region_read(self->fd, VFIO_PCI_CONFIG_REGION_INDEX,
				       sizeof(whole) - 2, piece, 4));
}

/* 9-15: mapped by the driver, which takes the lock of the memory, with the core's help. */
TEST_F(igb, mapping_of_the_driver)
{
	struct parts_report before = report(self->fd);
	uint32_t value = 0;

	EXPECT_EQ(1, before.memory_enabled);
	EXPECT_EQ(IGB_VET_VALUE, mmio_at(self->bar + IGB_VET));
	EXPECT_LT(before.faults, report(self->fd).faults);

	ASSERT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(0, report(self->fd).memory_enabled);
	EXPECT_EQ(-SIGBUS, mmio_read(self->bar + IGB_VET, &value));
	EXPECT_EQ(-EIO, region_read(self->fd, 0, IGB_VET, &value, 4));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(1, report(self->fd).memory_enabled);
	EXPECT_EQ(IGB_VET_VALUE, mmio_at(self->bar + IGB_VET));
}

/* The power state takes the memory away as well. */
TEST_F(igb, mapping_asleep)
{
	long power = config_cap(self->fd, PCI_CAP_ID_PM);

	ASSERT_LT(0, power);
	ASSERT_EQ(IGB_VET_VALUE, mmio_at(self->bar + IGB_VET));
	ASSERT_EQ(0, config_write(self->fd, power + PCI_PM_CTRL, 2, 3));
	EXPECT_EQ(0, report(self->fd).memory_enabled);
	EXPECT_EQ(-SIGBUS, mmio_at(self->bar + IGB_VET));
	ASSERT_EQ(0, config_write(self->fd, power + PCI_PM_CTRL, 2, 0));
	EXPECT_EQ(1, report(self->fd).memory_enabled);
	EXPECT_EQ(IGB_VET_VALUE, mmio_at(self->bar + IGB_VET));
}

/* 9-13: what the driver leaves to the core is mapped by the core. */
TEST_F(igb, mapping_of_the_core)
{
	uint32_t faults = report(self->fd).faults;
	void *table;

	ASSERT_EQ(0, bar_mmap(self->fd, 3, 0, PAGE_SIZE, PROT_READ, &table));
	EXPECT_LE(0, mmio_at(table));
	ASSERT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(-SIGBUS, mmio_at(table));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	EXPECT_LE(0, mmio_at(table));
	EXPECT_EQ(faults, report(self->fd).faults);
	munmap(table, PAGE_SIZE);
	/* I/O ports. */
	EXPECT_EQ(-EINVAL, bar_mmap(self->fd, 2, 0, PAGE_SIZE, PROT_READ, &table));
}

/* 6-92: pm_runtime_engaged */
TEST_F(igb, low_power)
{
	ASSERT_EQ(IGB_VET_VALUE, mmio_at(self->bar + IGB_VET));
	EXPECT_EQ(0, report(self->fd).low_power);
	ASSERT_EQ(0, device_feature(self->fd, ENTRY, NULL, 0));
	EXPECT_EQ(1, report(self->fd).low_power);
	EXPECT_EQ(-SIGBUS, mmio_at(self->bar + IGB_VET));
	ASSERT_EQ(0, device_feature(self->fd, EXIT, NULL, 0));
	EXPECT_EQ(0, report(self->fd).low_power);
	EXPECT_EQ(IGB_VET_VALUE, mmio_at(self->bar + IGB_VET));
}

/* The device wakes up for accesses of any kind, also those that the driver makes. */
TEST_F(igb, wakes_up)
{
	uint32_t vendor = 0, value = 0;

	ASSERT_EQ(0, device_feature(self->fd, ENTRY, NULL, 0));
	ASSERT_TRUE(pci_becomes(self->bdf, "power/runtime_status", "suspended"));
	EXPECT_EQ(4, region_read(self->fd, 0, IGB_VET, &value, 4));
	EXPECT_EQ(IGB_VET_VALUE, value);
	ASSERT_TRUE(pci_becomes(self->bdf, "power/runtime_status", "suspended"));
	EXPECT_EQ(2, config_once(self->fd, PCI_VENDOR_ID, 2, &vendor, false));
	EXPECT_EQ(0x8086, vendor);
	ASSERT_EQ(0, device_feature(self->fd, EXIT, NULL, 0));
}

/* 9-12: fields of the device that drivers read. */
TEST_F(igb, fields)
{
	int event = event_new();

	EXPECT_EQ(VFIO_PCI_NUM_IRQS, report(self->fd).irq_type);
	ASSERT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, event));
	EXPECT_EQ(VFIO_PCI_MSIX_IRQ_INDEX, report(self->fd).irq_type);
	ASSERT_EQ(0, irq_disable(self->fd, VFIO_PCI_MSIX_IRQ_INDEX));
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, report(self->fd).irq_type);
	ASSERT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_MSI_IRQ_INDEX, 0, event));
	EXPECT_EQ(VFIO_PCI_MSI_IRQ_INDEX, report(self->fd).irq_type);
	ASSERT_EQ(0, irq_disable(self->fd, VFIO_PCI_MSI_IRQ_INDEX));
	close(event);

	EXPECT_EQ(1, report(self->fd).bars[0]);
	EXPECT_EQ(1, report(self->fd).bars[2]);
	EXPECT_EQ(1, report(self->fd).bars[3]);
	/* It has no such BAR. */
	EXPECT_EQ(-ENODEV, report(self->fd).bars[5]);
	EXPECT_EQ(2, report(self->fd).num_regions);
}

/* 9-14, 6-15: regions of the driver */
TEST_F(igb, regions)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info_cap_type *type;
	struct region_info info;
	struct parts_cap *cap;

	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, &device));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS + 2, device.num_regions);
	ASSERT_EQ(0, region_info(self->fd, PARTS_MEMORY, &info));
	EXPECT_EQ(PARTS_MEMORY_SIZE, info.head.size);
	EXPECT_EQ(REGION_OFFSET(PARTS_MEMORY), info.head.offset);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			  VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS,
		  info.head.flags);
	type = info_cap(&info, info.head.cap_offset, VFIO_REGION_INFO_CAP_TYPE);
	ASSERT_NE(NULL, type);
	EXPECT_EQ(PARTS_REGION_TYPE, type->type);
	EXPECT_EQ(1, type->subtype);
	cap = info_cap(&info, info.head.cap_offset, PARTS_CAP_ID);
	ASSERT_NE(NULL, cap);
	EXPECT_EQ(PARTS_CAP_VERSION, cap->header.version);
	EXPECT_EQ(PARTS_CAP_VALUE, cap->value);
	EXPECT_EQ(0, cap->header.next);

	ASSERT_EQ(0, region_info(self->fd, PARTS_BYTES, &info));
	EXPECT_EQ(PARTS_BYTES_SIZE, info.head.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_CAPS, info.head.flags);
	type = info_cap(&info, info.head.cap_offset, VFIO_REGION_INFO_CAP_TYPE);
	ASSERT_NE(NULL, type);
	EXPECT_EQ(2, type->subtype);
	EXPECT_EQ(NULL, info_cap(&info, info.head.cap_offset, PARTS_CAP_ID));
	EXPECT_EQ(-EINVAL, region_info(self->fd, PARTS_BYTES + 1, &info));
}

TEST_F(igb, region_transfers)
{
	uint32_t value = 0x12345678, other = 0;

	EXPECT_EQ(4, region_write(self->fd, PARTS_MEMORY, 100, &value, 4));
	EXPECT_EQ(REGION_OFFSET(PARTS_MEMORY) + 100, report(self->fd).position);
	EXPECT_EQ(4, region_read(self->fd, PARTS_MEMORY, 100, &other, 4));
	EXPECT_EQ(value, other);
	EXPECT_EQ(2, region_read(self->fd, PARTS_MEMORY, PARTS_MEMORY_SIZE - 2, &other, 4));
	EXPECT_EQ(-EINVAL, region_read(self->fd, PARTS_MEMORY, PARTS_MEMORY_SIZE, &other, 4));
	EXPECT_EQ(-EFAULT, region_read(self->fd, PARTS_MEMORY, 0, BAD_POINTER, 4));
	EXPECT_EQ(0, region_read(self->fd, PARTS_MEMORY, 0, &other, 0));

	EXPECT_EQ(4, region_read(self->fd, PARTS_BYTES, 8, &other, 4));
	EXPECT_EQ(PARTS_BYTE * 0x01010101U, other);
	EXPECT_EQ(REGION_OFFSET(PARTS_BYTES) + 8, report(self->fd).position);
	/* It is the driver who refuses. */
	EXPECT_EQ(-EPERM, region_write(self->fd, PARTS_BYTES, 8, &other, 4));
	EXPECT_EQ(-EINVAL, region_read(self->fd, PARTS_BYTES + 1, 0, &other, 4));
}

/* The driver has filled the area with memory of its own, which does not go with the device's. */
TEST_F(igb, region_is_mapped)
{
	uint32_t *memory, value = 0;
	void *none;

	EXPECT_EQ(-EINVAL, bar_mmap(self->fd, PARTS_BYTES, 0, PAGE_SIZE, PROT_READ, &none));
	EXPECT_EQ(-EINVAL, bar_mmap(self->fd, PARTS_BYTES + 1, 0, PAGE_SIZE, PROT_READ,
				    &none));
	EXPECT_EQ(-EINVAL, bar_mmap(self->fd, PARTS_MEMORY, 0, PARTS_MEMORY_SIZE + PAGE_SIZE,
				    PROT_READ, &none));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE, self->fd,
				   REGION_OFFSET(PARTS_MEMORY)));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, bar_mmap(self->fd, PARTS_MEMORY, PAGE_SIZE, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, (void **)&memory));
	memory[1] = 0xabcdef01;
	EXPECT_EQ(4, region_read(self->fd, PARTS_MEMORY, PAGE_SIZE + 4, &value, 4));
	EXPECT_EQ(0xabcdef01, value);

	ASSERT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(0xabcdef01, mmio_at(memory + 1));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(0xabcdef01, mmio_at(memory + 1));
	munmap(memory, PAGE_SIZE);
}

static long overlap(int device, struct parts_overlap *overlap)
{
	return vfio_ioctl(device, PARTS_OVERLAP, overlap);
}

/* 9-15: vfio_pci_core_range_intersect_range() */
TEST_F(igb, ranges_in_common)
{
	struct parts_overlap it = { .transfer = 0, .transfer_len = 64, .reg = 16, .reg_len = 4 };

	EXPECT_EQ(1, overlap(self->fd, &it));
	EXPECT_EQ(16, it.in_transfer);
	EXPECT_EQ(4, it.common);
	EXPECT_EQ(0, it.in_register);
	it = (struct parts_overlap){ .transfer = 18, .transfer_len = 64, .reg = 16, .reg_len = 4 };
	EXPECT_EQ(1, overlap(self->fd, &it));
	EXPECT_EQ(0, it.in_transfer);
	EXPECT_EQ(2, it.common);
	EXPECT_EQ(2, it.in_register);
	it = (struct parts_overlap){ .transfer = 14, .transfer_len = 3, .reg = 16, .reg_len = 4 };
	EXPECT_EQ(1, overlap(self->fd, &it));
	EXPECT_EQ(2, it.in_transfer);
	EXPECT_EQ(1, it.common);
	EXPECT_EQ(0, it.in_register);
	it = (struct parts_overlap){ .transfer = 20, .transfer_len = 4, .reg = 16, .reg_len = 4 };
	EXPECT_EQ(0, overlap(self->fd, &it));
	it = (struct parts_overlap){ .transfer = 12, .transfer_len = 4, .reg = 16, .reg_len = 4 };
	EXPECT_EQ(0, overlap(self->fd, &it));
}

/* A driver that is at the memory from @since on, for HOLD_MS. */
#define HOLD_MS	1500

struct holder {
	int fd;
	volatile long since;
};

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *hold(void *data)
{
	struct holder *holder = data;

	holder->since = now_ms();
	return (void *)vfio_ioctl_arg(holder->fd, PARTS_HOLD, HOLD_MS);
}

/* Starts @thread, which is the driver's, and returns when it has its lock. */
static int hold_begin(pthread_t *thread, struct holder *holder)
{
	int ret = pthread_create(thread, NULL, hold, holder);

	while (!ret && !holder->since)
		usleep(1000);
	usleep(HOLD_MS / 3 * 1000);
	return ret;
}

/* Who takes memory away waits for the driver that is at it. */
TEST_F(igb, driver_at_the_memory)
{
	struct holder holder = { .fd = self->fd };
	void *result = (void *)1;
	pthread_t thread;

	ASSERT_EQ(0, hold_begin(&thread, &holder));
	EXPECT_EQ(0, memory_enable(self->fd, false));
	EXPECT_LE(holder.since + HOLD_MS, now_ms());
	pthread_join(thread, &result);
	EXPECT_EQ(NULL, result);
	EXPECT_EQ(0, memory_enable(self->fd, true));

	ASSERT_EQ(4, mark(self->fd));
	holder.since = 0;
	ASSERT_EQ(0, hold_begin(&thread, &holder));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_LE(holder.since + HOLD_MS, now_ms());
	pthread_join(thread, &result);
	EXPECT_EQ(NULL, result);
	EXPECT_EQ(0, marked(self->fd));
}

/* ---- resets, with either driver ---- */

FIXTURE(dual)
{
	const char *bdf;
	const char *other_bdf;
	struct vfio_session session;
	struct vfio_session other;
	int fd;
	void *bar;
	void *other_bar;
};

FIXTURE_VARIANT(dual)
{
	const char *driver;
	bool is_told;
};

FIXTURE_VARIANT_ADD(dual, untold)
{
	.driver = PARTS_DRIVER,
};

FIXTURE_VARIANT_ADD(dual, told)
{
	.driver = PARTS_TOLD_DRIVER,
	.is_told = true,
};

FIXTURE_SETUP(dual)
{
	NEED_PARTS();
	self->session.device = self->other.device = -1;
	NEED_DEVICE(self->bdf, "DUAL_IGB_0");
	NEED_DEVICE(self->other_bdf, "DUAL_IGB_1");
	ASSERT_EQ(0, session_open_by(&self->session, self->bdf, variant->driver));
	ASSERT_EQ(0, session_open_by(&self->other, self->other_bdf, "vfio-pci"));
	self->fd = self->session.device;
	ASSERT_EQ(0, memory_enable(self->fd, true));
	ASSERT_EQ(0, memory_enable(self->other.device, true));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, IGB_BAR_SIZE, PROT_READ | PROT_WRITE,
			      &self->bar));
	ASSERT_EQ(0, bar_mmap(self->other.device, 0, 0, PAGE_SIZE, PROT_READ,
			      &self->other_bar));
}

FIXTURE_TEARDOWN(dual)
{
	munmap(self->bar, IGB_BAR_SIZE);
	munmap(self->other_bar, PAGE_SIZE);
	EXPECT_EQ(0, session_finish(&self->session));
	EXPECT_EQ(0, session_finish(&self->other));
}

/* 10-34: whoever touches the device meanwhile, in the driver's area too, waits. */
TEST_F(dual, reset_in_use)
{
	struct igb_user user = { .fd = self->fd, .reg = self->bar + IGB_VET };
	struct parts_report before = report(self->fd);
	long before_reset;
	pthread_t thread;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, igb_use, &user));
	for (i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(4, mark(self->fd));
		EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
		EXPECT_EQ(0, marked(self->fd));
		/* He has been there between any two of them. */
		for (before_reset = user.rounds; user.rounds < before_reset + 2;)
			usleep(1000);
	}
	user.stop = true;
	pthread_join(thread, NULL);
	EXPECT_LT(0, user.rounds);
	EXPECT_EQ(0, user.failed);
	EXPECT_EQ(0, user.wrong);
	/* Its mapping was taken away each time. */
	EXPECT_LE(before.faults + ROUNDS, report(self->fd).faults);
	EXPECT_EQ(before.resets + (variant->is_told ? 0 : ROUNDS), report(self->fd).resets);
}

/* Both functions, each with the fd of the other one's group. */
static long reset_both(struct _test_data_dual *self, int fd)
{
	return hot_reset_raw(fd, sizeof(struct hot_reset_request), 0, 2,
			     self->session.group, self->other.group);
}

/* 6-72: two drivers, one of them in C, and one reset. */
TEST_F(dual, hot_reset)
{
	struct parts_report before = report(self->fd);
	struct hot_reset_info info;

	ASSERT_EQ(0, hot_reset_info(self->fd, &info, sizeof(info)));
	EXPECT_EQ(2, info.head.count);
	EXPECT_NE(NULL, hot_reset_entry(&info, self->bdf));
	EXPECT_NE(NULL, hot_reset_entry(&info, self->other_bdf));
	EXPECT_EQ(-EINVAL, hot_reset(self->fd, self->session.group));
	EXPECT_EQ(-EINVAL, hot_reset(self->other.device, self->other.group));

	ASSERT_EQ(IGB_VET_VALUE, mmio_at(self->bar + IGB_VET));
	ASSERT_LE(0, faults_of(self->other_bar, 1));
	ASSERT_EQ(0, faults_of(self->other_bar, 1));
	ASSERT_EQ(4, mark(self->fd));
	ASSERT_EQ(4, mark(self->other.device));
	ASSERT_EQ(0, reset_both(self, self->fd));
	EXPECT_EQ(0, marked(self->fd));
	EXPECT_EQ(0, marked(self->other.device));
	EXPECT_LE(1, faults_of(self->other_bar, 1));
	EXPECT_EQ(IGB_VET_VALUE, mmio_at(self->bar + IGB_VET));

	ASSERT_EQ(4, mark(self->fd));
	ASSERT_EQ(4, mark(self->other.device));
	ASSERT_EQ(0, reset_both(self, self->other.device));
	EXPECT_EQ(0, marked(self->fd));
	EXPECT_EQ(0, marked(self->other.device));
	EXPECT_EQ(before.resets + (variant->is_told ? 0 : 2), report(self->fd).resets);
}

/*
 * 6-70: who uses a device of either driver waits. The C modules give up with EBUSY where a
 * user happens to be at it; these may, where it is the driver in C.
 */
TEST_F(dual, hot_reset_in_use)
{
	struct igb_user user = { .fd = self->fd, .reg = self->bar + IGB_VET };
	struct igb_user other = {
		.fd = self->other.device,
		.reg = self->other_bar + IGB_VET,
	};
	pthread_t threads[2];
	int i, done = 0;

	ASSERT_EQ(0, pthread_create(&threads[0], NULL, igb_use, &user));
	ASSERT_EQ(0, pthread_create(&threads[1], NULL, igb_use, &other));
	for (i = 0; i < 2 * ROUNDS || (!done && i < 1000 * ROUNDS); i++) {
		long ret = reset_both(self, i % 2 ? self->fd : self->other.device);

		EXPECT_TRUE(!ret || ret == -EBUSY);
		done += !ret;
		usleep(1000);
	}
	user.stop = other.stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	EXPECT_LT(0, done);
	EXPECT_LT(0, user.rounds);
	EXPECT_LT(0, other.rounds);
	EXPECT_EQ(0, user.failed + other.failed);
	EXPECT_EQ(0, user.wrong + other.wrong);
}

static void *reset_function(void *data)
{
	struct igb_user *user = data;

	while (!user->stop) {
		long ret = vfio_ioctl(user->fd, VFIO_DEVICE_RESET, 0);

		/* The other one may have the lock of the function. */
		if (ret && ret != -EAGAIN)
			user->failed++;
		user->rounds++;
	}
	return NULL;
}

/*
 * 6-70, 6-72: who comes while a function is being reset, which takes 100 ms, has to come again.
 */
TEST_F(dual, hot_reset_during_reset)
{
	const long busy = on_c_modules() ? -EBUSY : -EAGAIN;
	struct igb_user user = { .fd = self->fd };
	pthread_t thread;
	long ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_function, &user));
	do {
		ret = reset_both(self, self->other.device);
		/* The PCI core finds the lock of the function taken, on either stack. */
		EXPECT_TRUE(!ret || ret == busy || ret == -EAGAIN);
	} while (ret != busy);
	user.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, user.failed);
	EXPECT_LT(0, user.rounds);
	EXPECT_EQ(0, reset_both(self, self->other.device));
}

/* Nor does it wait for a driver that is at the memory. */
TEST_F(dual, hot_reset_and_driver_at_the_memory)
{
	struct holder holder = { .fd = self->fd };
	void *result = (void *)1;
	pthread_t thread;

	ASSERT_EQ(4, mark(self->fd));
	ASSERT_EQ(0, hold_begin(&thread, &holder));
	EXPECT_EQ(-EBUSY, reset_both(self, self->other.device));
	EXPECT_EQ(IGB_MARK, marked(self->fd));
	pthread_join(thread, &result);
	EXPECT_EQ(NULL, result);
	EXPECT_EQ(0, reset_both(self, self->fd));
}

/* ---- a device with much memory, which each test opens ---- */

FIXTURE(ivshmem)
{
	const char *bdf;
	struct vfio_session session;
	int fd;
	uint8_t *memory;
};

FIXTURE_SETUP(ivshmem)
{
	uint8_t *place;

	NEED_PARTS();
	NEED_DEVICE(self->bdf, "IVSHMEM");
	ASSERT_EQ(0, session_open_by(&self->session, self->bdf, PARTS_DRIVER));
	self->fd = self->session.device;
	ASSERT_EQ(0, memory_enable(self->fd, true));
	place = memory_new_aligned(BAR_SIZE, SIZE_2M);
	ASSERT_NE(MAP_FAILED, (void *)place);
	self->memory = mmap(place, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			    self->fd, REGION_OFFSET(BAR));
	ASSERT_EQ(place, self->memory);
}

FIXTURE_TEARDOWN(ivshmem)
{
	if (self->memory)
		munmap(self->memory, BAR_SIZE);
	if (self->session.device >= 0)
		EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

/* 9-15, 8-12: two megabytes by one fault, and what is disabled by none. */
TEST_F(ivshmem, huge_pages)
{
	size_t i;

	for (i = 0; i < BAR_SIZE; i += SIZE_2M)
		self->memory[i] = i / SIZE_2M;
	EXPECT_EQ(BAR_SIZE / SIZE_2M, report(self->fd).huge_faults);
	EXPECT_EQ(0, report(self->fd).faults);
	ASSERT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(-SIGBUS, mmio_at(self->memory));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	for (i = 0; i < BAR_SIZE; i += SIZE_2M)
		EXPECT_EQ(i / SIZE_2M, self->memory[i]);
	EXPECT_EQ(2 * BAR_SIZE / SIZE_2M, report(self->fd).huge_faults);
}

/* 9-15: as wide as the driver says. */
TEST_F(ivshmem, accesses_of_each_width)
{
	volatile uint64_t *word = (void *)(self->memory + 64);

	*word = 0;
	EXPECT_EQ(0, driver_write(self->fd, BAR, 64, 8, 0x1122334455667788));
	EXPECT_EQ(0x1122334455667788, *word);
	EXPECT_EQ(0, driver_write(self->fd, BAR, 64, 4, 0xaaaaaaaa));
	EXPECT_EQ(0x11223344aaaaaaaa, *word);
	EXPECT_EQ(0, driver_write(self->fd, BAR, 64, 2, 0xbbbb));
	EXPECT_EQ(0x11223344aaaabbbb, *word);
	EXPECT_EQ(0, driver_write(self->fd, BAR, 64, 1, 0xcc));
	EXPECT_EQ(0x11223344aaaabbcc, *word);
	EXPECT_EQ(0x11223344aaaabbcc, driver_read(self->fd, BAR, 64, 8));
	EXPECT_EQ(0xaaaabbcc, driver_read(self->fd, BAR, 64, 4));
	EXPECT_EQ(0xbbcc, driver_read(self->fd, BAR, 64, 2));
	EXPECT_EQ(0xcc, driver_read(self->fd, BAR, 64, 1));
}

/* 9-12: between both halves of an open. */
TEST_F(ivshmem, open_fails)
{
	long released;
	int device;

	munmap(self->memory, BAR_SIZE);
	self->memory = NULL;
	released = parameter("released");
	close(self->fd);
	self->session.device = -1;
	EXPECT_EQ(released + 2, parameter("released"));

	ASSERT_EQ(0, parameter_set("fail_open", true));
	EXPECT_EQ(-PARTS_OPEN_ERROR, group_device(self->session.group, self->bdf));
	EXPECT_EQ(released + 4, parameter("released"));
	EXPECT_EQ(-PARTS_OPEN_ERROR, group_device(self->session.group, self->bdf));
	EXPECT_EQ(released + 6, parameter("released"));
	ASSERT_EQ(0, parameter_set("fail_open", false));

	device = group_device(self->session.group, self->bdf);
	ASSERT_LE(0, device);
	self->session.device = device;
	EXPECT_EQ(2, report(device).num_regions);
	EXPECT_EQ(1, report(device).bars[BAR]);
	EXPECT_EQ(0, memory_enable(device, true));
	EXPECT_EQ(0, driver_write(device, BAR, 64, 4, 0x5a5a));
	EXPECT_EQ(0x5a5a, driver_read(device, BAR, 64, 4));
}

struct export {
	struct vfio_device_feature feature;
	struct vfio_device_feature_dma_buf buffer;
	struct vfio_region_dma_range ranges[2];
};

#define GET	(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF)

static long export(int device, uint32_t bar, uint64_t offset, uint64_t length)
{
	struct export export = {
		.feature.argsz = sizeof(export),
		.feature.flags = GET,
		.buffer.region_index = bar,
		.buffer.open_flags = O_RDWR | O_CLOEXEC,
		.buffer.nr_ranges = 2,
		.ranges = { { 0, PAGE_SIZE }, { offset, length } },
	};

	return vfio_ioctl(device, VFIO_DEVICE_FEATURE, &export);
}

/* 9-17: the driver says what of the memory is exported. */
TEST_F(ivshmem, exports)
{
	int fd;

	fd = export(self->fd, BAR, 0x5000, 0x2000);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0x3000, lseek(fd, 0, SEEK_END));
	close(fd);
	fd = export(self->fd, BAR, PARTS_EXPORTED - PAGE_SIZE, PAGE_SIZE);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(-EINVAL, export(self->fd, BAR, PARTS_EXPORTED, PAGE_SIZE));
	EXPECT_EQ(-EINVAL, export(self->fd, BAR, PARTS_EXPORTED - PAGE_SIZE, 2 * PAGE_SIZE));
	EXPECT_EQ(-EPERM, export(self->fd, BAR, PARTS_DENIED, PAGE_SIZE));
	EXPECT_EQ(-EPERM, export(self->fd, BAR, 0x5000, 0x4000));

	/* What the driver leaves to the core. */
	EXPECT_EQ(-EINVAL, export(self->fd, BAR, BAR_SIZE, PAGE_SIZE));
	EXPECT_EQ(-EOVERFLOW, export(self->fd, BAR, -PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(-EINVAL, export(self->fd, 0, PAGE_SIZE, PAGE_SIZE));
	/* What it is not even asked. */
	EXPECT_EQ(-EINVAL, export(self->fd, BAR, PARTS_DENIED, PAGE_SIZE - 1));
	EXPECT_EQ(-EINVAL, export(self->fd, BAR, PARTS_DENIED, 0));
	EXPECT_EQ(-ENODEV, export(self->fd, 4, PARTS_DENIED, PAGE_SIZE));
	EXPECT_EQ(-ENODEV, export(self->fd, VFIO_PCI_ROM_REGION_INDEX, 0, PAGE_SIZE));
}

/* A driver that has no say exports nothing, whatever is asked for. */
TEST_F(ivshmem, exports_nothing)
{
	struct export probe = {
		.feature.argsz = sizeof(probe),
		.feature.flags = GET | VFIO_DEVICE_FEATURE_PROBE,
	};

	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_FEATURE, &probe));
	munmap(self->memory, BAR_SIZE);
	self->memory = NULL;
	session_close(&self->session);
	ASSERT_EQ(0, parameter_set("exports", false));
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(0, session_open_by(&self->session, self->bdf, PARTS_DRIVER));
	EXPECT_EQ(0, parameter_set("exports", true));
	self->fd = self->session.device;
	EXPECT_EQ(-EOPNOTSUPP, export(self->fd, BAR, 0, PAGE_SIZE));
	EXPECT_EQ(-EOPNOTSUPP, export(self->fd, VFIO_PCI_ROM_REGION_INDEX, 0, PAGE_SIZE));
	EXPECT_EQ(-EOPNOTSUPP, vfio_ioctl(self->fd, VFIO_DEVICE_FEATURE, &probe));
	session_close(&self->session);
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	ASSERT_EQ(0, session_open_by(&self->session, self->bdf, PARTS_DRIVER));
}

/* 12-1: what another device reaches of an area of the driver's goes with its owner. */
TEST_F(ivshmem, peer)
{
	const uint64_t iova = 0x40000000;
	struct vfio_session edu;
	const char *bdf;
	uint64_t left;

	NEED_DEVICE(bdf, "EDU");
	NEED_IOMMU_TABLE();
	ASSERT_EQ(0, session_open_by(&edu, bdf, "vfio-pci"));
	ASSERT_EQ(0, type1_map(edu.container, self->memory, iova, SIZE_2M, DMA_RW));
	EXPECT_EQ(SIZE_2M, iommu_mapped(bdf, iova, SIZE_2M));
	munmap(self->memory, BAR_SIZE);
	self->memory = NULL;
	session_close(&self->session);
	left = iommu_mapped(bdf, iova, SIZE_2M);
	report_difference("DMA mapping of a BAR whose owner has gone",
			  left ? "survives" : "revoked");
	EXPECT_EQ(on_c_modules() ? SIZE_2M : 0, left);
	EXPECT_EQ(SIZE_2M, type1_unmap(edu.container, iova, SIZE_2M, 0));
	session_close(&edu);
	ASSERT_EQ(0, session_open_by(&self->session, self->bdf, PARTS_DRIVER));
}

/* 9-17, 6-97: the same by a buffer, which DMA reaches where the driver says. */
TEST_F(ivshmem, peer_by_buffer)
{
	const uint64_t iova = 0x40000000, ram_iova = 0x10000000;
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.length = 0x2000,
		.iova = iova,
	};
	struct export request = {
		.feature.argsz = sizeof(request),
		.feature.flags = GET,
		.buffer.region_index = BAR,
		.buffer.open_flags = O_RDWR | O_CLOEXEC,
		.buffer.nr_ranges = 1,
		.ranges = { { 0x5000, 0x2000 } },
	};
	uint8_t *ram = memory_new(PAGE_SIZE);
	int edu, iommufd;
	const char *bdf;

	NEED_IOMMUFD();
	NEED_DEVICE(bdf, "EDU");
	ASSERT_NE(MAP_FAILED, (void *)ram);
	memset(ram, 0x5a, PAGE_SIZE);
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	map.ioas_id = iommufd_ioas(iommufd);
	edu = cdev_open(bdf, O_RDWR);
	ASSERT_LE(0, edu);
	ASSERT_LE(0, cdev_bind(edu, iommufd));
	ASSERT_EQ(0, memory_enable(edu, true));
	ASSERT_LE(0, cdev_attach(edu, map.ioas_id));
	ASSERT_EQ(0, edu_bus_master(edu, true));
	ASSERT_EQ(0, iommufd_map(iommufd, map.ioas_id, ram, ram_iova, PAGE_SIZE));
	ASSERT_EQ(0, edu_load(edu, ram_iova, PAGE_SIZE));

	map.fd = vfio_ioctl(self->fd, VFIO_DEVICE_FEATURE, &request);
	ASSERT_LE(0, map.fd);
	ASSERT_EQ(0, vfio_ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &map));
	memset(self->memory + 0x5000, 0, 0x2000);
	EXPECT_EQ(0, edu_store(edu, iova + PAGE_SIZE, 64));
	EXPECT_EQ(0, self->memory[0x5000]);
	EXPECT_EQ(0x5a, self->memory[0x6000]);
	EXPECT_EQ(0x5a, self->memory[0x603f]);

	/* It is revoked with the memory. */
	ASSERT_EQ(0, memory_enable(self->fd, false));
	map.iova += SIZE_2M;
	EXPECT_EQ(-ENODEV, vfio_ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &map));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(0, vfio_ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &map));
	EXPECT_EQ(0, edu_store(edu, map.iova, 64));
	EXPECT_EQ(0x5a, self->memory[0x5000]);
	close(map.fd);
	close(edu);
	close(iommufd);
}

/* 9-16: virtual functions, which belong to the same driver. */
TEST(virtual_functions)
{
	char vf[64], driver[64];
	const char *bdf;

	NEED_PARTS();
	NEED_DEVICE(bdf, "PORT_IGB");
	ASSERT_EQ(0, pci_bind(bdf, PARTS_DRIVER));
	EXPECT_EQ(-ENOENT, pci_first_vf(bdf, vf, sizeof(vf)));
	ASSERT_EQ(0, pci_set_vfs(bdf, "1"));
	ASSERT_EQ(0, pci_first_vf(bdf, vf, sizeof(vf)));
	pci_driver(vf, driver, sizeof(driver));
	EXPECT_STREQ(PARTS_DRIVER, driver);
	EXPECT_EQ(0, pci_set_vfs(bdf, "0"));
	EXPECT_EQ(-ENOENT, pci_first_vf(bdf, vf, sizeof(vf)));
	EXPECT_EQ(0, pci_bind(bdf, NULL));
}

/* A module of which somebody has a device stays. */
TEST_F(igb, module_stays)
{
	EXPECT_EQ(-EAGAIN, module_unload(MODULE));
}

int main(int argc, char **argv)
{
	static const char *const modules[] = { MODULE, NULL };
	static const char *const names[] = {
		"IGB", "IVSHMEM", "EDU", "DUAL_IGB_0", "DUAL_IGB_1", "PORT_IGB", NULL
	};
	static const char *const kept[] = { "IGB", NULL };
	const char *igb = pci_device("IGB");

	samples_claim(modules);
	pci_claim(names);
	if (sample_exists(MODULE) && igb && !pci_bind(igb, PARTS_DRIVER))
		session_keep(kept);
	return test_harness_run(argc, argv);
}
