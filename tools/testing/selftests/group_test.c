// SPDX-License-Identifier: GPL-2.0
/* /dev/vfio/<group>: status, container, device fds (rows 3-*). */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

FIXTURE(group)
{
	const char *bdf;
	int fd;
	int container;
	int device;
};

FIXTURE_SETUP(group)
{
	self->device = -1;
	NEED_DEVICE(self->bdf, "EDU");
	self->container = container_open();
	ASSERT_LE(0, self->container);
	self->fd = group_open(self->bdf);
	ASSERT_LE(0, self->fd);
}

/* Whatever a test asked for, the group can still do what it is for. */
FIXTURE_TEARDOWN(group)
{
	struct vfio_session session;

	close(self->device);
	close(self->fd);
	close(self->container);
	ASSERT_EQ(0, session_join(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
}

/* 3-6 */
TEST_F(group, unknown_request)
{
	static const unsigned int numbers[] = { 90, 100, 101, 102, 107, 112,
						118, 119, 120, 200 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		EXPECT_EQ(-ENOTTY, vfio_ioctl(self->fd,
					      _IO(VFIO_TYPE, numbers[i]), 0))
			TH_LOG("request %u", numbers[i]);
	}
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->fd, 0, 0));
}

/* 3-7 */
TEST_F(group, status)
{
	struct vfio_group_status status = { .argsz = 7 };
	struct {
		struct vfio_group_status status;
		uint32_t beyond;
	} large = {
		.status.argsz = sizeof(large),
		.beyond = 0x5a5a5a5a,
	};

	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_GROUP_GET_STATUS, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_GROUP_GET_STATUS,
				      BAD_POINTER));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_GROUP_GET_STATUS, &status));
	status.argsz = 0;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_GROUP_GET_STATUS, &large));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, large.status.flags);
	EXPECT_EQ(sizeof(large), large.status.argsz);
	EXPECT_EQ(0x5a5a5a5a, large.beyond);

	EXPECT_EQ(0, group_set_container(self->fd, self->container));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  group_flags(self->fd));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(self->fd));
}

/* 3-4, 3-41: one opener at a time, in whatever process. */
TEST_F(group, single_open)
{
	pid_t pid;

	EXPECT_EQ(-EBUSY, group_open(self->bdf));
	pid = fork();
	if (!pid)
		_exit(group_open(self->bdf) != -EBUSY);
	EXPECT_EQ(0, child_result(pid));
	EXPECT_EQ(0, close(self->fd));
	self->fd = group_open(self->bdf);
	EXPECT_LE(0, self->fd);
}

/* 3-5 */
TEST_F(group, access_mode_is_ignored)
{
	char path[64];

	close(self->fd);
	snprintf(path, sizeof(path), "/dev/vfio/%d", pci_group(self->bdf));
	self->fd = open(path, O_RDONLY);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, group_join(self->fd, self->container));
	self->device = group_device(self->fd, self->bdf);
	EXPECT_LE(0, self->device);
}

/* 3-9 to 3-11, 3-18 */
TEST_F(group, set_container_refusals)
{
	int null = open("/dev/null", O_RDWR);
	int event = eventfd(0, 0);

	ASSERT_LE(0, null);
	ASSERT_LE(0, event);
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_GROUP_SET_CONTAINER, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_GROUP_SET_CONTAINER,
				      BAD_POINTER));
	EXPECT_EQ(-EBADF, group_set_container(self->fd, -1));
	EXPECT_EQ(-EBADF, group_set_container(self->fd, 9999));
	EXPECT_EQ(-EBADFD, group_set_container(self->fd, null));
	EXPECT_EQ(-EBADFD, group_set_container(self->fd, event));
	EXPECT_EQ(-EBADFD, group_set_container(self->fd, self->fd));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(self->fd));

	EXPECT_EQ(0, group_set_container(self->fd, self->container));
	EXPECT_EQ(-EINVAL, group_set_container(self->fd, self->container));
	EXPECT_EQ(-EINVAL, group_set_container(self->fd, container_open()));
	EXPECT_EQ(-EBADF, group_set_container(self->fd, -1));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_GROUP_SET_CONTAINER,
				      BAD_POINTER));
}

/* 3-20 */
TEST_F(group, unset_container)
{
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(0, group_set_container(self->fd, self->container));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
}

