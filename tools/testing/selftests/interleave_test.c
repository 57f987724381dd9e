// SPDX-License-Identifier: GPL-2.0
/*
 * Random interleavings of all that can happen to a DMA mapping of a device's
 * memory: parts of it are mapped and unmapped in three containers, two of one
 * process and one of another, while the device is opened and closed, its memory
 * disabled and its areas moved, and while containers are closed. After each
 * round nobody has the device any more; then no IOMMU leads to its memory, every
 * byte that was mapped has been unmapped, and nothing is pinned or charged.
 * From time to time the device changes its driver and comes back.
 *
 * Each round is drawn from the seed that is printed. SEED sets it, ROUNDS the
 * number of rounds per test, to see something again. How threads are scheduled
 * is drawn as well, as far as that goes; the timing itself is not.
 *
 * Threads take turns on one processor, unless PROCESSORS=all is in the environment:
 * QEMU 10.0 can lose a write to a register when another processor makes it rebuild the
 * memory map, as enabling and disabling memory does. If that is the tail of the
 * IOMMU's invalidation queue, Linux waits for the IOMMU for ever (qi_submit_sync()). It
 * takes some ten thousand rounds.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "interleave.h"
#include "kselftest_harness.h"
#include "seed.h"

/*
 * A round takes 15 ms, but half a second on a kernel with checkers. The C modules
 * do not take anything away, so there is less to see with them.
 */
#define ROUNDS_PLAIN	2000
#define ROUNDS_DEBUG	40
#define ROUNDS_C	500
/* After so many rounds everything is closed, and the device changes its driver. */
#define ROUNDS_PLAY	500
/*
 * In seconds: how long a round may take before something is thought to hang, and after
 * which time no more are begun, unless ROUNDS says how many there are. A host with
 * other guests is many times slower.
 */
#define ROUND_LIMIT	300
#define PLAY_LIMIT	60
#define TEST_LIMIT	36000

/* ---- processes ---- */

static pthread_t threads[ACTORS];
static struct actor actors[ACTORS];

static void *actor_main(void *data)
{
	struct actor *actor = data;
	uint64_t seed;

	for (;;) {
		pthread_barrier_wait(&stage->barrier);
		if (stage->over)
			return NULL;
		seed = stage->seed + actor->index;
		actor->random = draw(&seed);
		act(actor);
		/* All have let go of the device; leaders look. */
		pthread_barrier_wait(&stage->barrier);
		pthread_barrier_wait(&stage->barrier);
	}
}

static void actors_begin(int process)
{
	int i;

	for (i = 0; i < ACTORS; i++) {
		areas[i] = NULL;
		if (casting[i].process != process)
			continue;
		areas[i] = memory_new_aligned(AREA_SIZE, SIZE_2M);
		actors[i] = (struct actor) {
			.index = i, .device = -1, .area = areas[i],
		};
		area_clear(&actors[i]);
	}
	/* They use each other's areas. */
	for (i = 0; i < ACTORS; i++)
		if (areas[i] && pthread_create(&threads[i], NULL, actor_main,
					       &actors[i]))
			abort();
}

static void actors_end(void)
{
	int i;

	for (i = 0; i < ACTORS; i++) {
		if (!areas[i])
			continue;
		pthread_join(threads[i], NULL);
		munmap(areas[i], AREA_SIZE);
	}
}

static void child_main(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent's containers are the parent's alone, but not the group. */
	close(containers[OWN].session.container);
	session_close(&containers[0].session);
	containers_make(CHILD);
	actors_begin(CHILD);
	for (;;) {
		pthread_barrier_wait(&stage->barrier);
		if (stage->over)
			break;
		pthread_barrier_wait(&stage->barrier);
		check_process(CHILD);
		pthread_barrier_wait(&stage->barrier);
	}
	actors_end();
	containers_close(CHILD);
	_exit(0);
}

static void play_round(long pinned)
{
	alarm(ROUND_LIMIT);
	stage->disabled = false;
	pthread_barrier_wait(&stage->barrier);
	pthread_barrier_wait(&stage->barrier);
	check_process(PARENT);
	pthread_barrier_wait(&stage->barrier);
	/* This adds up the counters of all processors, which takes a while. */
	if (stage->round % 16 == 0 && memory_pinned_pages() != pinned)
		fail("%ld pages are pinned", memory_pinned_pages() - pinned);
}

