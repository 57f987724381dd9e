// SPDX-License-Identifier: GPL-2.0
/*
 * What takes device memory away (8.3): every event, against two processes with
 * eight mappings each, made through fds from every source there is.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "vfio_fixture.h"

/* In each process; so many are made before the fork, and shared by it. */
#define MAPPINGS	8
#define INHERITED	4

#define FDS		4

/* ---- the table that the program ends with ---- */

#define ROWS		24

struct table {
	unsigned int count;
	char rows[ROWS][128];
};

static struct table *table;

static __attribute__((format(printf, 1, 2))) void table_add(const char *format, ...)
{
	va_list args;

	if (table->count == ROWS)
		return;
	va_start(args, format);
	vsnprintf(table->rows[table->count++], sizeof(table->rows[0]), format,
		  args);
	va_end(args);
}

static void table_print(void)
{
	unsigned int i;

	printf("# what happens to CPU mappings, by event:\n");
	for (i = 0; i < table->count; i++)
		printf("# %s\n", table->rows[i]);
}

/* ---- mappings ---- */

/* A way to a device. Register 0 of BAR 0 does not change by being read. */
struct source {
	int fd;
	size_t size;
};

struct mapping {
	int fd;
	uint64_t offset;
	size_t size;
	void *addr;
};

/* The whole BAR, its first page, its last page: in turn. */
static long mapping_make(struct mapping *mapping, const struct source *source,
			 unsigned int index)
{
	mapping->fd = source->fd;
	mapping->size = index % 3 ? PAGE_SIZE : source->size;
	mapping->offset = index % 3 == 2 ? source->size - PAGE_SIZE : 0;
	return bar_mmap(source->fd, 0, mapping->offset, mapping->size, PROT_READ,
			&mapping->addr);
}

static unsigned int mapping_pages(const struct mapping *mapping)
{
	return mapping->size == PAGE_SIZE ? 1 : 2;
}

static void *mapping_last(const struct mapping *mapping)
{
	return mapping->addr + mapping->size - PAGE_SIZE;
}

/* Whether both ends answer, and with what read() says where that is known. */
static bool mapping_works(const struct mapping *mapping)
{
	long value = mmio_at(mapping->addr);
	uint32_t expected;

	if (mmio_at(mapping_last(mapping)) < 0)
		return false;
	if (mapping->offset)
		return value >= 0;
	return region_read(mapping->fd, 0, 0, &expected, 4) == 4 &&
	       value == expected;
}

static bool mapping_is_gone(const struct mapping *mapping)
{
	return mmio_at(mapping->addr) == -SIGBUS &&
	       mmio_at(mapping_last(mapping)) == -SIGBUS;
}

/* What a process, or both together, have found about their mappings. */
struct finding {
	int works;
	int gone;
	int faults;
};

static struct finding look(const struct mapping *mappings)
{
	struct finding finding = { 0 };
	long before = fault_count();
	unsigned int i;

	for (i = 0; i < MAPPINGS; i++) {
		finding.works += mapping_works(&mappings[i]);
		finding.gone += mapping_is_gone(&mappings[i]);
	}
	finding.faults = fault_count() - before;
	return finding;
}

/* ---- two processes ---- */

struct world {
	const char *bdf;
	struct vfio_session session;
	int iommufd;
	struct source sources[FDS];
	unsigned int nr_sources;
	struct mapping mappings[MAPPINGS];
	pid_t other;
	int socket;
};

static int source_add(struct world *world, int fd)
{
	struct source *source = &world->sources[world->nr_sources];

	if (fd < 0)
		return fd;
	source->fd = fd;
	source->size = region_size(fd, 0);
	world->nr_sources++;
	return 0;
}

/* From the group: the first fd, another one, a copy; @also is its neighbour. */
static int world_open_group(struct world *world, const char *also)
{
	int ret = session_share(&world->session, world->bdf);
	int group = world->session.group;

	if (!ret)
		ret = source_add(world, world->session.device);
	if (!ret)
		ret = source_add(world, group_device(group, world->bdf));
	if (!ret)
		ret = source_add(world, dup(world->session.device));
	if (!ret && also)
		ret = source_add(world, group_device(group, also));
	return ret;
}

