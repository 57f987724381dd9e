// SPDX-License-Identifier: GPL-2.0
/* SET_IRQS: generic refusals, MSI, MSI-X, ERR and REQ (6.3, 6.4). */
#include <fcntl.h>

#include <linux/pci_regs.h>

#include "interrupts.h"
#include "kselftest_harness.h"
#include "edu_fixture.h"

static long set_raw(int fd, uint32_t argsz, uint32_t flags, uint32_t index,
		    uint32_t start, uint32_t count)
{
	struct {
		struct vfio_irq_set set;
		int32_t fds[4];
	} irqs = {
		.set = {
			.argsz = argsz,
			.flags = flags,
			.index = index,
			.start = start,
			.count = count,
		},
		.fds = { -1, -1, -1, -1 },
	};

	return vfio_ioctl(fd, VFIO_DEVICE_SET_IRQS, &irqs);
}

/* 6-21, 6-22 */
TEST_F(edu, structure)
{
	char *edge = memory_new(2 * PAGE_SIZE);
	const uint32_t flags = NONE | TRIGGER;

	ASSERT_EQ(0, munmap(edge + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_SET_IRQS, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_SET_IRQS,
				      edge + PAGE_SIZE - 19));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 0, flags, INTX, 0, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 19, flags, INTX, 0, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 20, flags, VFIO_PCI_NUM_IRQS, 0, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 20, flags, UINT32_MAX, 0, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 20, flags, INTX, 0, UINT32_MAX));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 20, flags, INTX, UINT32_MAX, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 20, flags, INTX, 1, UINT32_MAX - 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 20, flags | 0x40, INTX, 0, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 20, flags | 1U << 31, INTX, 0, 1));
}

/* 6-23: beyond what the index has; this device has no MSI-X at all. */
TEST_F(edu, range)
{
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 36, EVENTFD | TRIGGER, INTX, 1, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 36, EVENTFD | TRIGGER, INTX, 0, 2));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 36, EVENTFD | TRIGGER, MSI, 0, 2));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 36, EVENTFD | TRIGGER, MSIX, 0, 1));
	EXPECT_EQ(-EINVAL, irq_disable(self->fd, MSIX));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, VFIO_PCI_ERR_IRQ_INDEX, TRIGGER, 1,
				    1));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, VFIO_PCI_REQ_IRQ_INDEX, TRIGGER, 0,
				    2));
}

/* 6-24 to 6-26 */
TEST_F(edu, data_and_action)
{
	char *edge = memory_new(2 * PAGE_SIZE);
	struct vfio_irq_set *set;

	EXPECT_EQ(-EINVAL, set_raw(self->fd, 36, TRIGGER, INTX, 0, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 36, NONE | BOOL | TRIGGER, INTX, 0,
				   1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 36, BOOL | EVENTFD | TRIGGER, INTX,
				   0, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 36, NONE | BOOL | EVENTFD | TRIGGER,
				   INTX, 0, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 20, BOOL | TRIGGER, INTX, 0, 1));
	EXPECT_EQ(-EINVAL, set_raw(self->fd, 23, EVENTFD | TRIGGER, INTX, 0, 1));
	EXPECT_EQ(-ENOTTY, set_raw(self->fd, 20, NONE, INTX, 0, 1));
	EXPECT_EQ(-ENOTTY, set_raw(self->fd, 20, NONE | MASK | UNMASK, INTX, 0,
				   1));
	EXPECT_EQ(-ENOTTY, set_raw(self->fd, 20, NONE | MASK | TRIGGER, INTX, 0,
				   1));
	EXPECT_EQ(-ENOTTY, set_raw(self->fd, 20, NONE | MASK, MSI, 0, 1));
	EXPECT_EQ(-ENOTTY, set_raw(self->fd, 20, NONE | UNMASK, MSI, 0, 1));
	EXPECT_EQ(-ENOTTY, set_raw(self->fd, 20, NONE | MASK,
				   VFIO_PCI_ERR_IRQ_INDEX, 0, 1));
	EXPECT_EQ(-ENOTTY, set_raw(self->fd, 20, NONE | UNMASK,
				   VFIO_PCI_REQ_IRQ_INDEX, 0, 1));

	/* The header is there, the data is not. */
	ASSERT_EQ(0, munmap(edge + PAGE_SIZE, PAGE_SIZE));
	set = (void *)(edge + PAGE_SIZE - sizeof(*set));
	set->argsz = sizeof(*set) + 4;
	set->flags = EVENTFD | TRIGGER;
	set->index = INTX;
	set->start = 0;
	set->count = 1;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_SET_IRQS, set));
	set->flags = BOOL | TRIGGER;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_SET_IRQS, set));
}