/* 3-21 */
TEST_F(group, unset_container_with_open_device)
{
	int device;

	ASSERT_EQ(0, group_join(self->fd, self->container));
	device = group_device(self->fd, self->bdf);
	ASSERT_LE(0, device);
	EXPECT_EQ(-EBUSY, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(0x11e8, config_read(device, PCI_DEVICE_ID, 2));
	close(device);
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
}

/* 3-22 to 3-24: names are compared before anything else is looked at. */
TEST_F(group, device_names)
{
	char name[64];
	char *page = memory_new(2 * PAGE_SIZE);

	ASSERT_NE(MAP_FAILED, (void *)page);
	EXPECT_EQ(-EFAULT, group_device(self->fd, NULL));
	EXPECT_EQ(-EFAULT, group_device(self->fd, BAD_POINTER));
	memset(page, 'x', 2 * PAGE_SIZE);
	EXPECT_EQ(-EINVAL, group_device(self->fd, page));
	EXPECT_EQ(-ENODEV, group_device(self->fd, ""));
	EXPECT_EQ(-ENODEV, group_device(self->fd, "0000:ff:1f.7"));
	EXPECT_EQ(-ENODEV, group_device(self->fd, " "));
	snprintf(name, sizeof(name), "%.*s", (int)strlen(self->bdf) - 1,
		 self->bdf);
	EXPECT_EQ(-ENODEV, group_device(self->fd, name));
	snprintf(name, sizeof(name), "%sx", self->bdf);
	EXPECT_EQ(-ENODEV, group_device(self->fd, name));
	snprintf(name, sizeof(name), " %s", self->bdf);
	EXPECT_EQ(-ENODEV, group_device(self->fd, name));
	/* The name runs into a page that is not there. */
	ASSERT_EQ(0, munmap(page + PAGE_SIZE, PAGE_SIZE));
	/* Without its NUL a page is too long, whatever comes after it. */
	EXPECT_EQ(-EINVAL, group_device(self->fd, page));
	page[PAGE_SIZE - 1] = '\0';
	EXPECT_EQ(-ENODEV, group_device(self->fd, page));
	page[PAGE_SIZE - 1] = 'x';
	EXPECT_EQ(-EFAULT, group_device(self->fd, page + PAGE_SIZE - 4));
}

/* 3-25, 3-30 */
TEST_F(group, device_options)
{
	static const char * const refused[] = {
		" foo", " foo=1", " vf_token", " vf_token=", " vf_token=1234",
		" vf_token=00000000-0000-0000-0000-00000000000",
		" vf_token=gggggggg-0000-0000-0000-000000000000",
		" vf_token=00000000-0000-0000-0000-000000000000 vf_token=00000000-0000-0000-0000-000000000000",
		" vf_token=00000000-0000-0000-0000-000000000000 foo",
	};
	char name[256];
	size_t i;
	long device;

	ASSERT_EQ(0, group_join(self->fd, self->container));
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		snprintf(name, sizeof(name), "%s%s", self->bdf, refused[i]);
		EXPECT_EQ(-EINVAL, group_device(self->fd, name))
			TH_LOG("options '%s'", refused[i]);
	}
	/* Well formed, but this device is neither a PF nor a VF. */
	snprintf(name, sizeof(name),
		 "%s vf_token=01234567-89ab-cdef-0123-456789ABCDEF", self->bdf);
	EXPECT_EQ(-EINVAL, group_device(self->fd, name));
	snprintf(name, sizeof(name), "%s   ", self->bdf);
	device = group_device(self->fd, name);
	EXPECT_LE(0, device);
	close(device);
}

/* 3-23, 3-32, 3-34: each step needs the one before it. */
TEST_F(group, device_before_container)
{
	EXPECT_EQ(-EINVAL, group_device(self->fd, self->bdf));
	EXPECT_EQ(-ENODEV, group_device(self->fd, "0000:ff:1f.7"));
	EXPECT_EQ(0, group_set_container(self->fd, self->container));
	EXPECT_EQ(-EINVAL, group_device(self->fd, self->bdf));
	EXPECT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
	self->device = group_device(self->fd, self->bdf);
	EXPECT_LE(0, self->device);
}

/* 3-31: the failure leaves nothing open behind it. */
TEST_F(group, no_descriptor_left)
{
	struct rlimit old;
	struct rlimit limit;
	int next;

	ASSERT_EQ(0, group_join(self->fd, self->container));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	next = dup(0);
	ASSERT_LE(0, next);
	close(next);
	limit = old;
	limit.rlim_cur = next;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-EMFILE, group_device(self->fd, self->bdf));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
}

