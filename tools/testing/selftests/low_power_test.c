// SPDX-License-Identifier: GPL-2.0
/* Low power: devices that are suspended, in use or not (6.7, 8.3, 10.3). */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define GET	VFIO_DEVICE_FEATURE_GET
#define SET	VFIO_DEVICE_FEATURE_SET
#define PROBE	VFIO_DEVICE_FEATURE_PROBE

#define ENTRY	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
#define WAKEUP	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
#define EXIT	VFIO_DEVICE_FEATURE_LOW_POWER_EXIT

/* Registers of the e1000e; of a descriptor base, which only keeps what it gets. */
#define STATUS		0x0008
#define SCRATCH		0x3800
#define ICR		0x00c0
#define ICS		0x00c8
#define IMS		0x00d0
#define IMC		0x00d8
#define LSC		(1U << 2)

#define DISABLE_IDLE_D3	"/sys/module/vfio_pci/parameters/disable_idle_d3"

static bool is_suspended(const char *bdf)
{
	return pci_becomes(bdf, "power/runtime_status", "suspended") &&
	       pci_becomes(bdf, "power_state", "D3hot");
}

static bool is_active(const char *bdf)
{
	return pci_becomes(bdf, "power/runtime_status", "active") &&
	       pci_becomes(bdf, "power_state", "D0");
}

/* Whether it is active, and is not about to be suspended. */
static bool stays_active(const char *bdf)
{
	char now[64];

	usleep(200000);
	return !pci_attribute(bdf, "power/runtime_status", now, sizeof(now)) &&
	       !strcmp(now, "active");
}

static long enter(int fd)
{
	return device_feature(fd, SET | ENTRY, NULL, 0);
}

static long enter_with(int fd, int event)
{
	struct vfio_device_low_power_entry_with_wakeup entry = {
		.wakeup_eventfd = event,
	};

	return device_feature(fd, SET | WAKEUP, &entry, sizeof(entry));
}

static long leave(int fd)
{
	return device_feature(fd, SET | EXIT, NULL, 0);
}

static long touch_by_ioctl(int fd)
{
	struct vfio_device_info info = { .argsz = 16 };

	return vfio_ioctl(fd, VFIO_DEVICE_GET_INFO, &info);
}

FIXTURE(nic)
{
	struct vfio_session session;
	const char *bdf;
	int fd;
	int event;
};

FIXTURE_SETUP(nic)
{
	SHARE_DEVICE(&self->session, "E1000E");
	self->bdf = self->session.bdf;
	self->fd = self->session.device;
	self->event = event_new();
	ASSERT_LE(0, self->event);
}

FIXTURE_TEARDOWN(nic)
{
	pci_set_attribute(self->bdf, "power/control", "auto");
	EXPECT_EQ(0, leave(self->fd));
	EXPECT_EQ(0, session_finish(&self->session));
	close(self->event);
}

/* 6-85, 6-89, 6-90, 6-91 */
TEST_F(nic, refusals)
{
	struct vfio_device_low_power_entry_with_wakeup entry = {
		.wakeup_eventfd = self->event,
	};
	static const uint32_t features[] = { ENTRY, WAKEUP, EXIT };
	int i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		EXPECT_EQ(0, device_feature(self->fd, PROBE | features[i], NULL,
					    0));
		EXPECT_EQ(0, device_feature(self->fd, PROBE | SET | features[i],
					    NULL, 0));
		EXPECT_EQ(-EINVAL, device_feature(self->fd, GET | features[i],
						  &entry, sizeof(entry)));
		EXPECT_EQ(-EINVAL, device_feature(self->fd, features[i], &entry,
						  sizeof(entry)));
	}
	EXPECT_EQ(-EINVAL, device_feature(self->fd, SET | WAKEUP, &entry,
					  sizeof(entry) - 1));
	EXPECT_EQ(-EINVAL, enter_with(self->fd, -1));
	EXPECT_EQ(-EBADF, enter_with(self->fd, 1000));
	EXPECT_EQ(-EINVAL, enter_with(self->fd, self->session.container));
	/* None of these has let the device go. */
	EXPECT_TRUE(stays_active(self->bdf));

	EXPECT_EQ(0, enter(self->fd));
	EXPECT_EQ(-EINVAL, enter(self->fd));
	EXPECT_EQ(-EINVAL, enter_with(self->fd, self->event));
	EXPECT_EQ(0, leave(self->fd));
	EXPECT_EQ(0, leave(self->fd));
	EXPECT_TRUE(stays_active(self->bdf));
	/* The refused one left nothing behind. */
	EXPECT_EQ(-EAGAIN, event_take(self->event));
}

