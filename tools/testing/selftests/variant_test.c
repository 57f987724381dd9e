// SPDX-License-Identifier: GPL-2.0
/*
 * A driver for one kind of device, the sample vfio_pci_edu: what all devices
 * have, and a region that only this driver adds (9-12, 9-13, 9-14).
 */
#include <sys/mman.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "samples.h"

#define REGION		VFIO_PCI_NUM_REGIONS
#define REGION_SIZE	PAGE_SIZE
#define EDU_FACTORIAL	0x08

FIXTURE(variant)
{
	const char *bdf;
	struct vfio_session session;
	int device;
};

FIXTURE_SETUP(variant)
{
	NEED_SAMPLES();
	NEED_DEVICE(self->bdf, "EDU");
	ASSERT_EQ(0, session_open_by(&self->session, self->bdf, "vfio-pci-edu"));
	self->device = self->session.device;
}

FIXTURE_TEARDOWN(variant)
{
	session_close(&self->session);
	EXPECT_EQ(0, pci_bind(self->bdf, NULL));
}

static long factorial(int device, uint32_t number)
{
	uint32_t value = number;
	long ret = region_write(device, REGION, EDU_FACTORIAL, &value,
				sizeof(value));

	if (ret != sizeof(value))
		return ret < 0 ? ret : -EIO;
	ret = region_read(device, REGION, EDU_FACTORIAL, &value, sizeof(value));
	return ret == sizeof(value) ? (long)value : ret < 0 ? ret : -EIO;
}

/* 6-15 */
TEST_F(variant, says_what_it_adds)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info_cap_type *type;
	struct region_info info;

	ASSERT_EQ(0, vfio_ioctl(self->device, VFIO_DEVICE_GET_INFO, &device));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS + 1, device.num_regions);
	ASSERT_EQ(0, region_info(self->device, REGION, &info));
	EXPECT_EQ(REGION_SIZE, info.head.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			  VFIO_REGION_INFO_FLAG_MMAP |
			  VFIO_REGION_INFO_FLAG_CAPS,
		  info.head.flags);
	EXPECT_EQ(REGION_OFFSET(REGION), info.head.offset);
	type = info_cap(&info, info.head.cap_offset, VFIO_REGION_INFO_CAP_TYPE);
	ASSERT_NE(NULL, type);
	EXPECT_EQ(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | 0x1234, type->type);
	EXPECT_EQ(1, type->subtype);
	EXPECT_EQ(-EINVAL, region_info(self->device, REGION + 1, &info));
}

