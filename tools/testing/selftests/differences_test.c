// SPDX-License-Identifier: GPL-2.0
/*
 * Where this stack deliberately does not do what the C modules do. Each test shows
 * both; differences.rst tells why.
 */
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define EVENTFD		VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER		VFIO_IRQ_SET_ACTION_TRIGGER
#define MSIX		VFIO_PCI_MSIX_IRQ_INDEX

/* No process has that many files open. */
#define FD_CLOSED	900

#define PCI_D0		0
#define PCI_D3hot	3

/* 12-22: an eventfd that is bad changes nothing for the vectors before it. */
TEST(failed_block)
{
	struct vfio_session session;
	const char *bdf;
	int32_t bad[2];
	int events[3];
	int i;

	NEED_DEVICE(bdf, "NVME");
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	for (i = 0; i < 3; i++)
		events[i] = event_new();
	ASSERT_EQ(0, irq_set(session.device, MSIX, EVENTFD | TRIGGER, 0, 2, events,
			     2 * sizeof(*events)));
	bad[0] = events[2];
	bad[1] = FD_CLOSED;
	ASSERT_EQ(-EBADF, irq_set(session.device, MSIX, EVENTFD | TRIGGER, 0, 2,
				  bad, sizeof(bad)));
	EXPECT_EQ(0, irq_none(session.device, MSIX, TRIGGER, 0, 2));
	EXPECT_EQ(on_c_modules() ? -EAGAIN : 1, event_take(events[0]));
	EXPECT_EQ(on_c_modules() ? -EAGAIN : 1, event_take(events[1]));
	EXPECT_EQ(-EAGAIN, event_take(events[2]));
	session_close(&session);
	for (i = 0; i < 3; i++)
		close(events[i]);
}

/* 12-13: a device that does DMA to one iommufd is not handed out by another. */
TEST(device_of_another_iommufd)
{
	int first = iommufd_open();
	int second = iommufd_open();
	long device, again;
	const char *bdf;
	int group;

	NEED_DEVICE(bdf, "NVME");
	NEED_IOMMUFD();
	ASSERT_LE(0, first);
	ASSERT_LE(0, second);
	group = group_open(bdf);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, first));
	device = group_device(group, bdf);
	ASSERT_LE(0, device);
	ASSERT_EQ(0, vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	ASSERT_EQ(0, group_set_container(group, second));
	again = group_device(group, bdf);
	if (on_c_modules()) {
		EXPECT_LE(0, again);
	} else {
		EXPECT_EQ(-EBUSY, again);
	}
	if (again >= 0)
		close(again);
	close(device);
	close(group);
	close(second);
	close(first);
}

/* 12-2: width and queue size of MSI are the device's, not the user's. */
TEST(msi_flags)
{
	const uint16_t fixed = PCI_MSI_FLAGS_QMASK | PCI_MSI_FLAGS_64BIT;
	struct vfio_session session;
	long cap, before;
	const char *bdf;

	NEED_DEVICE(bdf, "IGB");
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	cap = config_cap(session.device, PCI_CAP_ID_MSI);
	ASSERT_LT(0, cap);
	before = config_read(session.device, cap + PCI_MSI_FLAGS, 2) & fixed;
	ASSERT_EQ(0, config_write(session.device, cap + PCI_MSI_FLAGS, 2,
				  before ^ fixed));
	EXPECT_EQ(on_c_modules() ? before ^ fixed : before,
		  config_read(session.device, cap + PCI_MSI_FLAGS, 2) & fixed);
	session_close(&session);
}

