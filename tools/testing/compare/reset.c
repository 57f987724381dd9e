// SPDX-License-Identifier: GPL-2.0
/*
 * Operations that reset a device; see compare.h.
 *
 * Rows: 6-60 to 6-69, 6-72.
 */
#include <string.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "compare.h"

static void hot_reset_info(struct run *run)
{
	static const uint32_t sizes[] = { 0, 8, 11, 12, 13, 16, 20, 24, 28, 36,
					  128 };
	uint32_t answer[32];
	long ret;

	memset(answer, 0xa5, sizeof(answer));
	answer[0] = random_pick(&run->random, sizes);
	answer[1] = 0;
	answer[2] = 0;
	log_operation(run, "hot reset info argsz %u", answer[0]);
	ret = vfio_ioctl(run_device(run), VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
			 answer);
	log_result(run, ret);
	log_bytes(run, answer, 48);
}

static void device_reset(struct run *run)
{
	if (!run_may_reset(run))
		return hot_reset_info(run);
	log_operation(run, "device reset");
	log_result(run, vfio_ioctl(run_device(run), VFIO_DEVICE_RESET, 0));
}

/* Which files are handed over for a hot reset, right or wrong. */
static unsigned int hot_reset_files(struct run *run, int32_t *files)
{
	unsigned int kind = random_below(&run->random, 7);

	log_more(run, " files %u", kind);
	switch (kind) {
	case 0:
	case 1:
		files[0] = run->group;
		return run->group >= 0 ? 1 : 0;
	case 2:
		return 0;
	case 3:
		files[0] = FD_CLOSED;
		return 1;
	case 4:
		files[0] = run->null;
		return 1;
	case 5:
		files[0] = run->devices[0];
		return 1;
	default:
		files[0] = run->group;
		files[1] = run->group;
		return 2;
	}
}

static void hot_reset(struct run *run)
{
	struct {
		struct vfio_pci_hot_reset reset;
		int32_t files[4];
	} request;
	uint32_t argsz = random_chance(&run->random, 90) ?
		sizeof(request) : random_below(&run->random, 16);
	uint32_t flags = random_chance(&run->random, 95) ? 0 : 1;

	memset(&request, 0, sizeof(request));
	request.reset.argsz = argsz;
	request.reset.flags = flags;
	log_operation(run, "hot reset argsz %u flags %u", argsz, flags);
	request.reset.count = hot_reset_files(run, request.files);
	if (!run->hot_resets) {
		/* Each one takes a tenth of a second, and more. */
		request.reset.count = 1;
		request.files[0] = run->null;
	} else {
		run->hot_resets--;
	}
	log_result(run, vfio_ioctl(run_device(run), VFIO_DEVICE_PCI_HOT_RESET,
				   &request));
}

const struct operation reset_operations[] = {
	{ 6, device_reset },
	{ 10, hot_reset_info },
	{ 5, hot_reset },
	{ 0, NULL },
};
