// SPDX-License-Identifier: GPL-2.0
/* What an actor of interleave_test does; see interleave.h. */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interleave.h"
#include "iommu_debug.h"
#include "seed.h"

#define IOVA		0x40000000UL
#define SLOTS		6
#define OPERATIONS	6

static void device_open(struct actor *actor)
{
	if (actor->device >= 0)
		return;
	actor->device = group_device(device_group, device_bdf);
	if (actor->device < 0)
		fail("the device cannot be opened: %d", actor->device);
	else if (memory_enable(actor->device, true))
		fail("memory cannot be enabled");
	atomic_fetch_add(&stage->holders, 1);
	atomic_fetch_add(&stage->opens, 1);
}

/* Whether the device goes with the file or the area that is closed next. */
static bool release_begin(void)
{
	bool last = atomic_fetch_sub(&stage->holders, 1) == 1;

	if (last) {
		atomic_fetch_add(&stage->releasing, 1);
		atomic_fetch_add(&stage->releases, 1);
	}
	return last;
}

static void release_end(bool last)
{
	if (last)
		atomic_fetch_sub(&stage->releasing, 1);
}

/* A moment to ask from whether the device has gone since, or was about to. */
static long release_mark(void)
{
	long releases = atomic_load(&stage->releases);

	return atomic_load(&stage->releasing) ? -1 : releases;
}

static bool released_since(long mark)
{
	return mark < 0 || atomic_load(&stage->releases) != mark;
}

static void device_close(struct actor *actor)
{
	bool last;

	if (actor->device < 0)
		return;
	last = release_begin();
	close(actor->device);
	release_end(last);
	actor->device = -1;
}

