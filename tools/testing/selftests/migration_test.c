// SPDX-License-Identifier: GPL-2.0
/*
 * Migration (6-87, 6-88): the sample vfio_pci_edu moves what software can read
 * of one edu device to the other one.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <linux/pci_regs.h>

#include "edu.h"
#include "hot_reset.h"
#include "kselftest_harness.h"
#include "migration.h"
#include "samples.h"

#define DRIVER		"vfio-pci-edu"

#define EDU_FACTORIAL	0x08
#define EDU_STATUS	0x20
#define EDU_COMPUTING	0x01
#define EDU_IRQ_FACT	0x80

/* The header, which can be read of a device that runs, and all of it. */
#define HEADER_SIZE	12
#define IMAGE_SIZE	52
#define FACTORIAL_PLACE	16

/* ---- what a user does ---- */

/* The state of a device that runs, which is stopped meanwhile. */
static long save(int device, uint8_t *image)
{
	int fd = transfer_begin(device, STOP_COPY);
	long ret;

	if (fd < 0)
		return fd;
	ret = stream_read(fd, image, IMAGE_SIZE + 1);
	close(fd);
	if (ret != IMAGE_SIZE)
		return ret < 0 ? ret : -EIO;
	return change_state(device, RUNNING);
}

/* Writes the state to a device that runs, and stops it. */
static long load(int device, const void *image, size_t size)
{
	int fd = transfer_begin(device, RESUMING);
	long ret;

	if (fd < 0)
		return fd;
	ret = size ? stream_write(fd, image, size) : 0;
	close(fd);
	if (ret != size)
		return ret < 0 ? ret : -EIO;
	return change_state(device, STOP);
}

static long factorial(int device, uint32_t number)
{
	long ret = edu_write(device, EDU_FACTORIAL, number);

	while (!ret && edu_read(device, EDU_STATUS) & EDU_COMPUTING)
		;
	return ret;
}

/* ---- the devices ---- */

FIXTURE(edu)
{
	const char *bdf;
	struct vfio_session session;
	int fd;
	uint8_t image[2 * IMAGE_SIZE];
};

FIXTURE_SETUP(edu)
{
	NEED_SAMPLES();
	NEED_DEVICE(self->bdf, "EDU");
	ASSERT_EQ(0, session_open_by(&self->session, self->bdf, DRIVER));
	self->fd = self->session.device;
	ASSERT_EQ(0, edu_write(self->fd, EDU_LIVENESS, 0x11));
	ASSERT_EQ(0, factorial(self->fd, 5));
}

FIXTURE_TEARDOWN(edu)
{
	session_close(&self->session);
	EXPECT_EQ(0, pci_bind(self->bdf, NULL));
}

/* ---- features ---- */

/* 6-84, 6-85, 6-87: sizes and operations of all features of migration. */
TEST_F(edu, features)
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
	};
	static const uint32_t operations[] = { GET, SET };
	const uint32_t data[2] = { RUNNING };
	int i, j;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		uint32_t number = features[i].number;

		EXPECT_EQ(0, device_feature(self->fd, PROBE | number, NULL, 0));
		EXPECT_EQ(-EINVAL, device_feature(self->fd, number, data, 8));
		for (j = 0; j < ARRAY_SIZE(operations); j++) {
			uint32_t flags = operations[j] | number;
			bool has = features[i].operations & operations[j];
			long answer = has ? 0 : -EINVAL;

			EXPECT_EQ(answer, device_feature(self->fd, PROBE | flags,
							 NULL, 0));
			EXPECT_EQ(answer, device_feature(self->fd, flags, data, 8));
			if (features[i].size)
				EXPECT_EQ(-EINVAL,
					  device_feature(self->fd, flags, data, 7));
		}
	}
	/* Nobody can see what the device writes to. */
	for (i = VFIO_DEVICE_FEATURE_DMA_LOGGING_START;
	     i <= VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT; i++)
		EXPECT_EQ(-ENOTTY, device_feature(self->fd, PROBE | i, NULL, 0));
}

/* 6-87 */
TEST_F(edu, says_what_it_can)
{
	uint64_t value;

	ASSERT_EQ(0, feature_value(self->fd, VFIO_DEVICE_FEATURE_MIGRATION, &value));
	EXPECT_EQ(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
			  VFIO_MIGRATION_PRE_COPY,
		  value);
	ASSERT_EQ(0, feature_value(self->fd, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &value));
	EXPECT_EQ(IMAGE_SIZE, value);
	EXPECT_EQ(RUNNING, state_of(self->fd));
}

