// SPDX-License-Identifier: GPL-2.0
/*
 * Migration by the kernel's variant drivers of vfio-pci, in C, which both stacks load: from one
 * virtual function to another, whose memory is that of a module that stands in for their parent
 * (6-87, 6-88).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "migration.h"
#include "variants.h"
#include "waiter.h"

#define MOST_BYTES	16384
#define A_WHILE		300
/* What the parent writes in front of the memory. */
#define IMAGE_HEADER	8

FIXTURE(migration)
{
	struct vfio_session session[2];
	int device;
	bool cdev;
	/* Of all that is read. */
	size_t size;
	uint8_t stream[MOST_BYTES + 1];
};

FIXTURE_VARIANT(migration)
{
	struct variant_driver driver;
	uint64_t flags;
	/* The memory of the function, and what is in front of it. */
	size_t memory;
	size_t header;
	/* What is read if that is always the same. */
	size_t fixed;
	/* How much in front of a stream nobody can tell to be wrong. */
	int unchecked;
	bool cdev;
	/* Whether half a stream is refused when the transfer ends, and may go on then. */
	bool refuses;
	bool goes_on;
	/* Whether the file of a transfer may be used once its device is gone. */
	bool outlives;
};

#define STOP_AND_COPY	(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P)

FIXTURE_VARIANT_ADD(migration, virtio) {
	.driver = VIRTIO_DRIVER,
	.flags = STOP_AND_COPY | VFIO_MIGRATION_PRE_COPY,
	.memory = 10000,
	.header = 16 + IMAGE_HEADER,
	.unchecked = 12,
	.cdev = true,
};

FIXTURE_VARIANT_ADD(migration, xe) {
	.driver = XE_DRIVER,
	.flags = STOP_AND_COPY,
	.memory = 5000,
	.header = IMAGE_HEADER,
	.refuses = true,
	.outlives = true,
};

FIXTURE_VARIANT_ADD(migration, qat) {
	.driver = QAT_DRIVER,
	.flags = STOP_AND_COPY | VFIO_MIGRATION_PRE_COPY,
	.memory = 3000,
	.header = 16 + IMAGE_HEADER,
	.fixed = 4096,
	.cdev = true,
	.refuses = true,
	.goes_on = true,
};

FIXTURE_SETUP(migration)
{
	int i;

	for (i = 0; i < 2; i++) {
		self->session[i].container = self->session[i].group = -1;
		self->session[i].device = -1;
	}
	NEED_VARIANT(&variant->driver);
	self->cdev = variant->cdev && kernel_has_iommufd();
	ASSERT_EQ(0, variant_begin(&variant->driver, parents_vf(0)));
	ASSERT_EQ(0, variant_open(&self->session[0], parents_vf(0), self->cdev));
	self->device = self->session[0].device;
	self->size = variant->fixed ?: variant->header + variant->memory;
}

FIXTURE_TEARDOWN(migration)
{
	session_close(&self->session[0]);
	session_close(&self->session[1]);
	EXPECT_EQ(0, pci_bind(parents_vf(1), NULL));
	EXPECT_EQ(0, variant_end(&variant->driver, parents_vf(0)));
	EXPECT_TRUE(parents_idle());
}

/* Another one of the same driver, for as long as the test runs. */
static int other_open(struct vfio_session *session, const char *driver, bool cdev)
{
	int ret = pci_bind(parents_vf(1), driver);

	ret = ret ?: variant_open(session, parents_vf(1), cdev);
	return ret ?: session->device;
}

#define OTHER_OPEN()	other_open(&self->session[1], variant->driver.name, self->cdev)

static long reset(int device)
{
	return vfio_ioctl(device, VFIO_DEVICE_RESET, NULL);
}

static void memory_path(char *path, size_t size, int index)
{
	snprintf(path, size, "/sys/kernel/debug/vfio-parents/%d/memory", index);
}

static void pattern(uint8_t *memory, size_t size, uint8_t seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		memory[i] = seed + i * 7 + i / 256;
}