/* 6-41, 6-47, 6-48, 1-31 */
TEST_F(edu, msi_delivery)
{
	ASSERT_EQ(0, irq_eventfd(self->fd, MSI, 0, self->event));
	EXPECT_TRUE(irq_listed("vfio-msi[0](%s)", self->session.bdf));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
	/* A message is not masked by the one before it. */
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 2));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 2));
	EXPECT_EQ(0, irq_none(self->fd, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_EQ(0, irq_bool(self->fd, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_EQ(0, irq_bool(self->fd, MSI, TRIGGER, 0, 0));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(0, irq_disable(self->fd, MSI));
	EXPECT_FALSE(irq_listed("vfio-msi[0](%s)", self->session.bdf));
	EXPECT_EQ(-EINVAL, irq_disable(self->fd, MSI));
}

/* 6-42, 6-48, 6-41 */
TEST_F(edu, msi_refusals)
{
	int null = open("/dev/null", O_RDWR);

	EXPECT_EQ(-EINVAL, irq_none(self->fd, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(-EINVAL, irq_bool(self->fd, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(-ERANGE, irq_set(self->fd, MSI, EVENTFD | TRIGGER, 0, 0, NULL,
				   0));
	EXPECT_EQ(-EBADF, irq_eventfd(self->fd, MSI, 0, 9999));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, MSI, 0, null));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(0, irq_eventfd(self->fd, MSI, 0, self->event));
	EXPECT_EQ(-ENOTTY, irq_none(self->fd, MSI, MASK, 0, 1));
	EXPECT_EQ(-ENOTTY, irq_fd(self->fd, MSI, UNMASK, self->event));
}

/* 6-33, 6-46: one kind of interrupt at a time. */
TEST_F(edu, one_index_at_a_time)
{
	int other = event_new();

	ASSERT_EQ(0, irq_eventfd(self->fd, MSI, 0, self->event));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, INTX, 0, other));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, INTX, MASK, 0, 1));
	EXPECT_EQ(-EINVAL, irq_disable(self->fd, INTX));
	EXPECT_EQ(0, irq_disable(self->fd, MSI));
	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, other));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, MSI, 0, self->event));
	EXPECT_EQ(-EINVAL, irq_disable(self->fd, MSI));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(other, SOON));
}

/* 6-43, 6-44 */
TEST_F(edu, msi_swap)
{
	int second = event_new();

	ASSERT_EQ(0, irq_eventfd(self->fd, MSI, 0, self->event));
	EXPECT_EQ(0, irq_eventfd(self->fd, MSI, 0, second));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(second, SOON));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
	EXPECT_EQ(0, irq_eventfd(self->fd, MSI, 0, -1));
	EXPECT_EQ(0, irq_none(self->fd, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(second, QUIET));
	EXPECT_EQ(0, irq_eventfd(self->fd, MSI, 0, self->event));
	EXPECT_EQ(0, irq_none(self->fd, MSI, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(self->event));
}

FIXTURE(event_index)
{
	struct vfio_session session;
	int fd;
	int event;
};

FIXTURE_VARIANT(event_index)
{
	uint32_t index;
};

FIXTURE_VARIANT_ADD(event_index, err)
{
	.index = VFIO_PCI_ERR_IRQ_INDEX,
};

FIXTURE_VARIANT_ADD(event_index, req)
{
	.index = VFIO_PCI_REQ_IRQ_INDEX,
};

FIXTURE_SETUP(event_index)
{
	SHARE_DEVICE(&self->session, "EDU");
	self->fd = self->session.device;
	self->event = event_new();
}

FIXTURE_TEARDOWN(event_index)
{
	session_close(&self->session);
}

/* 6-53, 6-55, 6-56 */
TEST_F(event_index, trigger)
{
	uint32_t index = variant->index;
	int second = event_new();

	EXPECT_EQ(-EINVAL, irq_none(self->fd, index, TRIGGER, 0, 1));
	EXPECT_EQ(-EINVAL, irq_disable(self->fd, index));
	ASSERT_EQ(0, irq_eventfd(self->fd, index, 0, self->event));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_EQ(0, irq_bool(self->fd, index, TRIGGER, 0, 0));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(0, irq_bool(self->fd, index, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_EQ(0, irq_eventfd(self->fd, index, 0, second));
	EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(second));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(0, irq_disable(self->fd, index));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, index, TRIGGER, 0, 1));
	EXPECT_EQ(0, irq_bool(self->fd, index, TRIGGER, 0, 1));
	EXPECT_EQ(-EAGAIN, event_take(second));
}

