// SPDX-License-Identifier: GPL-2.0
/*
 * What the core does for drivers in C, as the driver vfio_pages sees it, which both stacks
 * load: the machine of its user, states of migration, ranges that are too many; and when it
 * is opened and closed. What it pins is in emulated_pin_test.c.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kvm_vfio.h"
#include "locked_memory.h"
#include "memory_dma.h"
#include "migration.h"
#include "vfio_pages.h"
#include "waiter.h"

#define PAGES_NAME	"vfio-pages"
#define DRIVER		"/sys/bus/platform/drivers/vfio-pages/"
#define NR_STATES	8
#define A_WHILE		300

#define PLACE(name)	(REGISTERS + offsetof(struct vfio_pages_registers, name))

FIXTURE(pages)
{
	struct vfio_session session;
	int device;
};

FIXTURE_SETUP(pages)
{
	if (!sample_exists("vfio_pages"))
		SKIP(return, "there is no module vfio_pages");
	ASSERT_EQ(0, emulated_open(&self->session, PAGES_NAME, VFIO_TYPE1v2_IOMMU));
	self->device = self->session.device;
}

FIXTURE_TEARDOWN(pages)
{
	session_close(&self->session);
}

static long order(int device, uint64_t number)
{
	return put(device, REGISTER(command), number) ? REG(device, result) : -EIO;
}

/* ---- the machine ---- */

/* 9-20, 9-26: a driver finds the machine that its user's file belongs to, while it is open. */
TEST_F(pages, has_a_machine)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm, vfio;

	if (kvm < 0)
		SKIP(return, "no KVM");
	vm = vfio_ioctl(kvm, KVM_CREATE_VM, 0);
	ASSERT_LE(0, vm);
	vfio = kvm_vfio(vm);
	ASSERT_LE(0, vfio);
	EXPECT_EQ(0, get(self->device, PLACE(kvm)));
	/* Not one that came too late. */
	ASSERT_EQ(0, kvm_file(vfio, KVM_DEV_VFIO_FILE_ADD, self->session.group));
	EXPECT_EQ(0, get(self->device, PLACE(kvm)));
	close(self->device);
	self->device = group_device(self->session.group, PAGES_NAME);
	ASSERT_LE(0, self->device);
	self->session.device = self->device;
	EXPECT_EQ(1, get(self->device, PLACE(kvm)));
	/* It stays for as long as the device is open. */
	close(vfio);
	close(vm);
	EXPECT_EQ(1, get(self->device, PLACE(kvm)));
	close(self->device);
	self->device = group_device(self->session.group, PAGES_NAME);
	ASSERT_LE(0, self->device);
	self->session.device = self->device;
	EXPECT_EQ(0, get(self->device, PLACE(kvm)));
	close(kvm);
}

/* ---- migration ---- */

/* A row for each state to go from, in it a column for each to go to; - is EINVAL. */
static const struct {
	uint32_t flags;
	const char *next[NR_STATES];
} tables[] = {
	{
		.flags = VFIO_MIGRATION_STOP_COPY,
		.next = {
			[STOP] = "-1234---",
			[RUNNING] = "-1211---",
			[STOP_COPY] = "-1131---",
			[RESUMING] = "-1114---",
		},
	},
	{
		.flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
		.next = {
			[STOP] = "-15345--",
			[RUNNING] = "-52555--",
			[STOP_COPY] = "-11311--",
			[RESUMING] = "-11141--",
			[RUNNING_P2P] = "-12115--",
		},
	},
	{
		.flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY,
		.next = {
			[STOP] = "-1234-2-",
			[RUNNING] = "-1211-6-",
			[STOP_COPY] = "-1131---",
			[RESUMING] = "-1114-1-",
			[PRE_COPY] = "-2232-6-",
		},
	},
	{
		.flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY,
		.next = {
			[STOP] = "-1534555",
			[RUNNING] = "-5255565",
			[STOP_COPY] = "-11311--",
			[RESUMING] = "-1114111",
			[RUNNING_P2P] = "-1211527",
			[PRE_COPY] = "-2272267",
			[PRE_COPY_P2P] = "-5535567",
		},
	},
};

static char next_state(int device, uint32_t from, uint32_t to)
{
	long ret;

	if (!put(device, PLACE(from), from) || !put(device, PLACE(to), to))
		return '?';
	ret = order(device, VFIO_PAGES_NEXT_STATE);
	if (ret)
		return ret == -EINVAL ? '-' : '!';
	return '0' + get(device, PLACE(to));
}

/* 9-6: the way from each state that a device with these features can be in to each other one. */
TEST_F(pages, next_states)
{
	static const uint32_t unknown[] = { 8, 255, INT32_MAX };
	uint32_t from, to;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		ASSERT_TRUE(put(self->device, PLACE(flags), tables[i].flags));
		for (from = STOP; from < NR_STATES; from++) {
			char next[NR_STATES + 1] = "";

			/* To be there is the driver's fault, which the core would report. */
			if (!tables[i].next[from])
				continue;
			for (to = ERROR; to < NR_STATES; to++)
				next[to] = next_state(self->device, from, to);
			EXPECT_STREQ(tables[i].next[from], next) {
				TH_LOG("flags %u, from %u", tables[i].flags, from);
			}
			for (j = 0; j < ARRAY_SIZE(unknown); j++)
				EXPECT_EQ('-', next_state(self->device, from, unknown[j]));
		}
	}
}

