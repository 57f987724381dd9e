// SPDX-License-Identifier: GPL-2.0
/* A file that is served by FUSE, slowly; see slow_memory.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fuse.h>

#include "slow_memory.h"
#include "vfio_fixture.h"

#define MODE		(S_IFREG | 0600)
#define FDS		1024
#define REQUEST_SIZE	(FUSE_MIN_READ_BUFFER + PAGE_SIZE)

static char zeroes[256 * 1024];

static void answer(int fuse, const struct fuse_in_header *request, int error,
		   const void *data, size_t size)
{
	struct fuse_out_header header = {
		.len = sizeof(header) + size,
		.error = error,
		.unique = request->unique,
	};
	struct iovec parts[2] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)data, .iov_len = size },
	};

	if (writev(fuse, parts, 2) < 0 && errno != ENOENT)
		_exit(1);
}

static void answer_init(int fuse, const struct fuse_in_header *request)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		/* Without either of them, who waits for a page cannot be killed. */
		.max_readahead = sizeof(zeroes),
		.flags = FUSE_ASYNC_READ,
		.max_write = PAGE_SIZE,
	};

	answer(fuse, request, 0, &out, sizeof(out));
}

static void answer_attributes(int fuse, const struct fuse_in_header *request,
			      size_t size)
{
	struct fuse_attr_out out = {
		.attr_valid = 3600,
		.attr = {
			.ino = FUSE_ROOT_ID,
			.size = size,
			.mode = MODE,
			.nlink = 1,
			.blksize = PAGE_SIZE,
		},
	};

	answer(fuse, request, 0, &out, sizeof(out));
}

/*
 * The first one gives a signal, and all wait for the one that is given. That is never
 * read: what has been released stays so.
 */
static void answer_read(int fuse, const struct fuse_in_header *request,
			int asked, int released)
{
	const struct fuse_read_in *in = (const void *)(request + 1);
	size_t size = in->size < sizeof(zeroes) ? in->size : sizeof(zeroes);
	struct pollfd go = { .fd = released, .events = POLLIN };
	static bool told;

	if (!told && write(asked, "", 1) != 1)
		_exit(1);
	told = true;
	while (poll(&go, 1, -1) != 1)
		;
	answer(fuse, request, 0, zeroes, size);
}

static void serve(int fuse, size_t size, int asked, int released)
{
	static char buffer[REQUEST_SIZE];
	const struct fuse_in_header *request = (const void *)buffer;
	static const struct fuse_open_out opened;

	for (;;) {
		if (read(fuse, buffer, sizeof(buffer)) < 0) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			/* It is unmounted. */
			_exit(errno != ENODEV);
		}
		switch (request->opcode) {
		case FUSE_INIT:
			answer_init(fuse, request);
			break;
		case FUSE_GETATTR:
			answer_attributes(fuse, request, size);
			break;
		case FUSE_OPEN:
			answer(fuse, request, 0, &opened, sizeof(opened));
			break;
		case FUSE_READ:
			answer_read(fuse, request, asked, released);
			break;
		case FUSE_FLUSH:
		case FUSE_RELEASE:
			answer(fuse, request, 0, NULL, 0);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break;
		default:
			answer(fuse, request, -EOPNOTSUPP, NULL, 0);
		}
	}
}

/* What the test closes must not stay open here. */
static void keep_only(const int fds[3])
{
	int fd;

	for (fd = STDERR_FILENO + 1; fd < FDS; fd++)
		if (fd != fds[0] && fd != fds[1] && fd != fds[2])
			close(fd);
}

static int mount_file(const char *path, int fuse)
{
	char options[96];

	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=%o,user_id=0,group_id=0", fuse, MODE);
	return sys_result(mount("slow", path, "fuse", MS_NOSUID | MS_NODEV,
				options));
}

/* A root file system that is one regular file, mounted on one. */
int slow_memory_new(struct slow_memory *slow, size_t size)
{
	int fuse = sys_result(open("/dev/fuse", O_RDWR | O_CLOEXEC));
	int asked[2], released[2];
	int ret, file;

	if (fuse < 0)
		return fuse;
	strcpy(slow->path, "/tmp/slow-XXXXXX");
	mkdir("/tmp", 0700);
	file = mkostemp(slow->path, O_CLOEXEC);
	if (file < 0 || pipe2(asked, O_CLOEXEC) || pipe2(released, O_CLOEXEC))
		return -errno;
	close(file);
	ret = mount_file(slow->path, fuse);
	if (ret)
		return ret;
	slow->size = size;
	slow->asked = asked[0];
	slow->released = released[1];
	slow->server = fork();
	if (!slow->server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		keep_only((const int[]){ fuse, asked[1], released[0] });
		serve(fuse, size, asked[1], released[0]);
	}
	close(fuse);
	close(asked[1]);
	close(released[0]);
	return slow->server < 0 ? -EAGAIN : 0;
}

/* For the calling process. */
void *slow_memory_map(const struct slow_memory *slow)
{
	int file = open(slow->path, O_RDWR | O_CLOEXEC);
	void *addr = MAP_FAILED;
	struct stat stat_buf;

	if (file < 0)
		return MAP_FAILED;
	/* Only then does the kernel learn the size of a root. */
	if (!fstat(file, &stat_buf) && stat_buf.st_size == slow->size)
		addr = mmap(NULL, slow->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE, file, 0);
	close(file);
	return addr;
}

/* Whether somebody has come to wait for a page before the time is over. */
bool slow_memory_is_awaited(const struct slow_memory *slow, int milliseconds)
{
	struct pollfd asked = { .fd = slow->asked, .events = POLLIN };

	return poll(&asked, 1, milliseconds) == 1;
}

/* All pages come, now and from now on. */
void slow_memory_release(struct slow_memory *slow)
{
	if (write(slow->released, "", 1) != 1)
		perror("slow memory");
}

void slow_memory_end(struct slow_memory *slow)
{
	slow_memory_release(slow);
	umount2(slow->path, MNT_DETACH);
	kill(slow->server, SIGKILL);
	waitpid(slow->server, NULL, 0);
	close(slow->asked);
	close(slow->released);
	unlink(slow->path);
}
