// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a mapping that another process takes over (5.1): from one to the other it goes on
 * by the VADDR flags of UNMAP_DMA and MAP_DMA, while devices reach it all the time, and
 * it counts as locked memory of who has it. So a virtual machine monitor can be replaced
 * under its guest.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "dirty_pages.h"
#include "edu.h"
#include "locked_memory.h"
#include "slow_memory.h"
#include "vaddr_fixture.h"
#include "waiter.h"
#include "workers.h"

#define PATTERN		0x5a

/* What the new image is to do. */
#define UPDATE		"--update"

/* ---- devices and processes ---- */

FIXTURE(owner)
{
	long pinned;
};

FIXTURE_SETUP(owner)
{
	SHARE_DEVICE(&session, "EDU");
	ASSERT_TRUE(memory_ready());
	ASSERT_EQ(0, dirty_tracking(session.container, DIRTY_STOP));
	self->pinned = memory_pinned_pages();
	ASSERT_EQ(0, edu_bus_master(session.device, true));
}

FIXTURE_TEARDOWN(owner)
{
	EXPECT_LE(0, type1_unmap(session.container, 0, 0, ALL));
	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
	close(memory_fd);
}

/* By way of the device from page @from to page @to, both at @iova. */
static bool device_copies(uint64_t iova, unsigned int from, unsigned int to)
{
	return !edu_load(session.device, iova + from * PAGE_SIZE, PAGE_SIZE) &&
	       !edu_store(session.device, iova + to * PAGE_SIZE, PAGE_SIZE);
}

static bool page_is(const uint8_t *memory, unsigned int page, uint8_t value)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i++) {
		if (memory[page * PAGE_SIZE + i] != value)
			return false;
	}
	return true;
}

static void fill(uint8_t *memory, unsigned int page, uint8_t value)
{
	memset(memory + page * PAGE_SIZE, value, PAGE_SIZE);
}

/* 5-53, 5-11: the device reaches the memory all the time, and it is charged once. */
TEST_F(owner, same_process)
{
	long locked = memory_locked_kb();
	uint8_t *again;

	ASSERT_EQ(0, map_pages(0, PAGES));
	ASSERT_EQ(PAGES, invalidate_pages(0, PAGES));
	again = memory_again();
	ASSERT_NE(MAP_FAILED, (void *)again);
	munmap(buffer, BUFFER);
	fill(again, 0, PATTERN);
	EXPECT_TRUE(device_copies(IOVA, 0, 1));
	EXPECT_TRUE(page_is(again, 1, PATTERN));
	EXPECT_EQ(locked + 4 * PAGES, memory_locked_kb());
	EXPECT_EQ(0, update_pages(0, PAGES, again));
	EXPECT_TRUE(device_copies(IOVA, 1, 2));
	EXPECT_TRUE(page_is(again, 2, PATTERN));
	EXPECT_EQ(locked + 4 * PAGES, memory_locked_kb());
	EXPECT_EQ(PAGES, unmap_pages(0, PAGES));
	EXPECT_EQ(locked, settled_locked_kb(locked));
}

/* A process without CAP_IPC_LOCK updates its own mapping above its limit. */
TEST_F(owner, same_process_at_limit)
{
	ASSERT_EQ(0, map_pages(0, PAGES));
	ASSERT_TRUE(ipc_lock_drop());
	ASSERT_EQ(0, locked_limit(0, PAGE_SIZE));
	ASSERT_EQ(PAGES, invalidate_pages(0, PAGES));
	EXPECT_EQ(0, update_pages(0, PAGES, buffer));
}

/* 5-39: what is dirty does not depend on whether an address is valid. */
TEST_F(owner, dirty_pages)
{
	uint64_t bits = 0;
	struct dirty_request request = { IOVA, 8 * PAGE_SIZE, PAGE_SIZE, 8, &bits };

	ASSERT_EQ(0, map_pages(2, 3));
	ASSERT_EQ(3, invalidate_pages(0, 8));
	ASSERT_EQ(0, dirty_tracking(session.container, DIRTY_START));
	EXPECT_EQ(0, dirty_get(session.container, &request));
	EXPECT_EQ(0x1c, bits);
	EXPECT_EQ(3 * PAGE_SIZE, dirty_unmap(session.container, &request));
	EXPECT_EQ(-ENOENT, update_pages(2, 3, buffer));
}

