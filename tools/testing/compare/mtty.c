// SPDX-License-Identifier: GPL-2.0
/*
 * Sessions with a device of the sample mtty, a driver in C that both stacks load: its core is
 * what differs; see compare.h. There is no hardware below it, so nothing has to be put back
 * but its own state, which it keeps over a close.
 *
 * The driver believes what it is told of its config space, of ports that it does not have,
 * and of a state that it is to resume: what would make it write where it must not is left out.
 *
 * Rows: 6-84 to 6-88, 9-3, 9-6, 9-7.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compare.h"
#include "migration.h"
#include "mtty.h"

/* What can be read of its config space, four bytes at a time. */
#define CONFIG_BYTES	252
#define PORT_BYTES	8
#define IMAGE_BYTES	96

/* A state that the device had, and how much of it has been written. */
struct transfer {
	int fd;
	uint8_t image[IMAGE_BYTES];
	long size;
	long written;
};

/* Of the session; there is one at a time. */
static struct transfer transfer;

static void transfer_end(void)
{
	if (transfer.fd >= 0)
		close(transfer.fd);
	transfer.fd = -1;
}

/* ---- regions ---- */

static uint64_t any_place(struct run *run, size_t size, unsigned int *region)
{
	static const unsigned int regions[] = {
		VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_BAR0_REGION_INDEX,
		VFIO_PCI_BAR1_REGION_INDEX, VFIO_PCI_ROM_REGION_INDEX,
		VFIO_PCI_VGA_REGION_INDEX,
	};
	bool config;

	*region = random_pick(&run->random, regions);
	config = *region == VFIO_PCI_CONFIG_REGION_INDEX;
	return random_below(&run->random, (config ? CONFIG_BYTES : PORT_BYTES) - size + 1);
}

static void mtty_read(struct run *run)
{
	unsigned int region, size = 1 + random_below(&run->random, PORT_BYTES);
	uint64_t place = any_place(run, size, &region);
	bool bad = random_chance(&run->random, 3);
	/* The registers of a port are of one byte; what is behind it was never set. */
	uint8_t bytes[PORT_BYTES] = { 0 };
	long ret;

	if (region != VFIO_PCI_CONFIG_REGION_INDEX)
		size = 1;
	log_operation(run, "read region %u %#llx %u%s", region, (unsigned long long)place,
		      size, bad ? " badly" : "");
	ret = region_read(run->devices[0], region, place, bad ? BAD_POINTER : bytes, size);
	log_result(run, ret);
	if (ret > 0 && !bad)
		log_bytes(run, bytes, ret);
}

/* Of less than a whole BAR the driver takes the rest from where it may not read. */
static bool has_part_of_bar(unsigned int region, uint64_t place, size_t size)
{
	return region == VFIO_PCI_CONFIG_REGION_INDEX && place < 0x18 && place + size > 0x10;
}

static void mtty_write(struct run *run)
{
	unsigned int region, size = 1 + random_below(&run->random, PORT_BYTES);
	uint64_t place = any_place(run, size, &region);
	bool bad = random_chance(&run->random, 3);
	uint8_t bytes[PORT_BYTES];

	if (has_part_of_bar(region, place, size)) {
		place = place & 4 ? 0x14 : 0x10;
		size = 4;
	}
	random_bytes(&run->random, bytes, sizeof(bytes));
	log_operation(run, "write region %u %#llx %u%s", region, (unsigned long long)place,
		      size, bad ? " badly" : "");
	log_all_bytes(run, bytes, size);
	log_result(run, region_write(run->devices[0], region, place,
				     bad ? BAD_POINTER : bytes, size));
}

static void mtty_region_info(struct run *run)
{
	struct vfio_region_info info = {
		.argsz = random_chance(&run->random, 80) ?
			 sizeof(info) : random_below(&run->random, 64),
		.index = random_below(&run->random, VFIO_PCI_NUM_REGIONS + 2),
	};

	log_operation(run, "region info %u of %u", info.index, info.argsz);
	log_result(run, vfio_ioctl(run->devices[0], VFIO_DEVICE_GET_REGION_INFO, &info));
	log_all_bytes(run, &info, sizeof(info));
}

/* ---- interrupts ---- */

