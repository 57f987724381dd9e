// SPDX-License-Identifier: GPL-2.0
/* Processes that do one thing; see waiter.h. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "waiter.h"

uint64_t milliseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000ULL + time.tv_nsec / 1000000;
}

/* The process exits with 0 if @action returns 0, and else with 1. */
pid_t waiter_start(long (*action)(void *data), void *data)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Its cleanups are not ours to run. */
	_exit(!!action(data));
}

/* Has it ended within the time? Then @status is as waitpid() tells. */
bool waiter_ends(pid_t pid, unsigned int limit_ms, int *status)
{
	const uint64_t end = milliseconds() + limit_ms;

	while (waitpid(pid, status, WNOHANG) == 0) {
		if (milliseconds() >= end)
			return false;
		usleep(5000);
	}
	return true;
}

/* Kills it, and tells whether it was that, within the time, that ended it. */
bool waiter_dies(pid_t pid, unsigned int limit_ms)
{
	int status = 0;

	kill(pid, SIGKILL);
	return waiter_ends(pid, limit_ms, &status) && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}
