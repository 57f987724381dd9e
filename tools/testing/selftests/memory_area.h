/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel says of an area of memory of this process. */
#ifndef MEMORY_AREA_H
#define MEMORY_AREA_H

#include <stdbool.h>

/* One of the two-letter flags in "VmFlags" of /proc/PID/smaps. */
bool area_has_flag(const void *address, const char *flag);

#endif