static int world_open_cdev(struct world *world)
{
	int fd = cdev_open(world->bdf, O_RDWR);
	long ret;

	if (fd < 0)
		return fd;
	world->iommufd = iommufd_open();
	ret = cdev_bind(fd, world->iommufd);
	if (ret >= 0)
		ret = source_add(world, fd);
	if (!ret)
		ret = source_add(world, dup(fd));
	return ret;
}

static int world_map(struct world *world, const struct source *sources,
		     unsigned int count, unsigned int from, unsigned int to)
{
	unsigned int i;

	for (i = from; i < to; i++) {
		if (mapping_make(&world->mappings[i], &sources[i % count], i))
			return -ENOMEM;
	}
	return 0;
}

/*
 * The other process: half of its mappings are copies of its parent's, the others
 * are made through an fd that came by a socket. Answers each byte with what it
 * finds.
 */
static int other_process(struct world *world, int socket)
{
	struct source source = world->sources[0];
	struct finding finding;
	char byte;

	source.fd = fd_receive(socket);
	if (source.fd < 0)
		return 1;
	if (world_map(world, &source, 1, INHERITED, MAPPINGS))
		return 2;
	while (read(socket, &byte, 1) == 1) {
		finding = look(world->mappings);
		if (write(socket, &finding, sizeof(finding)) != sizeof(finding))
			return 3;
	}
	return 0;
}

static int world_fork(struct world *world)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	world->other = fork();
	if (!world->other) {
		close(sockets[0]);
		_exit(other_process(world, sockets[1]));
	}
	close(sockets[1]);
	world->socket = sockets[0];
	return fd_send(world->socket, world->sources[0].fd);
}

/* What both processes find. */
static struct finding world_look(struct world *world)
{
	struct finding theirs = { 0 };
	struct finding ours;

	if (write(world->socket, "l", 1) != 1 ||
	    read(world->socket, &theirs, sizeof(theirs)) != sizeof(theirs))
		return theirs;
	ours = look(world->mappings);
	ours.works += theirs.works;
	ours.gone += theirs.gone;
	ours.faults += theirs.faults;
	return ours;
}

/* How many pages both touch when they look; both have mappings of one shape. */
static int world_pages(const struct world *world)
{
	int pages = 0;
	unsigned int i;

	for (i = 0; i < MAPPINGS; i++)
		pages += mapping_pages(&world->mappings[i]);
	return 2 * pages;
}

static void world_close(struct world *world)
{
	unsigned int i;

	for (i = 0; i < MAPPINGS; i++)
		munmap(world->mappings[i].addr, world->mappings[i].size);
	/* The first is the session's. */
	for (i = world->iommufd < 0; i < world->nr_sources; i++)
		close(world->sources[i].fd);
	if (world->iommufd >= 0)
		close(world->iommufd);
}

/* ---- events ---- */

static long memory_take(struct world *world)
{
	return memory_enable(world->sources[1].fd, false);
}

static long memory_give(struct world *world)
{
	return memory_enable(world->sources[0].fd, true);
}

static long reset(struct world *world)
{
	return vfio_ioctl(world->sources[1].fd, VFIO_DEVICE_RESET, 0);
}

