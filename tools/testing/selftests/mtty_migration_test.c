// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of the kernel's sample mtty (6-87, 6-88, 9-6), a C driver that both stacks load:
 * the core takes requests and gives files, the driver has the state, and asks the core for
 * the way from one to another.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dma_logging.h"
#include "kselftest_harness.h"
#include "migration.h"
#include "mtty.h"
#include "waiter.h"

#define IOVA		0x10000000UL
#define SIZE		(64 * PAGE_SIZE)

/* The header, which can be read of a device that runs, and what is there of each port. */
#define HEADER_SIZE	24
#define PORT_SIZE	36
#define MOST_BYTES	(HEADER_SIZE + 2 * PORT_SIZE)
#define A_WHILE		300

FIXTURE(mtty)
{
	struct vfio_session session[2];
	int device;
	/* The same as the first one. */
	int other;
	size_t size;
	uint8_t image[2 * MOST_BYTES];
};

FIXTURE_VARIANT(mtty)
{
	const char *type;
	int ports;
	bool cdev;
};

FIXTURE_VARIANT_ADD(mtty, one_port) { .type = ONE_PORT, .ports = 1, };
FIXTURE_VARIANT_ADD(mtty, two_ports) { .type = TWO_PORTS, .ports = 2, .cdev = true, };

FIXTURE_SETUP(mtty)
{
	static const char *const uuids[] = { UUID_1, UUID_2 };
	int i;

	NEED_C_DRIVER("mtty");
	for (i = 0; i < 2; i++) {
		CREATE_MDEV(MTTY, variant->type, uuids[i]);
		ASSERT_EQ(0, mdev_open(&self->session[i], uuids[i],
				       variant->cdev && kernel_has_iommufd()));
	}
	self->device = self->session[0].device;
	self->other = self->session[1].device;
	self->size = HEADER_SIZE + variant->ports * PORT_SIZE;
}

FIXTURE_TEARDOWN(mtty)
{
	session_close(&self->session[0]);
	session_close(&self->session[1]);
	EXPECT_EQ(0, mdev_remove(UUID_1));
	EXPECT_EQ(0, mdev_remove(UUID_2));
}

static long reset(int device)
{
	return vfio_ioctl(device, VFIO_DEVICE_RESET, NULL);
}

/* What a port is given, and has then. */
static long fill(int device, int port, uint8_t value)
{
	long ret = port_begin(device, port, 0);
	int i;

	ret = ret ?: port_put(device, port, UART_SCR, value);
	for (i = 0; !ret && i < 5; i++)
		ret = port_put(device, port, UART_TX, value + i);
	return ret;
}

/* -EILSEQ if it has not; it is empty afterwards. */
static long take(int device, int port, uint8_t value)
{
	int i;

	if (port_get(device, port, UART_SCR) != value)
		return -EILSEQ;
	for (i = 0; i < 5; i++)
		if (port_get(device, port, UART_RX) != (uint8_t)(value + i))
			return -EILSEQ;
	return port_get(device, port, UART_LSR) & UART_LSR_DR ? -EILSEQ : 0;
}

/* The state of a device that runs, which is stopped meanwhile; its size. */
static long save(int device, uint8_t *image)
{
	int fd = transfer_begin(device, STOP_COPY);
	long size, ret;

	if (fd < 0)
		return fd;
	size = stream_read(fd, image, MOST_BYTES + 1);
	close(fd);
	ret = change_state(device, RUNNING);
	return ret ? ret : size;
}

/* ---- features ---- */