/* 6-53, 6-54, 6-56 to 6-58 */
TEST_F(event_index, refusals)
{
	uint32_t index = variant->index;
	int null = open("/dev/null", O_RDWR);

	EXPECT_EQ(-EBADF, irq_eventfd(self->fd, index, 0, 9999));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, index, 0, null));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, index, 0, -2));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, index, 1, self->event));
	EXPECT_EQ(-EINVAL, irq_set(self->fd, index, EVENTFD | TRIGGER, 0, 0,
				   NULL, 0));
	EXPECT_EQ(-EINVAL, irq_set(self->fd, index, BOOL | TRIGGER, 0, 0, NULL,
				   0));
	EXPECT_EQ(-ENOTTY, irq_none(self->fd, index, MASK, 0, 1));
	EXPECT_EQ(-ENOTTY, irq_fd(self->fd, index, UNMASK, self->event));
	EXPECT_EQ(0, irq_eventfd(self->fd, index, 0, self->event));
	EXPECT_EQ(0, irq_eventfd(self->fd, index, 0, -1));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, index, TRIGGER, 0, 1));
}

#define VECTORS	5

/* MSI-X of two devices, and MSI of one that has several vectors. */
FIXTURE(vectors)
{
	struct vfio_session session;
	int fd;
	int events[VECTORS];
};

FIXTURE_VARIANT(vectors)
{
	const char *name;
	uint32_t index;
	const char *listed;
};

FIXTURE_VARIANT_ADD(vectors, igb)
{
	.name = "IGB",
	.index = MSIX,
	.listed = "vfio-msix[%u](%%s)",
};

FIXTURE_VARIANT_ADD(vectors, nvme)
{
	.name = "NVME",
	.index = MSIX,
	.listed = "vfio-msix[%u](%%s)",
};

FIXTURE_VARIANT_ADD(vectors, msi)
{
	.name = "XHCI",
	.index = MSI,
	.listed = "vfio-msi[%u](%%s)",
};

FIXTURE_SETUP(vectors)
{
	unsigned int i;

	SHARE_DEVICE(&self->session, variant->name);
	self->fd = self->session.device;
	for (i = 0; i < VECTORS; i++)
		self->events[i] = event_new();
}

FIXTURE_TEARDOWN(vectors)
{
	session_close(&self->session);
}

/* 6-41, 6-47, 6-48 */
TEST_F(vectors, loopback)
{
	const uint32_t index = variant->index;
	const uint8_t sparse[VECTORS] = { 1, 0, 1, 0, 1 };
	char name[64];
	unsigned int i;

	EXPECT_EQ(-EINVAL, irq_none(self->fd, index, TRIGGER, 0, 1));
	ASSERT_EQ(0, irq_eventfds(self->fd, index, 0, VECTORS, self->events));
	for (i = 0; i < VECTORS; i++) {
		snprintf(name, sizeof(name), variant->listed, i);
		EXPECT_TRUE(irq_listed(name, self->session.bdf));
	}
	EXPECT_EQ(0, events_take(self->events, VECTORS));
	for (i = 0; i < VECTORS; i++) {
		EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, i, 1));
		EXPECT_EQ(1U << i, events_take(self->events, VECTORS));
	}
	EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, 1, 3));
	EXPECT_EQ(0xe, events_take(self->events, VECTORS));
	EXPECT_EQ(0, irq_set(self->fd, index, BOOL | TRIGGER, 0, VECTORS, sparse,
			     VECTORS));
	EXPECT_EQ(0x15, events_take(self->events, VECTORS));
	EXPECT_EQ(0, irq_disable(self->fd, index));
	EXPECT_FALSE(irq_listed("(%s)", self->session.bdf));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, index, TRIGGER, 0, 1));
}

