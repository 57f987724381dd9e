// SPDX-License-Identifier: GPL-2.0
/* /dev/vfio/vfio: extensions, SET_IOMMU, unknown requests (rows 2-*). */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

/* Numbers that no container answers, whichever IOMMU it has. */
static const unsigned int unknown_requests[] = { 90, 115, 116, 119, 120, 121, 200 };

FIXTURE(container)
{
	int fd;
};

FIXTURE_SETUP(container)
{
	self->fd = container_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(container)
{
	close(self->fd);
}

/* 1-18 */
TEST_F(container, node)
{
	struct stat st;

	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0666, st.st_mode & 0777);
	EXPECT_EQ(10, major(st.st_rdev));
	EXPECT_EQ(196, minor(st.st_rdev));
}

/* 2-1: everyone may open a container, which alone gives access to nothing. */
TEST_F(container, open_without_privilege)
{
	int directory = open("/dev/vfio", O_RDONLY | O_DIRECTORY);
	pid_t pid;

	ASSERT_LE(0, directory);
	pid = fork();
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(100);
		_exit(openat(directory, "vfio", O_RDWR) < 0);
	}
	EXPECT_EQ(0, child_result(pid));
}

/* 2-2 */
TEST_F(container, api_version)
{
	EXPECT_EQ(VFIO_API_VERSION,
		  vfio_ioctl(self->fd, VFIO_GET_API_VERSION, 0));
}

/* 2-4 to 2-9 */
TEST_F(container, extensions_without_iommu)
{
	static const unsigned long absent[] = { 0, 2, 4, 5, 6, 7, 8, 10, 11,
						999, 0x80000000UL };
	size_t i;

	EXPECT_EQ(1, vfio_ioctl(self->fd, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1_IOMMU));
	EXPECT_EQ(1, vfio_ioctl(self->fd, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, vfio_ioctl(self->fd, VFIO_CHECK_EXTENSION,
				VFIO_UNMAP_ALL));
	for (i = 0; i < ARRAY_SIZE(absent); i++) {
		EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_CHECK_EXTENSION,
					absent[i]))
			TH_LOG("extension %lu", absent[i]);
	}
}

/* 2-10 */
TEST_F(container, set_iommu_without_group)
{
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_SET_IOMMU,
				      VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_SET_IOMMU,
				      VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_SET_IOMMU, 99));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_SET_IOMMU, -1));
}

/* 2-15: before SET_IOMMU, even a bad pointer and an unknown number are EINVAL. */
TEST_F(container, requests_without_iommu)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	size_t i;

	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_IOMMU_GET_INFO, NULL));
	EXPECT_EQ(-EINVAL, type1_map(self->fd, self, 0, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(-EINVAL, type1_unmap(self->fd, 0, PAGE_SIZE, 0));
	for (i = 0; i < ARRAY_SIZE(unknown_requests); i++) {
		EXPECT_EQ(-EINVAL,
			  vfio_ioctl(self->fd, _IO(VFIO_TYPE, unknown_requests[i]), 0));
	}
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info));
}

/* 2-20: the caller decides about O_CLOEXEC. */
TEST_F(container, close_on_exec)
{
	int fd = open("/dev/vfio/vfio", O_RDWR);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fcntl(fd, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->fd, F_GETFD) & FD_CLOEXEC);
}

/* Every container is one of its own, also when one process has many. */
TEST_F(container, many)
{
	int fds[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = container_open();
		ASSERT_LE(0, fds[i]);
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		EXPECT_EQ(0, vfio_ioctl(fds[i], VFIO_GET_API_VERSION, 0));
		EXPECT_EQ(0, close(fds[i]));
	}
}

FIXTURE(joined)
{
	const char *bdf;
	int container;
	int group;
};

FIXTURE_SETUP(joined)
{
	NEED_DEVICE(self->bdf, "EDU");
	self->container = container_open();
	ASSERT_LE(0, self->container);
	self->group = group_open(self->bdf);
	ASSERT_LE(0, self->group);
	ASSERT_EQ(0, group_set_container(self->group, self->container));
}

FIXTURE_TEARDOWN(joined)
{
	close(self->group);
	close(self->container);
}

/* 2-11, 5-63: a value that no driver claims leaves the container as it was. */
TEST_F(joined, unknown_iommu)
{
	static const long values[] = { 0, 2, 4, 6, 7, 8, 10, 99, -1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		EXPECT_EQ(-ENODEV, vfio_ioctl(self->container, VFIO_SET_IOMMU,
					      values[i]))
			TH_LOG("SET_IOMMU %ld", values[i]);
	}
	EXPECT_EQ(-EINVAL, type1_unmap(self->container, 0, PAGE_SIZE, 0));
	EXPECT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, type1_unmap(self->container, 0, PAGE_SIZE, 0));
}

/* 2-13: type1 knows this extension, but it names no IOMMU. */
TEST_F(joined, extension_that_is_no_iommu)
{
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				      VFIO_UNMAP_ALL));
	EXPECT_EQ(-EINVAL, type1_unmap(self->container, 0, PAGE_SIZE, 0));
	EXPECT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
}

/* 2-10, 2-14: an IOMMU is set once. */
TEST_F(joined, set_iommu_twice)
{
	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				      VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				      VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->container, VFIO_SET_IOMMU, 99));
	EXPECT_EQ(0, type1_unmap(self->container, 0, PAGE_SIZE, 0));
}

