// SPDX-License-Identifier: GPL-2.0
/* Resets of a slot or bus, and whose they are: 6-62 to 6-73, 8-25. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "hot_reset.h"
#include "igb.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

/* ---- two devices that share a bus and a group ---- */

FIXTURE(bus)
{
	const char *edu;
	const char *testdev;
	struct vfio_session session;
	int fd;
	int sibling;
};

FIXTURE_SETUP(bus)
{
	self->fd = -1;
	self->sibling = -1;
	NEED_DEVICE(self->edu, "SHARED_EDU");
	NEED_DEVICE(self->testdev, "SHARED_TESTDEV");
	ASSERT_EQ(0, session_share(&self->session, self->edu));
	self->fd = self->session.device;
	self->sibling = group_device(self->session.group, self->testdev);
	ASSERT_LE(0, self->sibling);
}

FIXTURE_TEARDOWN(bus)
{
	EXPECT_EQ(EDU_ID_VALUE, edu_read(self->fd, EDU_ID));
	if (self->sibling >= 0)
		close(self->sibling);
	session_close(&self->session);
}

/* 6-62 */
TEST_F(bus, info_arguments)
{
	struct hot_reset_info info;

	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd,
				      VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
				      BAD_POINTER));
	EXPECT_EQ(-EINVAL, hot_reset_info(self->fd, &info, 0));
	EXPECT_EQ(-EINVAL, hot_reset_info(self->fd, &info, 11));
	/* Room for nothing, and for one of two. */
	EXPECT_EQ(-ENOSPC, hot_reset_info(self->fd, &info, 12));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(0, info.head.flags);
	EXPECT_EQ(12, info.head.argsz);
	EXPECT_EQ(-ENOSPC, hot_reset_info(self->fd, &info, 12 + 15));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(0xa5a5a5a5, info.devices[0].group_id);
	EXPECT_EQ(0, hot_reset_info(self->fd, &info, 12 + 16));
	EXPECT_EQ(2, info.head.count);
}

/* 6-63, 6-64, 6-73 */
TEST_F(bus, info_by_group)
{
	const struct vfio_pci_dependent_device *entry;
	struct hot_reset_info info;

	ASSERT_EQ(0, hot_reset_info(self->fd, &info, sizeof(info)));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(0, info.head.flags);
	EXPECT_EQ(sizeof(info), info.head.argsz);
	entry = hot_reset_entry(&info, self->edu);
	ASSERT_NE(NULL, entry);
	EXPECT_EQ(pci_group(self->edu), entry->group_id);
	entry = hot_reset_entry(&info, self->testdev);
	ASSERT_NE(NULL, entry);
	EXPECT_EQ(pci_group(self->testdev), entry->group_id);
	/* Whatever was behind them is still there. */
	EXPECT_EQ(0xa5a5a5a5, info.devices[2].group_id);

	ASSERT_EQ(0, hot_reset_info(self->sibling, &info, sizeof(info)));
	EXPECT_EQ(2, info.head.count);
}

/* 6-66, 6-67: everything that is refused before anything is reset. */
TEST_F(bus, reset_arguments)
{
	const uint32_t size = sizeof(struct hot_reset_request);
	int group = self->session.group;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_PCI_HOT_RESET,
				      BAD_POINTER));
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, 11, 0, 1, group, -1));
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, size, 1, 1, group, -1));
	/* The file came from a group, so groups have to be shown. */
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, size, 0, 0, group, -1));
	/* Two devices have at most two groups. */
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, size, 0, 3, group, group));
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, size, 0, UINT32_MAX, group,
					 group));
	EXPECT_EQ(-EBADF, hot_reset_raw(self->fd, size, 0, 1, -1, -1));
	EXPECT_EQ(-EBADF, hot_reset_raw(self->fd, size, 0, 2, group, -1));
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, size, 0, 1, null, -1));
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, size, 0, 2, group, null));
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, size, 0, 1, self->fd, -1));
	EXPECT_EQ(-EINVAL, hot_reset_raw(self->fd, size, 0, 1,
					 self->session.container, -1));
	close(null);
}

