/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long a test may take, in place of the harness' 30 s. The Makefile has every
 * test program include this first, and the kernel's own get it as well.
 *
 * The slowest tests take some 30 s on a quiet host with the debug kernel; a host
 * with other guests on the same processors is several times slower, and that must
 * not fail a test. What hangs does so for ever.
 */
#ifndef TEST_LIMIT_H
#define TEST_LIMIT_H

#include <kselftest_harness.h>

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	300

#endif
