// SPDX-License-Identifier: GPL-2.0
/*
 * SR-IOV: virtual functions of a physical function that a user may have, and the
 * token that their users share (3.5, 4.1, 6.7, 7.3, 10.1).
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define SET		VFIO_DEVICE_FEATURE_SET
#define PROBE		VFIO_DEVICE_FEATURE_PROBE
#define TOKEN		VFIO_DEVICE_FEATURE_PCI_VF_TOKEN

#define VF_VENDOR	0x8086
#define VF_DEVICE	0x10ca

static const char uuid_a[] = "52ac9bff-3a88-4fbd-901a-0d767c3b6c97";
static const uint8_t token_a[16] = {
	0x52, 0xac, 0x9b, 0xff, 0x3a, 0x88, 0x4f, 0xbd,
	0x90, 0x1a, 0x0d, 0x76, 0x7c, 0x3b, 0x6c, 0x97,
};
static const char uuid_b[] = "88594674-90a0-47a9-aea8-9d9b352ac08a";
static const uint8_t token_b[16] = {
	0x88, 0x59, 0x46, 0x74, 0x90, 0xa0, 0x47, 0xa9,
	0xae, 0xa8, 0x9d, 0x9b, 0x35, 0x2a, 0xc0, 0x8a,
};

/* Opens @bdf from its group, with a token unless @uuid is NULL. */
static long open_with(struct vfio_session *session, const char *bdf,
		      const char *uuid)
{
	char name[128];
	long ret = session_join(session, bdf, VFIO_TYPE1v2_IOMMU);

	if (ret)
		return ret;
	snprintf(name, sizeof(name), "%s%s%s", bdf, uuid ? " vf_token=" : "",
		 uuid ? uuid : "");
	session->device = group_device(session->group, name);
	if (session->device >= 0)
		return 0;
	ret = session->device;
	session_close(session);
	return ret;
}

/*
 * A physical function and a virtual one, which stays from test to test: to disable
 * it takes the kernel a second.
 */
FIXTURE(vf)
{
	const char *pf;
	char vf[16];
	struct vfio_session pf_session;
	struct vfio_session vf_session;
};

static void session_none(struct vfio_session *session)
{
	session->container = -1;
	session->group = -1;
	session->device = -1;
}

FIXTURE_SETUP(vf)
{
	session_none(&self->pf_session);
	session_none(&self->vf_session);
	NEED_DEVICE(self->pf, "PORT_IGB");
	ASSERT_EQ(0, pci_set_vfs(self->pf, "1"));
	ASSERT_EQ(0, pci_first_vf(self->pf, self->vf, sizeof(self->vf)));
}

FIXTURE_TEARDOWN(vf)
{
	session_close(&self->vf_session);
	session_close(&self->pf_session);
}

/* 10-9 */
TEST(sriov_numvfs)
{
	char text[64], vf[16];
	const char *pf;

	NEED_DEVICE(pf, "PORT_IGB");
	ASSERT_EQ(0, pci_set_vfs(pf, "0"));
	ASSERT_EQ(0, pci_allow_vfs(false));
	EXPECT_EQ(-ENOENT, pci_set_vfs(pf, "1"));
	/* That is no change, and nobody is asked. */
	EXPECT_EQ(0, pci_set_vfs(pf, "0"));
	ASSERT_EQ(0, pci_allow_vfs(true));
	EXPECT_EQ(-ERANGE, pci_set_vfs(pf, "1000"));
	EXPECT_EQ(-ENOENT, pci_first_vf(pf, vf, sizeof(vf)));

	EXPECT_EQ(0, pci_set_vfs(pf, "2"));
	EXPECT_EQ(0, pci_set_vfs(pf, "2"));
	EXPECT_EQ(-EBUSY, pci_set_vfs(pf, "1"));
	EXPECT_EQ(0, pci_attribute(pf, "sriov_numvfs", text, sizeof(text)));
	EXPECT_STREQ("2", text);
	ASSERT_EQ(0, pci_allow_vfs(false));
	EXPECT_EQ(-ENOENT, pci_set_vfs(pf, "0"));
	ASSERT_EQ(0, pci_allow_vfs(true));
	EXPECT_EQ(0, pci_set_vfs(pf, "0"));
	EXPECT_EQ(-ENOENT, pci_first_vf(pf, vf, sizeof(vf)));
}