/* Puts something into the memory of a function. */
static long fill(int index, size_t size, uint8_t seed)
{
	uint8_t memory[MOST_BYTES];
	char path[64];
	long ret;
	int fd;

	memory_path(path, sizeof(path), index);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	pattern(memory, size, seed);
	ret = stream_write(fd, memory, size);
	close(fd);
	return ret == size ? 0 : ret < 0 ? ret : -EIO;
}

static bool has(int index, size_t size, uint8_t seed)
{
	uint8_t memory[MOST_BYTES], expected[MOST_BYTES];
	char path[64];
	long ret;
	int fd;

	memory_path(path, sizeof(path), index);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ret = stream_read(fd, memory, sizeof(memory));
	close(fd);
	pattern(expected, size, seed);
	return ret == size && !memcmp(memory, expected, size);
}

static bool has_state(uint64_t flags, uint32_t state)
{
	return flags & VFIO_MIGRATION_PRE_COPY || (state != PRE_COPY && state != PRE_COPY_P2P);
}

static bool has_way(uint64_t flags, uint32_t from, uint32_t to)
{
	return has_state(flags, to) && !is_blocked(from, to);
}

static long stopped_in(uint32_t state)
{
	return state != RUNNING && state != PRE_COPY;
}

/* All that a device that is stopped has to say. */
static long read_all(int fd, uint8_t *stream)
{
	long size = 0, ret;

	do {
		ret = stream_read(fd, stream + size, MOST_BYTES + 1 - size);
		size += ret;
	} while (ret > 0 && size <= MOST_BYTES);
	return ret < 0 ? ret : size;
}

/* The state of a device that runs, which is stopped meanwhile; its size. */
static long save(int device, uint8_t *stream)
{
	int fd = transfer_begin(device, STOP_COPY);
	long size, ret;

	if (fd < 0)
		return fd;
	size = read_all(fd, stream);
	close(fd);
	ret = change_state(device, RUNNING);
	return ret ? ret : size;
}

/* From a state back to where it runs. */
static long go_back(int device, int fd, const uint8_t *stream, size_t size)
{
	if (state_of(device) == RESUMING && stream_write(fd, stream, size) != size)
		return -EIO;
	return change_state(device, RUNNING);
}

/* ---- what there is ---- */

TEST_F(migration, says_what_it_can)
{
	const uint32_t log = VFIO_DEVICE_FEATURE_DMA_LOGGING_START;
	uint64_t value;

	ASSERT_EQ(0, fill(0, variant->memory, 0));
	ASSERT_EQ(0, feature_value(self->device, VFIO_DEVICE_FEATURE_MIGRATION, &value));
	EXPECT_EQ(variant->flags, value);
	ASSERT_EQ(0, feature_value(self->device, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &value));
	EXPECT_EQ(variant->fixed ?: variant->memory + IMAGE_HEADER, value);
	EXPECT_EQ(RUNNING, state_of(self->device));
	EXPECT_EQ(-ENOTTY, device_feature(self->device, PROBE | SET | log, NULL, 0));
	EXPECT_EQ(has_state(variant->flags, PRE_COPY) ? 0 : -EINVAL,
		  device_feature(self->device,
				 SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, NULL, 0));
}

