/* SPDX-License-Identifier: GPL-2.0 */
/* Features of a device that has migration, and the files of its transfers. */
#ifndef MIGRATION_H
#define MIGRATION_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/vfio.h>

#define GET		VFIO_DEVICE_FEATURE_GET
#define SET		VFIO_DEVICE_FEATURE_SET
#define PROBE		VFIO_DEVICE_FEATURE_PROBE

#define ERROR		VFIO_DEVICE_STATE_ERROR
#define STOP		VFIO_DEVICE_STATE_STOP
#define RUNNING		VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY	VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING	VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P	VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY	VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P	VFIO_DEVICE_STATE_PRE_COPY_P2P

static inline bool is_saving(uint32_t state)
{
	return state == STOP_COPY || state == PRE_COPY || state == PRE_COPY_P2P;
}

/* Is there no way from @from, a state that a user can set, to @to, with pre-copy? */
static inline bool is_blocked(uint32_t from, uint32_t to)
{
	return to == ERROR || (from == STOP_COPY && is_saving(to) && to != from);
}

/* Does that way begin a transfer? */
static inline bool begins_transfer(uint32_t from, uint32_t to)
{
	return to != from && !is_blocked(from, to) &&
	       (to == RESUMING || (is_saving(to) && !is_saving(from)));
}

long feature(int device, void *request, size_t size, uint32_t flags);
/* The value of a feature that is one number. */
long feature_value(int device, uint32_t number, uint64_t *value);

long state_of(int device);
long set_state(int device, uint32_t state, int *fd);
long change_state(int device, uint32_t state);
int transfer_begin(int device, uint32_t state);
int go_to(int device, uint32_t state);
/* Has the device in a state, says so, and stays until it is killed. */
void stay_in_state(int device, uint32_t state, int ready);

/* A thread that changes the state of a device all the time. */
struct mover {
	pthread_t thread;
	int device;
	bool done;
	/* An answer that is as good as EINVAL, which says that a reset was faster. */
	long excused;
	/* The first one that is not. */
	long wrong;
};

/* Two of them; 0 or a positive errno. */
#define MOVERS		2
int movers_begin(struct mover *movers, int device, long excused);
/* Ends them, and returns the first answer that was wrong. */
long movers_end(struct mover *movers);

long precopy_info(int fd, struct vfio_precopy_info *info);
long stream_read(int fd, void *bytes, size_t size);
long stream_write(int fd, const void *bytes, size_t size);

#endif