static void mtty_irqs(struct run *run)
{
	uint32_t flags = random_chance(&run->random, 90) ?
		1U << random_below(&run->random, 3) |
			8U << random_below(&run->random, 3) :
		random_below(&run->random, 128);
	uint32_t index = random_below(&run->random, random_chance(&run->random, 80) ?
				      2 : VFIO_PCI_NUM_IRQS + 2);
	uint32_t start = random_chance(&run->random, 90) ? 0 : random_value(&run->random);
	uint32_t count = random_chance(&run->random, 85) ?
		random_below(&run->random, 2) : random_value(&run->random);
	size_t size = random_chance(&run->random, 80) ?
		(flags & VFIO_IRQ_SET_DATA_BOOL ? 1 : 4) : random_below(&run->random, 17);
	int event = random_below(&run->random, EVENTS);
	int32_t data[8] = { run->events[event] };

	if (random_chance(&run->random, 5))
		data[0] = -1;
	if (flags & VFIO_IRQ_SET_DATA_BOOL)
		data[0] = random_below(&run->random, 2);
	log_operation(run, "irqs %#x %u from %u, %u, %zu bytes event %d %s", flags, index,
		      start, count, size, event, data[0] < 0 ? "none" : "");
	log_result(run, irq_set(run->devices[0], index, flags, start, count, data, size));
}

static void mtty_irq_info(struct run *run)
{
	struct vfio_irq_info info = {
		.argsz = random_chance(&run->random, 80) ?
			 sizeof(info) : random_below(&run->random, 32),
		.index = random_below(&run->random, VFIO_PCI_NUM_IRQS + 2),
	};

	log_operation(run, "irq info %u of %u", info.index, info.argsz);
	log_result(run, vfio_ioctl(run->devices[0], VFIO_DEVICE_GET_IRQ_INFO, &info));
	log_all_bytes(run, &info, sizeof(info));
}

/* ---- migration ---- */

static void mtty_state(struct run *run)
{
	uint32_t state = random_chance(&run->random, 95) ?
		random_below(&run->random, PRE_COPY_P2P + 1) : random_value(&run->random);
	int fd = -1;

	log_operation(run, "state %u", state);
	log_result(run, set_state(run->devices[0], state, &fd));
	log_result(run, state_of(run->devices[0]));
	if (fd < 0)
		return;
	log_fd(run, fd);
	transfer_end();
	transfer.fd = fd;
	transfer.written = 0;
}

/* The whole of it is kept, so that it can be given back as it was. */
static void mtty_save(struct run *run)
{
	long ret;
	int fd;

	log_operation(run, "save");
	transfer_end();
	log_result(run, vfio_ioctl(run->devices[0], VFIO_DEVICE_RESET, NULL));
	fd = transfer_begin(run->devices[0], STOP_COPY);
	log_fd(run, fd);
	if (fd < 0)
		return;
	ret = stream_read(fd, transfer.image, sizeof(transfer.image));
	close(fd);
	log_result(run, ret);
	transfer.size = ret > 0 ? ret : 0;
	log_bytes(run, transfer.image, transfer.size);
}

static void mtty_stream_read(struct run *run)
{
	size_t size = random_below(&run->random, IMAGE_BYTES + 8);
	uint8_t bytes[IMAGE_BYTES + 8];
	long ret;

	log_operation(run, "stream read %zu", size);
	ret = stream_read(transfer.fd, bytes, size);
	log_result(run, ret);
	if (ret > 0)
		log_bytes(run, bytes, ret);
}

/* The next bytes of what was saved. */
static void mtty_stream_write(struct run *run)
{
	size_t size = random_below(&run->random, IMAGE_BYTES);
	long ret;

	if (size > transfer.size - transfer.written)
		size = transfer.size - transfer.written;
	log_operation(run, "stream write %zu", size);
	ret = stream_write(transfer.fd, transfer.image + transfer.written, size);
	log_result(run, ret);
	if (ret > 0)
		transfer.written += ret;
}

