// SPDX-License-Identifier: GPL-2.0
/* Memory that stays where it is, and is counted; see locked_memory.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "locked_memory.h"
#include "vfio_fixture.h"

/* From here on the limit counts for the thread that calls this. */
bool ipc_lock_drop(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(__NR_capget, &header, data))
		return false;
	data[CAP_IPC_LOCK / 32].effective &= ~(1U << (CAP_IPC_LOCK % 32));
	return !syscall(__NR_capset, &header, data);
}

/* How much @pid, or the caller if that is 0, may lock. */
int locked_limit(pid_t pid, uint64_t bytes)
{
	const struct rlimit limit = { bytes, bytes };

	return sys_result(prlimit(pid, RLIMIT_MEMLOCK, &limit, NULL));
}

/* The charge is given back by the time UNMAP_DMA returns, or soon after. */
long settled_locked_kb(long expected)
{
	int i;

	for (i = 0; i < 200 && memory_locked_kb() != expected; i++)
		usleep(10000);
	return memory_locked_kb();
}

/* Pages pinned, once it is what is expected, or what it is a second later. */
long settled_pinned_pages(long expected)
{
	int i;

	for (i = 0; i < 100 && memory_pinned_pages() != expected; i++)
		usleep(10000);
	return memory_pinned_pages();
}

/* Huge pages of the usual size that nobody has, or that are only reserved. */
long huge_pages_free(void)
{
	static const char name[] = "HugePages_Free:";
	char buf[4096];
	char *line;

	if (file_read("/proc/meminfo", buf, sizeof(buf)) < 0)
		return -1;
	line = strstr(buf, name);
	return line ? atol(line + strlen(name)) : 0;
}
