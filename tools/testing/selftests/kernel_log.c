// SPDX-License-Identifier: GPL-2.0
/* Lines of /dev/kmsg; see kernel_log.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

/*
 * What @source, as in "vfio-pci 0000:00:09.0", has logged since the log was last
 * looked at: a line for each of its lines, with the level in front.
 */
const char *log_of(int log, const char *source, char *text, size_t size)
{
	size_t used = 0, length = strlen(source);
	char line[1024], *start, *end;

	text[0] = '\0';
	while (log_next(log, line, sizeof(line))) {
		start = strchr(line, ';');
		if (!start || strncmp(++start, source, length) ||
		    strncmp(start + length, ": ", 2))
			continue;
		start += length + 2;
		end = strchr(start, '\n');
		if (end)
			*end = '\0';
		/* The facility is the kernel, 0. */
		used += snprintf(text + used, size - used, "%d %s\n", atoi(line),
				 start);
		if (used >= size)
			break;
	}
	return text;
}
