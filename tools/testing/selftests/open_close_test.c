// SPDX-License-Identifier: GPL-2.0
/* What the first open and the last close do to the hardware (10.1, 10.2, 10.3). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "kernel_log.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"
#include "waiter.h"

#define IOVA		0x10000000UL
#define PATTERN		0x5a
/* How long to see that somebody waits, in ms. */
#define A_WHILE		300

static long hw_write(const char *bdf, unsigned int offset, const void *data,
		     size_t size)
{
	char path[128];
	long ret;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = sys_result(pwrite(fd, data, size, offset));
	close(fd);
	return ret == (long)size ? 0 : -EIO;
}

/* How many resources of the host are claimed under @name. */
static int claimed(const char *name)
{
	char line[256];
	int count = 0;
	FILE *file = fopen("/proc/iomem", "re");

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		char *owner = strstr(line, " : ");

		if (owner && !strcmp(strtok(owner + 3, "\n"), name))
			count++;
	}
	fclose(file);
	return count;
}

FIXTURE(device)
{
	struct vfio_session session;
	const char *bdf;
};

FIXTURE_SETUP(device)
{
	NEED_DEVICE(self->bdf, "EDU");
	self->session.container = -1;
	self->session.group = -1;
	self->session.device = -1;
}

FIXTURE_TEARDOWN(device)
{
	session_close(&self->session);
}

/* 10-15, 10-19, 1-32: bus master off, BARs claimed; and all of it given back. */
TEST_F(device, bus_master_and_claims)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	int before = claimed("vfio");

	ASSERT_LE(0, before);
	ASSERT_EQ(0, hw_write(self->bdf, PCI_COMMAND, &command, 2));
	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, pci_hw_config(self->bdf, PCI_COMMAND, 2) &
		     PCI_COMMAND_MASTER);
	EXPECT_EQ(before + 1, claimed("vfio"));
	ASSERT_EQ(0, edu_bus_master(self->session.device, true));
	session_close(&self->session);
	EXPECT_EQ(0, pci_hw_config(self->bdf, PCI_COMMAND, 2) &
		     PCI_COMMAND_MASTER);
	EXPECT_EQ(before, claimed("vfio"));
}

/* 10-19: what the user has set in config space is put back. */
TEST_F(device, config_space_is_restored)
{
	long before = pci_hw_config(self->bdf, PCI_CACHE_LINE_SIZE, 1);

	ASSERT_LE(0, before);
	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, config_write(self->session.device, PCI_CACHE_LINE_SIZE, 1,
				  before ^ 0x10));
	EXPECT_EQ(before ^ 0x10,
		  pci_hw_config(self->bdf, PCI_CACHE_LINE_SIZE, 1));
	session_close(&self->session);
	EXPECT_EQ(before, pci_hw_config(self->bdf, PCI_CACHE_LINE_SIZE, 1));
}

/*
 * 10-23: a device whose DMA is under way is stopped before its memory is taken
 * from it. This device starts a transfer a tenth of a second after it is told to.
 */
TEST_F(device, dma_under_way)
{
	unsigned char *page = memory_new(PAGE_SIZE);
	const uint64_t registers[] = { EDU_BUFFER, IOVA, EDU_BUFFER_SIZE };
	int i, log = log_open();

	ASSERT_LE(0, log);
	ASSERT_NE(MAP_FAILED, (void *)page);
	memset(page, PATTERN, PAGE_SIZE);
	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, type1_map(self->session.container, page, IOVA, PAGE_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, edu_bus_master(self->session.device, true));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(8, region_write(self->session.device, 0,
					  EDU_DMA_SRC + 8 * i, &registers[i], 8));
	ASSERT_EQ(0, edu_write(self->session.device, EDU_DMA_CMD,
			       EDU_DMA_START | EDU_DMA_TO_RAM));
	session_close(&self->session);
	usleep(300000);
	EXPECT_FALSE(log_has(log, "DMAR: [DMA"));
	for (i = 0; i < PAGE_SIZE && page[i] == PATTERN; i++)
		;
	EXPECT_EQ(PAGE_SIZE, i);
	close(log);
}

/*
 * 7-27, 10-33: a device that has lost its BARs behind everybody's back gets them
 * again as soon as the user switches memory on.
 */
