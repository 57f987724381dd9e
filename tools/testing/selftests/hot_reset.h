/* SPDX-License-Identifier: GPL-2.0 */
/* VFIO_DEVICE_GET_PCI_HOT_RESET_INFO and VFIO_DEVICE_PCI_HOT_RESET. */
#ifndef HOT_RESET_H
#define HOT_RESET_H

#include <stdint.h>

#include <linux/vfio.h>

#define HOT_RESET_MOST	8

struct hot_reset_info {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device devices[HOT_RESET_MOST];
};

struct hot_reset_request {
	struct vfio_pci_hot_reset head;
	int32_t group_fds[HOT_RESET_MOST];
};

long hot_reset_info(int device, struct hot_reset_info *info, uint32_t argsz);
const struct vfio_pci_dependent_device *
hot_reset_entry(const struct hot_reset_info *info, const char *bdf);
long hot_reset_raw(int device, uint32_t argsz, uint32_t flags, uint32_t count,
		   int first, int second);
long hot_reset(int device, int group);
long hot_reset_cdev(int device);

#endif