/* 10-10: to the driver of the physical function, before any other. */
TEST_F(vf, driver)
{
	char text[64];

	EXPECT_EQ(0, pci_driver(self->vf, text, sizeof(text)));
	EXPECT_STREQ("vfio-pci", text);
	EXPECT_EQ(0, pci_attribute(self->vf, "driver_override", text,
				   sizeof(text)));
	EXPECT_STREQ("vfio-pci", text);
}

/* 3-25, 3-26, 10-11, 10-12: they go before the physical function, and its token. */
TEST_F(vf, unbinding_the_physical_function)
{
	struct vfio_session session;
	char text[64];

	/*
	 * pci_stop_and_remove_bus_device() has lockdep check for a lock that
	 * unbinding a driver does not take, and that no driver may take there.
	 */
	if (!access("/proc/lockdep", F_OK))
		SKIP(return, "the PCI core warns of every driver that does this");
	ASSERT_EQ(0, open_with(&session, self->pf, uuid_a));
	session_close(&session);

	EXPECT_EQ(0, pci_bind(self->pf, NULL));
	EXPECT_EQ(0, pci_attribute(self->pf, "sriov_numvfs", text, sizeof(text)));
	EXPECT_STREQ("0", text);
	EXPECT_EQ(-ENOENT, pci_attribute(self->vf, "vendor", text, sizeof(text)));
	EXPECT_EQ(0, pci_bind(self->pf, "vfio-pci"));
	ASSERT_EQ(0, pci_set_vfs(self->pf, "1"));

	/* Nobody opens one as long as nobody has set the new token. */
	EXPECT_EQ(-EACCES, open_with(&session, self->vf, NULL));
	EXPECT_EQ(-EACCES, open_with(&session, self->vf, uuid_a));
	EXPECT_EQ(-EACCES, open_with(&session, self->vf,
				     "00000000-0000-0000-0000-000000000000"));
	EXPECT_EQ(-EINVAL, open_with(&session, self->vf, "52ac9bff"));
	/* A user of the physical function who gives none does not set it. */
	EXPECT_EQ(0, open_with(&session, self->pf, NULL));
	session_close(&session);
	EXPECT_EQ(-EACCES, open_with(&session, self->vf, uuid_a));
}

/* 10-11: and they wait for their users. */
TEST_F(vf, removal_of_one_in_use)
{
	int request = event_new();
	pid_t pid;

	ASSERT_LE(0, request);
	ASSERT_EQ(0, open_with(&self->pf_session, self->pf, uuid_a));
	ASSERT_EQ(0, open_with(&self->vf_session, self->vf, uuid_a));
	ASSERT_EQ(0, irq_eventfd(self->vf_session.device, VFIO_PCI_REQ_IRQ_INDEX,
				 0, request));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->vf_session.device);
		close(self->vf_session.group);
		close(self->vf_session.container);
		_exit(-pci_set_vfs(self->pf, "0"));
	}
	EXPECT_LE(1, event_wait(request, 5000));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	EXPECT_LE(0, config_read(self->vf_session.device, PCI_COMMAND, 2));
	session_close(&self->vf_session);
	EXPECT_EQ(0, child_result(pid));
	EXPECT_EQ(-ENOENT, pci_first_vf(self->pf, self->vf, sizeof(self->vf)));
	/* The physical function is still its user's. */
	EXPECT_EQ(0, session_works(&self->pf_session));
	close(request);
}

