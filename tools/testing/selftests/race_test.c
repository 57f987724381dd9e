// SPDX-License-Identifier: GPL-2.0
/*
 * Faults against everything that takes device memory away, for twenty seconds
 * each. RACE_SECONDS in the environment makes it shorter, or longer.
 *
 * Who takes memory away publishes that in a counter, which is odd from when memory
 * is known to be gone until before it is given back. An access that succeeds while
 * the counter is odd, and the same before and after it, was made to memory that
 * was gone: it is stale. So is one that reads something that the device never had
 * there.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define SECONDS		20

/* How many steps and reads of each reader it takes to say anything. */
#define ENOUGH		20

#define READERS		8
#define CHILD_READS	20

/* Where to read, and what is there. */
struct place {
	_Atomic(void *) addr;
	size_t size;
};

/* Shared with children. */
struct race {
	int fds[2];
	unsigned int bar;
	uint32_t value;
	struct place places[READERS];
	/* Odd while memory is gone. */
	atomic_ulong gone;
	atomic_ulong works;
	atomic_ulong sigbus;
	atomic_ulong sigsegv;
	atomic_ulong stale;
	atomic_ulong wrong;
	atomic_ulong broken;
	atomic_bool stop;
};

struct reader {
	struct race *race;
	pthread_t thread;
	unsigned int index;
	atomic_ulong reads;
};

static unsigned int seconds(void)
{
	const char *text = getenv("RACE_SECONDS");

	return text ? atoi(text) : SECONDS;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static unsigned int pick(unsigned int *seed, unsigned int count)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % count;
}

/* One access, judged by what the counter says before and after. */
static void race_read(struct race *race, const void *addr)
{
	unsigned long before = atomic_load(&race->gone);
	uint32_t value = 0;
	int ret = mmio_read(addr, &value);
	unsigned long after = atomic_load(&race->gone);

	if (ret == -SIGBUS) {
		atomic_fetch_add(&race->sigbus, 1);
	} else if (ret == -SIGSEGV) {
		atomic_fetch_add(&race->sigsegv, 1);
	} else {
		atomic_fetch_add(&race->works, 1);
		if (before == after && before % 2)
			atomic_fetch_add(&race->stale, 1);
		if (value != race->value)
			atomic_fetch_add(&race->wrong, 1);
	}
}

/* Somewhere in the place: each word that is read has the same value. */
static void race_read_any(struct race *race, struct place *place,
			  unsigned int *seed)
{
	size_t page = pick(seed, place->size / PAGE_SIZE);

	race_read(race, atomic_load(&place->addr) + page * PAGE_SIZE);
}

static void *reader_run(void *data)
{
	struct reader *reader = data;
	struct race *race = reader->race;
	unsigned int seed = reader->index + 1;

	while (!atomic_load(&race->stop)) {
		race_read_any(race, &race->places[reader->index], &seed);
		reader->reads++;
	}
	return NULL;
}

/*
 * What takes memory away goes first, wherever it finds the readers: on one
 * processor they would hardly let it run otherwise.
 */
static int go_first(void)
{
	struct sched_param param = { .sched_priority = 1 };

	return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
}

/* Whether each reader has read something. */
static bool all_have_read(const struct reader *readers)
{
	unsigned int i;

	for (i = 0; i < READERS; i++) {
		if (atomic_load(&readers[i].reads) <= ENOUGH)
			return false;
	}
	return true;
}

/*
 * Runs all readers, and one step after the other until time is over. On a host that
 * has other things to do that takes longer, until there is something to judge by.
 */
static unsigned long race_run(struct race *race, struct reader *readers,
			      int (*step)(struct race *race, unsigned int *seed))
{
	uint64_t end = now() + seconds() * 1000000000ULL;
	unsigned long steps = 0;
	unsigned int seed = 1;
	unsigned int i;

	for (i = 0; i < READERS; i++) {
		readers[i].race = race;
		readers[i].index = i;
		if (pthread_create(&readers[i].thread, NULL, reader_run,
				   &readers[i]))
			_exit(KSFT_FAIL);
	}
	if (go_first())
		_exit(KSFT_FAIL);
	while (!atomic_load(&race->broken) &&
	       (now() < end || steps < ENOUGH || !all_have_read(readers))) {
		if (step(race, &seed))
			atomic_fetch_add(&race->broken, 1);
		else
			steps++;
	}
	atomic_store(&race->stop, true);
	for (i = 0; i < READERS; i++)
		pthread_join(readers[i].thread, NULL);
	return steps;
}

