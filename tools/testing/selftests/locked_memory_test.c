// SPDX-License-Identifier: GPL-2.0
/* What MAP_DMA charges as locked memory, and how much of that is allowed. */
#include <pthread.h>
#include <sys/resource.h>

#include "edu.h"
#include "kselftest_harness.h"
#include "locked_memory.h"
#include "vfio_fixture.h"

#define IOVA	0x10000000UL
#define BUFFER	(64 * PAGE_SIZE)

FIXTURE(account)
{
	struct vfio_session session;
	int container;
	char *buffer;
	long before;
};

FIXTURE_SETUP(account)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	self->buffer = memory_new(BUFFER);
	ASSERT_NE(MAP_FAILED, (void *)self->buffer);
	ASSERT_EQ(0, session_join(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	self->container = self->session.container;
	self->before = memory_locked_kb();
}

/* Whatever was refused, the charge ends with the mappings. */
FIXTURE_TEARDOWN(account)
{
	EXPECT_LE(0, type1_unmap(self->container, 0, 0,
				 VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(self->before, settled_locked_kb(self->before));
	EXPECT_EQ(0, locked_limit(0, RLIM_INFINITY));
	EXPECT_EQ(0, session_finish(&self->session));
}

/* Maps @pages pages at page @first of the range that these tests work in. */
static long map_pages(int container, char *buffer, unsigned int first,
		      unsigned int pages)
{
	return type1_map(container, buffer + first * PAGE_SIZE,
			 IOVA + first * PAGE_SIZE, pages * PAGE_SIZE, DMA_RW);
}

/* Unmaps likewise; returns the number of pages that went, or an errno. */
static long unmap_pages(int container, unsigned int first, unsigned int pages)
{
	long ret = type1_unmap(container, IOVA + first * PAGE_SIZE,
			       pages * PAGE_SIZE, 0);

	return ret < 0 ? ret : ret / (long)PAGE_SIZE;
}

/* Another process limits this one, as libvirt does with a running QEMU. */
static int limit_from_outside(uint64_t bytes)
{
	pid_t user = getpid();
	pid_t pid = fork();

	if (!pid)
		_exit(-locked_limit(user, bytes));
	return -child_result(pid);
}

/* 5-32, 5-34: pinned memory counts as locked, against the limit too. */
TEST_F(account, limit)
{
	int container = self->container;
	char *buffer = self->buffer;
	long before = self->before;

	ASSERT_EQ(0, locked_limit(0, 16 * PAGE_SIZE));
	/* CAP_IPC_LOCK: charged, but not limited. */
	EXPECT_EQ(0, map_pages(container, buffer, 0, 64));
	EXPECT_EQ(before + BUFFER / 1024, settled_locked_kb(before +
							    BUFFER / 1024));
	EXPECT_EQ(64, unmap_pages(container, 0, 64));
	EXPECT_EQ(before, settled_locked_kb(before));

	ASSERT_TRUE(ipc_lock_drop());
	EXPECT_EQ(-ENOMEM, map_pages(container, buffer, 0, 17));
	EXPECT_EQ(before, settled_locked_kb(before));
	EXPECT_EQ(0, map_pages(container, buffer, 0, 15));
	EXPECT_EQ(before + 60, settled_locked_kb(before + 60));
	EXPECT_EQ(0, map_pages(container, buffer, 15, 1));
	EXPECT_EQ(-ENOMEM, map_pages(container, buffer, 16, 1));
	EXPECT_EQ(16, unmap_pages(container, 0, 16));
	EXPECT_EQ(before, settled_locked_kb(before));
}

/* 5-32: the capability counts when something is mapped, not later. */
TEST_F(account, capability_lost)
{
	int container = self->container;
	char *buffer = self->buffer;

	ASSERT_EQ(0, locked_limit(0, 16 * PAGE_SIZE));
	EXPECT_EQ(0, map_pages(container, buffer, 0, 32));
	ASSERT_TRUE(ipc_lock_drop());
	EXPECT_EQ(-ENOMEM, map_pages(container, buffer, 32, 1));
	/* What is above the limit stays, and counts. */
	EXPECT_EQ(self->before + 128, memory_locked_kb());
	EXPECT_EQ(-EEXIST, map_pages(container, buffer, 31, 1));
	EXPECT_EQ(32, unmap_pages(container, 0, 32));
	EXPECT_EQ(self->before, settled_locked_kb(self->before));
	EXPECT_EQ(0, map_pages(container, buffer, 0, 16));
	EXPECT_EQ(-ENOMEM, map_pages(container, buffer, 16, 1));
}

/* 5-32: mlock() and DMA have one account. */
TEST_F(account, together_with_mlock)
{
	int container = self->container;
	char *buffer = self->buffer;

	ASSERT_TRUE(ipc_lock_drop());
	ASSERT_EQ(0, locked_limit(0, 16 * PAGE_SIZE));
	ASSERT_EQ(0, mlock(buffer, 8 * PAGE_SIZE));
	EXPECT_EQ(-ENOMEM, map_pages(container, buffer, 0, 9));
	EXPECT_EQ(0, map_pages(container, buffer, 0, 8));
	EXPECT_EQ(self->before + 64, settled_locked_kb(self->before + 64));
	EXPECT_NE(0, mlock(buffer + 8 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, munlock(buffer, 8 * PAGE_SIZE));
	EXPECT_EQ(0, map_pages(container, buffer, 8, 8));
	EXPECT_EQ(16, unmap_pages(container, 0, 16));
}

/* 5-32: each MAP_DMA sees the limit as it is then, whoever has set it. */
TEST_F(account, limit_from_outside)
{
	struct vfio_session *session = &self->session;
	int container = self->container;
	char *buffer = self->buffer;
	int device = group_device(session->group, session->bdf);

	session->device = device;
	ASSERT_LE(0, device);
	ASSERT_TRUE(ipc_lock_drop());
	ASSERT_EQ(0, edu_bus_master(device, true));
	ASSERT_EQ(0, limit_from_outside(16 * PAGE_SIZE));
	EXPECT_EQ(0, map_pages(container, buffer, 0, 16));
	EXPECT_EQ(-ENOMEM, map_pages(container, buffer, 16, 1));
	ASSERT_EQ(0, limit_from_outside(17 * PAGE_SIZE));
	EXPECT_EQ(0, map_pages(container, buffer, 16, 1));
	EXPECT_EQ(-ENOMEM, map_pages(container, buffer, 17, 1));

	/* Lowered: what there is stays, and devices reach it. */
	ASSERT_EQ(0, limit_from_outside(8 * PAGE_SIZE));
	EXPECT_EQ(-ENOMEM, map_pages(container, buffer, 17, 1));
	EXPECT_EQ(self->before + 68, settled_locked_kb(self->before + 68));
	memset(buffer, 0x5a, PAGE_SIZE);
	EXPECT_EQ(0, edu_load(device, IOVA, PAGE_SIZE));
	EXPECT_EQ(0, edu_store(device, IOVA + 16 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(0, memcmp(buffer, buffer + 16 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(16, unmap_pages(container, 0, 16));
	EXPECT_EQ(0, map_pages(container, buffer, 0, 7));
	EXPECT_EQ(-ENOMEM, map_pages(container, buffer, 7, 1));
}

/* 5-32: numbers that management software has really set, and the edges. */
TEST_F(account, odd_limits)
{
	static const struct {
		uint64_t bytes;
		unsigned int pages;
	} limits[] = {
		{ (1ULL << 53) - 1, 64 }, { 1ULL << 63, 64 },
		{ RLIM_INFINITY - 1, 64 }, { RLIM_INFINITY, 64 },
		{ (1ULL << 44) + PAGE_SIZE, 64 }, { 2 * PAGE_SIZE - 1, 1 },
		{ PAGE_SIZE + 1, 1 }, { PAGE_SIZE, 1 }, { PAGE_SIZE - 1, 0 },
		{ 1, 0 }, { 0, 0 },
	};
	size_t i;

	ASSERT_TRUE(ipc_lock_drop());
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		unsigned int pages = limits[i].pages;
		long more;

		ASSERT_EQ(0, limit_from_outside(limits[i].bytes));
		if (pages) {
			EXPECT_EQ(0, map_pages(self->container, self->buffer, 0,
					       pages));
		}
		/* 64 pages are all that there are here. */
		more = type1_map(self->container, self->buffer,
				 IOVA + pages * PAGE_SIZE, PAGE_SIZE, DMA_RW);
		EXPECT_EQ(pages == 64 ? 0 : -ENOMEM, more) {
			TH_LOG("limit %lu", limits[i].bytes);
		}
		EXPECT_EQ(pages + !more, unmap_pages(self->container, 0, 65));
	}
}

/*
 * 5-32: where there is a page too many, or none at all, is found page by page: what comes first is
 * the error, however many are pinned and charged in one go. Nothing is left.
 */
TEST_F(account, limit_before_a_hole)
{
	static const struct {
		unsigned int limit, hole;
		int error;
	} cases[] = {
		{ 16, 40, ENOMEM }, { 39, 40, ENOMEM }, { 40, 40, EFAULT }, { 41, 40, EFAULT },
		{ 511, 512, ENOMEM }, { 512, 512, EFAULT }, { 513, 512, EFAULT },
		{ 2047, 2048, ENOMEM }, { 2048, 2048, EFAULT }, { 2049, 2048, EFAULT },
		{ 2100, 2500, ENOMEM }, { 2500, 2500, EFAULT }, { 0, 0, EFAULT }, { 0, 1, ENOMEM },
	};
	const size_t size = 3000 * PAGE_SIZE;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	long pinned = memory_pinned_pages();
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)memory);
	ASSERT_TRUE(ipc_lock_drop());
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		char *hole = memory + cases[i].hole * PAGE_SIZE;

		ASSERT_EQ(0, locked_limit(0, cases[i].limit * PAGE_SIZE));
		ASSERT_EQ(0, munmap(hole, PAGE_SIZE));
		EXPECT_EQ(-cases[i].error,
			  type1_map(self->container, memory, IOVA, size, DMA_RW)) {
			TH_LOG("limit %u, hole %u", cases[i].limit, cases[i].hole);
		}
		EXPECT_EQ(self->before, settled_locked_kb(self->before));
		EXPECT_EQ(pinned, settled_pinned_pages(pinned));
		ASSERT_EQ(hole, mmap(hole, PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_FIXED, -1, 0));
	}
	ASSERT_EQ(0, munmap(memory, size));
}

/* A thread, and what it finds; 0 or the line where it did not. */
struct thread_user {
	pthread_t thread;
	int container;
	char *buffer;
	int line;
};

#define CHECK(user, condition)						\
	do {								\
		if (!(condition) && !(user)->line)			\
			(user)->line = __LINE__;			\
	} while (0)

/* The account and the limit are the process's, whichever thread it is. */
static void use_limit(struct thread_user *user)
{
	long before = memory_locked_kb();

	CHECK(user, before >= 0 && ipc_lock_drop());
	CHECK(user, !limit_from_outside(16 * PAGE_SIZE));
	CHECK(user, map_pages(user->container, user->buffer, 0, 17) == -ENOMEM);
	CHECK(user, !map_pages(user->container, user->buffer, 0, 16));
	CHECK(user, map_pages(user->container, user->buffer, 16, 1) == -ENOMEM);
	CHECK(user, settled_locked_kb(before + 64) == before + 64);
	CHECK(user, !limit_from_outside(17 * PAGE_SIZE));
	CHECK(user, !map_pages(user->container, user->buffer, 16, 1));
	CHECK(user, unmap_pages(user->container, 0, 17) == 17);
	CHECK(user, settled_locked_kb(before) == before);
}

static void *thread_run(void *data)
{
	use_limit(data);
	return NULL;
}

TEST_F(account, thread)
{
	struct thread_user user = {
		.container = self->container,
		.buffer = self->buffer,
	};

	ASSERT_EQ(0, pthread_create(&user.thread, NULL, thread_run, &user));
	ASSERT_EQ(0, pthread_join(user.thread, NULL));
	EXPECT_EQ(0, user.line);
}

/* Whether the first thread of this process has ended. */
static bool leader_is_dead(void)
{
	char path[64], stat[512];
	char *state;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", getpid(), getpid());
	if (file_read(path, stat, sizeof(stat)) < 0)
		return false;
	state = strrchr(stat, ')');
	return state && !strncmp(state, ") Z", 3);
}

static void *orphan_run(void *data)
{
	struct thread_user *user = data;
	int i;

	for (i = 0; i < 1000 && !leader_is_dead(); i++)
		usleep(10000);
	CHECK(user, leader_is_dead());
	use_limit(user);
	_exit(user->line ? KSFT_FAIL : KSFT_PASS);
}

/* What a thread maps and unmaps whose group leader has called pthread_exit(). */
TEST_F(account, dead_leader)
{
	struct thread_user *user = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)user);
	user->container = self->container;
	user->buffer = self->buffer;
	pid = fork();
	if (!pid) {
		if (pthread_create(&user->thread, NULL, orphan_run, user))
			_exit(KSFT_FAIL);
		pthread_exit(NULL);
	}
	EXPECT_EQ(KSFT_PASS, child_result(pid));
	EXPECT_EQ(0, user->line);
}

/* 5-33: each container charges for itself. */
TEST_F(account, two_containers)
{
	const char *bdf = pci_device("TESTDEV");
	long before = self->before;
	struct vfio_session other;

	if (!bdf)
		SKIP(return, "TESTDEV names no device");
	ASSERT_EQ(0, session_join(&other, bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, map_pages(self->container, self->buffer, 0, 8));
	EXPECT_EQ(0, map_pages(other.container, self->buffer, 0, 8));
	EXPECT_EQ(before + 64, settled_locked_kb(before + 64));
	session_close(&other);
	EXPECT_EQ(before + 32, settled_locked_kb(before + 32));
	EXPECT_EQ(8, unmap_pages(self->container, 0, 8));
	EXPECT_EQ(before, settled_locked_kb(before));
}

VFIO_TEST_MAIN("EDU", "TESTDEV")
