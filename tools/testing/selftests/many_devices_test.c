// SPDX-License-Identifier: GPL-2.0
/* What a device costs that comes after many others. The devices are emulated ones. */
#include <sys/resource.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "samples.h"

#define FEW	400
#define MANY	4000

static double children_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000.0 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000.0;
}

/* Processor time of making and removing one of @count devices, in ms. */
static double cost_of_one(unsigned int count)
{
	double before = children_ms();
	char parameter[32];
	pid_t pid = fork();

	if (!pid) {
		snprintf(parameter, sizeof(parameter), "devices=%u", count);
		execl("/sbin/modprobe", "modprobe", "vfio_memory", parameter,
		      NULL);
		_exit(127);
	}
	if (pid < 0 || child_result(pid))
		return -1;
	pid = fork();
	if (!pid)
		_exit(module_unload("vfio_memory") != 0);
	if (pid < 0 || child_result(pid))
		return -1;
	return (children_ms() - before) / count;
}

/* 1-19, 1-21: no more than one that comes first, or not much. */
TEST(one_of_many)
{
	double few, many;

	NEED_SAMPLES();
	if (kernel_has_checkers())
		SKIP(return, "that many take too long with checkers");
	few = cost_of_one(FEW);
	ASSERT_LT(0, few);
	many = cost_of_one(MANY);
	ASSERT_LT(0, many);
	TH_LOG("one of %u: %.2f ms, one of %u: %.2f ms", FEW, few, MANY, many);
	EXPECT_LT(many, 4 * few);
}

TEST_HARNESS_MAIN