/* A number of rounds, with everything made before and closed after. */
static int play(uint64_t *seed, long rounds, long pinned)
{
	pid_t child;

	stage->over = false;
	stage->holders = 0;
	containers_make(PARENT);
	device_group = containers[OWN].session.group;
	child = fork();
	if (!child)
		child_main();
	actors_begin(PARENT);
	for (; rounds && !stage->failed; rounds--, stage->round++) {
		stage->seed = draw(seed);
		play_round(pinned);
	}
	stage->over = true;
	pthread_barrier_wait(&stage->barrier);
	actors_end();
	containers_close(PARENT);
	return child_result(child);
}

/* ---- the test ---- */

/* Who waits for whom is in the kernel's log then. */
static void on_alarm(int signal)
{
	file_write("/proc/sysrq-trigger", "w");
	dprintf(STDOUT_FILENO, "# round %ld, 0x%lx, hangs\n", stage->round,
		stage->seed);
	abort();
}

static long rounds_usual(void)
{
	if (kernel_has_checkers())
		return ROUNDS_DEBUG;
	return on_c_modules() ? ROUNDS_C : ROUNDS_PLAIN;
}

/* All threads of this process and of its children. */
static int use_one_processor(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

FIXTURE(interleave)
{
	long pinned;
	long users;
};

FIXTURE_VARIANT(interleave)
{
	int iommu;
};

FIXTURE_VARIANT_ADD(interleave, v1) { .iommu = VFIO_TYPE1_IOMMU };
FIXTURE_VARIANT_ADD(interleave, v2) { .iommu = VFIO_TYPE1v2_IOMMU };

FIXTURE_SETUP(interleave)
{
	pthread_barrierattr_t shared;
	uint64_t size;
	const char *bdf;
	int i;

	for (i = 0; i < CONTAINERS; i++)
		NEED_DEVICE(bdf, members[i]);
	if (!getenv("PROCESSORS"))
		ASSERT_EQ(0, use_one_processor());
	device_bdf = pci_device(members[OWN]);
	iommu_type = variant->iommu;
	ASSERT_EQ(0, pci_resource(device_bdf, BAR, &bar_address, &size));
	ASSERT_EQ(BAR_SIZE, size);
	stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)stage);
	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&stage->barrier, &shared, ACTORS + PROCESSES);
	self->pinned = memory_pinned_pages();
	self->users = module_users("vfio_pci");
	signal(SIGALRM, on_alarm);
}

FIXTURE_TEARDOWN(interleave)
{
}

TEST_F_TIMEOUT(interleave, random, TEST_LIMIT)
{
	long rounds = setting("ROUNDS", rounds_usual());
	time_t end = time(NULL) + (getenv("ROUNDS") ? TEST_LIMIT : PLAY_LIMIT);
	uint64_t seed = seed_new();

	TH_LOG("%ld rounds, SEED=0x%lx", rounds, seed);
	while (stage->round < rounds && !stage->failed && time(NULL) < end) {
		long left = rounds - stage->round;

		ASSERT_EQ(0, play(&seed, left < ROUNDS_PLAY ? left :
				  ROUNDS_PLAY, self->pinned));
		/* Nobody refers to the device, nor to its driver. */
		EXPECT_EQ(self->users, module_users("vfio_pci"));
		ASSERT_EQ(0, pci_bind(device_bdf, "pci-stub"));
		ASSERT_EQ(0, pci_bind(device_bdf, "vfio-pci"));
	}
	alarm(0);
	ASSERT_FALSE(stage->failed) {
		TH_LOG("round %ld: %s", stage->round, stage->error);
	}
	TH_LOG("%ld rounds: %ld opens, %ld releases, %ld maps, %ld slots taken, %ld faults; seen %ld times",
	       stage->round, stage->opens, stage->releases, stage->maps, stage->taken,
	       stage->faults, stage->reached);
	TH_LOG("%ld containers closed, %ld of them during a release",
	       stage->renewals, stage->overlaps);
	rounds = stage->round;
	/* It did what it is for. */
	EXPECT_LT(rounds / 2, stage->maps);
	EXPECT_LT(rounds / 50, stage->taken + stage->faults);
	EXPECT_LT(rounds / 50, stage->reached);
	EXPECT_LE(rounds / RENEWAL, stage->renewals);
	EXPECT_LE(rounds / 100, stage->overlaps);
}

VFIO_TEST_MAIN("EDU", "IVSHMEM", "TESTDEV")
