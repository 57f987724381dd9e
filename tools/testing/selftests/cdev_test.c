// SPDX-License-Identifier: GPL-2.0
/* /dev/vfio/devices/vfioN: bind, attach and detach on iommufd (rows 4-*). */
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <linux/iommufd.h>
#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

FIXTURE(cdev)
{
	const char *bdf;
	int fd;
	int iommufd;
};

FIXTURE_SETUP(cdev)
{
	NEED_DEVICE(self->bdf, "EDU");
	self->fd = cdev_open(self->bdf, O_RDWR);
	if (self->fd == -ENOENT)
		SKIP(return, "the kernel has no vfio cdevs");
	ASSERT_LE(0, self->fd);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
}

/* 4-25: a closed cdev leaves the device to whoever comes next. */
FIXTURE_TEARDOWN(cdev)
{
	struct vfio_session next;

	close(self->fd);
	close(self->iommufd);
	EXPECT_EQ(0, session_join(&next, self->bdf, VFIO_TYPE1v2_IOMMU));
	session_close(&next);
}

static long bind_raw(int fd, uint32_t argsz, uint32_t flags, int iommufd,
		     uint64_t token)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = argsz,
		.flags = flags,
		.iommufd = iommufd,
		.token_uuid_ptr = token,
	};

	return vfio_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

/* A page that ends where the next one is missing. */
static char *edge_new(void)
{
	char *pages = memory_new(2 * PAGE_SIZE);

	munmap(pages + PAGE_SIZE, PAGE_SIZE);
	return pages + PAGE_SIZE;
}

/* 4-4, 8-1: nothing but BIND is answered before BIND. */
TEST_F(cdev, unbound)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint32_t value = 0;

	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, NULL));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, _IO(VFIO_TYPE, 90), 0));
	EXPECT_EQ(-EINVAL, cdev_attach(self->fd, 1));
	EXPECT_EQ(-EINVAL, region_read(self->fd, 0, 0, &value, 4));
	EXPECT_EQ(-EINVAL, region_write(self->fd, 0, 0, &value, 4));
	EXPECT_EQ(-EINVAL, config_read(self->fd, PCI_VENDOR_ID, 2));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED,
				   self->fd, 0));
	EXPECT_EQ(EINVAL, errno);
}

/* 4-5 to 4-8: what is wrong in the structure itself, in order. */
TEST_F(cdev, bind_refusals)
{
	struct {
		struct vfio_device_bind_iommufd bind;
		uint64_t tail;
	} large = {
		.bind.argsz = sizeof(large),
		.bind.iommufd = self->iommufd,
		.tail = 1,
	};
	char *edge = edge_new();
	uint32_t *argsz = (uint32_t *)(edge - 16);

	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, edge));
	EXPECT_EQ(-EINVAL, bind_raw(self->fd, 0, 0, self->iommufd, 0));
	EXPECT_EQ(-EINVAL, bind_raw(self->fd, 15, 0, self->iommufd, 0));
	EXPECT_EQ(-E2BIG, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &large));
	*argsz = 64;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, argsz));
	EXPECT_EQ(-EINVAL, bind_raw(self->fd, 16, 0, -1, 0));
	EXPECT_EQ(-EINVAL, bind_raw(self->fd, 24, 2, self->iommufd, 0));
	EXPECT_EQ(-EINVAL, bind_raw(self->fd, 24, 1U << 31, self->iommufd, 0));
	EXPECT_EQ(-EINVAL, config_read(self->fd, PCI_VENDOR_ID, 2));
}

/* 4-6, 4-7, 4-25: larger is fine if the rest is zero; 16 bytes suffice. */
TEST_F(cdev, bind_sizes)
{
	struct {
		struct vfio_device_bind_iommufd bind;
		uint64_t tail[4];
	} large = {
		.bind.argsz = sizeof(large),
		.bind.iommufd = self->iommufd,
	};

	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &large));
	EXPECT_LT(0, large.bind.out_devid);
	EXPECT_EQ(sizeof(large), large.bind.argsz);
	close(self->fd);
	self->fd = cdev_open(self->bdf, O_RDWR);
	EXPECT_EQ(0, bind_raw(self->fd, 16, 0, self->iommufd, 0));
	EXPECT_EQ(0x1234, config_read(self->fd, PCI_VENDOR_ID, 2));
}

