/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Threads that do something again and again, beside each other, and what they find. It
 * comes after kselftest_harness.h.
 */
#ifndef WORKERS_H
#define WORKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#define WORKERS_US	700000

struct worker {
	void (*round)(struct worker *worker);
	/* For the rounds. */
	unsigned long number;
	unsigned long updates;

	pthread_t thread;
	unsigned long rounds;
	/* Where something was not so at first. */
	int line;
};

static volatile bool workers_end;

#define CHECK(worker, condition)					\
	do {								\
		if (!(condition) && !(worker)->line)			\
			(worker)->line = __LINE__;			\
	} while (0)

static inline void *worker_run(void *data)
{
	struct worker *worker = data;

	for (; !workers_end; worker->rounds++)
		worker->round(worker);
	return NULL;
}

/* Has @count of them work for a while; all must have done something, without a fault. */
static inline void workers_work(struct __test_metadata *_metadata,
				struct worker *workers, size_t count)
{
	size_t i;

	workers_end = false;
	for (i = 0; i < count; i++) {
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, worker_run,
					    &workers[i]));
	}
	usleep(WORKERS_US);
	workers_end = true;
	for (i = 0; i < count; i++) {
		ASSERT_EQ(0, pthread_join(workers[i].thread, NULL));
		EXPECT_EQ(0, workers[i].line) {
			TH_LOG("worker %zu", i);
		}
		EXPECT_LT(0, workers[i].rounds);
	}
}

#endif
