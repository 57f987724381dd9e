// SPDX-License-Identifier: GPL-2.0
/*
 * The command register has two writers: the user, through config space, and the
 * interrupt handler with what unmasks INTx, which flip one bit of it. Neither must
 * undo what the other has written. COMMAND_SECONDS in the environment says how long
 * they race; on one processor they hardly meet.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "interrupts.h"
#include "kselftest_harness.h"
#include "edu_fixture.h"

#define SECONDS		3

/* The bits that the user changes, and one that has to stay. */
#define TOGGLED		(PCI_COMMAND_IO | PCI_COMMAND_MASTER)
#define WATCHED		(TOGGLED | PCI_COMMAND_MEMORY)

/*
 * How long to wait for an interrupt. With the C modules INTx falls silent in this
 * program (7-28); so the sooner it is revived, the more there is to race with.
 */
#define PATIENCE	60000
#define PATIENCE_C	20

struct race {
	struct vfio_session *session;
	int event;
	/* Unmasks INTx, or -1: then the ioctl does. */
	int unmask;
	atomic_bool stop;
	atomic_ulong interrupts;
	atomic_ulong silent;
	atomic_ulong broken;
};

static unsigned int seconds(void)
{
	const char *text = getenv("COMMAND_SECONDS");

	return text ? atoi(text) : SECONDS;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static long unmask(struct race *race)
{
	if (race->unmask < 0)
		return irq_none(race->session->device, INTX, UNMASK, 0, 1);
	return event_signal(race->unmask);
}

/* Raises an interrupt, waits for it, and acknowledges it, on and on. */
static void *interrupt_run(void *data)
{
	struct race *race = data;
	int fd = race->session->device;
	int patience = on_c_modules() ? PATIENCE_C : PATIENCE;

	while (!atomic_load(&race->stop)) {
		long ret = edu_write(fd, EDU_IRQ_RAISE, 1);

		if (!ret)
			ret = event_wait(race->event, patience);
		if (ret >= 0)
			atomic_fetch_add(&race->interrupts, 1);
		else if (ret == -ETIMEDOUT)
			atomic_fetch_add(&race->silent, 1);
		else
			atomic_fetch_add(&race->broken, 1);
		if (edu_write(fd, EDU_IRQ_ACK, 1))
			atomic_fetch_add(&race->broken, 1);
		/* Who was silent is heard again only when it has been masked, too. */
		if (ret == -ETIMEDOUT && irq_none(fd, INTX, MASK, 0, 1))
			atomic_fetch_add(&race->broken, 1);
		if (unmask(race))
			atomic_fetch_add(&race->broken, 1);
	}
	return NULL;
}

/* The user's bits of the register, as the hardware has them. */
static long hardware(const char *bdf)
{
	long command = pci_hw_config(bdf, PCI_COMMAND, 2);

	return command < 0 ? command : command & WATCHED;
}

/*
 * Writes something else than the last time; tells whether it got lost. A device without
 * I/O ports has little to do when the bit for them changes, which makes that a fast way.
 */
static unsigned long write_and_compare(struct race *race, unsigned long count)
{
	long value = PCI_COMMAND_MEMORY;
	unsigned long lost;

	if (count % 2)
		value |= PCI_COMMAND_IO;
	if (count / 16 % 2)
		value |= PCI_COMMAND_MASTER;
	if (config_write(race->session->device, PCI_COMMAND, 2, value))
		atomic_fetch_add(&race->broken, 1);
	lost = hardware(race->session->bdf) != value;
	/* Once more, as the other writer may have begun before and end after. */
	return lost | (hardware(race->session->bdf) != value);
}

/* Writes until time is over. */
static void race_run(struct __test_metadata *_metadata, struct race *race)
{
	uint64_t end = now() + seconds() * 1000000000ULL;
	unsigned long writes = 0;
	unsigned long lost = 0;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, interrupt_run, race));
	while (now() < end)
		lost += write_and_compare(race, writes++);
	atomic_store(&race->stop, true);
	pthread_join(thread, NULL);
	TH_LOG("%lu writes, %lu lost; %lu interrupts, silent %lu times", writes, lost,
	       race->interrupts, race->silent);
	EXPECT_EQ(0, lost);
	EXPECT_EQ(0, race->broken);
	EXPECT_LT(0, writes);
	EXPECT_LT(0, race->interrupts);
	if (race->silent)
		report_difference("7-28 INTx while COMMAND is written",
				  "falls silent");
	if (!on_c_modules())
		EXPECT_EQ(0, race->silent);
}

