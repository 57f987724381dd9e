// SPDX-License-Identifier: GPL-2.0
/*
 * A reset that somebody else asks for, and that hangs: whoever touches the device
 * meanwhile, or has to do with who does (10-34, 12-59).
 *
 * The reset hangs because the slot of the device has lost its power by the time
 * that the kernel waits for the device to answer again, which it does for a minute.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "slot.h"
#include "vfio_fixture.h"
#include "waiter.h"

#define NVME_VERSION	8
#define ONES		0xffffffffU
/* Long enough for who does not wait, on any machine. */
#define LONG_MS		10000
/* Who has not ended by then waits. */
#define SHORT_MS	500
/* Times that a host may be too busy for a reset to be met half-way. */
#define ATTEMPTS	10

FIXTURE(hang)
{
	const char *bdf;
	struct vfio_session session;
	struct slot slot;
	int fd;
	void *bar;
	uint32_t version;
	pid_t resetter;
	bool dark;
};

static long reset_by_sysfs(void *data)
{
	const char *bdf = data;
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", bdf);
	return file_write(path, "1");
}

/* A reset clears the BAR's address. */
static bool has_address(const struct _test_data_hang *self)
{
	return slot_config(&self->slot, PCI_BASE_ADDRESS_0) &
	       PCI_BASE_ADDRESS_MEM_MASK;
}

/*
 * Takes the power away when the function has been reset, and the kernel gives it a
 * tenth of a second to recover. False if that has passed, or was never seen, on a
 * busy host: then the reset has ended.
 */
static bool reset_in_the_dark(struct _test_data_hang *self)
{
	int status;

	self->resetter = waiter_start(reset_by_sysfs, (void *)self->bdf);
	while (has_address(self))
		if (waiter_ends(self->resetter, 0, &status))
			return false;
	slot_power(&self->slot, false);
	self->dark = true;
	return !waiter_ends(self->resetter, SHORT_MS, &status);
}

/* A reset that hangs. */
static bool begin(struct _test_data_hang *self)
{
	int i;

	if (!has_address(self))
		return false;
	for (i = 0; i < ATTEMPTS; i++) {
		if (reset_in_the_dark(self))
			return true;
		self->resetter = 0;
		self->dark = false;
		if (!slot_recover(&self->slot))
			return false;
	}
	return false;
}

/* Gives it back. The reset ends with the next look of the kernel at the device. */
static bool end(struct _test_data_hang *self)
{
	int status = -1;

	if (self->dark)
		slot_power(&self->slot, true);
	self->dark = false;
	if (!self->resetter)
		return true;
	return waiter_ends(self->resetter, 9 * LONG_MS, &status) && !status;
}

FIXTURE_SETUP(hang)
{
	self->fd = -1;
	NEED_DEVICE(self->bdf, "PORT_NVME");
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "reset_method", "flr"));
	ASSERT_EQ(0, session_open(&self->session, self->bdf, VFIO_TYPE1v2_IOMMU));
	self->fd = self->session.device;
	ASSERT_EQ(0, memory_enable(self->fd, true));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			      &self->bar));
	ASSERT_EQ(0, mmio_read(self->bar + NVME_VERSION, &self->version));
	ASSERT_NE(ONES, self->version);
	if (slot_open(&self->slot, self->bdf))
		SKIP(return, "config space is not to be had past the kernel");
	ASSERT_EQ(pci_hw_config(self->bdf, PCI_VENDOR_ID, 4),
		  slot_config(&self->slot, PCI_VENDOR_ID));
}

FIXTURE_TEARDOWN(hang)
{
	if (self->fd < 0)
		return;
	EXPECT_TRUE(end(self));
	slot_close(&self->slot);
	EXPECT_EQ(self->version, mmio_at(self->bar + NVME_VERSION));
	munmap(self->bar, PAGE_SIZE);
	EXPECT_EQ(0, session_finish(&self->session));
	EXPECT_EQ(0, pci_set_attribute(self->bdf, "reset_method", "default"));
}

static long load(void *data)
{
	struct _test_data_hang *self = data;

	return mmio_at(self->bar + NVME_VERSION) < 0;
}

static long read_bar(void *data)
{
	struct _test_data_hang *self = data;
	uint32_t value;

	return region_read(self->fd, 0, NVME_VERSION, &value, 4) != 4;
}

static long write_bar(void *data)
{
	struct _test_data_hang *self = data;
	uint32_t value = 0;

	/* INTMS, whose zeros do nothing. */
	return region_write(self->fd, 0, 0xc, &value, 4) != 4;
}

static long read_config(void *data)
{
	struct _test_data_hang *self = data;

	return config_read(self->fd, PCI_BASE_ADDRESS_0, 4) < 0 ||
	       config_read(self->fd, PCI_STATUS, 2) < 0;
}

static long write_config(void *data)
{
	struct _test_data_hang *self = data;

	return memory_enable(self->fd, true);
}

static long write_line(void *data)
{
	struct _test_data_hang *self = data;

	return config_write(self->fd, PCI_CACHE_LINE_SIZE, 1, 0);
}

static const struct {
	const char *name;
	long (*action)(void *data);
	/* The C modules let it through to a device that does not answer. */
	bool passes;
} actions[] = {
	{ "load", load, true },
	{ "read()", read_bar, true },
	{ "write()", write_bar, true },
	{ "read() of config space", read_config, false },
	{ "write() of COMMAND", write_config, false },
	{ "write() of config space", write_line, false },
};

/*
 * 10-34, 12-59: everybody waits, and can be killed. With the C modules some do not
 * wait, and the others cannot be killed: the PCI core sees to that.
 */
