/* SPDX-License-Identifier: GPL-2.0 */
/* Random choices that can be made again: all follow from one number. */
#ifndef SEED_H
#define SEED_H

#include <stdint.h>

uint64_t setting(const char *name, uint64_t otherwise);
uint64_t seed_new(void);
uint64_t draw(uint64_t *state);
unsigned int below(uint64_t *state, unsigned int limit);

#endif
