// SPDX-License-Identifier: GPL-2.0
/*
 * Peer to peer: the edu device does DMA to the memory of an ivshmem device that
 * another container, or nobody, owns by then. With these modules the mapping
 * goes with the device that it points at; with the C modules it survives.
 * $STACK says which of them are loaded.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "edu.h"
#include "iommu_debug.h"
#include "kernel_log.h"
#include "kselftest_harness.h"
#include "vfio_fixture.h"

#define IOVA		0x40000000UL
#define IOVA_RAM	0x10000000UL
#define BAR		2
#define BAR_SIZE	(64UL << 20)
#define PATTERN		0x5a
#define CANARY		0xc3
/* What the log says of page frames that are no VFIO device's. */
#define REFUSAL		"Refusing to map page frames of an area"
#define REFUSALS	100
#define ROUNDS		300

FIXTURE(peer)
{
	const char *edu_bdf;
	const char *peer_bdf;
	struct vfio_session edu;
	struct vfio_session peer;
	uint8_t *ram;
	void *bar;
};

FIXTURE_VARIANT(peer)
{
	int iommu;
};

FIXTURE_VARIANT_ADD(peer, v1) { .iommu = VFIO_TYPE1_IOMMU };
FIXTURE_VARIANT_ADD(peer, v2) { .iommu = VFIO_TYPE1v2_IOMMU };

FIXTURE_SETUP(peer)
{
	NEED_DEVICE(self->edu_bdf, "EDU");
	NEED_DEVICE(self->peer_bdf, "IVSHMEM");
	NEED_IOMMU_TABLE();
	self->peer.container = self->peer.group = self->peer.device = -1;
	ASSERT_EQ(0, session_open(&self->edu, self->edu_bdf, variant->iommu));
	ASSERT_EQ(0, edu_bus_master(self->edu.device, true));
	self->ram = memory_new(PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, (void *)self->ram);
	ASSERT_EQ(0, type1_map(self->edu.container, self->ram, IOVA_RAM,
			       PAGE_SIZE, DMA_RW));
	/* The engine's buffer is what it will write. */
	memset(self->ram, PATTERN, PAGE_SIZE);
	ASSERT_EQ(0, edu_load(self->edu.device, IOVA_RAM, PAGE_SIZE));
	ASSERT_EQ(0, session_open(&self->peer, self->peer_bdf, variant->iommu));
	ASSERT_EQ(0, memory_enable(self->peer.device, true));
	ASSERT_EQ(0, bar_mmap(self->peer.device, BAR, 0, BAR_SIZE,
			      PROT_READ | PROT_WRITE, &self->bar));
}

FIXTURE_TEARDOWN(peer)
{
	EXPECT_EQ(0, session_works(&self->edu));
	session_close(&self->edu);
	session_close(&self->peer);
}

/* With the C modules everything survives. */
static uint64_t left_of(uint64_t size)
{
	return on_c_modules() ? size : 0;
}

/*
 * The decisive question, once the device has changed hands. What was mapped are
 * the @size bytes of the BAR from @bar_offset on, at @iova.
 */
static void expect_gone(struct __test_metadata *_metadata,
			struct _test_data_peer *self, int iommu, uint64_t iova,
			uint64_t size, uint64_t bar_offset)
{
	bool survives = on_c_modules();
	struct vfio_session owner;
	uint8_t *memory;
	void *bar;

	EXPECT_EQ(left_of(size), iommu_mapped(self->edu_bdf, iova, size));
	ASSERT_EQ(0, session_open(&owner, self->peer_bdf, iommu));
	ASSERT_EQ(0, memory_enable(owner.device, true));
	ASSERT_EQ(0, bar_mmap(owner.device, BAR, 0, BAR_SIZE,
			      PROT_READ | PROT_WRITE, &bar));
	memory = (uint8_t *)bar + bar_offset;
	memset(memory, CANARY, 64);
	if (!survives)
		EXPECT_TRUE(edu_store_faults(self->edu.device, iova));
	ASSERT_EQ(0, edu_store(self->edu.device, iova, 64));
	report_difference("DMA mapping of a BAR whose owner has gone",
			  memory[0] == PATTERN ? "survives" : "revoked");
	EXPECT_EQ(survives ? PATTERN : CANARY, memory[0]);
	EXPECT_EQ(survives ? PATTERN : CANARY, memory[63]);
	munmap(bar, BAR_SIZE);
	session_close(&owner);
}