static void mtty_precopy(struct run *run)
{
	struct vfio_precopy_info info = {
		.argsz = random_chance(&run->random, 80) ?
			 sizeof(info) : random_below(&run->random, 32),
		.flags = 0xa5a5a5a5,
	};

	log_operation(run, "precopy info of %u", info.argsz);
	log_result(run, vfio_ioctl(transfer.fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	log_all_bytes(run, &info, sizeof(info));
}

/* But for states, which have an operation of their own. */
static void mtty_feature(struct run *run)
{
	static const uint32_t kinds[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint32_t number = random_below(&run->random, 16);
	uint32_t flags = random_pick(&run->random, kinds) << 16 | number;
	size_t size = random_chance(&run->random, 70) ? 64 : random_below(&run->random, 48);
	uint64_t data[8] = { 0x10000000, 4 * PAGE_SIZE, PAGE_SIZE, 0 };
	uint64_t range[2] = { 0x10000000, 16 * PAGE_SIZE };

	if (number == VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE)
		flags |= PROBE;
	if (number == VFIO_DEVICE_FEATURE_DMA_LOGGING_START) {
		data[0] = PAGE_SIZE;
		data[1] = random_below(&run->random, 2);
		data[2] = random_chance(&run->random, 90) ? (uintptr_t)range : 8;
	}
	if (number == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT)
		data[3] = (uintptr_t)run->memory;
	log_operation(run, "feature %#x of %zu", flags, size);
	log_result(run, device_feature(run->devices[0], flags, data, size));
}

/* ---- the session ---- */

static void mtty_device_info(struct run *run)
{
	struct vfio_device_info info = {
		.argsz = random_chance(&run->random, 80) ?
			 sizeof(info) : random_below(&run->random, 32),
	};

	log_operation(run, "info of %u", info.argsz);
	log_result(run, vfio_ioctl(run->devices[0], VFIO_DEVICE_GET_INFO, &info));
	log_all_bytes(run, &info, sizeof(info));
}

static void mtty_reset(struct run *run)
{
	log_operation(run, "reset");
	log_result(run, vfio_ioctl(run->devices[0], VFIO_DEVICE_RESET, NULL));
}

static void mtty_unknown(struct run *run)
{
	unsigned int number = 100 + random_below(&run->random, 24);

	/* What a group or the rest of this table has. */
	if (number >= 107 && number <= 111)
		number = 121;
	if (number >= 117 && number <= 120)
		number = 123;
	log_operation(run, "ioctl %u", number);
	log_result(run, vfio_ioctl(run->devices[0], _IO(VFIO_TYPE, number), run->memory));
	log_result(run, mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, run->devices[0], 0) ==
			MAP_FAILED ? -errno : 0);
}

static const struct operation operations[] = {
	{ 20, mtty_read },	  { 20, mtty_write },	  { 5, mtty_region_info },
	{ 15, mtty_irqs },	  { 3, mtty_irq_info },	  { 15, mtty_state },
	{ 3, mtty_save },	  { 6, mtty_stream_read }, { 6, mtty_stream_write },
	{ 4, mtty_precopy },	  { 10, mtty_feature },	  { 3, mtty_device_info },
	{ 2, mtty_reset },	  { 2, mtty_unknown },
};

static void mtty_step(struct run *run)
{
	unsigned int total = 0, at, i;

	for (i = 0; i < ARRAY_SIZE(operations); i++)
		total += operations[i].weight;
	at = random_below(&run->random, total);
	for (i = 0; at >= operations[i].weight; i++)
		at -= operations[i].weight;
	operations[i].run(run);
	log_end(run);
}

static void mtty_open(struct run *run)
{
	static const char *const types[] = { ONE_PORT, TWO_PORTS };
	const char *type = random_pick(&run->random, types);
	bool cdev = random_chance(&run->random, 50);
	struct vfio_session session = { .container = -1, .group = -1, .device = -1 };

	log_operation(run, "open %s by %s", type, cdev ? "cdev" : "group");
	log_result(run, mdev_create(MTTY, type, UUID_1));
	log_result(run, mdev_open(&session, UUID_1, cdev));
	run->container = session.container;
	run->group = session.group;
	run->devices[0] = session.device;
	log_result(run, mtty_info(run->devices[0]));
	log_end(run);
}

/* A device that is resuming may not be closed so: the driver forgets that its file is gone. */
static void mtty_close(struct run *run)
{
	int files[] = { run->devices[0], run->container, run->group };
	unsigned int count, i;

	log_operation(run, "close");
	log_result(run, vfio_ioctl(run->devices[0], VFIO_DEVICE_RESET, NULL));
	for (count = ARRAY_SIZE(files); count; count--) {
		i = random_below(&run->random, count);
		if (files[i] >= 0)
			close(files[i]);
		files[i] = files[count - 1];
	}
	transfer_end();
	log_result(run, mdev_remove(UUID_1));
	log_end(run);
}

/* Returns whether the device could be opened. */
bool mtty_session(const struct options *options, FILE *log, unsigned long session)
{
	struct run run = { .options = options, .log = log, .session = session };
	bool opened;
	int i;

	transfer = (struct transfer){ .fd = -1 };
	random_seed(&run.random, options->seed, MTTY_DEVICE, session);
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < EVENTS; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		run.events[i] = event_new();
		epoll_ctl(run.epoll, EPOLL_CTL_ADD, run.events[i], &event);
	}
	run.memory = memory_new(PAGE_SIZE);
	mtty_open(&run);
	opened = run.devices[0] >= 0;
	while (run.number < options->length)
		mtty_step(&run);
	mtty_close(&run);
	munmap(run.memory, PAGE_SIZE);
	for (i = 0; i < EVENTS; i++)
		close(run.events[i]);
	close(run.epoll);
	return opened;
}
