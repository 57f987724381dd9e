/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Config space past the kernel, which keeps others out while it resets a device,
 * and the power of a slot: a function without power does not answer, so that its
 * reset takes until there is some.
 */
#ifndef SLOT_H
#define SLOT_H

#include <stdbool.h>

long ecam_read(const char *bdf, unsigned int offset);
int slot_power(const char *bdf, bool on);

#endif