/* 4-13, 4-14, 3-30 */
TEST_F(cdev, bind_token)
{
	const uint32_t flag = VFIO_DEVICE_BIND_FLAG_TOKEN;
	uint8_t token[16] = { 1 };

	EXPECT_EQ(-EFAULT, bind_raw(self->fd, 24, flag, self->iommufd, 8));
	EXPECT_EQ(-EFAULT, bind_raw(self->fd, 16, flag, self->iommufd,
				    (uintptr_t)token));
	EXPECT_EQ(-EINVAL, bind_raw(self->fd, 24, flag, self->iommufd,
				    (uintptr_t)token));
	EXPECT_EQ(0, bind_raw(self->fd, 24, 0, self->iommufd, 8));
}

/* 4-15 */
TEST_F(cdev, bind_foreign_fd)
{
	int container = container_open();

	EXPECT_EQ(-EBADF, cdev_bind(self->fd, 9999));
	EXPECT_EQ(-EBADFD, cdev_bind(self->fd, container));
	EXPECT_EQ(-EBADFD, cdev_bind(self->fd, self->fd));
	EXPECT_LT(0, cdev_bind(self->fd, self->iommufd));
}

/* 4-3, 4-11, 4-16: many may open, one may bind, once. */
TEST_F(cdev, bind_once)
{
	int second = cdev_open(self->bdf, O_RDWR);

	ASSERT_LE(0, second);
	EXPECT_LT(0, cdev_bind(self->fd, self->iommufd));
	EXPECT_EQ(-EINVAL, cdev_bind(self->fd, self->iommufd));
	EXPECT_EQ(-EINVAL, cdev_bind(second, self->iommufd));
	EXPECT_EQ(-EINVAL, config_read(second, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0x1234, config_read(self->fd, PCI_VENDOR_ID, 2));
	close(self->fd);
	EXPECT_LT(0, cdev_bind(second, self->iommufd));
	self->fd = second;
}

/* 4-9, 4-27: an fd of a group is not one of a cdev. */
TEST_F(cdev, group_fd)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	struct vfio_session session;

	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, cdev_bind(session.device, self->iommufd));
	EXPECT_EQ(-ENOTTY, cdev_attach(session.device, 1));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(session.device,
				      VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
}

/* 4-23: an id that cannot be stored undoes the bind. */
TEST_F(cdev, bind_result_not_stored)
{
	struct vfio_device_bind_iommufd *bind = memory_new(PAGE_SIZE);

	bind->argsz = sizeof(*bind);
	bind->iommufd = self->iommufd;
	ASSERT_EQ(0, mprotect(bind, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, bind));
	EXPECT_EQ(-EINVAL, config_read(self->fd, PCI_VENDOR_ID, 2));
	EXPECT_LT(0, cdev_bind(self->fd, self->iommufd));
}

/* 4-24: only the id is written. */
TEST_F(cdev, bind_writes_the_id)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = self->iommufd,
		.out_devid = 0,
		.token_uuid_ptr = 0x1122334455667788,
	};

	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_LT(0, bind.out_devid);
	EXPECT_EQ(sizeof(bind), bind.argsz);
	EXPECT_EQ(0, bind.flags);
	EXPECT_EQ(self->iommufd, bind.iommufd);
	EXPECT_EQ(0x1122334455667788, bind.token_uuid_ptr);
}

/* 4-28, 4-40: refusals by structure. */
TEST_F(cdev, attach_refusals)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = 11 };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = 7 };
	long ioas = iommufd_ioas(self->iommufd);

	ASSERT_LT(0, ioas);
	ASSERT_LT(0, cdev_bind(self->fd, self->iommufd));
	attach.pt_id = ioas;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				      NULL));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				      &attach));
	attach.argsz = 12;
	attach.flags = 2;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				      &attach));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				      NULL));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				      &detach));
	detach.argsz = 8;
	detach.flags = 2;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				      &detach));
	attach.flags = 0;
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				&attach));
}

static long hwpt_new(int iommufd, long devid, long ioas, uint32_t flags)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = flags,
		.dev_id = devid,
		.pt_id = ioas,
	};
	long ret = vfio_ioctl(iommufd, IOMMU_HWPT_ALLOC, &alloc);

	return ret ? ret : (long)alloc.out_hwpt_id;
}

/* -EBUSY as long as something is attached to it. */
static long object_destroy(int iommufd, long id)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	return vfio_ioctl(iommufd, IOMMU_DESTROY, &destroy);
}

static long attach_pasid(int device, uint32_t pasid, long pt_id)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.flags = VFIO_DEVICE_ATTACH_PASID,
		.pasid = pasid,
		.pt_id = pt_id,
	};
	long ret = vfio_ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	return ret ? ret : (long)attach.pt_id;
}

