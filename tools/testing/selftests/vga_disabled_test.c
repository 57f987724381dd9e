// SPDX-License-Identifier: GPL-2.0
/* The module parameter disable_vga (1-14): needs the driver for itself. */
#include <errno.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

static int reload(const char *option)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "rmmod vfio_pci && modprobe vfio_pci %s", option);
	return system(command);
}

FIXTURE(disabled)
{
	const char *bdf;
};

/* The driver must have no device while it is loaded anew. */
FIXTURE_SETUP(disabled)
{
	NEED_DEVICE(self->bdf, "VGA");
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	ASSERT_EQ(0, reload("disable_vga=1"));
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
}

FIXTURE_TEARDOWN(disabled)
{
	EXPECT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(0, reload(""));
}

/* 1-14: the device works, but has no such region. */
TEST_F(disabled, no_region)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_VGA_REGION_INDEX,
	};
	struct vfio_session session;
	char value[8];
	uint8_t byte;

	ASSERT_EQ(2, file_read("/sys/module/vfio_pci/parameters/disable_vga",
			       value, sizeof(value)));
	EXPECT_EQ('Y', value[0]);
	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(session.device,
				      VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_EQ(-EINVAL, region_read(session.device,
				       VFIO_PCI_VGA_REGION_INDEX, 0xa0000,
				       &byte, 1));
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
}

TEST_HARNESS_MAIN
