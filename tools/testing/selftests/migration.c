// SPDX-License-Identifier: GPL-2.0
/* Migration of a device; see migration.h. */
#include <errno.h>
#include <unistd.h>

#include "migration.h"
#include "vfio_fixture.h"

struct feature_state {
	struct vfio_device_feature head;
	struct vfio_device_feature_mig_state state;
};

long feature(int device, void *request, size_t size, uint32_t flags)
{
	struct vfio_device_feature *head = request;

	head->argsz = size;
	head->flags = flags;
	return vfio_ioctl(device, VFIO_DEVICE_FEATURE, request);
}

long feature_value(int device, uint32_t number, uint64_t *value)
{
	struct {
		struct vfio_device_feature head;
		uint64_t value;
	} request = { .value = 0 };
	long ret = feature(device, &request, sizeof(request), GET | number);

	*value = request.value;
	return ret;
}

long state_of(int device)
{
	struct feature_state request = { .state.data_fd = 123 };
	long ret = feature(device, &request, sizeof(request),
			   GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE);

	if (ret)
		return ret;
	return request.state.data_fd == -1 ? (long)request.state.device_state
					   : -EIO;
}

/* -1 in @fd if there is none, also after an error. */
long set_state(int device, uint32_t state, int *fd)
{
	struct feature_state request = {
		.state = { .device_state = state, .data_fd = 123 },
	};
	long ret = feature(device, &request, sizeof(request),
			   SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE);

	*fd = request.state.data_fd;
	return ret;
}

/* Sets a state that begins no transfer. */
long change_state(int device, uint32_t state)
{
	int fd;
	long ret = set_state(device, state, &fd);

	if (ret || fd == -1)
		return ret;
	close(fd);
	return -EIO;
}

int transfer_begin(int device, uint32_t state)
{
	int fd;
	long ret = set_state(device, state, &fd);

	return ret ? ret : fd;
}

/* Brings a device that runs to a state; the file of the transfer, or -1; -2 if it fails. */
int go_to(int device, uint32_t state)
{
	int fd = -1;

	if (set_state(device, state, &fd))
		return -2;
	return fd;
}

static void *move_often(void *data)
{
	static const uint32_t states[] = { STOP_COPY, RESUMING, PRE_COPY, RUNNING };
	struct mover *mover = data;
	unsigned int i;

	for (i = 0; !__atomic_load_n(&mover->done, __ATOMIC_RELAXED); i++) {
		int fd = -1;
		long ret = set_state(mover->device, states[i % 4], &fd);

		if (ret && ret != -EINVAL && ret != mover->excused && !mover->wrong)
			mover->wrong = ret;
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static long mover_end(struct mover *mover)
{
	__atomic_store_n(&mover->done, true, __ATOMIC_RELAXED);
	pthread_join(mover->thread, NULL);
	return mover->wrong;
}

int movers_begin(struct mover *movers, int device, long excused)
{
	int i, ret;

	for (i = 0; i < MOVERS; i++) {
		movers[i] = (struct mover){ .device = device, .excused = excused };
		ret = pthread_create(&movers[i].thread, NULL, move_often, &movers[i]);
		if (ret) {
			while (i-- > 0)
				mover_end(&movers[i]);
			return ret;
		}
	}
	return 0;
}

long movers_end(struct mover *movers)
{
	long wrong = 0;
	int i;

	for (i = 0; i < MOVERS; i++) {
		long ret = mover_end(&movers[i]);

		wrong = wrong ?: ret;
	}
	return wrong;
}

long precopy_info(int fd, struct vfio_precopy_info *info)
{
	info->argsz = sizeof(*info);
	return vfio_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, info);
}

/* The compiler knows some of the pointers to be bad. */
__attribute__((noipa)) long stream_read(int fd, void *bytes, size_t size)
{
	return sys_result(read(fd, bytes, size));
}

__attribute__((noipa)) long stream_write(int fd, const void *bytes, size_t size)
{
	return sys_result(write(fd, bytes, size));
}

/* @device may be a negative errno; @ready gets y, or n. */
void stay_in_state(int device, uint32_t state, int ready)
{
	char done = 'n';
	int fd;

	if (device >= 0 && !set_state(device, state, &fd))
		done = 'y';
	if (write(ready, &done, 1) != 1)
		_exit(1);
	for (;;)
		pause();
}
