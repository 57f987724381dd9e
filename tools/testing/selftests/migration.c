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