/* From each state to each: where there is a way, and what the parent is told. */
TEST_F(migration, all_pairs)
{
	static const uint32_t unknown[] = { 8, 255, INT32_MAX, UINT32_MAX };
	int device = self->device;
	uint32_t from, to;
	int i;

	ASSERT_EQ(0, fill(0, variant->memory, 3));
	ASSERT_EQ(self->size, save(device, self->stream));
	for (from = STOP; from <= PRE_COPY_P2P; from++) {
		int fd, none;

		if (!has_state(variant->flags, from))
			continue;
		for (to = ERROR; to <= PRE_COPY_P2P; to++) {
			bool way = has_way(variant->flags, from, to);
			int old = go_to(device, from), new = -1;

			ASSERT_LE(-1, old);
			ASSERT_EQ(from, state_of(device));
			EXPECT_EQ(stopped_in(from), parents_value(0, "stopped"));
			if (from == RESUMING && to != from && way)
				ASSERT_EQ(self->size, stream_write(old, self->stream,
								   self->size));
			EXPECT_EQ(way ? 0 : -EINVAL, set_state(device, to, &new)) {
				TH_LOG("%u -> %u", from, to);
			}
			EXPECT_EQ(way ? to : from, state_of(device)) {
				TH_LOG("%u -> %u", from, to);
			}
			EXPECT_EQ(stopped_in(way ? to : from), parents_value(0, "stopped")) {
				TH_LOG("%u -> %u", from, to);
			}
			EXPECT_EQ(way && begins_transfer(from, to), new >= 0) {
				TH_LOG("%u -> %u", from, to);
			}
			ASSERT_EQ(0, go_back(device, new >= 0 ? new : old, self->stream,
					     self->size));
			close(old);
			close(new);
			EXPECT_EQ(0, parents_value(0, "objects"));
		}
		fd = go_to(device, from);
		for (i = 0; i < ARRAY_SIZE(unknown); i++) {
			EXPECT_EQ(-EINVAL, set_state(device, unknown[i], &none));
			EXPECT_EQ(-1, none);
			EXPECT_EQ(from, state_of(device));
		}
		ASSERT_EQ(0, go_back(device, fd, self->stream, self->size));
		close(fd);
	}
	EXPECT_TRUE(has(0, variant->memory, 3));
}

/* A state that the parent does not let it go to, in the middle of a way. */
TEST_F(migration, parent_fails)
{
	int device = self->device, fd;

	ASSERT_EQ(0, parents_set(0, "fail", EDOM));
	EXPECT_EQ(-EDOM, change_state(device, STOP));
	EXPECT_EQ(RUNNING, state_of(device));
	EXPECT_EQ(0, parents_value(0, "stopped"));

	ASSERT_EQ(0, change_state(device, RUNNING_P2P));
	ASSERT_EQ(0, parents_set(0, "fail", EDOM));
	EXPECT_EQ(-EDOM, set_state(device, STOP_COPY, &fd));
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(STOP, state_of(device));
	EXPECT_EQ(0, reset(device));
	EXPECT_EQ(RUNNING, state_of(device));
	EXPECT_EQ(0, parents_value(0, "objects"));
}

/* ---- streams ---- */

/* To a function that has something else before, and of another size. */
TEST_F(migration, from_one_to_another)
{
	int other = OTHER_OPEN(), fd;
	size_t piece, at;

	ASSERT_LE(0, other);
	for (piece = 4096; piece; piece /= 64) {
		size_t size = variant->memory - piece;
		size_t whole = variant->fixed ?: variant->header + size;

		ASSERT_EQ(0, fill(0, size, piece));
		ASSERT_EQ(0, fill(1, 100, 1));
		memset(self->stream, 0, sizeof(self->stream));
		ASSERT_EQ(whole, save(self->device, self->stream));
		EXPECT_EQ(0, parents_value(0, "stopped"));

		fd = transfer_begin(other, RESUMING);
		ASSERT_LE(0, fd);
		for (at = 0; at < whole; at += piece) {
			size_t rest = whole - at < piece ? whole - at : piece;

			ASSERT_EQ(rest, stream_write(fd, self->stream + at, rest));
		}
		/* What follows is for the next state. */
		ASSERT_EQ(0, change_state(other, STOP));
		EXPECT_TRUE(has(1, size, piece));
		EXPECT_EQ(1, parents_value(1, "stopped"));
		ASSERT_EQ(0, change_state(other, RUNNING));
		EXPECT_EQ(0, parents_value(1, "stopped"));
		EXPECT_TRUE(has(0, size, piece));
		close(fd);
	}
}