/* 6-67: the header is there, the array is not. */
TEST_F(bus, reset_array_missing)
{
	char *pages = memory_new(2 * PAGE_SIZE);
	struct vfio_pci_hot_reset *head;

	ASSERT_NE(MAP_FAILED, (void *)pages);
	munmap(pages + PAGE_SIZE, PAGE_SIZE);
	head = (void *)(pages + PAGE_SIZE - sizeof(*head));
	head->argsz = sizeof(struct hot_reset_request);
	head->count = 1;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_PCI_HOT_RESET,
				      head));
}

/* 6-68: a group, but not that of the devices. */
TEST_F(bus, reset_with_other_group)
{
	struct vfio_session other;
	const char *bdf;
	int group;

	NEED_DEVICE(bdf, "IGB");
	ASSERT_EQ(0, session_share(&other, bdf));
	group = other.group;
	EXPECT_EQ(-EINVAL, hot_reset(self->fd, group));
	/* One too many does no harm. */
	EXPECT_EQ(0, hot_reset_raw(self->fd, sizeof(struct hot_reset_request), 0, 2,
				   group, self->session.group));
	session_close(&other);
}

/* 6-72, 8-25: the memory of all devices goes away, and comes back. */
TEST_F(bus, reset)
{
	void *edu, *testdev;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &edu));
	ASSERT_EQ(0, bar_mmap(self->sibling, 0, 0, PAGE_SIZE, PROT_READ,
			      &testdev));
	ASSERT_LE(0, faults_of(edu, 1));
	ASSERT_LE(0, faults_of(testdev, 1));
	ASSERT_EQ(0, faults_of(edu, 1));
	ASSERT_EQ(0, faults_of(testdev, 1));
	ASSERT_EQ(0, hot_reset(self->fd, self->session.group));
	EXPECT_LE(1, faults_of(edu, 1));
	EXPECT_LE(1, faults_of(testdev, 1));
	EXPECT_EQ(EDU_ID_VALUE, *(volatile uint32_t *)edu);
	munmap(edu, PAGE_SIZE);
	munmap(testdev, PAGE_SIZE);
}

/* 6-61 for all: what the user set up in config space survives. */
TEST_F(bus, reset_keeps_config)
{
	long command, bar;

	ASSERT_EQ(0, edu_bus_master(self->fd, true));
	ASSERT_EQ(0, config_write(self->fd, PCI_INTERRUPT_LINE, 1, 0x5a));
	command = config_read(self->fd, PCI_COMMAND, 2);
	bar = pci_hw_config(self->edu, PCI_BASE_ADDRESS_0, 4);
	ASSERT_EQ(0, hot_reset(self->sibling, self->session.group));
	EXPECT_EQ(command, config_read(self->fd, PCI_COMMAND, 2));
	EXPECT_EQ(command, pci_hw_config(self->edu, PCI_COMMAND, 2));
	EXPECT_EQ(bar, pci_hw_config(self->edu, PCI_BASE_ADDRESS_0, 4));
	EXPECT_EQ(0x5a, config_read(self->fd, PCI_INTERRUPT_LINE, 1));
	ASSERT_EQ(0, memory_enable(self->fd, false));
	ASSERT_EQ(0, hot_reset(self->fd, self->session.group));
	EXPECT_EQ(-EIO, edu_read(self->fd, EDU_ID));
	ASSERT_EQ(0, memory_enable(self->fd, true));
}

struct hammer {
	int fd;
	const void *addr;
	volatile bool stop;
	long rounds;
	long wrong;
};

/* Loads and reads until told to stop, and counts what is not the id. */
static void *hammer(void *data)
{
	struct hammer *hammer = data;

	while (!hammer->stop) {
		uint32_t value = 0;

		if (mmio_read(hammer->addr, &value) || value != EDU_ID_VALUE)
			hammer->wrong++;
		if (edu_read(hammer->fd, EDU_ID) != EDU_ID_VALUE)
			hammer->wrong++;
		hammer->rounds++;
	}
	return NULL;
}

