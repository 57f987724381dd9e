// SPDX-License-Identifier: GPL-2.0
/* Interrupts of a device, and eventfds; see vfio_fixture.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vfio_fixture.h"

long irq_set(int device, uint32_t index, uint32_t flags, uint32_t start,
	     uint32_t count, const void *data, size_t size)
{
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + size);
	long ret;

	if (!set)
		return -ENOMEM;
	set->argsz = sizeof(*set) + size;
	set->flags = flags;
	set->index = index;
	set->start = start;
	set->count = count;
	if (size)
		memcpy(set->data, data, size);
	ret = vfio_ioctl(device, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return ret;
}

long irq_eventfd(int device, uint32_t index, uint32_t start, int fd)
{
	int32_t data = fd;

	return irq_set(device, index,
		       VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		       start, 1, &data, sizeof(data));
}

/* Consecutive vectors, from @start on. */
long irq_eventfds(int device, uint32_t index, uint32_t start, uint32_t count,
		  const int *fds)
{
	return irq_set(device, index,
		       VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		       start, count, fds, count * sizeof(*fds));
}

long irq_disable(int device, uint32_t index)
{
	return irq_set(device, index,
		       VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		       0, 0, NULL, 0);
}

int event_new(void)
{
	return sys_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* The count of @fd, which becomes zero; -EAGAIN if it was not signalled. */
long event_take(int fd)
{
	uint64_t count;
	long ret = sys_result(read(fd, &count, sizeof(count)));

	return ret < 0 ? ret : (long)count;
}

/* Which of @fds were signalled once, one bit each; none of them is any more. */
unsigned int events_take(const int *fds, unsigned int count)
{
	unsigned int bits = 0;
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (event_take(fds[i]) == 1)
			bits |= 1U << i;
	}
	return bits;
}

long event_wait(int fd, int milliseconds)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	int ret;

	do {
		ret = poll(&poller, 1, milliseconds);
	} while (ret < 0 && errno == EINTR);
	if (ret <= 0)
		return ret ? -errno : -ETIMEDOUT;
	return event_take(fd);
}

long event_signal(int fd)
{
	uint64_t one = 1;
	long ret = sys_result(write(fd, &one, sizeof(one)));

	return ret < 0 ? ret : 0;
}

long irq_none(int device, uint32_t index, uint32_t action, uint32_t start,
	      uint32_t count)
{
	return irq_set(device, index, VFIO_IRQ_SET_DATA_NONE | action, start,
		       count, NULL, 0);
}

long irq_bool(int device, uint32_t index, uint32_t action, uint32_t start,
	      uint8_t value)
{
	return irq_set(device, index, VFIO_IRQ_SET_DATA_BOOL | action, start, 1,
		       &value, sizeof(value));
}

long irq_fd(int device, uint32_t index, uint32_t action, int32_t fd)
{
	return irq_set(device, index, VFIO_IRQ_SET_DATA_EVENTFD | action, 0, 1,
		       &fd, sizeof(fd));
}

/* Whether /proc/interrupts has the name that @format makes of @bdf. */
bool irq_listed(const char *format, const char *bdf)
{
	static char text[65536];
	char name[64];
	long size = 0;
	long ret;
	int fd = open("/proc/interrupts", O_RDONLY);

	if (fd < 0)
		return false;
	while ((ret = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += ret;
	close(fd);
	text[size] = '\0';
	snprintf(name, sizeof(name), format, bdf);
	return strstr(text, name);
}