static long function_level_reset(struct world *world)
{
	int fd = world->sources[1].fd;
	long cap = config_cap(fd, PCI_CAP_ID_EXP);
	long control;

	if (cap < 0)
		return cap;
	if (!(config_read(fd, cap + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR))
		return -ENOENT;
	control = config_read(fd, cap + PCI_EXP_DEVCTL, 2);
	return config_write(fd, cap + PCI_EXP_DEVCTL, 2,
			    control | PCI_EXP_DEVCTL_BCR_FLR);
}

static long power_write(struct world *world, uint16_t state)
{
	int fd = world->sources[1].fd;
	long cap = config_cap(fd, PCI_CAP_ID_PM);

	return cap < 0 ? cap : config_write(fd, cap + PCI_PM_CTRL, 2, state);
}

static long power_take(struct world *world)
{
	return power_write(world, 3);
}

static long power_give(struct world *world)
{
	long ret = power_write(world, 0);

	return ret ? ret : memory_give(world);
}

/* All that share a bus are reset; a device from a cdev needs no groups. */
static long hot_reset(struct world *world)
{
	struct {
		struct vfio_pci_hot_reset reset;
		int32_t group;
	} request = {
		.reset.argsz = sizeof(request),
		.reset.count = world->iommufd < 0,
		.group = world->session.group,
	};

	return vfio_ioctl(world->sources[1].fd, VFIO_DEVICE_PCI_HOT_RESET,
			  &request);
}

static long feature_set(struct world *world, uint32_t feature)
{
	struct vfio_device_feature request = {
		.argsz = sizeof(request),
		.flags = VFIO_DEVICE_FEATURE_SET | feature,
	};

	return vfio_ioctl(world->sources[1].fd, VFIO_DEVICE_FEATURE, &request);
}

static long low_power_take(struct world *world)
{
	return feature_set(world, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
}

static long low_power_give(struct world *world)
{
	return feature_set(world, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
}

struct event {
	const char *name;
	long (*take)(struct world *world);
	/* None if memory is back as soon as the event is over. */
	long (*give)(struct world *world);
};

static const struct event memory_bit = {
	.name = "memory bit cleared",
	.take = memory_take,
	.give = memory_give,
};

static const struct event device_reset = {
	.name = "VFIO_DEVICE_RESET",
	.take = reset,
};

static const struct event express_reset = {
	.name = "function level reset",
	.take = function_level_reset,
};

static const struct event power_state = {
	.name = "power state D3hot",
	.take = power_take,
	.give = power_give,
};

static const struct event bus_reset = {
	.name = "hot reset",
	.take = hot_reset,
};

static const struct event low_power = {
	.name = "low power entry",
	.take = low_power_take,
	.give = low_power_give,
};

FIXTURE(zap)
{
	struct world world;
};

FIXTURE_VARIANT(zap)
{
	const struct event *event;
	const char *device;
	/* Another device of the group, which the event hits too. */
	const char *also;
	bool cdev;
};

#define EVENT(variant, what, which, ...)				\
	FIXTURE_VARIANT_ADD(zap, variant)				\
	{								\
		.event = &(what),					\
		.device = which,					\
		##__VA_ARGS__						\
	}

EVENT(memory_bit, memory_bit, "EDU");
EVENT(memory_bit_cdev, memory_bit, "NVME", .cdev = true);
EVENT(reset, device_reset, "IGB");
EVENT(reset_by_power, device_reset, "E1000E");
EVENT(reset_cdev, device_reset, "NVME", .cdev = true);
EVENT(function_level_reset, express_reset, "IGB");
EVENT(function_level_reset_cdev, express_reset, "NVME", .cdev = true);
EVENT(power_state, power_state, "IGB");
EVENT(power_state_forgetful, power_state, "E1000E");
EVENT(power_state_cdev, power_state, "NVME", .cdev = true);
EVENT(hot_reset, bus_reset, "SHARED_EDU", .also = "SHARED_TESTDEV");
EVENT(hot_reset_cdev, bus_reset, "PORT_NVME", .cdev = true);
EVENT(low_power, low_power, "IGB");
EVENT(low_power_cdev, low_power, "NVME", .cdev = true);

FIXTURE_SETUP(zap)
{
	struct world *world = &self->world;
	const char *also = NULL;

	world->iommufd = -1;
	NEED_DEVICE(world->bdf, variant->device);
	if (variant->also)
		NEED_DEVICE(also, variant->also);
	ASSERT_EQ(0, variant->cdev ? world_open_cdev(world) :
		     world_open_group(world, also));
	ASSERT_EQ(0, world_map(world, world->sources, world->nr_sources, 0,
			       INHERITED));
	ASSERT_EQ(0, world_fork(world));
	ASSERT_EQ(0, world_map(world, world->sources, world->nr_sources,
			       INHERITED, MAPPINGS));
}

FIXTURE_TEARDOWN(zap)
{
	struct world *world = &self->world;

	close(world->socket);
	EXPECT_EQ(0, child_result(world->other));
	world_close(world);
	if (!variant->cdev) {
		EXPECT_EQ(0, session_finish(&world->session));
	}
}

/*
 * While memory is away, every access ends in SIGBUS; once it is back, the same
 * mappings work, each page by one fault, since all entries were gone.
 */
TEST_F(zap, every_mapping)
{
	const struct event *event = variant->event;
	struct world *world = &self->world;
	struct finding before, after, during = { 0 };
	long ret;

	/* The first look has the pages of the fork to copy as well. */
	before = world_look(world);
	ASSERT_EQ(2 * MAPPINGS, before.works);
	before = world_look(world);
	ASSERT_EQ(0, before.faults);

	ret = event->take(world);
	if (ret == -ENOTTY)
		SKIP(return, "not there: %s", event->name);
	ASSERT_EQ(0, ret);
	if (event->give) {
		during = world_look(world);
		EXPECT_EQ(2 * MAPPINGS, during.gone);
		EXPECT_EQ(0, during.works);
		ASSERT_EQ(0, event->give(world));
	}
	after = world_look(world);
	EXPECT_EQ(2 * MAPPINGS, after.works);
	EXPECT_EQ(world_pages(world), after.faults);

	table_add("%-22s %-10s %-5s  %-16s %2d of %d work, %d faults for %d pages",
		  event->name, variant->device, variant->cdev ? "cdev" : "group",
		  !event->give ? "back at once" :
		  during.gone == 2 * MAPPINGS ? "SIGBUS, then" : "STILL THERE",
		  after.works, 2 * MAPPINGS, after.faults, world_pages(world));
}

FIXTURE(combined)
{
	struct vfio_session session;
	int fd;
	void *addr;
};

FIXTURE_SETUP(combined)
{
	SHARE_DEVICE(&self->session, "IGB");
	self->fd = self->session.device;
	ASSERT_EQ(0, bar_mmap(self->fd, 0, 0, PAGE_SIZE, PROT_READ, &self->addr));
	ASSERT_LE(0, mmio_at(self->addr));
}

FIXTURE_TEARDOWN(combined)
{
	munmap(self->addr, PAGE_SIZE);
	EXPECT_EQ(0, memory_enable(self->fd, true));
	EXPECT_EQ(0, session_finish(&self->session));
}

/* 6-61: RESET does not give back what the user has switched off. */
TEST_F(combined, reset_while_disabled)
{
	ASSERT_EQ(0, memory_enable(self->fd, false));
	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(-SIGBUS, mmio_at(self->addr));
	ASSERT_EQ(0, memory_enable(self->fd, true));
	EXPECT_LE(0, mmio_at(self->addr));
}

/* 6-61: it wakes the device up, though. */
TEST_F(combined, reset_in_d3)
{
	long cap = config_cap(self->fd, PCI_CAP_ID_PM);

	ASSERT_LT(0, cap);
	ASSERT_EQ(0, config_write(self->fd, cap + PCI_PM_CTRL, 2, 3));
	EXPECT_EQ(-SIGBUS, mmio_at(self->addr));
	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_RESET, 0));
	EXPECT_EQ(0, config_read(self->fd, cap + PCI_PM_CTRL, 2) &
		     PCI_PM_CTRL_STATE_MASK);
	EXPECT_LE(0, mmio_at(self->addr));
}

/* 8-28: D1 and D2, if there, take nothing away; a device without them ignores it. */
TEST_F(combined, light_sleep)
{
	long cap = config_cap(self->fd, PCI_CAP_ID_PM);

	ASSERT_LT(0, cap);
	ASSERT_EQ(0, config_write(self->fd, cap + PCI_PM_CTRL, 2, 1));
	EXPECT_EQ(0, faults_of(self->addr, 1));
	ASSERT_EQ(0, config_write(self->fd, cap + PCI_PM_CTRL, 2, 0));
	EXPECT_EQ(0, faults_of(self->addr, 1));
}

/* ---- how many faults it takes to get everything back ---- */

FIXTURE(count)
{
	struct vfio_session session;
	void *place;
	size_t size;
};

FIXTURE_VARIANT(count)
{
	const char *device;
	unsigned int bar;
	/* How much of the BAR, or 0 for all. */
	size_t size;
	/* What one fault maps. */
	size_t unit;
	size_t shift;
	/* How far apart the accesses are. */
	size_t step;
};

FIXTURE_VARIANT_ADD(count, pages)
{
	.device = "EDU",
	.bar = 0,
	.unit = PAGE_SIZE,
	.step = PAGE_SIZE,
};

FIXTURE_VARIANT_ADD(count, pmd)
{
	.device = "IVSHMEM",
	.bar = 2,
	.unit = SIZE_2M,
	.step = PAGE_SIZE,
};

/* Off by a page, no block is aligned in both address and offset. */
FIXTURE_VARIANT_ADD(count, pmd_misaligned)
{
	.device = "IVSHMEM",
	.bar = 2,
	.size = 2 * SIZE_2M,
	.unit = PAGE_SIZE,
	.shift = PAGE_SIZE,
	.step = PAGE_SIZE,
};

FIXTURE_VARIANT_ADD(count, pud)
{
	.device = "TESTDEV",
	.bar = 2,
	.unit = SIZE_1G,
	.step = SIZE_2M,
};

/* Aligned to 2M only. */
FIXTURE_VARIANT_ADD(count, pud_misaligned)
{
	.device = "TESTDEV",
	.bar = 2,
	.size = SIZE_1G,
	.unit = SIZE_2M,
	.shift = SIZE_2M,
	.step = SIZE_2M,
};

static bool cpu_has(const char *flag)
{
	static char text[65536];

	return file_read("/proc/cpuinfo", text, sizeof(text)) > 0 &&
	       strstr(text, flag);
}

/* What is as large as @unit can be mapped by one entry. */
static bool unit_supported(size_t unit)
{
	if (unit == PAGE_SIZE)
		return true;
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK))
		return false;
	return unit == SIZE_2M || cpu_has("pdpe1gb");
}

