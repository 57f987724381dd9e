// SPDX-License-Identifier: GPL-2.0
/* Drivers come and go: binding, unbinding under users, ids (sections 1, 10). */
#include <fcntl.h>
#include <sys/wait.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

FIXTURE(edu)
{
	const char *bdf;
	struct vfio_session session;
};

FIXTURE_SETUP(edu)
{
	self->session.container = -1;
	self->session.group = -1;
	self->session.device = -1;
	NEED_DEVICE(self->bdf, "EDU");
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
}

/* Bound again, the device has a node that opens. */
FIXTURE_TEARDOWN(edu)
{
	struct vfio_session next;

	session_close(&self->session);
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	ASSERT_EQ(0, session_join(&next, self->bdf, VFIO_TYPE1v2_IOMMU));
	session_close(&next);
}

/* 10-24, 10-25, 10-27: unbinding asks the user, and waits for the last fd. */
TEST_F(edu, unbind_waits)
{
	struct vfio_session *session = &self->session;
	int request = event_new();
	pid_t pid;

	ASSERT_EQ(0, session_open(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, irq_eventfd(session->device, VFIO_PCI_REQ_IRQ_INDEX, 0,
				 request));
	pid = fork();
	if (!pid) {
		session_close(session);
		_exit(pci_bind(self->bdf, NULL) != 0);
	}
	EXPECT_LT(0, event_wait(request, 10000));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	/* Gone for those to come, and all there for those who are. */
	EXPECT_EQ(-ENODEV, group_device(session->group, self->bdf));
	EXPECT_GT(0, cdev_open(self->bdf, O_RDWR));
	EXPECT_EQ(EDU_ID_VALUE, edu_read(session->device, EDU_ID));
	EXPECT_EQ(0, session_works(session));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	close(session->device);
	session->device = -1;
	EXPECT_EQ(0, child_result(pid));
	session_close(session);
	EXPECT_GT(0, group_open(self->bdf));
}

/* The same with a mapping as the last user: 8-18. */
TEST_F(edu, unbind_waits_for_a_mapping)
{
	struct vfio_session *session = &self->session;
	int request = event_new();
	void *bar;
	pid_t pid;

	ASSERT_EQ(0, session_open(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, irq_eventfd(session->device, VFIO_PCI_REQ_IRQ_INDEX, 0,
				 request));
	ASSERT_EQ(0, bar_mmap(session->device, 0, 0, PAGE_SIZE, PROT_READ, &bar));
	session_close(session);
	pid = fork();
	if (!pid) {
		munmap(bar, PAGE_SIZE);
		_exit(pci_bind(self->bdf, NULL) != 0);
	}
	EXPECT_LT(0, event_wait(request, 10000));
	EXPECT_EQ(EDU_ID_VALUE, *(volatile uint32_t *)bar);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	munmap(bar, PAGE_SIZE);
	EXPECT_EQ(0, child_result(pid));
}

/* 1-19, 1-21, 1-28: nodes come and go with the driver. */
TEST_F(edu, bind_and_unbind)
{
	struct vfio_session session;
	int cdev, i;

	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, pci_bind(self->bdf, NULL));
		EXPECT_EQ(-ENOENT, group_open(self->bdf));
		EXPECT_EQ(-ENOENT, cdev_open(self->bdf, O_RDWR));
		ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
		if (i == 3) {
			ASSERT_EQ(0, session_open(&session, self->bdf,
						  VFIO_TYPE1v2_IOMMU));
			EXPECT_EQ(EDU_ID_VALUE, edu_read(session.device, EDU_ID));
			session_close(&session);
		}
		cdev = cdev_open(self->bdf, O_RDWR);
		if (kernel_has_iommufd()) {
			EXPECT_LE(0, cdev);
			close(cdev);
		} else {
			EXPECT_EQ(-ENOENT, cdev);
		}
	}
}

