// SPDX-License-Identifier: GPL-2.0
/* Signals that come during MAP_DMA and UNMAP_DMA, harmless ones and SIGKILL. */
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA		0x100000000UL
#define HUGE_SIZE	(4UL << 30)
/* That many times a small file makes up the rest. */
#define FILE_SIZE	(32 * SIZE_2M)
#define SMALL_SIZE	(64UL << 20)
#define PERIOD_NS	1000000L
/* As many expirations at least make a test of a call. */
#define FEW		10

static volatile long expired;

static void on_timer(int number, siginfo_t *info, void *context)
{
	expired += 1 + info->si_overrun;
}

/* A signal every millisecond, or whenever the kernel's timers allow. */
static long timer_begin(timer_t *timer)
{
	struct sigaction action = {
		.sa_sigaction = on_timer,
		.sa_flags = SA_SIGINFO,
	};
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGRTMIN,
	};
	const struct itimerspec period = {
		.it_interval = { .tv_nsec = PERIOD_NS },
		.it_value = { .tv_nsec = PERIOD_NS },
	};

	expired = 0;
	if (sigaction(SIGRTMIN, &action, NULL) ||
	    timer_create(CLOCK_MONOTONIC, &event, timer))
		return -errno;
	return sys_result(timer_settime(*timer, 0, &period, NULL));
}

FIXTURE(signals)
{
	struct vfio_session session;
	int container;
	timer_t timer;
};

FIXTURE_SETUP(signals)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	ASSERT_EQ(0, session_join(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	self->container = self->session.container;
	ASSERT_EQ(0, timer_begin(&self->timer));
}

FIXTURE_TEARDOWN(signals)
{
	timer_delete(self->timer);
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

static void map_and_unmap(struct __test_metadata *_metadata, int container,
			  void *memory, size_t size)
{
	long before = expired;

	EXPECT_EQ(0, type1_map(container, memory, IOVA, size, DMA_RW));
	TH_LOG("%ld expirations", expired - before);
	EXPECT_LT(FEW, expired - before);
	EXPECT_EQ(size, type1_unmap(container, IOVA, size, 0));
}

/* 5-15, 5-23: a file of huge pages that is there many times. */
TEST_F(signals, huge_pages)
{
	char *area = memory_new_aligned(HUGE_SIZE, SIZE_2M);
	int fd = memfd_create("huge", MFD_HUGETLB);
	uint64_t offset;

	ASSERT_NE(MAP_FAILED, (void *)area);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, FILE_SIZE));
	for (offset = 0; offset < HUGE_SIZE; offset += FILE_SIZE)
		ASSERT_NE(MAP_FAILED,
			  mmap(area + offset, FILE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED, fd, 0));
	map_and_unmap(_metadata, self->container, area, HUGE_SIZE);
	close(fd);
}

/* Every page of this comes into being in the call. */
TEST_F(signals, untouched_pages)
{
	void *memory = mmap(NULL, SMALL_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, memory);
	map_and_unmap(_metadata, self->container, memory, SMALL_SIZE);
}

/* ---- SIGKILL ---- */

/* What parent and child have in common. */
struct killed {
	volatile bool began;
	volatile bool returned;
	struct vfio_iommu_type1_dma_unmap unmap;
};

FIXTURE(killed)
{
	struct vfio_session session;
	struct killed *shared;
	void *page;
};

FIXTURE_SETUP(killed)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	ASSERT_EQ(0, session_join(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	self->page = memory_new(PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, self->page);
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->shared);
}

FIXTURE_TEARDOWN(killed)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

/* Has a child unmap everything, and kills it after a while. */
static void kill_unmapper(struct __test_metadata *_metadata,
			  struct _test_data_killed *self, long microseconds)
{
	struct killed *shared = self->shared;
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	shared->unmap.argsz = sizeof(shared->unmap);
	shared->unmap.flags = VFIO_DMA_UNMAP_FLAG_ALL;
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		shared->began = true;
		vfio_ioctl(self->session.container, VFIO_IOMMU_UNMAP_DMA,
			   &shared->unmap);
		shared->returned = true;
		pause();
	}
	while (!shared->began)
		usleep(100);
	usleep(microseconds);
	ASSERT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(-SIGKILL, child_result(child));
}

/*
 * 5-49, 5-52, 5-55: others have the container as well, so all of it goes, and the
 * size is there for whoever can see it.
 */
TEST_F(killed, unmap)
{
	const unsigned int count = kernel_has_checkers() ? 3000 : 10000;
	int container = self->session.container;
	long available = type1_dma_avail(container);
	long delay = 32000;
	unsigned int i;

	/* Shorter, if the call was faster than that. */
	do {
		for (i = 0; i < count; i++)
			ASSERT_EQ(0, type1_map(container, self->page,
					       IOVA + i * PAGE_SIZE, PAGE_SIZE,
					       DMA_RW));
		kill_unmapper(_metadata, self, delay);
		EXPECT_EQ(available, type1_dma_avail(container));
		EXPECT_EQ(count * PAGE_SIZE, self->shared->unmap.size);
		delay /= 2;
	} while (self->shared->returned && delay);
	EXPECT_FALSE(self->shared->returned);
}

VFIO_TEST_MAIN("EDU")
