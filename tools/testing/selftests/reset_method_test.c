// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator does with reset_method in sysfs, and what the user of the
 * device sees of it (6-5, 6-60, 6-61, 10-16): the flag of GET_INFO tells of the
 * moment at which the device was opened, RESET of now.
 */
#include <errno.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "hot_reset.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define METHODS	"reset_method"
#define COMMAND	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

FIXTURE(method)
{
	const char *bdf;
	struct vfio_session session;
	int fd;
	char all[64];
};

FIXTURE_VARIANT(method)
{
	const char *device;
	/* There is a reset of the bus, which does not depend on the methods. */
	bool hot_reset;
};

FIXTURE_VARIANT_ADD(method, igb)
{
	.device = "IGB",
	.hot_reset = false,
};

FIXTURE_VARIANT_ADD(method, port_nvme)
{
	.device = "PORT_NVME",
	.hot_reset = true,
};

FIXTURE_SETUP(method)
{
	self->fd = -1;
	NEED_DEVICE(self->bdf, variant->device);
	ASSERT_EQ(0, pci_set_attribute(self->bdf, METHODS, "default"));
	ASSERT_EQ(0, pci_attribute(self->bdf, METHODS, self->all,
				   sizeof(self->all)));
	ASSERT_NE('\0', self->all[0]);
}

FIXTURE_TEARDOWN(method)
{
	if (!self->bdf)
		return;
	if (self->fd >= 0)
		session_close(&self->session);
	EXPECT_EQ(0, pci_set_attribute(self->bdf, METHODS, "default"));
}

static int device_open(struct _test_data_method *self)
{
	int ret = session_open(&self->session, self->bdf, VFIO_TYPE1v2_IOMMU);

	self->fd = ret ? -1 : self->session.device;
	return ret;
}

static void device_close(struct _test_data_method *self)
{
	session_close(&self->session);
	self->fd = -1;
}

static bool says_reset(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return !vfio_ioctl(fd, VFIO_DEVICE_GET_INFO, &info) &&
	       info.flags & VFIO_DEVICE_FLAGS_RESET;
}

static long reset(int fd)
{
	return vfio_ioctl(fd, VFIO_DEVICE_RESET, 0);
}

/* The device works, and what the user has set up survives a reset. */
static void expect_reset_works(struct __test_metadata *_metadata,
			       struct _test_data_method *self,
			       const char *method)
{
	const long bar = pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4);
	const long msix = config_cap(self->fd, PCI_CAP_ID_MSIX);
	int event = event_new();

	ASSERT_LT(0, msix);
	ASSERT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, event));
	ASSERT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, COMMAND));
	EXPECT_EQ(0, reset(self->fd)) TH_LOG("method %s", method);
	EXPECT_EQ(COMMAND, config_read(self->fd, PCI_COMMAND, 2) & COMMAND);
	EXPECT_EQ(COMMAND, pci_hw_config(self->bdf, PCI_COMMAND, 2) & COMMAND);
	EXPECT_EQ(bar, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_NE(0, pci_hw_config(self->bdf, msix + PCI_MSIX_FLAGS, 2) &
		     PCI_MSIX_FLAGS_ENABLE);
	EXPECT_EQ(0, irq_disable(self->fd, VFIO_PCI_MSIX_IRQ_INDEX));
	EXPECT_EQ(0, session_works(&self->session));
	close(event);
}

/* Each method alone does what a reset has to. */
TEST_F(method, each)
{
	char *rest = self->all;
	const char *method;

	while ((method = strsep(&rest, " "))) {
		ASSERT_EQ(0, pci_set_attribute(self->bdf, METHODS, method))
			TH_LOG("method %s", method);
		ASSERT_EQ(0, device_open(self));
		EXPECT_TRUE(says_reset(self->fd)) TH_LOG("method %s", method);
		expect_reset_works(_metadata, self, method);
		device_close(self);
	}
}

/* 6-60: without a method the device opens, and says that there is none. */
TEST_F(method, emptied_before)
{
	ASSERT_EQ(0, pci_set_attribute(self->bdf, METHODS, "\n"));
	ASSERT_EQ(0, device_open(self));
	EXPECT_FALSE(says_reset(self->fd));
	EXPECT_EQ(-EINVAL, reset(self->fd));
	EXPECT_EQ(0, session_works(&self->session));
	/* The methods are back, but not for who has the device. */
	ASSERT_EQ(0, pci_set_attribute(self->bdf, METHODS, "default"));
	EXPECT_FALSE(says_reset(self->fd));
	EXPECT_EQ(-EINVAL, reset(self->fd));
	device_close(self);
	ASSERT_EQ(0, device_open(self));
	EXPECT_TRUE(says_reset(self->fd));
	expect_reset_works(_metadata, self, "default");
}

/* 6-61: the last one goes while the device is open. */
TEST_F(method, emptied_meanwhile)
{
	ASSERT_EQ(0, device_open(self));
	ASSERT_TRUE(says_reset(self->fd));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, METHODS, "\n"));
	EXPECT_TRUE(says_reset(self->fd));
	EXPECT_EQ(-ENOTTY, reset(self->fd));
	/* It costs nothing but the reset. */
	EXPECT_EQ(0, session_works(&self->session));
	EXPECT_EQ(variant->hot_reset ? 0 : -ENODEV,
		  hot_reset(self->fd, self->session.group));
	EXPECT_EQ(0, session_works(&self->session));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, METHODS, "default"));
	expect_reset_works(_metadata, self, "default");
	/* And is gone when the device is closed. */
	ASSERT_EQ(0, pci_set_attribute(self->bdf, METHODS, "\n"));
	device_close(self);
	ASSERT_EQ(0, pci_set_attribute(self->bdf, METHODS, "default"));
	ASSERT_EQ(0, device_open(self));
	EXPECT_TRUE(says_reset(self->fd));
	EXPECT_EQ(0, session_works(&self->session));
}

/*
 * 7-56, 12-9: the user's function level reset in config space takes the same way. The
 * write fails where there is none; C modules say that it was done.
 */
TEST_F(method, emptied_config)
{
	long control, value;

	ASSERT_EQ(0, device_open(self));
	control = config_cap(self->fd, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	value = config_read(self->fd, control, 2);
	ASSERT_LE(0, value);
	ASSERT_EQ(0, config_write(self->fd, control, 2,
				  value | PCI_EXP_DEVCTL_BCR_FLR));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, METHODS, "\n"));
	EXPECT_EQ(on_c_modules() ? 0 : -ENOTTY,
		  config_write(self->fd, control, 2,
			       value | PCI_EXP_DEVCTL_BCR_FLR));
	EXPECT_EQ(value, config_read(self->fd, control, 2));
	EXPECT_EQ(0, session_works(&self->session));
}

/* Another method is in use from the next reset on. */
TEST_F(method, changed_meanwhile)
{
	char *rest = self->all;
	const char *method;

	ASSERT_EQ(0, device_open(self));
	while ((method = strsep(&rest, " "))) {
		ASSERT_EQ(0, pci_set_attribute(self->bdf, METHODS, method))
			TH_LOG("method %s", method);
		EXPECT_TRUE(says_reset(self->fd));
		expect_reset_works(_metadata, self, method);
	}
	/* What does not exist changes nothing. */
	EXPECT_EQ(-EINVAL, pci_set_attribute(self->bdf, METHODS, "no_such"));
	expect_reset_works(_metadata, self, "the last one");
}

VFIO_TEST_MAIN("IGB", "PORT_NVME")