TEST_F(hang, killed)
{
	pid_t pids[ARRAY_SIZE(actions)];
	bool killable = true;
	int i, status;

	ASSERT_TRUE(begin(self));
	for (i = 0; i < ARRAY_SIZE(actions); i++)
		pids[i] = waiter_start(actions[i].action, self);
	usleep(SHORT_MS * 1000);
	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		if (on_c_modules() && actions[i].passes) {
			EXPECT_TRUE(waiter_ends(pids[i], LONG_MS, &status))
				TH_LOG("%s", actions[i].name);
			continue;
		}
		EXPECT_FALSE(waiter_ends(pids[i], 0, &status))
			TH_LOG("%s", actions[i].name);
		if (!waiter_dies(pids[i], on_c_modules() ? SHORT_MS : LONG_MS)) {
			killable = false;
			EXPECT_TRUE(on_c_modules()) TH_LOG("%s", actions[i].name);
		}
	}
	EXPECT_EQ(!on_c_modules(), killable);
	report_difference("who waits for a reset of others that hangs",
		   killable ? "can be killed" : "cannot be killed");
	/* The reset still goes on. */
	EXPECT_FALSE(waiter_ends(self->resetter, 0, &status));
	EXPECT_TRUE(end(self));
	self->resetter = 0;
}

/* 10-34: everybody who waits finds the device well. */
TEST_F(hang, waited)
{
	pid_t pids[ARRAY_SIZE(actions)];
	int i, status;

	ASSERT_TRUE(begin(self));
	for (i = 0; i < ARRAY_SIZE(actions); i++)
		pids[i] = waiter_start(actions[i].action, self);
	usleep(SHORT_MS * 1000);
	EXPECT_TRUE(end(self));
	self->resetter = 0;
	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		EXPECT_TRUE(waiter_ends(pids[i], LONG_MS, &status))
			TH_LOG("%s", actions[i].name);
		EXPECT_EQ(0, status) TH_LOG("%s", actions[i].name);
	}
}

struct process {
	struct _test_data_hang *self;
	volatile bool *mapped;
};

static void *load_for_ever(void *data)
{
	load(data);
	return NULL;
}

/* One thread waits for the device, another one changes the process' memory. */
static long load_and_map(void *data)
{
	struct process *process = data;
	pthread_t thread;

	if (pthread_create(&thread, NULL, load_for_ever, process->self))
		return 1;
	usleep(SHORT_MS * 1000);
	if (mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	    MAP_FAILED)
		return 1;
	*process->mapped = true;
	pthread_join(thread, NULL);
	return 0;
}

/* What ps does. */
static long read_command_line(void *data)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/%d/cmdline", *(pid_t *)data);
	return file_read(path, text, sizeof(text)) <= 0;
}

/* 12-59: who waits in a page fault stops nobody else in that process, nor ps. */
TEST_F(hang, other_threads)
{
	struct process process = {
		.self = self,
		.mapped = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	};
	pid_t pid, ps;
	int status;

	ASSERT_NE(MAP_FAILED, (void *)process.mapped);
	ASSERT_TRUE(begin(self));
	pid = waiter_start(load_and_map, &process);
	usleep(3 * SHORT_MS * 1000);
	ps = waiter_start(read_command_line, &pid);
	EXPECT_TRUE(waiter_ends(ps, LONG_MS, &status));
	/* With the C modules it has not waited, and has no command line any more. */
	EXPECT_TRUE(on_c_modules() || !status);
	EXPECT_TRUE(*process.mapped);
	if (on_c_modules()) {
		EXPECT_TRUE(waiter_ends(pid, LONG_MS, &status));
	} else {
		EXPECT_TRUE(waiter_dies(pid, LONG_MS));
	}
	munmap((void *)process.mapped, PAGE_SIZE);
}

/* 6-61: the user's own reset does not wait for it. */
TEST_F(hang, own_reset)
{
	uint64_t began;

	ASSERT_TRUE(begin(self));
	began = milliseconds();
	EXPECT_EQ(-EAGAIN, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_GT(LONG_MS, milliseconds() - began);
}

static long open_and_sleep(void *data)
{
	struct vfio_session session;
	int *pipe_fd = data;
	char byte = 0;

	if (session_open(&session, pci_device("PORT_NVME"), VFIO_TYPE1v2_IOMMU))
		return 1;
	if (write(pipe_fd[1], &byte, 1) != 1)
		return 1;
	pause();
	return 0;
}

/* Who has the device is killed: that closes it, which does not wait either. */
TEST_F(hang, closed)
{
	int pipe_fd[2], status;
	char byte;
	pid_t pid;

	munmap(self->bar, PAGE_SIZE);
	session_close(&self->session);
	ASSERT_EQ(0, pipe(pipe_fd));
	pid = waiter_start(open_and_sleep, pipe_fd);
	ASSERT_EQ(1, read(pipe_fd[0], &byte, 1));
	ASSERT_TRUE(begin(self));
	EXPECT_TRUE(waiter_dies(pid, LONG_MS));
	EXPECT_FALSE(waiter_ends(self->resetter, 0, &status));
	EXPECT_TRUE(end(self));
	self->resetter = 0;
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	/* For the teardown. */
	ASSERT_EQ(0, session_open(&self->session, self->bdf, VFIO_TYPE1v2_IOMMU));
	self->fd = self->session.device;
	ASSERT_EQ(0, memory_enable(self->fd, true));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &self->bar));
}

VFIO_TEST_MAIN("PORT_NVME")