/* 4-1: an fd of a device that has gone is of no use, and does no harm. */
TEST_F(edu, cdev_without_device)
{
	int iommufd = iommufd_open();
	int cdev = cdev_open(self->bdf, O_RDWR);
	int request = event_new();
	pid_t pid;

	if (cdev == -ENOENT || iommufd < 0)
		SKIP(return, "no cdev or no iommufd");
	ASSERT_LE(0, cdev);
	ASSERT_LT(0, cdev_bind(cdev, iommufd));
	ASSERT_EQ(0, irq_eventfd(cdev, VFIO_PCI_REQ_IRQ_INDEX, 0, request));
	pid = fork();
	if (!pid) {
		close(cdev);
		_exit(pci_bind(self->bdf, NULL) != 0);
	}
	EXPECT_LT(0, event_wait(request, 10000));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	EXPECT_EQ(EDU_ID_VALUE, edu_read(cdev, EDU_ID));
	close(cdev);
	EXPECT_EQ(0, child_result(pid));
}

/* 10-1: without override or id, vfio-pci takes no device. */
TEST_F(edu, bind_without_override)
{
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(-ENODEV, file_write("/sys/bus/pci/drivers/vfio-pci/bind",
				      self->bdf));
}

FIXTURE(ids)
{
	const char *bdf;
	char id[32];
};

FIXTURE_SETUP(ids)
{
	NEED_DEVICE(self->bdf, "IGB");
	snprintf(self->id, sizeof(self->id), "%04lx %04lx",
		 pci_hw_config(self->bdf, PCI_VENDOR_ID, 2),
		 pci_hw_config(self->bdf, PCI_DEVICE_ID, 2));
}

FIXTURE_TEARDOWN_PARENT(ids)
{
	if (self->bdf) {
		file_write("/sys/bus/pci/drivers/vfio-pci/remove_id", self->id);
		EXPECT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	}
}

/* 10-1, 1-30 */
TEST_F(ids, new_id)
{
	const char *driver = "/sys/bus/pci/drivers/vfio-pci";
	char path[128];
	char name[64];

	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	snprintf(path, sizeof(path), "%s/new_id", driver);
	EXPECT_EQ(0, file_write(path, self->id));
	pci_driver(self->bdf, name, sizeof(name));
	EXPECT_STREQ("vfio-pci", name);
	EXPECT_EQ(-EEXIST, file_write(path, self->id));
	snprintf(path, sizeof(path), "%s/remove_id", driver);
	EXPECT_EQ(0, file_write(path, self->id));
	EXPECT_EQ(-ENODEV, file_write(path, self->id));
	/* It stays bound, but is not taken again. */
	pci_driver(self->bdf, name, sizeof(name));
	EXPECT_STREQ("vfio-pci", name);
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	snprintf(path, sizeof(path), "%s/bind", driver);
	EXPECT_EQ(-ENODEV, file_write(path, self->bdf));
}

/* Two functions of the same kind, without drivers. */
FIXTURE(twins)
{
	const char *bdf[2];
	char id[32];
	/* What they have without a driver. */
	long command[2];
};

#define VFIO_PCI	"/sys/bus/pci/drivers/vfio-pci/"

FIXTURE_SETUP(twins)
{
	int i;

	NEED_DEVICE(self->bdf[0], "NVME");
	NEED_DEVICE(self->bdf[1], "PORT_NVME");
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pci_bind(self->bdf[i], NULL));
		self->command[i] = pci_hw_config(self->bdf[i], PCI_COMMAND, 2);
	}
	snprintf(self->id, sizeof(self->id), "%04lx %04lx",
		 pci_hw_config(self->bdf[0], PCI_VENDOR_ID, 2),
		 pci_hw_config(self->bdf[0], PCI_DEVICE_ID, 2));
}

FIXTURE_TEARDOWN_PARENT(twins)
{
	int i;

	if (!self->bdf[1])
		return;
	while (!file_write(VFIO_PCI "remove_id", self->id))
		;
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, pci_bind(self->bdf[i], NULL));
}

static bool driven(const char *bdf)
{
	char name[64];

	pci_driver(bdf, name, sizeof(name));
	return !strcmp(name, "vfio-pci");
}

/* As if nobody had ever tried to give it to a user. */
static bool untouched(const char *bdf, long command)
{
	char name[64], state[32];

	pci_driver(bdf, name, sizeof(name));
	pci_attribute(bdf, "power_state", state, sizeof(state));
	if (name[0] || strcmp(state, "D0") || group_open(bdf) != -ENOENT ||
	    cdev_open(bdf, O_RDWR) != -ENOENT ||
	    pci_hw_config(bdf, PCI_COMMAND, 2) != command)
		printf("# %s: driver '%s', %s, COMMAND %#lx\n", bdf, name, state,
		       pci_hw_config(bdf, PCI_COMMAND, 2));
	else
		return true;
	return false;
}

