// SPDX-License-Identifier: GPL-2.0
/*
 * The page tables of a process that has a large BAR mapped in huge entries, while
 * others look at them: /proc/PID/smaps, numa_maps, pagemap, mincore(). Meanwhile the
 * BAR is mapped for DMA, and taken away and brought back by its memory bit.
 *
 * A look may split huge entries of such a mapping, which takes them away, and made
 * the kernel crash once when they came back at the same time.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "kernel_log.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define BAR		2
#define IOVA		0x100000000UL
#define SIZE		(2 * SIZE_1G)
#define SECONDS		5
/* Two that read files, one for pagemap and mincore(), one that splits. */
#define WALKERS		4

struct walk {
	int device;
	uint8_t *bar;
	volatile bool stop;
	unsigned long reads[WALKERS];
};

static void read_all(struct walk *walk, const char *path, unsigned int nth)
{
	char text[4096];
	int fd;

	while (!walk->stop) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		while (read(fd, text, sizeof(text)) > 0)
			;
		close(fd);
		walk->reads[nth]++;
	}
}

static void *read_smaps(void *arg)
{
	read_all(arg, "/proc/self/smaps", 0);
	return NULL;
}

static void *read_numa_maps(void *arg)
{
	read_all(arg, "/proc/self/numa_maps", 1);
	return NULL;
}

static void *read_pages(void *arg)
{
	static unsigned char resident[SIZE_2M / PAGE_SIZE];
	static uint64_t entries[4096];
	struct walk *walk = arg;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t at = 0;

	while (!walk->stop) {
		uint64_t page = (uintptr_t)(walk->bar + at) / PAGE_SIZE;

		if (fd >= 0)
			pread(fd, entries, sizeof(entries), page * sizeof(*entries));
		mincore(walk->bar + at, SIZE_2M, resident);
		at = (at + 37 * SIZE_2M) % SIZE;
		walk->reads[2]++;
	}
	close(fd);
	return NULL;
}

/*
 * Splits huge entries of a mapping of its own, and drops it. With the C modules they
 * are of 2 MiB, since to split one of 1 GiB crashes the kernel; see "block" below.
 */
static void *split(void *arg)
{
	struct walk *walk = arg;
	uint8_t *space = memory_new_aligned(2 * SIZE_1G, SIZE_1G);
	uint8_t *place = on_c_modules() ? space + SIZE_2M : space;
	uint8_t *part = place + 3 * SIZE_2M + PAGE_SIZE;

	while (!walk->stop) {
		if (mmap(place, SIZE_1G, PROT_READ, MAP_SHARED | MAP_FIXED,
			 walk->device, REGION_OFFSET(BAR)) == MAP_FAILED)
			break;
		mmio_at(place);
		mprotect(part, 5 * PAGE_SIZE, PROT_NONE);
		mmio_at(place + SIZE_2M);
		mprotect(part, 5 * PAGE_SIZE, PROT_READ);
		mmio_at(part);
		walk->reads[3]++;
	}
	munmap(space, 2 * SIZE_1G);
	return NULL;
}

FIXTURE(walk)
{
	struct vfio_session session;
	struct walk walk;
	pthread_t threads[WALKERS];
};

FIXTURE_SETUP(walk)
{
	void *(*const walkers[WALKERS])(void *) = {
		read_smaps, read_numa_maps, read_pages, split,
	};
	struct walk *walk = &self->walk;
	const char *bdf;
	int i;

	NEED_DEVICE(bdf, "TESTDEV");
	ASSERT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, memory_enable(self->session.device, true));
	walk->device = self->session.device;
	walk->bar = memory_new_aligned(SIZE, SIZE_1G);
	ASSERT_NE(MAP_FAILED, (void *)walk->bar);
	ASSERT_EQ(walk->bar, mmap(walk->bar, SIZE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_FIXED, walk->device,
				  REGION_OFFSET(BAR)));
	for (i = 0; i < WALKERS; i++)
		ASSERT_EQ(0, pthread_create(&self->threads[i], NULL, walkers[i],
					    walk));
}

