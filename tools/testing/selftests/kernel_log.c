// SPDX-License-Identifier: GPL-2.0
/* Lines of /dev/kmsg; see kernel_log.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel_log.h"

/* The end of the kernel log. */
int log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (log >= 0)
		lseek(log, 0, SEEK_END);
	return log;
}

/* The next line since log_open(). Lines that were overwritten are passed over. */
static bool log_next(int log, char *line, size_t size)
{
	ssize_t length;

	do {
		length = read(log, line, size - 1);
	} while (length < 0 && errno == EPIPE);
	line[length > 0 ? length : 0] = '\0';
	return length > 0;
}

/* How many lines with @text the log has got since it was last looked at. */
int log_count(int log, const char *text)
{
	char line[1024];
	int count = 0;

	while (log_next(log, line, sizeof(line)))
		count += !!strstr(line, text);
	return count;
}

bool log_has(int log, const char *text)
{
	return log_count(log, text);
}

/* Reads on until a line has @text: what comes after it is still to be looked at. */
bool log_reaches(int log, const char *text)
{
	char line[1024];

	while (log_next(log, line, sizeof(line)))
		if (strstr(line, text))
			return true;
	return false;
}
