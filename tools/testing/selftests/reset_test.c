// SPDX-License-Identifier: GPL-2.0
/*
 * Resets of a function: by ioctl, through config space, and by somebody else
 * through sysfs (6-61, 8-22, 8-24, 10-34, 12-27).
 *
 * The C modules know nothing of the resets that others ask for. Mappings stay,
 * and reach nothing until it is over. These take the mappings away, and whoever
 * touches the device meanwhile waits, as with the user's own reset, and is served before
 * the next one.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "igb.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define ONES	0xffffffffU
#define ROUNDS	4
#define COMMAND	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

FIXTURE(igb)
{
	const char *bdf;
	struct vfio_session session;
	int fd;
	void *bar;
};

FIXTURE_SETUP(igb)
{
	uint32_t value = 0;

	NEED_DEVICE(self->bdf, "IGB");
	ASSERT_EQ(0, session_share(&self->session, self->bdf));
	self->fd = self->session.device;
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, 16 * PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &self->bar));
	ASSERT_EQ(0, mmio_read(self->bar + IGB_VET, &value));
	ASSERT_EQ(IGB_VET_VALUE, value);
	ASSERT_EQ(0, mmio_write(self->bar + IGB_RDBAL, IGB_MARK));
	ASSERT_EQ(0, mmio_read(self->bar + IGB_RDBAL, &value));
	ASSERT_EQ(IGB_MARK, value);
}

FIXTURE_TEARDOWN(igb)
{
	munmap(self->bar, 16 * PAGE_SIZE);
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

/* Who resets the function. */
FIXTURE_VARIANT(igb)
{
	int (*reset)(const struct vfio_session *session);
	/* The C modules take part in it. */
	bool coordinated;
};

static int by_ioctl(const struct vfio_session *session)
{
	return vfio_ioctl(session->device, VFIO_DEVICE_RESET, 0);
}

static int by_config(const struct vfio_session *session)
{
	long cap = config_cap(session->device, PCI_CAP_ID_EXP);
	long control = config_read(session->device, cap + PCI_EXP_DEVCTL, 2);

	return config_write(session->device, cap + PCI_EXP_DEVCTL, 2,
			    control | PCI_EXP_DEVCTL_BCR_FLR);
}

static int by_sysfs(const struct vfio_session *session)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", session->bdf);
	return file_write(path, "1");
}

FIXTURE_VARIANT_ADD(igb, by_ioctl)
{
	.reset = by_ioctl,
	.coordinated = true,
};

FIXTURE_VARIANT_ADD(igb, by_config)
{
	.reset = by_config,
	.coordinated = true,
};

FIXTURE_VARIANT_ADD(igb, by_sysfs)
{
	.reset = by_sysfs,
	.coordinated = false,
};

/* It is a reset, and it takes mappings away. */
TEST_F(igb, mapping)
{
	uint32_t value = ONES;
	long faults;

	ASSERT_EQ(0, variant->reset(&self->session));
	faults = fault_count();
	EXPECT_EQ(0, mmio_read(self->bar + IGB_RDBAL, &value));
	faults = fault_count() - faults;
	EXPECT_EQ(0, value);
	/* Printing may fault as well. */
	if (!variant->coordinated)
		report_difference("a mapping after a reset through sysfs",
			   faults ? "was taken away" : "stayed");
	if (variant->coordinated || !on_c_modules()) {
		EXPECT_LE(1, faults);
	} else {
		EXPECT_EQ(0, faults);
	}
}

/* What the user set up in config space survives, but not a power state. */
TEST_F(igb, config)
{
	long msix = config_cap(self->fd, PCI_CAP_ID_MSIX);
	long bar = pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4);
	int event = event_new();

	ASSERT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, event));
	ASSERT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, COMMAND));
	ASSERT_EQ(0, config_write(self->fd, PCI_INTERRUPT_LINE, 1, 0x5a));
	ASSERT_EQ(0, variant->reset(&self->session));
	EXPECT_EQ(COMMAND, pci_hw_config(self->bdf, PCI_COMMAND, 2) &
			   (COMMAND | PCI_COMMAND_IO));
	EXPECT_EQ(COMMAND, config_read(self->fd, PCI_COMMAND, 2) &
			   (COMMAND | PCI_COMMAND_IO));
	EXPECT_EQ(bar, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_NE(0, pci_hw_config(self->bdf, msix + PCI_MSIX_FLAGS, 2) &
		     PCI_MSIX_FLAGS_ENABLE);
	EXPECT_EQ(0x5a, config_read(self->fd, PCI_INTERRUPT_LINE, 1));
	EXPECT_EQ(0, irq_disable(self->fd, VFIO_PCI_MSIX_IRQ_INDEX));
	close(event);
}

/* Disabled memory stays disabled. */
TEST_F(igb, memory_disabled)
{
	uint32_t value = 0;

	ASSERT_EQ(0, memory_enable(self->fd, false));
	ASSERT_EQ(0, variant->reset(&self->session));
	EXPECT_EQ(-SIGBUS, mmio_read(self->bar + IGB_VET, &value));
	EXPECT_EQ(-EIO, region_read(self->fd, 0, IGB_VET, &value, 4));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(0, mmio_read(self->bar + IGB_VET, &value));
	EXPECT_EQ(IGB_VET_VALUE, value);
}

