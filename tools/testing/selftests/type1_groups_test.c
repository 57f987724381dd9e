// SPDX-License-Identifier: GPL-2.0
/* Several groups in a container, several devices in a group (5.7, 3.*). */
#include <fcntl.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA	0x10000000UL

/* Whether the kernel has this PCI driver, as a module perhaps. */
static bool driver_present(const char *name)
{
	char command[128];
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", name);
	if (!access(path, F_OK))
		return true;
	snprintf(command, sizeof(command), "modprobe -q %s 2>/dev/null", name);
	return !system(command) && !access(path, F_OK);
}

/* EDU and TESTDEV: a group each, one container for both. */
FIXTURE(two)
{
	const char *edu;
	const char *testdev;
	int container;
	int edu_group;
	int testdev_group;
	char *buffer;
};

FIXTURE_SETUP(two)
{
	NEED_DEVICE(self->edu, "EDU");
	NEED_DEVICE(self->testdev, "TESTDEV");
	self->buffer = memory_new(4 * PAGE_SIZE);
	self->container = container_open();
	self->edu_group = group_open(self->edu);
	self->testdev_group = group_open(self->testdev);
	ASSERT_LE(0, self->container);
	ASSERT_LE(0, self->edu_group);
	ASSERT_LE(0, self->testdev_group);
}

FIXTURE_TEARDOWN(two)
{
	close(self->edu_group);
	close(self->testdev_group);
	close(self->container);
}

