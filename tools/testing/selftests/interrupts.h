/* SPDX-License-Identifier: GPL-2.0 */
/* What tests of VFIO_DEVICE_SET_IRQS call its flags and indices. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include <linux/vfio.h>

#define NONE		VFIO_IRQ_SET_DATA_NONE
#define BOOL		VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD		VFIO_IRQ_SET_DATA_EVENTFD
#define MASK		VFIO_IRQ_SET_ACTION_MASK
#define UNMASK		VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER		VFIO_IRQ_SET_ACTION_TRIGGER

#define INTX		VFIO_PCI_INTX_IRQ_INDEX
#define MSI		VFIO_PCI_MSI_IRQ_INDEX
#define MSIX		VFIO_PCI_MSIX_IRQ_INDEX

/* How long an interrupt may take, and how long to wait for none to come. */
#define SOON		2000
#define QUIET		60

#endif
