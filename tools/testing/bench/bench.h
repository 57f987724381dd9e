/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What operations of a VFIO stack cost. Where QEMU counts instructions the guest's
 * clock is their number, in nanoseconds.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vfio_fixture.h"

/* Devices that stay open while the operations run. */
struct bench {
	struct vfio_session edu;
	struct vfio_session ivshmem;
	struct vfio_session testdev;
	struct vfio_session nvme;
	/* How much of what is mapped, of the operation that runs. */
	size_t size;
};

struct operation {
	/* What it is called in the file with limits. */
	const char *id;
	/* What it is called in the table. */
	const char *name;
	/*
	 * Does it, and returns how long the part took that counts, or a negative
	 * errno. What comes before and after does not count.
	 */
	long (*run)(struct bench *bench);
	/* How many of what the name says one run does. */
	unsigned long items;
	/* The least of that many runs is what it costs. */
	unsigned int runs;
	/* Whether it takes too long for a short look. */
	bool slow;
	/* How much it maps, of operations that differ in that only. */
	size_t size;
};

extern const struct operation access_operations[];
extern const struct operation memory_operations[];
extern const struct operation map_operations[];
extern const struct operation interrupt_operations[];
extern const struct operation life_operations[];
extern const struct operation grow_operations[];

long dma_map(int container, void *address, uint64_t iova, uint64_t size);
long dma_unmap(int container, uint64_t iova, uint64_t size, uint32_t flags);
char *small_pages_new(size_t size, bool scattered);
/* Switches memory on or off by the Command Register; how long the write took. */
long memory_set(int device, bool on);

static inline long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

/* The result of a system call of the C library as a negative errno. */
static inline long checked(long ret)
{
	return ret < 0 ? -errno : ret;
}

/*
 * How long it takes to evaluate @call @times times, or the first negative value
 * that it has.
 */
#define TIMED(times, call)						\
({									\
	long _begin = now(), _ret = 0;					\
	unsigned long _i;						\
									\
	for (_i = 0; _i < (times) && _ret >= 0; _i++)			\
		_ret = (call);						\
	_ret < 0 ? _ret : now() - _begin;				\
})

/* Leaves a function that returns a long where @call has a negative value. */
#define TRY(call)							\
do {									\
	long _ret = (call);						\
									\
	if (_ret < 0)							\
		return _ret;						\
} while (0)

#endif