static long detach_pasid(int device, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
		.flags = VFIO_DEVICE_DETACH_PASID,
		.pasid = pasid,
	};

	return vfio_ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

/*
 * Page tables for devices with PASIDs. Devices here have none, which is no obstacle:
 * they never use what is attached.
 */
FIXTURE(pasid)
{
	int fd;
	int iommufd;
	long devid;
	long ioas;
	long first;
	long second;
};

FIXTURE_SETUP(pasid)
{
	const char *bdf;

	NEED_IOMMUFD();
	NEED_DEVICE(bdf, "EDU");
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->fd = cdev_open(bdf, O_RDWR);
	ASSERT_LE(0, self->fd);
	self->devid = cdev_bind(self->fd, self->iommufd);
	ASSERT_LT(0, self->devid);
	self->ioas = iommufd_ioas(self->iommufd);
	self->first = hwpt_new(self->iommufd, self->devid, self->ioas,
			       IOMMU_HWPT_ALLOC_PASID);
	ASSERT_LT(0, self->first);
	self->second = hwpt_new(self->iommufd, self->devid, self->ioas,
				IOMMU_HWPT_ALLOC_PASID);
	ASSERT_LT(0, self->second);
}

FIXTURE_TEARDOWN(pasid)
{
	close(self->fd);
	close(self->iommufd);
}

/* 4-37, 4-41 */
TEST_F(pasid, attach_replace_detach)
{
	EXPECT_EQ(0, detach_pasid(self->fd, 1));
	EXPECT_EQ(self->first, attach_pasid(self->fd, 1, self->first));
	EXPECT_EQ(-EBUSY, object_destroy(self->iommufd, self->first));
	EXPECT_EQ(self->second, attach_pasid(self->fd, 2, self->second));
	EXPECT_EQ(self->second, attach_pasid(self->fd, 1, self->second));
	EXPECT_EQ(0, object_destroy(self->iommufd, self->first));
	/* What fails leaves it as it was. */
	EXPECT_EQ(-ENOENT, attach_pasid(self->fd, 1, self->first));
	EXPECT_EQ(0, detach_pasid(self->fd, 2));
	EXPECT_EQ(-EBUSY, object_destroy(self->iommufd, self->second));
	EXPECT_EQ(0, detach_pasid(self->fd, 1));
	EXPECT_EQ(0, detach_pasid(self->fd, 1));
	EXPECT_EQ(0, object_destroy(self->iommufd, self->second));
}

/* 4-25 */
TEST_F(pasid, close_detaches_all)
{
	EXPECT_EQ(self->first, cdev_attach(self->fd, self->first));
	EXPECT_EQ(self->second, attach_pasid(self->fd, 1, self->second));
	EXPECT_EQ(self->second, attach_pasid(self->fd, 77, self->second));
	EXPECT_EQ(self->first, attach_pasid(self->fd, 1000, self->first));
	EXPECT_EQ(-EBUSY, object_destroy(self->iommufd, self->second));
	close(self->fd);
	EXPECT_EQ(0, object_destroy(self->iommufd, self->first));
	EXPECT_EQ(0, object_destroy(self->iommufd, self->second));
	self->fd = -1;
}

/* 4-30, 4-37, 4-40 */
TEST_F(pasid, refusals)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = offsetof(struct vfio_device_attach_iommufd_pt, pasid),
		.flags = VFIO_DEVICE_ATTACH_PASID,
		.pt_id = self->first,
		.pasid = 1,
	};
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = offsetof(struct vfio_device_detach_iommufd_pt, pasid),
		.flags = VFIO_DEVICE_DETACH_PASID,
		.pasid = 1,
	};
	long plain;

	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				      &attach));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				      &detach));
	EXPECT_EQ(-ENOSPC, attach_pasid(self->fd, 1U << 31, self->first));
	EXPECT_EQ(-ENOENT, attach_pasid(self->fd, 1, 0x7fffffff));
	EXPECT_EQ(-EINVAL, attach_pasid(self->fd, 1, self->devid));
	/* A page table that was not made for it, that of an address space as well. */
	plain = hwpt_new(self->iommufd, self->devid, self->ioas, 0);
	ASSERT_LT(0, plain);
	EXPECT_EQ(-EINVAL, attach_pasid(self->fd, 1, plain));
	EXPECT_EQ(-EINVAL, attach_pasid(self->fd, 1, self->ioas));
	/* Nor may that of the device itself. */
	EXPECT_EQ(plain, cdev_attach(self->fd, plain));
	EXPECT_EQ(-EINVAL, attach_pasid(self->fd, 1, self->first));
	EXPECT_EQ(self->first, cdev_attach(self->fd, self->first));
	EXPECT_EQ(self->first, attach_pasid(self->fd, 1, self->first));
	EXPECT_EQ(-EINVAL, cdev_attach(self->fd, plain));
	EXPECT_EQ(0, object_destroy(self->iommufd, plain));
}

