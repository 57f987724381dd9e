// SPDX-License-Identifier: GPL-2.0
/*
 * exec() with the descriptors of VFIO kept, as a live update of a virtual machine
 * monitor does it. The memory that was mapped is gone from the process, but devices
 * go on reaching it, until the new program unmaps it by its I/O address.
 */
#include <fcntl.h>
#include <pthread.h>

#include "edu.h"
#include "iommu_debug.h"
#include "kernel_log.h"
#include "kselftest_harness.h"
#include "locked_memory.h"
#include "vfio_fixture.h"
#include "waiter.h"

#define IOVA		0x10000000UL
#define NEW_IOVA	0x20000000UL
#define PAGES		64
#define BUFFER		(PAGES * PAGE_SIZE)
#define LARGE		(4UL << 20)

#define PATTERN		0x3c

/* What the new image is to do, in its arguments. */
#define AT_LIMIT	"--at-limit"
#define AFTER_MAPPING	"--after-mapping"

static bool is_filled_with(const uint8_t *memory, size_t size, uint8_t value)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (memory[i] != value)
			return false;
	}
	return true;
}

/* ---- the new image ---- */

/* From the old memory by way of the device to @page, at NEW_IOVA. */
static bool old_memory_is(int device, unsigned int index, uint8_t *page,
			  uint8_t value)
{
	memset(page, ~value, PAGE_SIZE);
	return !edu_load(device, IOVA + index * PAGE_SIZE, PAGE_SIZE) &&
	       !edu_store(device, NEW_IOVA, PAGE_SIZE) &&
	       is_filled_with(page, PAGE_SIZE, value);
}

/* The old process was at its limit; this one may lock as much. */
static void go_on_at_limit(int container, int device)
{
	uint8_t *memory = memory_new(BUFFER);
	int log = log_open();

	REQUIRE(memory != MAP_FAILED);
	/* exec() gives it back to root. */
	REQUIRE(ipc_lock_drop());
	REQUIRE(memory_locked_kb() == 0);
	REQUIRE(type1_map(container, memory, IOVA, PAGE_SIZE, DMA_RW) == -EEXIST);
	REQUIRE(type1_map(container, memory, IOVA + BUFFER - PAGE_SIZE, BUFFER,
			  DMA_RW) == -EEXIST);
	REQUIRE(memory_locked_kb() == 0);
	REQUIRE(!type1_map(container, memory, NEW_IOVA, PAGE_SIZE, DMA_RW));
	REQUIRE(memory_locked_kb() == 4);

	REQUIRE(old_memory_is(device, 0, memory, PATTERN));
	REQUIRE(old_memory_is(device, PAGES - 1, memory, PATTERN));
	memset(memory, 0x77, PAGE_SIZE);
	REQUIRE(!edu_load(device, NEW_IOVA, PAGE_SIZE));
	REQUIRE(!edu_store(device, IOVA + 7 * PAGE_SIZE, PAGE_SIZE));
	REQUIRE(old_memory_is(device, 7, memory, 0x77));
	REQUIRE(old_memory_is(device, 6, memory, PATTERN));
	REQUIRE(!log_has(log, "fault addr"));

	REQUIRE(type1_unmap(container, IOVA, BUFFER, 0) == BUFFER);
	REQUIRE(settled_locked_kb(4) == 4);
	REQUIRE(type1_unmap(container, NEW_IOVA, PAGE_SIZE, 0) == PAGE_SIZE);
	REQUIRE(settled_locked_kb(0) == 0);
	REQUIRE(!type1_map(container, memory, IOVA, BUFFER, DMA_RW));
	REQUIRE(memory_locked_kb() == BUFFER / 1024);
	REQUIRE(type1_map(container, memory, NEW_IOVA, PAGE_SIZE, DMA_RW) ==
		-ENOMEM);
	memset(memory, 0x11, BUFFER);
	REQUIRE(!edu_store(device, IOVA + PAGE_SIZE, PAGE_SIZE));
	REQUIRE(is_filled_with(memory + PAGE_SIZE, PAGE_SIZE, PATTERN));
	REQUIRE(is_filled_with(memory + 2 * PAGE_SIZE, PAGE_SIZE, 0x11));
	REQUIRE(type1_unmap(container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL) == BUFFER);
	REQUIRE(settled_locked_kb(0) == 0);
}

/* A thread of the old process was in the middle of mapping or unmapping. */
static void go_on_after_mapping(int container)
{
	void *memory = memory_new(LARGE);
	long ret = type1_unmap(container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);

	REQUIRE(memory != MAP_FAILED);
	REQUIRE(ret == 0 || ret == LARGE);
	REQUIRE(memory_locked_kb() == 0);
	REQUIRE(!type1_map(container, memory, IOVA, LARGE, DMA_RW));
	REQUIRE(memory_locked_kb() == LARGE / 1024);
	REQUIRE(type1_unmap(container, IOVA, LARGE, 0) == LARGE);
	REQUIRE(settled_locked_kb(0) == 0);
}

