// SPDX-License-Identifier: GPL-2.0
/*
 * INTx of a device that is not relied upon to mask anything (1-13, 6-28, 6-39):
 * it has its line alone, and the line is what is masked. The module parameter
 * nointxmask makes the edu device such a device.
 */
#include <linux/pci_regs.h>

#include "edu.h"
#include "interrupts.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define NOINTXMASK	"/sys/module/vfio_pci/parameters/nointxmask"

/* The parameter counts when the device is bound. */
static int bind_anew(const char *bdf, const char *nointxmask)
{
	int ret = file_write(NOINTXMASK, nointxmask);

	if (!ret)
		ret = pci_bind(bdf, NULL);
	return ret ? ret : pci_bind(bdf, "vfio-pci");
}

FIXTURE(exclusive)
{
	struct vfio_session session;
	const char *bdf;
	int fd;
	int event;
	int unmask;
};

FIXTURE_SETUP(exclusive)
{
	NEED_DEVICE(self->bdf, "EDU");
	ASSERT_EQ(0, bind_anew(self->bdf, "Y"));
	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
	self->fd = self->session.device;
	self->event = event_new();
	self->unmask = event_new();
	ASSERT_LE(0, self->event);
	ASSERT_LE(0, self->unmask);
	ASSERT_EQ(0, edu_irq_begin(self->fd));
}

/* Runs after a failed setup too. */
FIXTURE_TEARDOWN(exclusive)
{
	EXPECT_EQ(0, edu_irq_end(self->fd));
	EXPECT_EQ(0, session_finish(&self->session));
	EXPECT_EQ(0, bind_anew(self->bdf, "N"));
}

/* Whether the device itself has been told not to use its line. */
static bool device_is_silenced(const char *bdf)
{
	return pci_hw_config(bdf, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE;
}

static bool device_asserts(const char *bdf)
{
	return pci_hw_config(bdf, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT;
}

/* The device asks for attention, gets it once, and then waits for the user. */
static void expect_one(struct __test_metadata *_metadata,
		       struct _test_data_exclusive *self)
{
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_TRUE(device_asserts(self->bdf));
	EXPECT_FALSE(device_is_silenced(self->bdf));
}

/* 6-31, 6-36, 6-39: as often as one likes. */
TEST_F(exclusive, delivery)
{
	int round, i;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
		EXPECT_TRUE(irq_listed("vfio-intx(%s)", self->bdf));
		EXPECT_EQ(-EAGAIN, event_take(self->event));
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
			expect_one(_metadata, self);
			/* Still asserted when it is unmasked. */
			EXPECT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
			expect_one(_metadata, self);
			EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
			EXPECT_EQ(0, irq_bool(self->fd, INTX, UNMASK, 0, 1));
			EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
		}
		EXPECT_EQ(0, irq_disable(self->fd, INTX));
		EXPECT_FALSE(irq_listed("vfio-intx(%s)", self->bdf));
	}
}

/* 6-34, 6-36: masking twice takes unmasking once. */
TEST_F(exclusive, mask)
{
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
		EXPECT_EQ(0, irq_none(self->fd, INTX, MASK, 0, 1));
		EXPECT_EQ(0, irq_bool(self->fd, INTX, MASK, 0, 1));
		EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
		EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
		EXPECT_TRUE(device_asserts(self->bdf));
		EXPECT_FALSE(device_is_silenced(self->bdf));
		EXPECT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
		expect_one(_metadata, self);
		EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
		EXPECT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
		EXPECT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
		EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
		expect_one(_metadata, self);
		/* Disabled while it is masked, and asserted. */
		EXPECT_EQ(0, irq_disable(self->fd, INTX));
		ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
		expect_one(_metadata, self);
		EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
		EXPECT_EQ(0, irq_disable(self->fd, INTX));
	}
}

/* 6-37, 6-38 */
TEST_F(exclusive, unmask_by_eventfd)
{
	int i;

	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	ASSERT_EQ(0, irq_fd(self->fd, INTX, UNMASK, self->unmask));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
		expect_one(_metadata, self);
		EXPECT_EQ(0, event_signal(self->unmask));
		expect_one(_metadata, self);
		EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
		EXPECT_EQ(0, event_signal(self->unmask));
		EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	}
	/* Removed, it does nothing any more. */
	EXPECT_EQ(0, irq_fd(self->fd, INTX, UNMASK, -1));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	expect_one(_metadata, self);
	EXPECT_EQ(0, event_signal(self->unmask));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
}