/* 10-9, 10-13: while they are there, the physical function stays in D0. */
TEST_F(vf, power)
{
	char text[64];
	long pm;

	EXPECT_TRUE(pci_becomes(self->pf, "power/runtime_status", "active"));
	usleep(200000);
	EXPECT_TRUE(pci_becomes(self->pf, "power_state", "D0"));
	ASSERT_EQ(0, open_with(&self->pf_session, self->pf, NULL));
	pm = config_cap(self->pf_session.device, PCI_CAP_ID_PM);
	ASSERT_LT(0, pm);
	EXPECT_EQ(0, config_write(self->pf_session.device, pm + PCI_PM_CTRL, 2, 3));
	EXPECT_EQ(0, config_read(self->pf_session.device, pm + PCI_PM_CTRL, 2) &
			     PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(0, pci_attribute(self->pf, "power_state", text, sizeof(text)));
	EXPECT_STREQ("D0", text);
	/* Its user may let it go, but it does not sleep. */
	EXPECT_EQ(0, device_feature(self->pf_session.device,
				    SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
				    NULL, 0));
	usleep(200000);
	EXPECT_TRUE(pci_becomes(self->pf, "power/runtime_status", "active"));
	EXPECT_EQ(0, device_feature(self->pf_session.device,
				    SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
				    NULL, 0));

	EXPECT_EQ(0, pci_set_vfs(self->pf, "0"));
	EXPECT_EQ(0, config_write(self->pf_session.device, pm + PCI_PM_CTRL, 2, 3));
	EXPECT_EQ(3, config_read(self->pf_session.device, pm + PCI_PM_CTRL, 2) &
			     PCI_PM_CTRL_STATE_MASK);
	/* Enabling them wakes it up. */
	EXPECT_EQ(0, pci_set_vfs(self->pf, "1"));
	EXPECT_EQ(0, config_read(self->pf_session.device, pm + PCI_PM_CTRL, 2) &
			     PCI_PM_CTRL_STATE_MASK);
	session_close(&self->pf_session);
	EXPECT_EQ(0, pci_set_vfs(self->pf, "0"));
	EXPECT_TRUE(pci_becomes(self->pf, "power/runtime_status", "suspended"));
}

/* 3-26, 3-29, 10-12: who opens the physical one first chooses the token. */
TEST_F(vf, token_of_the_physical_function)
{
	struct vfio_session session;

	ASSERT_EQ(0, open_with(&self->pf_session, self->pf, uuid_a));
	EXPECT_EQ(-EACCES, open_with(&session, self->vf, NULL));
	EXPECT_EQ(-EACCES, open_with(&session, self->vf, uuid_b));
	EXPECT_EQ(0, open_with(&session, self->vf, uuid_a));
	session_close(&session);

	/* It outlives that user, and is replaced by the next one's, if any. */
	session_close(&self->pf_session);
	EXPECT_EQ(0, open_with(&session, self->vf, uuid_a));
	session_close(&session);
	ASSERT_EQ(0, open_with(&self->pf_session, self->pf, NULL));
	EXPECT_EQ(0, open_with(&session, self->vf, uuid_a));
	session_close(&session);
	session_close(&self->pf_session);
	ASSERT_EQ(0, open_with(&self->pf_session, self->pf, uuid_b));
	EXPECT_EQ(-EACCES, open_with(&session, self->vf, uuid_a));
	EXPECT_EQ(0, open_with(&session, self->vf, uuid_b));
	session_close(&session);
}

/* 3-28: while a virtual one is open, the physical one needs its token. */
TEST_F(vf, token_of_an_open_virtual_function)
{
	struct vfio_session other;

	ASSERT_EQ(0, open_with(&self->pf_session, self->pf, uuid_a));
	session_close(&self->pf_session);
	ASSERT_EQ(0, open_with(&self->vf_session, self->vf, uuid_a));
	EXPECT_EQ(-EACCES, open_with(&self->pf_session, self->pf, NULL));
	EXPECT_EQ(-EACCES, open_with(&self->pf_session, self->pf, uuid_b));
	EXPECT_EQ(0, open_with(&self->pf_session, self->pf, uuid_a));
	session_close(&self->pf_session);

	/* The count follows the last close. */
	session_close(&self->vf_session);
	EXPECT_EQ(0, open_with(&other, self->pf, uuid_b));
	session_close(&other);
}

/* 6-86, 12-38: with C it can be replaced at any time. */
TEST_F(vf, feature)
{
	struct vfio_session session;
	int pf;

	ASSERT_EQ(0, open_with(&self->pf_session, self->pf, uuid_a));
	pf = self->pf_session.device;
	EXPECT_EQ(0, device_feature(pf, SET | TOKEN, token_b, 16));
	EXPECT_EQ(-EACCES, open_with(&session, self->vf, uuid_a));
	ASSERT_EQ(0, open_with(&self->vf_session, self->vf, uuid_b));
	/* A virtual function has none of its own. */
	EXPECT_EQ(-ENOTTY, device_feature(self->vf_session.device, PROBE | TOKEN,
					  NULL, 0));
	EXPECT_EQ(-ENOTTY, device_feature(self->vf_session.device, SET | TOKEN,
					  token_a, 16));

	EXPECT_EQ(on_c_modules() ? 0 : -EBUSY,
		  device_feature(pf, SET | TOKEN, token_a, 16));
	EXPECT_EQ(0, device_feature(pf, PROBE | SET | TOKEN, NULL, 0));
	session_close(&self->vf_session);
	EXPECT_EQ(0, device_feature(pf, SET | TOKEN, token_a, 16));
	EXPECT_EQ(-EACCES, open_with(&session, self->vf, uuid_b));
	EXPECT_EQ(0, open_with(&session, self->vf, uuid_a));
	session_close(&session);
}

static long bind_with(int device, int iommufd, const void *token)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.flags = token ? VFIO_DEVICE_BIND_FLAG_TOKEN : 0,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)token,
	};

	return vfio_ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

