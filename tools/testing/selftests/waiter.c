// SPDX-License-Identifier: GPL-2.0
/* Processes that do one thing; see waiter.h. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "waiter.h"

/* What a process may take to be started in earnest. */
#define START_LIMIT_MS	60000

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

/* Does it sleep in this system call? */
static bool sleeps_in(pid_t pid, long call)
{
	char path[40];
	long number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	file = fopen(path, "r");
	if (!file)
		return false;
	/* "running", if it does not sleep. */
	if (fscanf(file, "%ld", &number) != 1)
		number = -1;
	fclose(file);
	return number == call;
}

/*
 * Does it come to a system call in which it sleeps for longer than @while_ms? On a busy host it
 * may be long before it gets there, and may run again for a moment.
 */
bool waiter_waits_in(pid_t pid, long call, unsigned int while_ms)
{
	const uint64_t end = milliseconds() + START_LIMIT_MS;
	int status;

	do {
		while (!sleeps_in(pid, call))
			if (waiter_ends(pid, 1, &status) || milliseconds() >= end)
				return false;
		if (waiter_ends(pid, while_ms, &status))
			return false;
		if (sleeps_in(pid, call))
			return true;
	} while (milliseconds() < end);
	return false;
}

/* The same for an ioctl. */
bool waiter_waits(pid_t pid, unsigned int while_ms)
{
	return waiter_waits_in(pid, __NR_ioctl, while_ms);
}

/* Kills it, and tells whether it was that, within the time, that ended it. */
bool waiter_dies(pid_t pid, unsigned int limit_ms)
{
	int status = 0;

	kill(pid, SIGKILL);
	return waiter_ends(pid, limit_ms, &status) && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}
