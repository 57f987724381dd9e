// SPDX-License-Identifier: GPL-2.0
/* INTx by SET_IRQS: delivery, masking, unmasking by eventfd (6-28 to 6-40). */
#include <fcntl.h>

#include <linux/pci_regs.h>

#include "interrupts.h"
#include "kselftest_harness.h"
#include "edu_fixture.h"

/* 6-31, 6-32, 6-34 to 6-36: INTx that is off. */
TEST_F(edu, intx_off)
{
	EXPECT_EQ(-EINVAL, irq_disable(self->fd, INTX));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(-EINVAL, irq_bool(self->fd, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, INTX, MASK, 0, 1));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, INTX, UNMASK, 0, 1));
	EXPECT_EQ(-EINVAL, irq_fd(self->fd, INTX, MASK, self->event));
	EXPECT_EQ(-EINVAL, irq_fd(self->fd, INTX, UNMASK, self->event));
}

/* 6-28 */
TEST_F(edu, intx_bad_eventfd)
{
	int null = open("/dev/null", O_RDWR);

	EXPECT_EQ(-EBADF, irq_eventfd(self->fd, INTX, 0, 9999));
	EXPECT_EQ(-EINVAL, irq_eventfd(self->fd, INTX, 0, null));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, INTX, MASK, 0, 1));
	EXPECT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
}

/* 6-28, 6-31, 6-39, 1-31 */
TEST_F(edu, intx_delivery)
{
	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_TRUE(irq_listed("vfio-intx(%s)", self->session.bdf));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	/* Masked by the interrupt itself: asserted, but silent. */
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 2));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	/* 6-36: still asserted when it is unmasked, so it is signalled again. */
	EXPECT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 2));
	EXPECT_EQ(0, irq_bool(self->fd, INTX, UNMASK, 0, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 4));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(4, edu_read(self->fd, EDU_IRQ_STATUS));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 4));
	EXPECT_EQ(0, irq_disable(self->fd, INTX));
	EXPECT_FALSE(irq_listed("vfio-intx(%s)", self->session.bdf));
	EXPECT_EQ(-EINVAL, irq_disable(self->fd, INTX));
}

/* 6-34, 6-36 */
TEST_F(edu, intx_mask)
{
	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(0, irq_none(self->fd, INTX, MASK, 0, 1));
	EXPECT_EQ(0, irq_none(self->fd, INTX, MASK, 0, 1));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_EQ(0, irq_bool(self->fd, INTX, UNMASK, 0, 0));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_EQ(0, irq_bool(self->fd, INTX, UNMASK, 0, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
	EXPECT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
	EXPECT_EQ(0, irq_bool(self->fd, INTX, MASK, 0, 0));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, INTX, MASK, 0, 0));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, INTX, UNMASK, 0, 0));
	EXPECT_EQ(-ENOTTY, irq_fd(self->fd, INTX, MASK, self->event));
}

/* 6-32: loopback, which no hardware takes part in. */
TEST_F(edu, intx_loopback)
{
	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(0, irq_none(self->fd, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_EQ(0, irq_bool(self->fd, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_EQ(0, irq_bool(self->fd, INTX, TRIGGER, 0, 0));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
}

/* 6-29, 6-30 */
TEST_F(edu, intx_swap)
{
	int second = event_new();

	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(0, irq_eventfd(self->fd, INTX, 0, second));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(second, SOON));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	/* Without an eventfd it is on all the same. */
	EXPECT_EQ(0, irq_eventfd(self->fd, INTX, 0, -1));
	EXPECT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(second, QUIET));
	EXPECT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
}

/* The eventfd's number may be closed; the interrupt has its own hold on it. */
TEST_F(edu, intx_eventfd_closed)
{
	int copy = dup(self->event);

	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	close(self->event);
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(copy, SOON));
	self->event = copy;
}

/* 6-37, 6-38 */
TEST_F(edu, intx_unmask_by_eventfd)
{
	int unmask = event_new();
	int second = event_new();
	int null = open("/dev/null", O_RDWR);

	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(-EBADF, irq_fd(self->fd, INTX, UNMASK, 9999));
	EXPECT_EQ(-EINVAL, irq_fd(self->fd, INTX, UNMASK, null));
	EXPECT_EQ(0, irq_fd(self->fd, INTX, UNMASK, -1));
	EXPECT_EQ(0, irq_fd(self->fd, INTX, UNMASK, unmask));
	EXPECT_EQ(-EBUSY, irq_fd(self->fd, INTX, UNMASK, second));

	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_EQ(0, event_signal(unmask));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
	EXPECT_EQ(0, event_signal(unmask));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));

	/* Removed, it does nothing any more. */
	EXPECT_EQ(0, irq_fd(self->fd, INTX, UNMASK, -1));
	EXPECT_EQ(0, event_signal(unmask));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	/* One that is signalled already does its work at once. */
	EXPECT_EQ(0, event_signal(second));
	EXPECT_EQ(0, irq_fd(self->fd, INTX, UNMASK, second));
	EXPECT_EQ(1, event_wait(self->event, SOON));
}

/* 6-37: a closed eventfd makes room for another. */
TEST_F(edu, intx_unmask_eventfd_closed)
{
	int unmask = event_new();
	int second = event_new();
	long ret = -EBUSY;
	int i;

	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(0, irq_fd(self->fd, INTX, UNMASK, unmask));
	EXPECT_EQ(-EBUSY, irq_fd(self->fd, INTX, UNMASK, second));
	close(unmask);
	for (i = 0; ret == -EBUSY && i < 100; i++) {
		usleep(10000);
		ret = irq_fd(self->fd, INTX, UNMASK, second);
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(0, event_signal(second));
	EXPECT_EQ(1, event_wait(self->event, SOON));
}

/* 6-36, 6-40, 7-28: the user's DisINTx. */
TEST_F(edu, intx_disable_bit)
{
	long command = config_read(self->fd, PCI_COMMAND, 2);

	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2,
				  command | PCI_COMMAND_INTX_DISABLE));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_EQ(0, irq_none(self->fd, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, command));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
	EXPECT_EQ(0, irq_disable(self->fd, INTX));

	/* Set before INTx is enabled: masked from the start. */
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2,
				  command | PCI_COMMAND_INTX_DISABLE));
	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, command));
	EXPECT_EQ(1, event_wait(self->event, SOON));
}

VFIO_TEST_MAIN_OPEN("EDU")
