// SPDX-License-Identifier: GPL-2.0
/*
 * What the core calls a driver in C with, as the driver tells: vfio_callbacks, which both
 * stacks load.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../c-drivers/vfio-callbacks/vfio_callbacks.h"
#include "kselftest_harness.h"
#include "samples.h"

#define MODULE		"vfio_callbacks"
#define FULL		"vfio-callbacks.0"
#define BARE		"vfio-callbacks.1"
#define NEIGHBOUR	"vfio-callbacks.2"

static long report_get(int device, struct callbacks_report *report)
{
	return vfio_ioctl(device, CALLBACKS_REPORT, report);
}

static long parameter(const char *name)
{
	return module_parameter(MODULE, name);
}

FIXTURE(full)
{
	struct vfio_session session;
	int device;
};

FIXTURE_SETUP(full)
{
	if (!sample_exists(MODULE))
		SKIP(return, "the kernel has no module " MODULE);
	ASSERT_EQ(0, emulated_open(&self->session, FULL, VFIO_TYPE1v2_IOMMU));
	self->device = self->session.device;
}

FIXTURE_TEARDOWN(full)
{
	session_close(&self->session);
}

/* 9-4: fields that are private, but that a driver may see, and the lock that it may rely on. */
TEST_F(full, keeps_fields_up_to_date)
{
	struct callbacks_report report;
	uint32_t closed;
	int again;

	ASSERT_EQ(0, report_get(self->device, &report));
	closed = report.closed;
	EXPECT_EQ(1, report.open_count_then);
	EXPECT_EQ(1, report.open_count);
	EXPECT_EQ(1, report.set_locked_then);
	EXPECT_EQ(0, report.cdev_opened);
	EXPECT_EQ(1, report.has_registration);

	again = group_device(self->session.group, FULL);
	ASSERT_LE(0, again);
	ASSERT_EQ(0, report_get(again, &report));
	EXPECT_EQ(1, report.open_count_then);
	EXPECT_EQ(2, report.open_count);
	close(again);
	ASSERT_EQ(0, report_get(self->device, &report));
	EXPECT_EQ(1, report.open_count);
	EXPECT_EQ(closed, report.closed);

	close(self->device);
	self->session.device = group_device(self->session.group, FULL);
	ASSERT_LE(0, self->session.device);
	ASSERT_EQ(0, report_get(self->session.device, &report));
	EXPECT_EQ(closed + 1, report.closed);
	EXPECT_EQ(1, report.open_count);
}