static int new_image(char **arguments)
{
	int container = atoi(arguments[1]);
	int device = atoi(arguments[2]);

	if (!strcmp(arguments[0], AT_LIMIT))
		go_on_at_limit(container, device);
	else
		go_on_after_mapping(container);
	return KSFT_PASS;
}

/* ---- the old image ---- */

static void keep(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
}

static void become(const char *what, const struct vfio_session *session)
{
	char container[16], device[16];

	keep(session->container);
	keep(session->group);
	keep(session->device);
	snprintf(container, sizeof(container), "%d", session->container);
	snprintf(device, sizeof(device), "%d", session->device);
	execl("/proc/self/exe", "exec_test", what, container, device, NULL);
	REQUIRE(!"exec");
}

static void *become_at_limit(void *session)
{
	become(AT_LIMIT, session);
	return NULL;
}

/* Maps all that it may, and becomes the new image, by whichever thread. */
static void user_at_limit(const char *bdf, bool by_thread)
{
	struct vfio_session session;
	void *memory = memory_new(BUFFER);
	pthread_t thread;

	REQUIRE(memory != MAP_FAILED);
	memset(memory, PATTERN, BUFFER);
	REQUIRE(ipc_lock_drop());
	REQUIRE(!locked_limit(0, BUFFER));
	REQUIRE(!session_open(&session, bdf, VFIO_TYPE1v2_IOMMU));
	REQUIRE(!edu_bus_master(session.device, true));
	REQUIRE(!type1_map(session.container, memory, IOVA, BUFFER, DMA_RW));
	REQUIRE(type1_map(session.container, memory, NEW_IOVA, PAGE_SIZE,
			  DMA_RW) == -ENOMEM);
	REQUIRE(memory_locked_kb() == BUFFER / 1024);
	if (!by_thread)
		become_at_limit(&session);
	REQUIRE(!pthread_create(&thread, NULL, become_at_limit, &session));
	for (;;)
		pause();
}

static void *map_for_ever(void *data)
{
	int container = *(int *)data;
	void *memory = memory_new(LARGE);

	REQUIRE(memory != MAP_FAILED);
	for (;;) {
		REQUIRE(!type1_map(container, memory, IOVA, LARGE, DMA_RW));
		REQUIRE(type1_unmap(container, IOVA, LARGE, 0) == LARGE);
	}
}

static void user_while_mapping(const char *bdf, unsigned int microseconds)
{
	struct vfio_session session;
	pthread_t thread;

	REQUIRE(!session_join(&session, bdf, VFIO_TYPE1v2_IOMMU));
	REQUIRE(!pthread_create(&thread, NULL, map_for_ever,
				&session.container));
	usleep(microseconds);
	become(AFTER_MAPPING, &session);
}

/* ---- the tests ---- */

FIXTURE(exec)
{
	const char *bdf;
	long pinned;
};

FIXTURE_SETUP(exec)
{
	NEED_DEVICE(self->bdf, "EDU");
	self->pinned = memory_pinned_pages();
}

/* Nothing stays, and the next user gets a container that works. */
FIXTURE_TEARDOWN(exec)
{
	struct vfio_session next;

	EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	if (iommu_table_seen())
		EXPECT_FALSE(iommu_maps_iova(self->bdf, IOVA));
	ASSERT_EQ(0, session_join(&next, self->bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, session_works(&next));
	session_close(&next);
}

/* 5-22, 5-32, 5-34 */
TEST_F(exec, at_limit)
{
	pid_t pid = fork();

	if (!pid)
		user_at_limit(self->bdf, false);
	EXPECT_EQ(KSFT_PASS, child_result(pid));
}

/* The thread takes the place of the leader, in whose name the memory is charged. */
TEST_F(exec, at_limit_by_thread)
{
	pid_t pid = fork();

	if (!pid)
		user_at_limit(self->bdf, true);
	EXPECT_EQ(KSFT_PASS, child_result(pid));
}

/* exec() kills a thread that is in the middle of mapping. */
TEST_F(exec, while_mapping)
{
	unsigned int i;

	for (i = 0; i < 6; i++) {
		pid_t pid = fork();

		if (!pid)
			user_while_mapping(self->bdf, 2000 + 5000 * i);
		EXPECT_EQ(KSFT_PASS, child_result(pid));
		EXPECT_EQ(self->pinned, settled_pinned_pages(self->pinned));
	}
}

/* The new image comes here as well. */
int main(int argc, char **argv)
{
	static const char *const names[] = { "EDU", NULL };

	if (argc == 4 && (!strcmp(argv[1], AT_LIMIT) ||
			  !strcmp(argv[1], AFTER_MAPPING)))
		return new_image(argv + 1);
	pci_claim(names);
	return test_harness_run(argc, argv);
}