FIXTURE_SETUP(count)
{
	SHARE_DEVICE(&self->session, variant->device);
	if (!unit_supported(variant->unit))
		SKIP(return, "no pages of %zu bytes", variant->unit);
	self->size = variant->size ? variant->size :
		     region_size(self->session.device, variant->bar);
	self->place = memory_new_aligned(self->size + SIZE_1G, SIZE_1G);
	ASSERT_NE(MAP_FAILED, self->place);
	self->place += variant->shift;
	ASSERT_EQ(self->place, mmap(self->place, self->size, PROT_READ,
				    MAP_SHARED | MAP_FIXED, self->session.device,
				    REGION_OFFSET(variant->bar)));
}

FIXTURE_TEARDOWN(count)
{
	munmap(self->place, self->size);
	EXPECT_EQ(0, session_finish(&self->session));
}

static long touch(const void *addr, size_t size, size_t step)
{
	long before = fault_count();
	size_t offset;

	for (offset = 0; offset < size; offset += step)
		(void)*(const volatile uint32_t *)(addr + offset);
	return fault_count() - before;
}

/* 8-11, 8-12, 8-14 */
TEST_F(count, faults)
{
	size_t unit = variant->unit;
	unsigned int i;

	/* The code of touch() is a page, too. */
	touch(self->place, 0, variant->step);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(self->size / unit,
			  touch(self->place, self->size, variant->step));
		EXPECT_EQ(0, touch(self->place, self->size, variant->step));
		EXPECT_EQ(0, memory_enable(self->session.device, false));
		EXPECT_EQ(-SIGBUS, mmio_at(self->place));
		EXPECT_EQ(-SIGBUS, mmio_at(self->place + self->size - PAGE_SIZE));
		EXPECT_EQ(0, memory_enable(self->session.device, true));
	}
	table_add("%-10s %4zu MiB in pages of %7zu KiB: %zu faults, again after a zap",
		  variant->device, self->size >> 20, unit >> 10,
		  self->size / unit);
}