/* 6-87: an answer that cannot be given. */
TEST_F(edu, unreadable)
{
	const uint32_t flags = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	struct vfio_device_feature *head;
	char *pages = memory_new(2 * PAGE_SIZE);

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + PAGE_SIZE, PAGE_SIZE));
	head = (void *)(pages + PAGE_SIZE - sizeof(*head));
	EXPECT_EQ(-EFAULT, feature(self->fd, head, 16, GET | flags));
	EXPECT_EQ(-EFAULT, feature(self->fd, head, 16, SET | flags));
	EXPECT_EQ(-EFAULT, feature(self->fd, head, 16,
				   GET | VFIO_DEVICE_FEATURE_MIGRATION));
	EXPECT_EQ(-EFAULT, feature(self->fd, head, 16,
				   GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE));
	EXPECT_EQ(RUNNING, state_of(self->fd));
	munmap(pages, PAGE_SIZE);
}

/* ---- states ---- */

/* From a state back to where it runs. */
static long go_back(int device, int fd, const uint8_t *image)
{
	if (state_of(device) == RESUMING &&
	    stream_write(fd, image, IMAGE_SIZE) != IMAGE_SIZE)
		return -EIO;
	return change_state(device, RUNNING);
}

/* 6-87: where there is a way, and which of them begin a transfer. */
TEST_F(edu, all_pairs)
{
	static const uint32_t unknown[] = { 8, 9, 255, INT32_MAX, UINT32_MAX };
	uint32_t from, to;
	int i;

	ASSERT_EQ(0, save(self->fd, self->image));
	for (from = STOP; from <= PRE_COPY_P2P; from++) {
		for (to = ERROR; to <= PRE_COPY_P2P; to++) {
			bool blocked = is_blocked(from, to);
			int old = go_to(self->fd, from), new = -1;
			bool is_full = from == RESUMING && to != from && !blocked;

			ASSERT_LE(-1, old);
			ASSERT_EQ(from, state_of(self->fd));
			if (is_full)
				ASSERT_EQ(IMAGE_SIZE, stream_write(old, self->image,
								   IMAGE_SIZE));
			EXPECT_EQ(blocked ? -EINVAL : 0,
				  set_state(self->fd, to, &new)) {
				TH_LOG("%u -> %u", from, to);
			}
			EXPECT_EQ(blocked ? from : to, state_of(self->fd)) {
				TH_LOG("%u -> %u", from, to);
			}
			EXPECT_EQ(begins_transfer(from, to), new >= 0) {
				TH_LOG("%u -> %u", from, to);
			}
			ASSERT_EQ(0, go_back(self->fd, new >= 0 ? new : old,
					     self->image));
			close(old);
			close(new);
		}
		for (i = 0; i < ARRAY_SIZE(unknown); i++) {
			int fd = go_to(self->fd, from), none;

			EXPECT_EQ(-EINVAL, set_state(self->fd, unknown[i], &none));
			EXPECT_EQ(-1, none);
			EXPECT_EQ(from, state_of(self->fd));
			ASSERT_EQ(0, go_back(self->fd, fd, self->image));
			close(fd);
		}
	}
	EXPECT_EQ(0, session_works(&self->session));
}

/* One that runs without DMA to others, or not at all, does none. */
TEST_F(edu, stops_dma)
{
	static const uint32_t states[] = { RUNNING_P2P, STOP, PRE_COPY_P2P };
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		ASSERT_EQ(0, edu_write(self->fd, EDU_DMA_DST, EDU_BUFFER));
		ASSERT_EQ(0, edu_write(self->fd, EDU_DMA_COUNT, 4));
		ASSERT_EQ(0, edu_write(self->fd, EDU_DMA_CMD, EDU_DMA_START));
		ASSERT_EQ(EDU_DMA_START,
			  edu_read(self->fd, EDU_DMA_CMD) & EDU_DMA_START);
		ASSERT_EQ(0, set_state(self->fd, states[i], &fd));
		EXPECT_EQ(0, edu_read(self->fd, EDU_DMA_CMD) & EDU_DMA_START);
		EXPECT_EQ(0, change_state(self->fd, RUNNING));
		close(fd);
	}
}

/* ---- streams ---- */

