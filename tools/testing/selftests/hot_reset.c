// SPDX-License-Identifier: GPL-2.0
/* Resets of a slot or bus; see hot_reset.h. */
#include <stdio.h>
#include <string.h>

#include "hot_reset.h"
#include "vfio_fixture.h"

/* What would be reset; what is not written stays 0xa5. */
long hot_reset_info(int device, struct hot_reset_info *info, uint32_t argsz)
{
	memset(info, 0xa5, sizeof(*info));
	info->head.argsz = argsz;
	return vfio_ioctl(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
}

/* The entry for @bdf, or NULL. */
const struct vfio_pci_dependent_device *
hot_reset_entry(const struct hot_reset_info *info, const char *bdf)
{
	unsigned int segment, bus, slot, function, i;

	if (sscanf(bdf, "%x:%x:%x.%x", &segment, &bus, &slot, &function) != 4)
		return NULL;
	for (i = 0; i < info->head.count && i < HOT_RESET_MOST; i++) {
		const struct vfio_pci_dependent_device *entry =
			&info->devices[i];

		if (entry->segment == segment && entry->bus == bus &&
		    entry->devfn == (slot << 3 | function))
			return entry;
	}
	return NULL;
}

long hot_reset_raw(int device, uint32_t argsz, uint32_t flags, uint32_t count,
		   int first, int second)
{
	struct hot_reset_request request = {
		.head = { .argsz = argsz, .flags = flags, .count = count },
	};

	request.group_fds[0] = first;
	request.group_fds[1] = second;
	return vfio_ioctl(device, VFIO_DEVICE_PCI_HOT_RESET, &request);
}

/* With a file of a group, which is shown. */
long hot_reset(int device, int group)
{
	return hot_reset_raw(device, sizeof(struct hot_reset_request), 0, 1, group, -1);
}

/* With a file of a character device. */
long hot_reset_cdev(int device)
{
	return hot_reset_raw(device, sizeof(struct vfio_pci_hot_reset), 0, 0,
			     -1, -1);
}
