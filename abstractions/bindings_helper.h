/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Input of our own bindgen run: the headers whose names the kernel crate's
 * bindings lack, and the prototypes of our C helpers. What of it becomes Rust
 * is listed in bindgen_parameters.
 */
#include <linux/anon_inodes.h>
#include <linux/device.h>
#include <linux/dma-buf-mapping.h>
#include <linux/iommufd.h>
#include <linux/iova_bitmap.h>
#include <linux/irqbypass.h>
#include <linux/msi.h>
#include <linux/pseudo_fs.h>
#include <linux/vfio.h>
#include <linux/vfio_device_memory.h>
#include <linux/vfio_pci_core.h>

#include "helpers.h"
