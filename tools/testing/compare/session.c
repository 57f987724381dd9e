// SPDX-License-Identifier: GPL-2.0
/* One session: open a device, do things with it, close it; see compare.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "compare.h"

static const struct operation *const tables[] = {
	config_operations,    region_operations,  interrupt_operations,
	info_operations,      mapping_operations, reset_operations,
	feature_operations,   container_operations, file_operations,
	fuzz_operations,
};

/* Most often the first file of the device, now and then another one. */
int run_device(struct run *run)
{
	if (random_chance(&run->random, 90))
		return run->devices[0];
	return run->devices[random_below(&run->random, DEVICES)];
}

bool run_may_reset(struct run *run)
{
	if (!run->resets)
		return false;
	run->resets--;
	return true;
}

/* Finds the operation at *@at of a table, or takes the table's weight off it. */
static const struct operation *operation_at(const struct operation *table,
					    unsigned int *at)
{
	for (; table->run; table++) {
		if (*at < table->weight)
			return table;
		*at -= table->weight;
	}
	return NULL;
}

static unsigned int weight_of(const struct operation *operation)
{
	unsigned int weight = 0;

	for (; operation->run; operation++)
		weight += operation->weight;
	return weight;
}

const struct operation *operation_pick(struct run *run)
{
	/* The last table is for the search for crashes. */
	unsigned int count = ARRAY_SIZE(tables) -
			     (!run->options->fuzz || run->remover > 0);
	const struct operation *operation = NULL;
	unsigned int total = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		total += weight_of(tables[i]);
	total = random_below(&run->random, total);
	for (i = 0; i < count && !operation; i++)
		operation = operation_at(tables[i], &total);
	return operation;
}

void operation_run(struct run *run)
{
	operation_pick(run)->run(run);
	log_end(run);
}

static void memory_prepare(struct run *run)
{
	/* Behind it there is nothing: what the kernel copies across fails. */
	char *memory = mmap(NULL, BUFFER_SIZE + PAGE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		return;
	mprotect(memory + BUFFER_SIZE, PAGE_SIZE, PROT_NONE);
	run->memory = memory;
}

static void events_open(struct run *run)
{
	struct epoll_event event = { .events = EPOLLIN };

	run->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (event.data.u32 = 0; event.data.u32 < EVENTS; event.data.u32++) {
		int fd = event_new();

		run->events[event.data.u32] = fd;
		epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event);
	}
}

static void open_group(struct run *run)
{
	bool iommufd = run->path == PATH_IOMMUFD_CONTAINER;

	run->container = iommufd ? iommufd_open() : container_open();
	log_fd(run, run->container);
	run->group = group_open(run->layout->bdf);
	log_fd(run, run->group);
	log_result(run, group_set_container(run->group, run->container));
	log_result(run, vfio_ioctl(run->container, VFIO_SET_IOMMU,
				   run->path == PATH_TYPE1 ? VFIO_TYPE1_IOMMU :
							     VFIO_TYPE1v2_IOMMU));
	run->devices[0] = group_device(run->group, run->layout->open_name);
}

static void open_cdev(struct run *run)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = run->iommufd,
	};

	if (run->layout->token) {
		bind.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
		bind.token_uuid_ptr = (uintptr_t)function_token;
	}
	run->devices[0] = cdev_open(run->layout->bdf, O_RDWR);
	log_result(run, vfio_ioctl(run->devices[0], VFIO_DEVICE_BIND_IOMMUFD,
				   &bind));
	log_result(run, cdev_attach(run->devices[0], run->ioas));
}

/*
 * 12-26: the C modules remember over a close how many vectors of MSI there were.
 * One, as if there had been none.
 */
static void vectors_forget(struct run *run)
{
	if (irq_eventfd(run->devices[0], VFIO_PCI_MSI_IRQ_INDEX, 0, -1))
		return;
	irq_disable(run->devices[0], VFIO_PCI_MSI_IRQ_INDEX);
}