/* 7-29, 7-28: bus master stays as it was written, whatever interrupts do. */
TEST_F(edu, writes_against_ioctl)
{
	struct race race = { .session = &self->session, .event = self->event,
			     .unmask = -1 };

	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	race_run(_metadata, &race);
}

/* 6-37: the same with an eventfd that unmasks. */
TEST_F(edu, writes_against_eventfd)
{
	struct race race = { .session = &self->session, .event = self->event,
			     .unmask = event_new() };

	ASSERT_LE(0, race.unmask);
	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	ASSERT_EQ(0, irq_fd(self->fd, INTX, UNMASK, race.unmask));
	race_run(_metadata, &race);
	close(race.unmask);
}

/* Writes the register of the hardware, as an administrator may. */
static long hardware_write(const char *bdf, uint16_t value)
{
	char path[64];
	long ret;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = sys_result(pwrite(fd, &value, sizeof(value), PCI_COMMAND));
	close(fd);
	return ret == sizeof(value) ? 0 : -EIO;
}

/*
 * 6-39: a function that is reset without a word forgets that INTx is masked. It is
 * masked again when it interrupts. With the C modules that goes on until the kernel
 * gives up the line, which would be a splat.
 */
TEST_F(edu, mask_is_lost)
{
	const char *bdf = self->session.bdf;
	long command;
	int i;

	if (on_c_modules()) {
		report_difference("6-39 INTx of a function that has lost its mask",
				  "goes on until the kernel disables the line");
		SKIP(return, "the kernel would disable the line");
	}
	ASSERT_EQ(0, irq_eventfd(self->fd, INTX, 0, self->event));
	ASSERT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	ASSERT_EQ(1, event_wait(self->event, SOON));
	command = pci_hw_config(bdf, PCI_COMMAND, 2);
	ASSERT_NE(0, command & PCI_COMMAND_INTX_DISABLE);
	ASSERT_EQ(0, hardware_write(bdf, command & ~PCI_COMMAND_INTX_DISABLE));
	for (i = 0; i < 100 && pci_hw_config(bdf, PCI_COMMAND, 2) != command; i++)
		usleep(SOON * 10);
	EXPECT_EQ(command, pci_hw_config(bdf, PCI_COMMAND, 2));
	/* The user was told, and has not unmasked it. */
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	/* The line works as before. */
	ASSERT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
	ASSERT_EQ(0, irq_none(self->fd, INTX, UNMASK, 0, 1));
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, QUIET));
	ASSERT_EQ(0, edu_write(self->fd, EDU_IRQ_RAISE, 1));
	EXPECT_EQ(1, event_wait(self->event, SOON));
	EXPECT_EQ(0, edu_write(self->fd, EDU_IRQ_ACK, 1));
}

/* 6-28, 6-47: MSI that comes and goes leaves the user's bits and INTx Disable. */
TEST_F(edu, msi_on_and_off)
{
	long values[] = { 0, PCI_COMMAND_MASTER, PCI_COMMAND_IO | PCI_COMMAND_MASTER,
			  PCI_COMMAND_MEMORY, PCI_COMMAND_INTX_DISABLE };
	int i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		ASSERT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, values[i]));
		ASSERT_EQ(0, irq_eventfd(self->fd, MSI, 0, self->event));
		EXPECT_EQ(values[i], pci_hw_config(self->session.bdf, PCI_COMMAND, 2));
		ASSERT_EQ(0, irq_disable(self->fd, MSI));
		EXPECT_EQ(values[i], pci_hw_config(self->session.bdf, PCI_COMMAND, 2));
	}
	ASSERT_EQ(0, config_write(self->fd, PCI_COMMAND, 2,
				  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
}

VFIO_TEST_MAIN_OPEN("EDU")
