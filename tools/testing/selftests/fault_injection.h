/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail, one after the other (Documentation/fault-injection). It
 * takes a kernel with FAULT_INJECTION, FAILSLAB and FAIL_PAGE_ALLOC.
 */
#ifndef FAULT_INJECTION_H
#define FAULT_INJECTION_H

#include <stdbool.h>

/* More allocations than any call makes. */
#define ATTEMPTS	1000

bool injection_ready(void);
void injection_begin(unsigned int nth);
bool injection_end(void);

#define NEED_INJECTION()						\
	do {								\
		if (!injection_ready())					\
			SKIP(return, "no fault injection in this kernel");	\
	} while (0)

#endif
