// SPDX-License-Identifier: GPL-2.0
/* MAP_DMA and UNMAP_DMA of type1. */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bench.h"
#include "dirty_pages.h"

#define IOVA		0x100000000UL
#define FAR_IOVA	0x8000000000UL

#define PAGES		4096UL
#define MANY		100000UL
#define HUGE_SIZE	(64UL << 20)
#define TESTDEV_BAR	2
#define TESTDEV_SIZE	(4UL << 30)
#define IVSHMEM_BAR	2
#define IVSHMEM_SIZE	(64UL << 20)

long dma_map(int container, void *address, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map arg = {
		.argsz = sizeof(arg),
		.flags = DMA_RW,
		.vaddr = (uintptr_t)address,
		.iova = iova,
		.size = size,
	};

	return checked(ioctl(container, VFIO_IOMMU_MAP_DMA, &arg));
}

long dma_unmap(int container, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_unmap arg = {
		.argsz = sizeof(arg),
		.flags = flags,
		.iova = iova,
		.size = size,
	};

	return checked(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &arg));
}

static long unmap_all(int container)
{
	return dma_unmap(container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
}

static long pair(int container, void *address, uint64_t iova, uint64_t size)
{
	long begin = now();

	TRY(dma_map(container, address, iova, size));
	TRY(dma_unmap(container, iova, size, 0));
	return now() - begin;
}

/* A page that stays where it is. */
static void *one_page(void)
{
	static void *page;

	if (!page)
		page = memory_new(PAGE_SIZE);
	return page;
}

/*
 * Memory of 4 KiB pages: one behind the other, as the kernel hands them out, or so that no
 * two neighbours are adjacent.
 */
char *small_pages_new(size_t size, bool scattered)
{
	const size_t step = scattered ? 16 * PAGE_SIZE : PAGE_SIZE;
	volatile char *memory;
	size_t first, at;

	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	madvise((void *)memory, size, MADV_NOHUGEPAGE);
	for (first = 0; first < step; first += PAGE_SIZE)
		for (at = first; at < size; at += step)
			memory[at] = 1;
	return (char *)memory;
}

static char *small_pages(void)
{
	static char *memory;

	if (!memory)
		memory = small_pages_new(PAGES * PAGE_SIZE, false);
	return memory;
}

static char *lone_pages(void)
{
	static char *memory;

	if (!memory)
		memory = small_pages_new(PAGES * PAGE_SIZE, true);
	return memory;
}

static long map_memory(struct bench *bench, char *memory)
{
	int container = bench->edu.container;
	long took = TIMED(1, dma_map(container, memory, IOVA, PAGES * PAGE_SIZE));

	TRY(took);
	TRY(dma_unmap(container, IOVA, PAGES * PAGE_SIZE, 0));
	return took;
}

static long unmap_memory(struct bench *bench, char *memory)
{
	int container = bench->edu.container;

	TRY(dma_map(container, memory, IOVA, PAGES * PAGE_SIZE));
	return TIMED(1, dma_unmap(container, IOVA, PAGES * PAGE_SIZE, 0));
}

static long map_pages(struct bench *bench)
{
	return map_memory(bench, small_pages());
}

static long unmap_pages(struct bench *bench)
{
	return unmap_memory(bench, small_pages());
}

static long map_lone(struct bench *bench)
{
	return map_memory(bench, lone_pages());
}

static long unmap_lone(struct bench *bench)
{
	return unmap_memory(bench, lone_pages());
}

static long map_one(struct bench *bench)
{
	return pair(bench->edu.container, one_page(), IOVA, PAGE_SIZE);
}

/* Mappings of the same page that have nothing to do with it. */
static long others_map(int container, unsigned long count)
{
	unsigned long i;

	for (i = 0; i < count; i++)
		TRY(dma_map(container, one_page(), FAR_IOVA + 2 * i * PAGE_SIZE,
			PAGE_SIZE));
	return 0;
}

/* With @count mappings there, which are made once for all runs. */
static long map_among(struct bench *bench, unsigned long count)
{
	static unsigned long there;
	int container = bench->ivshmem.container;

	if (there != count) {
		unmap_all(container);
		TRY(others_map(container, count));
		there = count;
	}
	return pair(container, one_page(), IOVA, PAGE_SIZE);
}

static long map_among_1000(struct bench *bench)
{
	return map_among(bench, 1000);
}

static long map_among_many(struct bench *bench)
{
	return map_among(bench, MANY);
}

static long unmap_many(struct bench *bench)
{
	int container = bench->edu.container;

	TRY(others_map(container, MANY));
	return TIMED(1, unmap_all(container));
}

static long map_huge(struct bench *bench)
{
	static void *memory;

	if (!memory)
		memory = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
			      MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	return pair(bench->edu.container, memory, IOVA, HUGE_SIZE);
}

/* A BAR, mapped @shift bytes behind an address that huge pages can be used for. */
static long map_bar(int container, int device, unsigned int index, size_t size,
		    size_t shift)
{
	char *place = memory_new_aligned(size + PAGE_SIZE, SIZE_1G);
	char *start;
	long took;

	if (place == MAP_FAILED)
		return -ENOMEM;
	start = mmap(place + shift, size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, device, REGION_OFFSET(index));
	if (start == MAP_FAILED)
		return -errno;
	took = pair(container, start, IOVA + shift, size);
	munmap(place, size + PAGE_SIZE);
	return took;
}

static long map_bar_misaligned(struct bench *bench)
{
	return map_bar(bench->edu.container, bench->ivshmem.device, IVSHMEM_BAR,
		       IVSHMEM_SIZE, PAGE_SIZE);
}

static long map_bar_aligned(struct bench *bench)
{
	return map_bar(bench->edu.container, bench->ivshmem.device, IVSHMEM_BAR,
		       IVSHMEM_SIZE, 0);
}

static long map_bar_4g(struct bench *bench)
{
	return map_bar(bench->edu.container, bench->testdev.device, TESTDEV_BAR,
		       TESTDEV_SIZE, 0);
}

static long dirty_query(struct bench *bench)
{
	static uint64_t bitmap[PAGES / 64];
	const struct dirty_request request = {
		.iova = IOVA,
		.size = PAGES * PAGE_SIZE,
		.page_size = PAGE_SIZE,
		.bytes = sizeof(bitmap),
		.data = bitmap,
	};
	int container = bench->edu.container;
	long took;

	TRY(dma_map(container, small_pages(), IOVA, PAGES * PAGE_SIZE));
	TRY(dirty_tracking(container, DIRTY_START));
	took = TIMED(1, dirty_get(container, &request));
	TRY(dirty_tracking(container, DIRTY_STOP));
	TRY(dma_unmap(container, IOVA, PAGES * PAGE_SIZE, 0));
	return took;
}

const struct operation map_operations[] = {
	{ "map-bar-misaligned", "MAP+UNMAP, 64 MiB BAR, misaligned",
	  map_bar_misaligned, 1, 2, true },
	{ "map-bar", "MAP+UNMAP, 64 MiB BAR, aligned", map_bar_aligned, 1, 3 },
	{ "map-bar-4g", "MAP+UNMAP, 4 GiB BAR", map_bar_4g, 1, 2, true },
	{ "map-pages", "MAP 4 KiB pages, per page", map_pages, PAGES, 5 },
	{ "unmap-pages", "UNMAP 4 KiB pages, per page", unmap_pages, PAGES, 5 },
	{ "map-lone", "MAP 4 KiB pages, scattered, per page", map_lone, PAGES, 5 },
	{ "unmap-lone", "UNMAP 4 KiB pages, scattered, per page", unmap_lone, PAGES, 5 },
	{ "map-one", "MAP+UNMAP of one 4K page", map_one, 1, 50 },
	{ "map-one-1000", "the same with 1000 mappings there", map_among_1000,
	  1, 50 },
	{ "map-one-100000", "the same with 100000 mappings there",
	  map_among_many, 1, 50, true },
	{ "unmap-all", "UNMAP_ALL of 100000 mappings, each", unmap_many, MANY,
	  1, true },
	{ "map-2m", "MAP+UNMAP 64 MiB in 2 MiB pages", map_huge, 1, 5 },
	{ "dirty-bitmap", "dirty bitmap of 16 MiB", dirty_query, 1, 10 },
	{}
};
