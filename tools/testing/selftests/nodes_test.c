// SPDX-License-Identifier: GPL-2.0
/*
 * The nodes of groups and devices: whom they lead to once their device has gone, and
 * what is there as soon as they are (1-19, 1-21).
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define ROUNDS		20
#define KEPT		"/tmp/kept-node"

static void group_path(const char *bdf, char *path, size_t size)
{
	snprintf(path, size, "/dev/vfio/%d", pci_group(bdf));
}

FIXTURE(nodes)
{
	const char *first;
	const char *second;
};

/* Of the two devices, in different groups, only the first one has nodes. */
FIXTURE_SETUP(nodes)
{
	NEED_DEVICE(self->first, "EDU");
	NEED_DEVICE(self->second, "IVSHMEM");
	ASSERT_NE(pci_group(self->first), pci_group(self->second));
	ASSERT_EQ(0, pci_bind(self->second, NULL));
	ASSERT_EQ(0, pci_bind(self->first, NULL));
	ASSERT_EQ(0, pci_bind(self->first, "vfio-pci"));
}

FIXTURE_TEARDOWN(nodes)
{
	unlink(KEPT);
	EXPECT_EQ(0, pci_bind(self->first, "vfio-pci"));
	EXPECT_EQ(0, pci_bind(self->second, "vfio-pci"));
}

/* A node of the same number, as in a container's /dev. */
static int keep_node(const char *path)
{
	struct stat stat_buf;

	if (stat(path, &stat_buf))
		return -errno;
	unlink(KEPT);
	mkdir("/tmp", 0700);
	return sys_result(mknod(KEPT, S_IFCHR | 0600, stat_buf.st_rdev));
}

static int open_kept(void)
{
	return sys_result(open(KEPT, O_RDWR | O_CLOEXEC));
}

/* 1-19: it was allowed for the first group, and is of no use for the second. */
TEST_F(nodes, kept_of_a_group)
{
	char path[64];
	int fd;

	group_path(self->first, path, sizeof(path));
	ASSERT_EQ(0, keep_node(path));
	fd = open_kept();
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, group_device(fd, self->first));
	close(fd);

	ASSERT_EQ(0, pci_bind(self->first, NULL));
	EXPECT_EQ(-ENXIO, open_kept());
	ASSERT_EQ(0, pci_bind(self->second, "vfio-pci"));
	fd = open_kept();
	report_difference("kept node of a group that has gone, when another came",
			  fd < 0 ? strerror(-fd) : "opens the other group");
	if (on_c_modules()) {
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EINVAL, group_device(fd, self->second));
		close(fd);
	} else {
		EXPECT_EQ(-ENXIO, fd);
	}
}

/* Where the character device of @bdf is, once it is bound. */
static int cdev_path(const char *bdf, char *path, size_t size)
{
	int fd = cdev_open(bdf, O_RDWR);
	char link[32];
	ssize_t len;

	if (fd < 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = sys_result(readlink(link, path, size - 1));
	close(fd);
	if (len < 0)
		return len;
	path[len] = '\0';
	return 0;
}

/* 1-21: the same for a device, whose name is the lowest that is free. */
TEST_F(nodes, kept_of_a_device)
{
	char path[64], other[64];
	int fd, ret;

	ret = cdev_path(self->first, path, sizeof(path));
	if (ret == -ENOENT)
		SKIP(return, "no character devices");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, keep_node(path));
	ASSERT_EQ(0, pci_bind(self->first, NULL));
	EXPECT_EQ(-ENXIO, open_kept());
	ASSERT_EQ(0, pci_bind(self->second, "vfio-pci"));
	ASSERT_EQ(0, cdev_path(self->second, other, sizeof(other)));
	EXPECT_STREQ(path, other);
	fd = open_kept();
	report_difference("kept node of a device that has gone, when another came",
			  fd < 0 ? strerror(-fd) : "opens the other device");
	if (on_c_modules()) {
		EXPECT_LE(0, fd);
		close(fd);
	} else {
		EXPECT_EQ(-ENXIO, fd);
	}
}

/* Somebody who waits for a node, and does something with it as soon as it is there. */
struct waiter {
	pthread_t thread;
	const char *path;
	/* What to ask the group for. */
	const char *bdf;
	long result;
	atomic_bool stop;
};

static void *waiter_run(void *data)
{
	struct waiter *waiter = data;
	bool last;
	int fd;

	do {
		last = atomic_load(&waiter->stop);
		fd = sys_result(open(waiter->path, O_RDWR | O_CLOEXEC));
	} while (fd == -ENOENT && !last);
	waiter->result = fd;
	if (fd < 0)
		return NULL;
	if (waiter->bdf)
		waiter->result = group_device(fd, waiter->bdf);
	close(fd);
	return NULL;
}

/* What somebody who waits for the node gets while the device is bound. */
static long bind_awaited(const char *bdf, struct waiter *waiter)
{
	int ret;

	waiter->stop = false;
	if (pci_bind(bdf, NULL) ||
	    pthread_create(&waiter->thread, NULL, waiter_run, waiter))
		return -ECANCELED;
	ret = pci_bind(bdf, "vfio-pci");
	atomic_store(&waiter->stop, true);
	pthread_join(waiter->thread, NULL);
	return ret ? -ECANCELED : waiter->result;
}

/* 1-27: the group knows its device; what it lacks is a container. */
TEST_F(nodes, group_seen_at_once)
{
	struct waiter waiter = { .bdf = self->first };
	unsigned int early = 0;
	char path[64];
	int i;

	group_path(self->first, path, sizeof(path));
	waiter.path = path;
	for (i = 0; i < ROUNDS; i++) {
		long ret = bind_awaited(self->first, &waiter);

		if (ret == -ENODEV)
			early++;
		else
			EXPECT_EQ(-EINVAL, ret);
	}
	TH_LOG("%u of %u too early", early, ROUNDS);
	report_difference("GET_DEVICE_FD as soon as the group's node is there",
			  early ? "ENODEV" : "finds the device");
	if (!on_c_modules())
		EXPECT_EQ(0, early);
}

/* 1-28, 4-1: it is that of a registered device. */
TEST_F(nodes, device_seen_at_once)
{
	struct waiter waiter = {};
	unsigned int early = 0;
	char path[64];
	int i, ret;

	ret = cdev_path(self->first, path, sizeof(path));
	if (ret == -ENOENT)
		SKIP(return, "no character devices");
	ASSERT_EQ(0, ret);
	waiter.path = path;
	for (i = 0; i < ROUNDS; i++) {
		long ret = bind_awaited(self->first, &waiter);

		if (ret == -ENODEV)
			early++;
		else
			EXPECT_LE(0, ret);
	}
	TH_LOG("%u of %u too early", early, ROUNDS);
	report_difference("open() as soon as the device's node is there",
			  early ? "ENODEV" : "opens it");
	if (!on_c_modules())
		EXPECT_EQ(0, early);
}

VFIO_TEST_MAIN("EDU", "IVSHMEM")