/* 6-90: the argument is read after the size has been checked. */
TEST_F(nic, argument_that_ends)
{
	char *pages = memory_new(2 * PAGE_SIZE);
	struct vfio_device_feature *feature;

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + PAGE_SIZE, PAGE_SIZE));
	feature = (void *)(pages + PAGE_SIZE - sizeof(*feature));
	feature->flags = SET | WAKEUP;
	feature->argsz = sizeof(*feature) + 8;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_FEATURE, feature));
	feature->argsz = sizeof(*feature) + 7;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_FEATURE, feature));
	munmap(pages, PAGE_SIZE);
}

/* 6-89, 6-92: every access wakes the device up for as long as it takes. */
TEST_F(nic, suspends)
{
	const uint32_t written = 0x12340010;
	uint32_t value = written;
	long vendor = config_read(self->fd, PCI_VENDOR_ID, 2);

	EXPECT_TRUE(is_active(self->bdf));
	EXPECT_EQ(4, region_write(self->fd, 0, SCRATCH, &value, 4));
	ASSERT_EQ(0, enter(self->fd));
	EXPECT_TRUE(is_suspended(self->bdf));

	EXPECT_EQ(0, touch_by_ioctl(self->fd));
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(vendor, config_read(self->fd, PCI_VENDOR_ID, 2));
	EXPECT_TRUE(is_suspended(self->bdf));
	value = 0;
	EXPECT_EQ(4, region_read(self->fd, 0, SCRATCH, &value, 4));
	EXPECT_EQ(written, value);
	EXPECT_TRUE(is_suspended(self->bdf));
	/* An ioctl that the core answers, and one that it refuses. */
	EXPECT_EQ(-ENOTTY, device_feature(self->fd,
					  PROBE | VFIO_DEVICE_FEATURE_MIGRATION,
					  NULL, 0));
	EXPECT_TRUE(is_suspended(self->bdf));

	EXPECT_EQ(0, leave(self->fd));
	EXPECT_TRUE(is_active(self->bdf));
	EXPECT_TRUE(stays_active(self->bdf));
}

/* 6-92, 8-13, 8-26, 8-9: whatever is mapped faults, even while in D0. */
TEST_F(nic, mapped)
{
	void *addr, *later;
	long status;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	status = mmio_at(addr);
	EXPECT_LE(0, status);
	/* The host keeps it awake. */
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "power/control", "on"));
	ASSERT_EQ(0, enter(self->fd));
	EXPECT_TRUE(is_active(self->bdf));
	EXPECT_EQ(-SIGBUS, mmio_at(addr));
	EXPECT_EQ(-EINVAL, enter(self->fd));
	EXPECT_EQ(-SIGBUS, mmio_at(addr));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &later));
	EXPECT_EQ(-SIGBUS, mmio_at(later));

	ASSERT_EQ(0, pci_set_attribute(self->bdf, "power/control", "auto"));
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(-SIGBUS, mmio_at(addr));
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(0, leave(self->fd));
	EXPECT_EQ(status, mmio_at(addr));
	EXPECT_EQ(status, mmio_at(later));
	munmap(addr, PAGE_SIZE);
	munmap(later, PAGE_SIZE);
}