/* 2-14, 2-19, 5-99: mappings go with the last group, whichever that is. */
TEST_F(two, both_then_iommu)
{
	ASSERT_EQ(0, group_set_container(self->edu_group, self->container));
	ASSERT_EQ(0, group_set_container(self->testdev_group, self->container));
	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, type1_map(self->container, self->buffer, IOVA, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(0, vfio_ioctl(self->edu_group, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(-EEXIST, type1_map(self->container, self->buffer, IOVA,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(0, vfio_ioctl(self->testdev_group, VFIO_GROUP_UNSET_CONTAINER,
				0));
	EXPECT_EQ(-EINVAL, type1_map(self->container, self->buffer, IOVA,
				     PAGE_SIZE, DMA_RW));
}

/* A group that joins a container in use: 5-88, and its device opens at once. */
TEST_F(two, iommu_then_second)
{
	int device;

	ASSERT_EQ(0, group_set_container(self->edu_group, self->container));
	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, group_device(self->testdev_group, self->testdev));
	EXPECT_EQ(0, type1_map(self->container, self->buffer, IOVA, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(0, group_set_container(self->testdev_group, self->container));
	EXPECT_EQ(-EINVAL, group_set_container(self->testdev_group,
					       self->container));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				      VFIO_TYPE1v2_IOMMU));
	device = group_device(self->testdev_group, self->testdev);
	EXPECT_LE(0, device);
	EXPECT_EQ(-ENODEV, group_device(self->testdev_group, self->edu));
	EXPECT_EQ(-EEXIST, type1_map(self->container, self->buffer, IOVA,
				     PAGE_SIZE, DMA_RW));
	close(device);
	/* Leaving and coming back in the middle of it all. */
	EXPECT_EQ(0, vfio_ioctl(self->testdev_group, VFIO_GROUP_UNSET_CONTAINER,
				0));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(self->container, IOVA, PAGE_SIZE, 0));
	EXPECT_EQ(0, group_set_container(self->testdev_group, self->container));
	EXPECT_EQ(0, type1_map(self->container, self->buffer, IOVA, PAGE_SIZE,
			       DMA_RW));
}

/* Groups leave by being closed, in either order. */
TEST_F(two, closing_groups)
{
	int i;

	for (i = 0; i < 2; i++) {
		int *first = i ? &self->edu_group : &self->testdev_group;
		int *second = i ? &self->testdev_group : &self->edu_group;

		ASSERT_EQ(0, group_set_container(*first, self->container));
		ASSERT_EQ(0, group_set_container(*second, self->container));
		ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
					VFIO_TYPE1_IOMMU));
		EXPECT_EQ(0, type1_map(self->container, self->buffer, IOVA,
				       PAGE_SIZE, DMA_RW));
		close(*first);
		EXPECT_EQ(PAGE_SIZE, type1_unmap(self->container, IOVA,
						 PAGE_SIZE, 0));
		EXPECT_EQ(0, type1_map(self->container, self->buffer, IOVA,
				       PAGE_SIZE, DMA_RW));
		close(*second);
		EXPECT_EQ(-EINVAL, type1_unmap(self->container, IOVA, PAGE_SIZE,
					       0));
		self->edu_group = group_open(self->edu);
		self->testdev_group = group_open(self->testdev);
		ASSERT_LE(0, self->edu_group);
		ASSERT_LE(0, self->testdev_group);
	}
}

/* Two containers know nothing of each other's mappings. */
TEST_F(two, separate_containers)
{
	int other = container_open();

	ASSERT_EQ(0, group_set_container(self->edu_group, self->container));
	ASSERT_EQ(0, group_set_container(self->testdev_group, other));
	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, vfio_ioctl(other, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, type1_map(self->container, self->buffer, IOVA, PAGE_SIZE,
			       DMA_RW));
	EXPECT_EQ(0, type1_map(other, self->buffer, IOVA, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(other, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(-EEXIST, type1_map(self->container, self->buffer, IOVA,
				     PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EINVAL, group_set_container(self->testdev_group,
					       self->container));
	close(other);
}

/* SHARED_EDU and SHARED_TESTDEV: one group. */
FIXTURE(shared)
{
	const char *edu;
	const char *testdev;
	int group;
	int container;
	int devices[2];
};

FIXTURE_SETUP(shared)
{
	self->devices[0] = -1;
	self->devices[1] = -1;
	NEED_DEVICE(self->edu, "SHARED_EDU");
	NEED_DEVICE(self->testdev, "SHARED_TESTDEV");
	ASSERT_EQ(pci_group(self->edu), pci_group(self->testdev));
	ASSERT_EQ(0, pci_bind(self->edu, "vfio-pci"));
	ASSERT_EQ(0, pci_bind(self->testdev, "vfio-pci"));
	self->group = group_open(self->edu);
	ASSERT_LE(0, self->group);
	self->container = container_open();
	ASSERT_LE(0, self->container);
}

FIXTURE_TEARDOWN_PARENT(shared)
{
	if (self->edu && self->testdev) {
		EXPECT_EQ(0, pci_bind(self->edu, "vfio-pci"));
		EXPECT_EQ(0, pci_bind(self->testdev, "vfio-pci"));
	}
}

/* 3-4, 3-21: one group, two devices, opened and closed in either order. */
TEST_F(shared, both_devices)
{
	int i;

	EXPECT_EQ(-EBUSY, group_open(self->testdev));
	ASSERT_EQ(0, group_join(self->group, self->container));
	for (i = 0; i < 2; i++) {
		int edu = group_device(self->group, self->edu);
		int testdev = group_device(self->group, self->testdev);

		ASSERT_LE(0, edu);
		ASSERT_LE(0, testdev);
		EXPECT_EQ(0x1234, config_read(edu, PCI_VENDOR_ID, 2));
		EXPECT_EQ(0x1b36, config_read(testdev, PCI_VENDOR_ID, 2));
		close(i ? edu : testdev);
		EXPECT_EQ(-EBUSY, vfio_ioctl(self->group,
					     VFIO_GROUP_UNSET_CONTAINER, 0));
		EXPECT_LE(0, config_read(i ? testdev : edu, PCI_VENDOR_ID, 2));
		close(i ? testdev : edu);
	}
	EXPECT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, 0));
}

/* 3-23: a device of the group that is not with vfio is not there. */
TEST_F(shared, sibling_without_driver)
{
	ASSERT_EQ(0, pci_bind(self->testdev, NULL));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(self->group));
	ASSERT_EQ(0, group_join(self->group, self->container));
	EXPECT_EQ(-ENODEV, group_device(self->group, self->testdev));
	self->devices[0] = group_device(self->group, self->edu);
	EXPECT_LE(0, self->devices[0]);
	/* It may come while the group is in use. */
	EXPECT_EQ(0, pci_bind(self->testdev, "vfio-pci"));
	self->devices[1] = group_device(self->group, self->testdev);
	EXPECT_LE(0, self->devices[1]);
}

/* 3-8: pci-stub does no DMA and disturbs nobody. */
TEST_F(shared, sibling_with_pci_stub)
{
	if (!driver_present("pci-stub"))
		SKIP(return, "no pci-stub");
	ASSERT_EQ(0, pci_bind(self->testdev, "pci-stub"));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(self->group));
	ASSERT_EQ(0, group_join(self->group, self->container));
	self->devices[0] = group_device(self->group, self->edu);
	EXPECT_LE(0, self->devices[0]);
}

/* 3-7, 3-15: a kernel driver that may do DMA makes the group unusable. */
TEST_F(shared, sibling_with_kernel_driver)
{
	if (!driver_present("uio_pci_generic"))
		SKIP(return, "no uio_pci_generic");
	ASSERT_EQ(0, pci_bind(self->testdev, "uio_pci_generic"));
	EXPECT_EQ(0, group_flags(self->group));
	EXPECT_EQ(-EPERM, group_set_container(self->group, self->container));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, 0));
	ASSERT_EQ(0, pci_bind(self->testdev, NULL));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(self->group));
	ASSERT_EQ(0, group_join(self->group, self->container));
	self->devices[0] = group_device(self->group, self->edu);
	EXPECT_LE(0, self->devices[0]);
}

