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
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "iommu_debug.h"
#include "kselftest_harness.h"
#include "seed.h"
#include "vfio_fixture.h"

/*
 * A round takes 15 ms, but half a second on a kernel with checkers. The C modules
 * do not take anything away, so there is less to see with them.
 */
#define ROUNDS_PLAIN	5000
#define ROUNDS_DEBUG	40
#define ROUNDS_C	500
/* After so many rounds everything is closed, and the device changes its driver. */
#define ROUNDS_PLAY	500
/* In one of so many rounds a container is closed on purpose. */
#define RENEWAL		8
/*
 * In seconds: how long a round may take before something is thought to hang, and after
 * which time no more are begun, unless ROUNDS says how many there are. A host with
 * other guests is many times slower.
 */
#define ROUND_LIMIT	300
#define PLAY_LIMIT	60
#define TEST_LIMIT	36000

#define BAR		2
#define BAR_SIZE	(64UL << 20)

/* An actor's part of its process's memory: two huge pages. */
#define AREA_PAGES	1024
#define AREA_SIZE	(AREA_PAGES * PAGE_SIZE)
#define HUGE_PAGES	512

#define IOVA		0x40000000UL
#define SLOTS		6

#define ACTORS		5
#define OPERATIONS	6

/* Of the process that runs the test, and of its child. */
enum { PARENT, CHILD, PROCESSES };

static const struct {
	int process;
	/* The containers that it uses, first and number. */
	int container, containers;
} casting[ACTORS] = {
	{ PARENT, 0, 2 }, { PARENT, 0, 2 }, { PARENT, 0, 1 },
	{ CHILD, 2, 1 }, { CHILD, 2, 1 },
};

#define CONTAINERS	3

/* Container 1 is that of the device whose memory is mapped. */
static const char *const members[CONTAINERS] = { "EDU", "IVSHMEM", "TESTDEV" };
static const int keepers[CONTAINERS] = { PARENT, PARENT, CHILD };

#define OWN		1

struct container {
	struct vfio_session session;
	/* For writing while the container is closed and made anew. */
	pthread_rwlock_t lock;
	uint64_t mapped;
	uint64_t unmapped;
};

/* What both processes share. */
struct stage {
	pthread_barrier_t barrier;
	long round;
	uint64_t seed;
	bool over;
	atomic_bool failed;
	char error[256];
	/* Memory has been disabled in this round, so mapping it may be refused. */
	atomic_bool disabled;
	/* What keeps the device open: its files, and the areas that map it. */
	atomic_long holders;
	/* The last of them is letting go, or has. */
	atomic_long releasing, releases;
	/* What has happened, so that it can be seen that something has. */
	atomic_long maps, taken, faults, opens, renewals, overlaps, reached;
};

static struct stage *stage;
static struct container containers[CONTAINERS];
static int iommu_type;
/* A file of the group of the device, which both processes have. */
static int device_group;
static const char *device_bdf;
static uint64_t bar_address;
/* The areas of this process's actors. */
static char *areas[ACTORS];

/* What goes wrong first ends the test. */
#define fail(...)							\
	do {								\
		if (!atomic_exchange(&stage->failed, true))		\
			snprintf(stage->error, sizeof(stage->error),	\
				 __VA_ARGS__);				\
	} while (0)

/* ---- what an actor does ---- */

struct actor {
	int index;
	uint64_t random;
	int device;
	char *area;
	/* Which pages of the area are the device's. */
	unsigned int first, pages;
};

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
static void area_clear(struct actor *actor)
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
	long ret;

	while (!area)
		area = areas[below(&actor->random, ACTORS)];
	if (actor->pages == HUGE_PAGES && below(&actor->random, 2)) {
		area = actor->area;
		first = HUGE_PAGES;
		pages = HUGE_PAGES;
	}
	pthread_rwlock_rdlock(&container->lock);
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
		if (!atomic_load(&stage->disabled))
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

static void container_make(int index)
{
	int ret = session_join(&containers[index].session,
			       pci_device(members[index]), iommu_type);

	if (ret)
		fail("container %d cannot be made: %d", index, ret);
	containers[index].mapped = 0;
	containers[index].unmapped = 0;
}

/* Closes a container with all it has, and makes it anew. */
static void container_renew(int index)
{
	struct container *container = &containers[index];
	bool overlap;
	long before;

	pthread_rwlock_wrlock(&container->lock);
	before = atomic_load(&stage->releases);
	overlap = atomic_load(&stage->releasing);
	session_close(&container->session);
	overlap |= atomic_load(&stage->releases) != before;
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

static void act(struct actor *actor)
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

/* ---- what must be true when nobody has the device ---- */

static void check_container(int index)
{
	struct container *container = &containers[index];
	long left;

	left = iommu_entries(pci_device(members[index]), bar_address, BAR_SIZE);
	if (left && !on_c_modules())
		fail("container %d reaches the device's memory: %ld", index,
		     left);
	left = type1_unmap(container->session.container, 0, 0,
			   VFIO_DMA_UNMAP_FLAG_ALL);
	if (container->mapped != container->unmapped + left)
		fail("container %d: mapped 0x%lx, unmapped 0x%lx and 0x%lx",
		     index, container->mapped, container->unmapped, left);
	container->mapped = 0;
	container->unmapped = 0;
	if (type1_dma_avail(container->session.container) != 65535)
		fail("container %d has no room for all mappings", index);
}

static void check_process(int process)
{
	int i;

	for (i = 0; i < CONTAINERS; i++)
		if (keepers[i] == process)
			check_container(i);
	if (memory_locked_kb())
		fail("process %d is charged for %ld KiB", process,
		     memory_locked_kb());
}

/* ---- processes ---- */

static pthread_t threads[ACTORS];
static struct actor actors[ACTORS];

static void containers_make(int process)
{
	int i;

	for (i = 0; i < CONTAINERS; i++) {
		pthread_rwlock_init(&containers[i].lock, NULL);
		if (keepers[i] == process)
			container_make(i);
	}
}

static void containers_close(int process)
{
	int i;

	for (i = 0; i < CONTAINERS; i++)
		if (keepers[i] == process)
			session_close(&containers[i].session);
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
