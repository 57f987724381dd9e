/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel logs while a test looks. */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include <stdbool.h>
#include <stddef.h>

int log_open(void);
int log_count(int log, const char *text);
bool log_has(int log, const char *text);
bool log_reaches(int log, const char *text);
const char *log_of(int log, const char *source, char *text, size_t size);

#endif