/* The device is the user's, from the group's node to its registers. */
static bool opens(const char *bdf)
{
	struct vfio_session session;
	bool good;

	if (session_open(&session, bdf, VFIO_TYPE1v2_IOMMU))
		return false;
	good = config_read(session.device, PCI_VENDOR_ID, 2) ==
	       pci_hw_config(bdf, PCI_VENDOR_ID, 2);
	return !session_finish(&session) && good;
}

/* 10-1: an id is for all devices that have it, but for those that are taken. */
TEST_F(twins, new_id)
{
	ASSERT_EQ(0, file_write(VFIO_PCI "new_id", self->id));
	EXPECT_TRUE(driven(self->bdf[0]));
	EXPECT_TRUE(driven(self->bdf[1]));
	EXPECT_TRUE(opens(self->bdf[0]));
	EXPECT_TRUE(opens(self->bdf[1]));
	EXPECT_EQ(-EEXIST, file_write(VFIO_PCI "new_id", self->id));
	EXPECT_EQ(-EBUSY, file_write(VFIO_PCI "bind", self->bdf[0]));
	EXPECT_TRUE(opens(self->bdf[0]));
	EXPECT_EQ(0, file_write(VFIO_PCI "unbind", self->bdf[0]));
	EXPECT_EQ(-ENODEV, file_write(VFIO_PCI "unbind", self->bdf[0]));
	EXPECT_TRUE(opens(self->bdf[1]));
	EXPECT_EQ(0, file_write(VFIO_PCI "bind", self->bdf[0]));
	EXPECT_EQ(-EBUSY, file_write(VFIO_PCI "bind", self->bdf[0]));
	EXPECT_TRUE(opens(self->bdf[0]));
	/* What has no id any more stays, and is not taken again. */
	EXPECT_EQ(0, file_write(VFIO_PCI "remove_id", self->id));
	EXPECT_TRUE(opens(self->bdf[0]));
	EXPECT_EQ(0, file_write(VFIO_PCI "unbind", self->bdf[0]));
	EXPECT_EQ(-ENODEV, file_write(VFIO_PCI "bind", self->bdf[0]));
	EXPECT_TRUE(untouched(self->bdf[0], self->command[0]));
	EXPECT_TRUE(opens(self->bdf[1]));
}

/* One that another driver is to have is not taken, id or not. */
TEST_F(twins, overridden)
{
	ASSERT_EQ(0, pci_set_attribute(self->bdf[0], "driver_override", "nvme"));
	EXPECT_EQ(-ENODEV, file_write(VFIO_PCI "bind", self->bdf[0]));
	ASSERT_EQ(0, file_write(VFIO_PCI "new_id", self->id));
	EXPECT_FALSE(driven(self->bdf[0]));
	EXPECT_TRUE(driven(self->bdf[1]));
	EXPECT_EQ(-ENODEV, file_write(VFIO_PCI "bind", self->bdf[0]));
	EXPECT_TRUE(untouched(self->bdf[0], self->command[0]));
	ASSERT_EQ(0, pci_set_attribute(self->bdf[0], "driver_override", "\n"));
	EXPECT_EQ(0, file_write(VFIO_PCI "bind", self->bdf[0]));
	EXPECT_TRUE(opens(self->bdf[0]));
	/* An override that comes later counts for the next time. */
	ASSERT_EQ(0, pci_set_attribute(self->bdf[0], "driver_override", "nvme"));
	EXPECT_TRUE(opens(self->bdf[0]));
	EXPECT_EQ(0, file_write(VFIO_PCI "unbind", self->bdf[0]));
	EXPECT_EQ(-ENODEV, file_write(VFIO_PCI "bind", self->bdf[0]));
	EXPECT_TRUE(untouched(self->bdf[0], self->command[0]));
}

