// SPDX-License-Identifier: GPL-2.0
/* Resets of a bus whose devices belong to an iommufd: 6-64 to 6-69, 6-72. */
#include <fcntl.h>
#include <unistd.h>

#include "hot_reset.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

FIXTURE(iommufd)
{
	const char *edu;
	const char *testdev;
	int iommufd;
	int fd;
	int sibling;
};

FIXTURE_SETUP(iommufd)
{
	self->fd = -1;
	self->sibling = -1;
	NEED_DEVICE(self->edu, "SHARED_EDU");
	NEED_DEVICE(self->testdev, "SHARED_TESTDEV");
	NEED_IOMMUFD();
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->fd = cdev_open(self->edu, O_RDWR);
	if (self->fd == -ENOENT)
		SKIP(return, "the kernel has no vfio cdevs");
	ASSERT_LE(0, self->fd);
	self->sibling = cdev_open(self->testdev, O_RDWR);
	ASSERT_LE(0, self->sibling);
}

FIXTURE_TEARDOWN(iommufd)
{
	close(self->fd);
	if (self->sibling >= 0)
		close(self->sibling);
	close(self->iommufd);
}

/* 6-1: a file that is not bound does nothing. */
TEST_F(iommufd, not_bound)
{
	struct hot_reset_info info;

	EXPECT_EQ(-EINVAL, hot_reset_info(self->fd, &info, sizeof(info)));
	EXPECT_EQ(-EINVAL, hot_reset_cdev(self->fd));
}

#define DEV_ID	VFIO_PCI_HOT_RESET_FLAG_DEV_ID
#define OWNED	VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED

/* 6-65, 6-68: nobody else can have a device of a group that is ours. */
TEST_F(iommufd, owned_through_group)
{
	const struct vfio_pci_dependent_device *entry;
	struct hot_reset_info info;
	long id;

	id = cdev_bind(self->fd, self->iommufd);
	ASSERT_LT(0, id);
	EXPECT_EQ(-ENOSPC, hot_reset_info(self->fd, &info, 12));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(0, info.head.flags);
	ASSERT_EQ(0, hot_reset_info(self->fd, &info, sizeof(info)));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(DEV_ID | OWNED, info.head.flags);
	entry = hot_reset_entry(&info, self->edu);
	ASSERT_NE(NULL, entry);
	EXPECT_EQ(id, entry->devid);
	entry = hot_reset_entry(&info, self->testdev);
	ASSERT_NE(NULL, entry);
	EXPECT_EQ(VFIO_PCI_DEVID_OWNED, entry->devid);
	EXPECT_EQ(0, hot_reset_cdev(self->fd));
}

/* 6-65, 6-66, 6-72: both bound to one iommufd, and what the argument has to be. */
TEST_F(iommufd, both_bound)
{
	const struct vfio_pci_dependent_device *entry;
	const uint32_t size = sizeof(struct hot_reset_request);
	struct hot_reset_info info;
	long id, other;
	void *bar;

	id = cdev_bind(self->fd, self->iommufd);
	other = cdev_bind(self->sibling, self->iommufd);
	ASSERT_LT(0, id);
	ASSERT_LT(0, other);
	ASSERT_EQ(0, hot_reset_info(self->sibling, &info, sizeof(info)));
	EXPECT_EQ(DEV_ID | OWNED, info.head.flags);
	entry = hot_reset_entry(&info, self->edu);
	ASSERT_NE(NULL, entry);
	EXPECT_EQ(id, entry->devid);
	entry = hot_reset_entry(&info, self->testdev);
	ASSERT_NE(NULL, entry);
	EXPECT_EQ(other, entry->devid);

	/* There are no groups to show. */
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, size, 0, 1, -1, -1));
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, size, 1, 0, -1, -1));
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, 11, 0, 0, -1, -1));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &bar));
	ASSERT_LE(0, faults_of(bar, 1));
	ASSERT_EQ(0, faults_of(bar, 1));
	EXPECT_EQ(0, hot_reset_cdev(self->sibling));
	EXPECT_LE(1, faults_of(bar, 1));
	munmap(bar, PAGE_SIZE);
}

/* 6-65, 6-69: a device with another driver, even with none, is not ours. */
TEST_F(iommufd, not_owned)
{
	const struct vfio_pci_dependent_device *entry;
	struct hot_reset_info info;

	ASSERT_LT(0, cdev_bind(self->fd, self->iommufd));
	close(self->sibling);
	self->sibling = -1;
	ASSERT_EQ(0, pci_bind(self->testdev, NULL));
	EXPECT_EQ(0, hot_reset_info(self->fd, &info, sizeof(info)));
	EXPECT_EQ(DEV_ID, info.head.flags);
	entry = hot_reset_entry(&info, self->testdev);
	ASSERT_NE(NULL, entry);
	EXPECT_EQ((uint32_t)VFIO_PCI_DEVID_NOT_OWNED, entry->devid);
	EXPECT_EQ(-EINVAL, hot_reset_cdev(self->fd));
	ASSERT_EQ(0, pci_bind(self->testdev, "vfio-pci"));
	EXPECT_EQ(0, hot_reset_cdev(self->fd));
}

/* 6-64, 6-66: from a group that has an iommufd, it is the group that counts. */
TEST_F(iommufd, in_place_of_container)
{
	struct hot_reset_info info;
	int group, fd;

	close(self->fd);
	close(self->sibling);
	self->sibling = -1;
	group = group_open(self->edu);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, self->iommufd));
	fd = group_device(group, self->edu);
	self->fd = fd;
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, hot_reset_info(fd, &info, sizeof(info)));
	EXPECT_EQ(0, info.head.flags);
	EXPECT_EQ(pci_group(self->edu), info.devices[0].group_id);
	EXPECT_EQ(-EINVAL, hot_reset_cdev(fd));
	EXPECT_EQ(0, hot_reset(fd, group));
	close(group);
}

/* The same beside another device of the group that is bound to the same iommufd. */
TEST_F(iommufd, in_place_of_container_beside_cdev)
{
	struct hot_reset_info info;
	int group;

	close(self->fd);
	group = group_open(self->edu);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, self->iommufd));
	self->fd = group_device(group, self->edu);
	ASSERT_LE(0, self->fd);
	close(group);
	ASSERT_LT(0, cdev_bind(self->sibling, self->iommufd));
	EXPECT_EQ(0, hot_reset_info(self->fd, &info, sizeof(info)));
	EXPECT_EQ(0, info.head.flags);
	EXPECT_EQ(pci_group(self->edu), info.devices[0].group_id);
	EXPECT_EQ(-EINVAL, hot_reset_cdev(self->fd));
	EXPECT_EQ(0, hot_reset_info(self->sibling, &info, sizeof(info)));
	EXPECT_EQ(DEV_ID | OWNED, info.head.flags);
	EXPECT_EQ(0, hot_reset_cdev(self->sibling));
}

VFIO_TEST_MAIN("SHARED_EDU", "SHARED_TESTDEV")