/*
 * 3-19: with a container, the group belongs to the user, and the driver core
 * refuses a kernel driver before that driver is asked. virtio-pci refuses this
 * device by itself, with another errno, when it is asked.
 */
TEST_F(shared, no_kernel_driver_while_owned)
{
	long asked;

	if (!driver_present("virtio-pci"))
		SKIP(return, "no virtio-pci");
	ASSERT_EQ(0, pci_bind(self->testdev, NULL));
	asked = pci_bind(self->testdev, "virtio-pci");
	EXPECT_EQ(-ENODEV, asked);
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(-EBUSY, pci_bind(self->testdev, "virtio-pci"));
	EXPECT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(-ENODEV, pci_bind(self->testdev, "virtio-pci"));
}

/* 4-10, 4-21: the two devices by cdev: one user at a time for both. */
TEST_F(shared, cdevs)
{
	int edu = cdev_open(self->edu, O_RDWR);
	int testdev = cdev_open(self->testdev, O_RDWR);
	int first = iommufd_open();
	int second = iommufd_open();
	long ioas;

	if (edu == -ENOENT || first < 0)
		SKIP(return, "no cdev or no iommufd");
	ASSERT_LE(0, edu);
	ASSERT_LE(0, testdev);
	EXPECT_EQ(-EBUSY, cdev_bind(edu, first));
	EXPECT_EQ(-EBUSY, cdev_bind(testdev, first));
	close(self->group);
	EXPECT_LT(0, cdev_bind(edu, first));
	EXPECT_EQ(-EPERM, cdev_bind(testdev, second));
	EXPECT_LT(0, cdev_bind(testdev, first));
	EXPECT_EQ(-EBUSY, group_open(self->edu));
	ioas = iommufd_ioas(first);
	EXPECT_LT(0, cdev_attach(edu, ioas));
	EXPECT_LT(0, cdev_attach(testdev, ioas));
	EXPECT_EQ(0x1234, config_read(edu, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0x1b36, config_read(testdev, PCI_VENDOR_ID, 2));
	close(edu);
	EXPECT_EQ(-EBUSY, group_open(self->edu));
	close(testdev);
	self->group = group_open(self->edu);
	EXPECT_LE(0, self->group);
}

/* 5-97: what is mapped already is mapped for a group that joins later. */
TEST_F(shared, mappings_are_replayed)
{
	const char *bdf = pci_device("EDU");
	char *page = memory_new(PAGE_SIZE);
	struct vfio_session first;
	unsigned int i;

	if (!bdf)
		SKIP(return, "EDU names no device");
	ASSERT_EQ(0, session_open(&first, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, type1_map(first.container, page, IOVA, PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, group_set_container(self->group, first.container));
	self->devices[0] = group_device(self->group, self->edu);
	ASSERT_LE(0, self->devices[0]);
	ASSERT_EQ(0, edu_bus_master(self->devices[0], true));
	for (i = 0; i < 256; i++)
		page[i] = i;
	EXPECT_EQ(0, edu_load(self->devices[0], IOVA, 256));
	EXPECT_EQ(0, edu_store(self->devices[0], IOVA + 1024, 256));
	EXPECT_EQ(0, memcmp(page, page + 1024, 256));
	/* And it stays mapped when the first group leaves. */
	close(first.device);
	close(first.group);
	EXPECT_EQ(0, edu_store(self->devices[0], IOVA + 2048, 256));
	EXPECT_EQ(0, memcmp(page, page + 2048, 256));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(first.container, IOVA, PAGE_SIZE, 0));
	close(first.container);
}

VFIO_TEST_MAIN("EDU", "TESTDEV", "SHARED_EDU", "SHARED_TESTDEV")
