// SPDX-License-Identifier: GPL-2.0
/*
 * Who waits for whom: a mapping that takes long, groups that are moved about, and
 * users who have nothing to do with either.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "kselftest_harness.h"
#include "slow_memory.h"
#include "vfio_fixture.h"

#define IOVA		0x10000000UL

/* For a busy machine; what hangs does so until the test ends it. */
#define PATIENCE	20000

/* A thread that does something which may take long. */
struct job {
	pthread_t thread;
	long (*work)(void *data);
	void *data;
	long result;
	atomic_int id;
	atomic_bool done;
	bool started;
};

static void *job_run(void *data)
{
	struct job *job = data;

	atomic_store(&job->id, gettid());
	job->result = job->work(job->data);
	atomic_store(&job->done, true);
	return NULL;
}

static int job_start(struct job *job, long (*work)(void *data), void *data)
{
	int ret;

	job->work = work;
	job->data = data;
	atomic_store(&job->id, 0);
	atomic_store(&job->done, false);
	ret = -pthread_create(&job->thread, NULL, job_run, job);
	job->started = !ret;
	return ret;
}

static bool job_is_done(struct job *job, int milliseconds)
{
	for (; milliseconds > 0 && !atomic_load(&job->done); milliseconds -= 10)
		usleep(10000);
	return atomic_load(&job->done);
}

/* Is the thread asleep in the kernel, where it cannot be interrupted? */
static bool job_sleeps(struct job *job)
{
	char path[64], stat[256];
	const char *state;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat",
		 atomic_load(&job->id));
	if (file_read(path, stat, sizeof(stat)) < 0)
		return false;
	state = strrchr(stat, ')');
	return state && !strncmp(state, ") D", 3);
}

/* Waits until it has been so for half a second: until it waits for somebody. */
static bool job_waits(struct job *job)
{
	int asleep = 0;
	int i;

	for (i = 0; i < PATIENCE / 10 && asleep < 50; i++) {
		usleep(10000);
		asleep = job_sleeps(job) ? asleep + 1 : 0;
	}
	return asleep == 50;
}

/* How often the thread has gone to sleep so far. */
static long job_sleeps_so_far(struct job *job)
{
	static const char name[] = "\nvoluntary_ctxt_switches:";
	char path[64], status[4096];
	const char *line;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status",
		 atomic_load(&job->id));
	if (file_read(path, status, sizeof(status)) < 0)
		return -1;
	line = strstr(status, name);
	return line ? atol(line + strlen(name)) : -1;
}

static long job_end(struct job *job)
{
	if (!job->started)
		return -ECANCELED;
	pthread_join(job->thread, NULL);
	job->started = false;
	return job->result;
}

static uint64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000ULL + time.tv_nsec / 1000000;
}

/* ---- a mapping that takes long ---- */

/* Threads that come when others wait already. */
#define LATE	4

/*
 * A container with a mapping that does not end, in a process of its own; a group that
 * is on its way into it, and one that is in it. A third one has nothing to do with it,
 * but its device and that of the second are reset together.
 */
FIXTURE(slow_map)
{
	const char *joining;
	const char *opening;
	const char *third_bdf;
	struct vfio_session busy;
	struct vfio_session third;
	struct slow_memory slow;
	int joining_group;
	int opening_group;
	int cdev;
	pid_t mapper;
	struct job join;
	struct job open;
	struct job other;
	struct job late[LATE];
};