/* ---- the last fd ---- */

/* Whether the kernel has the device enabled, as a driver has that uses it. */
static bool device_enabled(const char *bdf)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", bdf);
	return file_read(path, text, sizeof(text)) > 0 && atoi(text);
}

FIXTURE(last)
{
	struct vfio_session session;
	void *addr;
	pid_t pid;
	int ask[2];
	int answer[2];
};

/* Keeps the mapping, and nothing else of VFIO; "u" makes it unmap. */
static int keeper(struct vfio_session *session, void *addr, int ask, int answer)
{
	char byte;

	session_close(session);
	while (read(ask, &byte, 1) == 1) {
		if (byte == 'u')
			munmap(addr, PAGE_SIZE);
		byte = byte == 'u' || mmio_at(addr) >= 0;
		if (write(answer, &byte, 1) != 1)
			return 1;
	}
	return 0;
}

static bool keeper_does(const int ask[2], const int answer[2], char what)
{
	char byte = 0;

	return write(ask[1], &what, 1) == 1 && read(answer[0], &byte, 1) == 1 &&
	       byte;
}

FIXTURE_SETUP(last)
{
	const char *bdf;

	NEED_DEVICE(bdf, "NVME");
	ASSERT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, bar_mmap(self->session.device, 0, 0, PAGE_SIZE, PROT_READ,
			      &self->addr));
	ASSERT_LE(0, mmio_at(self->addr));
	ASSERT_EQ(0, pipe(self->ask));
	ASSERT_EQ(0, pipe(self->answer));
	self->pid = fork();
	if (!self->pid) {
		close(self->ask[1]);
		_exit(keeper(&self->session, self->addr, self->ask[0],
			     self->answer[1]));
	}
	close(self->answer[1]);
	/* From here on, the mapping of the child is all that is left. */
	EXPECT_TRUE(keeper_does(self->ask, self->answer, 'r'));
	munmap(self->addr, PAGE_SIZE);
	session_close(&self->session);
	EXPECT_TRUE(device_enabled(bdf));
	EXPECT_TRUE(keeper_does(self->ask, self->answer, 'r'));
}

