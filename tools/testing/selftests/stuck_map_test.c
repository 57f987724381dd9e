// SPDX-License-Identifier: GPL-2.0
/*
 * A MAP_DMA that waits in a page fault for memory that never comes, in a container that
 * also has the memory of another device mapped. Nobody else is to notice: neither who
 * lets that device go, nor who opens one that is reset together with it, nor
 * who maps memory elsewhere, in the same container or in another one.
 *
 * Whatever may hang is done by a process of its own, which is given up when its time
 * is over.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "slow_memory.h"
#include "vfio_fixture.h"
#include "waiter.h"

#define IOVA		0x10000000UL
#define IOVA_BAR	0x40000000UL
#define IOVA_STUCK	0x80000000UL
#define IOVA_OTHER	0xc0000000UL
#define BAR		0
#define BAR_SIZE	PAGE_SIZE

/*
 * What should take less than 100 ms, but for a reset, on a host that may be hundreds of
 * times slower. What hangs does so for ever.
 */
#define PROMPT		120000
/* The difference. */
#define WAITING		"MAP_DMA that waits for its user's memory"
/* Until a process has come as far as it can come. */
#define PATIENCE	60000
/* What waitpid() tells of a process whose action failed. */
#define FAILED		0x100

FIXTURE(stuck)
{
	const char *peer_bdf;
	const char *sibling_bdf;
	/* The container with the mapping that does not end. */
	struct vfio_session busy;
	/* Another one, which is nobody's business. */
	struct vfio_session other;
	struct vfio_session sibling;
	struct slow_memory slow;
	void *page;
	/* Holds the peer device open, and lets it go when told so. */
	pid_t owner;
	int let_go[2];
	pid_t mapper;
	long locked;
	long pinned;
	long available;
};

/* ---- what the processes do ---- */

/* Opens the peer device, maps its memory, and waits for the word to close it all. */
static long own_peer(void *data)
{
	struct _test_data_stuck *self = data;
	struct vfio_session peer;
	void *bar;
	char byte;
	int ret;

	ret = session_open(&peer, self->peer_bdf, VFIO_TYPE1v2_IOMMU);
	if (!ret)
		ret = memory_enable(peer.device, true);
	if (!ret)
		ret = bar_mmap(peer.device, BAR, 0, BAR_SIZE,
			       PROT_READ | PROT_WRITE, &bar);
	if (!ret)
		ret = type1_map(self->busy.container, bar, IOVA_BAR, BAR_SIZE,
				DMA_RW);
	/* The first byte tells that it is ready, the second one says when to go. */
	if (write(self->let_go[0], ret ? "n" : "y", 1) != 1 ||
	    read(self->let_go[0], &byte, 1) != 1)
		return -EPIPE;
	munmap(bar, BAR_SIZE);
	session_close(&peer);
	return ret;
}

static long map_slow(void *data)
{
	struct _test_data_stuck *self = data;
	void *addr = slow_memory_map(&self->slow);

	if (addr == MAP_FAILED)
		return -ENOMEM;
	return type1_map(self->busy.container, addr, IOVA_STUCK,
			 self->slow.size, DMA_RW);
}

static long open_sibling(void *data)
{
	struct _test_data_stuck *self = data;
	long device = group_device(self->sibling.group, self->sibling_bdf);

	return device < 0 ? device : sys_result(close(device));
}

static long unbind_peer(void *data)
{
	struct _test_data_stuck *self = data;

	return pci_bind(self->peer_bdf, NULL);
}

/* Maps and unmaps a page in @container. */
static long use_container(int container, void *page, uint64_t iova)
{
	long ret = type1_map(container, page, iova, PAGE_SIZE, DMA_RW);

	if (ret)
		return ret;
	ret = type1_unmap(container, iova, PAGE_SIZE, 0);
	return ret == PAGE_SIZE ? 0 : -EIO;
}

static long use_other(void *data)
{
	struct _test_data_stuck *self = data;

	return use_container(self->other.container, self->page, IOVA);
}

static long use_busy(void *data)
{
	struct _test_data_stuck *self = data;
	void *info;

	/* What only asks does not wait either. */
	if (vfio_ioctl(self->busy.container, VFIO_CHECK_EXTENSION,
		       VFIO_DMA_CC_IOMMU) < 0)
		return -EIO;
	info = type1_info(self->busy.container);
	if (!info)
		return -ENOMEM;
	free(info);
	return use_container(self->busy.container, self->page, IOVA);
}

