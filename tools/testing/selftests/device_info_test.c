// SPDX-License-Identifier: GPL-2.0
/* What a device says of itself: info, regions, irqs, RESET (6.1, 6.2, 6.5). */
#include <sys/stat.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define PATTERN	0xa5

FIXTURE(device)
{
	struct vfio_session session;
	int fd;
};

FIXTURE_VARIANT(device)
{
	const char *name;
	bool reset;		/* has a function reset of its own */
	bool intx;
	unsigned int msi;
};

FIXTURE_VARIANT_ADD(device, edu)
{
	.name = "EDU",
	.intx = true,
	.msi = 1,
};

FIXTURE_VARIANT_ADD(device, testdev)
{
	.name = "TESTDEV",
};

FIXTURE_VARIANT_ADD(device, nvme)
{
	.name = "NVME",
	.reset = true,
	.intx = true,
};

FIXTURE_VARIANT_ADD(device, igb)
{
	.name = "IGB",
	.reset = true,
	.intx = true,
	.msi = 1,
};

FIXTURE_SETUP(device)
{
	const char *bdf;

	NEED_DEVICE(bdf, variant->name);
	ASSERT_EQ(0, session_share(&self->session, bdf));
	self->fd = self->session.device;
}

FIXTURE_TEARDOWN(device)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

static long get_region(int device, uint32_t index, uint32_t argsz,
		       struct vfio_region_info *info)
{
	info->argsz = argsz;
	info->index = index;
	return vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info);
}

static long get_irq(int device, uint32_t index, struct vfio_irq_info *info)
{
	info->argsz = sizeof(*info);
	info->index = index;
	return vfio_ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, info);
}

/* A page whose last bytes are followed by nothing. */
static void *edge_before(size_t size)
{
	char *pages = memory_new(2 * PAGE_SIZE);

	munmap(pages + PAGE_SIZE, PAGE_SIZE);
	return pages + PAGE_SIZE - size;
}

/* 6-5, 6-7 */
TEST_F(device, info)
{
	union {
		struct vfio_device_info info;
		uint8_t bytes[64];
	} u;

	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO,
				      edge_before(15)));
	u.info.argsz = 15;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, &u.info));
	u.info.argsz = 0;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, &u.info));

	memset(&u, PATTERN, sizeof(u));
	u.info.argsz = 16;
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, &u.info));
	EXPECT_EQ(PATTERN, u.bytes[16]);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, u.info.num_irqs);

	memset(&u, PATTERN, sizeof(u));
	u.info.argsz = sizeof(u);
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, &u.info));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, u.info.num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, u.info.num_irqs);
	EXPECT_EQ(VFIO_DEVICE_FLAGS_PCI |
		  (variant->reset ? VFIO_DEVICE_FLAGS_RESET : 0),
		  u.info.flags & ~VFIO_DEVICE_FLAGS_CAPS);
	if (!(u.info.flags & VFIO_DEVICE_FLAGS_CAPS)) {
		EXPECT_EQ(sizeof(u), u.info.argsz);
		EXPECT_EQ(0, u.info.cap_offset);
	}
	EXPECT_EQ(PATTERN, u.bytes[63]);
}

/* 6-8 */
TEST_F(device, region_refusals)
{
	struct vfio_region_info info;

	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_GET_REGION_INFO,
				      NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_GET_REGION_INFO,
				      edge_before(31)));
	EXPECT_EQ(-EINVAL, get_region(self->fd, 0, 0, &info));
	EXPECT_EQ(-EINVAL, get_region(self->fd, 0, 31, &info));
	EXPECT_EQ(-EINVAL, get_region(self->fd, VFIO_PCI_NUM_REGIONS, 32, &info));
	EXPECT_EQ(-EINVAL, get_region(self->fd, 1000, 32, &info));
	EXPECT_EQ(-EINVAL, get_region(self->fd, UINT32_MAX, 32, &info));
	/* 6-14: none of these is a VGA device. */
	EXPECT_EQ(-EINVAL, get_region(self->fd, VFIO_PCI_VGA_REGION_INDEX, 32,
				      &info));
}