static void rest(unsigned int *seed)
{
	usleep(100 + pick(seed, 2000));
}

/* ---- steps ---- */

static int step_toggle(struct race *race, unsigned int *seed)
{
	int fd = race->fds[pick(seed, 2)];

	if (memory_enable(fd, false))
		return -1;
	atomic_fetch_add(&race->gone, 1);
	rest(seed);
	atomic_fetch_add(&race->gone, 1);
	if (memory_enable(fd, true))
		return -1;
	rest(seed);
	return 0;
}

/* Memory is gone during the reset only; a stale access reads what is not there. */
static int step_reset(struct race *race, unsigned int *seed)
{
	if (vfio_ioctl(race->fds[pick(seed, 2)], VFIO_DEVICE_RESET, 0))
		return -1;
	rest(seed);
	return 0;
}

/* A child has copies of all mappings, and is as little let through. */
static int shape_fork(struct race *race, unsigned int *seed)
{
	pid_t pid = fork();
	unsigned int i;

	if (!pid) {
		for (i = 0; i < CHILD_READS; i++)
			race_read_any(race, &race->places[i % READERS], seed);
		_exit(0);
	}
	return pid < 0 ? -1 : child_result(pid);
}

/* Each place has two addresses that suit it; the mapping moves between them. */
static void *other_address(void *addr)
{
	return (void *)((uintptr_t)addr ^ SIZE_1G);
}

static int shape_mremap(struct race *race, struct place *place)
{
	void *from = atomic_load(&place->addr);
	void *to = other_address(from);

	if (mremap(from, place->size, place->size, MREMAP_MAYMOVE | MREMAP_FIXED,
		   to) != to)
		return -1;
	atomic_store(&place->addr, to);
	return 0;
}

static int shape_mmap(struct race *race, struct place *place, uint64_t offset,
		      size_t size, unsigned int *seed)
{
	void *addr = atomic_load(&place->addr) + offset;

	return mmap(addr, size, PROT_READ, MAP_SHARED | MAP_FIXED,
		    race->fds[pick(seed, 2)], REGION_OFFSET(race->bar) + offset) ==
	       addr ? 0 : -1;
}

/* A hole, in the middle of a large page perhaps; filled again. */
static int shape_munmap(struct race *race, struct place *place,
			unsigned int *seed)
{
	size_t pages = place->size / PAGE_SIZE;
	size_t first = pick(seed, pages);
	size_t count = 1 + pick(seed, pages - first);
	void *hole = atomic_load(&place->addr) + first * PAGE_SIZE;

	if (munmap(hole, count * PAGE_SIZE))
		return -1;
	sched_yield();
	/* As one area again: a hole is filled with another fd's, so is all else. */
	return shape_mmap(race, place, 0, place->size, seed);
}

static int shape_mprotect(struct race *race, struct place *place,
			  unsigned int *seed)
{
	static const int protections[] = { PROT_NONE, PROT_READ | PROT_WRITE };
	void *addr = atomic_load(&place->addr);

	if (mprotect(addr, place->size, protections[pick(seed, 2)]))
		return -1;
	sched_yield();
	return mprotect(addr, place->size, PROT_READ);
}

static int step_shape(struct race *race, unsigned int *seed)
{
	struct place *place = &race->places[pick(seed, READERS)];

	switch (pick(seed, 16)) {
	case 0:
		return shape_fork(race, seed);
	case 1 ... 3:
		return shape_munmap(race, place, seed);
	case 4 ... 6:
		return shape_mremap(race, place);
	case 7 ... 9:
		return shape_mprotect(race, place, seed);
	default:
		return step_toggle(race, seed);
	}
}

/* ---- the tests ---- */

FIXTURE(race)
{
	struct vfio_session session;
	struct race *race;
	struct reader readers[READERS];
	int second;
};

