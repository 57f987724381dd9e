// SPDX-License-Identifier: GPL-2.0
/* Random choices that can be made again; see seed.h. */
#include <stdlib.h>
#include <time.h>

#include "seed.h"

/* The number in the environment under @name, if there is one. */
uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* $SEED, or one that is short enough to be typed. */
uint64_t seed_new(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return setting("SEED", (now.tv_sec * 1000000000UL + now.tv_nsec) &
			       0xffffffff);
}

/* The next number (splitmix64). */
uint64_t draw(uint64_t *state)
{
	uint64_t value = *state += 0x9e3779b97f4a7c15ULL;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
	value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
	return value ^ value >> 31;
}

unsigned int below(uint64_t *state, unsigned int limit)
{
	return draw(state) % limit;
}