static long unmap_stuck(void *data)
{
	struct _test_data_stuck *self = data;
	long ret = type1_unmap(self->busy.container, IOVA_STUCK,
			       self->slow.size, 0);

	return ret == self->slow.size ? 0 : -EIO;
}

/* Another group comes into the container, and goes again. */
static long move_sibling(void *data)
{
	struct _test_data_stuck *self = data;
	int group = self->sibling.group;
	long ret = vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0);

	if (!ret)
		ret = group_set_container(group, self->busy.container);
	return ret ? ret : vfio_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0);
}

/* With the only group go all mappings. */
static long leave_busy(void *data)
{
	struct _test_data_stuck *self = data;

	return vfio_ioctl(self->busy.group, VFIO_GROUP_UNSET_CONTAINER, 0);
}

/* ---- the stage ---- */

FIXTURE_SETUP(stuck)
{
	const char *busy, *other;
	char byte = 0;

	self->owner = -1;
	self->mapper = -1;
	NEED_DEVICE(busy, "EDU");
	NEED_DEVICE(other, "IVSHMEM");
	NEED_DEVICE(self->peer_bdf, "DUAL_IGB_0");
	NEED_DEVICE(self->sibling_bdf, "DUAL_IGB_1");
	self->locked = memory_locked_kb();
	self->pinned = memory_pinned_pages();
	self->page = memory_new(PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, self->page);
	ASSERT_EQ(0, session_join(&self->busy, busy, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, session_join(&self->other, other, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, session_join(&self->sibling, self->sibling_bdf,
				  VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, slow_memory_new(&self->slow, PAGE_SIZE));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				self->let_go));
	self->owner = waiter_start(own_peer, self);
	ASSERT_LT(0, self->owner);
	ASSERT_EQ(1, read(self->let_go[1], &byte, 1));
	ASSERT_EQ('y', byte);
	self->available = type1_dma_avail(self->busy.container);
	self->mapper = waiter_start(map_slow, self);
	ASSERT_LT(0, self->mapper);
	ASSERT_TRUE(slow_memory_is_awaited(&self->slow, PATIENCE));
}

FIXTURE_TEARDOWN(stuck)
{
	slow_memory_release(&self->slow);
	if (self->mapper > 0) {
		kill(self->mapper, SIGKILL);
		waitpid(self->mapper, NULL, 0);
	}
	if (self->owner > 0) {
		kill(self->owner, SIGKILL);
		waitpid(self->owner, NULL, 0);
	}
	slow_memory_end(&self->slow);
	close(self->let_go[0]);
	close(self->let_go[1]);
	EXPECT_EQ(0, pci_bind(self->peer_bdf, "vfio-pci"));
	EXPECT_EQ(0, session_works(&self->busy));
	session_close(&self->sibling);
	session_close(&self->other);
	session_close(&self->busy);
	EXPECT_EQ(self->locked, memory_locked_kb());
	EXPECT_EQ(self->pinned, memory_pinned_pages());
}

/* Does @action in a process of its own, which is to end soon, and with success. */
static void expect_prompt(struct __test_metadata *_metadata,
			  struct _test_data_stuck *self, const char *what,
			  long (*action)(void *data))
{
	uint64_t begin = milliseconds();
	pid_t pid = waiter_start(action, self);
	int status = -1;

	ASSERT_LT(0, pid);
	if (!waiter_ends(pid, PROMPT, &status)) {
		TH_LOG("%s hangs", what);
		/* So that it ends at all. */
		slow_memory_release(&self->slow);
		waitpid(pid, &status, 0);
		ASSERT_TRUE(false);
	}
	TH_LOG("%s: %llu ms", what,
	       (unsigned long long)(milliseconds() - begin));
	EXPECT_EQ(0, status);
}

/* The owner of the peer closes it: until then nobody has waited for the mapper. */
static void expect_peer_goes(struct __test_metadata *_metadata,
			     struct _test_data_stuck *self)
{
	uint64_t begin = milliseconds();
	int status = -1;

	ASSERT_EQ(1, write(self->let_go[1], "", 1));
	if (!waiter_ends(self->owner, PROMPT, &status)) {
		TH_LOG("close of the peer device hangs");
		slow_memory_release(&self->slow);
		waitpid(self->owner, &status, 0);
		self->owner = -1;
		ASSERT_TRUE(false);
	}
	self->owner = -1;
	TH_LOG("close of the peer device: %llu ms",
	       (unsigned long long)(milliseconds() - begin));
	EXPECT_EQ(0, status);
}

/*
 * SIGKILL ends the mapper, and then nothing is left of what it was about. With the C
 * modules it has to wait for its page first.
 */
static void expect_mapper_dies(struct __test_metadata *_metadata,
			       struct _test_data_stuck *self)
{
	int container = self->busy.container;
	uint64_t begin = milliseconds();
	int status;

	kill(self->mapper, SIGKILL);
	if (on_c_modules())
		slow_memory_release(&self->slow);
	ASSERT_TRUE(waiter_ends(self->mapper, PROMPT, &status));
	self->mapper = -1;
	TH_LOG("SIGKILL of the mapper: %llu ms",
	       (unsigned long long)(milliseconds() - begin));
	EXPECT_EQ(0, type1_unmap(container, IOVA_STUCK, self->slow.size, 0));
	EXPECT_EQ(0, use_container(container, self->page, IOVA_STUCK));
}

/* The process @pid ends by itself, as @expected says. */
static void expect_ended(struct __test_metadata *_metadata, pid_t *pid,
			 int expected)
{
	int status = -1;

	ASSERT_TRUE(waiter_ends(*pid, PATIENCE, &status));
	*pid = -1;
	EXPECT_EQ(expected, status);
}

/* 12-1, 12-41: the peer goes, and those who need its device set go on. */
TEST_F(stuck, release_and_others)
{
	expect_peer_goes(_metadata, self);
	expect_prompt(_metadata, self, "GET_DEVICE_FD of its sibling",
		      open_sibling);
	expect_prompt(_metadata, self, "MAP in another container", use_other);
	expect_prompt(_metadata, self, "unbind of the peer", unbind_peer);
	expect_mapper_dies(_metadata, self);
	EXPECT_EQ(self->available, type1_dma_avail(self->busy.container));
	/* An open and a close each reset the device, which takes its time. */
	expect_prompt(_metadata, self, "the same when nobody is stuck",
		      open_sibling);
}

/* 12-41: what is disjoint goes on in the same container. */
TEST_F(stuck, same_container)
{
	pid_t mapper;
	bool waits;
	int status;

	if (!on_c_modules()) {
		report_difference(WAITING, "is nobody else's business");
		expect_prompt(_metadata, self, "MAP in the same container",
			      use_busy);
		expect_mapper_dies(_metadata, self);
		return;
	}
	mapper = waiter_start(use_busy, self);
	ASSERT_LT(0, mapper);
	waits = !waiter_ends(mapper, 300, &status);
	report_difference(WAITING, waits ? "keeps the container waiting" :
					   "is nobody else's business");
	slow_memory_release(&self->slow);
	if (waits)
		expect_ended(_metadata, &mapper, 0);
}

/* Groups come and go meanwhile. The C modules wait. */
TEST_F(stuck, another_group)
{
	if (on_c_modules())
		SKIP(return, "one lock for the whole container");
	expect_prompt(_metadata, self, "a group that comes and goes",
		      move_sibling);
	slow_memory_release(&self->slow);
	expect_ended(_metadata, &self->mapper, 0);
	EXPECT_EQ(self->slow.size,
		  type1_unmap(self->busy.container, IOVA_STUCK,
			      self->slow.size, 0));
}

/* The only group goes: so does what has been mapped, and what is stuck fails. */
TEST_F(stuck, last_group)
{
	if (on_c_modules())
		SKIP(return, "one lock for the whole container");
	expect_prompt(_metadata, self, "the only group leaves", leave_busy);
	expect_peer_goes(_metadata, self);
	slow_memory_release(&self->slow);
	expect_ended(_metadata, &self->mapper, FAILED);
	ASSERT_EQ(0, group_join(self->busy.group, self->busy.container));
	EXPECT_EQ(0, type1_unmap(self->busy.container, IOVA_BAR, BAR_SIZE, 0));
	EXPECT_EQ(self->available + 1, type1_dma_avail(self->busy.container));
}

/* What overlaps waits, can be killed, and gets the mapping when it is there. */
TEST_F(stuck, overlapping_unmap)
{
	pid_t unmapper = waiter_start(unmap_stuck, self);

	ASSERT_LT(0, unmapper);
	EXPECT_TRUE(waiter_waits(unmapper, 300));
	if (!on_c_modules()) {
		EXPECT_TRUE(waiter_dies(unmapper, PROMPT));
		unmapper = waiter_start(unmap_stuck, self);
		ASSERT_LT(0, unmapper);
	}
	slow_memory_release(&self->slow);
	expect_ended(_metadata, &self->mapper, 0);
	expect_ended(_metadata, &unmapper, 0);
}

VFIO_TEST_MAIN("EDU", "IVSHMEM", "DUAL_IGB_0", "DUAL_IGB_1")
