// SPDX-License-Identifier: GPL-2.0
/* Choices that a seed decides; see compare.h. */
#include <string.h>

#include "compare.h"

uint64_t random_next(struct random *random)
{
	uint64_t value;

	/* splitmix64 */
	random->state += 0x9e3779b97f4a7c15;
	value = random->state;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
	value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
	return value ^ (value >> 31);
}

/* Each session of each device has choices of its own. */
void random_seed(struct random *random, uint64_t seed, const char *name,
		 uint64_t session)
{
	random->state = seed;
	for (; *name; name++)
		random->state = random_next(random) ^ (unsigned char)*name;
	random->state = random_next(random) ^ session;
}

uint32_t random_below(struct random *random, uint32_t limit)
{
	return limit ? random_next(random) % limit : 0;
}

bool random_chance(struct random *random, unsigned int percent)
{
	return random_below(random, 100) < percent;
}

/* A value with a bit pattern that matters more often than chance has it. */
uint64_t random_value(struct random *random)
{
	uint64_t any = random_next(random);

	switch (random_below(random, 6)) {
	case 0:
		return 0;
	case 1:
		return ~0ULL;
	case 2:
		return 1ULL << (any % 64);
	case 3:
		return ~(1ULL << (any % 64));
	case 4:
		return any & 0xff;
	default:
		return any;
	}
}

void random_bytes(struct random *random, void *buf, size_t size)
{
	unsigned char *bytes = buf;
	size_t i;

	for (i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t value = random_value(random);
		size_t part = size - i < sizeof(value) ? size - i : sizeof(value);

		memcpy(bytes + i, &value, part);
	}
}
