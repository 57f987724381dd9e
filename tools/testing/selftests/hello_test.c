// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest drivers, the samples vfio_hello and vfio_pci_hello: that they do what
 * drivers.rst says, and that they come and go.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "samples.h"

#define NAME		"vfio-hello"
#define TEXT		"Hello\n"
#define TEXT_SIZE	6
#define DRIVER		"vfio-pci-hello"
#define REGION		VFIO_PCI_NUM_REGIONS

/* ---- the device that is made of software ---- */

FIXTURE(emulated)
{
	struct vfio_session session;
	int device;
};

FIXTURE_SETUP(emulated)
{
	NEED_SAMPLES();
	ASSERT_EQ(0, emulated_open(&self->session, NAME, VFIO_TYPE1v2_IOMMU));
	self->device = self->session.device;
}

FIXTURE_TEARDOWN(emulated)
{
	session_close(&self->session);
}

TEST_F(emulated, says_what_it_has)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct region_info info;

	ASSERT_EQ(0, vfio_ioctl(self->device, VFIO_DEVICE_GET_INFO, &device));
	EXPECT_EQ(0, device.flags);
	EXPECT_EQ(1, device.num_regions);
	EXPECT_EQ(0, device.num_irqs);
	ASSERT_EQ(0, region_info(self->device, 0, &info));
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ, info.head.flags);
	EXPECT_EQ(TEXT_SIZE, info.head.size);
	EXPECT_EQ(0, info.head.offset);
}

TEST_F(emulated, says_hello)
{
	char text[16] = "";

	EXPECT_EQ(TEXT_SIZE, pread(self->device, text, sizeof(text), 0));
	EXPECT_STREQ(TEXT, text);
	EXPECT_EQ(2, pread(self->device, text, 2, 1));
	EXPECT_EQ(0, memcmp("el", text, 2));
	EXPECT_EQ(1, pread(self->device, text, sizeof(text), TEXT_SIZE - 1));
	EXPECT_EQ('\n', text[0]);
}

TEST_F(emulated, has_nothing_else)
{
	struct vfio_device_info device = { .argsz = 8 };
	struct region_info info;
	char text[4];

	EXPECT_EQ(-EINVAL, vfio_ioctl(self->device, VFIO_DEVICE_GET_INFO,
				      &device));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->device, VFIO_DEVICE_GET_INFO,
				      BAD_POINTER));
	EXPECT_EQ(-EINVAL, region_info(self->device, 1, &info));
	EXPECT_EQ(-EINVAL, region_info(self->device, ~0U, &info));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-ENOTTY, irq_disable(self->device, 0));
	EXPECT_EQ(0, pread(self->device, text, 4, TEXT_SIZE));
	EXPECT_EQ(0, pread(self->device, text, 4, 1L << 40));
	EXPECT_EQ(0, pread(self->device, text, 4, INT64_MAX - 4));
	EXPECT_EQ(-EFAULT, region_read(self->device, 0, 0, BAD_POINTER, 4));
	EXPECT_EQ(-EINVAL, sys_result(pwrite(self->device, TEXT, 4, 0)));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED,
				   self->device, 0));
}

TEST_F(emulated, opens_by_its_node)
{
	char text[16] = "";
	int iommufd, device;

	NEED_IOMMUFD();
	session_close(&self->session);
	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	device = emulated_cdev_open(NAME);
	ASSERT_LE(0, device);
	EXPECT_EQ(-EINVAL, sys_result(pread(device, text, 4, 0)));
	EXPECT_LT(0, cdev_bind(device, iommufd));
	EXPECT_EQ(TEXT_SIZE, pread(device, text, sizeof(text), 0));
	EXPECT_STREQ(TEXT, text);
	EXPECT_EQ(0, close(device));
	EXPECT_EQ(0, close(iommufd));
}

/* Who has it open keeps the module, and nothing of it is left behind. */
TEST_F(emulated, comes_and_goes)
{
	EXPECT_EQ(-EAGAIN, module_unload("vfio_hello"));
	session_close(&self->session);
	EXPECT_EQ(0, module_unload("vfio_hello"));
	EXPECT_EQ(-ENOENT, emulated_group(NAME));
	EXPECT_EQ(-ENOENT, emulated_cdev_open(NAME));
	ASSERT_EQ(0, module_load("vfio_hello"));
	EXPECT_LE(0, emulated_group(NAME));
}