/* 9-5 */
TEST_F(full, knows_its_set)
{
	struct callbacks_report report;
	struct vfio_session neighbour;

	ASSERT_EQ(0, report_get(self->device, &report));
	EXPECT_EQ(1, report.set_open_count);
	EXPECT_EQ(1, report.found_in_set);

	ASSERT_EQ(0, emulated_open(&neighbour, NEIGHBOUR, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, report_get(self->device, &report));
	EXPECT_EQ(2, report.set_open_count);
	EXPECT_EQ(1, report.open_count);
	session_close(&neighbour);
	ASSERT_EQ(0, report_get(self->device, &report));
	EXPECT_EQ(1, report.set_open_count);
}

TEST_F(full, opens_its_node)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
	};
	struct callbacks_report report;
	char token[] = CALLBACKS_TOKEN;
	int device;

	NEED_IOMMUFD();
	session_close(&self->session);
	bind.iommufd = iommufd_open();
	ASSERT_LE(0, bind.iommufd);
	device = emulated_cdev_open(FULL);
	ASSERT_LE(0, device);
	token[0]++;
	bind.token_uuid_ptr = (unsigned long)token;
	EXPECT_EQ(-EACCES, vfio_ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	token[0]--;
	ASSERT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	ASSERT_EQ(0, report_get(device, &report));
	EXPECT_EQ(1, report.cdev_opened);
	EXPECT_EQ(1, report.open_count);
	close(device);

	/* Nobody has to have a token. */
	device = emulated_cdev_open(FULL);
	ASSERT_LE(0, device);
	EXPECT_LT(0, cdev_bind(device, bind.iommufd));
	close(device);
	close(bind.iommufd);

	ASSERT_EQ(0, emulated_open(&self->session, FULL, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, report_get(self->session.device, &report));
	EXPECT_EQ(0, report.cdev_opened);
}

/* The driver gets the name as it is, in memory of its own, and may find options in it. */
TEST_F(full, finds_its_name)
{
	int group = self->session.group;
	int device;

	device = group_device(group, FULL " please");
	ASSERT_LE(0, device);
	close(device);
	EXPECT_EQ(-EACCES, group_device(group, FULL " at once"));
	EXPECT_EQ(-ENODEV, group_device(group, NEIGHBOUR));
}

TEST_F(full, reads_where_the_user_said)
{
	struct callbacks_report report;
	unsigned char bytes[8] = "";
	char byte = 'x';

	ASSERT_EQ(8, pread(self->device, bytes, sizeof(bytes), 16));
	ASSERT_EQ(0, report_get(self->device, &report));
	EXPECT_EQ((unsigned long)bytes, report.read_address);
	EXPECT_EQ(sizeof(bytes), report.read_size);
	EXPECT_EQ(4, pread(self->device, bytes, sizeof(bytes), CALLBACKS_REGION_SIZE - 4));
	EXPECT_EQ(0, pread(self->device, bytes, 8, CALLBACKS_REGION_SIZE));
	EXPECT_EQ(-EFAULT, region_read(self->device, 0, 0, BAD_POINTER, 8));
	EXPECT_EQ(-EFAULT, region_write(self->device, 0, 200, BAD_POINTER, 8));

	EXPECT_EQ(1, pwrite(self->device, &byte, 1, 100));
	EXPECT_EQ(1, pread(self->device, bytes, 1, 100));
	EXPECT_EQ('x', bytes[0]);
	byte = CALLBACKS_BYTE;
	EXPECT_EQ(1, pwrite(self->device, &byte, 1, 100));
}

/* The driver has filled the area: nothing of it comes by a fault of the core's. */
TEST_F(full, maps_what_the_driver_gives)
{
	struct callbacks_report report;
	unsigned char *memory;
	int status;
	pid_t pid;

	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * CALLBACKS_REGION_SIZE, PROT_READ,
				   MAP_SHARED, self->device, 0));
	memory = mmap(NULL, CALLBACKS_REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      self->device, 0);
	ASSERT_NE(MAP_FAILED, (void *)memory);
	ASSERT_EQ(0, report_get(self->device, &report));
	EXPECT_EQ(1, report.inode_is_that_of_file);
	EXPECT_EQ(CALLBACKS_BYTE, memory[0]);
	EXPECT_EQ(CALLBACKS_BYTE, memory[CALLBACKS_REGION_SIZE - 1]);

	pid = fork();
	if (!pid) {
		memory[1] = 'y';
		_exit(memory[0] != CALLBACKS_BYTE);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ('y', memory[1]);
	memory[1] = CALLBACKS_BYTE;

	/* In two pieces, of which one stays after the file. */
	ASSERT_EQ(0, munmap(memory, PAGE_SIZE));
	close(self->device);
	EXPECT_EQ(CALLBACKS_BYTE, memory[PAGE_SIZE]);
	ASSERT_EQ(0, munmap(memory + PAGE_SIZE, PAGE_SIZE));
	self->session.device = group_device(self->session.group, FULL);
	EXPECT_LE(0, self->session.device);
}

