// SPDX-License-Identifier: GPL-2.0
/*
 * Exported BARs as another driver sees them (row 6-96): who may attach, what is
 * mapped, and that memory is taken away only when all have let go.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "hot_reset.h"
#include "importer.h"
#include "kselftest_harness.h"
#include "samples.h"
#include "waiter.h"

#define PEER_TO_PEER	DMA_BUF_IMPORTER_PEER_TO_PEER
#define REVOCABLE	DMA_BUF_IMPORTER_REVOCABLE
#define GOOD		(PEER_TO_PEER | REVOCABLE)
#define SLOW		500
/* A timer of the kernel may be early by a jiffy, and the clock here by a millisecond. */
#define TICK		11
/* Long enough to see who waits for it, and who does not. */
#define VERY_SLOW	8000

/* Exports the first page of BAR 0, @count times. */
static long export(int device, uint32_t count)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf buffer;
		struct vfio_region_dma_range ranges[4];
	} request = {
		.feature.argsz = sizeof(request),
		.feature.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_DMA_BUF,
		.buffer.open_flags = O_RDWR | O_CLOEXEC,
		.buffer.nr_ranges = count,
	};
	int i;

	for (i = 0; i < 4; i++)
		request.ranges[i].length = PAGE_SIZE;
	return vfio_ioctl(device, VFIO_DEVICE_FEATURE, &request);
}

static struct dma_buf_importer_state state(int importer)
{
	struct dma_buf_importer_state state = { -1, -1 };

	vfio_ioctl(importer, DMA_BUF_IMPORTER_STATE, &state);
	return state;
}

/* Two devices behind one bridge: DMA between them does not leave it. */
FIXTURE(import)
{
	const char *bdf;
	const char *peer_bdf;
	int iommufd;
	int device;
	int importer;
};

FIXTURE_SETUP(import)
{
	if (access(DMA_BUF_IMPORTER_PATH, F_OK))
		SKIP(return, "there is no importer");
	NEED_DEVICE(self->bdf, "SHARED_TESTDEV");
	NEED_DEVICE(self->peer_bdf, "SHARED_EDU");
	NEED_IOMMUFD();
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->device = cdev_open(self->bdf, O_RDWR);
	ASSERT_LE(0, self->device);
	ASSERT_LT(0, cdev_bind(self->device, self->iommufd));
	ASSERT_EQ(0, memory_enable(self->device, true));
	self->importer = importer_open();
	ASSERT_LE(0, self->importer);
}

FIXTURE_TEARDOWN(import)
{
	close(self->importer);
	close(self->device);
	close(self->iommufd);
}

static long attach(struct _test_data_import *self, int fd, uint32_t flags,
		   uint32_t milliseconds)
{
	return importer_attach(self->importer, fd, flags, milliseconds,
			  self->peer_bdf);
}

static long map(struct _test_data_import *self)
{
	struct dma_buf_importer_map map;

	return vfio_ioctl(self->importer, DMA_BUF_IMPORTER_MAP, &map);
}

/* Only those who can do without pages, and let go when they are told to. */
TEST_F(import, attach)
{
	int fd = export(self->device, 1);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, attach(self, fd, 0, 0));
	EXPECT_EQ(-EOPNOTSUPP, attach(self, fd, PEER_TO_PEER, 0));
	EXPECT_EQ(-EOPNOTSUPP, attach(self, fd, REVOCABLE, 0));
	ASSERT_EQ(0, memory_enable(self->device, false));
	EXPECT_EQ(-EOPNOTSUPP, attach(self, fd, REVOCABLE, 0));
	EXPECT_EQ(-ENODEV, attach(self, fd, PEER_TO_PEER, 0));
	EXPECT_EQ(-ENODEV, attach(self, fd, GOOD, 0));
	ASSERT_EQ(0, memory_enable(self->device, true));
	EXPECT_EQ(0, attach(self, fd, GOOD, 0));
}

/* What is mapped is the BAR. */
TEST_F(import, map)
{
	struct dma_buf_importer_map map;
	uint64_t start, size;
	int fd = export(self->device, 3);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pci_resource(self->bdf, 0, &start, &size));
	ASSERT_EQ(0, attach(self, fd, GOOD, 0));
	ASSERT_EQ(0, vfio_ioctl(self->importer, DMA_BUF_IMPORTER_MAP, &map));
	EXPECT_EQ(start, map.address);
	EXPECT_EQ(3 * PAGE_SIZE, map.length);
	EXPECT_EQ(3, map.entries);
	EXPECT_EQ(0, vfio_ioctl(self->importer, DMA_BUF_IMPORTER_UNMAP, 0));
	EXPECT_EQ(0, vfio_ioctl(self->importer, DMA_BUF_IMPORTER_MAP, &map));
}