/* A page that tells processes how far the other one is. */
struct stage {
	volatile int step;
	long before;
	long ret;
	long locked;
	int line;
};

static struct stage *stage;

static bool stage_ready(void)
{
	stage = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return stage != MAP_FAILED;
}

static bool reaches(int step)
{
	int i;

	for (i = 0; i < 3000 && stage->step < step; i++)
		usleep(10000);
	return stage->step >= step;
}

/* The new process: takes all pages over, */
static long take_over(void *data)
{
	uint8_t *memory = memory_again();

	stage->before = memory_locked_kb();
	stage->ret = update_pages(0, PAGES, memory);
	stage->locked = memory_locked_kb();
	stage->step = 1;
	return stage->ret;
}

/* and ends when it is told to. */
static long take_over_and_stay(void *data)
{
	take_over(data);
	if (!reaches(2))
		return -ETIME;
	stage->locked = settled_locked_kb(stage->before);
	stage->step = 3;
	return reaches(4) ? 0 : -ETIME;
}

/* 5-11: the charge goes to the new process, and ends there. */
TEST_F(owner, other_process)
{
	long locked = memory_locked_kb();
	pid_t pid;
	int status;

	ASSERT_TRUE(stage_ready());
	ASSERT_EQ(0, map_pages(0, PAGES));
	ASSERT_EQ(PAGES, invalidate_pages(0, PAGES));
	pid = waiter_start(take_over_and_stay, NULL);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(reaches(1));
	EXPECT_EQ(0, stage->ret);
	EXPECT_EQ(stage->before + 4 * PAGES, stage->locked);
	EXPECT_EQ(locked, settled_locked_kb(locked));
	fill(buffer, 0, PATTERN);
	EXPECT_TRUE(device_copies(IOVA, 0, 1));
	EXPECT_TRUE(page_is(buffer, 1, PATTERN));
	EXPECT_EQ(PAGES, unmap_pages(0, PAGES));
	stage->step = 2;
	ASSERT_TRUE(reaches(3));
	EXPECT_EQ(stage->before, stage->locked);
	EXPECT_EQ(locked, memory_locked_kb());
	stage->step = 4;
	EXPECT_TRUE(waiter_ends(pid, 60000, &status));
}

/* And back again to the first process, when the second one has ended. 5-34 */
TEST_F(owner, back_again)
{
	long locked = memory_locked_kb();
	pid_t pid;
	int status;

	ASSERT_TRUE(stage_ready());
	ASSERT_EQ(0, map_pages(0, PAGES));
	ASSERT_EQ(PAGES, invalidate_pages(0, PAGES));
	pid = waiter_start(take_over, NULL);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(waiter_ends(pid, 60000, &status));
	EXPECT_EQ(0, stage->ret);
	EXPECT_EQ(locked, settled_locked_kb(locked));
	ASSERT_EQ(PAGES, invalidate_pages(0, PAGES));
	fill(buffer, 3, PATTERN);
	EXPECT_TRUE(device_copies(IOVA, 3, 4));
	EXPECT_TRUE(page_is(buffer, 4, PATTERN));
	EXPECT_EQ(0, update_pages(0, PAGES, buffer));
	EXPECT_EQ(locked + 4 * PAGES, settled_locked_kb(locked + 4 * PAGES));
	EXPECT_EQ(PAGES, unmap_pages(0, PAGES));
	EXPECT_EQ(locked, settled_locked_kb(locked));
}

/* 5-10: who may not lock as much does not get it, and it stays as it is. */
TEST_F(owner, limit)
{
	long locked = memory_locked_kb();
	pid_t pid;

	ASSERT_EQ(0, map_pages(0, 8));
	ASSERT_EQ(8, invalidate_pages(0, 8));
	pid = fork();
	if (!pid) {
		long before = memory_locked_kb();

		if (!ipc_lock_drop() || locked_limit(0, 7 * PAGE_SIZE))
			_exit(1);
		if (update_pages(0, 8, buffer) != -ENOMEM)
			_exit(2);
		if (memory_locked_kb() != before)
			_exit(3);
		/* 5-9 */
		if (invalidate_pages(0, 8) != -EINVAL)
			_exit(4);
		if (locked_limit(0, 8 * PAGE_SIZE) ||
		    update_pages(0, 8, buffer))
			_exit(5);
		if (memory_locked_kb() != before + 32)
			_exit(6);
		/* The limit is that of who has it now. */
		if (map_pages(8, 1) != -ENOMEM)
			_exit(7);
		_exit(0);
	}
	EXPECT_EQ(0, child_result(pid));
	EXPECT_EQ(locked, settled_locked_kb(locked));
	/* It has ended, and the mapping is there. */
	fill(buffer, 0, PATTERN);
	EXPECT_TRUE(device_copies(IOVA, 0, 1));
	EXPECT_EQ(8, unmap_pages(0, 8));
}

