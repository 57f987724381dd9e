// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel without iommufd, and so without character devices of devices, such as
 * Debian's own: what asks for either is refused, and what is there without them
 * works.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

FIXTURE(device)
{
	struct vfio_session session;
};

FIXTURE_SETUP(device)
{
	const char *bdf;

	if (!access("/dev/iommu", F_OK) || !access("/dev/vfio/devices", F_OK))
		SKIP(return, "the kernel has iommufd");
	NEED_DEVICE(bdf, "EDU");
	ASSERT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
}

FIXTURE_TEARDOWN(device)
{
	session_close(&self->session);
}

/* The ioctls of character devices do not exist, rather than being refused. */
TEST_F(device, requests_of_character_devices)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = self->session.container,
	};
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	int fd = self->session.device;

	EXPECT_EQ(-ENOTTY, vfio_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_EQ(0, session_works(&self->session));
}

/* A group takes containers, and nothing else in their place. */
TEST_F(device, group_takes_containers_only)
{
	struct vfio_session session;
	int null = open("/dev/null", O_RDWR);
	const char *bdf = self->session.bdf;
	int group, container;

	session_close(&self->session);
	group = group_open(bdf);
	ASSERT_LE(0, group);
	EXPECT_EQ(-EBADFD, group_set_container(group, null));
	EXPECT_EQ(-EBADFD, group_set_container(group, group));
	container = container_open();
	EXPECT_EQ(0, group_set_container(group, container));
	close(group);
	close(container);
	close(null);
	EXPECT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	self->session = session;
}

/* Programs look for vfioN below the device; it is there, but is no node. */
TEST_F(device, class_device_without_a_node)
{
	char path[128], text[32];
	int number;

	for (number = 0; number < 16; number++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio%d",
			 self->session.bdf, number);
		if (!access(path, F_OK))
			break;
	}
	ASSERT_GT(16, number);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio%d/dev",
		 self->session.bdf, number);
	EXPECT_EQ(-ENOENT, file_read(path, text, sizeof(text)));
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/vfio%d", number);
	EXPECT_EQ(0, access(path, F_OK));
}

/* An empty list of groups means an iommufd, and there is none. */
TEST_F(device, hot_reset_without_groups)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };
	struct vfio_session session;
	const char *bdf;

	NEED_DEVICE(bdf, "PORT_NVME");
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(session.device, VFIO_DEVICE_PCI_HOT_RESET,
				      &reset));
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
}

VFIO_TEST_MAIN("EDU", "PORT_NVME")
