/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel logs while a test looks. */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include <stdbool.h>

int log_open(void);
int log_count(int log, const char *text);
bool log_has(int log, const char *text);
bool log_reaches(int log, const char *text);

#endif