/* 6-43, 6-44, 6-48: vectors come and go one by one; the others stay. */
TEST_F(vectors, single_vectors)
{
	const uint32_t index = variant->index;
	const int some[3] = { self->events[0], -1, self->events[2] };
	int other = event_new();

	ASSERT_EQ(0, irq_eventfds(self->fd, index, 0, 3, some));
	EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, 0, 3));
	EXPECT_EQ(0x5, events_take(self->events, VECTORS));
	EXPECT_EQ(0, irq_eventfd(self->fd, index, 1, self->events[1]));
	EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, 0, 3));
	EXPECT_EQ(0x7, events_take(self->events, VECTORS));
	EXPECT_EQ(0, irq_eventfd(self->fd, index, 0, -1));
	EXPECT_EQ(0, irq_eventfd(self->fd, index, 2, other));
	EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, 0, 3));
	EXPECT_EQ(0x2, events_take(self->events, VECTORS));
	EXPECT_EQ(1, event_take(other));
	EXPECT_EQ(0, irq_disable(self->fd, index));
}

/* 6-45: a vector beyond those that were enabled first. */
TEST_F(vectors, grow)
{
	const uint32_t index = variant->index;
	struct vfio_irq_info info = {
		.argsz = sizeof(info),
		.index = index,
	};
	long ret;

	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
	ASSERT_EQ(0, irq_eventfds(self->fd, index, 0, 2, self->events));
	ret = irq_eventfd(self->fd, index, 4, self->events[4]);
	if (info.flags & VFIO_IRQ_INFO_NORESIZE) {
		EXPECT_EQ(-EINVAL, ret);
		EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, 0, VECTORS));
		EXPECT_EQ(0x3, events_take(self->events, VECTORS));
		return;
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, 4, 1));
	EXPECT_EQ(0x10, events_take(self->events, VECTORS));
	EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, 0, VECTORS));
	EXPECT_EQ(0x13, events_take(self->events, VECTORS));
}

/* 6-23, 6-46 */
TEST_F(vectors, refusals)
{
	const uint32_t index = variant->index;
	struct vfio_irq_info info = {
		.argsz = sizeof(info),
		.index = index,
	};

	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, index, info.count,
				       self->events[0]));
	EXPECT_EQ(-EINVAL, irq_eventfds(self->fd, index, info.count - 1, 2,
				      self->events));
	EXPECT_EQ(-EBADF, irq_eventfd(self->fd, index, 0, 9999));
	EXPECT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->events[0]));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, index, 0, self->events[1]));
	EXPECT_EQ(0, irq_disable(self->fd, INTX));
	EXPECT_EQ(0, irq_eventfd(self->fd, index, 0, self->events[1]));
	EXPECT_EQ(-ENOTTY, irq_none(self->fd, index, MASK, 0, 1));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, INTX, 0, self->events[0]));
}

/* 6-60, 6-61: interrupts stay set up over RESET, if the device has one. */
TEST_F(vectors, reset_keeps_vectors)
{
	const uint32_t index = variant->index;
	struct vfio_device_info info = { .argsz = sizeof(info) };

	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_EQ(0, irq_eventfds(self->fd, index, 0, VECTORS, self->events));
	ASSERT_EQ(info.flags & VFIO_DEVICE_FLAGS_RESET ? 0 : -EINVAL,
		  vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(0, irq_none(self->fd, index, TRIGGER, 0, VECTORS));
	EXPECT_EQ(0x1f, events_take(self->events, VECTORS));
	EXPECT_EQ(0, irq_disable(self->fd, index));
}

VFIO_TEST_MAIN_OPEN("EDU", "IGB", "NVME", "XHCI")