/* Files of a transfer are for that transfer. */
TEST_F(edu, saving_file)
{
	int fd = transfer_begin(self->fd, STOP_COPY);
	struct vfio_precopy_info info;
	uint8_t byte = 0;

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(-EBADF, stream_write(fd, &byte, 1));
	EXPECT_EQ(-ESPIPE, sys_result(pread(fd, &byte, 1, 0)));
	EXPECT_EQ(-ESPIPE, sys_result(lseek(fd, 0, SEEK_SET)));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(fd, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(-EINVAL, precopy_info(fd, &info));
	EXPECT_EQ(-EFAULT, stream_read(fd, BAD_POINTER, 1));
	/* What could not be read is still there. */
	EXPECT_EQ(IMAGE_SIZE - 1, stream_read(fd, self->image, IMAGE_SIZE - 1));
	EXPECT_EQ(1, stream_read(fd, self->image, IMAGE_SIZE));
	EXPECT_EQ(0, stream_read(fd, self->image, IMAGE_SIZE));
	EXPECT_EQ(0, change_state(self->fd, STOP));
	EXPECT_EQ(-ENODEV, stream_read(fd, self->image, IMAGE_SIZE));
	EXPECT_EQ(0, change_state(self->fd, RUNNING));
	close(fd);
}

TEST_F(edu, resuming_file)
{
	int fd, other;
	struct vfio_precopy_info info;
	uint8_t byte = 0;

	ASSERT_EQ(0, save(self->fd, self->image));
	fd = transfer_begin(self->fd, RESUMING);
	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(-EBADF, stream_read(fd, &byte, 1));
	EXPECT_EQ(-ESPIPE, sys_result(pwrite(fd, &byte, 1, 0)));
	EXPECT_EQ(-ENOTTY, precopy_info(fd, &info));
	EXPECT_EQ(-EFAULT, stream_write(fd, BAD_POINTER, 1));
	EXPECT_EQ(-EINVAL, stream_write(fd, self->image, IMAGE_SIZE + 1));
	EXPECT_EQ(IMAGE_SIZE, stream_write(fd, self->image, IMAGE_SIZE));
	EXPECT_EQ(-EINVAL, stream_write(fd, &byte, 1));
	EXPECT_EQ(0, change_state(self->fd, STOP));
	EXPECT_EQ(-ENODEV, stream_write(fd, &byte, 1));
	/* Nor is it for the next transfer. */
	other = transfer_begin(self->fd, RESUMING);
	ASSERT_LE(0, other);
	EXPECT_EQ(-ENODEV, stream_write(fd, &byte, 1));
	EXPECT_EQ(1, stream_write(other, self->image, 1));
	close(fd);
	close(other);
}

/* 6-88: what can be read while the device runs. */
TEST_F(edu, precopy)
{
	struct vfio_precopy_info info = { .flags = 0xa5a5a5a5 };
	int fd = transfer_begin(self->fd, PRE_COPY);
	uint32_t short_one[2] = { 23 };

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EFAULT, vfio_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, BAD_POINTER));
	memcpy(&info, short_one, sizeof(short_one[0]));
	EXPECT_EQ(-EINVAL, vfio_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(HEADER_SIZE, info.initial_bytes);
	EXPECT_EQ(0, info.dirty_bytes);
	/* Whoever does not know version 2 finds the flags as they were. */
	EXPECT_EQ(0xa5a5a5a5, info.flags);
	EXPECT_EQ(0, device_feature(self->fd, SET |
				    VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
				    NULL, 0));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(5, stream_read(fd, self->image, 5));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(HEADER_SIZE - 5, info.initial_bytes);
	EXPECT_EQ(0, change_state(self->fd, PRE_COPY_P2P));
	EXPECT_EQ(HEADER_SIZE - 5, stream_read(fd, self->image + 5, IMAGE_SIZE));
	ASSERT_EQ(0, precopy_info(fd, &info));
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(-ENOMSG, stream_read(fd, self->image, 1));
	/* The device still runs. */
	EXPECT_EQ(0, factorial(self->fd, 6));
	EXPECT_EQ(0, change_state(self->fd, PRE_COPY));
	EXPECT_EQ(-ENOMSG, stream_read(fd, self->image, 1));
	EXPECT_EQ(0, change_state(self->fd, STOP_COPY));
	EXPECT_EQ(-EINVAL, precopy_info(fd, &info));
	EXPECT_EQ(IMAGE_SIZE - HEADER_SIZE,
		  stream_read(fd, self->image + HEADER_SIZE, IMAGE_SIZE));
	EXPECT_EQ(0, stream_read(fd, self->image, 1));
	close(fd);

	EXPECT_EQ(0, change_state(self->fd, RUNNING));
	EXPECT_EQ(0, factorial(self->fd, 4));
	EXPECT_EQ(0, load(self->fd, self->image, IMAGE_SIZE));
	EXPECT_EQ(720, edu_read(self->fd, EDU_FACTORIAL));
}

