/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's sample mtty: a serial card of one or two ports that are looped back, without
 * hardware, DMA or mappings. Each port is a BAR with the registers of a 16550.
 */
#ifndef MTTY_H
#define MTTY_H

#include <linux/serial_reg.h>

#include "mdev.h"

#define MTTY		"mtty"
#define ONE_PORT	"mtty-1"
#define TWO_PORTS	"mtty-2"
/* How many ports there can be. */
#define MOST_PORTS	24

static inline long port_put(int device, int port, unsigned int reg, int value)
{
	uint8_t byte = value;
	long ret = region_write(device, port, reg, &byte, 1);

	return ret == 1 ? 0 : ret;
}

static inline long port_get(int device, int port, unsigned int reg)
{
	uint8_t byte;
	long ret = region_read(device, port, reg, &byte, 1);

	return ret == 1 ? byte : ret;
}

/* Makes the port raise @interrupts, for each byte that it is given, and empties it. */
static inline long port_begin(int device, int port, int interrupts)
{
	long ret = port_put(device, port, UART_LCR, UART_LCR_WLEN8);

	ret = ret ?: port_put(device, port, UART_FCR, UART_FCR_ENABLE_FIFO |
			      UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	return ret ?: port_put(device, port, UART_IER, interrupts);
}

/* Tells the device how many interrupts the user knows of, which it asks for itself. */
static inline long mtty_info(int device)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return vfio_ioctl(device, VFIO_DEVICE_GET_INFO, &info);
}

#endif