/* ---- ranges ---- */

/* 9-6: so few that the device can do with them, and nothing is left out. */
TEST_F(pages, combines_ranges)
{
	static const uint64_t ranges[][2] = {
		{ 0x1000, 0x1fff }, { 0x4000, 0x4fff }, { 0x5000, 0x5fff },
		{ 0x9000, 0x9fff }, { 0x100000, 0x1fffff },
	};
	static const struct {
		uint64_t most;
		uint64_t count;
		uint64_t ranges[5][2];
	} combined[] = {
		{ 9, 5, { { 0x1000, 0x1fff }, { 0x4000, 0x4fff }, { 0x5000, 0x5fff },
			  { 0x9000, 0x9fff }, { 0x100000, 0x1fffff } } },
		{ 4, 4, { { 0x1000, 0x1fff }, { 0x4000, 0x5fff },
			  { 0x9000, 0x9fff }, { 0x100000, 0x1fffff } } },
		{ 3, 3, { { 0x1000, 0x5fff }, { 0x9000, 0x9fff },
			  { 0x100000, 0x1fffff } } },
		{ 2, 2, { { 0x1000, 0x9fff }, { 0x100000, 0x1fffff } } },
		{ 1, 1, { { 0x1000, 0x1fffff } } },
	};
	int device = self->device;
	int i;

	for (i = 0; i < ARRAY_SIZE(combined); i++) {
		uint64_t seen[5][2];

		ASSERT_EQ(sizeof(ranges), pwrite(device, ranges, sizeof(ranges), 0));
		ASSERT_TRUE(put(device, REGISTER(length), 5));
		ASSERT_TRUE(put(device, PLACE(flags), combined[i].most));
		ASSERT_EQ(0, order(device, VFIO_PAGES_COMBINE));
		ASSERT_EQ(combined[i].count, get(device, PLACE(to)));
		ASSERT_EQ(sizeof(seen), pread(device, seen, sizeof(seen), 0));
		EXPECT_EQ(0, memcmp(seen, combined[i].ranges, combined[i].count * 16)) {
			TH_LOG("%d", i);
		}
	}
}

/* ---- open and closed ---- */

/* The driver opens the device for the first user, and closes it for the last one. */
TEST_F(pages, opens_once)
{
	int second = group_device(self->session.group, PAGES_NAME);

	ASSERT_LE(0, second);
	ASSERT_TRUE(put(self->device, PLACE(flags), 0x55));
	close(self->device);
	EXPECT_EQ(0x55, get(second, PLACE(flags)));
	self->device = group_device(self->session.group, PAGES_NAME);
	ASSERT_LE(0, self->device);
	self->session.device = self->device;
	EXPECT_EQ(0x55, get(self->device, PLACE(flags)));
	close(self->device);
	close(second);
	self->device = group_device(self->session.group, PAGES_NAME);
	ASSERT_LE(0, self->device);
	self->session.device = self->device;
	EXPECT_EQ(0, get(self->device, PLACE(flags)));
}

/* It is taken from its driver while it is open, and pins memory; the user has to close it. */
TEST_F(pages, unbound_while_open)
{
	int device = self->device;
	uint8_t *buffer = memory_new(SIZE);
	long pinned = memory_pinned_pages();
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)buffer);
	ASSERT_EQ(0, type1_map(self->session.container, buffer, IOVA, SIZE, DMA_RW));
	ASSERT_EQ(0, pin(device, IOVA, SIZE));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		session_close(&self->session);
		_exit(file_write(DRIVER "unbind", PAGES_NAME) != 0);
	}
	EXPECT_TRUE(waiter_waits_in(pid, __NR_write, A_WHILE));
	EXPECT_EQ(-ENODEV, group_device(self->session.group, PAGES_NAME));
	memset(buffer, 0x5a, SIZE);
	EXPECT_EQ(0x5a, load(device, VFIO_MEMORY_READ_PINNED, IOVA, SIZE));
	EXPECT_EQ(SIZE, type1_unmap(self->session.container, IOVA, SIZE, 0));
	EXPECT_EQ(1, REG(device, told));
	EXPECT_EQ(-EAGAIN, module_unload("vfio_pages"));
	close(device);
	self->session.device = -1;
	EXPECT_EQ(0, child_result(pid));
	EXPECT_EQ(pinned, settled_pinned_pages(pinned));
	session_close(&self->session);
	EXPECT_EQ(-ENOENT, emulated_group_open(PAGES_NAME));
	ASSERT_EQ(0, file_write(DRIVER "bind", PAGES_NAME));
	ASSERT_EQ(0, emulated_open(&self->session, PAGES_NAME, VFIO_TYPE1v2_IOMMU));
	munmap(buffer, SIZE);
}

SAMPLES_TEST_MAIN("vfio_pages")
