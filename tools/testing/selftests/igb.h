/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's igb: a register that says the same always, and one that keeps what is written to it
 * until a reset.
 */
#ifndef IGB_H
#define IGB_H

#include <stdbool.h>
#include <stdint.h>

#define IGB_VET		0x38
#define IGB_VET_VALUE	0x81008100U
#define IGB_RDBAL	0xc000
#define IGB_MARK	0x1000

/* A thread that uses the device, and counts accesses that reached nothing. */
struct igb_user {
	int fd;
	/* IGB_VET, as it is mapped. */
	volatile uint32_t *reg;
	volatile bool stop;
	volatile long rounds;
	long wrong;
	long failed;
};

void *igb_use(void *user);

#endif
