// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the operations, and prints for each
 *
 *	bench: ID COST NAME
 *
 * where COST is in nanoseconds, or in instructions where QEMU counts those, with
 * one digit behind the point; or "bench: ID error NUMBER NAME". The guest that does this
 * has one processor: what others do is not part of it.
 *
 *	bench [-s] [ID]...
 *
 * -s runs each operation a few times only, for a short look, and leaves out those that
 * take long.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

/* Runs of each operation with -s. */
#define SHORT_RUNS	10
/* More mappings than the default limit allows are part of the operations. */
#define ENTRY_LIMIT	"/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
#define ENTRIES		"200000"

static const struct operation *const all[] = {
	access_operations, memory_operations, map_operations,
	interrupt_operations, life_operations, grow_operations, NULL
};

static bool is_short;
/* What asking for the time twice costs. */
static long clock_cost;

static long least(long a, long b)
{
	return a < b ? a : b;
}

static void clock_calibrate(void)
{
	int i;

	clock_cost = 1000000;
	for (i = 0; i < 100; i++) {
		long begin = now();

		clock_cost = least(clock_cost, now() - begin);
	}
}

static bool operation_report(struct bench *bench,
			     const struct operation *operation)
{
	unsigned int runs = operation->runs, i;
	long cost;

	bench->size = operation->size;
	/* The first run finds caches cold. */
	cost = operation->run(bench);

	if (is_short && runs > SHORT_RUNS)
		runs = SHORT_RUNS;
	for (i = 0; cost >= 0 && i < runs; i++) {
		long again = operation->run(bench);

		cost = again < 0 ? again : least(cost, again);
	}
	if (cost < 0) {
		printf("bench: %s error %ld %s\n", operation->id, -cost,
		       operation->name);
		return false;
	}
	cost = (cost > clock_cost ? cost - clock_cost : 0) * 10;
	cost = (cost + operation->items / 2) / operation->items;
	printf("bench: %s %ld.%ld %s\n", operation->id, cost / 10, cost % 10,
	       operation->name);
	fflush(stdout);
	return true;
}

static bool is_wanted(const struct operation *operation, char **ids)
{
	if (!*ids)
		return !is_short || !operation->slow;
	for (; *ids; ids++)
		if (!strcmp(operation->id, *ids))
			return true;
	return false;
}

static bool operations_run(struct bench *bench, char **ids)
{
	const struct operation *const *table, *operation;
	bool ok = true;

	for (table = all; *table; table++)
		for (operation = *table; operation->id; operation++)
			if (is_wanted(operation, ids))
				ok &= operation_report(bench, operation);
	return ok;
}

static bool device_open(struct vfio_session *session, const char *name)
{
	const char *bdf = pci_device(name);
	int ret = bdf ? session_open(session, bdf, VFIO_TYPE1v2_IOMMU) : -ENODEV;

	if (ret)
		printf("bench: %s does not open: %s\n", name, strerror(-ret));
	return !ret;
}

int main(int argc, char **argv)
{
	static const char *const names[] = {
		"EDU", "IVSHMEM", "TESTDEV", "PORT_NVME", "E1000E", NULL
	};
	struct bench bench = {};
	bool ok;
	int option;

	while ((option = getopt(argc, argv, "s")) != -1) {
		if (option != 's')
			return 2;
		is_short = true;
	}
	pci_claim(names);
	file_write(ENTRY_LIMIT, ENTRIES);
	if (!device_open(&bench.edu, "EDU") ||
	    !device_open(&bench.ivshmem, "IVSHMEM") ||
	    !device_open(&bench.testdev, "TESTDEV") ||
	    !device_open(&bench.nvme, "PORT_NVME"))
		return 1;
	clock_calibrate();
	ok = operations_run(&bench, argv + optind);
	session_close(&bench.nvme);
	session_close(&bench.testdev);
	session_close(&bench.ivshmem);
	session_close(&bench.edu);
	return ok ? 0 : 1;
}