/* 6-90, 6-92, 8-9, 10-29: it wakes up once, says so, and stays awake. */
TEST_F(nic, wakeup)
{
	void *addr, *later;
	long status;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	status = mmio_at(addr);
	ASSERT_EQ(0, enter_with(self->fd, self->event));
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(-SIGBUS, mmio_at(addr));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	/* Mapping it is no reason to wake up, not even for a moment. */
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &later));
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	EXPECT_EQ(-SIGBUS, mmio_at(later));
	EXPECT_EQ(0, munmap(later, PAGE_SIZE));
	EXPECT_EQ(-EAGAIN, event_take(self->event));

	EXPECT_EQ(0, touch_by_ioctl(self->fd));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_TRUE(stays_active(self->bdf));
	EXPECT_EQ(status, mmio_at(addr));
	EXPECT_EQ(0, touch_by_ioctl(self->fd));
	EXPECT_EQ(-EAGAIN, event_take(self->event));

	/* Again, and the one who wakes it up is the host. */
	ASSERT_EQ(0, enter_with(self->fd, self->event));
	EXPECT_TRUE(is_suspended(self->bdf));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "power/control", "on"));
	EXPECT_EQ(1, event_wait(self->event, 1000));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "power/control", "auto"));
	EXPECT_TRUE(stays_active(self->bdf));
	EXPECT_EQ(status, mmio_at(addr));

	/* The way out by ioctl wakes it up first. */
	ASSERT_EQ(0, enter_with(self->fd, self->event));
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(0, leave(self->fd));
	EXPECT_EQ(1, event_take(self->event));
	munmap(addr, PAGE_SIZE);
}

/* 6-92: no sleep, no wakeup; so it is not over either. */
TEST_F(nic, wakeup_without_sleep)
{
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "power/control", "on"));
	ASSERT_EQ(0, enter_with(self->fd, self->event));
	EXPECT_EQ(0, touch_by_ioctl(self->fd));
	EXPECT_EQ(-EINVAL, enter_with(self->fd, self->event));
	EXPECT_EQ(0, leave(self->fd));
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	ASSERT_EQ(0, pci_set_attribute(self->bdf, "power/control", "auto"));
	EXPECT_TRUE(stays_active(self->bdf));
}

/* 6-90: nobody holds the eventfd for longer than the device sleeps. */
TEST_F(nic, eventfd_is_let_go)
{
	char text[64];
	int i;

	for (i = 0; i < 3; i++) {
		int event = event_new();

		ASSERT_LE(0, event);
		ASSERT_EQ(0, enter_with(self->fd, event));
		close(event);
		EXPECT_TRUE(is_suspended(self->bdf));
		EXPECT_EQ(0, touch_by_ioctl(self->fd));
		EXPECT_EQ(0, enter(self->fd));
		EXPECT_EQ(0, leave(self->fd));
	}
	EXPECT_EQ(0, pci_attribute(self->bdf, "power/runtime_status", text,
				   sizeof(text)));
	EXPECT_STREQ("active", text);
}

/* 10-28, 7-47: a power state that the user chose does not outlive a suspend. */
TEST_F(nic, user_in_d3)
{
	long pm = config_cap(self->fd, PCI_CAP_ID_PM);

	ASSERT_LT(0, pm);
	ASSERT_EQ(0, config_write(self->fd, pm + PCI_PM_CTRL, 2, 3));
	EXPECT_EQ(3, config_read(self->fd, pm + PCI_PM_CTRL, 2) &
			     PCI_PM_CTRL_STATE_MASK);
	ASSERT_EQ(0, enter(self->fd));
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(0, leave(self->fd));
	EXPECT_EQ(0, config_read(self->fd, pm + PCI_PM_CTRL, 2) &
			     PCI_PM_CTRL_STATE_MASK);
	EXPECT_TRUE(is_active(self->bdf));
}

static void raise_interrupt(int fd)
{
	uint32_t cause = LSC;

	region_write(fd, 0, IMS, &cause, 4);
	region_write(fd, 0, ICS, &cause, 4);
}

static void acknowledge_interrupt(int fd)
{
	uint32_t cause = LSC;

	region_write(fd, 0, IMC, &cause, 4);
	region_read(fd, 0, ICR, &cause, 4);
}

/* Where the host has config space in memory, or zero. */
static uint64_t ecam_address(void)
{
	FILE *file = fopen("/proc/iomem", "re");
	unsigned long long start = 0;
	char line[256];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (strstr(line, "PCI ECAM 0000") || strstr(line, "PCI MMCONFIG"))
			sscanf(line, "%llx", &start);
	fclose(file);
	return start;
}

/*
 * The command register of a device that sleeps. Whoever asks sysfs wakes the
 * device up, so this looks at the hardware.
 */
