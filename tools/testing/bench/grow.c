// SPDX-License-Identifier: GPL-2.0
/* How what it costs to map a BAR grows with the size of what is mapped. */
#include <sys/mman.h>

#include "bench.h"

#define BAR	2
#define IOVA	0x100000000UL

/*
 * The first bytes of a BAR of 64 GiB, where pages as large as can be used for them. It
 * is unmapped with the place where it is.
 */
static char *bar_new(struct bench *bench)
{
	char *place = memory_new_aligned(bench->size, SIZE_1G);

	if (place == MAP_FAILED)
		return place;
	return mmap(place, bench->size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, bench->testdev.device,
		    REGION_OFFSET(BAR));
}

/* Each page, of 2 MiB where the whole is as large. */
static void bar_touch(const struct bench *bench, const char *start)
{
	size_t step = bench->size < SIZE_2M ? PAGE_SIZE : SIZE_2M;
	size_t offset;

	for (offset = 0; offset < bench->size; offset += step)
		*(const volatile uint32_t *)(start + offset);
}

static long grow_fault(struct bench *bench)
{
	char *start = bar_new(bench);
	long took;

	if (start == MAP_FAILED)
		return -errno;
	took = now();
	bar_touch(bench, start);
	took = now() - took;
	munmap(start, bench->size);
	return took;
}

static long grow_zap(struct bench *bench)
{
	char *start = bar_new(bench);
	long took;

	if (start == MAP_FAILED)
		return -errno;
	bar_touch(bench, start);
	took = memory_set(bench->testdev.device, false);
	TRY(memory_set(bench->testdev.device, true));
	munmap(start, bench->size);
	return took;
}

/* Maps the BAR for DMA and unmaps it, and puts how long each took to @map and @unmap. */
static long pair(struct bench *bench, long *map, long *unmap)
{
	int container = bench->testdev.container;
	char *start = bar_new(bench);

	if (start == MAP_FAILED)
		return -errno;
	bar_touch(bench, start);
	*map = TIMED(1, dma_map(container, start, IOVA, bench->size));
	TRY(*map);
	*unmap = TIMED(1, dma_unmap(container, IOVA, bench->size, 0));
	TRY(*unmap);
	munmap(start, bench->size);
	return 0;
}

static long grow_map(struct bench *bench)
{
	long map, unmap;

	TRY(pair(bench, &map, &unmap));
	return map;
}

static long grow_unmap(struct bench *bench)
{
	long map, unmap;

	TRY(pair(bench, &map, &unmap));
	return unmap;
}

#define ROW(what, text, run, bytes, bytes_text)				\
	{ "grow-" what "-" bytes_text, text " of " bytes_text "iB of a BAR", run, \
	  1, 2, true, bytes }

const struct operation grow_operations[] = {
	ROW("fault", "faults", grow_fault, 4UL << 10, "4K"),
	ROW("fault", "faults", grow_fault, 64UL << 10, "64K"),
	ROW("fault", "faults", grow_fault, 1UL << 20, "1M"),
	ROW("fault", "faults", grow_fault, 16UL << 20, "16M"),
	ROW("fault", "faults", grow_fault, 256UL << 20, "256M"),
	ROW("fault", "faults", grow_fault, 4UL << 30, "4G"),
	ROW("fault", "faults", grow_fault, 64UL << 30, "64G"),
	ROW("zap", "zap", grow_zap, 4UL << 10, "4K"),
	ROW("zap", "zap", grow_zap, 64UL << 10, "64K"),
	ROW("zap", "zap", grow_zap, 1UL << 20, "1M"),
	ROW("zap", "zap", grow_zap, 16UL << 20, "16M"),
	ROW("zap", "zap", grow_zap, 256UL << 20, "256M"),
	ROW("zap", "zap", grow_zap, 4UL << 30, "4G"),
	ROW("zap", "zap", grow_zap, 64UL << 30, "64G"),
	ROW("map", "MAP", grow_map, 4UL << 10, "4K"),
	ROW("map", "MAP", grow_map, 64UL << 10, "64K"),
	ROW("map", "MAP", grow_map, 1UL << 20, "1M"),
	ROW("map", "MAP", grow_map, 16UL << 20, "16M"),
	ROW("map", "MAP", grow_map, 256UL << 20, "256M"),
	ROW("map", "MAP", grow_map, 4UL << 30, "4G"),
	ROW("map", "MAP", grow_map, 64UL << 30, "64G"),
	ROW("unmap", "UNMAP", grow_unmap, 4UL << 10, "4K"),
	ROW("unmap", "UNMAP", grow_unmap, 64UL << 10, "64K"),
	ROW("unmap", "UNMAP", grow_unmap, 1UL << 20, "1M"),
	ROW("unmap", "UNMAP", grow_unmap, 16UL << 20, "16M"),
	ROW("unmap", "UNMAP", grow_unmap, 256UL << 20, "256M"),
	ROW("unmap", "UNMAP", grow_unmap, 4UL << 30, "4G"),
	ROW("unmap", "UNMAP", grow_unmap, 64UL << 30, "64G"),
	{}
};
