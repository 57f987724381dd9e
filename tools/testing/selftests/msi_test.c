// SPDX-License-Identifier: GPL-2.0
/*
 * MSI with several vectors: how many there are, what the device is told, and what
 * the user can change of that (6.4, 7.6). What MSI and MSI-X have in common is in
 * irq_test.c.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define EVENTFD		VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER		VFIO_IRQ_SET_ACTION_TRIGGER

#define MSI		VFIO_PCI_MSI_IRQ_INDEX
#define MSIX		VFIO_PCI_MSIX_IRQ_INDEX

/* What the USB controller of QEMU has. */
#define VECTORS		16
#define LOG2_VECTORS	4

/* The fields of Message Control that say what is on. */
#define IN_USE		(PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE)
#define ON(log2)	((log2) << 4 | PCI_MSI_FLAGS_ENABLE)

FIXTURE(msi)
{
	struct vfio_session session;
	int fd;
	int control;
	int events[VECTORS];
};

FIXTURE_SETUP(msi)
{
	unsigned int i;
	long cap;

	SHARE_DEVICE(&self->session, "XHCI");
	self->fd = self->session.device;
	cap = config_cap(self->fd, PCI_CAP_ID_MSI);
	ASSERT_LT(0, cap);
	self->control = cap + PCI_MSI_FLAGS;
	for (i = 0; i < VECTORS; i++)
		self->events[i] = event_new();
}

/* Several vectors of MSI need a table that translates them. */
static bool remaps(void)
{
	char text[4096];

	return file_read("/proc/cmdline", text, sizeof(text)) >= 0 &&
	       !strstr(text, "intremap=off");
}

/* Takes all processors but the first away from the host, or gives them back. */
static void processors_use(bool all)
{
	long count = sysconf(_SC_NPROCESSORS_CONF);
	char path[64];
	long i;

	for (i = 1; i < count; i++) {
		snprintf(path, sizeof(path),
			 "/sys/devices/system/cpu/cpu%ld/online", i);
		file_write(path, all ? "1" : "0");
	}
}

FIXTURE_TEARDOWN(msi)
{
	session_close(&self->session);
	processors_use(true);
}

/* What the device has been told, and what the user reads of it. */
static long hardware(const char *bdf, int control)
{
	return pci_hw_config(bdf, control, 2) & IN_USE;
}

static long shown(int fd, int control)
{
	return config_read(fd, control, 2) & IN_USE;
}

/* 6-18 */
TEST_F(msi, info)
{
	struct vfio_irq_info info = {
		.argsz = sizeof(info),
		.index = MSI,
	};

	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EXPECT_EQ(VECTORS, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);
	EXPECT_EQ(LOG2_VECTORS << 1,
		  config_read(self->fd, self->control, 2) & PCI_MSI_FLAGS_QMASK);
}

/* 6-41, 6-47: the device gets a power of two, rounded up. */
TEST_F(msi, message_control)
{
	static const unsigned int counts[] = { 1, 2, 3, 5, 8, VECTORS };
	static const unsigned int log2[] = { 0, 1, 2, 3, 3, LOG2_VECTORS };
	unsigned int i;

	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		ASSERT_EQ(0, irq_eventfds(self->fd, MSI, 0, counts[i],
					  self->events));
		EXPECT_EQ(ON(log2[i]), hardware(self->session.bdf, self->control));
		EXPECT_EQ(0, irq_none(self->fd, MSI, TRIGGER, 0, VECTORS));
		EXPECT_EQ((1U << counts[i]) - 1,
			  events_take(self->events, VECTORS));
		EXPECT_EQ(0, irq_disable(self->fd, MSI));
		EXPECT_EQ(0, hardware(self->session.bdf, self->control) &
			     PCI_MSI_FLAGS_ENABLE);
	}
}

/* 6-42: vectors without eventfds, and 6-45: none beyond them. */
TEST_F(msi, without_eventfds)
{
	ASSERT_EQ(0, irq_eventfds(self->fd, MSI, 3, 0, self->events));
	EXPECT_EQ(ON(2), hardware(self->session.bdf, self->control));
	EXPECT_FALSE(irq_listed("(%s)", self->session.bdf));
	EXPECT_EQ(0, irq_none(self->fd, MSI, TRIGGER, 0, VECTORS));
	EXPECT_EQ(0, events_take(self->events, VECTORS));
	EXPECT_EQ(0, irq_eventfds(self->fd, MSI, 2, 1, self->events + 2));
	/* The device has been given four; the fourth is nobody's. */
	EXPECT_EQ(-EINVAL, irq_eventfds(self->fd, MSI, 3, 1, self->events + 3));
	EXPECT_EQ(-EINVAL, irq_eventfds(self->fd, MSI, VECTORS - 1, 1,
					self->events));
	EXPECT_EQ(0, irq_none(self->fd, MSI, TRIGGER, 0, VECTORS));
	EXPECT_EQ(0x4, events_take(self->events, VECTORS));
}

/* 6-45, 12-22: nor does a block that goes beyond them do anything. */
TEST_F(msi, block_beyond)
{
	ASSERT_EQ(0, irq_eventfds(self->fd, MSI, 0, 3, self->events));
	EXPECT_EQ(-EINVAL, irq_eventfds(self->fd, MSI, 1, 3, self->events + 4));
	EXPECT_EQ(0, irq_none(self->fd, MSI, TRIGGER, 0, VECTORS));
	EXPECT_EQ(on_c_modules() ? 0x1 : 0x7,
		  events_take(self->events, VECTORS));
}

