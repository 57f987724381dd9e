/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests of the edu device's interrupts. VFIO_TEST_MAIN_OPEN("EDU")
 * opens the device; it comes after kselftest_harness.h.
 */
#ifndef EDU_FIXTURE_H
#define EDU_FIXTURE_H

#include "edu.h"
#include "vfio_fixture.h"

FIXTURE(edu)
{
	struct vfio_session session;
	int fd;
	int event;
};

FIXTURE_SETUP(edu)
{
	SHARE_DEVICE(&self->session, "EDU");
	self->fd = self->session.device;
	self->event = event_new();
	ASSERT_LE(0, self->event);
	ASSERT_EQ(0, edu_irq_begin(self->fd));
}

/* Whatever was refused, INTx can still be had. */
FIXTURE_TEARDOWN(edu)
{
	EXPECT_EQ(0, edu_irq_end(self->fd));
	EXPECT_EQ(0, session_finish(&self->session));
}

#endif