/* Revoked, the importer is told, and told again when memory is back. */
TEST_F(import, revoked)
{
	int fd = export(self->device, 1);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, attach(self, fd, GOOD, 0));
	ASSERT_EQ(0, map(self));
	ASSERT_EQ(0, memory_enable(self->device, true));
	EXPECT_EQ(0, state(self->importer).invalidations);
	EXPECT_EQ(1, state(self->importer).mapped);
	ASSERT_EQ(0, memory_enable(self->device, false));
	EXPECT_EQ(1, state(self->importer).invalidations);
	EXPECT_EQ(0, state(self->importer).mapped);
	EXPECT_EQ(-ENODEV, map(self));
	ASSERT_EQ(0, memory_enable(self->device, false));
	EXPECT_EQ(1, state(self->importer).invalidations);
	ASSERT_EQ(0, memory_enable(self->device, true));
	EXPECT_EQ(2, state(self->importer).invalidations);
	EXPECT_EQ(0, map(self));
}

/* Who takes memory away waits for those who take their time. */
TEST_F(import, slow)
{
	int fd = export(self->device, 1);
	int other = importer_open();
	struct dma_buf_importer_map map_other;
	uint64_t began;
	int round, quick = 0;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, attach(self, fd, GOOD, SLOW));
	ASSERT_EQ(0, importer_attach(other, fd, GOOD, 0, self->peer_bdf));
	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, map(self));
		ASSERT_EQ(0, vfio_ioctl(other, DMA_BUF_IMPORTER_MAP,
					&map_other));
		began = milliseconds();
		ASSERT_EQ(0, memory_enable(self->device, false));
		EXPECT_LE(SLOW - TICK, milliseconds() - began);
		EXPECT_EQ(0, state(self->importer).mapped);
		EXPECT_EQ(0, state(other).mapped);
		began = milliseconds();
		ASSERT_EQ(0, memory_enable(self->device, true));
		quick += milliseconds() - began < SLOW;
	}
	/* A busy host may be slow now and then. */
	EXPECT_LT(0, quick);
	close(other);
}

/* What takes memory away, and waits for who lets go of it in his own time. */
struct slow {
	int device;
	long (*action)(int device);
	volatile bool done;
	pthread_t thread;
};

static void *slow_run(void *data)
{
	struct slow *slow = data;
	long ret = slow->action(slow->device);

	slow->done = true;
	return (void *)ret;
}

static long memory_off(int device)
{
	return memory_enable(device, false);
}

/* Begins @action while the importer has the buffer @fd mapped; 0 if that works. */
static long slow_begin(struct _test_data_import *self, struct slow *slow, int fd,
		       long (*action)(int device))
{
	long ret = attach(self, fd, GOOD, VERY_SLOW);

	*slow = (struct slow){ .device = self->device, .action = action };
	if (!ret)
		ret = map(self);
	if (!ret)
		ret = -pthread_create(&slow->thread, NULL, slow_run, slow);
	/* Until it waits. */
	while (!ret && !state(self->importer).invalidations)
		usleep(1000);
	return ret;
}

static long slow_end(struct slow *slow)
{
	void *ret;

	pthread_join(slow->thread, &ret);
	return (long)ret;
}

/* Did nobody wait for the importer since? */
#define EXPECT_SOON(slow)	EXPECT_FALSE((slow).done)

/*
 * 6-72, 12-16: the importer is waited for before the kernel locks the devices and keeps
 * others from config space, as lspci uses it.
 */
