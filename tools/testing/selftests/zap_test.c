// SPDX-License-Identifier: GPL-2.0
/*
 * What takes device memory away (8.3): every event, against two processes with
 * eight mappings each, made through fds from every source there is.
 */
#include <fcntl.h>
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
#define ROW_SIZE	128

struct table {
	unsigned int count;
	char rows[ROWS][ROW_SIZE];
};

static struct table *table;

/* Where the next row goes; too many would all go into the last. */
static char *table_row(void)
{
	if (table->count < ROWS)
		table->count++;
	return table->rows[table->count - 1];
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

/* The least faults: with these modules a small BAR may come with its first page. */
static int world_faults(const struct world *world)
{
	return on_c_modules() ? world_pages(world) : 2 * MAPPINGS;
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

/* Somebody with the right to do so resets the device; the user is not asked. */
static long reset_by_others(struct world *world)
{
	return pci_set_attribute(world->bdf, "reset", "1");
}

static long feature_set(struct world *world, uint32_t feature)
{
	return device_feature(world->sources[1].fd,
			      VFIO_DEVICE_FEATURE_SET | feature, NULL, 0);
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
	/* The C modules do not know of it, and take nothing away. */
	bool not_on_c;
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

static const struct event others_reset = {
	.name = "reset through sysfs",
	.take = reset_by_others,
	.not_on_c = true,
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

FIXTURE_VARIANT_ADD(zap, memory_bit)
{
	.event = &memory_bit,
	.device = "EDU",
};

FIXTURE_VARIANT_ADD(zap, memory_bit_cdev)
{
	.event = &memory_bit,
	.device = "NVME",
	.cdev = true,
};

FIXTURE_VARIANT_ADD(zap, reset)
{
	.event = &device_reset,
	.device = "IGB",
};

FIXTURE_VARIANT_ADD(zap, reset_by_power)
{
	.event = &device_reset,
	.device = "E1000E",
};

FIXTURE_VARIANT_ADD(zap, reset_cdev)
{
	.event = &device_reset,
	.device = "NVME",
	.cdev = true,
};

FIXTURE_VARIANT_ADD(zap, reset_by_others)
{
	.event = &others_reset,
	.device = "IGB",
};

FIXTURE_VARIANT_ADD(zap, function_level_reset)
{
	.event = &express_reset,
	.device = "IGB",
};

FIXTURE_VARIANT_ADD(zap, function_level_reset_cdev)
{
	.event = &express_reset,
	.device = "NVME",
	.cdev = true,
};

FIXTURE_VARIANT_ADD(zap, power_state)
{
	.event = &power_state,
	.device = "IGB",
};

FIXTURE_VARIANT_ADD(zap, power_state_forgetful)
{
	.event = &power_state,
	.device = "E1000E",
};

FIXTURE_VARIANT_ADD(zap, power_state_cdev)
{
	.event = &power_state,
	.device = "NVME",
	.cdev = true,
};

FIXTURE_VARIANT_ADD(zap, hot_reset)
{
	.event = &bus_reset,
	.device = "SHARED_EDU",
	.also = "SHARED_TESTDEV",
};

FIXTURE_VARIANT_ADD(zap, hot_reset_cdev)
{
	.event = &bus_reset,
	.device = "PORT_NVME",
	.cdev = true,
};

FIXTURE_VARIANT_ADD(zap, low_power)
{
	.event = &low_power,
	.device = "IGB",
};

FIXTURE_VARIANT_ADD(zap, low_power_cdev)
{
	.event = &low_power,
	.device = "NVME",
	.cdev = true,
};

FIXTURE_SETUP(zap)
{
	struct world *world = &self->world;
	const char *also = NULL;

	world->iommufd = -1;
	NEED_DEVICE(world->bdf, variant->device);
	if (variant->also)
		NEED_DEVICE(also, variant->also);
	if (variant->cdev)
		NEED_IOMMUFD();
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
	bool stays = event->not_on_c && on_c_modules();
	struct finding before, during, after;

	/* The first look has the pages of the fork to copy as well. */
	before = world_look(world);
	ASSERT_EQ(2 * MAPPINGS, before.works);
	before = world_look(world);
	ASSERT_EQ(0, before.faults);

	ASSERT_EQ(0, event->take(world));
	if (event->give) {
		during = world_look(world);
		EXPECT_EQ(2 * MAPPINGS, during.gone);
		EXPECT_EQ(0, during.works);
		ASSERT_EQ(0, event->give(world));
	}
	after = world_look(world);
	EXPECT_EQ(2 * MAPPINGS, after.works);
	EXPECT_LE(stays ? 0 : world_faults(world), after.faults);
	EXPECT_GE(stays ? 0 : world_pages(world), after.faults);

	snprintf(table_row(), ROW_SIZE, "%-22s %-10s %-5s  %-12s  %d of %d work, %d faults for %d pages",
		 event->name, variant->device, variant->cdev ? "cdev" : "group",
		 event->give ? "SIGBUS, then" : stays ? "stays mapped" : "back at once",
		 after.works, 2 * MAPPINGS, after.faults, world_pages(world));
}

int main(int argc, char **argv)
{
	static const char *const claimed[] = {
		"EDU", "IGB", "E1000E", "NVME", "PORT_NVME", "SHARED_EDU",
		"SHARED_TESTDEV", NULL
	};
	static const char *const kept[] = {
		"EDU", "IGB", "E1000E", "SHARED_EDU", NULL
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