/* A stream that was cut, at each of its bytes: an errno, and the device goes on. */
TEST_F(edu, cut_stream)
{
	size_t size;

	ASSERT_EQ(0, save(self->fd, self->image));
	ASSERT_EQ(0, edu_write(self->fd, EDU_LIVENESS, 0x22));
	for (size = 0; size < IMAGE_SIZE; size++) {
		EXPECT_EQ(-EINVAL, load(self->fd, self->image, size));
		EXPECT_EQ(STOP, state_of(self->fd));
		EXPECT_EQ(0, change_state(self->fd, RUNNING));
		EXPECT_EQ(~0x22U, edu_read(self->fd, EDU_LIVENESS));
	}
	EXPECT_EQ(0, session_works(&self->session));
	EXPECT_EQ(0, load(self->fd, self->image, IMAGE_SIZE));
	EXPECT_EQ(~0x11U, edu_read(self->fd, EDU_LIVENESS));
}

/* A stream that is not of such a device: each byte of the header, and no factorial. */
TEST_F(edu, wrong_stream)
{
	int i;

	ASSERT_EQ(0, save(self->fd, self->image));
	ASSERT_EQ(0, edu_write(self->fd, EDU_LIVENESS, 0x22));
	for (i = 0; i <= HEADER_SIZE; i++) {
		int place = i < HEADER_SIZE ? i : FACTORIAL_PLACE;

		self->image[place] ^= 0x40;
		EXPECT_EQ(-EINVAL, load(self->fd, self->image, IMAGE_SIZE));
		EXPECT_EQ(STOP, state_of(self->fd));
		EXPECT_EQ(~0x22U, edu_read(self->fd, EDU_LIVENESS));
		EXPECT_EQ(0, change_state(self->fd, RUNNING));
		self->image[place] ^= 0x40;
	}
	EXPECT_EQ(0, load(self->fd, self->image, IMAGE_SIZE));
}

