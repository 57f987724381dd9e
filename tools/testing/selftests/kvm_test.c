// SPDX-License-Identifier: GPL-2.0
/* Files of VFIO in the hands of KVM: its "vfio" device. */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "kselftest_harness.h"
#include "kvm_vfio.h"
#include "vfio_fixture.h"

FIXTURE(kvm)
{
	const char *bdf;
	int kvm;
	int vm;
	int device;
};

FIXTURE_SETUP(kvm)
{
	NEED_DEVICE(self->bdf, "EDU");
	self->kvm = open("/dev/kvm", O_RDWR);
	if (self->kvm < 0)
		SKIP(return, "no KVM");
	self->vm = vfio_ioctl(self->kvm, KVM_CREATE_VM, 0);
	ASSERT_LE(0, self->vm);
	self->device = kvm_vfio(self->vm);
	ASSERT_LE(0, self->device);
}

FIXTURE_TEARDOWN(kvm)
{
	close(self->device);
	close(self->vm);
	close(self->kvm);
}

/* 9-1, 9-20, 9-21 */
TEST_F(kvm, group)
{
	struct vfio_session session;
	int event = eventfd(0, 0);

	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EBADF, kvm_file(self->device, KVM_DEV_VFIO_FILE_ADD, -1));
	EXPECT_EQ(-EINVAL, kvm_file(self->device, KVM_DEV_VFIO_FILE_ADD, event));
	EXPECT_EQ(-EINVAL, kvm_file(self->device, KVM_DEV_VFIO_FILE_ADD,
				    session.container));
	EXPECT_EQ(-ENOENT, kvm_file(self->device, KVM_DEV_VFIO_FILE_DEL,
				    session.group));
	EXPECT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_FILE_ADD,
			      session.group));
	EXPECT_EQ(-EEXIST, kvm_file(self->device, KVM_DEV_VFIO_FILE_ADD,
				    session.group));
	EXPECT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_FILE_DEL,
			      session.group));
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
	close(event);
}

/* A device file is as good as its group. */
TEST_F(kvm, device_file)
{
	struct vfio_session session;

	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_FILE_ADD,
			      session.device));
	EXPECT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_FILE_DEL,
			      session.device));
	session_close(&session);
}

/*
 * 3-42, 9-26: a device that is opened while its group belongs to a machine holds
 * the machine, in whatever order the files are closed.
 */
TEST_F(kvm, outlives_files)
{
	struct vfio_session session;

	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	close(session.device);
	ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_FILE_ADD,
			      session.group));
	session.device = group_device(session.group, self->bdf);
	ASSERT_LE(0, session.device);
	close(self->device);
	close(self->vm);
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
	/* And again, without a machine. */
	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
}

/* 9-23: the machine goes while it has a group whose device is not open. */
TEST_F(kvm, machine_goes_first)
{
	struct vfio_session session;

	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	close(session.device);
	ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_FILE_ADD,
			      session.group));
	close(self->device);
	close(self->vm);
	session.device = group_device(session.group, self->bdf);
	ASSERT_LE(0, session.device);
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
}

/* 9-20 by the character device: before it is bound. */
TEST_F(kvm, cdev)
{
	int device = cdev_open(self->bdf, O_RDWR);
	int iommufd = iommufd_open();

	NEED_IOMMUFD();
	ASSERT_LE(0, device);
	ASSERT_LE(0, iommufd);
	EXPECT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_FILE_ADD, device));
	EXPECT_LE(0, cdev_bind(device, iommufd));
	close(self->device);
	close(self->vm);
	close(device);
	close(iommufd);
}

VFIO_TEST_MAIN("EDU")
