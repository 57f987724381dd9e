// SPDX-License-Identifier: GPL-2.0
/*
 * The C interface of device memory: a device from an area, and release
 * notifiers, as the sample vfio_release_watch passes them on to us.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "fault_injection.h"
#include "kselftest_harness.h"
#include "samples.h"
#include "vfio_release_watch.h"

static int watch_open(void)
{
	return sys_result(open(RELEASE_WATCH_PATH, O_RDWR | O_CLOEXEC));
}

static long watch_look_up(int watch, const void *address)
{
	return vfio_ioctl(watch, RELEASE_WATCH_LOOK_UP, address);
}

static long watch_register(int watch, unsigned int milliseconds)
{
	return vfio_ioctl(watch, RELEASE_WATCH_REGISTER, milliseconds);
}

static long watch_unregister(int watch)
{
	return vfio_ioctl(watch, RELEASE_WATCH_UNREGISTER, 0);
}

static long watch_share(int watch, int other)
{
	return vfio_ioctl(watch, RELEASE_WATCH_SHARE, other);
}

static struct release_watch_calls watch_calls(int watch)
{
	struct release_watch_calls calls = { .count = -1 };

	if (read(watch, &calls, sizeof(calls)) != sizeof(calls))
		calls.count = -2;
	return calls;
}

static bool watch_ready(int watch, int milliseconds)
{
	struct pollfd fd = { .fd = watch, .events = POLLIN };

	return poll(&fd, 1, milliseconds) == 1 && fd.revents == POLLIN;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

FIXTURE(watch)
{
	struct vfio_session session;
	void *memory;
	int watch;
};

FIXTURE_SETUP(watch)
{
	NEED_SAMPLES();
	ASSERT_EQ(0, memory_open(&self->session, VFIO_TYPE1v2_IOMMU));
	self->memory = memory_mmap(self->session.device);
	ASSERT_NE(MAP_FAILED, self->memory);
	self->watch = watch_open();
	ASSERT_LE(0, self->watch);
}

FIXTURE_TEARDOWN(watch)
{
	close(self->watch);
	session_close(&self->session);
}

/* An area holds its file, so this is what it takes to release the device. */
static void release(struct vfio_session *session, void *memory)
{
	munmap(memory, MEMORY_SIZE);
	close(session->device);
	session->device = -1;
}

TEST_F(watch, looks_up_areas_of_devices_only)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *anonymous = memory_new(PAGE_SIZE);
	void *mapped;

	ASSERT_NE(MAP_FAILED, anonymous);
	ASSERT_LE(0, file);
	mapped = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, mapped);
	EXPECT_EQ(-ENOENT, watch_register(self->watch, 0));
	EXPECT_EQ(-ENOENT, watch_look_up(self->watch, anonymous));
	EXPECT_EQ(-ENOENT, watch_look_up(self->watch, mapped));
	EXPECT_EQ(-ENOENT, watch_look_up(self->watch, BAD_POINTER));
	EXPECT_EQ(-ENOENT, watch_register(self->watch, 0));
	EXPECT_EQ(0, watch_look_up(self->watch, self->memory));
	EXPECT_EQ(0, watch_look_up(self->watch,
				   self->memory + MEMORY_SIZE - 1));
	EXPECT_EQ(0, munmap(self->memory, MEMORY_SIZE));
	EXPECT_EQ(-ENOENT, watch_look_up(self->watch, self->memory));
	munmap(anonymous, PAGE_SIZE);
	munmap(mapped, PAGE_SIZE);
	close(file);
}

/* A device that the driver of any PCI device serves. */
TEST_F(watch, looks_up_pci_devices)
{
	struct vfio_session edu;
	const char *bdf;
	void *bar;

	NEED_DEVICE(bdf, "EDU");
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&edu, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, bar_mmap(edu.device, 0, 0, PAGE_SIZE, PROT_READ, &bar));
	EXPECT_EQ(0, watch_look_up(self->watch, bar));
	EXPECT_EQ(0, watch_register(self->watch, 0));
	EXPECT_EQ(0, munmap(bar, PAGE_SIZE));
	session_close(&edu);
	EXPECT_EQ(1, watch_calls(self->watch).count);
	/* Unbinding does not wait for the reference that the watch has. */
	EXPECT_EQ(0, pci_bind(bdf, NULL));
	EXPECT_EQ(0, watch_unregister(self->watch));
	EXPECT_EQ(-ENODEV, watch_register(self->watch, 0));
}