/* Closed: whoever comes next gets it, and in order. */
FIXTURE_TEARDOWN(last)
{
	const char *bdf = self->session.bdf;

	EXPECT_FALSE(device_enabled(bdf));
	EXPECT_EQ(0, session_open(&self->session, bdf, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, session_finish(&self->session));
}

/* 8-18: the mapping keeps the device open, and its end closes it. */
TEST_F(last, unmap)
{
	int iommufd = iommufd_open();
	int fd = cdev_open(self->session.bdf, O_RDWR);

	/* Nobody else gets it meanwhile. */
	ASSERT_LE(0, fd);
	EXPECT_GT(0, cdev_bind(fd, iommufd));
	EXPECT_TRUE(keeper_does(self->ask, self->answer, 'r'));
	EXPECT_TRUE(keeper_does(self->ask, self->answer, 'u'));
	EXPECT_FALSE(device_enabled(self->session.bdf));
	close(self->ask[1]);
	EXPECT_EQ(0, child_result(self->pid));
	close(fd);
	close(iommufd);
	table_add("%-22s %-10s group  open while mapped, closed by the last unmap",
		  "close of the last fd", "NVME");
}

/* The end of the process is the end of its mappings. */
TEST_F(last, kill)
{
	kill(self->pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_result(self->pid));
	EXPECT_FALSE(device_enabled(self->session.bdf));
	close(self->ask[1]);
}

int main(int argc, char **argv)
{
	static const char *const claimed[] = {
		"EDU", "TESTDEV", "IVSHMEM", "IGB", "E1000E", "NVME", "PORT_NVME",
		"SHARED_EDU", "SHARED_TESTDEV", NULL
	};
	static const char *const kept[] = {
		"EDU", "TESTDEV", "IVSHMEM", "IGB", "E1000E", "SHARED_EDU", NULL
	};

	/* Shared, since each test is a process. */
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (table == MAP_FAILED)
		return KSFT_FAIL;
	atexit(table_print);
	pci_claim(claimed);
	session_keep(kept);
	return test_harness_run(argc, argv);
}
