/* SPDX-License-Identifier: GPL-2.0 */
/* Processes that do one thing, which may take long, and can or cannot be killed. */
#ifndef WAITER_H
#define WAITER_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

/* Ends a process that is no test itself. KSFT_FAIL is from kselftest.h. */
#define REQUIRE(condition)						\
	do {								\
		if (!(condition)) {					\
			printf("# %s:%d: not so: %s (errno %d)\n",	\
			       __FILE__, __LINE__, #condition, errno);	\
			fflush(stdout);					\
			_exit(KSFT_FAIL);				\
		}							\
	} while (0)

uint64_t milliseconds(void);
pid_t waiter_start(long (*action)(void *data), void *data);
bool waiter_ends(pid_t pid, unsigned int limit_ms, int *status);
bool waiter_waits_in(pid_t pid, long call, unsigned int while_ms);
bool waiter_waits(pid_t pid, unsigned int while_ms);
bool waiter_dies(pid_t pid, unsigned int limit_ms);

#endif