/* 2-3, 2-5, 2-9 */
TEST_F(joined, extensions_with_iommu)
{
	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, vfio_ioctl(self->container, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1_IOMMU));
	EXPECT_EQ(1, vfio_ioctl(self->container, VFIO_CHECK_EXTENSION,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, vfio_ioctl(self->container, VFIO_CHECK_EXTENSION,
				VFIO_UNMAP_ALL));
	EXPECT_EQ(0, vfio_ioctl(self->container, VFIO_CHECK_EXTENSION,
				VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, vfio_ioctl(self->container, VFIO_CHECK_EXTENSION, 6));
	EXPECT_EQ(0, vfio_ioctl(self->container, VFIO_CHECK_EXTENSION, 999));
}

/* 2-6, 5-95: coherency is enforced where the IOMMU can: ECAP.SC of VT-d, bit 7. */
TEST_F(joined, dma_cc_follows_the_iommu)
{
	unsigned long long ecap;
	char path[128];
	char text[64];

	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/iommu/intel-iommu/ecap", self->bdf);
	if (file_read(path, text, sizeof(text)) < 0)
		SKIP(return, "no VT-d");
	ecap = strtoull(text, NULL, 16);
	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(ecap >> 7 & 1, vfio_ioctl(self->container,
					    VFIO_CHECK_EXTENSION,
					    VFIO_DMA_CC_IOMMU));
}

/* 2-17 */
TEST_F(joined, unknown_request)
{
	size_t i;

	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
	for (i = 0; i < ARRAY_SIZE(unknown_requests); i++) {
		EXPECT_EQ(-ENOTTY,
			  vfio_ioctl(self->container,
				     _IO(VFIO_TYPE, unknown_requests[i]), 0))
			TH_LOG("request %u", unknown_requests[i]);
	}
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->container,
				      VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->container, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(0, type1_unmap(self->container, 0, PAGE_SIZE, 0));
}

/* 2-14, 2-18, 2-19: the last group takes mappings and IOMMU with it. */
TEST_F(joined, last_group_resets)
{
	void *page = memory_new(PAGE_SIZE);
	int i;

	for (i = 0; i < 3; i++) {
		int type = i & 1 ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU;

		ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU, type));
		EXPECT_EQ(0, type1_map(self->container, page, PAGE_SIZE,
				       PAGE_SIZE, DMA_RW));
		EXPECT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER,
					0));
		EXPECT_EQ(-EINVAL, type1_unmap(self->container, PAGE_SIZE,
					       PAGE_SIZE, 0));
		EXPECT_EQ(-EINVAL, vfio_ioctl(self->container, VFIO_SET_IOMMU,
					      type));
		ASSERT_EQ(0, group_set_container(self->group, self->container));
	}
}

/* 2-18: the container's own fd is only one of those that keep it. */
TEST_F(joined, container_closed_first)
{
	uint32_t value;
	int device;

	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1v2_IOMMU));
	device = group_device(self->group, self->bdf);
	ASSERT_LE(0, device);
	EXPECT_EQ(0, close(self->container));
	EXPECT_EQ(4, region_read(device, 0, 0, &value, 4));
	EXPECT_EQ(-EBUSY, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(0, close(device));
	EXPECT_EQ(0, vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, 0));
	self->container = container_open();
	EXPECT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				VFIO_TYPE1_IOMMU));
}

/* The 32-bit entry to the kernel, with pointers that fit it. */
static long compat_ioctl(int fd, unsigned int request, void *arg)
{
	long ret = 54;	/* ioctl */

	asm volatile("int $0x80"
		     : "+a" (ret)
		     : "b" (fd), "c" (request), "d" (arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

/* 2-21: 32-bit programs pass the same structures to all kinds of fds. */
TEST_F(joined, compat)
{
	struct {
		struct vfio_iommu_type1_info iommu;
		struct vfio_group_status status;
		struct vfio_device_info device;
		char name[32];
	} *low = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int device;

	ASSERT_NE(MAP_FAILED, (void *)low);
	ASSERT_EQ(0, compat_ioctl(self->container, VFIO_SET_IOMMU,
				  (void *)VFIO_TYPE1v2_IOMMU));
	low->iommu.argsz = sizeof(low->iommu);
	EXPECT_EQ(0, compat_ioctl(self->container, VFIO_IOMMU_GET_INFO,
				  &low->iommu));
	EXPECT_NE(0, low->iommu.flags & VFIO_IOMMU_INFO_PGSIZES);
	low->status.argsz = sizeof(low->status);
	EXPECT_EQ(0, compat_ioctl(self->group, VFIO_GROUP_GET_STATUS,
				  &low->status));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  low->status.flags);
	snprintf(low->name, sizeof(low->name), "%s", self->bdf);
	device = compat_ioctl(self->group, VFIO_GROUP_GET_DEVICE_FD, low->name);
	ASSERT_LE(0, device);
	low->device.argsz = sizeof(low->device);
	EXPECT_EQ(0, compat_ioctl(device, VFIO_DEVICE_GET_INFO, &low->device));
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, low->device.num_irqs);
	EXPECT_EQ(-ENOTTY, compat_ioctl(device, _IO(VFIO_TYPE, 90), NULL));
}

VFIO_TEST_MAIN("EDU")