/* 4-38: it is another name for the device itself. */
TEST_F(pasid, zero)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = 8 };

	EXPECT_EQ(self->first, attach_pasid(self->fd, 0, self->first));
	EXPECT_EQ(-EBUSY, cdev_attach(self->fd, self->first));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_EQ(-EBUSY, object_destroy(self->iommufd, self->first));
	EXPECT_EQ(0, detach_pasid(self->fd, 0));
	EXPECT_EQ(self->first, cdev_attach(self->fd, self->first));
	EXPECT_EQ(-EBUSY, attach_pasid(self->fd, 0, self->first));
	EXPECT_EQ(0, detach_pasid(self->fd, 0));
	EXPECT_EQ(-EBUSY, object_destroy(self->iommufd, self->first));
}

/* 4-39, 12-10: a request in memory that cannot be written. */
TEST_F(pasid, answer_without_a_place)
{
	struct vfio_device_attach_iommufd_pt *attach = memory_new(PAGE_SIZE);
	bool device, pasid;

	ASSERT_EQ(self->first, cdev_attach(self->fd, self->first));
	attach->argsz = sizeof(*attach);
	attach->flags = VFIO_DEVICE_ATTACH_PASID;
	attach->pasid = 1;
	attach->pt_id = self->second;
	ASSERT_EQ(0, mprotect(attach, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				      attach));
	device = object_destroy(self->iommufd, self->first) == -EBUSY;
	pasid = object_destroy(self->iommufd, self->second) == -EBUSY;
	report_difference("attached, after the id of a PASID's page table could not be told",
			  device ? "the device" : "the PASID");
	EXPECT_NE(device, pasid);
	if (!on_c_modules())
		EXPECT_TRUE(device);
	munmap(attach, PAGE_SIZE);
}

/* 4-31 to 4-33, 4-36, 4-41 */
TEST_F(cdev, attach_and_detach)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = 8 };
	long devid = cdev_bind(self->fd, self->iommufd);
	long first = iommufd_ioas(self->iommufd);
	long second = iommufd_ioas(self->iommufd);
	long table;

	ASSERT_LT(0, devid);
	ASSERT_LT(0, first);
	ASSERT_LT(0, second);
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_EQ(-ENOENT, cdev_attach(self->fd, 0x7fffffff));
	EXPECT_EQ(-EINVAL, cdev_attach(self->fd, devid));

	table = cdev_attach(self->fd, first);
	EXPECT_LT(0, table);
	EXPECT_NE(first, table);
	/* The same address space again: the same page table. */
	EXPECT_EQ(table, cdev_attach(self->fd, first));
	/* The page table itself, by its own id. */
	EXPECT_EQ(table, cdev_attach(self->fd, table));
	/* A failure to replace keeps what is attached. */
	EXPECT_EQ(-ENOENT, cdev_attach(self->fd, 0x7fffffff));
	EXPECT_EQ(table, cdev_attach(self->fd, first));
	EXPECT_NE(table, cdev_attach(self->fd, second));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_LT(0, cdev_attach(self->fd, second));
}

/* 4-39 */
TEST_F(cdev, attach_result_not_stored)
{
	struct vfio_device_attach_iommufd_pt *attach = memory_new(PAGE_SIZE);

	ASSERT_LT(0, cdev_bind(self->fd, self->iommufd));
	attach->argsz = sizeof(*attach);
	attach->pt_id = iommufd_ioas(self->iommufd);
	ASSERT_EQ(0, mprotect(attach, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				      attach));
	EXPECT_LT(0, cdev_attach(self->fd, attach->pt_id));
}

/* The address space stays in use for as long as the device is attached. */
TEST_F(cdev, close_detaches)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy) };
	long ioas = iommufd_ioas(self->iommufd);

	ASSERT_LT(0, ioas);
	ASSERT_LT(0, cdev_bind(self->fd, self->iommufd));
	ASSERT_LT(0, cdev_attach(self->fd, ioas));
	destroy.id = ioas;
	EXPECT_EQ(-EBUSY, vfio_ioctl(self->iommufd, IOMMU_DESTROY, &destroy));
	close(self->fd);
	EXPECT_EQ(0, vfio_ioctl(self->iommufd, IOMMU_DESTROY, &destroy));
	self->fd = cdev_open(self->bdf, O_RDWR);
}