/* Two processes with one address space are one owner: nothing is charged. */
static int update_with_limit(void *data)
{
	if (!ipc_lock_drop() || locked_limit(0, PAGE_SIZE))
		return 1;
	return update_pages(0, PAGES, buffer) ? 2 : 0;
}

TEST_F(owner, same_address_space)
{
	long locked = memory_locked_kb();
	char *stack = memory_new(SIZE_2M);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)stack);
	ASSERT_EQ(0, map_pages(0, PAGES));
	ASSERT_EQ(PAGES, invalidate_pages(0, PAGES));
	pid = clone(update_with_limit, stack + SIZE_2M, CLONE_VM | SIGCHLD, NULL);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, child_result(pid));
	EXPECT_EQ(locked + 4 * PAGES, memory_locked_kb());
	EXPECT_EQ(PAGES, unmap_pages(0, PAGES));
	EXPECT_EQ(locked, settled_locked_kb(locked));
}

/* ---- exec() ---- */

static void keep(int fd)
{
	fcntl(fd, F_SETFD, 0);
}

/* The old image: hands over what it has. */
static void become_new(void)
{
	char container[16], device[16], memory[16];

	REQUIRE(!map_pages(0, PAGES));
	fill(buffer, 0, PATTERN);
	REQUIRE(memory_locked_kb() >= 4 * (long)PAGES);
	REQUIRE(invalidate_pages(0, PAGES) == PAGES);
	keep(session.container);
	keep(session.device);
	keep(memory_fd);
	snprintf(container, sizeof(container), "%d", session.container);
	snprintf(device, sizeof(device), "%d", session.device);
	snprintf(memory, sizeof(memory), "%d", memory_fd);
	execl("/proc/self/exe", "type1_owner_test", UPDATE, container, device,
	      memory, NULL);
	REQUIRE(!"exec");
}

static int new_image(char **arguments)
{
	uint8_t *memory;

	session.container = atoi(arguments[1]);
	session.device = atoi(arguments[2]);
	memory_fd = atoi(arguments[3]);
	memory = memory_again();
	REQUIRE(memory != MAP_FAILED);
	REQUIRE(memory_locked_kb() == 0);
	/* In between. */
	REQUIRE(device_copies(IOVA, 0, 1));
	REQUIRE(page_is(memory, 1, PATTERN));
	REQUIRE(!update_pages(0, PAGES, memory));
	REQUIRE(memory_locked_kb() == 4 * PAGES);
	REQUIRE(device_copies(IOVA, 1, 2));
	REQUIRE(page_is(memory, 2, PATTERN));
	REQUIRE(unmap_pages(0, PAGES) == PAGES);
	REQUIRE(settled_locked_kb(0) == 0);
	return KSFT_PASS;
}

/* As cpr-exec does it: one process, whose address space is a new one. */
TEST_F(owner, exec)
{
	pid_t pid = fork();

	if (!pid)
		become_new();
	EXPECT_EQ(KSFT_PASS, child_result(pid));
}

/* As cpr-transfer does it: the new process is no child, and gets descriptors sent. */
static void receive_and_update(int socket)
{
	session.container = fd_receive(socket);
	session.device = fd_receive(socket);
	memory_fd = fd_receive(socket);
	buffer = memory_again();
	REQUIRE(buffer != MAP_FAILED);
	REQUIRE(!update_pages(0, PAGES, buffer));
	REQUIRE(memory_locked_kb() == 4 * PAGES);
	/* The other end closes when the old process is gone. */
	REQUIRE(fd_receive(socket) < 0);
	REQUIRE(device_copies(IOVA, 0, 1));
	REQUIRE(page_is(buffer, 1, PATTERN));
	REQUIRE(memory_locked_kb() == 4 * PAGES);
	REQUIRE(unmap_pages(0, PAGES) == PAGES);
	REQUIRE(settled_locked_kb(0) == 0);
	REQUIRE(!map_pages(0, 1));
	REQUIRE(unmap_pages(0, 1) == 1);
	_exit(KSFT_PASS);
}