/* 7-51: the user can have fewer than the ioctl has set up, or none, but not more. */
TEST_F(msi, clamp)
{
	ASSERT_EQ(0, irq_eventfds(self->fd, MSI, 0, 3, self->events));
	EXPECT_EQ(0, config_write(self->fd, self->control, 2, ON(LOG2_VECTORS)));
	EXPECT_EQ(ON(2), shown(self->fd, self->control));
	EXPECT_EQ(ON(2), hardware(self->session.bdf, self->control));
	EXPECT_EQ(0, config_write(self->fd, self->control, 2, ON(1)));
	EXPECT_EQ(ON(1), shown(self->fd, self->control));
	EXPECT_EQ(ON(1), hardware(self->session.bdf, self->control));
	EXPECT_EQ(0, config_write(self->fd, self->control, 1, 0));
	EXPECT_EQ(0, shown(self->fd, self->control));
	EXPECT_EQ(0, hardware(self->session.bdf, self->control));
	/* With the ioctl's back, and without any. */
	EXPECT_EQ(0, config_write(self->fd, self->control, 1, ON(2)));
	EXPECT_EQ(ON(2), hardware(self->session.bdf, self->control));
	EXPECT_EQ(0, irq_disable(self->fd, MSI));
	EXPECT_EQ(0, config_write(self->fd, self->control, 2, ON(LOG2_VECTORS)));
	EXPECT_EQ(2 << 4, shown(self->fd, self->control));
	EXPECT_EQ(2 << 4, hardware(self->session.bdf, self->control));
}

/* Takes all vectors that @device has, or as many as are left; returns what ended it. */
static long take_vectors(int device)
{
	struct vfio_irq_info info = {
		.argsz = sizeof(info),
		.index = MSIX,
	};
	long ret = vfio_ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info);
	unsigned int i;

	for (i = 0; !ret && i < info.count; i++)
		ret = irq_eventfd(device, MSIX, i, event_new());
	return ret;
}

/*
 * 6-41: the host's only processor does not have as many vectors any more. The kernel
 * says so, rather than how many there are, and nothing is enabled.
 */
TEST_F(msi, none_left)
{
	static const char *const names[] = { "NVME", "PORT_NVME", "IGB",
					     "PORT_IGB" };
	struct vfio_session some, session;
	unsigned int i;
	long ret = 0;

	if (!remaps())
		SKIP(return, "only one vector is to be had");
	processors_use(false);
	ASSERT_EQ(1, sysconf(_SC_NPROCESSORS_ONLN));
	SHARE_DEVICE(&some, "E1000E");
	ASSERT_EQ(0, take_vectors(some.device));
	for (i = 0; !ret && i < sizeof(names) / sizeof(*names); i++) {
		SHARE_DEVICE(&session, names[i]);
		ret = take_vectors(session.device);
	}
	ASSERT_EQ(-ENOSPC, ret);
	EXPECT_EQ(-ENOSPC, irq_eventfds(self->fd, MSI, 0, 1, self->events));
	/* Five are too few for all, but not for some. */
	ASSERT_EQ(0, irq_disable(some.device, MSIX));
	EXPECT_EQ(-ENOSPC, irq_eventfds(self->fd, MSI, 0, VECTORS, self->events));
	EXPECT_EQ(0, hardware(self->session.bdf, self->control) &
		     PCI_MSI_FLAGS_ENABLE);
	EXPECT_EQ(-EINVAL, irq_none(self->fd, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(0, irq_eventfds(self->fd, MSI, 0, 4, self->events));
	EXPECT_EQ(0, irq_none(self->fd, MSI, TRIGGER, 0, VECTORS));
	EXPECT_EQ(0xf, events_take(self->events, VECTORS));
}

/*
 * 6-41: without interrupt remapping the kernel has no more than one vector of MSI
 * for a device. The ioctl returns that, and does nothing.
 */
TEST_F(msi, fewer)
{
	if (remaps())
		SKIP(return, "needs a boot of its own, with intremap=off");
	EXPECT_EQ(1, irq_eventfds(self->fd, MSI, 0, VECTORS, self->events));
	EXPECT_EQ(1, irq_eventfds(self->fd, MSI, 1, 1, self->events));
	EXPECT_EQ(0, hardware(self->session.bdf, self->control) &
		     PCI_MSI_FLAGS_ENABLE);
	EXPECT_EQ(-EINVAL, irq_none(self->fd, MSI, TRIGGER, 0, 1));
	EXPECT_FALSE(irq_listed("(%s)", self->session.bdf));
	EXPECT_EQ(0, irq_eventfds(self->fd, MSI, 0, 1, self->events));
	EXPECT_EQ(ON(0), hardware(self->session.bdf, self->control));
	EXPECT_EQ(0, irq_none(self->fd, MSI, TRIGGER, 0, VECTORS));
	EXPECT_EQ(0x1, events_take(self->events, VECTORS));
}

VFIO_TEST_MAIN_OPEN("XHCI", "NVME", "PORT_NVME", "IGB", "PORT_IGB", "E1000E")