TEST_F(device, reset_behind_the_back)
{
	const uint32_t nothing = 0;
	uint16_t off = 0;
	long bar;

	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
	bar = pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4);
	ASSERT_LT(0, bar);
	ASSERT_EQ(0, memory_enable(self->session.device, true));
	ASSERT_EQ(0, hw_write(self->bdf, PCI_COMMAND, &off, 2));
	ASSERT_EQ(0, hw_write(self->bdf, PCI_BASE_ADDRESS_0, &nothing, 4));
	ASSERT_EQ(0, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
	ASSERT_EQ(0, config_write(self->session.device, PCI_COMMAND, 2,
				  PCI_COMMAND_MEMORY));
	EXPECT_EQ(bar, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_EQ(EDU_ID_VALUE, edu_read(self->session.device, EDU_ID));
}

/* 10-26: who unbinds can be interrupted no more than the user can be evicted. */
TEST_F(device, unbind_and_signals)
{
	int log = log_open();
	bool said = false;
	char driver[64];
	int tries;
	pid_t pid;

	ASSERT_LE(0, log);
	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
	pid = fork();
	if (!pid) {
		session_close(&self->session);
		_exit(file_write("/sys/bus/pci/drivers/vfio-pci/unbind",
				 self->bdf) ? 1 : 0);
	}
	EXPECT_TRUE(waiter_waits_in(pid, __NR_write, A_WHILE));
	ASSERT_EQ(0, kill(pid, SIGTERM));
	for (tries = 0; !said && tries < 600; tries++) {
		usleep(100000);
		said = log_has(log, "Device is currently in use, task");
	}
	EXPECT_TRUE(said);
	EXPECT_TRUE(waiter_waits_in(pid, __NR_write, A_WHILE));
	EXPECT_EQ(EDU_ID_VALUE, edu_read(self->session.device, EDU_ID));
	session_close(&self->session);
	EXPECT_EQ(-SIGTERM, child_result(pid));
	EXPECT_NE(0, pci_driver(self->bdf, driver, sizeof(driver)));
	EXPECT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	close(log);
}

/* 1-19, 10-14: a group has the number that the IOMMU's has, for as long. */
TEST_F(device, group_node)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%d", pci_group(self->bdf));
	EXPECT_EQ(0, access(path, F_OK));
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_NE(0, access(path, F_OK));
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	EXPECT_EQ(0, access(path, F_OK));
}

/* The device asserts its interrupt line, unless that is disabled. */
static bool edu_pending(const char *bdf)
{
	return pci_hw_config(bdf, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT;
}

/*
 * Opens the device, makes it ask for an interrupt, and closes it. Nobody listens
 * to the line, so the device must not drive it.
 */
static int edu_leave_pending(const char *bdf)
{
	struct vfio_session session;
	int ret = session_open(&session, bdf, VFIO_TYPE1v2_IOMMU);

	if (ret)
		return ret;
	ret = config_write(session.device, PCI_COMMAND, 2,
			   PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	if (!ret)
		ret = edu_write(session.device, EDU_IRQ_ACK, ~0U);
	if (!ret)
		ret = edu_write(session.device, EDU_IRQ_RAISE, 1);
	if (!ret && !edu_pending(bdf))
		ret = -EIO;
	session_close(&session);
	return ret;
}

/*
 * 10-20, 10-21: a device that has no reset of its own is reset with its bus when
 * it is closed, if all devices there are for users. Then it asks for nothing.
 */
TEST(bus_reset_at_last_close)
{
	const char *bdf, *sibling;

	NEED_DEVICE(bdf, "SHARED_EDU");
	NEED_DEVICE(sibling, "SHARED_TESTDEV");
	ASSERT_EQ(0, edu_leave_pending(bdf));
	EXPECT_FALSE(edu_pending(bdf));

	ASSERT_EQ(0, pci_bind(sibling, NULL));
	EXPECT_EQ(0, edu_leave_pending(bdf));
	EXPECT_TRUE(edu_pending(bdf));
	ASSERT_EQ(0, pci_bind(sibling, "vfio-pci"));
	ASSERT_EQ(0, edu_leave_pending(bdf));
	EXPECT_FALSE(edu_pending(bdf));
}

/*
 * 8-28, 10-34, 12-27: the host may reset a device that somebody uses. The C modules
 * do not notice; here its memory is taken away for as long as the reset lasts.
 */
TEST(reset_through_sysfs)
{
	struct vfio_session session;
	const char *bdf;
	void *bar;

	NEED_DEVICE(bdf, "NVME");
	ASSERT_EQ(0, session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, memory_enable(session.device, true));
	ASSERT_EQ(0, bar_mmap(session.device, 0, 0, PAGE_SIZE, PROT_READ, &bar));
	EXPECT_EQ(1, faults_of(bar, 1));
	EXPECT_EQ(0, faults_of(bar, 1));
	ASSERT_EQ(0, pci_set_attribute(bdf, "reset", "1"));
	EXPECT_EQ(on_c_modules() ? 0 : 1, faults_of(bar, 1));
	EXPECT_EQ(PCI_COMMAND_MEMORY, config_read(session.device, PCI_COMMAND, 2) &
				      PCI_COMMAND_MEMORY);
	munmap(bar, PAGE_SIZE);
	session_close(&session);
}

VFIO_TEST_MAIN("EDU", "SHARED_EDU", "SHARED_TESTDEV", "NVME")
