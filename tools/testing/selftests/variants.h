/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's variant drivers of vfio-pci, which both stacks load, and the module that stands
 * in for the parents of their devices: it drives an igb, whose virtual functions they get.
 */
#ifndef VARIANTS_H
#define VARIANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "samples.h"

#define PARENTS		"vfio_parents"

/* A driver as PCI calls it, its module, and that as the kernel names its file. */
struct variant_driver {
	const char *name;
	const char *module;
	const char *file;
};

#define NVGRACE_DRIVER	\
	{ "nvgrace_gpu_vfio_pci", "nvgrace_gpu_vfio_pci", "nvgrace-gpu-vfio-pci" }
#define VIRTIO_DRIVER	{ "virtio_vfio_pci", "virtio_vfio_pci", "virtio-vfio-pci" }
#define XE_DRIVER	{ "xe-vfio-pci", "xe_vfio_pci", "xe-vfio-pci" }
#define QAT_DRIVER	{ "qat_vfio_pci", "qat_vfio_pci", "qat_vfio_pci" }
#define MLX5_DRIVER	{ "mlx5_vfio_pci", "mlx5_vfio_pci", "mlx5-vfio-pci" }
#define HISI_DRIVER	{ "hisi_acc_vfio_pci", "hisi_acc_vfio_pci", "hisi-acc-vfio-pci" }
#define PDS_DRIVER	{ "pds_vfio_pci", "pds_vfio_pci", "pds-vfio-pci" }

/* For as long as the program runs: the parent, and its virtual functions. */
#define PARENT_VFS	2
void parents_claim(void);
const char *parents_vf(unsigned int index);

/* What the parent knows of a virtual function. */
long parents_value(unsigned int index, const char *name);
int parents_set(unsigned int index, const char *name, long value);
/* Whether nothing is left of anybody who had one. */
bool parents_idle(void);
int parents_parameter(const char *name, const char *value);

/* Gives the device to the driver, which is loaded, or takes it away and unloads that. */
int variant_begin(const struct variant_driver *driver, const char *bdf);
int variant_end(const struct variant_driver *driver, const char *bdf);
/* Opens through a container, or through an iommufd, which is in its place then. */
int variant_open(struct vfio_session *session, const char *bdf, bool cdev);

#define NEED_VARIANT(driver)						\
	do {								\
		if (!sample_exists(PARENTS) || !sample_exists((driver)->file))	\
			SKIP(return, "the kernel has no module %s", (driver)->file); \
	} while (0)

#endif
