// SPDX-License-Identifier: GPL-2.0
/* Areas of memory; see memory_area.h. */
#include <stdio.h>
#include <string.h>

#include "memory_area.h"

bool area_has_flag(const void *address, const char *flag)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long start, end, place = (unsigned long)address;
	bool inside = false, has = false;
	char line[512], word[8];

	if (!file)
		return false;
	snprintf(word, sizeof(word), " %s", flag);
	while (!has && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= place && place < end;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			has = strstr(line, word);
	}
	fclose(file);
	return has;
}