/* Closes everything that this process has of the other device. */
static void peer_let_go(struct _test_data_peer *self)
{
	munmap(self->bar, BAR_SIZE);
	session_close(&self->peer);
}

/* 12-1: the whole BAR; first the bytes, then the owner changes. */
TEST_F(peer, closed)
{
	long users;

	ASSERT_EQ(0, type1_map(self->edu.container, self->bar, IOVA, BAR_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, edu_store(self->edu.device, IOVA + 8192, 64));
	EXPECT_EQ(PATTERN, ((uint8_t *)self->bar)[8192]);
	EXPECT_EQ(PATTERN, ((uint8_t *)self->bar)[8192 + 63]);
	EXPECT_EQ(BAR_SIZE, iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	peer_let_go(self);
	expect_gone(_metadata, self, variant->iommu, IOVA, BAR_SIZE, 0);
	/* What was revoked is still a mapping until the user unmaps it. */
	EXPECT_EQ(-EEXIST, type1_map(self->edu.container, self->ram, IOVA,
				     PAGE_SIZE, DMA_RW));
	/* But it does not keep the driver of that device loaded. */
	users = module_users("vfio_pci");
	EXPECT_EQ(BAR_SIZE, type1_unmap(self->edu.container, IOVA, BAR_SIZE, 0));
	EXPECT_EQ(users, module_users("vfio_pci"));
	EXPECT_EQ(0, type1_map(self->edu.container, self->ram, IOVA, PAGE_SIZE,
			       DMA_RW));
}

/* Several mappings, each of a part, in one container. */
TEST_F(peer, parts)
{
	uint8_t *bar = self->bar;

	ASSERT_EQ(0, type1_map(self->edu.container, bar + SIZE_2M, IOVA, SIZE_2M,
			       DMA_RW));
	ASSERT_EQ(0, type1_map(self->edu.container, bar + 3 * PAGE_SIZE,
			       IOVA + SIZE_1G, PAGE_SIZE, DMA_RW));
	ASSERT_EQ(0, edu_store(self->edu.device, IOVA + SIZE_1G, 64));
	EXPECT_EQ(PATTERN, bar[3 * PAGE_SIZE]);
	peer_let_go(self);
	expect_gone(_metadata, self, variant->iommu, IOVA, SIZE_2M, SIZE_2M);
	expect_gone(_metadata, self, variant->iommu, IOVA + SIZE_1G, PAGE_SIZE,
		    3 * PAGE_SIZE);
	EXPECT_EQ(SIZE_2M, type1_unmap(self->edu.container, IOVA, SIZE_2M, 0));
	EXPECT_EQ(PAGE_SIZE, type1_unmap(self->edu.container, IOVA + SIZE_1G,
					 PAGE_SIZE, 0));
}

/* One mapping with ordinary memory on both sides of the device's. */
TEST_F(peer, mixed)
{
	uint8_t *area = memory_new(3 * PAGE_SIZE);
	void *middle;

	ASSERT_NE(MAP_FAILED, (void *)area);
	middle = mmap(area + PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED, self->peer.device,
		      REGION_OFFSET(BAR));
	ASSERT_EQ((void *)(area + PAGE_SIZE), middle);
	ASSERT_EQ(0, type1_map(self->edu.container, area, IOVA, 3 * PAGE_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, edu_store(self->edu.device, IOVA + PAGE_SIZE, 64));
	EXPECT_EQ(PATTERN, ((uint8_t *)self->bar)[0]);
	munmap(area + PAGE_SIZE, PAGE_SIZE);
	peer_let_go(self);
	EXPECT_EQ(2 * PAGE_SIZE + left_of(PAGE_SIZE),
		  iommu_mapped(self->edu_bdf, IOVA, 3 * PAGE_SIZE));
	expect_gone(_metadata, self, variant->iommu, IOVA + PAGE_SIZE, PAGE_SIZE,
		    0);
	/* The memory is still there. */
	ASSERT_EQ(0, edu_store(self->edu.device, IOVA, 64));
	ASSERT_EQ(0, edu_store(self->edu.device, IOVA + 2 * PAGE_SIZE, 64));
	EXPECT_EQ(PATTERN, area[63]);
	EXPECT_EQ(PATTERN, area[2 * PAGE_SIZE]);
	EXPECT_EQ(3 * PAGE_SIZE, type1_unmap(self->edu.container, IOVA,
					     3 * PAGE_SIZE, 0));
}

/* One mapping of a page of each of two devices: this one's, then TESTDEV's. */
static void map_two_devices(struct __test_metadata *_metadata,
			    struct _test_data_peer *self, int iommu,
			    struct vfio_session *other, uint8_t **area)
{
	uint8_t *start = memory_new(2 * PAGE_SIZE);
	const char *bdf = pci_device("TESTDEV");

	ASSERT_NE(NULL, bdf);
	ASSERT_NE(MAP_FAILED, (void *)start);
	ASSERT_EQ(0, session_open(other, bdf, iommu));
	ASSERT_EQ(0, memory_enable(other->device, true));
	ASSERT_EQ((void *)start,
		  mmap(start, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED |
		       MAP_FIXED, self->peer.device, REGION_OFFSET(BAR)));
	ASSERT_EQ((void *)(start + PAGE_SIZE),
		  mmap(start + PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, other->device,
		       REGION_OFFSET(BAR)));
	ASSERT_EQ(0, type1_map(self->edu.container, start, IOVA, 2 * PAGE_SIZE,
			       DMA_RW));
	*area = start;
}

/* They go one after the other. */
TEST_F(peer, two_devices)
{
	struct vfio_session other;
	uint8_t *area;
	long users;

	map_two_devices(_metadata, self, variant->iommu, &other, &area);
	munmap(area, PAGE_SIZE);
	peer_let_go(self);
	EXPECT_EQ(on_c_modules(), iommu_maps_iova(self->edu_bdf, IOVA));
	EXPECT_TRUE(iommu_maps_iova(self->edu_bdf, IOVA + PAGE_SIZE));
	munmap(area + PAGE_SIZE, PAGE_SIZE);
	session_close(&other);
	EXPECT_EQ(left_of(2 * PAGE_SIZE),
		  iommu_mapped(self->edu_bdf, IOVA, 2 * PAGE_SIZE));
	/* It keeps the drivers of neither of them loaded. */
	users = module_users("vfio_pci");
	EXPECT_EQ(2 * PAGE_SIZE, type1_unmap(self->edu.container, IOVA,
					     2 * PAGE_SIZE, 0));
	EXPECT_EQ(users, module_users("vfio_pci"));
}

/* The one that is gone is not kept because of the one that is still there. */
TEST_F(peer, one_of_two_devices)
{
	struct vfio_session other;
	uint8_t *area;
	long users;

	map_two_devices(_metadata, self, variant->iommu, &other, &area);
	munmap(area, PAGE_SIZE);
	peer_let_go(self);
	users = module_users("vfio_pci");
	/* As if that one had never been in the mapping. */
	EXPECT_EQ(2 * PAGE_SIZE, type1_unmap(self->edu.container, IOVA,
					     2 * PAGE_SIZE, 0));
	EXPECT_EQ(0, type1_map(self->edu.container, area + PAGE_SIZE,
			       IOVA + PAGE_SIZE, PAGE_SIZE, DMA_RW));
	EXPECT_EQ(module_users("vfio_pci"), users);
	munmap(area + PAGE_SIZE, PAGE_SIZE);
	session_close(&other);
}

/* The user unmaps first: nothing is left to revoke. */
TEST_F(peer, unmapped_first)
{
	ASSERT_EQ(0, type1_map(self->edu.container, self->bar, IOVA, BAR_SIZE,
			       DMA_RW));
	EXPECT_EQ(BAR_SIZE, type1_unmap(self->edu.container, IOVA, BAR_SIZE, 0));
	EXPECT_EQ(0, iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	peer_let_go(self);
}

/* The device maps its own BAR in its own container, and is closed. */
TEST_F(peer, own_bar)
{
	ASSERT_EQ(0, type1_map(self->peer.container, self->bar, IOVA, BAR_SIZE,
			       DMA_RW));
	EXPECT_EQ(BAR_SIZE, iommu_mapped(self->peer_bdf, IOVA, BAR_SIZE));
	munmap(self->bar, BAR_SIZE);
	close(self->peer.device);
	self->peer.device = -1;
	EXPECT_EQ(left_of(BAR_SIZE),
		  iommu_mapped(self->peer_bdf, IOVA, BAR_SIZE));
	EXPECT_EQ(BAR_SIZE, type1_unmap(self->peer.container, IOVA, BAR_SIZE, 0));
	ASSERT_LE(0, self->peer.device = group_device(self->peer.group,
						      self->peer_bdf));
	EXPECT_EQ(0, session_works(&self->peer));
}

/*
 * Three containers at once: another one, the device's own, and one that has no
 * device open. Some of them are gone before the device is closed.
 */
static void map_in_three(struct __test_metadata *_metadata,
			 struct _test_data_peer *self, int third)
{
	uint8_t *bar = self->bar;

	ASSERT_EQ(0, type1_map(self->edu.container, bar, IOVA, BAR_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, type1_map(self->peer.container, bar, IOVA, BAR_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, type1_map(third, bar + SIZE_2M, IOVA, SIZE_2M, DMA_RW));
	ASSERT_EQ(0, type1_map(third, bar + 5 * PAGE_SIZE, IOVA + SIZE_1G,
			       3 * PAGE_SIZE, DMA_RW));
}

TEST_F(peer, three_containers)
{
	const uint64_t size = SIZE_2M + 3 * PAGE_SIZE;
	struct vfio_session third;
	const char *bdf;

	NEED_DEVICE(bdf, "TESTDEV");
	ASSERT_EQ(0, session_join(&third, bdf, variant->iommu));
	map_in_three(_metadata, self, third.container);
	EXPECT_EQ(BAR_SIZE, iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	EXPECT_EQ(BAR_SIZE, iommu_mapped(self->peer_bdf, IOVA, BAR_SIZE));
	EXPECT_EQ(size, iommu_mapped(bdf, IOVA, 2 * SIZE_1G));
	munmap(self->bar, BAR_SIZE);
	close(self->peer.device);
	self->peer.device = -1;
	EXPECT_EQ(left_of(BAR_SIZE),
		  iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	EXPECT_EQ(left_of(BAR_SIZE),
		  iommu_mapped(self->peer_bdf, IOVA, BAR_SIZE));
	EXPECT_EQ(left_of(size), iommu_mapped(bdf, IOVA, 2 * SIZE_1G));
	EXPECT_EQ(BAR_SIZE, type1_unmap(self->peer.container, IOVA, BAR_SIZE, 0));
	EXPECT_EQ(SIZE_2M, type1_unmap(third.container, IOVA, SIZE_2M, 0));
	EXPECT_EQ(3 * PAGE_SIZE, type1_unmap(third.container, IOVA + SIZE_1G,
					     3 * PAGE_SIZE, 0));
	session_close(&third);
	session_close(&self->peer);
	expect_gone(_metadata, self, variant->iommu, IOVA, BAR_SIZE, 0);
}

TEST_F(peer, container_closed_first)
{
	struct vfio_session third;
	const char *bdf;

	NEED_DEVICE(bdf, "TESTDEV");
	ASSERT_EQ(0, session_join(&third, bdf, variant->iommu));
	map_in_three(_metadata, self, third.container);
	session_close(&third);
	EXPECT_EQ(0, iommu_mapped(bdf, IOVA, 2 * SIZE_1G));
	/* The others are not concerned. */
	EXPECT_EQ(BAR_SIZE, iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	EXPECT_EQ(BAR_SIZE, iommu_mapped(self->peer_bdf, IOVA, BAR_SIZE));
	peer_let_go(self);
	expect_gone(_metadata, self, variant->iommu, IOVA, BAR_SIZE, 0);
}

/* The owner is killed, and the device unbound, bound elsewhere, bound again. */
TEST_F(peer, killed_and_rebound)
{
	int sockets[2], fd;
	void *bar;
	pid_t pid;

	peer_let_go(self);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct vfio_session owner;

		/* The edu's files are the parent's alone. */
		close(self->edu.device);
		close(self->edu.group);
		close(self->edu.container);
		if (session_open(&owner, self->peer_bdf, variant->iommu) ||
		    memory_enable(owner.device, true) ||
		    fd_send(sockets[1], owner.device))
			_exit(1);
		pause();
		_exit(0);
	}
	fd = fd_receive(sockets[0]);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bar_mmap(fd, BAR, 0, BAR_SIZE, PROT_READ | PROT_WRITE, &bar));
	ASSERT_EQ(0, type1_map(self->edu.container, bar, IOVA, BAR_SIZE, DMA_RW));
	munmap(bar, BAR_SIZE);
	close(fd);
	/* The device is open as long as its owner lives. */
	EXPECT_EQ(BAR_SIZE, iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(left_of(BAR_SIZE),
		  iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	ASSERT_EQ(0, pci_bind(self->peer_bdf, "pci-stub"));
	EXPECT_EQ(left_of(BAR_SIZE),
		  iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	ASSERT_EQ(0, pci_bind(self->peer_bdf, "vfio-pci"));
	expect_gone(_metadata, self, variant->iommu, IOVA, BAR_SIZE, 0);
	close(sockets[0]);
	close(sockets[1]);
}

/* Memory disable and reset alone leave DMA mappings as they are. */
TEST_F(peer, memory_disable)
{
	ASSERT_EQ(0, type1_map(self->edu.container, self->bar, IOVA, BAR_SIZE,
			       DMA_RW));
	ASSERT_EQ(0, memory_enable(self->peer.device, false));
	EXPECT_EQ(BAR_SIZE, iommu_mapped(self->edu_bdf, IOVA, BAR_SIZE));
	ASSERT_EQ(0, memory_enable(self->peer.device, true));
	ASSERT_EQ(0, edu_store(self->edu.device, IOVA, 64));
	EXPECT_EQ(PATTERN, ((uint8_t *)self->bar)[0]);
}

struct toggle {
	int device;
	/* Microseconds from one time to the next. */
	volatile unsigned int pause;
	volatile bool stop;
};

/* Off and on again: mostly before the other thread notices. */
static void *toggle_memory(void *data)
{
	struct toggle *toggle = data;

	while (!toggle->stop) {
		memory_enable(toggle->device, false);
		memory_enable(toggle->device, true);
		usleep(toggle->pause);
	}
	return NULL;
}

/* A place where pages of the BAR are mapped one by one. */
static void *map_in_pages(struct _test_data_peer *self, size_t size)
{
	char *place = memory_new_aligned(2 * SIZE_2M + size, SIZE_2M);

	return mmap(place + PAGE_SIZE, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, self->peer.device,
		    REGION_OFFSET(BAR));
}

/*
 * Page frames that are taken away between the fault and the look-up: the mapping
 * has all of them or none, and who waits for that can be killed.
 */
TEST_F(peer, memory_vanishes)
{
	const size_t size = (kernel_has_checkers() ? 16 : 256) * PAGE_SIZE;
	struct toggle toggle = {
		.device = self->peer.device,
		.pause = kernel_has_checkers() ? 20000 : 5000,
	};
	long mapped = 0, refused = 0;
	pthread_t thread;
	void *bar = map_in_pages(self, size);
	int round;

	ASSERT_NE(MAP_FAILED, bar);
	ASSERT_EQ(0, pthread_create(&thread, NULL, toggle_memory, &toggle));
	for (round = 0; round < ROUNDS; round++) {
		long ret = type1_map(self->edu.container, bar, IOVA, size,
				     DMA_RW);

		if (!ret) {
			mapped++;
			EXPECT_EQ(size, type1_unmap(self->edu.container, IOVA,
						    size, 0));
		} else if (ret == -EFAULT || on_c_modules()) {
			refused++;
		} else {
			ASSERT_EQ(0, ret);
		}
		if (mapped)
			continue;
		/*
		 * On a busy host that is too often for any to get through, or
		 * all rounds are over before memory is there again.
		 */
		usleep(toggle.pause);
		if (round % 20 == 19 && toggle.pause < 200000)
			toggle.pause += toggle.pause;
	}
	EXPECT_EQ(0, iommu_mapped(self->edu_bdf, IOVA, size));
	TH_LOG("%ld mapped, %ld refused", mapped, refused);
	EXPECT_EQ(ROUNDS, mapped + refused);
	if (!on_c_modules())
		EXPECT_LT(0, mapped);

	for (round = 0; round < 10; round++) {
		pid_t child = fork();

		ASSERT_LE(0, child);
		if (!child) {
			for (;;) {
				type1_map(self->edu.container, bar, IOVA, size,
					  DMA_RW);
				type1_unmap(self->edu.container, IOVA, size, 0);
			}
		}
		usleep(50000 + round * 1000);
		ASSERT_EQ(0, kill(child, SIGKILL));
		EXPECT_EQ(-SIGKILL, child_result(child));
		type1_unmap(self->edu.container, IOVA, size, 0);
		EXPECT_EQ(0, iommu_mapped(self->edu_bdf, IOVA, size));
	}
	toggle.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, type1_map(self->edu.container, bar, IOVA, size, DMA_RW));
	EXPECT_EQ(size, iommu_mapped(self->edu_bdf, IOVA, size));
	munmap(bar, size);
}

/* A page that is the device's and ordinary memory by turns. */
struct turn {
	int device;
	void *page;
	volatile bool stop;
};

static void *turn_page(void *data)
{
	struct turn *turn = data;
	void *page;
	long i;

	for (i = 0; !turn->stop; i++) {
		if (i % 2)
			page = mmap(turn->page, PAGE_SIZE,
				    PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_FIXED, turn->device,
				    REGION_OFFSET(BAR));
		else
			page = mmap(turn->page, PAGE_SIZE,
				    PROT_READ | PROT_WRITE, MAP_PRIVATE |
				    MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (page == MAP_FAILED)
			return "mmap() fails";
	}
	return NULL;
}

/* Takes the memory away from page faults again and again, for a moment. */
static void *enable_memory(void *data)
{
	struct turn *turn = data;

	while (!turn->stop)
		memory_enable(turn->device, true);
	return NULL;
}

/* There is memory at any time, so that it can be mapped at any time. */
TEST_F(peer, memory_turns_ordinary)
{
	struct turn turn = {
		.device = self->peer.device, .page = memory_new(PAGE_SIZE),
	};
	const int rounds = ROUNDS * (kernel_has_checkers() ? 1 : 20);
	pthread_t threads[2];
	void *error;
	int round, failures = 0;

	ASSERT_NE(MAP_FAILED, turn.page);
	ASSERT_EQ(0, pthread_create(&threads[0], NULL, turn_page, &turn));
	ASSERT_EQ(0, pthread_create(&threads[1], NULL, enable_memory, &turn));
	for (round = 0; round < rounds; round++) {
		failures += !!type1_map(self->edu.container, turn.page, IOVA,
					PAGE_SIZE, DMA_RW);
		type1_unmap(self->edu.container, IOVA, PAGE_SIZE, 0);
	}
	turn.stop = true;
	ASSERT_EQ(0, pthread_join(threads[0], &error));
	EXPECT_EQ(NULL, error);
	pthread_join(threads[1], NULL);
	TH_LOG("%d of %d refused", failures, rounds);
	if (!on_c_modules())
		EXPECT_EQ(0, failures);
	EXPECT_EQ(0, munmap(turn.page, PAGE_SIZE));
}

struct race {
	int container;
	void *bar;
	volatile bool stop;
};

static void *map_and_unmap(void *data)
{
	struct race *race = data;
	uint64_t i;

	for (i = 0; !race->stop; i++) {
		uint64_t iova = IOVA + (i % 3) * BAR_SIZE;
		uint64_t size = PAGE_SIZE << (i % 14);

		type1_map(race->container, race->bar, iova, size, DMA_RW);
		type1_unmap(race->container, iova, size, 0);
		type1_map(race->container, race->bar, iova, PAGE_SIZE, DMA_RW);
	}
	return NULL;
}

/* Mapping, unmapping and closing at once: nothing is left, nothing hangs. */
TEST_F(peer, races)
{
	struct race race = { .container = self->edu.container };
	pthread_t threads[2];
	int rounds = kernel_has_checkers() ? 10 : 30;
	int round, i;

	peer_let_go(self);
	race.bar = mmap(NULL, BAR_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	ASSERT_NE(MAP_FAILED, race.bar);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, map_and_unmap,
					    &race));
	for (round = 0; round < rounds; round++) {
		struct vfio_session owner;

		ASSERT_EQ(0, session_open(&owner, self->peer_bdf,
					  variant->iommu));
		ASSERT_EQ(0, memory_enable(owner.device, true));
		ASSERT_EQ(race.bar, mmap(race.bar, BAR_SIZE,
					 PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_FIXED, owner.device,
					 REGION_OFFSET(BAR)));
		usleep(round * 500);
		ASSERT_EQ(race.bar, mmap(race.bar, BAR_SIZE, PROT_NONE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
					 -1, 0));
		session_close(&owner);
		/* Nobody has the device, so nothing maps its memory. */
		if (!on_c_modules())
			EXPECT_EQ(0, iommu_mapped(self->edu_bdf, IOVA,
						  3 * BAR_SIZE));
	}
	race.stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	type1_unmap(self->edu.container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	munmap(race.bar, BAR_SIZE);
	ASSERT_EQ(0, type1_map(self->edu.container, self->ram, IOVA_RAM,
			       PAGE_SIZE, DMA_RW));
}

FIXTURE(foreign)
{
	struct vfio_session session;
};

/* Two ways to such memory that programs use. */
FIXTURE_VARIANT(foreign)
{
	bool resource;
};

FIXTURE_VARIANT_ADD(foreign, dev_mem) {};
FIXTURE_VARIANT_ADD(foreign, resource_file) { .resource = true };

FIXTURE_SETUP(foreign)
{
	const char *bdf;

	NEED_DEVICE(bdf, "EDU");
	ASSERT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
}

FIXTURE_TEARDOWN(foreign)
{
	EXPECT_EQ(0, session_works(&self->session));
	session_close(&self->session);
}

/* 5-25: page frames of an area that is no VFIO device's: nobody says when they go. */
TEST_F(foreign, refused)
{
	uint64_t start, size;
	char path[64] = "/dev/mem";
	const char *bdf;
	void *memory;
	int fd, log, i;

	NEED_DEVICE(bdf, "IVSHMEM");
	ASSERT_EQ(0, pci_resource(bdf, BAR, &start, &size));
	if (variant->resource) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d",
			 bdf, BAR);
		start = 0;
	}
	fd = open(path, O_RDWR | O_SYNC);
	ASSERT_LE(0, fd);
	memory = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      start);
	ASSERT_NE(MAP_FAILED, memory);
	log = log_open();
	ASSERT_LE(0, log);
	EXPECT_EQ(on_c_modules() ? 0 : -EFAULT,
		  type1_map(self->session.container, memory, IOVA, PAGE_SIZE,
			    DMA_RW));
	/* Of what comes soon after, the log may be full. */
	if (!variant->resource)
		EXPECT_EQ(on_c_modules() ? 0 : 1, log_count(log, REFUSAL));
	/* A user cannot flood the log. */
	for (i = 1; !on_c_modules() && i < REFUSALS; i++)
		EXPECT_EQ(-EFAULT, type1_map(self->session.container, memory,
					     IOVA, PAGE_SIZE, DMA_RW));
	EXPECT_GT(REFUSALS / 4, log_count(log, REFUSAL));
	if (iommu_table_seen())
		EXPECT_EQ(on_c_modules() ? PAGE_SIZE : 0,
			  iommu_mapped(self->session.bdf, IOVA, PAGE_SIZE));
	close(log);
	munmap(memory, PAGE_SIZE);
	close(fd);
}

VFIO_TEST_MAIN("EDU", "IVSHMEM", "TESTDEV")