TEST_F(watch, is_told_once_before_close_returns)
{
	struct release_watch_calls calls;
	uint64_t before, after;
	int other;

	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	ASSERT_EQ(0, watch_register(self->watch, 50));
	EXPECT_EQ(-EBUSY, watch_register(self->watch, 0));
	EXPECT_EQ(-EBUSY, watch_look_up(self->watch, self->memory));
	other = group_device(self->session.group, MEMORY_NAME);
	ASSERT_LE(0, other);
	release(&self->session, self->memory);
	/* Not the last file. */
	EXPECT_FALSE(watch_ready(self->watch, 0));
	EXPECT_EQ(0, watch_calls(self->watch).count);
	before = now();
	EXPECT_EQ(0, close(other));
	after = now();
	EXPECT_TRUE(watch_ready(self->watch, 0));
	calls = watch_calls(self->watch);
	EXPECT_EQ(1, calls.count);
	EXPECT_LE(before, calls.last_began_ns);
	EXPECT_LE(calls.last_began_ns + 50 * 1000000, calls.last_ended_ns);
	EXPECT_LE(calls.last_ended_ns, after);
	EXPECT_FALSE(watch_ready(self->watch, 0));
}

/* Once for each registration, even if the device is used again. */
TEST_F(watch, is_not_told_of_the_next_user)
{
	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	ASSERT_EQ(0, watch_register(self->watch, 0));
	release(&self->session, self->memory);
	EXPECT_EQ(1, watch_calls(self->watch).count);
	self->session.device = group_device(self->session.group, MEMORY_NAME);
	ASSERT_LE(0, self->session.device);
	close(self->session.device);
	self->session.device = -1;
	EXPECT_EQ(1, watch_calls(self->watch).count);
}

TEST_F(watch, is_not_told_once_unregistered)
{
	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	ASSERT_EQ(0, watch_register(self->watch, 0));
	EXPECT_EQ(0, watch_unregister(self->watch));
	EXPECT_EQ(0, watch_unregister(self->watch));
	release(&self->session, self->memory);
	EXPECT_EQ(0, watch_calls(self->watch).count);
}

TEST_F(watch, comes_too_late_after_the_release)
{
	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	release(&self->session, self->memory);
	EXPECT_EQ(-ENODEV, watch_register(self->watch, 0));
	/* It is about the device, not about who had it open then. */
	self->session.device = group_device(self->session.group, MEMORY_NAME);
	ASSERT_LE(0, self->session.device);
	EXPECT_EQ(0, watch_register(self->watch, 0));
	close(self->session.device);
	self->session.device = -1;
	EXPECT_EQ(1, watch_calls(self->watch).count);
}

TEST_F(watch, is_told_in_the_order_of_registration)
{
	struct release_watch_calls first, second;
	int other = watch_open();

	ASSERT_LE(0, other);
	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	ASSERT_EQ(0, watch_look_up(other, self->memory));
	ASSERT_EQ(0, watch_register(other, 20));
	ASSERT_EQ(0, watch_register(self->watch, 20));
	release(&self->session, self->memory);
	first = watch_calls(other);
	second = watch_calls(self->watch);
	EXPECT_EQ(1, first.count);
	EXPECT_EQ(1, second.count);
	EXPECT_LE(first.last_ended_ns, second.last_began_ns);
	close(other);
}

static void *close_device(void *arg)
{
	struct vfio_session *session = arg;

	close(session->device);
	return NULL;
}