/*
 * 6-70: who uses a device meanwhile waits, and finds it as it was. The C modules
 * give up with EBUSY where a user happens to be at a device; these wait for him.
 */
TEST_F(bus, reset_in_use)
{
	struct hammer users = { .fd = self->fd };
	pthread_t thread;
	void *addr;
	int i;

	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &addr));
	users.addr = addr;
	ASSERT_EQ(0, pthread_create(&thread, NULL, hammer, &users));
	for (i = 0; i < 5; i++) {
		long ret = hot_reset(self->fd, self->session.group);

		EXPECT_TRUE(!ret || (on_c_modules() && ret == -EBUSY));
		usleep(1000);
	}
	users.stop = true;
	pthread_join(thread, NULL);
	EXPECT_LT(0, users.rounds);
	EXPECT_EQ(0, users.wrong);
	munmap(addr, PAGE_SIZE);
}

/* 6-69: a device with another driver, even with none, is not the user's. */
TEST_F(bus, sibling_not_bound)
{
	struct hot_reset_info info;

	close(self->sibling);
	self->sibling = -1;
	ASSERT_EQ(0, pci_bind(self->testdev, NULL));
	EXPECT_EQ(0, hot_reset_info(self->fd, &info, sizeof(info)));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(-EINVAL, hot_reset(self->fd, self->session.group));
	ASSERT_EQ(0, pci_bind(self->testdev, "vfio-pci"));
	EXPECT_EQ(0, hot_reset(self->fd, self->session.group));
}

static void *come_and_go(void *data)
{
	const char *bdf = data;
	long ret = 0;
	int i;

	for (i = 0; i < 4 && !ret; i++) {
		ret = pci_bind(bdf, NULL);
		usleep(20000);
		if (!ret)
			ret = pci_bind(bdf, "vfio-pci");
		usleep(20000);
	}
	return (void *)ret;
}

/* 6-69: a device that loses and gets its driver while its bus is being reset. */
TEST_F(bus, sibling_comes_and_goes)
{
	void *result = (void *)1;
	pthread_t thread;

	close(self->sibling);
	self->sibling = -1;
	ASSERT_EQ(0, pthread_create(&thread, NULL, come_and_go,
				    (void *)self->testdev));
	while (pthread_tryjoin_np(thread, &result)) {
		long ret = hot_reset(self->fd, self->session.group);

		/* Not bound, just being bound or unbound, or (C) in use. */
		EXPECT_TRUE(!ret || ret == -EINVAL || ret == -EAGAIN ||
			    (on_c_modules() && ret == -EBUSY));
	}
	EXPECT_EQ(NULL, result);
	EXPECT_EQ(0, hot_reset(self->fd, self->session.group));
}

/* ---- devices that are alone in their slot, and one that has none ---- */

FIXTURE(port)
{
	const char *bdf;
	struct vfio_session session;
	int fd;
};

FIXTURE_SETUP(port)
{
	NEED_DEVICE(self->bdf, "PORT_IGB");
	ASSERT_EQ(0, session_share(&self->session, self->bdf));
	self->fd = self->session.device;
}

FIXTURE_TEARDOWN(port)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

static long igb_mark(int fd)
{
	uint32_t value = IGB_MARK;

	return region_write(fd, 0, IGB_RDBAL, &value, sizeof(value));
}

static long igb_marked(int fd)
{
	uint32_t value = 0;
	long ret = region_read(fd, 0, IGB_RDBAL, &value, sizeof(value));

	return ret == sizeof(value) ? (long)value : ret;
}

