// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a device could forge interrupts is up to the machine: where nothing remaps
 * them, it is for users only if the administrator says so. The usual machine of the tests
 * is of one kind, and one in the table ../vm/machines of the other.
 */
#include <fcntl.h>
#include <unistd.h>

#include "edu.h"
#include "kernel_log.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define TYPE1	"/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
#define IOMMUFD	"/sys/module/iommufd/parameters/allow_unsafe_interrupts"
#define WARNING	"No interrupt remapping support.  Use the module param \"allow_unsafe_interrupts\""

/* Where the kernel has interrupts remapped it says so in the names of their chips. */
static bool interrupts_are_remapped(void)
{
	return irq_listed("IR-%s", "");
}

/* A parameter that a test sets as it likes. */
static void parameter_take(const char *path, char before[4])
{
	if (file_read(path, before, 4) <= 0)
		before[0] = '\0';
}

FIXTURE(isolation)
{
	const char *bdf;
	bool remapped;
	int log;
	char type1[4];
	char iommufd[4];
};

FIXTURE_SETUP(isolation)
{
	NEED_DEVICE(self->bdf, "EDU");
	self->remapped = interrupts_are_remapped();
	self->log = log_open();
	ASSERT_LE(0, self->log);
	parameter_take(TYPE1, self->type1);
	parameter_take(IOMMUFD, self->iommufd);
}

FIXTURE_TEARDOWN(isolation)
{
	file_write(TYPE1, self->type1);
	file_write(IOMMUFD, self->iommufd);
	close(self->log);
}

/* 1-8, 1-39, 5-94: asked whenever a group gets an IOMMU. */
TEST_F(isolation, container)
{
	int container = container_open();
	int group = group_open(self->bdf);
	int device;

	ASSERT_LE(0, file_write(TYPE1, "N"));
	ASSERT_EQ(0, group_set_container(group, container));
	if (!self->remapped) {
		EXPECT_EQ(-EPERM, vfio_ioctl(container, VFIO_SET_IOMMU,
					     VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(1, log_count(self->log, WARNING));
		EXPECT_EQ(-EINVAL, group_device(group, self->bdf));
		ASSERT_LE(0, file_write(TYPE1, "Y"));
	}
	EXPECT_EQ(0, vfio_ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_FALSE(log_has(self->log, WARNING));
	/* Who has it keeps it. */
	ASSERT_LE(0, file_write(TYPE1, "N"));
	device = group_device(group, self->bdf);
	ASSERT_LE(0, device);
	EXPECT_EQ(EDU_ID_VALUE, edu_read(device, EDU_ID));
	close(device);
	close(group);
	close(container);
}

/* 4-20 */
TEST_F(isolation, character_device)
{
	int device, iommufd;

	NEED_IOMMUFD();
	ASSERT_LE(0, file_write(IOMMUFD, "N"));
	iommufd = iommufd_open();
	device = cdev_open(self->bdf, O_RDWR);
	ASSERT_LE(0, device);
	if (!self->remapped) {
		EXPECT_EQ(-EPERM, cdev_bind(device, iommufd));
		EXPECT_EQ(-EINVAL, edu_read(device, EDU_ID));
		ASSERT_LE(0, file_write(IOMMUFD, "Y"));
	}
	EXPECT_LT(0, cdev_bind(device, iommufd));
	EXPECT_EQ(EDU_ID_VALUE, edu_read(device, EDU_ID));
	close(device);
	close(iommufd);
}

VFIO_TEST_MAIN("EDU")
