// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that must not have MSI: by msi_bus in sysfs, or, in a boot with
 * pci=nomsi, none of them. INTx is what is left.
 */
#include <linux/pci_regs.h>

#include "interrupts.h"
#include "kselftest_harness.h"
#include "edu_fixture.h"

/* Whether this kernel has any MSI. */
static bool messages_exist(void)
{
	char line[4096];
	long len = file_read("/proc/cmdline", line, sizeof(line));

	return len < 0 || !strstr(line, "pci=nomsi");
}

static long irq_count(int device, uint32_t index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	long ret = vfio_ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info);

	return ret < 0 ? ret : info.count;
}

/* What the hardware has of it all: COMMAND and the flags of a capability. */
static uint32_t state(int device, const char *bdf, uint8_t id)
{
	return pci_hw_config(bdf, PCI_COMMAND, 2) << 16 |
	       pci_hw_config(bdf, config_cap(device, id) + PCI_MSI_FLAGS, 2);
}

/* An interrupt that is raised arrives, and another one once it is unmasked. */
static bool intx_works(int fd, int event)
{
	int i;

	if (irq_eventfd(fd, INTX, 0, event))
		return false;
	for (i = 0; i < 2; i++) {
		edu_write(fd, EDU_IRQ_RAISE, 1);
		if (event_wait(event, SOON) != 1)
			return false;
		edu_write(fd, EDU_IRQ_ACK, 1);
		if (irq_none(fd, INTX, UNMASK, 0, 1))
			return false;
	}
	return event_take(event) == -EAGAIN && !irq_disable(fd, INTX);
}

static bool msi_works(int fd, int event)
{
	if (irq_eventfd(fd, MSI, 0, event))
		return false;
	edu_write(fd, EDU_IRQ_RAISE, 1);
	if (event_wait(event, SOON) != 1)
		return false;
	edu_write(fd, EDU_IRQ_ACK, 1);
	return !irq_disable(fd, MSI);
}

/* 6-33, 6-41, 6-47 */
TEST_F(edu, msi_bus)
{
	const char *bdf = self->session.bdf;
	uint32_t before = state(self->fd, bdf, PCI_CAP_ID_MSI);

	ASSERT_EQ(0, pci_set_attribute(bdf, "msi_bus", "0"));
	/* The device has not changed; what it is allowed to do has. */
	EXPECT_EQ(1, irq_count(self->fd, MSI));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, MSI, 0, self->event));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, MSI, 0, -1));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(before, state(self->fd, bdf, PCI_CAP_ID_MSI));
	EXPECT_FALSE(irq_listed("vfio-msi[0](%s)", bdf));
	EXPECT_TRUE(intx_works(self->fd, self->event));
	EXPECT_EQ(before, state(self->fd, bdf, PCI_CAP_ID_MSI));
	/* Again, with INTx in use: which stays. */
	EXPECT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, MSI, 0, self->event));
	EXPECT_EQ(0, irq_none(self->fd, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_EQ(0, irq_disable(self->fd, INTX));
	ASSERT_EQ(0, pci_set_attribute(bdf, "msi_bus", "1"));
	EXPECT_EQ(messages_exist(), msi_works(self->fd, self->event));
	EXPECT_TRUE(intx_works(self->fd, self->event));
}

/* 6-43, 6-44: MSI that is in use goes on; it is only not to be had again. */
TEST_F(edu, msi_bus_while_in_use)
{
	const char *bdf = self->session.bdf;

	if (!messages_exist())
		SKIP(return, "pci=nomsi");
	ASSERT_EQ(0, irq_eventfd(self->fd, MSI, 0, self->event));
	ASSERT_EQ(0, pci_set_attribute(bdf, "msi_bus", "0"));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
	EXPECT_EQ(0, irq_eventfd(self->fd, MSI, 0, -1));
	EXPECT_EQ(0, irq_eventfd(self->fd, MSI, 0, self->event));
	EXPECT_EQ(0, irq_disable(self->fd, MSI));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, MSI, 0, self->event));
	EXPECT_TRUE(intx_works(self->fd, self->event));
	ASSERT_EQ(0, pci_set_attribute(bdf, "msi_bus", "1"));
	EXPECT_TRUE(msi_works(self->fd, self->event));
}

/* The bridge above a device decides for all behind it. */
TEST(bridge)
{
	struct vfio_session session;
	int event = event_new();
	char path[256], real[512];
	const char *bdf;

	NEED_DEVICE(bdf, "PORT_NVME");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	ASSERT_NE(NULL, realpath(path, real));
	*strrchr(real, '/') = '\0';
	snprintf(path, sizeof(path), "%.200s/msi_bus", real);
	ASSERT_EQ(0, file_write(path, "0"));
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_LT(0, irq_count(session.device, MSIX));
	EXPECT_EQ(-EINVAL, irq_eventfd(session.device, MSIX, 0, event));
	ASSERT_EQ(0, file_write(path, "1"));
	EXPECT_EQ(messages_exist() ? 0 : -EINVAL,
		  irq_eventfd(session.device, MSIX, 0, event));
	session_close(&session);
	close(event);
}

FIXTURE(igb)
{
	const char *bdf;
	struct vfio_session session;
	int event;
};

FIXTURE_SETUP(igb)
{
	NEED_DEVICE(self->bdf, "IGB");
	self->event = event_new();
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "msi_bus", "0"));
	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
}

FIXTURE_TEARDOWN(igb)
{
	EXPECT_EQ(0, pci_set_attribute(self->bdf, "msi_bus", "1"));
	EXPECT_EQ(0, session_finish(&self->session));
	close(self->event);
}

/* 6-41: a device that was opened like this; one vector, and all. */
TEST_F(igb, from_the_start)
{
	int device = self->session.device;
	uint32_t before = state(device, self->bdf, PCI_CAP_ID_MSIX);
	long vectors = irq_count(device, MSIX);
	int fds[64];
	long i;

	ASSERT_LT(1, vectors);
	ASSERT_GE(64, vectors);
	for (i = 0; i < vectors; i++)
		fds[i] = self->event;
	EXPECT_EQ(-EINVAL, irq_eventfd(device, MSIX, 0, self->event));
	EXPECT_EQ(-EINVAL, irq_eventfds(device, MSIX, 0, vectors, fds));
	EXPECT_EQ(-EINVAL, irq_disable(device, MSIX));
	EXPECT_LT(0, irq_count(device, MSI));
	EXPECT_EQ(-EINVAL, irq_eventfd(device, MSI, 0, self->event));
	EXPECT_EQ(before, state(device, self->bdf, PCI_CAP_ID_MSIX));
	EXPECT_EQ(0, irq_eventfd(device, INTX, 0, self->event));
	EXPECT_EQ(0, irq_none(device, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_EQ(0, irq_disable(device, INTX));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "msi_bus", "1"));
	if (!messages_exist()) {
		EXPECT_EQ(-EINVAL, irq_eventfd(device, MSIX, 0, self->event));
		return;
	}
	EXPECT_EQ(0, irq_eventfds(device, MSIX, 0, vectors, fds));
	EXPECT_EQ(0, irq_none(device, MSIX, TRIGGER, 0, vectors));
	EXPECT_EQ(vectors, event_take(self->event));
	EXPECT_EQ(0, irq_disable(device, MSIX));
}

int main(int argc, char **argv)
{
	static const char *const open[] = { "EDU", NULL };
	static const char *const bound[] = { "EDU", "IGB", "PORT_NVME", NULL };

	pci_claim(bound);
	session_keep(open);
	return test_harness_run(argc, argv);
}