/* Files of a transfer are for that transfer, and go one way. */
TEST_F(migration, files)
{
	int fd, next;
	uint8_t byte = 0;

	ASSERT_EQ(0, fill(0, variant->memory, 5));
	fd = transfer_begin(self->device, STOP_COPY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(O_RDONLY, fcntl(fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(-EBADF, stream_write(fd, &byte, 1));
	EXPECT_EQ(-ESPIPE, sys_result(pread(fd, &byte, 1, 0)));
	EXPECT_EQ(-EFAULT, stream_read(fd, BAD_POINTER, 1));
	EXPECT_EQ(self->size, read_all(fd, self->stream));
	EXPECT_EQ(0, stream_read(fd, &byte, 1));
	EXPECT_EQ(0, change_state(self->device, STOP));
	EXPECT_EQ(-ENODEV, stream_read(fd, &byte, 1));
	next = transfer_begin(self->device, STOP_COPY);
	ASSERT_LE(0, next);
	EXPECT_EQ(-ENODEV, stream_read(fd, &byte, 1));
	EXPECT_EQ(1, stream_read(next, &byte, 1));
	EXPECT_EQ(self->stream[0], byte);
	close(fd);
	close(next);
	EXPECT_EQ(0, change_state(self->device, RUNNING));

	fd = transfer_begin(self->device, RESUMING);
	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(O_WRONLY, fcntl(fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(-EBADF, stream_read(fd, &byte, 1));
	EXPECT_EQ(-ESPIPE, sys_result(pwrite(fd, &byte, 1, 0)));
	EXPECT_EQ(-EFAULT, stream_write(fd, BAD_POINTER, 1));
	EXPECT_EQ(0, reset(self->device));
	close(fd);
	EXPECT_TRUE(has(0, variant->memory, 5));
}

/* A stream that was cut: the device has all of it, or nothing. */
TEST_F(migration, cut_stream)
{
	static const size_t cuts[] = { 0, 1, 7, 8, 16, 25, 2047, 4095 };
	int device = self->device;
	int i;

	ASSERT_EQ(0, fill(0, variant->memory, 0x40));
	ASSERT_EQ(self->size, save(device, self->stream));
	ASSERT_EQ(0, fill(0, variant->memory, 0x50));
	for (i = 0; i <= ARRAY_SIZE(cuts); i++) {
		size_t size = i < ARRAY_SIZE(cuts) ? cuts[i] : self->size - 1;
		int fd = transfer_begin(device, RESUMING);

		ASSERT_LE(0, fd);
		if (size)
			ASSERT_EQ(size, stream_write(fd, self->stream, size));
		EXPECT_EQ(variant->refuses ? -EINVAL : 0, change_state(device, STOP)) {
			TH_LOG("at %zu", size);
		}
		EXPECT_EQ(variant->refuses ? RESUMING : STOP, state_of(device));
		EXPECT_TRUE(has(0, variant->memory, 0x50));
		if (variant->goes_on && size % 2) {
			ASSERT_EQ(self->size - size,
				  stream_write(fd, self->stream + size, self->size - size));
			EXPECT_EQ(0, change_state(device, RUNNING));
			EXPECT_TRUE(has(0, variant->memory, 0x40));
			ASSERT_EQ(0, fill(0, variant->memory, 0x50));
		} else if (variant->refuses) {
			ASSERT_EQ(0, reset(device));
		} else {
			ASSERT_EQ(0, change_state(device, RUNNING));
		}
		EXPECT_EQ(RUNNING, state_of(device));
		close(fd);
	}
}

/* A stream of something else. Some find that out when they read it, others when it ends. */
TEST_F(migration, wrong_stream)
{
	int i;

	ASSERT_EQ(0, fill(0, variant->memory, 0x60));
	ASSERT_EQ(self->size, save(self->device, self->stream));
	ASSERT_EQ(0, fill(0, variant->memory, 0x70));
	for (i = variant->unchecked; i < variant->header; i += 4) {
		int fd = transfer_begin(self->device, RESUMING);
		long ret;

		ASSERT_LE(0, fd);
		self->stream[i + 3] ^= 0x40;
		ret = stream_write(fd, self->stream, self->size);
		self->stream[i + 3] ^= 0x40;
		if (ret == self->size && variant->refuses)
			ret = change_state(self->device, STOP);
		EXPECT_GT(0, ret) {
			TH_LOG("at %d", i + 3);
		}
		EXPECT_EQ(RESUMING, state_of(self->device));
		EXPECT_EQ(0, reset(self->device));
		close(fd);
	}
	EXPECT_TRUE(has(0, variant->memory, 0x70));
}

/* Records that virtio's driver does not know: one that may be left out, and one that may not. */
TEST_F(migration, unknown_record)
{
	struct {
		uint64_t size;
		uint32_t flags;
		uint32_t tag;
		uint8_t data[5000];
	} record = { .size = 5000, .flags = 1, .tag = 77 };
	int fd;

	if (strcmp(variant->driver.file, "virtio-vfio-pci"))
		SKIP(return, "streams of other drivers have no records");
	ASSERT_EQ(0, fill(0, variant->memory, 0x60));
	ASSERT_EQ(self->size, save(self->device, self->stream));
	ASSERT_EQ(0, fill(0, variant->memory, 0x70));
	fd = transfer_begin(self->device, RESUMING);
	ASSERT_LE(0, fd);
	EXPECT_EQ(sizeof(record), stream_write(fd, &record, sizeof(record)));
	EXPECT_EQ(self->size, stream_write(fd, self->stream, self->size));
	EXPECT_TRUE(has(0, variant->memory, 0x60));
	record.flags = 0;
	EXPECT_EQ(-EOPNOTSUPP, stream_write(fd, &record, sizeof(record)));
	EXPECT_EQ(-ENODEV, stream_write(fd, &record, sizeof(record)));
	EXPECT_EQ(0, change_state(self->device, RUNNING));
	close(fd);
}

/* ---- pre-copy ---- */

/* virtio's driver leaves of the numbers one as it was. */
static long precopy_now(int fd, struct vfio_precopy_info *info)
{
	info->initial_bytes = 0;
	info->dirty_bytes = 0;
	return precopy_info(fd, info);
}

/* 6-88: what can be read while the device runs, and that there is more when it has stopped. */
TEST_F(migration, precopy)
{
	struct vfio_precopy_info info = { .flags = 0xa5a5a5a5 };
	size_t first = variant->fixed ? variant->header - IMAGE_HEADER : self->size;
	int device = self->device;
	int other, fd;
	uint8_t byte;
	size_t at;

	if (!has_state(variant->flags, PRE_COPY))
		SKIP(return, "the driver has no pre-copy");
	other = OTHER_OPEN();
	ASSERT_LE(0, other);
	ASSERT_EQ(0, fill(0, variant->memory, 0x10));
	fd = transfer_begin(device, PRE_COPY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EFAULT, vfio_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, BAD_POINTER));
	ASSERT_EQ(0, precopy_now(fd, &info));
	EXPECT_EQ(first, info.initial_bytes);
	EXPECT_EQ(0, info.dirty_bytes);
	EXPECT_EQ(0xa5a5a5a5, info.flags);
	ASSERT_EQ(0, device_feature(device, SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
				    NULL, 0));
	ASSERT_EQ(5, stream_read(fd, self->stream, 5));
	ASSERT_EQ(0, precopy_now(fd, &info));
	EXPECT_EQ(first - 5, info.initial_bytes);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, change_state(device, PRE_COPY_P2P));
	EXPECT_EQ(1, parents_value(0, "stopped"));
	ASSERT_EQ(first - 5, stream_read(fd, self->stream + 5, MOST_BYTES));
	/* No more for now: each driver says that in its own way. */
	EXPECT_EQ(variant->fixed ? 0 : -ENOMSG, stream_read(fd, &byte, 1));
	ASSERT_EQ(0, precopy_now(fd, &info));
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(0, change_state(device, PRE_COPY));
	EXPECT_EQ(0, parents_value(0, "stopped"));
	ASSERT_EQ(0, fill(0, variant->memory, 0x20));
	EXPECT_EQ(0, change_state(device, STOP_COPY));
	EXPECT_EQ(-EINVAL, precopy_info(fd, &info));

	/* What was there when it stopped. */
	at = first + read_all(fd, self->stream + first);
	EXPECT_EQ(variant->fixed ?: 2 * self->size, at);
	close(fd);
	fd = transfer_begin(other, RESUMING);
	ASSERT_LE(0, fd);
	ASSERT_EQ(at, stream_write(fd, self->stream, at));
	EXPECT_EQ(0, change_state(other, RUNNING));
	EXPECT_TRUE(has(1, variant->memory, 0x20));
	close(fd);
	EXPECT_EQ(0, change_state(device, RUNNING));
	EXPECT_EQ(0, parents_value(0, "stopped"));
}

/* Of virtio what has changed meanwhile can be had while the device runs, once a second. */
TEST_F(migration, precopy_again)
{
	struct vfio_precopy_info info = { 0 };
	size_t size = 500, whole = variant->header + size;
	int other, i, j, fd;

	if (variant->fixed || !has_state(variant->flags, PRE_COPY))
		SKIP(return, "the driver reads the device once");
	other = OTHER_OPEN();
	ASSERT_LE(0, other);
	ASSERT_EQ(0, fill(0, size, 0));
	fd = transfer_begin(self->device, PRE_COPY);
	ASSERT_LE(0, fd);
	for (i = 1; i < 3; i++) {
		ASSERT_EQ(whole, stream_read(fd, self->stream + (i - 1) * whole, MOST_BYTES));
		ASSERT_EQ(0, fill(0, size, i));
		for (j = 0; j < 100; j++) {
			ASSERT_EQ(0, precopy_now(fd, &info));
			EXPECT_EQ(0, info.initial_bytes);
			if (info.dirty_bytes)
				break;
			usleep(100000);
		}
		EXPECT_EQ(IMAGE_HEADER + size, info.dirty_bytes);
	}
	ASSERT_EQ(0, change_state(self->device, STOP_COPY));
	/* That of the last time, and the last one. */
	EXPECT_EQ(2 * whole, read_all(fd, self->stream + 2 * whole));
	close(fd);
	for (i = 0; i < 4; i++) {
		uint8_t seed = i < 3 ? i : 2;

		fd = transfer_begin(other, RESUMING);
		ASSERT_LE(0, fd);
		EXPECT_EQ(whole, stream_write(fd, self->stream + i * whole, whole));
		EXPECT_EQ(0, change_state(other, RUNNING));
		EXPECT_TRUE(has(1, size, seed));
		close(fd);
	}
	EXPECT_EQ(0, change_state(self->device, RUNNING));
}

/* ---- the end of a transfer ---- */

/* A reset brings it back to where it runs, in each state, and ends its transfer. */
TEST_F(migration, reset_in_each_state)
{
	uint32_t state;

	ASSERT_EQ(0, fill(0, variant->memory, 0x30));
	ASSERT_EQ(self->size, save(self->device, self->stream));
	for (state = STOP; state <= PRE_COPY_P2P; state++) {
		long resets = parents_value(0, "resets");
		uint8_t byte = 0;
		int fd;

		if (!has_state(variant->flags, state))
			continue;
		fd = go_to(self->device, state);
		ASSERT_LE(-1, fd);
		if (is_saving(state))
			EXPECT_EQ(1, stream_read(fd, &byte, 1));
		if (state == RESUMING)
			EXPECT_EQ(100, stream_write(fd, self->stream, 100));
		ASSERT_EQ(0, reset(self->device));
		EXPECT_EQ(RUNNING, state_of(self->device));
		/* virtio's parent is not told of it. */
		if (variant->refuses) {
			EXPECT_EQ(resets + 1, parents_value(0, "resets"));
			EXPECT_EQ(0, parents_value(0, "stopped"));
		}
		if (is_saving(state))
			EXPECT_EQ(-ENODEV, stream_read(fd, &byte, 1));
		/* Which virtio's driver does not survive. */
		if (state == RESUMING && variant->refuses)
			EXPECT_EQ(-ENODEV, stream_write(fd, &byte, 1));
		EXPECT_EQ(0, parents_value(0, "objects"));
		/* It begins all over. */
		EXPECT_EQ(self->size, save(self->device, self->stream));
		close(fd);
	}
	EXPECT_TRUE(has(0, variant->memory, 0x30));
}

/* Who resets the device, and who changes its state, do not wait for each other. */
TEST_F(migration, reset_meanwhile)
{
	struct mover movers[MOVERS];
	int i;

	ASSERT_EQ(0, fill(0, variant->memory, 0x35));
	ASSERT_EQ(0, movers_begin(movers, self->device, 0));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, reset(self->device));
	EXPECT_EQ(0, movers_end(movers));
	EXPECT_EQ(0, reset(self->device));
	EXPECT_EQ(RUNNING, state_of(self->device));
	EXPECT_EQ(0, parents_value(0, "objects"));
	EXPECT_EQ(self->size, save(self->device, self->stream));
	EXPECT_TRUE(has(0, variant->memory, 0x35));
}

static void user(uint32_t state, int ready, bool cdev)
{
	struct vfio_session session;
	int ret = variant_open(&session, parents_vf(0), cdev);

	stay_in_state(ret ?: session.device, state, ready);
}

/* The next user finds a device that runs. */
TEST_F(migration, killed_in_each_state)
{
	bool cdev = self->cdev;
	uint32_t state;

	ASSERT_EQ(0, fill(0, variant->memory, 0x38));
	session_close(&self->session[0]);
	for (state = STOP; state <= PRE_COPY_P2P; state++) {
		char done = 0;
		int ready[2];
		pid_t pid;

		if (!has_state(variant->flags, state))
			continue;
		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			user(state, ready[1], cdev);
		EXPECT_EQ(1, read(ready[0], &done, 1));
		EXPECT_EQ('y', done);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, child_result(pid));
		EXPECT_EQ(0, parents_value(0, "objects"));
		ASSERT_EQ(0, variant_open(&self->session[0], parents_vf(0), cdev));
		EXPECT_EQ(RUNNING, state_of(self->session[0].device));
		session_close(&self->session[0]);
		close(ready[0]);
		close(ready[1]);
	}
	EXPECT_TRUE(has(0, variant->memory, 0x38));
}

/*
 * 9-3: the driver is taken from the device once that is closed; the file of the transfer stays,
 * and has the module. What some drivers do with a file that is used then is not tried: they look
 * into the device that is gone.
 */
TEST_F(migration, unbound_in_each_state)
{
	bool cdev = self->cdev;
	uint32_t state;

	for (state = STOP; state <= PRE_COPY_P2P; state++) {
		int device = self->session[0].device, fd;
		uint8_t byte = 0;
		pid_t pid;

		if (!has_state(variant->flags, state))
			continue;
		fd = go_to(device, state);
		ASSERT_LE(-1, fd);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			session_close(&self->session[0]);
			close(fd);
			_exit(-pci_bind(parents_vf(0), NULL));
		}
		EXPECT_TRUE(waiter_waits_in(pid, __NR_write, A_WHILE));
		EXPECT_EQ(state, state_of(device));
		session_close(&self->session[0]);
		EXPECT_EQ(0, child_result(pid));
		EXPECT_EQ(-ENOENT, group_open(parents_vf(0)));
		EXPECT_TRUE(parents_idle());
		if (fd >= 0 && variant->outlives) {
			EXPECT_EQ(-ENODEV, is_saving(state) ? stream_read(fd, &byte, 1) :
							      stream_write(fd, &byte, 1));
		}
		if (fd >= 0) {
			EXPECT_EQ(1, module_users(variant->driver.module));
			EXPECT_EQ(-EAGAIN, module_unload(variant->driver.module));
			close(fd);
		}
		EXPECT_EQ(0, module_users(variant->driver.module));
		ASSERT_EQ(0, pci_bind(parents_vf(0), variant->driver.name));
		ASSERT_EQ(0, variant_open(&self->session[0], parents_vf(0), cdev));
		EXPECT_EQ(RUNNING, state_of(self->session[0].device));
	}
}

int main(int argc, char **argv)
{
	parents_claim();
	return test_harness_run(argc, argv);
}