/* 6-4, 6-9, 6-10: BARs are what the host has found. */
TEST_F(device, bars)
{
	struct vfio_region_info info;
	bool upper_half = false;
	uint64_t start, size;
	unsigned int index;
	long bar;

	for (index = 0; index < 6; index++) {
		ASSERT_EQ(0, get_region(self->fd, index, sizeof(info), &info));
		ASSERT_EQ(0, pci_resource(self->session.bdf, index, &start,
					  &size));
		EXPECT_EQ(REGION_OFFSET(index), info.offset);
		EXPECT_EQ(size, info.size);
		EXPECT_EQ(index, info.index);
		if (upper_half) {
			EXPECT_EQ(0, info.size);
		}
		bar = pci_hw_config(self->session.bdf,
				    PCI_BASE_ADDRESS_0 + 4 * index, 4);
		if (!size) {
			EXPECT_EQ(0, info.flags);
			upper_half = false;
			continue;
		}
		EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ |
			  VFIO_REGION_INFO_FLAG_WRITE,
			  info.flags & (VFIO_REGION_INFO_FLAG_READ |
					VFIO_REGION_INFO_FLAG_WRITE));
		if (bar & PCI_BASE_ADDRESS_SPACE_IO) {
			EXPECT_EQ(0, info.flags & VFIO_REGION_INFO_FLAG_MMAP);
		} else if (size >= PAGE_SIZE) {
			EXPECT_NE(0, info.flags & VFIO_REGION_INFO_FLAG_MMAP);
		}
		upper_half = !(bar & PCI_BASE_ADDRESS_SPACE_IO) &&
			     (bar & PCI_BASE_ADDRESS_MEM_TYPE_64);
	}
}

/* 256, or 4096 where host and device have extended configuration space. */
static long config_size(const char *bdf)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	return stat(path, &st) ? -errno : st.st_size;
}

/* 6-12, 6-13 */
TEST_F(device, rom_and_config)
{
	struct vfio_region_info info;
	uint64_t start, size;

	ASSERT_EQ(0, get_region(self->fd, VFIO_PCI_CONFIG_REGION_INDEX,
				sizeof(info), &info));
	EXPECT_EQ(config_size(self->session.bdf), info.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		  info.flags);
	EXPECT_EQ(CONFIG_OFFSET, info.offset);

	ASSERT_EQ(0, get_region(self->fd, VFIO_PCI_ROM_REGION_INDEX,
				sizeof(info), &info));
	ASSERT_EQ(0, pci_resource(self->session.bdf, 6, &start, &size));
	EXPECT_EQ(REGION_OFFSET(VFIO_PCI_ROM_REGION_INDEX), info.offset);
	EXPECT_EQ(size, info.size);
	EXPECT_EQ(size ? VFIO_REGION_INFO_FLAG_READ : 0, info.flags);
}

/* 6-16 to 6-20 */
TEST_F(device, irqs)
{
	const uint32_t intx = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
			      VFIO_IRQ_INFO_AUTOMASKED;
	struct vfio_irq_info info = { .argsz = 15 };
	uint32_t index;
	long cap;

	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO,
				      edge_before(15)));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EXPECT_EQ(-EINVAL, get_irq(self->fd, VFIO_PCI_NUM_IRQS, &info));
	EXPECT_EQ(-EINVAL, get_irq(self->fd, UINT32_MAX, &info));

	EXPECT_EQ(0, get_irq(self->fd, VFIO_PCI_INTX_IRQ_INDEX, &info));
	EXPECT_EQ(intx, info.flags);
	EXPECT_EQ(variant->intx, info.count);
	EXPECT_EQ(sizeof(info), info.argsz);

	EXPECT_EQ(0, get_irq(self->fd, VFIO_PCI_MSI_IRQ_INDEX, &info));
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);
	EXPECT_EQ(variant->msi, info.count);

	EXPECT_EQ(0, get_irq(self->fd, VFIO_PCI_MSIX_IRQ_INDEX, &info));
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD, info.flags & ~VFIO_IRQ_INFO_NORESIZE);
	cap = config_cap(self->fd, PCI_CAP_ID_MSIX);
	if (cap > 0) {
		EXPECT_EQ((config_read(self->fd, cap + PCI_MSIX_FLAGS, 2) &
			   PCI_MSIX_FLAGS_QSIZE) + 1, info.count);
	} else {
		EXPECT_EQ(0, info.count);
	}

	for (index = VFIO_PCI_ERR_IRQ_INDEX; index <= VFIO_PCI_REQ_IRQ_INDEX;
	     index++) {
		EXPECT_EQ(0, get_irq(self->fd, index, &info));
		EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
			  info.flags);
		EXPECT_EQ(1, info.count);
	}
}