/* A function that sleeps is awake after the reset. */
TEST_F(igb, asleep)
{
	long power = config_cap(self->fd, PCI_CAP_ID_PM);
	uint32_t value = ONES;

	ASSERT_LT(0, power);
	ASSERT_EQ(0, config_write(self->fd, power + PCI_PM_CTRL, 2, 3));
	ASSERT_EQ(-SIGBUS, mmio_read(self->bar + IGB_VET, &value));
	ASSERT_EQ(0, variant->reset(&self->session));
	EXPECT_EQ(0, config_read(self->fd, power + PCI_PM_CTRL, 2) &
		     PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(0, mmio_read(self->bar + IGB_VET, &value));
	EXPECT_EQ(IGB_VET_VALUE, value);
}

/* 10-34: other users of the device wait until the reset is over. */
TEST_F(igb, in_use)
{
	struct igb_user user = {
		.fd = self->fd,
		.reg = self->bar + IGB_VET,
	};
	pthread_t thread;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, igb_use, &user));
	for (i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(0, variant->reset(&self->session));
	}
	user.stop = true;
	pthread_join(thread, NULL);
	EXPECT_LT(0, user.rounds);
	EXPECT_EQ(0, user.failed);
	if (!variant->coordinated)
		report_difference("a load during a reset through sysfs",
			   user.wrong ? "reached nothing" : "waited");
	/* The C modules let them through to a function that does not answer. */
	if (variant->coordinated || !on_c_modules()) {
		EXPECT_EQ(0, user.wrong);
	} else {
		EXPECT_LT(0, user.wrong);
	}
}

#define READERS		4
#define TURNS		10

struct reader {
	pthread_t thread;
	int fd;
	volatile bool *stop;
	volatile unsigned long reads;
	bool failed;
};

static void *read_often(void *data)
{
	struct reader *reader = data;
	uint32_t value;

	while (!*reader->stop) {
		reader->failed |= region_read(reader->fd, 0, IGB_VET, &value, 4) != 4;
		reader->reads++;
	}
	return NULL;
}

/*
 * Whoever waits for the end of a reset has his turn before the next one, though the user
 * who resets the function is back long before a thread that sleeps gets to run.
 */
TEST_F(igb, others_have_their_turn)
{
	struct reader readers[READERS];
	unsigned long before[READERS] = {};
	volatile bool stop = false;
	int i, round, starved = 0;

	for (i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .fd = self->fd, .stop = &stop };
		ASSERT_EQ(0, pthread_create(&readers[i].thread, NULL, read_often,
					    &readers[i]));
	}
	for (round = 0; round < TURNS; round++) {
		EXPECT_EQ(0, variant->reset(&self->session));
		for (i = 0; i < READERS; i++) {
			/* Of the first round it is not known who has waited. */
			if (round)
				starved += readers[i].reads == before[i];
			before[i] = readers[i].reads;
		}
	}
	stop = true;
	for (i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		EXPECT_FALSE(readers[i].failed);
	}
	/* A thread that had no processor for all of a reset has not waited. */
	EXPECT_GE(READERS * (TURNS - 1) / 2, starved);
	TH_LOG("%d of %d had no turn", starved, READERS * (TURNS - 1));
}

static void *reset_by_sysfs(void *data)
{
	return (void *)(long)by_sysfs(data);
}

/* 6-61: two who reset at once; the user's may give way, and nobody gets stuck. */
TEST_F(igb, at_once)
{
	void *result = (void *)1;
	pthread_t thread;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		long ret;

		ASSERT_EQ(0, pthread_create(&thread, NULL, reset_by_sysfs,
					    &self->session));
		usleep(1000 * i);
		ret = variant->reset(&self->session);
		EXPECT_TRUE(!ret || ret == -EAGAIN);
		pthread_join(thread, &result);
		EXPECT_EQ(NULL, result);
	}
}

struct resetter {
	int (*reset)(const struct vfio_session *session);
	const struct vfio_session *session;
	volatile bool done;
	int failed;
};

/* Wakes up now and then, and gets the processor wherever it finds the other one. */
static void *reset_often(void *data)
{
	struct sched_param param = { .sched_priority = 1 };
	struct resetter *resetter = data;
	int i;

	resetter->failed = sched_setscheduler(0, SCHED_FIFO, &param);
	for (i = 0; i < 4 * ROUNDS; i++) {
		usleep(1000 + 123 * i);
		resetter->failed |= resetter->reset(resetter->session);
	}
	resetter->done = true;
	return NULL;
}

/*
 * Who disables memory and who resets the function wait for each other in the order
 * in which they came. A reset keeps others from config space before it takes away
 * memory; a write to the command register does it the other way round.
 */
TEST_F(igb, command_written)
{
	struct resetter resetter = {
		.reset = variant->reset,
		.session = &self->session,
	};
	pthread_t thread;
	long writes;

	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_often, &resetter));
	for (writes = 0; !resetter.done; writes++)
		EXPECT_EQ(0, config_write(self->fd, PCI_COMMAND, 2, 0));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, resetter.failed);
	EXPECT_LT(0, writes);
	EXPECT_EQ(0, memory_enable(self->fd, true));
}

/* 12-27: the bridge resets what is behind it. */
TEST(by_bridge)
{
	struct vfio_session session;
	uint32_t value = ONES;
	char path[128];
	const char *bdf;
	long before;
	void *bar;

	NEED_DEVICE(bdf, "PORT_NVME");
	ASSERT_EQ(0, session_share(&session, bdf));
	ASSERT_EQ(0, bar_mmap(session.device, 0, 0, PAGE_SIZE, PROT_READ, &bar));
	ASSERT_EQ(0, mmio_read(bar, &value));
	ASSERT_NE(ONES, value);
	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/../reset_subordinate", bdf);
	ASSERT_EQ(0, file_write(path, "1"));
	before = fault_count();
	EXPECT_EQ(0, mmio_read(bar, &value));
	EXPECT_EQ(!on_c_modules(), fault_count() > before);
	EXPECT_NE(ONES, value);
	munmap(bar, PAGE_SIZE);
	session_close(&session);
}

VFIO_TEST_MAIN_OPEN("IGB", "PORT_NVME")