/* 6-84, 6-85, 6-87, 6-88: sizes and operations of all features that the driver gives it. */
TEST_F(mtty, features)
{
	static const struct {
		uint32_t number;
		uint32_t operations;
		size_t size;
	} features[] = {
		{ VFIO_DEVICE_FEATURE_MIGRATION, GET, 8 },
		{ VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, GET | SET, 8 },
		{ VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, GET, 8 },
		{ VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, SET, 0 },
		{ VFIO_DEVICE_FEATURE_DMA_LOGGING_START, SET, 24 },
		{ VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, SET, 0 },
		{ VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, GET, 32 },
	};
	static const uint32_t operations[] = { GET, SET };
	int device = self->device;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		uint32_t number = features[i].number;
		size_t size = features[i].size;

		EXPECT_EQ(0, device_feature(device, PROBE | number, NULL, 0));
		EXPECT_EQ(-EINVAL, device_feature(device, number, self->image, size));
		for (j = 0; j < ARRAY_SIZE(operations); j++) {
			uint32_t flags = operations[j] | number;
			bool has = features[i].operations & operations[j];

			EXPECT_EQ(has ? 0 : -EINVAL,
				  device_feature(device, PROBE | flags, NULL, 0)) {
				TH_LOG("feature %u, operation %d", number, j);
			}
			if (!has)
				EXPECT_EQ(-EINVAL, device_feature(device, flags,
								  self->image, size));
			if (size)
				EXPECT_EQ(-EINVAL,
					  device_feature(device, flags, self->image,
							 size - 1));
		}
	}
}

/* 6-87 */
TEST_F(mtty, says_what_it_can)
{
	uint64_t value;

	ASSERT_EQ(0, feature_value(self->device, VFIO_DEVICE_FEATURE_MIGRATION, &value));
	EXPECT_EQ(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
			  VFIO_MIGRATION_PRE_COPY,
		  value);
	ASSERT_EQ(0, feature_value(self->device, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &value));
	EXPECT_EQ(self->size, value);
	EXPECT_EQ(RUNNING, state_of(self->device));
}

/* 6-87: an answer that cannot be given. */
TEST_F(mtty, unreadable)
{
	const uint32_t flags = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	struct vfio_device_feature *head;
	char *pages = memory_new(2 * PAGE_SIZE);
	int fds = dup(0);

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + PAGE_SIZE, PAGE_SIZE));
	head = (void *)(pages + PAGE_SIZE - sizeof(*head));
	EXPECT_EQ(-EFAULT, feature(self->device, head, 16, GET | flags));
	EXPECT_EQ(-EFAULT, feature(self->device, head, 16, SET | flags));
	EXPECT_EQ(-EFAULT, feature(self->device, head, 16,
				   GET | VFIO_DEVICE_FEATURE_MIGRATION));
	EXPECT_EQ(RUNNING, state_of(self->device));
	/* The file of a transfer that could not be given to the user is closed. */
	head = (void *)pages;
	head->argsz = 16;
	head->flags = SET | flags;
	*(uint32_t *)head->data = STOP_COPY;
	ASSERT_EQ(0, mprotect(pages, PAGE_SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->device, VFIO_DEVICE_FEATURE, head));
	EXPECT_EQ(STOP_COPY, state_of(self->device));
	close(fds);
	EXPECT_EQ(fds, dup(0));
	EXPECT_EQ(0, change_state(self->device, RUNNING));
	munmap(pages, PAGE_SIZE);
	close(fds);
}

/* ---- states ---- */

/* From a state back to where it runs. */
static long go_back(int device, int fd, const uint8_t *image, size_t size)
{
	if (state_of(device) == RESUMING && stream_write(fd, image, size) != size)
		return -EIO;
	return change_state(device, RUNNING);
}

/* 6-87, 9-6: where there is a way, and which of them begin a transfer. */
TEST_F(mtty, all_pairs)
{
	static const uint32_t unknown[] = { 8, 9, 255, INT32_MAX, UINT32_MAX };
	int device = self->device;
	uint32_t from, to;
	int i;

	ASSERT_EQ(self->size, save(device, self->image));
	for (from = STOP; from <= PRE_COPY_P2P; from++) {
		for (to = ERROR; to <= PRE_COPY_P2P; to++) {
			bool blocked = is_blocked(from, to);
			int old = go_to(device, from), new = -1;

			ASSERT_LE(-1, old);
			ASSERT_EQ(from, state_of(device));
			if (from == RESUMING && to != from && !blocked)
				ASSERT_EQ(self->size, stream_write(old, self->image,
								   self->size));
			EXPECT_EQ(blocked ? -EINVAL : 0, set_state(device, to, &new)) {
				TH_LOG("%u -> %u", from, to);
			}
			EXPECT_EQ(blocked ? from : to, state_of(device)) {
				TH_LOG("%u -> %u", from, to);
			}
			EXPECT_EQ(begins_transfer(from, to), new >= 0) {
				TH_LOG("%u -> %u", from, to);
			}
			ASSERT_EQ(0, go_back(device, new >= 0 ? new : old, self->image,
					     self->size));
			close(old);
			close(new);
		}
		for (i = 0; i < ARRAY_SIZE(unknown); i++) {
			int fd = go_to(device, from), none;

			EXPECT_EQ(-EINVAL, set_state(device, unknown[i], &none));
			EXPECT_EQ(-1, none);
			EXPECT_EQ(from, state_of(device));
			ASSERT_EQ(0, go_back(device, fd, self->image, self->size));
			close(fd);
		}
	}
}

