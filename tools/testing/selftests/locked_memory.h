/* SPDX-License-Identifier: GPL-2.0 */
/* Memory that stays where it is, and is counted: locked, pinned, huge pages. */
#ifndef LOCKED_MEMORY_H
#define LOCKED_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

bool ipc_lock_drop(void);
int locked_limit(pid_t pid, uint64_t bytes);
long settled_locked_kb(long expected);
long settled_pinned_pages(long expected);
long huge_pages_free(void);

#endif
