// SPDX-License-Identifier: GPL-2.0
/* What debugfs and the kernel log tell of an Intel IOMMU; see iommu_debug.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edu.h"
#include "iommu_debug.h"
#include "kernel_log.h"
#include "vfio_fixture.h"

#define LEVELS		5
/* How many bits of an address a level stands for. */
#define LEVEL_BITS	9
/* A leaf is at one of the last three levels. */
#define LEVELS_ABOVE	2
#define ADDRESS_MASK	0x000ffffffffff000ULL

/* An entry that maps something: where, how much, and to what. */
struct leaf {
	uint64_t iova;
	uint64_t size;
	uint64_t address;
};

/* Whether the kernel shows tables. */
bool iommu_table_seen(void)
{
	return !access("/sys/kernel/debug/iommu/intel", F_OK);
}

/* That nothing is mapped can only be said by who sees the table: ends the test. */
static FILE *table_open(const char *bdf)
{
	char path[128];
	FILE *table;

	snprintf(path, sizeof(path),
		 "/sys/kernel/debug/iommu/intel/%s/domain_translation_struct",
		 bdf);
	table = fopen(path, "re");
	if (table)
		return table;
	printf("# %s: %s\n", path, strerror(errno));
	fflush(stdout);
	abort();
}

/*
 * The next leaf. A line of the table has the page frame number of the I/O
 * virtual address, a bar, and the entry of each level down to the leaf.
 */
static bool table_next(FILE *table, struct leaf *leaf)
{
	unsigned long long pfn, entry[LEVELS];
	char line[1024];
	int levels;

	while (fgets(line, sizeof(line), table)) {
		levels = sscanf(line, "%llx | %llx %llx %llx %llx %llx", &pfn,
				&entry[0], &entry[1], &entry[2], &entry[3],
				&entry[4]) - 1;
		if (levels <= LEVELS_ABOVE)
			continue;
		leaf->iova = pfn * PAGE_SIZE;
		leaf->size = PAGE_SIZE << LEVEL_BITS * (LEVELS - levels);
		leaf->address = entry[levels - 1] & ADDRESS_MASK;
		return true;
	}
	return false;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* How many of the @size bytes from @iova on @bdf's table leads anywhere. */
uint64_t iommu_mapped(const char *bdf, uint64_t iova, uint64_t size)
{
	FILE *table = table_open(bdf);
	uint64_t mapped = 0;
	struct leaf leaf;

	while (table_next(table, &leaf)) {
		uint64_t begin = greater(leaf.iova, iova);
		uint64_t end = lesser(leaf.iova + leaf.size, iova + size);

		mapped += begin < end ? end - begin : 0;
	}
	fclose(table);
	return mapped;
}

bool iommu_maps_iova(const char *bdf, uint64_t iova)
{
	return iommu_mapped(bdf, iova, 1);
}

/* How many entries of @bdf's table lead to the @size bytes from @start on. */
long iommu_entries(const char *bdf, uint64_t start, uint64_t size)
{
	FILE *table = table_open(bdf);
	struct leaf leaf;
	long found = 0;

	while (table_next(table, &leaf))
		found += leaf.address < start + size &&
			 leaf.address + leaf.size > start;
	fclose(table);
	return found;
}

/* How many entries of @bdf's table are for the @size bytes from @iova on. */
long iommu_leaves(const char *bdf, uint64_t iova, uint64_t size)
{
	FILE *table = table_open(bdf);
	struct leaf leaf;
	long found = 0;

	while (table_next(table, &leaf))
		found += leaf.iova < iova + size && leaf.iova + leaf.size > iova;
	fclose(table);
	return found;
}

/* Where @bdf's table is: devices with the same one are in one domain. */
uint64_t iommu_table(const char *bdf)
{
	FILE *table = table_open(bdf);
	unsigned long long address = 0;

	if (fscanf(table, "Device %*s @%llx", &address) != 1)
		address = 0;
	fclose(table);
	return address;
}

#define LATENCY	"/sys/kernel/debug/iommu/intel/dmar_perf_latency"
/* How the kernel sorts flushes of the IOTLB by the time that they take. */
#define BUCKETS	7

/* How often IOMMUs have flushed their IOTLBs since this was called first. */
long iommu_flushes(void)
{
	const char *line;
	char text[4096];
	long flushes = 0;
	int used, i;

	if (file_write(LATENCY, "1") ||
	    file_read(LATENCY, text, sizeof(text)) < 0)
		return -ENOENT;
	for (line = text; (line = strstr(line, "inv_iotlb")); ) {
		line += strlen("inv_iotlb");
		for (i = 0; i < BUCKETS; i++, line += used) {
			long count;

			if (sscanf(line, "%ld%n", &count, &used) != 1)
				return -EIO;
			flushes += count;
		}
	}
	return flushes;
}

/* Whether the IOMMU has complained about @iova since @log was last looked at. */
bool fault_logged(int log, uint64_t iova)
{
	char text[64];

	snprintf(text, sizeof(text), "fault addr 0x%lx", (long)iova);
	return log_has(log, text);
}

/*
 * Whether DMA of the edu device to @iova faults. The kernel limits how often it
 * complains, so this tries again for a while.
 */
bool edu_store_faults(int device, uint64_t iova)
{
	int log = log_open();
	bool faults = false;
	int i;

	for (i = 0; i < 80 && !faults; i++) {
		if (i)
			usleep(100000);
		if (edu_store(device, iova, 64))
			break;
		faults = fault_logged(log, iova);
	}
	close(log);
	return faults;
}