/* Nothing that users know of the device is missing or different. */
TEST_F(variant, has_what_all_devices_have)
{
	EXPECT_EQ(EDU_BAR_SIZE, region_size(self->device, 0));
	EXPECT_EQ(EDU_ID_VALUE, edu_read(self->device, EDU_ID));
	EXPECT_EQ(0x1234, config_read(self->device, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, session_works(&self->session));
}

/* The unit needs its time; through the region nobody sees that. */
TEST_F(variant, region_waits_for_the_unit)
{
	uint32_t number, expected = 1;

	for (number = 1; number <= 12; number++) {
		expected *= number;
		EXPECT_EQ(expected, factorial(self->device, number));
	}
	EXPECT_EQ(expected, edu_read(self->device, EDU_FACTORIAL));
}

TEST_F(variant, region_is_the_registers)
{
	uint32_t value = 0x12345678, words[3] = { 0 };

	EXPECT_EQ(sizeof(value), region_write(self->device, REGION,
					      EDU_LIVENESS, &value,
					      sizeof(value)));
	EXPECT_EQ(~value, edu_read(self->device, EDU_LIVENESS));
	/* Several words; what is left of a word is for the next call. */
	EXPECT_EQ(8, region_read(self->device, REGION, EDU_ID, words, 11));
	EXPECT_EQ(EDU_ID_VALUE, words[0]);
	EXPECT_EQ(~value, words[1]);
	EXPECT_EQ(0, words[2]);
}

TEST_F(variant, region_has_an_end)
{
	uint32_t value = 0;

	EXPECT_EQ(-EINVAL, region_read(self->device, REGION, 2, &value, 4));
	EXPECT_EQ(-EINVAL, region_read(self->device, REGION, 0, &value, 2));
	EXPECT_EQ(4, region_read(self->device, REGION, REGION_SIZE - 4, &value,
				 4));
	EXPECT_EQ(-EINVAL, region_read(self->device, REGION, REGION_SIZE,
				       &value, 4));
	EXPECT_EQ(-EINVAL, region_write(self->device, REGION, REGION_SIZE,
					&value, 4));
	EXPECT_EQ(-EINVAL, region_read(self->device, REGION + 1, 0, &value, 4));
}

TEST_F(variant, region_obeys_memory_enable)
{
	uint32_t value = 0;

	ASSERT_EQ(0, memory_enable(self->device, false));
	EXPECT_EQ(-EIO, region_read(self->device, REGION, EDU_ID, &value, 4));
	EXPECT_EQ(-EIO, region_write(self->device, REGION, EDU_LIVENESS,
				     &value, 4));
	ASSERT_EQ(0, memory_enable(self->device, true));
	EXPECT_EQ(4, region_read(self->device, REGION, EDU_ID, &value, 4));
	EXPECT_EQ(EDU_ID_VALUE, value);
}

/* 8-3: mapped, zapped and back, like a BAR. */
TEST_F(variant, region_maps)
{
	uint32_t value = 0;
	void *memory;

	EXPECT_EQ(-EINVAL, bar_mmap(self->device, REGION, 0, 2 * PAGE_SIZE,
				    PROT_READ, &memory));
	EXPECT_EQ(-EINVAL, bar_mmap(self->device, REGION + 1, 0, PAGE_SIZE,
				    PROT_READ, &memory));
	ASSERT_EQ(0, bar_mmap(self->device, REGION, 0, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &memory));
	EXPECT_EQ(0, mmio_read(memory + EDU_ID, &value));
	EXPECT_EQ(EDU_ID_VALUE, value);
	ASSERT_EQ(0, memory_enable(self->device, false));
	EXPECT_EQ(-SIGBUS, mmio_read(memory + EDU_ID, &value));
	ASSERT_EQ(0, memory_enable(self->device, true));
	EXPECT_EQ(0, mmio_write(memory + EDU_LIVENESS, 0xff));
	EXPECT_EQ(0, mmio_read(memory + EDU_LIVENESS, &value));
	EXPECT_EQ(~0xffU, value);
	EXPECT_EQ(0, munmap(memory, PAGE_SIZE));
}

/* 6-92: like a BAR it is not mapped again in low power, though the host keeps it awake. */
TEST_F(variant, region_sleeps)
{
	uint32_t set = VFIO_DEVICE_FEATURE_SET;
	uint32_t value = 0;
	void *memory;

	ASSERT_EQ(0, bar_mmap(self->device, REGION, 0, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &memory));
	ASSERT_EQ(0, mmio_read(memory + EDU_ID, &value));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "power/control", "on"));
	ASSERT_EQ(0, device_feature(self->device, set |
				    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL,
				    0));
	EXPECT_EQ(-SIGBUS, mmio_read(memory + EDU_ID, &value));
	EXPECT_EQ(0, device_feature(self->device, set |
				    VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL,
				    0));
	EXPECT_EQ(0, mmio_read(memory + EDU_ID, &value));
	EXPECT_EQ(EDU_ID_VALUE, value);
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "power/control", "auto"));
	EXPECT_EQ(0, munmap(memory, PAGE_SIZE));
}

/* The same device without the driver. */
TEST_F(variant, region_is_the_drivers)
{
	uint32_t value;

	session_close(&self->session);
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, region_read(self->session.device, REGION, 0, &value,
				       4));
}

/* An id of this kind is for driver_override alone. */
TEST_F(variant, binds_only_when_asked)
{
	char driver[64];

	session_close(&self->session);
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(0, file_write("/sys/bus/pci/drivers_probe", self->bdf));
	pci_driver(self->bdf, driver, sizeof(driver));
	EXPECT_STREQ("", driver);
}

SAMPLES_TEST_MAIN("vfio_pci_edu")
