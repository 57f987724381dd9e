/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory whose pages come when a test says so: whoever touches one first waits
 * in a page fault until then. It is a private mapping of a file that a process of
 * its own serves, by FUSE.
 *
 * The fault may hold the mmap lock for reading while it waits: so what touches the
 * memory is best a process of its own, too.
 */
#ifndef SLOW_MEMORY_H
#define SLOW_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct slow_memory {
	size_t size;
	pid_t server;
	int asked;
	int released;
	char path[32];
};

int slow_memory_new(struct slow_memory *slow, size_t size);
void *slow_memory_map(const struct slow_memory *slow);
bool slow_memory_is_awaited(const struct slow_memory *slow, int milliseconds);
void slow_memory_release(struct slow_memory *slow);
void slow_memory_end(struct slow_memory *slow);

#endif