static long command_asleep(const char *bdf)
{
	unsigned int bus, device, function;
	uint64_t address = ecam_address();
	long command;
	void *page;
	int fd;

	if (!address ||
	    sscanf(bdf, "0000:%x:%x.%x", &bus, &device, &function) != 3)
		return -ENOENT;
	fd = open("/dev/mem", O_RDONLY | O_SYNC | O_CLOEXEC);
	page = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd,
		    address + (bus << 20 | device << 15 | function << 12));
	if (page == MAP_FAILED)
		return -errno;
	command = mmio_at(page + PCI_COMMAND);
	munmap(page, PAGE_SIZE);
	close(fd);
	return command < 0 ? command : command & 0xffff;
}

/* 10-28, 10-29: INTx is masked by a suspend, and only then unmasked again. */
TEST_F(nic, interrupts)
{
	const uint32_t intx = VFIO_PCI_INTX_IRQ_INDEX;
	long command;
	int i;

	ASSERT_EQ(0, irq_eventfd(self->fd, intx, 0, self->event));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, enter(self->fd));
		EXPECT_TRUE(is_suspended(self->bdf));
		command = command_asleep(self->bdf);
		ASSERT_LE(0, command);
		EXPECT_TRUE(command & PCI_COMMAND_INTX_DISABLE);
		EXPECT_TRUE(is_suspended(self->bdf));
		EXPECT_EQ(0, leave(self->fd));
		EXPECT_FALSE(pci_hw_config(self->bdf, PCI_COMMAND, 2) &
			     PCI_COMMAND_INTX_DISABLE);

		raise_interrupt(self->fd);
		EXPECT_EQ(1, event_wait(self->event, 1000));
		acknowledge_interrupt(self->fd);
		EXPECT_EQ(0, irq_none(self->fd, intx, VFIO_IRQ_SET_ACTION_UNMASK,
				      0, 1));
	}

	/* What the user has masked stays masked. */
	EXPECT_EQ(0, irq_none(self->fd, intx, VFIO_IRQ_SET_ACTION_MASK, 0, 1));
	ASSERT_EQ(0, enter(self->fd));
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(0, leave(self->fd));
	raise_interrupt(self->fd);
	EXPECT_EQ(-ETIMEDOUT, event_wait(self->event, 100));
	EXPECT_EQ(0, irq_none(self->fd, intx, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1));
	EXPECT_EQ(1, event_wait(self->event, 1000));
	acknowledge_interrupt(self->fd);
	EXPECT_EQ(0, irq_disable(self->fd, intx));
}

/* 6-89: all files of the device are in it together. */
TEST_F(nic, every_file)
{
	struct vfio_session other;

	ASSERT_EQ(0, session_share(&other, self->bdf));
	ASSERT_EQ(0, enter(self->fd));
	EXPECT_EQ(-EINVAL, enter(other.device));
	close(self->session.device);
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(0, leave(other.device));
	EXPECT_TRUE(stays_active(self->bdf));
	self->session.device = other.device;
	self->fd = other.device;
	other.device = -1;
	session_close(&other);
}

/* Those who use the device while it falls asleep and wakes up. */
struct crowd {
	int fd;
	int bell;
	const void *mapped;
	long status;
	atomic_bool stop;
	atomic_ulong seen;
	atomic_ulong refused;
	atomic_ulong wrong;
};

static void *crowd_look(void *data)
{
	struct crowd *crowd = data;

	while (!atomic_load(&crowd->stop)) {
		long value = mmio_at(crowd->mapped);

		if (value == crowd->status)
			atomic_fetch_add(&crowd->seen, 1);
		else if (value == -SIGBUS)
			atomic_fetch_add(&crowd->refused, 1);
		else
			atomic_fetch_add(&crowd->wrong, 1);
		usleep(100);
	}
	return NULL;
}

static void *crowd_ring(void *data)
{
	struct crowd *crowd = data;

	while (!atomic_load(&crowd->stop)) {
		if (event_signal(crowd->bell) || touch_by_ioctl(crowd->fd))
			atomic_fetch_add(&crowd->wrong, 1);
		usleep(3000);
	}
	return NULL;
}