static void map_and_send(int socket)
{
	REQUIRE(!map_pages(0, PAGES));
	fill(buffer, 0, PATTERN);
	REQUIRE(invalidate_pages(0, PAGES) == PAGES);
	REQUIRE(!fd_send(socket, session.container));
	REQUIRE(!fd_send(socket, session.device));
	REQUIRE(!fd_send(socket, memory_fd));
	_exit(KSFT_PASS);
}

TEST_F(owner, transfer)
{
	pid_t old, new;
	int sockets[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	new = fork();
	if (!new) {
		close(sockets[0]);
		munmap(buffer, BUFFER);
		session_close(&session);
		close(memory_fd);
		receive_and_update(sockets[1]);
	}
	old = fork();
	if (!old) {
		close(sockets[1]);
		map_and_send(sockets[0]);
	}
	close(sockets[0]);
	close(sockets[1]);
	EXPECT_EQ(KSFT_PASS, child_result(old));
	EXPECT_EQ(KSFT_PASS, child_result(new));
}

/* ---- who has to wait ---- */

/*
 * Who takes a mapping over needs the mmap lock of his own process. Somebody may have it
 * who looks into the memory of that process, and waits there for a page.
 */
static struct slow_memory slow;

static long look_into(void *data)
{
	pid_t pid = *(pid_t *)data;
	char path[64];
	char byte;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY);
	return fd < 0 || pread(fd, &byte, 1, stage->before) != 1;
}

static long take_over_without_lock(void *data)
{
	stage->before = (long)slow_memory_map(&slow);
	stage->step = 1;
	if (!reaches(2))
		return -ETIME;
	stage->ret = update_pages(0, PAGES, buffer);
	stage->step = 3;
	return stage->ret;
}

static long use_elsewhere(void *data)
{
	if (type1_map(session.container, buffer, NEW_IOVA, PAGE_SIZE, DMA_RW))
		return -EIO;
	return type1_unmap(session.container, NEW_IOVA, PAGE_SIZE, 0) != PAGE_SIZE;
}

static long unmap_it(void *data)
{
	return unmap_pages(0, PAGES) != PAGES;
}

FIXTURE(waiting)
{
	long locked;
	pid_t updater;
	pid_t onlooker;
};

FIXTURE_SETUP(waiting)
{
	const char *bdf;

	NEED_DEVICE(bdf, "TESTDEV");
	ASSERT_TRUE(memory_ready());
	ASSERT_TRUE(stage_ready());
	ASSERT_EQ(0, slow_memory_new(&slow, PAGE_SIZE));
	ASSERT_EQ(0, session_join(&session, bdf, VFIO_TYPE1v2_IOMMU));
	self->locked = memory_locked_kb();
	ASSERT_EQ(0, map_pages(0, PAGES));
	ASSERT_EQ(PAGES, invalidate_pages(0, PAGES));
	self->updater = waiter_start(take_over_without_lock, NULL);
	ASSERT_LT(0, self->updater);
	ASSERT_TRUE(reaches(1));
	self->onlooker = waiter_start(look_into, &self->updater);
	ASSERT_LT(0, self->onlooker);
	ASSERT_TRUE(slow_memory_is_awaited(&slow, 60000));
	stage->step = 2;
	usleep(100000);
	EXPECT_EQ(2, stage->step);
}

FIXTURE_TEARDOWN(waiting)
{
	int status;

	slow_memory_release(&slow);
	EXPECT_TRUE(waiter_ends(self->onlooker, 60000, &status));
	EXPECT_LE(0, type1_unmap(session.container, 0, 0, ALL));
	EXPECT_EQ(self->locked, settled_locked_kb(self->locked));
	EXPECT_EQ(0, session_works(&session));
	session_close(&session);
	slow_memory_end(&slow);
	close(memory_fd);
}