/* 6-36, 6-40, 7-28: the user's own bit masks the line as well. */
TEST_F(exclusive, disable_bit)
{
	long command = config_read(self->fd, PCI_COMMAND, 2);

	/* Set before INTx is enabled: masked from the start. */
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2,
				  command | PCI_COMMAND_INTX_DISABLE));
	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_FALSE(device_is_silenced(self->bdf));
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, command));
	expect_one(_metadata, self);
	/* Set while the line is masked. */
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2,
				  command | PCI_COMMAND_INTX_DISABLE));
	EXPECT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, command));
	expect_one(_metadata, self);
}

/*
 * 10-19: closed as it is; the next user finds a line that works. The device is
 * satisfied before: nobody could tell the interrupt of an earlier user from one of
 * the next.
 */
TEST_F(exclusive, closed_while_masked)
{
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
		EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
		EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
		expect_one(_metadata, self);
		EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
		session_close(&self->session);
		EXPECT_FALSE(irq_listed("vfio-intx(%s)", self->bdf));
		ASSERT_EQ(0, session_open(&self->session, self->bdf,
					  VFIO_TYPE1v2_IOMMU));
		self->fd = self->session.device;
		ASSERT_EQ(0, edu_irq_begin(self->fd));
	}
}

/* 1-13: for a device that is bound already the parameter changes nothing. */
TEST_F(exclusive, parameter_is_read_once)
{
	ASSERT_EQ(0, file_write(NOINTXMASK, "N"));
	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	expect_one(_metadata, self);
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
	session_close(&self->session);

	ASSERT_EQ(0, bind_anew(self->bdf, "N"));
	ASSERT_EQ(0, file_write(NOINTXMASK, "Y"));
	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
	self->fd = self->session.device;
	ASSERT_EQ(0, edu_irq_begin(self->fd));
	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	/* Now it is the device that masks. */
	EXPECT_TRUE(device_is_silenced(self->bdf));
}

static void other_close(struct vfio_session *other, int event)
{
	session_close(other);
	close(event);
}

/* 6-28: a line that others use cannot be had alone, whoever comes first. */
TEST_F(exclusive, refuses_to_share)
{
	char line[16], others[16];
	struct vfio_session other;
	int event = event_new();
	const char *bdf;

	NEED_DEVICE(bdf, "E1000E");
	ASSERT_EQ(0, bind_anew(bdf, "N"));
	ASSERT_EQ(0, session_open(&other, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, pci_attribute(self->bdf, "irq", line, sizeof(line)));
	ASSERT_EQ(0, pci_attribute(bdf, "irq", others, sizeof(others)));
	if (strcmp(line, others)) {
		other_close(&other, event);
		SKIP(return, "%s has line %s, %s has %s", self->bdf, line, bdf,
		     others);
	}
	ASSERT_EQ(0, irq_eventfd(other.device, INTX, 0, event));
	EXPECT_EQ(-EBUSY, irq_eventfd(self->fd, INTX, 0, self->event));
	/* It is off. */
	EXPECT_FALSE(irq_listed("vfio-intx(%s)", self->bdf));
	EXPECT_EQ(-EINVAL, irq_disable(self->fd, INTX));
	EXPECT_EQ(-EINVAL, irq_none(self->fd, INTX, UNMASK, 0, 1));
	/* The other one has not noticed. */
	EXPECT_EQ(0, irq_none(other.device, INTX, TRIGGER, 0, 1));
	EXPECT_EQ(1, event_take(event));
	EXPECT_EQ(0, irq_disable(other.device, INTX));

	EXPECT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	EXPECT_EQ(-EBUSY, irq_eventfd(other.device, INTX, 0, event));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	expect_one(_metadata, self);
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
	EXPECT_EQ(0, irq_disable(self->fd, INTX));
	EXPECT_EQ(0, irq_eventfd(other.device, INTX, 0, event));
	other_close(&other, event);
}

VFIO_TEST_MAIN("EDU", "E1000E")
