// SPDX-License-Identifier: GPL-2.0
/*
 * Registers that are read and written with read(2) and write(2) while another thread
 * takes memory away, resets the device, or has it suspended (7.1, 6.6, 6.7).
 *
 * race_test does the same with what is mapped. Who disables memory says so in a counter
 * that is odd from when that is done until before it is undone: an access that succeeds
 * while the counter is odd, and the same before and after it, is stale.
 */
#include <linux/pci_regs.h>

#include <stdatomic.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"
#include "workers.h"

#define SET	VFIO_DEVICE_FEATURE_SET
#define ENTRY	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
#define WAKEUP	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
#define EXIT	VFIO_DEVICE_FEATURE_LOW_POWER_EXIT

/* How much is read at once. */
#define LONG	(16UL << 10)

enum role { ACTOR, READER, WRITER, LONG_READER, CONFIG_READER, CONFIG_WRITER, ROLES };

/* For the rounds of all. */
static int fd;
static int event;
static unsigned int bar;
/* A register that has one value, and one that keeps what is written. */
static uint64_t constant, scratch;
static uint32_t expected, class_revision;
static bool may_fail;
/* Microseconds for which others are let to the processor, and to the device. */
static unsigned int pause_us;
static size_t long_size;
static atomic_ulong gone, refused, worked;

/* Judges the result of a transfer of @size bytes that began when the counter was @before. */
static void judge(struct worker *worker, long ret, long size, unsigned long before)
{
	unsigned long after = atomic_load(&gone);

	if (ret == size) {
		atomic_fetch_add(&worked, 1);
		CHECK(worker, before != after || before % 2 == 0);
		return;
	}
	atomic_fetch_add(&refused, 1);
	CHECK(worker, may_fail && ret == -EIO);
}

static void round_of_reads(struct worker *worker)
{
	unsigned long before = atomic_load(&gone);
	uint32_t value = 0;
	long ret = region_read(fd, bar, constant, &value, sizeof(value));

	judge(worker, ret, sizeof(value), before);
	CHECK(worker, ret != sizeof(value) || value == expected);
	if (worker->rounds % 16 == 0)
		usleep(pause_us);
}

static void round_of_writes(struct worker *worker)
{
	unsigned long before = atomic_load(&gone);
	uint32_t value = 0;

	judge(worker, region_write(fd, bar, scratch, &value, sizeof(value)),
	      sizeof(value), before);
	if (worker->rounds % 8 == 0)
		usleep(pause_us);
}

/* Each register is an access of its own, and any of them may be the one that fails. */
static void round_of_long_reads(struct worker *worker)
{
	unsigned long before = atomic_load(&gone);
	static uint32_t words[LONG / sizeof(uint32_t)];
	long ret = region_read(fd, bar, constant, words, long_size);

	judge(worker, ret, long_size, before);
	CHECK(worker, ret < 0 || words[0] == expected);
	usleep(pause_us);
}

static void round_of_config_reads(struct worker *worker)
{
	CHECK(worker, config_read(fd, PCI_CLASS_REVISION, 4) == class_revision);
	if (worker->rounds % 16 == 0)
		usleep(pause_us);
}

/* Of a register of the hardware, and one that only the user has. */
static void round_of_config_writes(struct worker *worker)
{
	uint8_t value = worker->rounds;

	CHECK(worker, !config_write(fd, PCI_CACHE_LINE_SIZE, 1, value));
	CHECK(worker, !config_write(fd, PCI_INTERRUPT_LINE, 1, value));
	CHECK(worker, config_read(fd, PCI_INTERRUPT_LINE, 1) == value);
	usleep(pause_us);
}

static void rest(const struct worker *worker)
{
	usleep(pause_us * (worker->rounds % 8) / 4);
}

static void round_of_toggles(struct worker *worker)
{
	CHECK(worker, !memory_enable(fd, false));
	atomic_fetch_add(&gone, 1);
	rest(worker);
	atomic_fetch_add(&gone, 1);
	CHECK(worker, !memory_enable(fd, true));
	rest(worker);
}

static void round_of_resets(struct worker *worker)
{
	CHECK(worker, !vfio_ioctl(fd, VFIO_DEVICE_RESET, 0));
	rest(worker);
}