FIXTURE_SETUP(slow_map)
{
	const char *edu;

	self->mapper = -1;
	self->cdev = -1;
	NEED_DEVICE(edu, "EDU");
	NEED_DEVICE(self->joining, "IVSHMEM");
	NEED_DEVICE(self->third_bdf, "DUAL_IGB_0");
	NEED_DEVICE(self->opening, "DUAL_IGB_1");
	ASSERT_NE(pci_group(self->third_bdf), pci_group(self->opening));
	ASSERT_EQ(0, session_join(&self->busy, edu, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, session_join(&self->third, self->third_bdf,
				  VFIO_TYPE1v2_IOMMU));
	self->joining_group = group_open(self->joining);
	ASSERT_LE(0, self->joining_group);
	self->opening_group = group_open(self->opening);
	ASSERT_LE(0, self->opening_group);
	ASSERT_EQ(0, group_set_container(self->opening_group,
					 self->busy.container));
	ASSERT_EQ(0, slow_memory_new(&self->slow, PAGE_SIZE));
}

FIXTURE_TEARDOWN(slow_map)
{
	int i;

	slow_memory_release(&self->slow);
	for (i = 0; i < LATE; i++)
		job_end(&self->late[i]);
	job_end(&self->join);
	job_end(&self->open);
	job_end(&self->other);
	if (self->mapper > 0) {
		kill(self->mapper, SIGKILL);
		waitpid(self->mapper, NULL, 0);
	}
	slow_memory_end(&self->slow);
	close(self->cdev);
	close(self->joining_group);
	close(self->opening_group);
	session_close(&self->third);
	session_close(&self->busy);
	EXPECT_EQ(0, pci_bind(self->joining, "vfio-pci"));
}

/* Maps the slow memory. */
static pid_t start_mapper(const struct slow_memory *slow, int container)
{
	pid_t pid = fork();
	void *addr;

	if (pid)
		return pid;
	addr = slow_memory_map(slow);
	if (addr == MAP_FAILED)
		_exit(1);
	_exit(type1_map(container, addr, IOVA, slow->size, DMA_RW) != 0);
}

static long join_container(void *data)
{
	struct _test_data_slow_map *self = data;

	return group_set_container(self->joining_group, self->busy.container);
}

static long open_in_container(void *data)
{
	struct _test_data_slow_map *self = data;

	return group_device(self->opening_group, self->opening);
}

/* What a user does who was never near that container. */
static long use_third(void *data)
{
	struct _test_data_slow_map *self = data;
	long device = group_device(self->third.group, self->third_bdf);
	long ret;

	if (device < 0)
		return device;
	ret = vfio_ioctl(device, VFIO_DEVICE_RESET, 0);
	close(device);
	if (ret)
		return ret;
	session_close(&self->third);
	ret = pci_bind(self->third_bdf, NULL);
	return ret ? ret : pci_bind(self->third_bdf, "vfio-pci");
}

static long unbind_joining(void *data)
{
	struct _test_data_slow_map *self = data;

	return pci_bind(self->joining, NULL);
}

static long bind_another(void *data)
{
	const char *bdf = pci_device("TESTDEV");
	int ret = pci_bind(bdf, NULL);

	return ret ? ret : pci_bind(bdf, "vfio-pci");
}

/* A mapping that does not end, and a group that may have to wait for it. */
static bool begin_to_wait(struct _test_data_slow_map *self)
{
	self->mapper = start_mapper(&self->slow, self->busy.container);
	if (self->mapper <= 0 ||
	    !slow_memory_is_awaited(&self->slow, PATIENCE) ||
	    job_start(&self->join, join_container, self))
		return false;
	/* That is up to the backend; but it does not begin any later. */
	job_is_done(&self->join, 1000);
	return true;
}

static int end_of_mapper(struct _test_data_slow_map *self)
{
	pid_t pid = self->mapper;

	slow_memory_release(&self->slow);
	self->mapper = -1;
	return child_result(pid);
}

/* 3-16, 3-34: neither does who opens a device of the container. */
TEST_F(slow_map, others_do_not_wait)
{
	uint64_t start;
	long device;

	ASSERT_TRUE(begin_to_wait(self));
	start = now_ms();
	ASSERT_EQ(0, job_start(&self->open, open_in_container, self));
	EXPECT_TRUE(job_is_done(&self->open, PATIENCE));
	ASSERT_EQ(0, job_start(&self->other, use_third, self));
	EXPECT_TRUE(job_is_done(&self->other, PATIENCE));
	TH_LOG("%llu ms", (unsigned long long)(now_ms() - start));

	EXPECT_EQ(0, end_of_mapper(self));
	EXPECT_EQ(0, job_end(&self->join));
	EXPECT_EQ(0, job_end(&self->other));
	device = job_end(&self->open);
	EXPECT_LE(0, device);
	close(device);
}

/* 3-12: who removes the device of the group that waits has to, and nobody else. */
TEST_F(slow_map, binding_does_not_wait)
{
	bool waits;

	ASSERT_TRUE(begin_to_wait(self));
	ASSERT_EQ(0, job_start(&self->open, unbind_joining, self));
	job_is_done(&self->open, 1000);
	ASSERT_EQ(0, job_start(&self->other, bind_another, self));
	waits = !job_is_done(&self->other, on_c_modules() ? 2000 : PATIENCE);
	report_difference("removal that waits for a group's SET_CONTAINER",
			  waits ? "keeps everybody from binding and unbinding" :
				  "is nobody else's business");
	if (!on_c_modules())
		EXPECT_FALSE(waits);

	EXPECT_EQ(0, end_of_mapper(self));
	job_end(&self->join);
	EXPECT_EQ(0, job_end(&self->open));
	EXPECT_EQ(0, job_end(&self->other));
	EXPECT_EQ(-ENODEV, group_set_container(self->joining_group,
					       self->busy.container));
}

/*
 * 3-12: who removes the last device has his turn, whoever comes to the group after
 * him: he waits for it, asleep. Who wakes up now and then to try has it by luck, so it
 * is his waking up that is looked at.
 */
TEST_F(slow_map, removal_has_its_turn)
{
	long sleeps;
	int i;

	ASSERT_TRUE(begin_to_wait(self));
	if (atomic_load(&self->join.done))
		SKIP(return, "SET_CONTAINER does not wait for a mapping");
	ASSERT_EQ(0, job_start(&self->open, unbind_joining, self));
	ASSERT_TRUE(job_waits(&self->open));
	sleeps = job_sleeps_so_far(&self->open);
	EXPECT_LE(0, sleeps);
	usleep(1000000);
	EXPECT_GE(sleeps + 10, job_sleeps_so_far(&self->open));
	for (i = 0; i < LATE; i++)
		ASSERT_EQ(0, job_start(&self->late[i], join_container, self));
	for (i = 0; i < LATE; i++)
		ASSERT_TRUE(job_waits(&self->late[i]));

	EXPECT_EQ(0, end_of_mapper(self));
	EXPECT_EQ(0, job_end(&self->join));
	EXPECT_EQ(0, job_end(&self->open));
	/* Who is quicker than one that wakes up finds the group in its container. */
	for (i = 0; i < LATE; i++) {
		long ret = job_end(&self->late[i]);

		EXPECT_TRUE(ret == -ENODEV || ret == -EINVAL) TH_LOG("%ld", ret);
	}
}

/* Binds the device with a token that does not come. */
static pid_t start_binder(const struct slow_memory *slow, int cdev)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.iommufd = iommufd_open(),
	};
	pid_t pid = fork();

	if (pid) {
		close(bind.iommufd);
		return pid;
	}
	bind.token_uuid_ptr = (uintptr_t)slow_memory_map(slow);
	_exit(vfio_ioctl(cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind) != 0);
}

