/* SPDX-License-Identifier: GPL-2.0 */
/* The user interface of the sample module vfio_release_watch. */
#ifndef VFIO_RELEASE_WATCH_H
#define VFIO_RELEASE_WATCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define RELEASE_WATCH_PATH	"/dev/vfio-release-watch"

/* What read() returns, and poll() waits for. Times are of CLOCK_MONOTONIC. */
struct release_watch_calls {
	__u64 count;
	__u64 last_began_ns;
	__u64 last_ended_ns;
};

/*
 * Looks up the device whose memory is mapped at an address of this process, and
 * keeps a reference to it in place of that to an earlier one. ENOENT: it is no
 * memory of a device. EBUSY: the notifier is registered.
 */
#define RELEASE_WATCH_LOOK_UP	_IO('W', 0)
/*
 * Registers a notifier with that device, which takes as many milliseconds as the
 * argument says. ENOENT: there is no device. ENODEV: it is being released, or has
 * been. EBUSY: the notifier is registered. EINVAL: more than 10 seconds.
 */
#define RELEASE_WATCH_REGISTER	_IO('W', 1)
/* Unregisters the notifier, if it is registered; waits for a call in flight. */
#define RELEASE_WATCH_UNREGISTER _IO('W', 2)
/*
 * Keeps a reference to the device that another watch has, whose file descriptor
 * the argument is. EBADF: it is none. EINVAL: it is not one of a watch. ENOENT:
 * that has no device. EBUSY: the notifier is registered.
 */
#define RELEASE_WATCH_SHARE	_IO('W', 3)
/*
 * Has the eventfd that the argument is signalled when the device is released, once,
 * whatever becomes of the watch until then. EBADF, EINVAL: it is none. ENOENT: there
 * is no device. ENODEV: it is being released, or has been.
 */
#define RELEASE_WATCH_SIGNAL	_IO('W', 4)

#endif