/* The device fails in the middle: only closing or resetting it helps. */
TEST_F(edu, error)
{
	uint32_t to;
	int fd;

	ASSERT_EQ(0, save(self->fd, self->image));
	fd = transfer_begin(self->fd, RESUMING);
	ASSERT_LE(0, fd);
	ASSERT_EQ(IMAGE_SIZE, stream_write(fd, self->image, IMAGE_SIZE));
	ASSERT_EQ(0, memory_enable(self->fd, false));
	EXPECT_EQ(-EIO, change_state(self->fd, RUNNING));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(ERROR, state_of(self->fd));
	EXPECT_EQ(-ENODEV, stream_write(fd, self->image, 1));
	for (to = ERROR; to <= PRE_COPY_P2P; to++)
		EXPECT_EQ(-EINVAL, change_state(self->fd, to));
	EXPECT_EQ(ERROR, state_of(self->fd));
	close(fd);
	session_close(&self->session);
	ASSERT_EQ(0, session_open(&self->session, self->bdf,
				  VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(RUNNING, state_of(self->session.device));
}

/* ---- the end of a user ---- */

static void user(const char *bdf, uint32_t state, int ready)
{
	struct vfio_session session;
	int ret = session_open(&session, bdf, VFIO_TYPE1v2_IOMMU);

	stay_in_state(ret ?: session.device, state, ready);
}

/* The next user finds a device that runs. */
TEST_F(edu, killed_in_each_state)
{
	uint32_t state;

	session_close(&self->session);
	for (state = STOP; state <= PRE_COPY_P2P; state++) {
		char done = 0;
		int ready[2];
		pid_t pid;

		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		if (!pid)
			user(self->bdf, state, ready[1]);
		EXPECT_EQ(1, read(ready[0], &done, 1));
		EXPECT_EQ('y', done);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(-SIGKILL, child_result(pid));
		ASSERT_EQ(0, session_open(&self->session, self->bdf,
					  VFIO_TYPE1v2_IOMMU));
		EXPECT_EQ(RUNNING, state_of(self->session.device));
		EXPECT_EQ(0, session_works(&self->session));
		session_close(&self->session);
		close(ready[0]);
		close(ready[1]);
	}
}

/* 10-24: the driver goes once the device is closed; the file of the transfer stays. */
TEST_F(edu, unbound_in_each_state)
{
	uint32_t state;

	for (state = STOP; state <= PRE_COPY_P2P; state++) {
		int device = self->session.device, fd = go_to(device, state);
		int request = event_new();
		uint8_t byte = 0;
		pid_t pid;

		ASSERT_LE(-1, fd);
		ASSERT_EQ(0, irq_eventfd(device, VFIO_PCI_REQ_IRQ_INDEX, 0, request));
		pid = fork();
		if (!pid) {
			session_close(&self->session);
			_exit(pci_bind(self->bdf, NULL) != 0);
		}
		EXPECT_LT(0, event_wait(request, 10000));
		EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
		EXPECT_EQ(state, state_of(device));
		session_close(&self->session);
		EXPECT_EQ(0, child_result(pid));
		if (is_saving(state))
			EXPECT_EQ(-ENODEV, stream_read(fd, &byte, 1));
		if (state == RESUMING)
			EXPECT_EQ(-ENODEV, stream_write(fd, &byte, 1));
		/* The file keeps the module of the driver. */
		if (fd >= 0)
			EXPECT_EQ(-EAGAIN, module_unload("vfio_pci_edu"));
		close(fd);
		close(request);
		ASSERT_EQ(0, session_open_by(&self->session, self->bdf, DRIVER));
		EXPECT_EQ(RUNNING, state_of(self->session.device));
	}
}

/* ---- from one device to the other ---- */

FIXTURE(pair)
{
	const char *bdf[2];
	struct vfio_session session[2];
	int from;
	int to;
	uint8_t image[IMAGE_SIZE];
};

FIXTURE_SETUP(pair)
{
	static const char *const names[] = { "EDU", "SHARED_EDU" };
	int i;

	NEED_SAMPLES();
	for (i = 0; i < 2; i++)
		NEED_DEVICE(self->bdf[i], names[i]);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, session_open_by(&self->session[i], self->bdf[i], DRIVER));
		ASSERT_EQ(0, edu_irq_begin(self->session[i].device));
	}
	self->from = self->session[0].device;
	self->to = self->session[1].device;
}

FIXTURE_TEARDOWN(pair)
{
	int i;

	for (i = 0; i < 2; i++) {
		edu_write(self->session[i].device, EDU_STATUS, 0);
		edu_write(self->session[i].device, EDU_IRQ_ACK, UINT32_MAX);
		session_close(&self->session[i]);
		EXPECT_EQ(0, pci_bind(self->bdf[i], NULL));
	}
}

static const unsigned int registers[] = {
	EDU_ID, EDU_LIVENESS, EDU_FACTORIAL, EDU_STATUS, EDU_IRQ_STATUS,
	EDU_DMA_SRC, EDU_DMA_DST, EDU_DMA_COUNT,
};

static long with_msi(int device, int event)
{
	return irq_eventfds(device, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &event);
}