/* 7-28: INTx that was unmasked while the device slept works when it is awake. */
TEST(intx_after_sleep)
{
	struct vfio_session session;
	int event = event_new();
	const char *bdf;
	long power;

	NEED_DEVICE(bdf, "E1000E");
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	power = config_cap(session.device, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	ASSERT_EQ(0, irq_eventfd(session.device, VFIO_PCI_INTX_IRQ_INDEX, 0,
				 event));
	ASSERT_EQ(0, config_write(session.device, PCI_COMMAND, 2,
				  PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE));
	ASSERT_EQ(0, config_write(session.device, power, 2, PCI_D3hot));
	ASSERT_EQ(0, config_write(session.device, PCI_COMMAND, 2,
				  PCI_COMMAND_MEMORY));
	ASSERT_EQ(0, config_write(session.device, power, 2, PCI_D0));
	EXPECT_EQ(PCI_COMMAND_MEMORY, config_read(session.device, PCI_COMMAND, 2));
	EXPECT_EQ(on_c_modules() ? PCI_COMMAND_INTX_DISABLE : 0,
		  pci_hw_config(bdf, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	session_close(&session);
	close(event);
}

/* In D3, where igb forgets its config space on the way back: only I/O is left enabled. */
static void sleep_without_master(struct __test_metadata *_metadata, int device)
{
	long power = config_cap(device, PCI_CAP_ID_PM) + PCI_PM_CTRL;

	ASSERT_EQ(0, config_write(device, PCI_COMMAND, 2, PCI_COMMAND_IO |
				  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
	ASSERT_EQ(0, config_write(device, power, 2, PCI_D3hot));
	ASSERT_EQ(0, config_write(device, PCI_COMMAND, 2, PCI_COMMAND_IO));
}

/*
 * 7-56, 6-61: the ioctl gives a device that sleeps what it had when it fell asleep; here
 * the reset through its capability does so, too.
 */
TEST(reset_in_d3)
{
	struct vfio_session session;
	long control, command, bar;
	const char *bdf;

	NEED_DEVICE(bdf, "IGB");
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	control = config_cap(session.device, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	bar = pci_hw_config(bdf, PCI_BASE_ADDRESS_0, 4);

	sleep_without_master(_metadata, session.device);
	ASSERT_EQ(0, vfio_ioctl(session.device, VFIO_DEVICE_RESET, 0));
	command = config_read(session.device, PCI_COMMAND, 2);
	EXPECT_EQ(PCI_COMMAND_IO | PCI_COMMAND_MASTER,
		  command & (PCI_COMMAND_IO | PCI_COMMAND_MASTER));
	EXPECT_EQ(bar, pci_hw_config(bdf, PCI_BASE_ADDRESS_0, 4));

	sleep_without_master(_metadata, session.device);
	ASSERT_EQ(0, config_write(session.device, control, 2,
				  config_read(session.device, control, 2) |
				  PCI_EXP_DEVCTL_BCR_FLR));
	command = config_read(session.device, PCI_COMMAND, 2);
	report_difference("bus mastering after a reset in D3",
			  command & PCI_COMMAND_MASTER ? "on" : "off");
	EXPECT_EQ(on_c_modules() ? 0 : PCI_COMMAND_MASTER,
		  command & PCI_COMMAND_MASTER);
	session_close(&session);
}

static long queue_size(int device, long cap, unsigned int log2)
{
	long ret = config_write(device, cap + PCI_MSI_FLAGS, 1,
				log2 << 4 | PCI_MSI_FLAGS_ENABLE);

	if (ret)
		return ret;
	ret = config_read(device, cap + PCI_MSI_FLAGS, 1);
	return ret < 0 ? ret : ret & (PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE);
}

/*
 * 12-26, 7-51: nobody can use more vectors than this user has had; before the
 * first time, no more than one.
 */
TEST(vectors_of_the_last_user)
{
	struct vfio_session session;
	const char *bdf;
	int event = event_new();
	long cap;

	NEED_DEVICE(bdf, "XHCI");
	/* One that has not had a user yet. */
	ASSERT_EQ(0, pci_bind(bdf, NULL));
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	cap = config_cap(session.device, PCI_CAP_ID_MSI);
	ASSERT_LT(0, cap);
	EXPECT_EQ(0, queue_size(session.device, cap, 4));
	ASSERT_EQ(0, irq_eventfd(session.device, VFIO_PCI_MSI_IRQ_INDEX, 15,
				 event));
	EXPECT_EQ(4 << 4 | PCI_MSI_FLAGS_ENABLE,
		  queue_size(session.device, cap, 4));
	session_close(&session);

	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(on_c_modules() ? 4 << 4 : 0,
		  queue_size(session.device, cap, 4));
	EXPECT_EQ(on_c_modules() ? 4 << 4 : 0,
		  pci_hw_config(bdf, cap + PCI_MSI_FLAGS, 2) &
		  (PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE));
	session_close(&session);
	close(event);
}

VFIO_TEST_MAIN("NVME", "E1000E", "IGB", "XHCI")
