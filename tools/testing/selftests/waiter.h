/* SPDX-License-Identifier: GPL-2.0 */
/* Processes that do one thing, which may take long, and can or cannot be killed. */
#ifndef WAITER_H
#define WAITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

uint64_t milliseconds(void);
pid_t waiter_start(long (*action)(void *data), void *data);
bool waiter_ends(pid_t pid, unsigned int limit_ms, int *status);
bool waiter_dies(pid_t pid, unsigned int limit_ms);

#endif