/* 3-39, 1-23: every open of a device gives a full fd of its own. */
TEST_F(group, many_devices_fds)
{
	char path[64];
	char target[64] = "";
	int first;
	int second;

	ASSERT_EQ(0, group_join(self->fd, self->container));
	first = group_device(self->fd, self->bdf);
	ASSERT_LE(0, first);
	second = group_device(self->fd, self->bdf);
	ASSERT_LE(0, second);
	EXPECT_EQ(FD_CLOEXEC, fcntl(first, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(O_RDWR, fcntl(first, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(-ESPIPE, sys_result(lseek(first, 0, SEEK_SET)));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", first);
	EXPECT_LT(0, readlink(path, target, sizeof(target) - 1));
	EXPECT_STREQ("anon_inode:[vfio-device]", target);

	/* What is written through one is read through the other. */
	EXPECT_EQ(0, config_write(first, PCI_INTERRUPT_LINE, 1, 0x5c));
	EXPECT_EQ(0x5c, config_read(second, PCI_INTERRUPT_LINE, 1));
	close(first);
	EXPECT_EQ(0x5c, config_read(second, PCI_INTERRUPT_LINE, 1));
	EXPECT_EQ(-EBUSY, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
	close(second);
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
}

/* 1-25 */
TEST_F(group, fdinfo)
{
	char expected[600];
	char path[512];
	char link[64];
	char text[2048];

	ASSERT_EQ(0, group_join(self->fd, self->container));
	self->device = group_device(self->fd, self->bdf);
	ASSERT_LE(0, self->device);
	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s", self->bdf);
	ASSERT_NE(NULL, realpath(link, path));
	snprintf(expected, sizeof(expected), "\nvfio-device-syspath: %s\n", path);
	snprintf(link, sizeof(link), "/proc/self/fdinfo/%d", self->device);
	ASSERT_LT(0, file_read(link, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, expected))
		TH_LOG("%s", text);
}

/* 3-40: a device fd keeps the group, and what it is attached to, open. */
TEST_F(group, group_closed_first)
{
	int device;

	ASSERT_EQ(0, group_join(self->fd, self->container));
	device = group_device(self->fd, self->bdf);
	ASSERT_LE(0, device);
	close(self->fd);
	EXPECT_EQ(-EBUSY, group_open(self->bdf));
	EXPECT_EQ(0x1234, config_read(device, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, type1_unmap(self->container, 0, PAGE_SIZE, 0));
	close(device);
	self->fd = group_open(self->bdf);
	EXPECT_LE(0, self->fd);
	EXPECT_EQ(-EINVAL, type1_unmap(self->container, 0, PAGE_SIZE, 0));
}

/* 3-3, 3-41, 4-10, 4-24: group and cdev shut each other out. */
TEST_F(group, cdev_is_exclusive)
{
	int cdev = cdev_open(self->bdf, O_RDWR);
	int iommufd = iommufd_open();

	if (cdev == -ENOENT || iommufd < 0)
		SKIP(return, "no cdev or no iommufd");
	ASSERT_LE(0, cdev);
	EXPECT_EQ(-EBUSY, cdev_bind(cdev, iommufd));
	close(self->fd);
	EXPECT_LT(0, cdev_bind(cdev, iommufd));
	self->fd = group_open(self->bdf);
	EXPECT_EQ(-EBUSY, self->fd);
	close(cdev);
	self->fd = group_open(self->bdf);
	EXPECT_LE(0, self->fd);
}

/* 3-17: an iommufd in place of a container. */
TEST_F(group, iommufd_as_container)
{
	void *page = memory_new(PAGE_SIZE);
	int iommufd = iommufd_open();
	int device;

	if (iommufd < 0)
		SKIP(return, "no iommufd");
	ASSERT_EQ(0, group_set_container(self->fd, iommufd));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  group_flags(self->fd));
	EXPECT_EQ(-EINVAL, group_set_container(self->fd, self->container));
	device = group_device(self->fd, self->bdf);
	ASSERT_LE(0, device);
	EXPECT_EQ(0x1234, config_read(device, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, vfio_ioctl(iommufd, VFIO_GET_API_VERSION, 0));
	EXPECT_EQ(0, vfio_ioctl(iommufd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, type1_map(iommufd, page, PAGE_SIZE, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(iommufd, PAGE_SIZE, PAGE_SIZE, 0));
	close(device);
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
}

/* 3-11, 3-12, 3-20: the last device leaves; a container goes with it, no iommufd. */
TEST_F(group, no_device_left)
{
	int iommufd = iommufd_open();

	ASSERT_EQ(0, group_set_container(self->fd, self->container));
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(-ENODEV, group_set_container(self->fd, self->container));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(-ENODEV, group_device(self->fd, self->bdf));
	close(self->fd);
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	self->fd = group_open(self->bdf);
	ASSERT_LE(0, self->fd);

	if (iommufd < 0)
		SKIP(return, "no iommufd");
	ASSERT_EQ(0, group_set_container(self->fd, iommufd));
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(-EINVAL, group_set_container(self->fd, iommufd));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(-ENODEV, group_set_container(self->fd, iommufd));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
	close(iommufd);
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
}

VFIO_TEST_MAIN("EDU")
