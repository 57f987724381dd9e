// SPDX-License-Identifier: GPL-2.0
/* See fault_injection.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fault_injection.h"
#include "vfio_fixture.h"

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_PAGE	"/sys/kernel/debug/fail_page_alloc/"

/* Of the thread that has called injection_ready(). */
static int fail_nth = -1;

bool injection_ready(void)
{
	if (file_write(FAILSLAB "ignore-gfp-wait", "N") ||
	    file_write(FAIL_PAGE "ignore-gfp-wait", "N") ||
	    file_write(FAIL_PAGE "ignore-gfp-highmem", "N") ||
	    file_write(FAIL_PAGE "min-order", "0"))
		return false;
	file_write(FAILSLAB "verbose", "0");
	file_write(FAIL_PAGE "verbose", "0");
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fail_nth >= 0;
}

/* The nth allocation from now on will fail. */
void injection_begin(unsigned int nth)
{
	char buf[16];
	int length = snprintf(buf, sizeof(buf), "%u", nth);

	if (pwrite(fail_nth, buf, length, 0) != length)
		abort();
}

/* Whether it came to that. */
bool injection_end(void)
{
	char buf[16] = "";
	bool failed;

	failed = pread(fail_nth, buf, sizeof(buf) - 1, 0) > 0 && atoi(buf) == 0;
	injection_begin(0);
	return failed;
}