TEST_F(import, slow_hot_reset)
{
	int fd = export(self->device, 1);
	struct slow slow;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, slow_begin(self, &slow, fd, hot_reset_cdev));
	EXPECT_LE(0, pci_hw_config(self->bdf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_LE(0, pci_hw_config(self->peer_bdf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_LE(0, config_read(self->device, PCI_BASE_ADDRESS_0, 4));
	EXPECT_LE(0, config_read(self->device, PCI_STATUS, 2));
	EXPECT_SOON(slow);
	EXPECT_EQ(0, slow_end(&slow));
	EXPECT_EQ(0, state(self->importer).mapped);
	EXPECT_EQ(0, map(self));
}

static long reset(int device)
{
	return vfio_ioctl(device, VFIO_DEVICE_RESET, 0);
}

/* 6-61, 12-16: nor does a reset of one function, whose other one gets a driver meanwhile. */
TEST(slow_reset)
{
	struct _test_data_import two = {};
	struct slow slow;
	const char *other;
	int fd;

	if (access(DMA_BUF_IMPORTER_PATH, F_OK))
		SKIP(return, "there is no importer");
	NEED_DEVICE(two.bdf, "DUAL_IGB_0");
	NEED_DEVICE(other, "DUAL_IGB_1");
	/* There is a path from a device to itself. */
	two.peer_bdf = two.bdf;
	NEED_IOMMUFD();
	two.iommufd = iommufd_open();
	two.device = cdev_open(two.bdf, O_RDWR);
	two.importer = importer_open();
	ASSERT_LT(0, cdev_bind(two.device, two.iommufd));
	ASSERT_EQ(0, memory_enable(two.device, true));
	fd = export(two.device, 1);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, slow_begin(&two, &slow, fd, reset));
	EXPECT_LE(0, pci_hw_config(two.bdf, PCI_BASE_ADDRESS_0, 4));
	EXPECT_LE(0, pci_hw_config(other, PCI_BASE_ADDRESS_0, 4));
	EXPECT_LE(0, config_read(two.device, PCI_STATUS, 2));
	EXPECT_EQ(0, pci_bind(other, NULL));
	EXPECT_EQ(0, pci_bind(other, "vfio-pci"));
	EXPECT_SOON(slow);
	EXPECT_EQ(0, slow_end(&slow));
	EXPECT_EQ(0, state(two.importer).mapped);
	EXPECT_EQ(0, map(&two));
	close(two.importer);
	close(two.device);
	close(two.iommufd);
}

/* 7-25, 12-16: a write of the command register keeps nobody from config space. */
TEST_F(import, slow_command)
{
	int fd = export(self->device, 1);
	struct slow slow;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, slow_begin(self, &slow, fd, memory_off));
	EXPECT_LE(0, config_read(self->device, PCI_VENDOR_ID, 2));
	EXPECT_EQ(0, config_write(self->device, PCI_INTERRUPT_LINE, 1, 0x5a));
	EXPECT_EQ(0x5a, config_read(self->device, PCI_INTERRUPT_LINE, 1));
	EXPECT_LE(0, pci_hw_config(self->bdf, PCI_VENDOR_ID, 2));
	EXPECT_SOON(slow);
	EXPECT_EQ(0, slow_end(&slow));
}

static long load(void *data)
{
	return mmio_at(data) < 0;
}

static long read_bar(void *data)
{
	uint32_t value;

	return region_read(*(int *)data, 0, 0, &value, 4) != 4;
}

static long write_command(void *data)
{
	return memory_enable(*(int *)data, true);
}

/*
 * 12-16, 12-59: who comes to the memory waits for him who takes it away, and can be
 * killed. With the C modules he cannot.
 */
TEST_F(import, slow_killed)
{
	int fd = export(self->device, 1);
	struct slow slow;
	bool killable = true;
	int i, status;
	pid_t pids[3];
	void *bar;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bar_mmap(self->device, 0, 0, PAGE_SIZE, PROT_READ, &bar));
	ASSERT_EQ(0, slow_begin(self, &slow, fd, hot_reset_cdev));
	pids[0] = waiter_start(load, bar);
	pids[1] = waiter_start(read_bar, &self->device);
	pids[2] = waiter_start(write_command, &self->device);
	usleep(SLOW * 1000);
	for (i = 0; i < 3; i++) {
		EXPECT_FALSE(waiter_ends(pids[i], 0, &status));
		killable &= waiter_dies(pids[i], 3 * SLOW);
	}
	EXPECT_EQ(!on_c_modules(), killable);
	EXPECT_SOON(slow);
	report_difference("who waits for a reset of the user",
			  killable ? "can be killed" : "cannot be killed");
	EXPECT_EQ(0, slow_end(&slow));
	munmap(bar, PAGE_SIZE);
}

/* Closing the device waits as well, and then it can go. */
TEST_F(import, closed)
{
	int fd = export(self->device, 1);
	uint64_t began;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, attach(self, fd, GOOD, SLOW));
	ASSERT_EQ(0, map(self));
	began = milliseconds();
	close(self->device);
	EXPECT_LE(SLOW - TICK, milliseconds() - began);
	EXPECT_EQ(0, state(self->importer).mapped);
	EXPECT_EQ(-ENODEV, map(self));
	/* The buffer does not hold the device, nor its driver. */
	ASSERT_EQ(0, pci_bind(self->bdf, NULL));
	EXPECT_EQ(-ENODEV, map(self));
	close(fd);
	close(self->importer);
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	self->device = self->importer = -1;
}

/* Where no path leads, nothing is mapped, hence nobody waited for. */
TEST_F(import, no_path)
{
	const char *bdf;
	int fd;

	NEED_DEVICE(bdf, "IGB");
	fd = export(self->device, 1);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, importer_attach(self->importer, fd, GOOD, SLOW, bdf));
	EXPECT_EQ(-EINVAL, map(self));
	ASSERT_EQ(0, memory_enable(self->device, false));
	ASSERT_EQ(0, memory_enable(self->device, true));
	EXPECT_EQ(-EINVAL, map(self));
}

int main(int argc, char **argv)
{
	static const char *const devices[] = { "SHARED_TESTDEV", "SHARED_EDU",
					       "DUAL_IGB_0", "DUAL_IGB_1", NULL };
	static const char *const modules[] = { "vfio_dma_buf_importer", NULL };

	pci_claim(devices);
	samples_claim(modules);
	return test_harness_run(argc, argv);
}