/* 5-10: it can be killed, and then the mapping waits for another one. */
TEST_F(waiting, killed)
{
	EXPECT_TRUE(waiter_dies(self->updater, 60000));
	EXPECT_EQ(2, stage->step);
	EXPECT_EQ(-EINVAL, invalidate_pages(0, PAGES));
	EXPECT_EQ(self->locked + 4 * PAGES, memory_locked_kb());
	EXPECT_EQ(0, update_pages(0, PAGES, buffer));
	EXPECT_EQ(self->locked + 4 * PAGES, memory_locked_kb());
	EXPECT_EQ(PAGES, unmap_pages(0, PAGES));
}

/* It gets what it waits for. */
TEST_F(waiting, until_it_has_the_lock)
{
	int status = -1;

	slow_memory_release(&slow);
	EXPECT_TRUE(waiter_ends(self->updater, 60000, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(self->locked, settled_locked_kb(self->locked));
	EXPECT_EQ(PAGES, invalidate_pages(0, PAGES));
}

/* 12-41: who wants something else goes on. Who wants the same waits, killably. */
TEST_F(waiting, others)
{
	int status = -1;
	pid_t pid;

	if (on_c_modules())
		SKIP(return, "one lock for the whole container");
	pid = waiter_start(use_elsewhere, NULL);
	EXPECT_TRUE(waiter_ends(pid, 60000, &status));
	EXPECT_EQ(0, status);
	pid = waiter_start(unmap_it, NULL);
	EXPECT_TRUE(waiter_waits(pid, 300));
	EXPECT_TRUE(waiter_dies(pid, 60000));
	pid = waiter_start(unmap_it, NULL);
	EXPECT_TRUE(waiter_waits(pid, 100));
	slow_memory_release(&slow);
	EXPECT_TRUE(waiter_ends(self->updater, 60000, &status));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(waiter_ends(pid, 60000, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-ENOENT, update_pages(0, PAGES, buffer));
}

/* ---- at the same time ---- */

static int second_group;

static void round_of_updates(struct worker *worker)
{
	long ret = invalidate_pages(0, PAGES);

	CHECK(worker, ret == -EINVAL || ret == 8);
	ret = update_pages(0, 8, buffer);
	CHECK(worker, !ret || ret == -EINVAL);
	worker->updates += !ret;
}

static void round_of_groups(struct worker *worker)
{
	long ret = group_set_container(second_group, session.container);

	CHECK(worker, !ret || ret == -EBUSY);
	if (ret)
		return;
	CHECK(worker, !vfio_ioctl(second_group, VFIO_GROUP_UNSET_CONTAINER,
				  NULL));
	worker->updates++;
}

static void round_of_mapping(struct worker *worker)
{
	CHECK(worker, !type1_map(session.container, buffer, NEW_IOVA,
				 BUFFER, DMA_RW));
	CHECK(worker, type1_unmap(session.container, NEW_IOVA, BUFFER, 0) ==
		      BUFFER);
}

TEST_F(owner, all_at_the_same_time)
{
	struct worker workers[] = {
		{ .round = round_of_updates }, { .round = round_of_updates },
		{ .round = round_of_groups }, { .round = round_of_mapping },
	};
	const char *bdf = pci_device("TESTDEV");

	if (!bdf)
		SKIP(return, "TESTDEV names no device");
	second_group = group_open(bdf);
	ASSERT_LE(0, second_group);
	ASSERT_EQ(0, map_pages(0, 8));
	workers_work(_metadata, workers, ARRAY_SIZE(workers));
	EXPECT_LT(0, workers[0].updates + workers[1].updates);
	/* Whatever came last, there is one that can be made valid, or is. */
	update_pages(0, 8, buffer);
	EXPECT_EQ(8, invalidate_pages(0, 8));
	EXPECT_EQ(0, update_pages(0, 8, buffer));
	EXPECT_EQ(0, group_set_container(second_group, session.container));
	close(second_group);
}

/* The new image comes here as well. */
int main(int argc, char **argv)
{
	static const char *const names[] = { "EDU", "TESTDEV", NULL };
	static const char *const kept[] = { "EDU", NULL };

	if (argc == 5 && !strcmp(argv[1], UPDATE))
		return new_image(argv + 1);
	pci_claim(names);
	session_keep(kept);
	return test_harness_run(argc, argv);
}
