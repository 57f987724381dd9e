// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on regions by read and write, and ioeventfds; see compare.h.
 *
 * Rows: 7-1 to 7-12, 6-74 to 6-76, 6-78, 6-79, 6-81, 6-82.
 */
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "compare.h"

#define BUFFER	0x2000

static uint8_t buf[BUFFER];

/* Windows of one kind, or NULL. The choice is made even if there are none. */
const struct window *window_pick(struct run *run, bool write)
{
	const struct layout *layout = run->layout;
	uint32_t first = random_next(&run->random);
	unsigned int i;

	for (i = 0; i < layout->nr_windows; i++) {
		const struct window *window =
			&layout->windows[(first + i) % layout->nr_windows];

		if (!write || window->write)
			return window;
	}
	return NULL;
}

static size_t any_size(struct run *run)
{
	static const size_t sizes[] = { 1, 2, 4, 4, 4, 4, 8, 8, 3, 7, 16, 33, 64,
					255, 4096 };

	return random_pick(&run->random, sizes);
}

/* Somewhere in a window; most often aligned, never past its end. */
static size_t place_in(struct run *run, const struct window *window,
		       uint64_t *offset)
{
	size_t size = any_size(run);

	if (size > window->size)
		size = window->size;
	*offset = random_below(&run->random, window->size - size + 1);
	if (random_chance(&run->random, 70) && !(size & (size - 1)))
		*offset -= *offset % size;
	*offset += window->offset;
	return size;
}

static void window_access(struct run *run)
{
	bool write = random_chance(&run->random, 45);
	const struct window *window = window_pick(run, write);
	uint64_t offset = 0;
	size_t size = 0;
	long ret;

	if (window)
		size = place_in(run, window, &offset);
	random_bytes(&run->random, buf, size);
	log_operation(run, "region %s", write ? "write" : "read");
	if (!window) {
		log_more(run, " none = 0");
		return;
	}
	log_more(run, " %u %#llx+%zu", window->region,
		 (unsigned long long)offset, size);
	if (write) {
		log_bytes(run, buf, size);
		log_result(run, region_write(run_device(run), window->region,
					     offset, buf, size));
		return;
	}
	ret = region_read(run_device(run), window->region, offset, buf, size);
	log_result(run, ret);
	if (ret > 0)
		log_bytes(run, buf, ret);
}

static uint64_t region_end(const struct layout *layout, unsigned int region)
{
	if (region < BARS)
		return layout->bar_size[region];
	return region == VFIO_PCI_CONFIG_REGION_INDEX ? layout->config_size :
							0xc0000;
}

/*
 * Reads of any region, at its start, its end and beyond. Contents are not
 * logged: they may change by themselves.
 */
static void region_read_any(struct run *run)
{
	static const unsigned int regions[] = { 0, 1, 2, 3, 4, 5, 6, 8, 9, 10,
						255, 0x7fffff };
	unsigned int region = random_pick(&run->random, regions);
	uint64_t end = region_end(run->layout, region);
	uint64_t offset = random_next(&run->random) % (end + 1);
	size_t size = any_size(run);
	long ret;

	switch (random_below(&run->random, 4)) {
	case 0:
		offset = end - random_below(&run->random, 16) % (end + 1);
		break;
	case 1:
		offset = end + random_below(&run->random, 4096);
		break;
	}
	if (random_chance(&run->random, 10))
		size = 0;
	/* The I/O ports of a display adapter show the time. */
	if (region == VFIO_PCI_VGA_REGION_INDEX && size > 64)
		size = 64;
	log_operation(run, "region read %u %#llx+%zu", region,
		      (unsigned long long)offset, size);
	ret = region_read(run_device(run), region, offset, buf, size);
	log_result(run, ret);
	/* The image of a ROM does not change. */
	if (ret > 0 && region == VFIO_PCI_ROM_REGION_INDEX)
		log_bytes(run, buf, ret);
}

/* Writes that must be refused, or that change nothing. */
static void region_write_refused(struct run *run)
{
	static const unsigned int regions[] = { 0, 2, 4, 6, 9, 10, 255 };
	unsigned int region = random_pick(&run->random, regions);
	uint64_t offset = random_below(&run->random, 64);
	size_t size = any_size(run);

	if (region < BARS)
		offset += run->layout->bar_size[region];
	if (random_chance(&run->random, 10))
		size = 0;
	log_operation(run, "region write %u %#llx+%zu", region,
		      (unsigned long long)offset, size);
	log_result(run, region_write(run_device(run), region, offset, buf,
				     size));
}