static void session_begin(struct run *run)
{
	static const enum path paths[] = { PATH_TYPE1, PATH_TYPE1_V2,
					   PATH_TYPE1_V2,
					   PATH_IOMMUFD_CONTAINER, PATH_CDEV,
					   PATH_CDEV };
	int place;

	for (place = 0; place < DEVICES; place++)
		run->devices[place] = -1;
	run->container = -1;
	run->group = -1;
	run->path = random_pick(&run->random, paths);
	events_open(run);
	memory_prepare(run);
	run->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	run->iommufd = iommufd_open();
	run->ioas = iommufd_ioas(run->iommufd);
	log_operation(run, "open path %d", run->path);
	if (run->path == PATH_CDEV)
		open_cdev(run);
	else
		open_group(run);
	log_fd(run, run->devices[0]);
	log_end(run);
	vectors_forget(run);
	layout_power(run->layout, false);
}

/* Windows keep their contents beyond a session where nothing resets them. */
static void windows_clear(struct run *run)
{
	static const uint8_t zeros[0x3000];
	unsigned int i;

	config_write(run->devices[0], PCI_COMMAND, 2,
		     PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	for (i = 0; i < run->layout->nr_windows; i++) {
		const struct window *window = &run->layout->windows[i];

		if (window->write)
			region_write(run->devices[0], window->region,
				     window->offset, zeros, window->size);
	}
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Everything is closed, but in one order or another. */
static void session_end(struct run *run)
{
	int *files[DEVICES + 3];
	unsigned int count, i;

	for (i = 0; i < DEVICES; i++)
		files[i] = &run->devices[i];
	files[DEVICES] = &run->container;
	files[DEVICES + 1] = &run->group;
	files[DEVICES + 2] = &run->iommufd;
	for (count = ARRAY_SIZE(files); count; count--) {
		i = random_below(&run->random, count);
		close_one(files[i]);
		files[i] = files[count - 1];
	}
	for (i = 0; i < MAPPINGS; i++) {
		if (run->mappings[i].address)
			munmap(run->mappings[i].address, run->mappings[i].size);
	}
	if (run->memory)
		munmap(run->memory, BUFFER_SIZE + PAGE_SIZE);
}

static void events_close(struct run *run)
{
	unsigned int event;

	for (event = 0; event < EVENTS; event++)
		close_one(&run->events[event]);
	close_one(&run->epoll);
	close_one(&run->null);
}

/* 10-19, 10-20: what the hardware is left with when the device is closed. */
static void hardware_left(struct run *run)
{
	const struct layout *layout = run->layout;
	unsigned int offset;
	uint32_t before;

	log_operation(run, "hardware after the session =");
	for (offset = 0; offset < layout->config_size; offset += sizeof(before)) {
		uint32_t now = layout_hardware(layout, offset);

		memcpy(&before, layout->config + offset, sizeof(before));
		if (now != before && !layout_volatile(layout, offset))
			log_more(run, " %x:%08x", offset, now);
	}
	log_end(run);
}

/* 6-27: another process that does things with the same files at the same time. */
static pid_t racer_start(struct run *run)
{
	uint64_t seed = random_next(&run->random);
	pid_t pid;

	if (!run->options->fuzz)
		return -1;
	pid = fork();
	if (pid)
		return pid;
	run->child = true;
	run->random.state = seed;
	while (run->number < run->options->length)
		operation_run(run);
	_exit(0);
}

/* Returns whether the device could be opened. */
bool session_run(const struct options *options, const struct layout *layout,
		 FILE *log, unsigned long session)
{
	struct run run = {
		.options = options,
		.layout = layout,
		.log = log,
		.session = session,
		.resets = 2,
		.hot_resets = 1,
		.waits = 2,
	};
	pid_t racer;
	bool opened;

	if (options->fuzz) {
		run.resets = 10;
		run.hot_resets = 4;
		run.waits = 6;
	}
	random_seed(&run.random, options->seed, layout->name, session);
	session_begin(&run);
	opened = run.devices[0] >= 0;
	windows_clear(&run);
	racer = racer_start(&run);
	while (run.number < options->length)
		operation_run(&run);
	if (racer > 0)
		waitpid(racer, NULL, 0);
	layout_power(layout, true);
	if (options->fuzz && random_chance(&run.random, 30))
		remove_in_use(&run);
	session_end(&run);
	if (run.remover > 0) {
		waitpid(run.remover, NULL, 0);
		pci_bind(layout->bdf, "vfio-pci");
		layout_power(layout, true);
	}
	hardware_left(&run);
	events_close(&run);
	layout_restore(layout);
	return opened;
}