/* The state arrives, byte by byte, and with it an interrupt that was pending. */
TEST_F(pair, state_arrives)
{
	int event[2] = { event_new(), event_new() };
	long values[ARRAY_SIZE(registers)];
	int i, in, out;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, with_msi(self->session[i].device, event[i]));
	ASSERT_EQ(0, edu_write(self->from, EDU_LIVENESS, 0x12345678));
	ASSERT_EQ(0, factorial(self->from, 12));
	ASSERT_EQ(0, edu_write(self->from, EDU_STATUS, EDU_IRQ_FACT));
	ASSERT_EQ(0, edu_write(self->from, EDU_DMA_SRC, 0x1111));
	ASSERT_EQ(0, edu_write(self->from, EDU_DMA_DST, 0x2222));
	ASSERT_EQ(0, edu_write(self->from, EDU_DMA_COUNT, 0x33));
	ASSERT_EQ(0, edu_write(self->from, EDU_IRQ_RAISE, 0x50));
	EXPECT_EQ(1, event_wait(event[0], 10000));
	for (i = 0; i < ARRAY_SIZE(registers); i++)
		values[i] = edu_read(self->from, registers[i]);
	/* Something else is there before. */
	ASSERT_EQ(0, factorial(self->to, 3));
	ASSERT_EQ(0, edu_write(self->to, EDU_LIVENESS, 1));

	out = transfer_begin(self->from, PRE_COPY);
	in = transfer_begin(self->to, RESUMING);
	ASSERT_LE(0, out);
	ASSERT_LE(0, in);
	for (i = 0; i < IMAGE_SIZE; i++) {
		uint8_t byte;

		if (i == HEADER_SIZE) {
			EXPECT_EQ(-ENOMSG, stream_read(out, &byte, 1));
			ASSERT_EQ(0, change_state(self->from, STOP_COPY));
		}
		ASSERT_EQ(1, stream_read(out, &byte, 1));
		ASSERT_EQ(1, stream_write(in, &byte, 1));
	}
	ASSERT_EQ(0, change_state(self->to, STOP));
	EXPECT_EQ(-EAGAIN, event_take(event[1]));
	ASSERT_EQ(0, change_state(self->to, RUNNING));
	EXPECT_EQ(1, event_wait(event[1], 10000));
	for (i = 0; i < ARRAY_SIZE(registers); i++)
		EXPECT_EQ(values[i], edu_read(self->to, registers[i])) {
			TH_LOG("register %#x", registers[i]);
		}
	EXPECT_EQ(0, session_works(&self->session[1]));
	close(in);
	close(out);
}

/* A device that was not started in between passes on what it was given. */
TEST_F(pair, state_goes_on)
{
	uint8_t second[IMAGE_SIZE];
	int fd;

	ASSERT_EQ(0, edu_write(self->from, EDU_LIVENESS, 0x77));
	fd = transfer_begin(self->from, STOP_COPY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(IMAGE_SIZE, stream_read(fd, self->image, IMAGE_SIZE));
	close(fd);
	/* An interrupt, which none of the devices raises. */
	self->image[24] = 4;
	ASSERT_EQ(0, load(self->to, self->image, IMAGE_SIZE));
	fd = transfer_begin(self->to, STOP_COPY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(IMAGE_SIZE, stream_read(fd, second, IMAGE_SIZE));
	close(fd);
	EXPECT_EQ(0, memcmp(self->image, second, IMAGE_SIZE));
	EXPECT_EQ(0, edu_read(self->to, EDU_IRQ_STATUS));
}

/* 6-61: a reset brings it back to where it runs, in each state. */
TEST_F(pair, reset_in_each_state)
{
	const char *sibling;
	uint32_t state;

	NEED_DEVICE(sibling, "SHARED_TESTDEV");
	ASSERT_EQ(0, pci_bind(sibling, "vfio-pci"));
	for (state = STOP; state <= PRE_COPY_P2P; state++) {
		int fd = go_to(self->to, state);
		uint8_t byte = 0;

		ASSERT_LE(-1, fd);
		ASSERT_EQ(0, hot_reset(self->to, self->session[1].group));
		EXPECT_EQ(RUNNING, state_of(self->to));
		if (is_saving(state))
			EXPECT_EQ(-ENODEV, stream_read(fd, &byte, 1));
		if (state == RESUMING)
			EXPECT_EQ(-ENODEV, stream_write(fd, &byte, 1));
		EXPECT_EQ(EDU_ID_VALUE, edu_read(self->to, EDU_ID));
		close(fd);
	}
	EXPECT_EQ(0, pci_bind(sibling, NULL));
}

/* 6-61: who resets the device, and who changes its state, do not wait for each other. */
TEST_F(pair, reset_meanwhile)
{
	struct mover movers[MOVERS];
	const char *sibling;
	int i;

	NEED_DEVICE(sibling, "SHARED_TESTDEV");
	ASSERT_EQ(0, pci_bind(sibling, "vfio-pci"));
	/* EIO: the device has no memory while it is reset. */
	ASSERT_EQ(0, movers_begin(movers, self->to, -EIO));
	for (i = 0; i < 20; i++) {
		long ret = hot_reset(self->to, self->session[1].group);

		EXPECT_TRUE(ret == 0 || ret == -EAGAIN);
	}
	EXPECT_EQ(0, movers_end(movers));
	ASSERT_EQ(0, hot_reset(self->to, self->session[1].group));
	EXPECT_EQ(RUNNING, state_of(self->to));
	EXPECT_EQ(0, session_works(&self->session[1]));
	EXPECT_EQ(0, pci_bind(sibling, NULL));
}

SAMPLES_TEST_MAIN("vfio_pci_edu")
