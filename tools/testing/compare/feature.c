// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on the features of a device; see compare.h.
 *
 * Rows: 6-84 to 6-95.
 */
#include <string.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "compare.h"

#define FEATURES	16

struct request {
	struct vfio_device_feature feature;
	uint8_t data[64];
};

static uint32_t any_flags(struct run *run)
{
	static const uint32_t flags[] = {
		VFIO_DEVICE_FEATURE_GET,
		VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_PROBE,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
			VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
		0,
		1U << 19,
	};

	return random_pick(&run->random, flags);
}

static long feature_do(int device, struct request *request, uint32_t argsz)
{
	request->feature.argsz = argsz;
	return vfio_ioctl(device, VFIO_DEVICE_FEATURE, request);
}

/*
 * Any feature but those that change something, which have operations of their
 * own; those are probed here.
 */
static void feature_any(struct run *run)
{
	static const uint32_t sizes[] = { 0, 4, 7, 8, 12, 16, 24, 40, 64 };
	uint32_t number = random_below(&run->random, FEATURES);
	uint32_t flags = any_flags(run);
	uint32_t argsz = random_chance(&run->random, 60) ?
		64 : random_pick(&run->random, sizes);
	struct request request;
	long ret;

	if (number >= VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY &&
	    number <= VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)
		flags |= VFIO_DEVICE_FEATURE_PROBE;
	/* A token of zeros would make the device one that cannot be opened. */
	if (number == VFIO_DEVICE_FEATURE_PCI_VF_TOKEN)
		flags |= VFIO_DEVICE_FEATURE_PROBE;
	memset(&request, 0, sizeof(request));
	request.feature.flags = number | flags;
	log_operation(run, "feature %u flags %#x argsz %u", number, flags, argsz);
	ret = feature_do(run_device(run), &request, argsz);
	log_fd(run, ret > 0 ? 0 : ret);
	if (ret > 0)
		close(ret);
}

/* A dma-buf of a part of a BAR, or of what cannot be one. */
static void feature_dma_buf(struct run *run)
{
	const struct window *window = window_pick(run, false);
	struct random *random = &run->random;
	struct request request;
	struct vfio_device_feature_dma_buf *get = (void *)request.data;
	struct vfio_region_dma_range range = { .length = PAGE_SIZE };
	long ret;

	memset(&request, 0, sizeof(request));
	request.feature.flags = VFIO_DEVICE_FEATURE_GET |
				VFIO_DEVICE_FEATURE_DMA_BUF;
	get->region_index = window ? window->region : 0;
	get->nr_ranges = 1;
	range.offset = window ? window->offset & ~(PAGE_SIZE - 1) : 0;
	switch (random_below(random, 10)) {
	case 0:
		get->region_index = random_below(random, 10);
		break;
	case 1:
		get->nr_ranges = random_below(random, 3) ? 0 : ~0U;
		break;
	case 2:
		get->flags = 1;
		break;
	case 3:
		range.offset += 1 + random_below(random, PAGE_SIZE);
		break;
	case 4:
		range.length = random_value(random);
		break;
	case 5:
		range.offset = random_value(random) & ~(PAGE_SIZE - 1);
		break;
	case 6:
		get->open_flags = random_value(random);
		break;
	}
	memcpy(get->dma_ranges, &range, sizeof(range));
	log_operation(run, "dma-buf region %u ranges %u flags %u open %#x %#llx+%#llx",
		      get->region_index, get->nr_ranges, get->flags,
		      get->open_flags, (unsigned long long)range.offset,
		      (unsigned long long)range.length);
	ret = feature_do(run_device(run), &request, sizeof(request));
	log_fd(run, ret);
	if (ret >= 0)
		close(ret);
}

/* Waits until the device is suspended, so that what wakes it up is certain. */
static void suspended_wait(struct run *run)
{
	char path[128], text[32];
	int tries = 200;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/power/runtime_status",
		 run->layout->bdf);
	do {
		if (file_read(path, text, sizeof(text)) < 0)
			return;
		text[strcspn(text, "\n")] = '\0';
		if (!strcmp(text, "suspended"))
			break;
		usleep(1000);
	} while (tries--);
	log_more(run, " %s", text);
}

/* By the file that is open for sure: nothing else may follow in low power. */
static long low_power_set(struct run *run, uint32_t number)
{
	struct request request;

	memset(&request, 0, sizeof(request));
	request.feature.flags = VFIO_DEVICE_FEATURE_SET | number;
	return feature_do(run->devices[0], &request, sizeof(request.feature));
}

/*
 * 6-2: low power, and some operations in it. Each starts when the device has been
 * suspended again, and so does the end: what a device in suspension shows depends on
 * the hardware, and so does what it forgets.
 */
static void low_power(struct run *run)
{
	int count;

	log_operation(run, "low power entry");
	if (!run->waits) {
		log_more(run, " = not now");
		return;
	}
	run->waits--;
	log_result(run, low_power_set(run, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY));
	run->low_power = true;
	for (count = 0; count < 3; count++) {
		suspended_wait(run);
		log_end(run);
		operation_pick(run)->run(run);
	}
	suspended_wait(run);
	run->low_power = false;
	log_end(run);
	log_operation(run, "low power exit");
	log_result(run, low_power_set(run, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
}

/* Leaves low power, whether or not the device is in it. */
static void low_power_exit(struct run *run)
{
	log_operation(run, "low power exit");
	log_result(run, low_power_set(run, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
}

/* The first access wakes the device up, and that ends low power. */
static void low_power_wakeup(struct run *run)
{
	int choice = random_below(&run->random, 6);
	struct request request;
	struct vfio_device_low_power_entry_with_wakeup *entry =
		(void *)request.data;
	long ret;

	memset(&request, 0, sizeof(request));
	request.feature.flags = VFIO_DEVICE_FEATURE_SET |
				VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
	entry->wakeup_eventfd = choice == 0 ? -1 : choice == 1 ? FD_CLOSED :
				choice == 2 ? run->null : run->events[choice];
	log_operation(run, "low power entry with wakeup %d", choice);
	if (choice > 2) {
		if (!run->waits) {
			log_more(run, " = not now");
			return;
		}
		run->waits--;
	}
	ret = feature_do(run->devices[0], &request,
			 sizeof(request.feature) + sizeof(*entry));
	log_result(run, ret);
	if (ret)
		return;
	suspended_wait(run);
	log_result(run, config_read(run->devices[0], 0, 2));
}

const struct operation feature_operations[] = {
	{ 25, feature_any },
	{ 6, feature_dma_buf },
	{ 3, low_power },
	{ 3, low_power_exit },
	{ 3, low_power_wakeup },
	{ 0, NULL },
};
