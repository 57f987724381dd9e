// SPDX-License-Identifier: GPL-2.0
/*
 * A device that is removed from PCI while a user has it: until the user closes
 * it, whoever looks at it in sysfs gets an answer, and it works for the user.
 */
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define BAR		0
/* How often the owner is asked. */
#define PERIOD		10
/* Longer than anything takes that does not wait for the owner. */
#define LONG		30

/* The file that is being read, for the process that waits for the end. */
static char *reading;
static unsigned int nr_read;

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

/* The directory of the device, or, with @above, that of the bridge above it. */
static bool device_path(const char *bdf, bool above, char *path)
{
	char link[64];

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s", bdf);
	if (!realpath(link, path))
		return false;
	if (above)
		*strrchr(path, '/') = '\0';
	return true;
}

/*
 * Reads what anybody may, but for the memory of the device, and for two files of
 * the PCI core that take the lock of the device, whatever its driver is.
 */
static int read_attribute(const char *path, const struct stat *status, int type,
			  struct FTW *walk)
{
	const char *name = path + walk->base;
	char text[4096];
	int fd;

	if (type != FTW_F || !(status->st_mode & 0400) ||
	    starts_with(name, "resource") || !strcmp(name, "rom") ||
	    !strcmp(name, "sriov_numvfs") || !strcmp(name, "sriov_vf_total_msix"))
		return 0;
	snprintf(reading, PAGE_SIZE, "%s", path);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text)) >= 0)
		nr_read++;
	close(fd);
	return 0;
}

/* Reads every file below the device. One that takes long is named. */
static bool sysfs_answers(const char *bdf, unsigned int least)
{
	char path[PATH_MAX];
	int i, result;
	pid_t pid;

	if (!device_path(bdf, false, path))
		return false;
	pid = fork();
	if (!pid) {
		/* If it gets stuck, it must not be for a device that it keeps. */
		close_range(3, ~0U, 0);
		nftw(path, read_attribute, 16, FTW_PHYS);
		_exit(nr_read < least);
	}
	for (i = 0; i < LONG * 10; i++) {
		if (waitpid(pid, &result, WNOHANG) == pid)
			return WIFEXITED(result) && !WEXITSTATUS(result);
		usleep(100000);
	}
	printf("# %s blocks\n", reading);
	/* In vain, if it sleeps without listening. */
	kill(pid, SIGKILL);
	return false;
}

static bool present(const char *bdf)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	return !access(path, F_OK);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

FIXTURE(removal)
{
	const char *bdf;
	/* The file by which it goes. */
	char remove[PATH_MAX + 16];
	struct vfio_session session;
	void *bar;
	int request;
	pid_t pid;
};

FIXTURE_VARIANT(removal)
{
	const char *device;
	/* Not the device is removed, but the bridge above it. */
	bool bridge;
	/* A register that can be read. */
	unsigned int status;
	uint32_t irq;
	long reset;
};

FIXTURE_VARIANT_ADD(removal, device)
{
	.device = "IGB",
	.status = 0x8, /* Device Status */
	.irq = VFIO_PCI_MSIX_IRQ_INDEX,
	/* Whoever removes it has the lock that a reset takes. */
	.reset = -EAGAIN,
};

/* A group of two, which go one after the other; there is no reset for them. */
FIXTURE_VARIANT_ADD(removal, bridge)
{
	.device = "SHARED_EDU",
	.bridge = true,
	.irq = VFIO_PCI_MSI_IRQ_INDEX,
	.reset = -EINVAL,
};

FIXTURE_SETUP(removal)
{
	struct vfio_session *session = &self->session;
	char path[PATH_MAX];

	reading = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)reading);
	NEED_DEVICE(self->bdf, variant->device);
	ASSERT_TRUE(device_path(self->bdf, variant->bridge, path));
	snprintf(self->remove, sizeof(self->remove), "%s/remove", path);
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	self->request = event_new();
	ASSERT_LE(0, self->request);
	ASSERT_EQ(0, session_open(session, self->bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, memory_enable(session->device, true));
	ASSERT_EQ(0, bar_mmap(session->device, BAR, 0, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, &self->bar));
	/* The owner is this process alone. */
	ASSERT_EQ(0, madvise(self->bar, PAGE_SIZE, MADV_DONTFORK));
	ASSERT_EQ(0, irq_eventfd(session->device, VFIO_PCI_REQ_IRQ_INDEX, 0,
				 self->request));
	/* Nobody waits for anybody yet. */
	ASSERT_TRUE(sysfs_answers(self->bdf, 10));

	self->pid = fork();
	if (!self->pid) {
		session_close(session);
		_exit(file_write(self->remove, "1") != 0);
	}
	ASSERT_EQ(1, event_wait(self->request, LONG * 1000));
}