/* 4-13, 4-14: the same rules for the character device. */
TEST_F(vf, cdev)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = 16,
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
	};
	int iommufd = iommufd_open();
	int pf, vf;

	ASSERT_LE(0, iommufd);
	bind.iommufd = iommufd;
	pf = cdev_open(self->pf, O_RDWR);
	ASSERT_LE(0, pf);
	EXPECT_EQ(-EFAULT, bind_with(pf, iommufd, BAD_POINTER));
	EXPECT_EQ(-EFAULT, vfio_ioctl(pf, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_EQ(0, bind_with(pf, iommufd, token_a));

	vf = cdev_open(self->vf, O_RDWR);
	ASSERT_LE(0, vf);
	EXPECT_EQ(-EACCES, bind_with(vf, iommufd, NULL));
	EXPECT_EQ(-EACCES, bind_with(vf, iommufd, token_b));
	EXPECT_EQ(-EFAULT, bind_with(vf, iommufd, BAD_POINTER));
	EXPECT_EQ(0, bind_with(vf, iommufd, token_a));
	close(pf);

	pf = cdev_open(self->pf, O_RDWR);
	ASSERT_LE(0, pf);
	EXPECT_EQ(-EACCES, bind_with(pf, iommufd, NULL));
	EXPECT_EQ(-EACCES, bind_with(pf, iommufd, token_b));
	EXPECT_EQ(0, bind_with(pf, iommufd, token_a));
	close(vf);
	close(pf);
	close(iommufd);
}

/* 3-30, 4-14 */
TEST(neither_physical_nor_virtual)
{
	struct vfio_session session;
	const char *bdf;
	int iommufd, fd;

	NEED_DEVICE(bdf, "EDU");
	EXPECT_EQ(-EINVAL, open_with(&session, bdf, uuid_a));
	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	fd = cdev_open(bdf, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, bind_with(fd, iommufd, token_a));
	EXPECT_EQ(0, bind_with(fd, iommufd, NULL));
	close(fd);
	close(iommufd);
}

FIXTURE(open_vf)
{
	const char *pf;
	char vf[16];
	struct vfio_session pf_session;
	struct vfio_session session;
	int fd;
};

FIXTURE_SETUP(open_vf)
{
	session_none(&self->pf_session);
	session_none(&self->session);
	NEED_DEVICE(self->pf, "PORT_IGB");
	ASSERT_EQ(0, pci_set_vfs(self->pf, "1"));
	ASSERT_EQ(0, pci_first_vf(self->pf, self->vf, sizeof(self->vf)));
	ASSERT_EQ(0, open_with(&self->pf_session, self->pf, uuid_a));
	ASSERT_EQ(0, open_with(&self->session, self->vf, uuid_a));
	self->fd = self->session.device;
}

FIXTURE_TEARDOWN(open_vf)
{
	session_close(&self->session);
	session_close(&self->pf_session);
}

/* 7-23, 7-30, 7-41: what hardware leaves out of their config space is there. */
TEST_F(open_vf, config_space)
{
	uint32_t value = 0;
	int i;

	EXPECT_EQ(0xffff, pci_hw_config(self->vf, PCI_VENDOR_ID, 2));
	EXPECT_EQ(VF_VENDOR, config_read(self->fd, PCI_VENDOR_ID, 2));
	EXPECT_EQ(VF_DEVICE, config_read(self->fd, PCI_DEVICE_ID, 2));
	EXPECT_EQ(0, config_write(self->fd, PCI_VENDOR_ID, 2, 0x1234));
	EXPECT_EQ(VF_VENDOR, config_read(self->fd, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, config_read(self->fd, PCI_INTERRUPT_PIN, 1));

	/* The bit in COMMAND is there, and does nothing. */
	EXPECT_EQ(PCI_COMMAND_MEMORY, config_read(self->fd, PCI_COMMAND, 2) &
					      PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(0, config_read(self->fd, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	EXPECT_EQ(4, region_read(self->fd, 0, 0, &value, 4));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(PCI_COMMAND_MEMORY, config_read(self->fd, PCI_COMMAND, 2) &
					      PCI_COMMAND_MEMORY);

	/* So are the BARs, which can be sized. */
	for (i = 0; i < 6; i++) {
		uint32_t offset = PCI_BASE_ADDRESS_0 + 4 * i;
		long size = region_size(self->fd, i);
		long bar;

		EXPECT_EQ(0, pci_hw_config(self->vf, offset, 4));
		if (size <= 0)
			continue;
		EXPECT_EQ(0, config_write(self->fd, offset, 4, ~0U));
		bar = config_read(self->fd, offset, 4);
		EXPECT_EQ((uint32_t)-size, bar & PCI_BASE_ADDRESS_MEM_MASK & ~0U);
	}
	EXPECT_LT(0, config_ext_cap(self->pf_session.device,
				    PCI_EXT_CAP_ID_SRIOV));
	EXPECT_EQ(-ENOENT, config_ext_cap(self->fd, PCI_EXT_CAP_ID_SRIOV));
}

/* 6-9, 6-17, 6-19, 6-61, 6-73: the rest of what a device does. */
TEST_F(open_vf, device)
{
	struct vfio_device_info info = { .argsz = 16 };
	int event = event_new();
	uint32_t value = 0;
	void *addr;

	ASSERT_LE(0, event);
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
		  info.flags & ~VFIO_DEVICE_FLAGS_CAPS);
	ASSERT_LT(0, region_size(self->fd, 0));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	EXPECT_EQ(4, region_read(self->fd, 0, 0, &value, 4));
	EXPECT_EQ(value, mmio_at(addr));
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_LE(0, mmio_at(addr));
	munmap(addr, PAGE_SIZE);

	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, VFIO_PCI_INTX_IRQ_INDEX, 0,
				       event));
	EXPECT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, event));
	EXPECT_EQ(0, irq_none(self->fd, VFIO_PCI_MSIX_IRQ_INDEX,
			      VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1));
	EXPECT_EQ(1, event_wait(event, 1000));
	EXPECT_EQ(0, irq_disable(self->fd, VFIO_PCI_MSIX_IRQ_INDEX));
	close(event);
}

static pid_t main_process;

static void disable_vfs(void)
{
	const char *pf = pci_device("PORT_IGB");

	if (getpid() == main_process && pf)
		pci_set_vfs(pf, "0");
}

int main(int argc, char **argv)
{
	static const char *const claimed[] = { "EDU", "PORT_IGB", NULL };

	main_process = getpid();
	pci_allow_vfs(true);
	pci_claim(claimed);
	/* Runs before the drivers are restored. */
	atexit(disable_vfs);
	return test_harness_run(argc, argv);
}
