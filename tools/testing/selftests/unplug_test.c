// SPDX-License-Identifier: GPL-2.0
/*
 * Peer to peer with a device that is unplugged: the host asks the guest to let
 * the device go while the edu device can reach its memory. The kernel asks the
 * owner, the owner closes, the device leaves, and nothing leads to where it was.
 * With the C modules the mapping stays, and leads to whatever comes there next.
 *
 * Not on the debug kernel: pciehp takes the lock of its port and that of all of
 * PCI in both orders, whatever the device's driver is; lockdep reports that, and
 * checks nothing any more from then on.
 */
#include <sys/mman.h>

#include "edu.h"
#include "iommu_debug.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA		0x40000000UL
#define IOVA_RAM	0x10000000UL
#define BAR		2
#define BAR_SIZE	(16UL << 20)
#define PATTERN		0x5a

/* The button at a slot takes effect after five seconds. */
#define HOTPLUG_SECONDS	60

/* Asks the machine's host; see tools/testing/vm/README.rst. */
static void host_ask(const char *what)
{
	printf("vm: %s port-ivshmem\n", what);
	fflush(stdout);
}

static bool present(const char *bdf)
{
	uint64_t start, size;

	return pci_resource(bdf, BAR, &start, &size) == 0;
}

/* Whether the device has come, or gone, before the time is over. */
static bool wait_until(const char *bdf, bool there)
{
	int i;

	for (i = 0; i < HOTPLUG_SECONDS * 10 && present(bdf) != there; i++)
		usleep(100000);
	return present(bdf) == there;
}

/*
 * The device is in sysfs a moment before the PCI core lets a driver have it, and it may try
 * drivers itself meanwhile: EBUSY.
 */
static int bind_soon(const char *bdf)
{
	int i, ret;

	for (i = 0; i < HOTPLUG_SECONDS * 10; i++) {
		ret = pci_bind(bdf, "vfio-pci");
		if (ret != -ENODEV && ret != -EBUSY)
			break;
		usleep(100000);
	}
	return ret;
}

FIXTURE(unplug)
{
	const char *bdf;
	const char *edu_bdf;
	struct vfio_session edu;
	struct vfio_session owner;
	uint8_t *ram;
	void *bar;
};

FIXTURE_SETUP(unplug)
{
	if (kernel_has_checkers())
		SKIP(return, "pciehp's own lock order makes lockdep give up");
	NEED_DEVICE(self->edu_bdf, "EDU");
	NEED_DEVICE(self->bdf, "PORT_IVSHMEM");
	ASSERT_TRUE(present(self->bdf));
	/* A device that was plugged in has no driver. */
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&self->edu, self->edu_bdf,
				  VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, edu_bus_master(self->edu.device, true));
	self->ram = memory_new(PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->ram);
	memset(self->ram, PATTERN, PAGE_SIZE);
	ASSERT_EQ(0, type1_map(self->edu.container, self->ram, IOVA_RAM,
			       PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, edu_load(self->edu.device, IOVA_RAM, PAGE_SIZE));
	ASSERT_EQ(0, session_open(&self->owner, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, memory_enable(self->owner.device, true));
	ASSERT_EQ(0, bar_mmap(self->owner.device, BAR, 0, BAR_SIZE,
			      PROT_READ | PROT_WRITE, &self->bar));
}

FIXTURE_TEARDOWN(unplug)
{
	EXPECT_EQ(0, session_works(&self->edu));
	session_close(&self->owner);
	session_close(&self->edu);
	/* The next test finds the machine as it was. */
	if (!present(self->bdf)) {
		host_ask("plug");
		EXPECT_TRUE(wait_until(self->bdf, true));
	}
}

TEST_F(unplug, peer)
{
	bool survives = on_c_modules();
	int request = event_new();

	ASSERT_LE(0, request);
	ASSERT_EQ(0, type1_map(self->edu.container, self->bar, IOVA, BAR_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, edu_store(self->edu.device, IOVA + 8192, 64));
	EXPECT_EQ(PATTERN, ((uint8_t *)self->bar)[8192]);
	ASSERT_EQ(0, irq_eventfd(self->owner.device, VFIO_PCI_REQ_IRQ_INDEX, 0,
				 request));

	host_ask("unplug");
	ASSERT_LT(0, event_wait(request, HOTPLUG_SECONDS * 1000));
	/* It has been asked for, but it is the owner's as long as it is open. */
	EXPECT_TRUE(present(self->bdf));
	EXPECT_TRUE(iommu_maps_iova(self->edu_bdf, IOVA));
	munmap(self->bar, BAR_SIZE);
	session_close(&self->owner);
	EXPECT_EQ(survives ? BAR_SIZE : 0,
		  iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	ASSERT_TRUE(wait_until(self->bdf, false));

	EXPECT_EQ(survives ? BAR_SIZE : 0,
		  iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	report_difference("DMA mapping of a BAR whose device was unplugged",
			  iommu_maps_iova(self->edu_bdf, IOVA) ? "survives" : "revoked");
	if (!survives)
		EXPECT_TRUE(edu_store_faults(self->edu.device, IOVA));
	EXPECT_EQ(BAR_SIZE, type1_unmap(self->edu.container, IOVA, BAR_SIZE, 0));
	close(request);
}

/* The same device comes back, and works as before. */
TEST_F(unplug, replugged)
{
	struct vfio_session again;

	munmap(self->bar, BAR_SIZE);
	session_close(&self->owner);
	host_ask("unplug");
	ASSERT_TRUE(wait_until(self->bdf, false));
	host_ask("plug");
	ASSERT_TRUE(wait_until(self->bdf, true));
	ASSERT_EQ(0, bind_soon(self->bdf));
	ASSERT_EQ(0, session_open(&again, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, session_works(&again));
	session_close(&again);
}

VFIO_TEST_MAIN("EDU", "PORT_IVSHMEM")