TEST_F(full, tells_capabilities)
{
	const size_t whole = sizeof(struct vfio_region_info) +
			     2 * sizeof(struct vfio_info_cap_header);
	struct vfio_info_cap_header *first, *second;
	struct region_info info;

	ASSERT_EQ(0, region_info(self->device, 0, &info));
	EXPECT_EQ(0, info.head.cap_offset);
	EXPECT_EQ(sizeof(info), info.head.argsz);

	ASSERT_EQ(0, region_info(self->device, 1, &info));
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP |
			  VFIO_REGION_INFO_FLAG_CAPS,
		  info.head.flags);
	ASSERT_EQ(sizeof(info.head), info.head.cap_offset);
	first = (void *)info.capabilities;
	second = first + 1;
	EXPECT_EQ(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, first->id);
	EXPECT_EQ(1, first->version);
	EXPECT_EQ((char *)second - (char *)&info, first->next);
	EXPECT_EQ(2, second->version);
	EXPECT_EQ(0, second->next);

	/* Too little room: how much it takes. */
	info = (struct region_info){ .head.argsz = whole - 1, .head.index = 1 };
	ASSERT_EQ(0, vfio_ioctl(self->device, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_EQ(whole, info.head.argsz);
	EXPECT_EQ(0, info.head.cap_offset);
	EXPECT_EQ(0, info.capabilities[0]);
	EXPECT_EQ(-EINVAL, region_info(self->device, 2, &info));
}

TEST_F(full, answers_as_the_driver_says)
{
	uint64_t data[3] = {};

	EXPECT_EQ(42, vfio_ioctl(self->device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->device, VFIO_DEVICE_GET_INFO, data));
	EXPECT_EQ(sizeof(data),
		  device_feature(self->device, CALLBACKS_FEATURE, data, sizeof(data)));
	EXPECT_EQ(-ENOTTY, device_feature(self->device, CALLBACKS_FEATURE + 1, data, 8));
	EXPECT_EQ(-ENOTTY,
		  device_feature(self->device,
				 VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
				 data, 8));
}

/* A driver that has nothing but what it has to have. */
TEST_F(full, can_be_bare)
{
	struct vfio_session bare;
	struct region_info info;
	uint64_t data = 0;

	ASSERT_EQ(0, emulated_open(&bare, BARE, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, sys_result(pread(bare.device, &data, 8, 0)));
	EXPECT_EQ(-EINVAL, sys_result(pwrite(bare.device, &data, 8, 0)));
	EXPECT_EQ(-EINVAL, vfio_ioctl(bare.device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-EINVAL, region_info(bare.device, 0, &info));
	EXPECT_EQ(-ENOTTY, device_feature(bare.device, CALLBACKS_FEATURE, &data, 8));
	EXPECT_EQ(-ENOTTY,
		  device_feature(bare.device, VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &data, 8));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, bare.device, 0));
	session_close(&bare);
}

/* 9-3: each device was refused once by its driver, which is not asked to release it then. */
TEST_F(full, comes_and_goes)
{
	EXPECT_EQ(-EDOM, parameter("refused"));
	EXPECT_EQ(-EINVAL, parameter("unconfined"));
	EXPECT_EQ(1, parameter("released"));
	EXPECT_EQ(-EAGAIN, module_unload(MODULE));
	session_close(&self->session);
	EXPECT_EQ(0, module_unload(MODULE));
	EXPECT_EQ(-ENOENT, emulated_group(FULL));
	EXPECT_EQ(-ENOENT, emulated_cdev_open(FULL));
	ASSERT_EQ(0, module_load(MODULE));
	EXPECT_EQ(1, parameter("released"));
	ASSERT_EQ(0, emulated_open(&self->session, FULL, VFIO_TYPE1v2_IOMMU));
}

/* A driver that is taken from its device waits for its user, and has released it then. */
TEST_F(full, is_unbound)
{
	static const char unbind[] = "/sys/bus/platform/drivers/vfio-callbacks/unbind";
	static const char bind[] = "/sys/bus/platform/drivers/vfio-callbacks/bind";
	long before = parameter("released");
	struct callbacks_report report;
	int status, i;
	pid_t pid;

	pid = fork();
	if (!pid) {
		session_close(&self->session);
		_exit(-file_write(unbind, FULL));
	}
	for (i = 0; i < 3; i++) {
		usleep(100 * 1000);
		EXPECT_EQ(before, parameter("released"));
		EXPECT_EQ(0, report_get(self->device, &report));
	}
	session_close(&self->session);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(before + 1, parameter("released"));
	EXPECT_EQ(-ENOENT, emulated_group(FULL));
	ASSERT_EQ(0, file_write(bind, FULL));
	ASSERT_EQ(0, emulated_open(&self->session, FULL, VFIO_TYPE1v2_IOMMU));
}

/* ---- a device that does DMA ---- */

FIXTURE(physical)
{
	const char *bdf;
	struct vfio_session session;
};

FIXTURE_SETUP(physical)
{
	if (!sample_exists(MODULE))
		SKIP(return, "the kernel has no module " MODULE);
	NEED_DEVICE(self->bdf, "EDU");
	self->session.container = self->session.group = self->session.device = -1;
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-callbacks-pci"));
}

FIXTURE_TEARDOWN(physical)
{
	session_close(&self->session);
	EXPECT_EQ(0, pci_bind(self->bdf, NULL));
}

/* 9-3: its group is that of its IOMMU, and what the container has is mapped for it. */
TEST_F(physical, opens_in_a_container)
{
	struct callbacks_report report;
	void *memory = memory_new(PAGE_SIZE);
	int device;

	ASSERT_NE(MAP_FAILED, memory);
	ASSERT_EQ(0, session_join(&self->session, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, type1_map(self->session.container, memory, 0x10000, PAGE_SIZE, DMA_RW));
	device = self->session.device = group_device(self->session.group, self->bdf);
	ASSERT_LE(0, device);
	ASSERT_EQ(0, report_get(device, &report));
	EXPECT_EQ(1, report.open_count);
	EXPECT_EQ(0, report.cdev_opened);
	EXPECT_EQ(1, report.set_locked_then);
	EXPECT_EQ(42, vfio_ioctl(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(PAGE_SIZE,
		  type1_unmap(self->session.container, 0x10000, PAGE_SIZE, 0));
	munmap(memory, PAGE_SIZE);
}

TEST_F(physical, opens_its_node)
{
	struct callbacks_report report;
	int iommufd, device;
	long ioas;

	NEED_IOMMUFD();
	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	device = cdev_open(self->bdf, O_RDWR);
	ASSERT_LE(0, device);
	EXPECT_LT(0, cdev_bind(device, iommufd));
	ioas = iommufd_ioas(iommufd);
	ASSERT_LT(0, ioas);
	EXPECT_LT(0, cdev_attach(device, ioas));
	ASSERT_EQ(0, report_get(device, &report));
	EXPECT_EQ(1, report.cdev_opened);
	close(device);
	close(iommufd);
}

SAMPLES_TEST_MAIN(MODULE)