/* 6-3 */
TEST_F(device, unknown_request)
{
	static const unsigned int numbers[] = { 90, 100, 102, 104, 106, 114, 115,
						121, 130, 200 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		EXPECT_EQ(-ENOTTY, vfio_ioctl(self->fd,
					      _IO(VFIO_TYPE, numbers[i]), 0)) {
			TH_LOG("request %u", numbers[i]);
		}
	}
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->fd, 0, 0));
}

/* 6-60, 6-61: what the user has set survives a reset; bus mastering does too. */
TEST_F(device, reset)
{
	const unsigned int bar = PCI_BASE_ADDRESS_0;
	long command;

	if (!variant->reset) {
		EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
		return;
	}
	command = config_read(self->fd, PCI_COMMAND, 2) | PCI_COMMAND_MEMORY |
		  PCI_COMMAND_MASTER;
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, command));
	EXPECT_EQ(0, config_write(self->fd, bar, 4, 0x12300000));
	EXPECT_EQ(0, config_write(self->fd, PCI_INTERRUPT_LINE, 1, 0x77));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(command, config_read(self->fd, PCI_COMMAND, 2));
	EXPECT_EQ(0x12300000, config_read(self->fd, bar, 4) &
			      PCI_BASE_ADDRESS_MEM_MASK);
	EXPECT_EQ(0x77, config_read(self->fd, PCI_INTERRUPT_LINE, 1));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
}

/* 6-8, 6-11: the BAR with the MSI-X table may be mapped, and says so. */
FIXTURE(msix_bar)
{
	struct vfio_session session;
	uint32_t index;
};

FIXTURE_VARIANT(msix_bar)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(msix_bar, nvme)
{
	.name = "NVME",
};

FIXTURE_VARIANT_ADD(msix_bar, igb)
{
	.name = "IGB",
};

FIXTURE_SETUP(msix_bar)
{
	const char *bdf;
	long cap;

	NEED_DEVICE(bdf, variant->name);
	ASSERT_EQ(0, session_share(&self->session, bdf));
	cap = config_cap(self->session.device, PCI_CAP_ID_MSIX);
	ASSERT_LT(0, cap);
	self->index = config_read(self->session.device, cap + PCI_MSIX_TABLE, 4) &
		      PCI_MSIX_TABLE_BIR;
}

FIXTURE_TEARDOWN(msix_bar)
{
	session_close(&self->session);
}

TEST_F(msix_bar, capability)
{
	union {
		struct vfio_region_info info;
		uint8_t bytes[128];
	} u;
	struct vfio_info_cap_header *cap;
	int device = self->session.device;

	memset(&u, PATTERN, sizeof(u));
	ASSERT_EQ(0, get_region(device, self->index, 32, &u.info));
	EXPECT_NE(0, u.info.flags & VFIO_REGION_INFO_FLAG_MMAP);
	EXPECT_NE(0, u.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	EXPECT_EQ(40, u.info.argsz);
	EXPECT_EQ(0, u.info.cap_offset);
	EXPECT_EQ(PATTERN, u.bytes[32]);

	ASSERT_EQ(0, get_region(device, self->index, 39, &u.info));
	EXPECT_EQ(40, u.info.argsz);
	EXPECT_EQ(0, u.info.cap_offset);

	ASSERT_EQ(0, get_region(device, self->index, sizeof(u), &u.info));
	EXPECT_EQ(sizeof(u), u.info.argsz);
	EXPECT_EQ(32, u.info.cap_offset);
	cap = (void *)&u.bytes[32];
	EXPECT_EQ(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, cap->id);
	EXPECT_EQ(1, cap->version);
	EXPECT_EQ(0, cap->next);
	EXPECT_EQ(PATTERN, u.bytes[40]);
}

/* Only that BAR has it. */
TEST_F(msix_bar, other_bars)
{
	struct vfio_region_info info;
	uint32_t index;

	for (index = 0; index < 6; index++) {
		ASSERT_EQ(0, get_region(self->session.device, index, sizeof(info),
					&info));
		EXPECT_EQ(index == self->index,
			  !!(info.flags & VFIO_REGION_INFO_FLAG_CAPS));
	}
}

VFIO_TEST_MAIN_OPEN("EDU", "TESTDEV", "NVME", "IGB")