/* A buffer of which all, or what follows the first bytes, is not there. */
static void region_fault(struct run *run)
{
	bool write = random_chance(&run->random, 50);
	const struct window *window = window_pick(run, true);
	uint64_t offset = CONFIG_OFFSET;
	char *start = (char *)BAD_POINTER;
	size_t size = 16;

	if (window && random_chance(&run->random, 60))
		offset = REGION_OFFSET(window->region) + window->offset;
	if (random_chance(&run->random, 50))
		start = run->memory + BUFFER_SIZE -
			4 * random_below(&run->random, 3);
	log_operation(run, "region %s %#llx+%zu into %s",
		      write ? "write" : "read", (unsigned long long)offset, size,
		      start == BAD_POINTER ? "nothing" : "the last bytes");
	if (start != BAD_POINTER)
		memset(start, 0, run->memory + BUFFER_SIZE - start);
	if (write)
		log_result(run, sys_result(pwrite(run_device(run), start, size,
						  offset)));
	else
		log_result(run, sys_result(pread(run_device(run), start, size,
						 offset)));
}

/* Several buffers in one call, and the position of the file. */
static void region_vector(struct run *run)
{
	/* One behind the other, so that the log shows what is where. */
	size_t first = random_below(&run->random, 5);
	size_t second = random_below(&run->random, 5);
	struct iovec parts[3] = {
		{ buf, first },
		{ buf + first, second },
		{ buf + first + second, random_below(&run->random, 300) },
	};
	unsigned int offset = random_below(&run->random, run->layout->config_size);
	long ret;

	memset(buf, 0xa5, 512);
	log_operation(run, "config readv %#x+%zu+%zu+%zu", offset,
		      parts[0].iov_len, parts[1].iov_len, parts[2].iov_len);
	ret = sys_result(preadv(run_device(run), parts, 3,
				CONFIG_OFFSET + offset));
	log_result(run, ret);
	if (ret > 0)
		log_all_bytes(run, buf, ret);
}

static void file_position(struct run *run)
{
	bool seek = random_chance(&run->random, 50);
	int device = run_device(run);

	log_operation(run, seek ? "file seek" : "file read");
	if (seek)
		log_result(run, sys_result(lseek(device, CONFIG_OFFSET, SEEK_SET)));
	else
		log_result(run, sys_result(read(device, buf, 1)));
}

/*
 * An ioeventfd in a window, or one that is refused. The store that it makes is
 * seen by a later read of the window.
 */
static void doorbell(struct run *run)
{
	static const uint32_t sizes[] = {
		VFIO_DEVICE_IOEVENTFD_8, VFIO_DEVICE_IOEVENTFD_16,
		VFIO_DEVICE_IOEVENTFD_32, VFIO_DEVICE_IOEVENTFD_32,
		VFIO_DEVICE_IOEVENTFD_64, 0, 3, 0x10,
	};
	const struct window *window = window_pick(run, true);
	struct random *random = &run->random;
	struct vfio_device_ioeventfd request = {
		.argsz = sizeof(request),
		.flags = random_pick(random, sizes),
		.data = random_below(random, 3),
		.fd = run->events[EVENT_START + random_below(random, 2)],
	};
	int fd = random_below(random, 10);

	if (window)
		request.offset = REGION_OFFSET(window->region) +
				 ((window->offset + 7) & ~7ULL) +
				 8 * random_below(random, 2);
	if (random_chance(random, 15))
		request.offset = REGION_OFFSET(random_below(random, 9)) +
				 random_below(random, 0x8000);
	if (random_chance(random, 10))
		request.argsz = random_below(random, 40);
	if (fd < 3)
		request.fd = -1;
	else if (fd == 3)
		request.fd = random_chance(random, 50) ? -2 : FD_CLOSED;
	else if (fd == 4)
		request.fd = run->null;
	log_operation(run, "ioeventfd argsz %u flags %#x offset %#llx data %llu fd %d",
		      request.argsz, request.flags,
		      (unsigned long long)request.offset,
		      (unsigned long long)request.data, fd);
	log_result(run, vfio_ioctl(run_device(run), VFIO_DEVICE_IOEVENTFD,
				   &request));
}

/* Signals an event of those that start something in the kernel. */
static void event_start(struct run *run)
{
	unsigned int event = EVENT_START + random_below(&run->random, 2);

	log_operation(run, "event signal %u", event);
	log_result(run, event_signal(run->events[event]));
}

const struct operation region_operations[] = {
	{ 90, window_access },
	{ 25, region_read_any },
	{ 8, region_write_refused },
	{ 8, region_fault },
	{ 4, region_vector },
	{ 3, file_position },
	{ 15, doorbell },
	{ 25, event_start },
	{ 0, NULL },
};