FIXTURE_TEARDOWN(walk)
{
	int i;

	self->walk.stop = true;
	for (i = 0; i < WALKERS; i++)
		pthread_join(self->threads[i], NULL);
	printf("# smaps %lu, numa_maps %lu, pagemap %lu, splits %lu\n",
	       self->walk.reads[0], self->walk.reads[1], self->walk.reads[2],
	       self->walk.reads[3]);
	/* numa_maps is not there without NUMA. */
	EXPECT_LT(0, self->walk.reads[0]);
	EXPECT_LT(0, self->walk.reads[2]);
	EXPECT_LT(0, self->walk.reads[3]);
	munmap(self->walk.bar, SIZE);
	EXPECT_EQ(0, session_finish(&self->session));
}

static bool later_than(const struct timespec *start, int seconds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec >= seconds;
}

/* 5-25, 5-26: what a look takes away comes back; the C modules give up at times. */
TEST_F_TIMEOUT(walk, dma, 120)
{
	unsigned long mapped = 0, refused = 0;
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!later_than(&start, SECONDS)) {
		long ret = type1_map(self->session.container, self->walk.bar, IOVA,
				     SIZE, DMA_RW);

		if (ret == -EINVAL && on_c_modules()) {
			refused++;
			continue;
		}
		ASSERT_EQ(0, ret);
		ASSERT_EQ(SIZE, type1_unmap(self->session.container, IOVA, SIZE,
					    0));
		mapped++;
	}
	EXPECT_LT(0, mapped);
	printf("# mapped for DMA %lu times, refused %lu times\n", mapped, refused);
}

/* 8-12, 8-17: entries come and go as they should, whoever looks. */
TEST_F_TIMEOUT(walk, memory_bit, 120)
{
	struct timespec start;
	unsigned long rounds = 0;
	size_t at;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!later_than(&start, SECONDS)) {
		at = rounds * 97 * PAGE_SIZE % SIZE;
		ASSERT_LE(0, mmio_at(self->walk.bar + at));
		ASSERT_EQ(0, memory_enable(self->session.device, false));
		ASSERT_EQ(-SIGBUS, mmio_at(self->walk.bar + at));
		ASSERT_EQ(0, memory_enable(self->session.device, true));
		rounds++;
	}
	printf("# %lu rounds\n", rounds);
}

/* Room for the mapping, for a GiB that keeps two places apart, and for another. */
#define SPACE		(2 * SIZE + SIZE_1G)

/* One entry of the page table for each GiB. */
FIXTURE(block)
{
	struct vfio_session session;
	uint8_t *space;
	/* Where the mapping is. */
	uint8_t *bar;
};

FIXTURE_SETUP(block)
{
	const char *bdf;

	if (on_c_modules()) {
		report_difference("a mapping that is split within 1 GiB",
				  "the kernel crashes; not tried");
		SKIP(return, "C modules: the kernel crashes");
	}
	NEED_DEVICE(bdf, "TESTDEV");
	ASSERT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, memory_enable(self->session.device, true));
	self->space = memory_new_aligned(SPACE, SIZE_1G);
	ASSERT_NE(MAP_FAILED, (void *)self->space);
	self->bar = self->space;
	ASSERT_EQ(self->bar, mmap(self->bar, SIZE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_FIXED, self->session.device,
				  REGION_OFFSET(BAR)));
	ASSERT_GE(2, faults_of(self->bar, 1024));
	ASSERT_GE(2, faults_of(self->bar + SIZE_1G, 1024));
	ASSERT_EQ(0, faults_of(self->bar, 1024));
}

/* What is left can be taken away, and comes back. */
FIXTURE_TEARDOWN(block)
{
	uint8_t *last = self->bar + SIZE - PAGE_SIZE;

	EXPECT_LE(0, mmio_at(self->bar));
	EXPECT_LE(0, mmio_at(last));
	EXPECT_EQ(0, memory_enable(self->session.device, false));
	EXPECT_EQ(-SIGBUS, mmio_at(self->bar));
	EXPECT_EQ(-SIGBUS, mmio_at(last));
	EXPECT_EQ(0, memory_enable(self->session.device, true));
	EXPECT_LE(0, mmio_at(self->bar));
	EXPECT_LE(0, mmio_at(last));
	munmap(self->space, SPACE);
	EXPECT_EQ(0, session_finish(&self->session));
}