FIXTURE_TEARDOWN(removal)
{
	munmap(self->bar, PAGE_SIZE);
	session_close(&self->session);
	close(self->request);
	if (self->pid > 0) {
		waitpid(self->pid, NULL, 0);
		EXPECT_FALSE(present(self->bdf));
	}
	/* It is found again, and is as good as new. */
	EXPECT_EQ(0, file_write("/sys/bus/pci/rescan", "1"));
	ASSERT_TRUE(present(self->bdf));
	ASSERT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, memory_enable(self->session.device, true));
	ASSERT_EQ(0, bar_mmap(self->session.device, BAR, 0, PAGE_SIZE,
			      PROT_READ, &self->bar));
	EXPECT_LE(0, mmio_at((char *)self->bar + variant->status));
	EXPECT_EQ(variant->reset == -EAGAIN ? 0 : variant->reset,
		  vfio_ioctl(self->session.device, VFIO_DEVICE_RESET, NULL));
	munmap(self->bar, PAGE_SIZE);
	EXPECT_EQ(0, session_finish(&self->session));
	EXPECT_TRUE(sysfs_answers(self->bdf, 10));
}

/* 10-25: whoever looks at the device does not wait for its owner. */
TEST_F_TIMEOUT(removal, sysfs, 300)
{
	EXPECT_TRUE(present(self->bdf));
	EXPECT_TRUE(sysfs_answers(self->bdf, 10));
	EXPECT_EQ(0, waitpid(self->pid, NULL, WNOHANG));
}

/* 10-24, 10-27, 12-28: for the owner it is all there; for others it is gone. */
TEST_F_TIMEOUT(removal, owner, 300)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	const char *status = (char *)self->bar + variant->status;
	int device = self->session.device;
	int event = event_new();

	EXPECT_EQ(-ENODEV, group_device(self->session.group, self->bdf));
	EXPECT_GT(0, cdev_open(self->bdf, O_RDWR));
	EXPECT_EQ(variant->reset, vfio_ioctl(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(variant->reset == -EAGAIN, !!(info.flags & VFIO_DEVICE_FLAGS_RESET));
	EXPECT_LT(0, config_read(device, PCI_VENDOR_ID, 2));
	EXPECT_LE(0, mmio_at(status));
	EXPECT_EQ(0, memory_enable(device, false));
	EXPECT_EQ(-SIGBUS, mmio_at(status));
	EXPECT_EQ(0, memory_enable(device, true));
	EXPECT_LE(0, mmio_at(status));
	EXPECT_EQ(0, irq_eventfd(device, variant->irq, 0, event));
	EXPECT_EQ(0, irq_none(device, variant->irq,
			      VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1));
	EXPECT_EQ(1, event_wait(event, LONG * 1000));
	EXPECT_EQ(0, irq_disable(device, variant->irq));
	EXPECT_EQ(0, session_works(&self->session));
	EXPECT_EQ(0, waitpid(self->pid, NULL, WNOHANG));
	close(event);
}

/* 12-28: the owner is asked every ten seconds, for as long as it takes. */
TEST_F_TIMEOUT(removal, asks_again, 300)
{
	double asked = seconds();
	int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(1, event_wait(self->request, (PERIOD + LONG) * 1000));
		/* What the first wait had already behind it is not known. */
		if (i)
			EXPECT_LT(PERIOD - 1, seconds() - asked);
		asked = seconds();
	}
}

/* Nor can it be called off; who has been told to end asks once more. */
TEST_F_TIMEOUT(removal, signal, 300)
{
	EXPECT_EQ(0, kill(self->pid, SIGTERM));
	EXPECT_EQ(1, event_wait(self->request, LONG * 1000));
	EXPECT_EQ(0, waitpid(self->pid, NULL, WNOHANG));
	EXPECT_TRUE(sysfs_answers(self->bdf, 10));
	EXPECT_LE(0, mmio_at((char *)self->bar + variant->status));
	EXPECT_TRUE(present(self->bdf));
}

VFIO_TEST_MAIN("IGB", "SHARED_EDU")
