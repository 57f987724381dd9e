// SPDX-License-Identifier: GPL-2.0
/* Operations on the files of a device, and by other processes; see compare.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"

/* Another file of the same device in one of the places behind the first. */
static void file_more(struct run *run)
{
	unsigned int place = 1 + random_below(&run->random, DEVICES - 1);
	unsigned int kind = random_below(&run->random, 4);
	long fd = -EBADF;

	log_operation(run, "file %u of kind %u", place, kind);
	if (run->devices[place] >= 0)
		close(run->devices[place]);
	run->devices[place] = -1;
	switch (kind) {
	case 0:
		fd = sys_result(dup(run->devices[0]));
		break;
	case 1:
		fd = group_device(run->group, run->layout->open_name);
		break;
	case 2:
		fd = cdev_open(run->layout->bdf, O_RDWR);
		break;
	case 3:
		/* Nothing in this place any more. */
		break;
	}
	log_fd(run, fd);
	if (fd >= 0)
		run->devices[place] = fd;
}

/* A character device of this device that was opened for reading only. */
static void cdev_read_only(struct run *run)
{
	int fd = cdev_open(run->layout->bdf, O_RDONLY);
	char byte = 0;

	log_operation(run, "cdev read-only");
	log_fd(run, fd);
	if (fd < 0)
		return;
	log_result(run, sys_result(pread(fd, &byte, 1, CONFIG_OFFSET)));
	log_result(run, sys_result(pwrite(fd, &byte, 1, CONFIG_OFFSET)));
	log_result(run, cdev_bind(fd, run->null));
	close(fd);
}

static void group_again(struct run *run)
{
	int fd = group_open(run->layout->bdf);

	log_operation(run, "group open");
	log_fd(run, fd);
	if (fd >= 0)
		close(fd);
}

/* What every file answers. */
static void file_any(struct run *run)
{
	struct pollfd poller = { .fd = run_device(run),
				 .events = POLLIN | POLLOUT };
	unsigned int kind = random_below(&run->random, 4);
	char text[1024], path[64];
	struct stat stat;
	char *line;

	log_operation(run, "file ask %u", kind);
	switch (kind) {
	case 0:
		log_result(run, sys_result(poll(&poller, 1, 0)));
		log_more(run, " %#x", poller.revents);
		return;
	case 1:
		log_result(run, sys_result(fcntl(poller.fd, F_GETFL)));
		return;
	case 2:
		log_result(run, sys_result(fstat(poller.fd, &stat)));
		log_more(run, " %o", poller.fd >= 0 ? stat.st_mode & S_IFMT : 0);
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", poller.fd);
	if (file_read(path, text, sizeof(text)) < 0) {
		log_more(run, " = no file");
		return;
	}
	line = strstr(text, "vfio-device");
	log_more(run, " = %s", line ? strtok(line, "\n") : "no line");
}

#define CHILD_OPERATIONS	4
#define CHILD_LOG		16384

static void child_run(struct run *run, uint64_t seed, int out)
{
	char *text = NULL;
	size_t size = 0;
	int count;

	run->child = true;
	run->random.state = seed;
	run->log = open_memstream(&text, &size);
	if (!run->log)
		_exit(1);
	for (count = 0; count < CHILD_OPERATIONS; count++)
		operation_run(run);
	fclose(run->log);
	_exit(write(out, text, size) != size);
}

/*
 * Another process with the same files does some operations. They have numbers of
 * this session; what the child maps and opens is gone with it.
 */
static void fork_some(struct run *run)
{
	uint64_t seed = random_next(&run->random);
	char text[CHILD_LOG];
	int pipe_fds[2];
	pid_t pid;
	ssize_t ret;

	if (run->child || run->low_power || pipe2(pipe_fds, O_CLOEXEC))
		return file_any(run);
	log_operation(run, "fork");
	log_more(run, " = 0\n");
	fflush(run->log);
	pid = fork();
	if (!pid) {
		close(pipe_fds[0]);
		child_run(run, seed, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	while ((ret = read(pipe_fds[0], text, sizeof(text))) > 0)
		fwrite(text, 1, ret, run->log);
	close(pipe_fds[0]);
	run->number += CHILD_OPERATIONS;
	log_operation(run, "child ends");
	log_result(run, child_result(pid));
}

const struct operation file_operations[] = {
	{ 15, file_more },
	{ 4, cdev_read_only },
	{ 3, group_again },
	{ 10, file_any },
	{ 3, fork_some },
	{ 0, NULL },
};
