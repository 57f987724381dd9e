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

#define ENABLE_SRIOV	"/sys/module/vfio_pci/parameters/enable_sriov"
#define TOKEN		"52ac9bff-3a88-4fbd-901a-0d767c3b6c97"
#define IOVA		0x10000000UL

/* For a busy machine; what hangs does so until the test ends it. */
#define PATIENCE	20000

/* A thread that does something which may take long. */
struct job {
	pthread_t thread;
	long (*work)(void *data);
	void *data;
	long result;
	atomic_bool done;
	bool started;
};

static void *job_run(void *data)
{
	struct job *job = data;

	job->result = job->work(job->data);
	atomic_store(&job->done, true);
	return NULL;
}

static int job_start(struct job *job, long (*work)(void *data), void *data)
{
	int ret;

	job->work = work;
	job->data = data;
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

#define VFS	3

/*
 * A container with a mapping that does not end, in a process of its own; a group that
 * is on its way into it, and one that is in it. A third one has nothing to do with it,
 * but its device is on their bus.
 */
FIXTURE(slow_map)
{
	const char *pf;
	char vf[VFS][16];
	struct vfio_session busy;
	struct vfio_session third;
	struct slow_memory slow;
	int groups[2];
	pid_t mapper;
	struct job join;
	struct job open;
	struct job other;
};

static int virtual_function(const char *pf, int index, char *name, size_t size)
{
	char path[128], target[128];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/virtfn%d", pf,
		 index);
	len = sys_result(readlink(path, target, sizeof(target) - 1));
	if (len < 0)
		return len;
	target[len] = '\0';
	snprintf(name, size, "%s", strrchr(target, '/') + 1);
	return 0;
}

static long open_with_token(int group, const char *bdf)
{
	char name[128];

	snprintf(name, sizeof(name), "%s vf_token=" TOKEN, bdf);
	return group_device(group, name);
}

/* The user of the physical function, who is not there, says what the token is. */
static int set_token(const char *pf)
{
	struct vfio_session session;
	int ret = session_join(&session, pf, VFIO_TYPE1v2_IOMMU);
	long device;

	if (ret)
		return ret;
	device = open_with_token(session.group, pf);
	if (device >= 0)
		close(device);
	session_close(&session);
	return device < 0 ? device : 0;
}

FIXTURE_SETUP(slow_map)
{
	const char *edu;
	int i;

	self->mapper = -1;
	self->groups[0] = -1;
	self->groups[1] = -1;
	NEED_DEVICE(edu, "EDU");
	NEED_DEVICE(self->pf, "PORT_IGB");
	ASSERT_EQ(0, file_write(ENABLE_SRIOV, "Y"));
	ASSERT_EQ(0, pci_set_attribute(self->pf, "sriov_numvfs", "3"));
	ASSERT_EQ(0, set_token(self->pf));
	for (i = 0; i < VFS; i++)
		ASSERT_EQ(0, virtual_function(self->pf, i, self->vf[i],
					      sizeof(self->vf[i])));
	ASSERT_EQ(0, session_join(&self->busy, edu, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, session_join(&self->third, self->vf[2],
				  VFIO_TYPE1v2_IOMMU));
	for (i = 0; i < 2; i++) {
		self->groups[i] = group_open(self->vf[i]);
		ASSERT_LE(0, self->groups[i]);
	}
	ASSERT_EQ(0, group_set_container(self->groups[1], self->busy.container));
	ASSERT_EQ(0, slow_memory_new(&self->slow, PAGE_SIZE));
}

FIXTURE_TEARDOWN(slow_map)
{
	slow_memory_release(&self->slow);
	job_end(&self->join);
	job_end(&self->open);
	job_end(&self->other);
	if (self->mapper > 0) {
		kill(self->mapper, SIGKILL);
		waitpid(self->mapper, NULL, 0);
	}
	slow_memory_end(&self->slow);
	close(self->groups[0]);
	close(self->groups[1]);
	session_close(&self->third);
	session_close(&self->busy);
	EXPECT_EQ(0, pci_set_attribute(self->pf, "sriov_numvfs", "0"));
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

	return group_set_container(self->groups[0], self->busy.container);
}

static long open_in_container(void *data)
{
	struct _test_data_slow_map *self = data;

	return open_with_token(self->groups[1], self->vf[1]);
}

/* What a user does who was never near that container. */
static long use_third(void *data)
{
	struct _test_data_slow_map *self = data;
	long device = open_with_token(self->third.group, self->vf[2]);
	long ret;

	if (device < 0)
		return device;
	ret = vfio_ioctl(device, VFIO_DEVICE_RESET, 0);
	close(device);
	if (ret)
		return ret;
	session_close(&self->third);
	ret = pci_bind(self->vf[2], NULL);
	return ret ? ret : pci_bind(self->vf[2], "vfio-pci");
}

/* 3-16, 3-34: neither does who opens a device of the container. */
TEST_F(slow_map, others_do_not_wait)
{
	uint64_t start;
	long device;

	self->mapper = start_mapper(&self->slow, self->busy.container);
	ASSERT_LT(0, self->mapper);
	ASSERT_TRUE(slow_memory_is_awaited(&self->slow, PATIENCE));
	ASSERT_EQ(0, job_start(&self->join, join_container, self));
	/* Whether it waits is up to the backend; but not before that time is over. */
	job_is_done(&self->join, 1000);

	start = now_ms();
	ASSERT_EQ(0, job_start(&self->open, open_in_container, self));
	EXPECT_TRUE(job_is_done(&self->open, PATIENCE));
	ASSERT_EQ(0, job_start(&self->other, use_third, self));
	EXPECT_TRUE(job_is_done(&self->other, PATIENCE));
	TH_LOG("%llu ms", (unsigned long long)(now_ms() - start));

	slow_memory_release(&self->slow);
	EXPECT_EQ(0, child_result(self->mapper));
	self->mapper = -1;
	EXPECT_EQ(0, job_end(&self->join));
	EXPECT_EQ(0, job_end(&self->other));
	device = job_end(&self->open);
	EXPECT_LE(0, device);
	close(device);
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

static long bind_another(void *data)
{
	const char *bdf = pci_device("TESTDEV");
	int ret = pci_bind(bdf, NULL);

	return ret ? ret : pci_bind(bdf, "vfio-pci");
}

/* 3-12: the last device leaves, and others come meanwhile. */
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

VFIO_TEST_MAIN("EDU", "PORT_IGB", "IVSHMEM", "TESTDEV")