/* 8-12: mm does not know how to split such an entry: it has to go before. */
TEST_F(block, protection)
{
	uint8_t *part = self->bar + 7 * SIZE_2M + 3 * PAGE_SIZE;

	ASSERT_EQ(0, mprotect(part, 5 * PAGE_SIZE, PROT_NONE));
	EXPECT_LE(0, mmio_at(part - PAGE_SIZE));
	EXPECT_EQ(-SIGSEGV, mmio_at(part));
	EXPECT_EQ(-SIGSEGV, mmio_at(part + 4 * PAGE_SIZE));
	EXPECT_LE(0, mmio_at(part + 5 * PAGE_SIZE));
	/* The other block has not been touched. */
	EXPECT_EQ(0, faults_of(self->bar + SIZE_1G, 1024));
	ASSERT_EQ(0, mprotect(part, 5 * PAGE_SIZE, PROT_READ | PROT_WRITE));
	EXPECT_LE(0, mmio_at(part));
	/* And in the middle of the other, at a place where 2 MiB begin. */
	part = self->bar + SIZE_1G + 9 * SIZE_2M;
	ASSERT_EQ(0, mprotect(part, SIZE_2M, PROT_READ));
	EXPECT_LE(0, mmio_at(part));
	EXPECT_EQ(-SIGSEGV, mmio_write(part, 0));
	EXPECT_LE(0, mmio_at(part - PAGE_SIZE));
	EXPECT_LE(0, mmio_at(part + SIZE_2M));
}

/* 8-12 */
TEST_F(block, hole)
{
	uint8_t *part = self->bar + 11 * SIZE_2M + PAGE_SIZE;

	ASSERT_EQ(0, munmap(part, PAGE_SIZE));
	EXPECT_EQ(-SIGSEGV, mmio_at(part));
	EXPECT_LE(0, mmio_at(part - PAGE_SIZE));
	EXPECT_LE(0, mmio_at(part + PAGE_SIZE));
	part = self->bar + SIZE_1G + 13 * SIZE_2M;
	ASSERT_EQ(0, munmap(part, SIZE_2M));
	EXPECT_EQ(-SIGSEGV, mmio_at(part));
	EXPECT_EQ(-SIGSEGV, mmio_at(part + SIZE_2M - PAGE_SIZE));
	EXPECT_LE(0, mmio_at(part - PAGE_SIZE));
	EXPECT_LE(0, mmio_at(part + SIZE_2M));
}

/* 8-12: an area that moves takes nothing with it, and leaves nothing behind. */
TEST_F(block, moved)
{
	uint8_t *old = self->bar, *to = self->space + SPACE - SIZE;
	int log = log_open();

	ASSERT_EQ(to, mremap(old, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	self->bar = to;
	EXPECT_EQ(-SIGSEGV, mmio_at(old));
	EXPECT_EQ(-SIGSEGV, mmio_at(old + SIZE - PAGE_SIZE));
	EXPECT_LE(0, mmio_at(to));
	EXPECT_LE(0, mmio_at(to + SIZE - PAGE_SIZE));
	/* To where no such entry is possible, and a part alone. */
	self->bar = old + PAGE_SIZE;
	ASSERT_EQ(self->bar, mremap(to, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
				    self->bar));
	EXPECT_EQ(-SIGSEGV, mmio_at(to + SIZE_1G));
	EXPECT_LE(0, mmio_at(self->bar + SIZE_1G));
	ASSERT_EQ(to, mremap(self->bar, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to));
	self->bar = to;
	EXPECT_GE(2, faults_of(to, 1024));
	ASSERT_EQ(old, mremap(to + 5 * SIZE_2M, PAGE_SIZE, PAGE_SIZE,
			      MREMAP_MAYMOVE | MREMAP_FIXED, old));
	EXPECT_EQ(-SIGSEGV, mmio_at(to + 5 * SIZE_2M));
	EXPECT_LE(0, mmio_at(old));
	EXPECT_EQ(0, log_count(log, "bad pud"));
	close(log);
}

/* 8-12: a child has the same, and what it splits is its own. */
TEST_F(block, forked)
{
	uint8_t *part = self->bar + 7 * SIZE_2M + PAGE_SIZE;
	pid_t pid = fork();

	if (!pid)
		_exit(mprotect(part, PAGE_SIZE, PROT_NONE) ||
		      mmio_at(part) != -SIGSEGV ||
		      mmio_at(part + PAGE_SIZE) < 0 ||
		      mmio_at(self->bar + SIZE_1G) < 0);
	EXPECT_EQ(0, child_result(pid));
	EXPECT_LE(0, mmio_at(part));
}

VFIO_TEST_MAIN("TESTDEV")