/* ---- the driver for one kind of PCI device ---- */

FIXTURE(pci)
{
	const char *bdf;
	struct vfio_session session;
	int device;
};

FIXTURE_SETUP(pci)
{
	NEED_SAMPLES();
	NEED_DEVICE(self->bdf, "TESTDEV");
	ASSERT_EQ(0, session_open_by(&self->session, self->bdf, DRIVER));
	self->device = self->session.device;
}

FIXTURE_TEARDOWN(pci)
{
	session_close(&self->session);
	EXPECT_EQ(0, pci_bind(self->bdf, NULL));
}

TEST_F(pci, adds_a_region)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info_cap_type *type;
	struct region_info info;

	ASSERT_EQ(0, vfio_ioctl(self->device, VFIO_DEVICE_GET_INFO, &device));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS + 1, device.num_regions);
	ASSERT_EQ(0, region_info(self->device, REGION, &info));
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_CAPS,
		  info.head.flags);
	EXPECT_EQ(TEXT_SIZE, info.head.size);
	EXPECT_EQ(REGION_OFFSET(REGION), info.head.offset);
	type = info_cap(&info, info.head.cap_offset, VFIO_REGION_INFO_CAP_TYPE);
	ASSERT_NE(NULL, type);
	EXPECT_EQ(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | 0x1b36, type->type);
	EXPECT_EQ(1, type->subtype);
}

TEST_F(pci, says_hello)
{
	char text[16] = "";

	EXPECT_EQ(TEXT_SIZE, region_read(self->device, REGION, 0, text,
					 sizeof(text)));
	EXPECT_STREQ(TEXT, text);
	EXPECT_EQ(2, region_read(self->device, REGION, 1, text, 2));
	EXPECT_EQ(0, memcmp("el", text, 2));
	/* What all devices have is there as well. */
	EXPECT_EQ(0x1b36, config_read(self->device, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, session_works(&self->session));
}

TEST_F(pci, region_can_only_be_read)
{
	struct region_info info;
	char text[4] = "";
	void *memory;

	EXPECT_EQ(-EINVAL, region_info(self->device, REGION + 1, &info));
	EXPECT_EQ(-EINVAL, region_read(self->device, REGION + 1, 0, text, 4));
	EXPECT_EQ(-EINVAL, region_read(self->device, REGION, TEXT_SIZE, text,
				       1));
	EXPECT_EQ(-EINVAL, region_read(self->device, REGION, (1UL << 40) - 1,
				       text, 1));
	EXPECT_EQ(-EFAULT, region_read(self->device, REGION, 0, BAD_POINTER,
				       4));
	EXPECT_EQ(-EINVAL, region_write(self->device, REGION, 0, text, 4));
	EXPECT_EQ(-EINVAL, bar_mmap(self->device, REGION, 0, PAGE_SIZE,
				    PROT_READ, &memory));
}

/* Unloading takes the device back from a driver that nobody uses, and from no other. */
TEST_F(pci, comes_and_goes)
{
	char driver[64];

	EXPECT_EQ(-EAGAIN, module_unload("vfio_pci_hello"));
	session_close(&self->session);
	EXPECT_EQ(0, module_unload("vfio_pci_hello"));
	pci_driver(self->bdf, driver, sizeof(driver));
	EXPECT_STREQ("", driver);
	ASSERT_EQ(0, module_load("vfio_pci_hello"));
	ASSERT_EQ(0, session_open_by(&self->session, self->bdf, DRIVER));
	EXPECT_EQ(TEXT_SIZE, region_size(self->session.device, REGION));
}

/* Its id is for driver_override alone. */
TEST_F(pci, binds_only_when_asked)
{
	char driver[64];

	session_close(&self->session);
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(0, file_write("/sys/bus/pci/drivers_probe", self->bdf));
	pci_driver(self->bdf, driver, sizeof(driver));
	EXPECT_STREQ("", driver);
}

SAMPLES_TEST_MAIN("vfio_hello", "vfio_pci_hello")