/* The iommufd may be closed before the device that is bound to it. */
TEST_F(cdev, iommufd_closed_first)
{
	long ioas = iommufd_ioas(self->iommufd);

	ASSERT_LT(0, cdev_bind(self->fd, self->iommufd));
	ASSERT_LT(0, cdev_attach(self->fd, ioas));
	close(self->iommufd);
	self->iommufd = -1;
	EXPECT_EQ(0x1234, config_read(self->fd, PCI_VENDOR_ID, 2));
}

/* 1-24: the mode of open(2) counts for what read, write and mmap do. */
TEST_F(cdev, read_only)
{
	uint32_t value = 0;
	void *addr;

	close(self->fd);
	self->fd = cdev_open(self->bdf, O_RDONLY);
	ASSERT_LE(0, self->fd);
	ASSERT_LT(0, cdev_bind(self->fd, self->iommufd));
	EXPECT_EQ(4, region_read(self->fd, 0, 0, &value, 4));
	EXPECT_EQ(-EBADF, region_write(self->fd, 0, 0, &value, 4));
	EXPECT_EQ(-EACCES, bar_mmap(self->fd, 0, 0, PAGE_SIZE,
				    PROT_READ | PROT_WRITE, &addr));
	/* No write access makes it a mapping that is not shared, 8-2. */
	EXPECT_EQ(-EINVAL, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
}

/* 1-25 */
TEST_F(cdev, fdinfo)
{
	char path[64];
	char text[2048];

	ASSERT_LT(0, cdev_bind(self->fd, self->iommufd));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_LT(0, file_read(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "vfio-device-syspath: /sys/"));
	EXPECT_NE(NULL, strstr(text, self->bdf));
}

/*
 * Mappings belong to the device, whichever kind of fd they came from: an fd of
 * a cdev zaps them, and so does one of the group while a cdev is open as well.
 */
TEST_F(cdev, zap_through_both_kinds)
{
	struct vfio_session session;
	uint32_t value;
	void *addr;
	int other;

	ASSERT_LT(0, cdev_bind(self->fd, self->iommufd));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	EXPECT_EQ(0, mmio_read(addr, &value));
	EXPECT_EQ(0x010000ed, value);
	other = dup(self->fd);
	EXPECT_EQ(0, memory_enable(other, false));
	EXPECT_EQ(-SIGBUS, mmio_read(addr, &value));
	EXPECT_EQ(0, memory_enable(other, true));
	EXPECT_EQ(0, mmio_read(addr, &value));
	EXPECT_EQ(0x010000ed, value);
	munmap(addr, PAGE_SIZE);
	close(other);
	close(self->fd);

	/* An unbound cdev fd is open while the group's fd maps and zaps. */
	self->fd = cdev_open(self->bdf, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, bar_mmap(session.device, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	EXPECT_EQ(0, mmio_read(addr, &value));
	EXPECT_EQ(0, memory_enable(session.device, false));
	EXPECT_EQ(-SIGBUS, mmio_read(addr, &value));
	munmap(addr, PAGE_SIZE);
	session_close(&session);
	EXPECT_LT(0, cdev_bind(self->fd, self->iommufd));
}

/* 1-28, 1-21 */
TEST_F(cdev, sysfs)
{
	struct stat node;
	char pattern[128];
	char text[64];
	unsigned int index;
	bool found = false;

	for (index = 0; index < 64 && !found; index++) {
		snprintf(pattern, sizeof(pattern),
			 "/sys/bus/pci/devices/%s/vfio-dev/vfio%u/dev",
			 self->bdf, index);
		found = file_read(pattern, text, sizeof(text)) > 0;
	}
	EXPECT_TRUE(found);
	snprintf(pattern, sizeof(pattern), "/sys/class/vfio-dev/vfio%u/dev",
		 index - 1);
	EXPECT_LT(0, file_read(pattern, text, sizeof(text)));

	/* Its minor may be another number than that of its name. */
	snprintf(pattern, sizeof(pattern), "/dev/vfio/devices/vfio%u", index - 1);
	ASSERT_EQ(0, stat(pattern, &node));
	EXPECT_EQ(minor(node.st_rdev), atoi(strchr(text, ':') + 1));
}

VFIO_TEST_MAIN("EDU")
