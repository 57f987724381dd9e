/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A slot: config space of the function in it, past the kernel, which keeps others out
 * while it resets a device; and its power: a function without power does not answer, so
 * that its reset takes until there is some.
 */
#ifndef SLOT_H
#define SLOT_H

#include <stdbool.h>
#include <stdint.h>

#define SLOT_HEADER	16

struct slot {
	volatile uint32_t *config;
	/* Of the bridge above. */
	volatile uint32_t *bridge;
	volatile uint16_t *control;
	/* The header of config space, which goes with the power. */
	uint32_t header[SLOT_HEADER];
};

int slot_open(struct slot *slot, const char *bdf);
void slot_close(struct slot *slot);
uint32_t slot_config(const struct slot *slot, unsigned int offset);
void slot_power(const struct slot *slot, bool on);
bool slot_recover(const struct slot *slot);

#endif
