/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What interleave_test is made of: the stage, which is what two processes share and
 * the containers that they have, and the actors on it.
 */
#ifndef INTERLEAVE_H
#define INTERLEAVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vfio_fixture.h"

#define BAR		2
#define BAR_SIZE	(64UL << 20)

/* An actor's part of its process's memory: two huge pages. */
#define AREA_PAGES	1024
#define AREA_SIZE	(AREA_PAGES * PAGE_SIZE)
#define HUGE_PAGES	512

#define ACTORS		5

/* In one of so many rounds a container is closed on purpose. */
#define RENEWAL		8

/* Of the process that runs the test, and of its child. */
enum { PARENT, CHILD, PROCESSES };

/* What an actor is: which process it belongs to, and the containers that it uses. */
struct role {
	int process;
	/* First and number. */
	int container, containers;
};

extern const struct role casting[ACTORS];

#define CONTAINERS	3

/* Container 1 is that of the device whose memory is mapped. */
#define OWN		1

extern const char *const members[CONTAINERS];
extern const int keepers[CONTAINERS];

struct container {
	struct vfio_session session;
	/* For writing while the container is closed and made anew. */
	pthread_rwlock_t lock;
	uint64_t mapped;
	uint64_t unmapped;
};

/* What both processes share. */
struct stage {
	pthread_barrier_t barrier;
	long round;
	uint64_t seed;
	bool over;
	atomic_bool failed;
	char error[256];
	/* Memory has been disabled in this round, so mapping it may be refused. */
	atomic_bool disabled;
	/* What keeps the device open: its files, and the areas that map it. */
	atomic_long holders;
	/* The last of them is letting go, or has. */
	atomic_long releasing, releases;
	/* What has happened, so that it can be seen that something has. */
	atomic_long maps, taken, faults, opens, renewals, overlaps, reached;
};

extern struct stage *stage;
extern struct container containers[CONTAINERS];
extern int iommu_type;
/* A file of the group of the device, which both processes have. */
extern int device_group;
extern const char *device_bdf;
extern uint64_t bar_address;
/* The areas of this process's actors. */
extern char *areas[ACTORS];

/* What goes wrong first ends the test. */
#define fail(...)							\
	do {								\
		if (!atomic_exchange(&stage->failed, true))		\
			snprintf(stage->error, sizeof(stage->error),	\
				 __VA_ARGS__);				\
	} while (0)

void container_make(int index);
void containers_make(int process);
void containers_close(int process);
void check_process(int process);

/* A thread, with its part of its process's memory. */
struct actor {
	int index;
	uint64_t random;
	int device;
	char *area;
	/* Which pages of the area are the device's. */
	unsigned int first, pages;
};

void area_clear(struct actor *actor);
void act(struct actor *actor);

#endif