/* A reset brings it back to where it runs, in each state, and ends its transfer. */
TEST_F(mtty, reset_in_each_state)
{
	uint32_t state;

	for (state = STOP; state <= PRE_COPY_P2P; state++) {
		int fd = go_to(self->device, state);
		uint8_t byte = 0;

		ASSERT_LE(-1, fd);
		ASSERT_EQ(0, reset(self->device));
		EXPECT_EQ(RUNNING, state_of(self->device));
		if (is_saving(state))
			EXPECT_EQ(-ENODEV, stream_read(fd, &byte, 1));
		if (state == RESUMING)
			EXPECT_EQ(-ENODEV, stream_write(fd, &byte, 1));
		close(fd);
	}
}

/* ---- streams ---- */

/* Files of a transfer are for that transfer. */
TEST_F(mtty, saving_file)
{
	int fd = transfer_begin(self->device, STOP_COPY);
	struct vfio_precopy_info info;
	uint8_t byte = 0;

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(O_RDONLY, fcntl(fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(-EBADF, stream_write(fd, &byte, 1));
	EXPECT_EQ(-ESPIPE, sys_result(pread(fd, &byte, 1, 0)));
	EXPECT_EQ(-ESPIPE, sys_result(lseek(fd, 0, SEEK_SET)));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(fd, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(-EINVAL, precopy_info(fd, &info));
	EXPECT_EQ(-EFAULT, stream_read(fd, BAD_POINTER, 1));
	EXPECT_EQ(self->size - 1, stream_read(fd, self->image, self->size - 1));
	EXPECT_EQ(1, stream_read(fd, self->image, self->size));
	EXPECT_EQ(0, stream_read(fd, self->image, self->size));
	EXPECT_EQ(0, change_state(self->device, STOP));
	EXPECT_EQ(-ENODEV, stream_read(fd, self->image, self->size));
	EXPECT_EQ(0, change_state(self->device, RUNNING));
	close(fd);
}

TEST_F(mtty, resuming_file)
{
	struct vfio_precopy_info info;
	int fd, other;
	uint8_t byte = 0;

	ASSERT_EQ(self->size, save(self->device, self->image));
	fd = transfer_begin(self->device, RESUMING);
	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(-EBADF, stream_read(fd, &byte, 1));
	EXPECT_EQ(-ESPIPE, sys_result(pwrite(fd, &byte, 1, 0)));
	EXPECT_EQ(-ENOTTY, precopy_info(fd, &info));
	EXPECT_EQ(-EFAULT, stream_write(fd, BAD_POINTER, 1));
	EXPECT_EQ(-ENOMEM, stream_write(fd, self->image, self->size + 1));
	EXPECT_EQ(self->size, stream_write(fd, self->image, self->size));
	EXPECT_EQ(-ENOMEM, stream_write(fd, &byte, 1));
	EXPECT_EQ(0, change_state(self->device, STOP));
	EXPECT_GT(0, stream_write(fd, &byte, 1));
	/* Nor is it for the next transfer. */
	other = transfer_begin(self->device, RESUMING);
	ASSERT_LE(0, other);
	EXPECT_EQ(-ENODEV, stream_write(fd, &byte, 1));
	EXPECT_EQ(1, stream_write(other, self->image, 1));
	EXPECT_EQ(0, reset(self->device));
	close(fd);
	close(other);
}

/* 6-88: what can be read while the device runs. */
TEST_F(mtty, precopy)
{
	struct vfio_precopy_info info = { .argsz = 23, .flags = 0xa5a5a5a5 };
	int device = self->device;
	int fd;

	ASSERT_EQ(0, fill(device, 0, 0x10));
	fd = transfer_begin(device, PRE_COPY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EFAULT, vfio_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, BAD_POINTER));
	EXPECT_EQ(-EINVAL, vfio_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(HEADER_SIZE, info.initial_bytes);
	EXPECT_EQ(0, info.dirty_bytes);
	/* Whoever does not know version 2 finds the flags as they were. */
	EXPECT_EQ(0xa5a5a5a5, info.flags);
	ASSERT_EQ(0, device_feature(device, SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
				    NULL, 0));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(5, stream_read(fd, self->image, 5));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(HEADER_SIZE - 5, info.initial_bytes);
	EXPECT_EQ(0, change_state(device, PRE_COPY_P2P));
	EXPECT_EQ(HEADER_SIZE - 5, stream_read(fd, self->image + 5, MOST_BYTES));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(0, info.initial_bytes);
	/* The device still runs. */
	EXPECT_EQ(0, fill(device, 0, 0x20));
	EXPECT_EQ(0, change_state(device, PRE_COPY));
	EXPECT_EQ(0, change_state(device, STOP_COPY));
	EXPECT_EQ(-EINVAL, precopy_info(fd, &info));
	EXPECT_EQ(self->size - HEADER_SIZE,
		  stream_read(fd, self->image + HEADER_SIZE, MOST_BYTES));
	close(fd);

	/* What was there when it stopped. */
	fd = transfer_begin(self->other, RESUMING);
	ASSERT_LE(0, fd);
	EXPECT_EQ(self->size, stream_write(fd, self->image, self->size));
	EXPECT_EQ(0, change_state(self->other, RUNNING));
	EXPECT_EQ(0, take(self->other, 0, 0x20));
	close(fd);
}

/* 6-88: the next user has not asked for version 2. */
TEST_F(mtty, precopy_version_ends_with_its_user)
{
	const uint32_t flags = SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2;
	struct vfio_precopy_info info = { .flags = 0xa5a5a5a5 };
	int fd;

	ASSERT_EQ(0, device_feature(self->device, flags, NULL, 0));
	ASSERT_EQ(0, device_feature(self->device, flags, NULL, 0));
	session_close(&self->session[0]);
	ASSERT_EQ(0, mdev_open(&self->session[0], UUID_1, false));
	fd = transfer_begin(self->session[0].device, PRE_COPY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(0xa5a5a5a5, info.flags);
	EXPECT_EQ(0, reset(self->session[0].device));
	close(fd);
}

/* By a file on a disk, to a device of the same type, which has something else before. */
TEST_F(mtty, saved_to_a_file)
{
	int file = open("/tmp/mtty", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int i, fd;

	ASSERT_LE(0, file);
	for (i = 0; i < variant->ports; i++) {
		ASSERT_EQ(0, fill(self->device, i, 0x30 + i));
		ASSERT_EQ(0, fill(self->other, i, 0x70 + i));
	}
	fd = transfer_begin(self->device, STOP_COPY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(self->size, stream_read(fd, self->image, sizeof(self->image)));
	ASSERT_EQ(self->size, stream_write(file, self->image, self->size));
	close(fd);
	close(file);
	memset(self->image, 0, sizeof(self->image));

	file = open("/tmp/mtty", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, file);
	fd = transfer_begin(self->other, RESUMING);
	ASSERT_LE(0, fd);
	/* By single bytes. */
	for (i = 0; i < self->size; i++) {
		ASSERT_EQ(1, stream_read(file, self->image, 1));
		ASSERT_EQ(1, stream_write(fd, self->image, 1));
	}
	ASSERT_EQ(0, change_state(self->other, RUNNING));
	ASSERT_EQ(0, change_state(self->device, RUNNING));
	for (i = 0; i < variant->ports; i++) {
		EXPECT_EQ(0, take(self->other, i, 0x30 + i));
		EXPECT_EQ(0, take(self->device, i, 0x30 + i));
	}
	close(fd);
	close(file);
	unlink("/tmp/mtty");
}

/* A stream that was cut, at each of its bytes: an errno, and it can be gone on with. */
TEST_F(mtty, cut_stream)
{
	int device = self->device;
	size_t size;

	ASSERT_EQ(0, fill(device, 0, 0x40));
	ASSERT_EQ(self->size, save(device, self->image));
	for (size = 0; size < self->size; size++) {
		int fd;

		ASSERT_EQ(0, fill(device, 0, 0x50));
		fd = transfer_begin(device, RESUMING);
		ASSERT_LE(0, fd);
		if (size)
			ASSERT_EQ(size, stream_write(fd, self->image, size));
		EXPECT_EQ(-EINVAL, change_state(device, STOP));
		EXPECT_EQ(-EINVAL, change_state(device, RUNNING));
		EXPECT_EQ(RESUMING, state_of(device));
		if (size % 2) {
			ASSERT_EQ(0, reset(device));
			EXPECT_EQ(0, take(device, 0, 0x50));
		} else {
			ASSERT_EQ(self->size - size,
				  stream_write(fd, self->image + size, self->size - size));
			EXPECT_EQ(0, change_state(device, RUNNING));
			EXPECT_EQ(0, take(device, 0, 0x40));
		}
		EXPECT_EQ(RUNNING, state_of(device));
		close(fd);
	}
}

/* A stream that is not of such a device: each byte of the header. */
TEST_F(mtty, wrong_stream)
{
	int i;

	ASSERT_EQ(self->size, save(self->device, self->image));
	ASSERT_EQ(0, fill(self->device, 0, 0x60));
	for (i = 0; i < HEADER_SIZE; i++) {
		int fd = transfer_begin(self->device, RESUMING);

		ASSERT_LE(0, fd);
		self->image[i] ^= 0x40;
		EXPECT_EQ(-EFAULT, stream_write(fd, self->image, self->size));
		self->image[i] ^= 0x40;
		EXPECT_EQ(0, reset(self->device));
		close(fd);
	}
	EXPECT_EQ(0, take(self->device, 0, 0x60));
}

/* Who resets the device, and who changes its state, do not wait for each other. */
TEST_F(mtty, reset_meanwhile)
{
	struct mover movers[MOVERS];
	int i;

	ASSERT_EQ(0, movers_begin(movers, self->device, 0));
	for (i = 0; i < 1000; i++)
		EXPECT_EQ(0, reset(self->device));
	EXPECT_EQ(0, movers_end(movers));
	EXPECT_EQ(0, reset(self->device));
	EXPECT_EQ(RUNNING, state_of(self->device));
}

/* ---- the end of a user ---- */

static void user(uint32_t state, int ready)
{
	struct vfio_session session;
	int ret = mdev_open(&session, UUID_1, false);

	stay_in_state(ret ?: session.device, state, ready);
}

/* The driver keeps the state; a reset by the next user ends it. */
TEST_F(mtty, killed_in_each_state)
{
	uint32_t state;

	session_close(&self->session[0]);
	for (state = STOP; state <= PRE_COPY_P2P; state++) {
		char done = 0;
		int ready[2];
		pid_t pid;

		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		if (!pid)
			user(state, ready[1]);
		EXPECT_EQ(1, read(ready[0], &done, 1));
		EXPECT_EQ('y', done);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, child_result(pid));
		ASSERT_EQ(0, mdev_open(&self->session[0], UUID_1, false));
		EXPECT_EQ(state, state_of(self->session[0].device));
		EXPECT_EQ(0, reset(self->session[0].device));
		EXPECT_EQ(RUNNING, state_of(self->session[0].device));
		session_close(&self->session[0]);
		close(ready[0]);
		close(ready[1]);
	}
}

/*
 * 9-3: the device goes once it is closed; the file of the transfer stays, and has the module.
 * What the driver does with a file that is written to is not tried: it looks into the device
 * that is gone.
 */
TEST_F(mtty, removed_in_each_state)
{
	uint32_t state;

	for (state = STOP; state <= PRE_COPY_P2P; state++) {
		int device = self->session[0].device, fd = go_to(device, state);
		uint8_t byte = 0;
		pid_t pid;

		ASSERT_LE(-1, fd);
		pid = fork();
		if (!pid) {
			session_close(&self->session[0]);
			_exit(mdev_remove(UUID_1) != 0);
		}
		EXPECT_TRUE(waiter_waits_in(pid, __NR_write, A_WHILE));
		EXPECT_EQ(state, state_of(device));
		session_close(&self->session[0]);
		EXPECT_EQ(0, child_result(pid));
		EXPECT_FALSE(mdev_exists(UUID_1));
		if (is_saving(state))
			EXPECT_EQ(-ENODEV, stream_read(fd, &byte, 1));
		session_close(&self->session[1]);
		if (fd >= 0)
			EXPECT_EQ(-EAGAIN, module_unload("mtty"));
		close(fd);
		ASSERT_EQ(0, mdev_create(MTTY, variant->type, UUID_1));
		ASSERT_EQ(0, mdev_open(&self->session[0], UUID_1,
				       variant->cdev && kernel_has_iommufd()));
		EXPECT_EQ(RUNNING, state_of(self->session[0].device));
	}
}

/* ---- logging of DMA ---- */

/* 6-87: the driver, which does none, has nothing against it; the core has. */
TEST_F(mtty, logs_dma)
{
	struct logging_range ranges[] = {
		{ .iova = IOVA + SIZE, .length = PAGE_SIZE },
		{ .iova = IOVA, .length = SIZE },
	};
	struct logging_range *many = calloc(MOST_RANGES, sizeof(*many));
	int device = self->device;
	uint64_t chosen = 0;
	int i;

	ASSERT_NE(NULL, many);
	EXPECT_EQ(-EINVAL, logging_start_sized(device, PAGE_SIZE, ranges, 0, NULL));
	EXPECT_EQ(-E2BIG, logging_start_sized(device, PAGE_SIZE, ranges, MOST_RANGES + 1,
					      NULL));
	EXPECT_EQ(-E2BIG, logging_start_sized(device, PAGE_SIZE, ranges, UINT32_MAX, NULL));
	EXPECT_EQ(-EFAULT, logging_start_sized(device, PAGE_SIZE, BAD_POINTER, 1, NULL));
	EXPECT_EQ(-EINVAL, logging_start(device, IOVA + 1, PAGE_SIZE));
	EXPECT_EQ(-EINVAL, logging_start(device, IOVA, PAGE_SIZE + 1));
	EXPECT_EQ(-EOVERFLOW, logging_start(device, -PAGE_SIZE, 2 * PAGE_SIZE));
	EXPECT_EQ(0, logging_start_sized(device, PAGE_SIZE, ranges, 2, &chosen));
	EXPECT_EQ(PAGE_SIZE, chosen);
	EXPECT_EQ(0, logging_stop(device));
	ranges[0].iova -= PAGE_SIZE;
	EXPECT_EQ(-EINVAL, logging_start_sized(device, PAGE_SIZE, ranges, 2, NULL));
	for (i = 0; i < MOST_RANGES; i++)
		many[i] = (struct logging_range){ IOVA + 2 * i * PAGE_SIZE, PAGE_SIZE };
	EXPECT_EQ(0, logging_start_sized(device, PAGE_SIZE, many, MOST_RANGES, NULL));
	EXPECT_EQ(0, logging_stop(device));
	free(many);
}

/* 6-87: nothing was written, so no bit is set, nor is one cleared. */
TEST_F(mtty, reports_dma)
{
	uint64_t bitmap = 0xa5;
	int device = self->device;

	ASSERT_EQ(0, logging_start(device, IOVA, SIZE));
	EXPECT_EQ(0, logging_report(device, IOVA, SIZE, PAGE_SIZE, &bitmap));
	EXPECT_EQ(0, logging_report(device, IOVA, SIZE, 4 * PAGE_SIZE, &bitmap));
	EXPECT_EQ(0xa5, bitmap);
	EXPECT_EQ(-EINVAL, logging_report(device, IOVA, SIZE, 0, &bitmap));
	EXPECT_EQ(-EINVAL, logging_report(device, IOVA, SIZE, 2048, &bitmap));
	EXPECT_EQ(-EINVAL, logging_report(device, IOVA, SIZE, 3 * PAGE_SIZE, &bitmap));
	EXPECT_EQ(-EOVERFLOW, logging_report(device, -PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE,
					     &bitmap));
	EXPECT_EQ(0xa5, bitmap);
	EXPECT_EQ(0, logging_stop(device));
}

SAMPLES_TEST_MAIN("mtty")