/* One in two ends by itself when somebody wakes the device up. */
static void round_of_sleeps(struct worker *worker)
{
	struct vfio_device_low_power_entry_with_wakeup wakeup = {
		.wakeup_eventfd = event,
	};

	if (worker->rounds % 2)
		CHECK(worker, !device_feature(fd, SET | ENTRY, NULL, 0));
	else
		CHECK(worker, !device_feature(fd, SET | WAKEUP, &wakeup,
					      sizeof(wakeup)));
	rest(worker);
	CHECK(worker, !device_feature(fd, SET | EXIT, NULL, 0));
	rest(worker);
}

FIXTURE(race)
{
	struct vfio_session session;
};

FIXTURE_VARIANT(race)
{
	const char *device;
	void (*act)(struct worker *worker);
	unsigned int bar;
	uint64_t constant;
	uint64_t scratch;
	size_t long_size;
	bool may_fail;
	unsigned int pause_us;
};

/* 7-6: refused, or as if nothing were. */
FIXTURE_VARIANT_ADD(race, memory_bit)
{
	.device = "IVSHMEM",
	.act = round_of_toggles,
	.bar = 2,
	.scratch = 0x20000,
	.long_size = LONG,
	.may_fail = true,
	.pause_us = 500,
};

/* 6-61, 8-24: who meets a reset waits for its end. Capabilities, and the queues' attributes. */
FIXTURE_VARIANT_ADD(race, reset)
{
	.device = "NVME",
	.act = round_of_resets,
	.scratch = 0x24,
	.long_size = 8,
	.pause_us = 500,
};

/* 7-2: whoever comes wakes the device up. Status, and a descriptor base. */
FIXTURE_VARIANT_ADD(race, low_power)
{
	.device = "E1000E",
	.act = round_of_sleeps,
	.constant = 0x5400,
	.scratch = 0x3800,
	.long_size = 8,
	/* It takes ten milliseconds to fall asleep. */
	.pause_us = 20000,
};

FIXTURE_SETUP(race)
{
	uint32_t value = 0x5aa51234;

	SHARE_DEVICE(&self->session, variant->device);
	fd = self->session.device;
	event = event_new();
	ASSERT_LE(0, event);
	bar = variant->bar;
	constant = variant->constant;
	scratch = variant->scratch;
	may_fail = variant->may_fail;
	pause_us = variant->pause_us;
	long_size = variant->long_size;
	gone = refused = worked = 0;
	class_revision = config_read(fd, PCI_CLASS_REVISION, 4);
	if (may_fail)
		ASSERT_EQ(4, region_write(fd, bar, constant, &value, 4));
	ASSERT_EQ(4, region_read(fd, bar, constant, &expected, 4));
	ASSERT_NE(~0U, expected);
	ASSERT_NE(0, expected);
}

FIXTURE_TEARDOWN(race)
{
	close(event);
	EXPECT_EQ(0, session_finish(&self->session));
}

/* 7-5, 7-18: and what they find is what the device has. */
TEST_F(race, registers)
{
	struct worker workers[ROLES] = {
		[ACTOR] = { .round = variant->act },
		[READER] = { .round = round_of_reads },
		[WRITER] = { .round = round_of_writes },
		[LONG_READER] = { .round = round_of_long_reads },
		[CONFIG_READER] = { .round = round_of_config_reads },
		[CONFIG_WRITER] = { .round = round_of_config_writes },
	};


	workers_work(_metadata, workers, ROLES);
	TH_LOG("%lu times; %lu transfers, %lu refused", workers[ACTOR].rounds,
	       worked, refused);
	EXPECT_LT(0, worked);
	EXPECT_EQ(variant->may_fail, refused > 0);
	EXPECT_EQ(0, gone % 2);
	/* It has been asleep, and somebody has woken it up. */
	EXPECT_EQ(variant->act == round_of_sleeps, event_take(event) > 0);
	/* And when all is over, it works. */
	workers[READER].line = 0;
	round_of_reads(&workers[READER]);
	EXPECT_EQ(0, workers[READER].line);
}

VFIO_TEST_MAIN_OPEN("IVSHMEM", "NVME", "E1000E")
