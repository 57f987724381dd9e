/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that its users can have at several addresses, and the requests that tell a container
 * which one is valid, in numbers of pages.
 */
#ifndef VADDR_FIXTURE_H
#define VADDR_FIXTURE_H

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio_fixture.h"

#define IOVA		0x10000000UL
#define NEW_IOVA	0x20000000UL
#define PAGES		64UL
#define BUFFER		(PAGES * PAGE_SIZE)
#define ALL		VFIO_DMA_UNMAP_FLAG_ALL
#define DMA_VADDR	VFIO_DMA_MAP_FLAG_VADDR

static struct vfio_session session;
/* Memory that processes share, and the file that it is. */
static uint8_t *buffer;
static int memory_fd;

static inline void *memory_again(void)
{
	return mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
}

static inline long map_pages(unsigned int first, unsigned int pages)
{
	return type1_map(session.container, buffer + first * PAGE_SIZE,
			 IOVA + first * PAGE_SIZE, pages * PAGE_SIZE, DMA_RW);
}

/* Gives the mapping of these pages a new address in @memory. */
static inline long update_pages(unsigned int first, unsigned int pages, void *memory)
{
	return type1_map(session.container, (char *)memory + first * PAGE_SIZE,
			 IOVA + first * PAGE_SIZE, pages * PAGE_SIZE, DMA_VADDR);
}

static inline long in_pages(long ret)
{
	return ret < 0 ? ret : ret / (long)PAGE_SIZE;
}

/* Both return the number of pages, or an errno. */
static inline long unmap_pages(unsigned int first, unsigned int pages)
{
	return in_pages(type1_unmap(session.container, IOVA + first * PAGE_SIZE,
				    pages * PAGE_SIZE, 0));
}

static inline long invalidate_pages(unsigned int first, unsigned int pages)
{
	return in_pages(type1_unmap(session.container, IOVA + first * PAGE_SIZE,
				    pages * PAGE_SIZE,
				    VFIO_DMA_UNMAP_FLAG_VADDR));
}

static inline bool memory_ready(void)
{
	memory_fd = memfd_create("memory", 0);
	if (memory_fd < 0 || ftruncate(memory_fd, BUFFER))
		return false;
	buffer = memory_again();
	return buffer != MAP_FAILED;
}

#endif