/* 4-13, 4-14: users of other devices do not wait for anybody's memory. */
TEST_F(slow_map, token_that_does_not_come)
{
	bool waits;

	close(self->opening_group);
	self->opening_group = -1;
	self->cdev = cdev_open(self->opening, O_RDWR);
	if (self->cdev == -ENOENT)
		SKIP(return, "no character devices");
	ASSERT_LE(0, self->cdev);
	self->mapper = start_binder(&self->slow, self->cdev);
	ASSERT_LT(0, self->mapper);
	ASSERT_TRUE(slow_memory_is_awaited(&self->slow, PATIENCE));
	ASSERT_EQ(0, job_start(&self->other, use_third, self));
	waits = !job_is_done(&self->other, on_c_modules() ? 2000 : PATIENCE);
	report_difference("BIND_IOMMUFD that waits for its user's memory",
			  waits ? "keeps users of other functions waiting" :
				  "is nobody else's business");
	if (!on_c_modules())
		EXPECT_FALSE(waits);
	EXPECT_EQ(0, end_of_mapper(self));
	EXPECT_EQ(0, job_end(&self->other));
}

/* ---- groups that are moved about ---- */

#define MOVERS	4

/* A group that threads put into a container and take out of it, all the time. */
FIXTURE(moved)
{
	const char *bdf;
	struct vfio_session other;
	int group;
	struct job movers[MOVERS];
	struct job unbind;
	struct job bind;
	atomic_bool stop;
	atomic_ulong moves;
};