FIXTURE_VARIANT(race)
{
	const char *device;
	unsigned int bar;
	size_t size;
	int (*step)(struct race *race, unsigned int *seed);
	/* Whether an access may find no memory, or no mapping. */
	bool sigbus;
	bool sigsegv;
};

/* Shared memory on a BAR: each word of it can have a value that is known. */
FIXTURE_VARIANT_ADD(race, memory_bit)
{
	.device = "IVSHMEM",
	.bar = 2,
	.size = 2 * SIZE_2M,
	.step = step_toggle,
	.sigbus = true,
};

/* One page of registers, whose first does not change. */
FIXTURE_VARIANT_ADD(race, reset)
{
	.device = "NVME",
	.bar = 0,
	.size = PAGE_SIZE,
	.step = step_reset,
};

FIXTURE_VARIANT_ADD(race, address_space)
{
	.device = "IVSHMEM",
	.bar = 2,
	.size = 2 * SIZE_2M,
	.step = step_shape,
	.sigbus = true,
	.sigsegv = true,
};

/* Fills what will be read with one value. */
static int fill(int fd, unsigned int bar, size_t size, uint32_t value)
{
	uint64_t offset;

	for (offset = 0; offset < size; offset += PAGE_SIZE) {
		if (region_write(fd, bar, offset, &value, 4) != 4)
			return -1;
	}
	return 0;
}

/* Every other place is off by a page, so that it has small pages only. */
static void *place_reserve(unsigned int index)
{
	char *addr = memory_new_aligned(2 * SIZE_1G, 2 * SIZE_1G);

	return addr == MAP_FAILED ? NULL : addr + (index % 2) * PAGE_SIZE;
}

FIXTURE_SETUP(race)
{
	struct race *race;
	unsigned int i;
	int fd;

	SHARE_DEVICE(&self->session, variant->device);
	fd = self->session.device;
	self->second = group_device(self->session.group, self->session.bdf);
	ASSERT_LE(0, self->second);
	race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, race);
	self->race = race;
	race->bar = variant->bar;
	race->fds[0] = fd;
	race->fds[1] = self->second;
	if (variant->size > PAGE_SIZE) {
		ASSERT_EQ(0, fill(fd, race->bar, variant->size, 0x5aa51234));
	}
	ASSERT_EQ(4, region_read(fd, race->bar, 0, &race->value, 4));
	for (i = 0; i < READERS; i++) {
		struct place *place = &race->places[i];

		place->addr = place_reserve(i);
		ASSERT_NE(NULL, place->addr);
		place->size = variant->size;
		ASSERT_EQ(place->addr,
			  mmap(place->addr, place->size, PROT_READ,
			       MAP_SHARED | MAP_FIXED, race->fds[i / 2 % 2],
			       REGION_OFFSET(race->bar)));
	}
}

FIXTURE_TEARDOWN(race)
{
	unsigned int i;

	for (i = 0; i < READERS; i++)
		munmap(self->race->places[i].addr, self->race->places[i].size);
	close(self->second);
	EXPECT_EQ(0, memory_enable(self->session.device, true));
	EXPECT_EQ(0, session_finish(&self->session));
}

/* 8-17, 8-20, 8-24: nobody gets through to memory that is gone. */
TEST_F(race, faults)
{
	struct race *race = self->race;
	unsigned long steps = race_run(race, self->readers, variant->step);
	unsigned int i;

	TH_LOG("%lu steps; %lu reads worked, %lu SIGBUS, %lu SIGSEGV; %lu stale, %lu wrong",
	       steps, race->works, race->sigbus, race->sigsegv, race->stale,
	       race->wrong);
	EXPECT_EQ(0, race->stale);
	EXPECT_EQ(0, race->wrong);
	EXPECT_EQ(0, race->broken);
	EXPECT_EQ(variant->sigbus, !!race->sigbus);
	EXPECT_EQ(variant->sigsegv, !!race->sigsegv);
	EXPECT_LT(0, race->works);
	/* And when all is over, every mapping works. */
	for (i = 0; i < READERS; i++)
		EXPECT_EQ(race->value, mmio_at(race->places[i].addr));
}

VFIO_TEST_MAIN_OPEN("IVSHMEM", "NVME")