/* The area is ordinary memory again, which has not been touched. */
void area_clear(struct actor *actor)
{
	bool last = actor->pages && release_begin();

	if (mmap(actor->area, AREA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		fail("ordinary memory cannot be mapped: %d", errno);
	release_end(last);
	actor->pages = 0;
}

/* A part of the BAR in the middle of the area, or one that fits a huge page. */
static void area_fill(struct actor *actor)
{
	unsigned int bar_page;

	if (actor->device < 0 || actor->pages)
		return;
	if (below(&actor->random, 8)) {
		actor->pages = 1 + below(&actor->random, 24);
		actor->first = HUGE_PAGES + below(&actor->random, 32) - 16;
		bar_page = below(&actor->random, BAR_SIZE / PAGE_SIZE -
				 actor->pages);
	} else {
		actor->pages = HUGE_PAGES;
		actor->first = HUGE_PAGES;
		bar_page = below(&actor->random, BAR_SIZE / SIZE_2M) *
			   HUGE_PAGES;
	}
	if (mmap(actor->area + actor->first * PAGE_SIZE,
		 actor->pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, actor->device,
		 REGION_OFFSET(BAR) + bar_page * PAGE_SIZE) == MAP_FAILED)
		fail("the BAR cannot be mapped: %d", errno);
	atomic_fetch_add(&stage->holders, 1);
}

static void memory_toggle(struct actor *actor)
{
	bool on = below(&actor->random, 4);

	if (actor->device < 0)
		return;
	if (!on)
		atomic_store(&stage->disabled, true);
	if (memory_enable(actor->device, on))
		fail("the command register cannot be written");
}

/* A container that the actor may use. */
static struct container *container_of(struct actor *actor)
{
	return &containers[casting[actor->index].container +
			   below(&actor->random,
				 casting[actor->index].containers)];
}

/* Some pages around the middle of an area, of this actor or of a neighbour. */
static void dma_map(struct actor *actor)
{
	struct container *container = container_of(actor);
	unsigned int slot = below(&actor->random, SLOTS);
	unsigned int first = HUGE_PAGES + below(&actor->random, 32) - 16;
	unsigned int pages = 1 + below(&actor->random, 24);
	char *area = NULL;
	long mark, ret;

	while (!area)
		area = areas[below(&actor->random, ACTORS)];
	if (actor->pages == HUGE_PAGES && below(&actor->random, 2)) {
		area = actor->area;
		first = HUGE_PAGES;
		pages = HUGE_PAGES;
	}
	pthread_rwlock_rdlock(&container->lock);
	mark = release_mark();
	ret = type1_map(container->session.container, area + first * PAGE_SIZE,
			IOVA + slot * AREA_SIZE + first * PAGE_SIZE,
			pages * PAGE_SIZE, DMA_RW);
	if (!ret)
		__atomic_fetch_add(&container->mapped, pages * PAGE_SIZE,
				   __ATOMIC_RELAXED);
	pthread_rwlock_unlock(&container->lock);
	switch (ret) {
	case 0:
		atomic_fetch_add(&stage->maps, 1);
		break;
	case -EEXIST:
		atomic_fetch_add(&stage->taken, 1);
		break;
	case -EFAULT:
		atomic_fetch_add(&stage->faults, 1);
		/* 12-41: it has lost its memory before it was done. */
		if (!atomic_load(&stage->disabled) && !released_since(mark))
			fail("MAP_DMA fails while memory is enabled");
		break;
	default:
		fail("MAP_DMA: %ld", ret);
	}
}

static void dma_unmap(struct actor *actor)
{
	struct container *container = container_of(actor);
	unsigned int slot = below(&actor->random, SLOTS + 1);
	long ret;

	pthread_rwlock_rdlock(&container->lock);
	if (slot == SLOTS)
		ret = type1_unmap(container->session.container, 0, 0,
				  VFIO_DMA_UNMAP_FLAG_ALL);
	else
		ret = type1_unmap(container->session.container,
				  IOVA + slot * AREA_SIZE, AREA_SIZE, 0);
	if (ret > 0)
		__atomic_fetch_add(&container->unmapped, ret, __ATOMIC_RELAXED);
	pthread_rwlock_unlock(&container->lock);
	if (ret < 0)
		fail("UNMAP_DMA: %ld", ret);
}

/* Closes a container with all it has, and makes it anew. */
static void container_renew(int index)
{
	struct container *container = &containers[index];
	bool overlap;
	long mark;

	pthread_rwlock_wrlock(&container->lock);
	mark = release_mark();
	session_close(&container->session);
	overlap = released_since(mark);
	container_make(index);
	pthread_rwlock_unlock(&container->lock);
	atomic_fetch_add(&stage->renewals, 1);
	atomic_fetch_add(&stage->overlaps, overlap);
}

static void container_renew_any(struct actor *actor)
{
	int index = container_of(actor) - containers;

	/* A group that has an open device stays in its container. */
	if (index != OWN)
		container_renew(index);
}

/* Once in some rounds, as soon as the last of the others lets go of the device. */
static void container_renew_at_release(struct actor *actor)
{
	int i;

	if (stage->round % RENEWAL || stage->round / RENEWAL % ACTORS !=
				      actor->index)
		return;
	for (i = 0; i < 1000 && !atomic_load(&stage->releasing); i++)
		sched_yield();
	container_renew(casting[actor->index].container);
}

/* How long it takes until another thread can run. */
static void pass_time(struct actor *actor)
{
	volatile unsigned int i;

	if (below(&actor->random, 2))
		sched_yield();
	else
		for (i = below(&actor->random, 20000); i; i--)
			;
}

static void act_once(struct actor *actor)
{
	switch (below(&actor->random, 32)) {
	case 0:
		device_close(actor);
		break;
	case 1 ... 2:
		area_clear(actor);
		break;
	case 3:
		memory_toggle(actor);
		break;
	case 4 ... 11:
		dma_unmap(actor);
		break;
	case 12:
		if (!below(&actor->random, 8))
			container_renew_any(actor);
		break;
	case 13 ... 14:
		pass_time(actor);
		break;
	case 15:
		device_open(actor);
		area_fill(actor);
		break;
	default:
		area_fill(actor);
		dma_map(actor);
	}
}

/* Who preempts whom; in most rounds nobody, since that takes longer. */
static void draw_priority(struct actor *actor)
{
	struct sched_param param = {
		.sched_priority = stage->seed % 16 ? 0 :
				  below(&actor->random, 4),
	};

	sched_setscheduler(0, param.sched_priority ? SCHED_FIFO : SCHED_OTHER,
			   &param);
}

/* Now and then, whether there is anything to take away; a list takes a while. */
static void look(struct actor *actor)
{
	const char *bdf = pci_device(members[casting[actor->index].container]);

	if (actor->pages && below(&actor->random, 2) &&
	    iommu_entries(bdf, bar_address, BAR_SIZE) > 0)
		atomic_fetch_add(&stage->reached, 1);
}

void act(struct actor *actor)
{
	int i;

	draw_priority(actor);
	/* Opening and closing takes most of the time. */
	if (stage->seed % ACTORS == actor->index || !below(&actor->random, 8)) {
		device_open(actor);
		area_fill(actor);
		dma_map(actor);
	}
	for (i = below(&actor->random, OPERATIONS); i >= 0; i--)
		act_once(actor);
	look(actor);
	if (below(&actor->random, 2)) {
		area_clear(actor);
		device_close(actor);
	} else {
		device_close(actor);
		area_clear(actor);
	}
	container_renew_at_release(actor);
}