FIXTURE_SETUP(moved)
{
	const char *edu;

	NEED_DEVICE(self->bdf, "IVSHMEM");
	NEED_DEVICE(edu, "EDU");
	ASSERT_EQ(0, session_join(&self->other, edu, VFIO_TYPE1v2_IOMMU));
	self->group = group_open(self->bdf);
	ASSERT_LE(0, self->group);
}

FIXTURE_TEARDOWN(moved)
{
	int i;

	atomic_store(&self->stop, true);
	for (i = 0; i < MOVERS; i++)
		job_end(&self->movers[i]);
	job_end(&self->unbind);
	job_end(&self->bind);
	close(self->group);
	session_close(&self->other);
	EXPECT_EQ(0, pci_bind(self->bdf, "vfio-pci"));
	EXPECT_EQ(0, pci_bind(pci_device("TESTDEV"), "vfio-pci"));
}

/* Until there is no device any more; or it is too late. */
static long move_group(void *data)
{
	struct _test_data_moved *self = data;
	long ret = 0;

	while (ret != -ENODEV && !atomic_load(&self->stop)) {
		ret = group_set_container(self->group, self->other.container);
		if (!ret)
			atomic_fetch_add(&self->moves, 1);
		vfio_ioctl(self->group, VFIO_GROUP_UNSET_CONTAINER, 0);
	}
	return ret;
}

static long unbind_moved(void *data)
{
	struct _test_data_moved *self = data;

	return pci_bind(self->bdf, NULL);
}

/*
 * 3-12: the last device leaves, and others come meanwhile. This is about what becomes of
 * everybody. Whether the removal has its turn cannot be seen here: even if it only tried
 * the lock from time to time, it would have it within seconds.
 */
TEST_F(moved, last_device_leaves)
{
	uint64_t start;
	int i;

	for (i = 0; i < MOVERS; i++)
		ASSERT_EQ(0, job_start(&self->movers[i], move_group, self));
	usleep(500000);
	EXPECT_LT(0, atomic_load(&self->moves));
	start = now_ms();
	ASSERT_EQ(0, job_start(&self->unbind, unbind_moved, self));
	ASSERT_EQ(0, job_start(&self->bind, bind_another, self));
	EXPECT_TRUE(job_is_done(&self->unbind, PATIENCE));
	EXPECT_TRUE(job_is_done(&self->bind, PATIENCE));
	TH_LOG("%llu ms, after %lu moves",
	       (unsigned long long)(now_ms() - start),
	       atomic_load(&self->moves));
	EXPECT_EQ(0, job_end(&self->unbind));
	EXPECT_EQ(0, job_end(&self->bind));
	for (i = 0; i < MOVERS; i++)
		EXPECT_EQ(-ENODEV, job_end(&self->movers[i]));
}

VFIO_TEST_MAIN("EDU", "IVSHMEM", "TESTDEV", "DUAL_IGB_0", "DUAL_IGB_1")