/* Unregistering waits for a call in flight, and the call ends. */
TEST_F(watch, unregistering_waits_for_the_call)
{
	struct release_watch_calls calls;
	pthread_t closer;
	uint64_t after;

	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	ASSERT_EQ(0, watch_register(self->watch, 500));
	munmap(self->memory, MEMORY_SIZE);
	ASSERT_EQ(0, pthread_create(&closer, NULL, close_device,
				    &self->session));
	usleep(200000);
	EXPECT_EQ(0, watch_unregister(self->watch));
	after = now();
	calls = watch_calls(self->watch);
	EXPECT_EQ(1, calls.count);
	EXPECT_LE(calls.last_ended_ns, after);
	pthread_join(closer, NULL);
	self->session.device = -1;
}

/*
 * The hardware is left alone until the notifier has returned: what it looks at is
 * the device as its user left it. What is read before the watch is ready is read
 * before the call has ended.
 */
TEST_F(watch, is_told_before_the_hardware_is_touched)
{
	const uint16_t on = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct release_watch_calls calls;
	uint64_t read_at = 0, time;
	struct vfio_session edu;
	pthread_t closer;
	uint16_t seen = on;
	const char *bdf;
	void *bar;

	NEED_DEVICE(bdf, "EDU");
	ASSERT_EQ(0, pci_bind(bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&edu, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, memory_enable(edu.device, true));
	ASSERT_EQ(0, edu_bus_master(edu.device, true));
	ASSERT_EQ(0, bar_mmap(edu.device, 0, 0, PAGE_SIZE, PROT_READ, &bar));
	ASSERT_EQ(0, watch_look_up(self->watch, bar));
	ASSERT_EQ(0, watch_register(self->watch, 300));
	ASSERT_EQ(0, munmap(bar, PAGE_SIZE));
	ASSERT_EQ(0, pthread_create(&closer, NULL, close_device, &edu));
	for (;;) {
		long command = pci_hw_config(bdf, PCI_COMMAND, 2);

		time = now();
		if (watch_ready(self->watch, 5))
			break;
		read_at = time;
		seen &= command;
	}
	EXPECT_EQ(on, seen);
	calls = watch_calls(self->watch);
	EXPECT_EQ(1, calls.count);
	/* Some of it during the call, not only before. */
	EXPECT_LT(calls.last_began_ns, read_at);
	pthread_join(closer, NULL);
	EXPECT_EQ(0, pci_hw_config(bdf, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	edu.device = -1;
	session_close(&edu);
	EXPECT_EQ(0, pci_bind(bdf, NULL));
}

/* Registered in time and called, or too late: nothing in between. */
TEST_F(watch, registers_while_the_device_is_released)
{
	long told = 0, late = 0;
	pthread_t closer;
	int round;

	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	release(&self->session, self->memory);
	for (round = 0; round < 500; round++) {
		struct release_watch_calls calls;
		long ret;

		self->session.device = group_device(self->session.group,
						    MEMORY_NAME);
		ASSERT_LE(0, self->session.device);
		ASSERT_EQ(0, pthread_create(&closer, NULL, close_device,
					    &self->session));
		if (round % 2)
			sched_yield();
		ret = watch_register(self->watch, 0);
		pthread_join(closer, NULL);
		calls = watch_calls(self->watch);
		if (!ret)
			told++;
		else if (ret == -ENODEV)
			late++;
		EXPECT_EQ(told, calls.count);
		EXPECT_EQ(round + 1, told + late);
		EXPECT_EQ(0, watch_unregister(self->watch));
	}
	self->session.device = -1;
	TH_LOG("%ld registered in time, %ld too late", told, late);
}

/* The owner of the device is killed; the watch belongs to somebody else. */
TEST_F(watch, is_told_when_the_user_is_killed)
{
	int ready[2];
	pid_t child;
	char byte = 0;

	ASSERT_EQ(0, pipe(ready));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		long ret = watch_look_up(self->watch, self->memory);

		if (!ret)
			ret = watch_register(self->watch, 0);
		if (ret || write(ready[1], &byte, 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	close(ready[0]);
	release(&self->session, self->memory);
	usleep(200000);
	EXPECT_EQ(0, watch_calls(self->watch).count);
	ASSERT_EQ(0, kill(child, SIGKILL));
	EXPECT_TRUE(watch_ready(self->watch, 5000));
	EXPECT_EQ(1, watch_calls(self->watch).count);
	EXPECT_EQ(-SIGKILL, child_result(child));
}

/* Each watch has a reference of its own, which outlives the one it came from. */
TEST_F(watch, shares_the_device)
{
	int other = watch_open();

	ASSERT_LE(0, other);
	EXPECT_EQ(-ENOENT, watch_share(other, self->watch));
	EXPECT_EQ(-EBADF, watch_share(other, -1));
	EXPECT_EQ(-EINVAL, watch_share(other, self->session.device));
	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	ASSERT_EQ(0, watch_share(other, self->watch));
	ASSERT_EQ(0, watch_share(other, other));
	close(self->watch);
	ASSERT_EQ(0, watch_register(other, 0));
	EXPECT_EQ(-EBUSY, watch_share(other, other));
	self->watch = other;
	munmap(self->memory, MEMORY_SIZE);
	session_close(&self->session);
	EXPECT_EQ(1, watch_calls(other).count);
	/* No reference but this one is left. */
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio_memory"));
	close(other);
	self->watch = -1;
	EXPECT_EQ(0, module_unload("vfio_memory"));
	EXPECT_EQ(0, module_load("vfio_memory"));
}

/* A notifier that unregisters and frees itself; only its code has to stay. */
TEST_F(watch, signals_by_itself)
{
	int events[] = { event_new(), event_new() };

	EXPECT_EQ(-ENOENT, vfio_ioctl(self->watch, RELEASE_WATCH_SIGNAL,
				      events[0]));
	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	EXPECT_EQ(-EBADF, vfio_ioctl(self->watch, RELEASE_WATCH_SIGNAL, -1));
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->watch, RELEASE_WATCH_SIGNAL,
				      self->watch));
	EXPECT_EQ(0, vfio_ioctl(self->watch, RELEASE_WATCH_SIGNAL, events[0]));
	EXPECT_EQ(0, vfio_ioctl(self->watch, RELEASE_WATCH_SIGNAL, events[1]));
	close(self->watch);
	self->watch = -1;
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio_release_watch"));
	EXPECT_EQ(0, events_take(events, 2));
	release(&self->session, self->memory);
	EXPECT_EQ(0x3, events_take(events, 2));
	EXPECT_EQ(0, module_unload("vfio_release_watch"));
	EXPECT_EQ(0, module_load("vfio_release_watch"));
	close(events[0]);
	close(events[1]);
}

/* Each allocation of a registration fails in turn; then nobody is registered. */
TEST_F(watch, registers_without_memory)
{
	bool failed = true;
	unsigned int nth;
	long ret = -1;

	NEED_INJECTION();
	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	for (nth = 1; failed && nth < ATTEMPTS; nth++) {
		injection_begin(nth);
		ret = watch_register(self->watch, 0);
		failed = injection_end();
		ASSERT_EQ(ret ? -ENOMEM : 0, ret);
		if (!ret)
			ASSERT_EQ(0, watch_unregister(self->watch));
	}
	EXPECT_EQ(0, ret);
	/* The callback, its registration, and the place in the list. */
	EXPECT_LT(3 + 1, nth);
	ASSERT_EQ(0, watch_register(self->watch, 0));
	release(&self->session, self->memory);
	/* Once: of the others nothing is left. */
	EXPECT_EQ(1, watch_calls(self->watch).count);
}

/* The device's last reference needs code of the driver. */
TEST_F(watch, keeps_the_driver_loaded)
{
	ASSERT_EQ(0, watch_look_up(self->watch, self->memory));
	munmap(self->memory, MEMORY_SIZE);
	session_close(&self->session);
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio_memory"));
	close(self->watch);
	self->watch = -1;
	EXPECT_EQ(0, module_unload("vfio_memory"));
	EXPECT_EQ(0, module_load("vfio_memory"));
}

SAMPLES_TEST_MAIN("vfio_memory", "vfio_release_watch")
