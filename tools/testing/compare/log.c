// SPDX-License-Identifier: GPL-2.0
/*
 * The log: one line per operation, "SESSION.NUMBER OPERATION = RESULT". What is
 * before the equals sign follows from the seed alone.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>

#include "compare.h"

/* Where there are more than twice as many, the others are logged as a hash. */
#define BYTES_SHOWN	24

void log_text(struct run *run, bool begin, const char *format, ...)
{
	va_list arguments;

	if (begin)
		fprintf(run->log, "%lu.%lu ", run->session, run->number++);
	va_start(arguments, format);
	vfprintf(run->log, format, arguments);
	va_end(arguments);
}

static void log_errno(struct run *run, long ret)
{
	const char *name = strerrorname_np(-ret);

	/* ENOTSUPP has no name, and reaches userspace all the same. */
	if (name)
		fprintf(run->log, " = -%s", name);
	else
		fprintf(run->log, " = %ld", ret);
}

void log_result(struct run *run, long ret)
{
	if (ret < 0)
		log_errno(run, ret);
	else
		fprintf(run->log, " = %ld", ret);
}

/* The number of a file says nothing about the stack. */
void log_fd(struct run *run, long fd)
{
	if (fd < 0)
		log_errno(run, fd);
	else
		fputs(" = file", run->log);
}

void log_all_bytes(struct run *run, const void *buf, size_t size)
{
	const unsigned char *bytes = buf;
	size_t i;

	fputc(' ', run->log);
	for (i = 0; i < size; i++)
		fprintf(run->log, "%02x", bytes[i]);
}

void log_bytes(struct run *run, const void *buf, size_t size)
{
	const unsigned char *bytes = buf;
	uint64_t hash = 0xcbf29ce484222325;
	size_t i;

	if (size <= 2 * BYTES_SHOWN)
		return log_all_bytes(run, buf, size);
	if (!memcmp(bytes, bytes + 1, size - 1)) {
		log_more(run, " %02x*%zu", bytes[0], size);
		return;
	}
	log_all_bytes(run, buf, BYTES_SHOWN);
	for (i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	fprintf(run->log, "..%016llx", (unsigned long long)hash);
}

/* What the rules for known differences need to know of the device. */
void log_layout(FILE *log, const struct layout *layout)
{
	unsigned int i;

	fprintf(log, "layout");
	for (i = 0; i < layout->nr_caps; i++)
		fprintf(log, " %s%x:%x", layout->caps[i].extended ? "x" : "",
			layout->caps[i].id, layout->caps[i].offset);
	fputc('\n', log);
}

/* What was signalled meanwhile belongs to the operation that ends here. */
void log_end(struct run *run)
{
	struct epoll_event ready[EVENTS];
	int count = epoll_wait(run->epoll, ready, EVENTS, 0);
	unsigned int mask = 0;
	unsigned int event;
	int i;

	for (i = 0; i < count; i++)
		mask |= 1U << ready[i].data.u32;
	for (event = 0; event < EVENTS; event++) {
		if (mask & 1U << event)
			fprintf(run->log, " event%u:%ld", event,
				event_take(run->events[event]));
	}
	fputc('\n', run->log);
}
