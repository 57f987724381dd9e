// SPDX-License-Identifier: GPL-2.0
/* The MSI-X table, and what stays of a vector without eventfd (6.4). */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define MSIX	VFIO_PCI_MSIX_IRQ_INDEX
#define VECTORS	3

FIXTURE(msix)
{
	struct vfio_session session;
	const char *bdf;
	volatile uint32_t *table;
	int fd;
	int events[VECTORS];
};

/* The page with the first entries, mapped as a user may have it (8-7). */
static volatile uint32_t *table_map(int device)
{
	long cap = config_cap(device, PCI_CAP_ID_MSIX);
	long where = config_read(device, cap + PCI_MSIX_TABLE, 4);
	long offset = where & PCI_MSIX_TABLE_OFFSET;
	void *page;

	if (cap < 0 || bar_mmap(device, where & PCI_MSIX_TABLE_BIR,
				offset & ~(PAGE_SIZE - 1), PAGE_SIZE,
				PROT_READ | PROT_WRITE, &page))
		return NULL;
	return page + offset % PAGE_SIZE;
}

FIXTURE_SETUP(msix)
{
	int i;

	NEED_DEVICE(self->bdf, "NVME");
	SHARE_DEVICE(&self->session, "NVME");
	self->fd = self->session.device;
	self->table = table_map(self->fd);
	ASSERT_NE(NULL, self->table);
	for (i = 0; i < VECTORS; i++) {
		self->events[i] = event_new();
		ASSERT_LE(0, self->events[i]);
	}
	ASSERT_EQ(0, irq_set(self->fd, MSIX, VFIO_IRQ_SET_DATA_EVENTFD |
			     VFIO_IRQ_SET_ACTION_TRIGGER, 0, VECTORS,
			     self->events, sizeof(self->events)));
}

FIXTURE_TEARDOWN(msix)
{
	if (self->table)
		munmap((void *)((uintptr_t)self->table & ~(PAGE_SIZE - 1)),
		       PAGE_SIZE);
	EXPECT_EQ(0, session_finish(&self->session));
}

/* How many interrupts the host has allocated for the device. */
static int allocated(const char *bdf)
{
	struct dirent *entry;
	char path[128];
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs", bdf);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

/* 6-50: what the user has overwritten comes back with the next eventfd. */
TEST_F(msix, message_is_written_again)
{
	uint32_t message[3];
	int i;

	for (i = 0; i < 3; i++)
		message[i] = self->table[i];
	ASSERT_NE(0, message[0]);
	for (i = 0; i < 3; i++)
		self->table[i] = 0;
	ASSERT_EQ(0, self->table[0]);
	ASSERT_EQ(0, irq_eventfd(self->fd, MSIX, 0, self->events[0]));
	EXPECT_EQ(message[0], self->table[0]);
	EXPECT_EQ(message[1], self->table[1]);
	EXPECT_EQ(message[2], self->table[2]);
}

/* 6-50: with memory off, too, which stays off. */
TEST_F(msix, message_is_written_with_memory_off)
{
	uint32_t message = self->table[0];

	self->table[0] = 0;
	ASSERT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(0, irq_eventfd(self->fd, MSIX, 0, self->events[0]));
	EXPECT_EQ(0, pci_hw_config(self->bdf, PCI_COMMAND, 2) &
		     PCI_COMMAND_MEMORY);
	EXPECT_EQ(-SIGBUS, mmio_at(self->table));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(message, self->table[0]);
}

/* 6-52: a vector without eventfd is still the device's, until all are disabled. */
TEST_F(msix, vectors_stay_allocated)
{
	ASSERT_EQ(VECTORS, allocated(self->bdf));
	ASSERT_EQ(0, irq_eventfd(self->fd, MSIX, 1, -1));
	EXPECT_FALSE(irq_listed("vfio-msix[1](%s)", self->bdf));
	EXPECT_EQ(VECTORS, allocated(self->bdf));
	ASSERT_EQ(0, irq_eventfd(self->fd, MSIX, 1, self->events[1]));
	EXPECT_TRUE(irq_listed("vfio-msix[1](%s)", self->bdf));
	ASSERT_EQ(0, irq_disable(self->fd, MSIX));
	EXPECT_EQ(0, allocated(self->bdf));
}

/*
 * 6-51, 9-28: KVM can be offered an eventfd for one vector only. That the offer
 * of another fails is no reason not to deliver its interrupts.
 */
TEST_F(msix, one_eventfd_for_two_vectors)
{
	ASSERT_EQ(0, irq_eventfd(self->fd, MSIX, 1, self->events[0]));
	ASSERT_EQ(0, irq_none(self->fd, MSIX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 2));
	EXPECT_EQ(2, event_take(self->events[0]));
	ASSERT_EQ(0, irq_eventfd(self->fd, MSIX, 0, -1));
	ASSERT_EQ(0, irq_none(self->fd, MSIX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 2));
	EXPECT_EQ(1, event_take(self->events[0]));
}

/* 6-49: there is no masking of messages by this ioctl. */
TEST_F(msix, no_masking)
{
	EXPECT_EQ(-ENOTTY, irq_none(self->fd, MSIX, VFIO_IRQ_SET_ACTION_MASK, 0, 1));
	EXPECT_EQ(-ENOTTY, irq_none(self->fd, MSIX, VFIO_IRQ_SET_ACTION_UNMASK, 0,
				    1));
	EXPECT_EQ(-ENOTTY, irq_fd(self->fd, MSIX, VFIO_IRQ_SET_ACTION_UNMASK,
				  self->events[0]));
}

VFIO_TEST_MAIN_OPEN("NVME")
