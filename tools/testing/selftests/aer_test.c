// SPDX-License-Identifier: GPL-2.0
/*
 * Errors of the bus: what the user hears of them, and what they leave behind
 * (10-31, 12-27).
 *
 * After a fatal error the PCI core resets the link, which takes the device's
 * config space along. The C modules leave it so: mappings stay, and reach
 * nothing. These take the mappings away and put config space back.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kernel_log.h"
#include "igb.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

/* A register that is always the same. */
#define PATIENCE_MS	5000

/* struct aer_error_inj, what /dev/aer_inject takes. */
struct injection {
	uint8_t bus;
	uint8_t dev;
	uint8_t fn;
	uint32_t uncor_status;
	uint32_t cor_status;
	uint32_t header_log[4];
	uint32_t domain;
};

/* Makes the PCI core believe that @bdf has reported these errors. */
static long inject(const char *bdf, uint32_t uncorrectable, uint32_t correctable)
{
	struct injection injection = {
		.uncor_status = uncorrectable,
		.cor_status = correctable,
	};
	unsigned int domain, bus, dev, fn;
	long ret;
	int fd;

	if (sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) != 4)
		return -EINVAL;
	injection.domain = domain;
	injection.bus = bus;
	injection.dev = dev;
	injection.fn = fn;
	fd = open("/dev/aer_inject", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = sys_result(write(fd, &injection, sizeof(injection)));
	close(fd);
	return ret == sizeof(injection) ? 0 : ret < 0 ? ret : -EIO;
}

/* While recovery holds the device's lock it cannot be opened. */
static int open_patiently(struct vfio_session *session, const char *bdf)
{
	int ret = -EAGAIN;
	int i;

	for (i = 0; i < PATIENCE_MS / 10 && ret == -EAGAIN; i++) {
		ret = session_open(session, bdf, VFIO_TYPE1v2_IOMMU);
		if (ret == -EAGAIN)
			usleep(10000);
	}
	return ret;
}

static int reset_patiently(int device)
{
	int ret = -EAGAIN;
	int i;

	for (i = 0; i < PATIENCE_MS / 10 && ret == -EAGAIN; i++) {
		ret = vfio_ioctl(device, VFIO_DEVICE_RESET, 0);
		if (ret == -EAGAIN)
			usleep(10000);
	}
	return ret;
}

FIXTURE(igb)
{
	const char *bdf;
	struct vfio_session session;
	int fd;
	int event;
	void *bar;
};

FIXTURE_SETUP(igb)
{
	uint32_t value = 0;

	self->fd = -1;
	NEED_DEVICE(self->bdf, "PORT_IGB");
	if (access("/dev/aer_inject", W_OK))
		SKIP(return, "the kernel injects no errors");
	if (!access("/proc/lockdep_stats", F_OK))
		SKIP(return, "lockdep takes offence at the kernel's aer_inject");
	ASSERT_EQ(0, open_patiently(&self->session, self->bdf));
	self->fd = self->session.device;
	self->event = event_new();
	ASSERT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_ERR_IRQ_INDEX, 0,
				 self->event));
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &self->bar));
	ASSERT_EQ(0, mmio_read(self->bar + IGB_VET, &value));
	ASSERT_EQ(IGB_VET_VALUE, value);
}

/* Whatever became of the device, its next user finds it well. */
FIXTURE_TEARDOWN(igb)
{
	uint32_t value = 0;

	if (self->fd < 0)
		return;
	munmap(self->bar, PAGE_SIZE);
	close(self->event);
	session_close(&self->session);
	EXPECT_EQ(0, open_patiently(&self->session, self->bdf));
	EXPECT_EQ(4, region_read(self->session.device, 0, IGB_VET, &value, 4));
	EXPECT_EQ(IGB_VET_VALUE, value);
	session_close(&self->session);
}

/* Page faults of a load, or minus the signal that it ended in. */
static long load(const void *addr, uint32_t *value)
{
	long before = fault_count();
	int ret = mmio_read(addr, value);

	return ret ? ret : fault_count() - before;
}

/* The first load that does not end in a signal, as at the end of recovery. */
static long load_patiently(const void *addr, uint32_t *value)
{
	long ret = -SIGBUS;
	int i;

	for (i = 0; i < PATIENCE_MS && ret == -SIGBUS; i++) {
		ret = load(addr, value);
		usleep(1000);
	}
	return ret;
}

/* Without the link being reset, nothing happens to the device. */
static void expect_untouched(struct __test_metadata *_metadata, const char *bdf,
			     const void *bar)
{
	uint32_t value = 0;

	EXPECT_EQ(0, load(bar + IGB_VET, &value));
	EXPECT_EQ(IGB_VET_VALUE, value);
	EXPECT_NE(0, pci_hw_config(bdf, PCI_COMMAND, 2) &
		     PCI_COMMAND_MEMORY);
}