/* 6-82, 6-92: nobody meets a device that sleeps, and all of them get through. */
TEST_F(nic, crowd)
{
	struct vfio_device_ioeventfd bell = {
		.argsz = sizeof(bell),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.offset = REGION_OFFSET(0) + SCRATCH,
		.data = 0x10,
		.fd = event_new(),
	};
	struct crowd crowd = { .fd = self->fd, .bell = bell.fd };
	pthread_t threads[4];
	uint32_t value = 0;
	void *addr;
	int i;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	crowd.mapped = addr + STATUS;
	crowd.status = mmio_at(crowd.mapped);
	ASSERT_LE(0, crowd.status);
	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_IOEVENTFD, &bell));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL,
					    i < 2 ? crowd_look : crowd_ring,
					    &crowd));
	for (i = 0; i < 100; i++) {
		/* One in two ends with the first who wakes the device up. */
		long ret = i & 1 ? enter(self->fd) :
				   enter_with(self->fd, self->event);

		EXPECT_EQ(0, ret);
		usleep(1000 * (i % 20));
		EXPECT_EQ(0, leave(self->fd));
		usleep(2000);
	}
	atomic_store(&crowd.stop, true);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_EQ(0, atomic_load(&crowd.wrong));
	EXPECT_LT(0, atomic_load(&crowd.seen));
	EXPECT_LT(0, atomic_load(&crowd.refused));

	EXPECT_EQ(4, region_write(self->fd, 0, SCRATCH, &value, 4));
	EXPECT_EQ(0, event_signal(bell.fd));
	for (i = 0; i < 100 && !value; i++) {
		usleep(10000);
		EXPECT_EQ(4, region_read(self->fd, 0, SCRATCH, &value, 4));
	}
	EXPECT_EQ(0x10, value);
	EXPECT_TRUE(stays_active(self->bdf));
	close(bell.fd);
	bell.fd = -1;
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_IOEVENTFD, &bell));
	munmap(addr, PAGE_SIZE);
}

/* Of igb, which nobody has open. */
FIXTURE(idle)
{
	const char *bdf;
};

FIXTURE_SETUP(idle)
{
	NEED_DEVICE(self->bdf, "IGB");
}

FIXTURE_TEARDOWN(idle)
{
	file_write(DISABLE_IDLE_D3, "N");
	if (self->bdf) {
		pci_bind(self->bdf, NULL);
		pci_bind(self->bdf, "vfio-pci");
	}
}

/* 10-7, 10-19: in D3 unless it is open; what a user left on does not stay. */
TEST_F(idle, sleeps_unless_open)
{
	struct vfio_session session;
	int event = event_new();

	EXPECT_TRUE(is_suspended(self->bdf));
	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_TRUE(is_active(self->bdf));
	EXPECT_TRUE(stays_active(self->bdf));
	ASSERT_EQ(0, enter_with(session.device, event));
	EXPECT_TRUE(is_suspended(self->bdf));
	session_close(&session);
	EXPECT_EQ(-EAGAIN, event_take(event));
	EXPECT_TRUE(is_suspended(self->bdf));

	/* The counts are even: this user, too, can keep it awake. */
	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_TRUE(stays_active(self->bdf));
	EXPECT_EQ(0, touch_by_ioctl(session.device));
	EXPECT_EQ(-EAGAIN, event_take(event));
	EXPECT_EQ(0, enter(session.device));
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(0, session_finish(&session));
	EXPECT_TRUE(is_suspended(self->bdf));
	close(event);
}

/* 1-15: the parameter counts when the device is bound. */
TEST_F(idle, parameter)
{
	struct vfio_session session;

	ASSERT_EQ(0, file_write(DISABLE_IDLE_D3, "Y"));
	EXPECT_TRUE(is_suspended(self->bdf));
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	EXPECT_TRUE(stays_active(self->bdf));
	ASSERT_EQ(0, file_write(DISABLE_IDLE_D3, "N"));

	ASSERT_EQ(0, session_open(&session, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_TRUE(stays_active(self->bdf));
	/* That it must not sleep while unused says nothing about its user. */
	EXPECT_EQ(0, enter(session.device));
	EXPECT_TRUE(is_suspended(self->bdf));
	EXPECT_EQ(0, leave(session.device));
	EXPECT_TRUE(stays_active(self->bdf));
	session_close(&session);
	EXPECT_TRUE(stays_active(self->bdf));
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	EXPECT_TRUE(is_suspended(self->bdf));
}

int main(int argc, char **argv)
{
	static const char *const claimed[] = { "IGB", "E1000E", NULL };
	static const char *const open[] = { "E1000E", NULL };

	pci_claim(claimed);
	session_keep(open);
	return test_harness_run(argc, argv);
}