/* 6-72: it is a reset, not only a revocation. */
TEST_F(port, reset)
{
	struct hot_reset_info info;

	ASSERT_EQ(0, hot_reset_info(self->fd, &info, sizeof(info)));
	EXPECT_EQ(1, info.head.count);
	EXPECT_NE(NULL, hot_reset_entry(&info, self->bdf));
	ASSERT_EQ(4, igb_mark(self->fd));
	ASSERT_EQ(IGB_MARK, igb_marked(self->fd));
	ASSERT_EQ(0, hot_reset(self->fd, self->session.group));
	EXPECT_EQ(0, igb_marked(self->fd));
}

/* 6-72: a device that sleeps wakes up, with its config space. */
TEST_F(port, reset_in_d3)
{
	long power = config_cap(self->fd, PCI_CAP_ID_PM);
	long bar = pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4);
	long command = config_read(self->fd, PCI_COMMAND, 2);

	ASSERT_LT(0, power);
	ASSERT_EQ(0, config_write(self->fd, power + PCI_PM_CTRL, 2, 3));
	ASSERT_EQ(3, config_read(self->fd, power + PCI_PM_CTRL, 2) &
		     PCI_PM_CTRL_STATE_MASK);
	ASSERT_EQ(0, hot_reset(self->fd, self->session.group));
	EXPECT_EQ(0, config_read(self->fd, power + PCI_PM_CTRL, 2) &
		     PCI_PM_CTRL_STATE_MASK);
	EXPECT_EQ(bar, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_EQ(command, config_read(self->fd, PCI_COMMAND, 2));
	EXPECT_EQ(0, igb_marked(self->fd));
}

static void *reset_function(void *data)
{
	return (void *)vfio_ioctl(*(int *)data, VFIO_DEVICE_RESET, 0);
}

/*
 * 6-70, 6-72: who comes while the function is being reset has to come again. The
 * C modules find its memory lock taken, these its device lock.
 */
TEST_F(port, reset_during_reset)
{
	void *result = (void *)1;
	pthread_t thread;
	long ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_function, &self->fd));
	/* The reset of a function takes 100 ms. */
	usleep(30000);
	ret = hot_reset(self->fd, self->session.group);
	report_difference("hot reset during a reset", ret == -EBUSY ? "EBUSY" :
		   ret == -EAGAIN ? "EAGAIN" : "something else");
	EXPECT_EQ(on_c_modules() ? -EBUSY : -EAGAIN, ret);
	pthread_join(thread, &result);
	EXPECT_EQ(NULL, result);
	EXPECT_EQ(0, hot_reset(self->fd, self->session.group));
}

/* 6-62, 6-66: on the root bus nothing can be reset but the function. */
TEST(no_slot_and_no_bus)
{
	struct vfio_session session;
	struct hot_reset_info info;
	const char *bdf;
	int fd;

	NEED_DEVICE(bdf, "IGB");
	ASSERT_EQ(0, session_share(&session, bdf));
	fd = session.device;
	EXPECT_EQ(-EINVAL, hot_reset_info(fd, &info, 11));
	EXPECT_EQ(-ENODEV, hot_reset_info(fd, &info, 12));
	EXPECT_EQ(-ENODEV, hot_reset_info(fd, &info, sizeof(info)));
	EXPECT_EQ(-EINVAL, hot_reset_raw(fd, 11, 0, 1, session.group, -1));
	EXPECT_EQ(-EINVAL, hot_reset_cdev(fd));
	EXPECT_EQ(-ENODEV, hot_reset(fd, session.group));
	/* Before the descriptors are looked at. */
	EXPECT_EQ(-ENODEV, hot_reset(fd, -1));
	session_close(&session);
}

int main(int argc, char **argv)
{
	static const char *const all[] = {
		"SHARED_EDU", "SHARED_TESTDEV", "PORT_IGB", "IGB", NULL
	};
	/* The testdev is in the group of the edu, which opens once only. */
	static const char *const kept[] = {
		"SHARED_EDU", "PORT_IGB", "IGB", NULL
	};

	pci_claim(all);
	session_keep(kept);
	return test_harness_run(argc, argv);
}
