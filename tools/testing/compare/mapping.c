// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on mappings of a device's memory; see compare.h.
 *
 * Rows: 8-1, 8-2, 8-4, 8-6 to 8-9, 8-13, 8-17, 8-20 to 8-22, 8-24.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/pci_regs.h>

#include "compare.h"

static void mapping_drop(struct mapping *mapping)
{
	if (mapping->address)
		munmap(mapping->address, mapping->size);
	mapping->address = NULL;
}

static void mapping_make(struct run *run, unsigned int region, uint64_t offset,
			 size_t size, int prot, int flags)
{
	unsigned int slot = random_below(&run->random, MAPPINGS);
	struct mapping *mapping = &run->mappings[slot];
	void *address;

	mapping_drop(mapping);
	log_operation(run, "mmap %u region %u %#llx+%#zx prot %d %s", slot, region,
		      (unsigned long long)offset, size, prot,
		      flags == MAP_SHARED ? "shared" : "private");
	address = mmap(NULL, size, prot, flags, run_device(run),
		       REGION_OFFSET(region) + offset);
	if (address == MAP_FAILED) {
		log_result(run, -errno);
		return;
	}
	log_result(run, 0);
	mapping->address = address;
	mapping->size = size;
	mapping->region = region;
	mapping->offset = offset;
}

static int any_prot(struct run *run)
{
	static const int prots[] = { PROT_READ, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_WRITE, PROT_WRITE, PROT_NONE };

	return random_pick(&run->random, prots);
}

/* The pages of a window. */
static void map_window(struct run *run)
{
	const struct window *window = window_pick(run, false);
	int prot = any_prot(run);
	uint64_t start, end;

	if (!window)
		return mapping_make(run, 0, 0, PAGE_SIZE, prot, MAP_SHARED);
	start = window->offset & ~(PAGE_SIZE - 1);
	end = (window->offset + window->size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	mapping_make(run, window->region, start, end - start, prot, MAP_SHARED);
}

/* Any part of any region, with anything that may be wrong. */
static void map_any(struct run *run)
{
	static const unsigned int regions[] = { 0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9,
						0x7fffff };
	struct random *random = &run->random;
	unsigned int region = random_pick(random, regions);
	uint64_t end = region < BARS ? run->layout->bar_size[region] : PAGE_SIZE;
	uint64_t pages = (end + PAGE_SIZE - 1) / PAGE_SIZE;
	uint64_t offset = random_next(random) % (pages + 1);
	size_t size = 1 + random_below(random, 4);

	if (random_chance(random, 30)) {
		offset = 0;
		size = pages + random_below(random, 2);
	}
	if (random_chance(random, 5))
		size = 0;
	mapping_make(run, region, offset * PAGE_SIZE, size * PAGE_SIZE,
		     any_prot(run),
		     random_chance(random, 10) ? MAP_PRIVATE : MAP_SHARED);
}

static void unmap_any(struct run *run)
{
	unsigned int slot = random_below(&run->random, MAPPINGS);

	log_operation(run, "munmap %u = 0", slot);
	mapping_drop(&run->mappings[slot]);
}

static bool inside(const struct mapping *mapping, const struct window *window,
		   uint64_t offset)
{
	return mapping->address && mapping->region == window->region &&
	       offset >= mapping->offset &&
	       offset + sizeof(uint32_t) <= mapping->offset + mapping->size;
}

/* A load or store in a window, through whatever mapping has it. */
static void touch_window(struct run *run)
{
	bool write = random_chance(&run->random, 40);
	const struct window *window = window_pick(run, write);
	unsigned int slot = random_below(&run->random, MAPPINGS);
	uint32_t value = random_value(&run->random);
	uint32_t any = random_next(&run->random);
	struct mapping *mapping;
	uint64_t offset;
	unsigned int i;
	long ret;

	if (!window || window->size < sizeof(uint32_t)) {
		log_operation(run, "touch nothing = 0");
		return;
	}
	offset = window->offset + (any % (window->size / 4)) * 4;
	log_operation(run, "touch %s %u %#llx", write ? "write" : "read",
		      window->region, (unsigned long long)offset);
	for (i = 0; i < MAPPINGS; i++) {
		mapping = &run->mappings[(slot + i) % MAPPINGS];
		if (!inside(mapping, window, offset))
			continue;
		if (write)
			ret = mmio_write(mapping->address + offset -
					 mapping->offset, value);
		else
			ret = mmio_read(mapping->address + offset -
					mapping->offset, &value);
		log_more(run, " = signal %ld", -ret);
		if (!ret)
			log_more(run, " %08x", value);
		return;
	}
	log_more(run, " = not mapped");
}

/* A load anywhere in a mapping. What it gives is not logged. */
static void touch_any(struct run *run)
{
	unsigned int slot = random_below(&run->random, MAPPINGS);
	uint64_t any = random_next(&run->random);
	struct mapping *mapping = &run->mappings[slot];
	uint32_t value;

	log_operation(run, "touch any %u", slot);
	if (!mapping->address) {
		log_more(run, " = not mapped");
		return;
	}
	any = any % mapping->size & ~3ULL;
	log_more(run, " = signal %d", -mmio_read(mapping->address + any, &value));
}

/* What a process does to its own address space. */
static void mapping_change(struct run *run)
{
	unsigned int slot = random_below(&run->random, MAPPINGS);
	unsigned int kind = random_below(&run->random, 5);
	struct mapping *mapping = &run->mappings[slot];
	long ret = 0;

	log_operation(run, "mapping change %u kind %u", slot, kind);
	if (!mapping->address) {
		log_more(run, " = not mapped");
		return;
	}
	switch (kind) {
	case 0:
		ret = mprotect(mapping->address, mapping->size, PROT_READ);
		break;
	case 1:
		ret = mprotect(mapping->address, mapping->size,
			       PROT_READ | PROT_WRITE);
		break;
	case 2:
		ret = madvise(mapping->address, mapping->size, MADV_DONTNEED);
		break;
	case 3:
		ret = madvise(mapping->address, mapping->size, MADV_DONTFORK);
		break;
	case 4:
		ret = mremap(mapping->address, mapping->size,
			     mapping->size + PAGE_SIZE, 0) == MAP_FAILED ? -1 : 0;
		break;
	}
	log_result(run, sys_result(ret));
	if (!ret && kind == 4)
		mapping->size += PAGE_SIZE;
}

const struct operation mapping_operations[] = {
	{ 35, map_window },
	{ 20, map_any },
	{ 8, unmap_any },
	{ 60, touch_window },
	{ 15, touch_any },
	{ 6, mapping_change },
	{ 0, NULL },
};