/* A correctable error is none of the user's business. */
TEST_F(igb, correctable)
{
	ASSERT_EQ(0, inject(self->bdf, 0, PCI_ERR_COR_RCVR));
	usleep(300000);
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	expect_untouched(_metadata, self->bdf, self->bar);
}

/* 10-31 */
TEST_F(igb, nonfatal)
{
	int log = log_open();
	int i;

	ASSERT_LE(0, log);
	ASSERT_EQ(0, inject(self->bdf, PCI_ERR_UNC_COMP_TIME, 0));
	EXPECT_EQ(1, event_wait(self->event, PATIENCE_MS));
	expect_untouched(_metadata, self->bdf, self->bar);
	/* And once more; the end of recovery clears what is injected before it. */
	for (i = 0; i < PATIENCE_MS / 10 && !log_has(log, "recovery successful"); i++)
		usleep(10000);
	close(log);
	ASSERT_EQ(0, inject(self->bdf, PCI_ERR_UNC_COMP_TIME, 0));
	EXPECT_EQ(1, event_wait(self->event, PATIENCE_MS));
	usleep(100000);
	EXPECT_EQ(-EAGAIN, event_take(self->event));
}

/* Waits for the end of recovery, which config space shows; 0 or -ETIMEDOUT. */
static int wait_for_command(const char *bdf, uint16_t set)
{
	int i;

	for (i = 0; i < PATIENCE_MS / 10; i++) {
		if ((pci_hw_config(bdf, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) ==
		    set)
			return 0;
		usleep(10000);
	}
	return -ETIMEDOUT;
}

/*
 * 10-31, 12-27: from the moment the user is told, an access finds either no
 * memory or a device that works.
 */
TEST_F(igb, fatal)
{
	const long bar = pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4);
	const long command = pci_hw_config(self->bdf, PCI_COMMAND, 2);
	uint32_t value = 0;
	long ret;

	ASSERT_EQ(0, inject(self->bdf, PCI_ERR_UNC_MALF_TLP, 0));
	EXPECT_EQ(1, event_wait(self->event, PATIENCE_MS));
	if (on_c_modules()) {
		EXPECT_EQ(0, wait_for_command(self->bdf, 0));
		EXPECT_EQ(0, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
		EXPECT_EQ(0, load(self->bar + IGB_VET, &value));
		EXPECT_NE(IGB_VET_VALUE, value);
		report_difference("config space after a fatal bus error", "lost");
		return;
	}
	ret = load_patiently(self->bar + IGB_VET, &value);
	/* The first access after that was a fault, and then the device answered. */
	EXPECT_LE(1, ret);
	EXPECT_EQ(IGB_VET_VALUE, value);
	EXPECT_EQ(bar, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_EQ(command, pci_hw_config(self->bdf, PCI_COMMAND, 2));
	EXPECT_EQ(command, config_read(self->fd, PCI_COMMAND, 2));
	report_difference("config space after a fatal bus error", "restored");
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	/* It can be reset, and go wrong again. */
	EXPECT_EQ(0, reset_patiently(self->fd));
	EXPECT_EQ(4, region_read(self->fd, 0, IGB_VET, &value, 4));
	EXPECT_EQ(IGB_VET_VALUE, value);
	ASSERT_EQ(0, inject(self->bdf, PCI_ERR_UNC_MALF_TLP, 0));
	EXPECT_EQ(1, event_wait(self->event, PATIENCE_MS));
}

/* 12-27: what the user set up before is there after. */
TEST_F(igb, fatal_keeps_config)
{
	long msix = config_cap(self->fd, PCI_CAP_ID_MSIX);
	int vector = event_new();
	uint32_t value;

	if (on_c_modules())
		SKIP(return, "C modules: config space stays as the link reset leaves it");
	ASSERT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, vector));
	ASSERT_EQ(0, config_write(self->fd, PCI_COMMAND, 2,
				  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
	ASSERT_NE(0, pci_hw_config(self->bdf, msix + PCI_MSIX_FLAGS, 2) &
		     PCI_MSIX_FLAGS_ENABLE);
	ASSERT_EQ(0, inject(self->bdf, PCI_ERR_UNC_MALF_TLP, 0));
	EXPECT_EQ(1, event_wait(self->event, PATIENCE_MS));
	EXPECT_LE(1, load_patiently(self->bar + IGB_VET, &value));
	EXPECT_NE(0, pci_hw_config(self->bdf, PCI_COMMAND, 2) &
		     PCI_COMMAND_MEMORY);
	EXPECT_NE(0, pci_hw_config(self->bdf, PCI_COMMAND, 2) &
		     PCI_COMMAND_MASTER);
	EXPECT_NE(0, pci_hw_config(self->bdf, msix + PCI_MSIX_FLAGS, 2) &
		     PCI_MSIX_FLAGS_ENABLE);
	EXPECT_EQ(0, irq_disable(self->fd, VFIO_PCI_MSIX_IRQ_INDEX));
}

/* Nobody listens: the error does no harm to the host. */
TEST_F(igb, nobody_listens)
{
	ASSERT_EQ(0, irq_disable(self->fd, VFIO_PCI_ERR_IRQ_INDEX));
	ASSERT_EQ(0, inject(self->bdf, PCI_ERR_UNC_COMP_TIME, 0));
	usleep(300000);
	EXPECT_EQ(-EAGAIN, event_take(self->event));
	expect_untouched(_metadata, self->bdf, self->bar);
}

/* The device is closed while the link is being reset. */
TEST_F(igb, closed_meanwhile)
{
	ASSERT_EQ(0, inject(self->bdf, PCI_ERR_UNC_MALF_TLP, 0));
	EXPECT_EQ(1, event_wait(self->event, PATIENCE_MS));
	munmap(self->bar, PAGE_SIZE);
	session_close(&self->session);
	/* Until recovery has ended in any case. */
	usleep(1000000);
}

/* An error of a device that nobody has opened. */
TEST_F(igb, closed)
{
	if (on_c_modules())
		SKIP(return, "C modules: the device stays without config space");
	munmap(self->bar, PAGE_SIZE);
	session_close(&self->session);
	ASSERT_EQ(0, inject(self->bdf, PCI_ERR_UNC_MALF_TLP, 0));
	usleep(1000000);
	EXPECT_EQ(-EAGAIN, event_take(self->event));
}

/*
 * A virtual function beside ours. With one that has no driver, recovery fails as soon
 * as the link has been reset.
 */
static int vf_add(const char *bdf, char *vf, size_t size)
{
	int ret;

	ret = pci_allow_vfs(true) ?: pci_set_vfs(bdf, "1");
	return ret ? ret : pci_first_vf(bdf, vf, size);
}

/* The kernel says it when all drivers have been told. */
static bool recovery_fails(int log, const char *bdf)
{
	int i;

	if (inject(bdf, PCI_ERR_UNC_MALF_TLP, 0))
		return false;
	for (i = 0; i < 4 * PATIENCE_MS / 10; i++) {
		if (log_has(log, "device recovery failed"))
			return true;
		usleep(10000);
	}
	return false;
}

/* Recovery fails, and the device has lost its BARs. */
static void expect_lost(struct __test_metadata *_metadata,
			const struct _test_data_igb *self)
{
	int log = log_open();
	uint32_t value = 0;

	ASSERT_LE(0, log);
	EXPECT_TRUE(recovery_fails(log, self->bdf));
	close(log);
	/* Of the error, and that this is the end. */
	EXPECT_EQ(2, event_take(self->event));
	EXPECT_EQ(0, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
	if (on_c_modules()) {
		EXPECT_EQ(0, load(self->bar + IGB_VET, &value));
		EXPECT_NE(IGB_VET_VALUE, value);
	} else {
		EXPECT_EQ(-SIGBUS, load(self->bar + IGB_VET, &value));
	}
}

/* The device is as it was before, when BAR 0 was @bar. */
static void expect_found(struct __test_metadata *_metadata,
			 const struct _test_data_igb *self, long bar)
{
	uint32_t value = 0;

	EXPECT_EQ(bar, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_LE(0, load(self->bar + IGB_VET, &value));
	EXPECT_EQ(IGB_VET_VALUE, value);
	EXPECT_EQ(4, region_read(self->fd, 0, IGB_VET, &value, 4));
	EXPECT_EQ(IGB_VET_VALUE, value);
}

/* With a virtual function beside it that has this driver, which knows nothing of errors. */
static void expect_recovery(struct __test_metadata *_metadata,
			    const struct _test_data_igb *self, const char *driver)
{
	const long bar = pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4);
	char vf[16];

	ASSERT_EQ(0, vf_add(self->bdf, vf, sizeof(vf)));
	EXPECT_EQ(0, pci_bind(vf, driver));
	expect_lost(_metadata, self);
	EXPECT_EQ(0, reset_patiently(self->fd));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	expect_found(_metadata, self, bar);
	EXPECT_EQ(0, pci_set_vfs(self->bdf, "0"));
}

/*
 * 10-31, 12-27: nobody says that the device works again, but the user finds out, by a
 * reset and a write of the memory bit.
 */
TEST_F(igb, recovery_fails)
{
	expect_recovery(_metadata, self, NULL);
}

TEST_F(igb, recovery_fails_beside_pci_stub)
{
	expect_recovery(_metadata, self, "pci-stub");
}

/* 10-33: a write of the memory bit is enough, whether it was set or not. */
TEST_F(igb, recovery_fails_without_reset)
{
	const long bar = pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4);
	uint32_t value;
	char vf[16];

	ASSERT_EQ(0, vf_add(self->bdf, vf, sizeof(vf)));
	EXPECT_EQ(0, pci_bind(vf, NULL));
	expect_lost(_metadata, self);
	EXPECT_EQ(0, memory_enable(self->fd, true));
	expect_found(_metadata, self, bar);

	expect_lost(_metadata, self);
	EXPECT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(-SIGBUS, load(self->bar + IGB_VET, &value));
	EXPECT_EQ(-EIO, region_read(self->fd, 0, IGB_VET, &value, 4));
	EXPECT_EQ(0, memory_enable(self->fd, true));
	expect_found(_metadata, self, bar);
	EXPECT_EQ(0, pci_set_vfs(self->bdf, "0"));
}

/* The next user finds the device as the last one got it. */
TEST_F(igb, recovery_fails_closed)
{
	const long bar = pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4);
	int log = log_open();
	char vf[16];

	if (on_c_modules())
		SKIP(return, "C modules: the device stays without config space");
	ASSERT_LE(0, log);
	ASSERT_EQ(0, vf_add(self->bdf, vf, sizeof(vf)));
	EXPECT_EQ(0, pci_bind(vf, NULL));
	munmap(self->bar, PAGE_SIZE);
	session_close(&self->session);
	EXPECT_TRUE(recovery_fails(log, self->bdf));
	ASSERT_EQ(0, open_patiently(&self->session, self->bdf));
	EXPECT_EQ(bar, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_EQ(bar & ~0xfL,
		  config_read(self->session.device, PCI_BASE_ADDRESS_0, 4) & ~0xfL);
	session_close(&self->session);
	EXPECT_EQ(0, pci_set_vfs(self->bdf, "0"));
	close(log);
}

static const char uuid[] = "52ac9bff-3a88-4fbd-901a-0d767c3b6c97";
static const uint8_t token[16] = {
	0x52, 0xac, 0x9b, 0xff, 0x3a, 0x88, 0x4f, 0xbd,
	0x90, 0x1a, 0x0d, 0x76, 0x7c, 0x3b, 0x6c, 0x97,
};

struct reader {
	int fd;
	volatile bool stop;
};

static void *read_for_ever(void *data)
{
	struct reader *reader = data;
	uint32_t value;

	while (!reader->stop)
		region_read(reader->fd, 0, IGB_VET, &value, 4);
	return NULL;
}

/*
 * A virtual function is not there before its physical one has its config space back,
 * which others may delay who are at that.
 */
TEST_F(igb, fatal_virtual)
{
	struct reader reader = { .fd = self->fd };
	struct vfio_session virtual;
	char vf[16], name[128];
	pthread_t thread;
	int round;

	if (on_c_modules())
		SKIP(return, "C modules: config space stays as the link reset leaves it");
	ASSERT_EQ(0, device_feature(self->fd, VFIO_DEVICE_FEATURE_SET |
				    VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
				    token, sizeof(token)));
	ASSERT_EQ(0, vf_add(self->bdf, vf, sizeof(vf)));
	ASSERT_EQ(0, session_join(&virtual, vf, VFIO_TYPE1v2_IOMMU));
	snprintf(name, sizeof(name), "%s vf_token=%s", vf, uuid);
	virtual.device = group_device(virtual.group, name);
	ASSERT_LE(0, virtual.device);
	ASSERT_EQ(0, config_write(virtual.device, PCI_COMMAND, 2,
				  PCI_COMMAND_MASTER));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_for_ever, &reader));
	for (round = 0; round < 3; round++) {
		uint32_t value = 0;
		int i;

		ASSERT_EQ(0, inject(self->bdf, PCI_ERR_UNC_MALF_TLP, 0));
		EXPECT_EQ(1, event_wait(self->event, PATIENCE_MS));
		EXPECT_EQ(0, wait_for_command(self->bdf, PCI_COMMAND_MEMORY));
		/* Nobody else touches the virtual one. */
		for (i = 0; i < PATIENCE_MS / 10; i++) {
			if (region_read(virtual.device, 0, 0, &value, 4) == 4)
				break;
			usleep(10000);
		}
		EXPECT_GT(PATIENCE_MS / 10, i);
		EXPECT_NE(0, pci_hw_config(vf, PCI_COMMAND, 2) &
			     PCI_COMMAND_MASTER);
	}
	reader.stop = true;
	pthread_join(thread, NULL);
	session_close(&virtual);
	EXPECT_EQ(0, pci_set_vfs(self->bdf, "0"));
}

VFIO_TEST_MAIN("PORT_IGB")