/* The other fields of an id: subsystem, class, and data of the driver. */
TEST_F(twins, fields)
{
	char text[128];

	EXPECT_EQ(-EINVAL, file_write(VFIO_PCI "new_id", "1b36"));
	EXPECT_EQ(-EINVAL, file_write(VFIO_PCI "new_id", "nonsense"));
	EXPECT_EQ(-EINVAL, file_write(VFIO_PCI "remove_id", "1b36"));
	/* This driver has no data that one could ask for. */
	snprintf(text, sizeof(text), "%s ffffffff ffffffff 0 0 7", self->id);
	EXPECT_EQ(-EINVAL, file_write(VFIO_PCI "new_id", text));
	EXPECT_EQ(-ENODEV, file_write(VFIO_PCI "remove_id", self->id));
	/* A subsystem, and a class, that they do not have. */
	snprintf(text, sizeof(text), "%s 1234 5678", self->id);
	EXPECT_EQ(0, file_write(VFIO_PCI "new_id", text));
	snprintf(text, sizeof(text), "%s ffffffff ffffffff 030000 ff0000",
		 self->id);
	EXPECT_EQ(0, file_write(VFIO_PCI "new_id", text));
	EXPECT_TRUE(untouched(self->bdf[0], self->command[0]));
	EXPECT_TRUE(untouched(self->bdf[1], self->command[1]));
	/* A class that they have, and the data that there is. */
	snprintf(text, sizeof(text), "%s ffffffff ffffffff 010800 ffff00 0",
		 self->id);
	EXPECT_EQ(0, file_write(VFIO_PCI "new_id", text));
	EXPECT_TRUE(driven(self->bdf[0]));
	EXPECT_TRUE(driven(self->bdf[1]));
	EXPECT_TRUE(opens(self->bdf[0]));
}

/* Of those who bind it at the same time, one does. */
TEST_F(twins, two_at_once)
{
	pid_t pids[4];
	int i, round, result, bound, busy;

	ASSERT_EQ(0, pci_set_attribute(self->bdf[0], "driver_override",
				       "vfio-pci"));
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 4; i++) {
			pids[i] = fork();
			if (!pids[i])
				_exit(-file_write(VFIO_PCI "bind", self->bdf[0]));
		}
		bound = busy = 0;
		for (i = 0; i < 4; i++) {
			result = child_result(pids[i]);
			bound += !result;
			busy += result == EBUSY;
		}
		ASSERT_EQ(1, bound);
		ASSERT_EQ(3, busy);
		ASSERT_TRUE(driven(self->bdf[0]));
		ASSERT_EQ(0, file_write(VFIO_PCI "unbind", self->bdf[0]));
	}
}

/* 10-3: a bridge is no device for a user. */
TEST(bridge)
{
	const char *port = pci_device("PORT_NVME");
	char driver[64];
	char path[256];
	char real[512];
	char *bridge;

	if (!port)
		SKIP(return, "PORT_NVME names no device");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", port);
	ASSERT_NE(NULL, realpath(path, real));
	*strrchr(real, '/') = '\0';
	bridge = strrchr(real, '/') + 1;
	pci_driver(bridge, driver, sizeof(driver));
	EXPECT_EQ(-EINVAL, pci_bind(bridge, "vfio-pci"));
	EXPECT_EQ(-EINVAL, file_write(VFIO_PCI "bind", bridge));
	EXPECT_EQ(0, file_write("/sys/bus/pci/drivers_probe", bridge));
	pci_driver(bridge, path, sizeof(path));
	EXPECT_STREQ("", path);
	EXPECT_EQ(-ENOENT, group_open(bridge));
	EXPECT_EQ(-ENOENT, cdev_open(bridge, O_RDWR));
	EXPECT_TRUE(pci_becomes(bridge, "power_state", "D0"));
	EXPECT_EQ(0, pci_bind(bridge, driver[0] ? driver : NULL));
	/* What is behind it has noticed nothing. */
	EXPECT_EQ(0, pci_bind(port, "vfio-pci"));
	EXPECT_TRUE(opens(port));
	EXPECT_EQ(0, pci_bind(port, NULL));
	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/driver_override", bridge);
	EXPECT_EQ(0, file_write(path, "\n"));
}

VFIO_TEST_MAIN("EDU", "IGB")
