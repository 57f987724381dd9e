// SPDX-License-Identifier: GPL-2.0
/* System calls, containers, groups and devices; see vfio_fixture.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/pci_regs.h>

#include "vfio_fixture.h"

#define PATH_SIZE	256

/* ---- system calls ---- */

long sys_result(long ret)
{
	return ret == -1 ? -errno : ret;
}

long vfio_ioctl_arg(int fd, unsigned long request, unsigned long arg)
{
	return sys_result(ioctl(fd, request, arg));
}

long file_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long ret;

	if (fd < 0)
		return -errno;
	ret = sys_result(read(fd, buf, size - 1));
	close(fd);
	if (ret >= 0)
		buf[ret] = '\0';
	return ret;
}

long file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	long ret;

	if (fd < 0)
		return -errno;
	ret = sys_result(write(fd, text, strlen(text)));
	close(fd);
	return ret < 0 ? ret : 0;
}

void *memory_new(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

/* Reserves address space in which a mapping can be placed as it must be. */
void *memory_new_aligned(size_t size, size_t alignment)
{
	char *start = mmap(NULL, size + alignment, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		return MAP_FAILED;
	return start + (alignment - (uintptr_t)start % alignment) % alignment;
}

/*
 * What this process is charged for in locked memory, mlock or DMA alike. Its first
 * thread may have ended.
 */
long memory_locked_kb(void)
{
	char buf[4096];
	char *line;

	if (file_read("/proc/thread-self/status", buf, sizeof(buf)) < 0)
		return -1;
	line = strstr(buf, "VmLck:");
	return line ? atol(line + strlen("VmLck:")) : -1;
}

static long vmstat(const char *buf, const char *name)
{
	const char *line = strstr(buf, name);

	return line ? atol(line + strlen(name)) : 0;
}

/* Pages that are pinned in the whole system, for as long as nothing else pins. */
long memory_pinned_pages(void)
{
	char buf[16384];

	/* Each CPU counts for itself; this adds them up first. */
	file_write("/proc/sys/vm/stat_refresh", "1");
	if (file_read("/proc/vmstat", buf, sizeof(buf)) < 0)
		return -1;
	return vmstat(buf, "nr_foll_pin_acquired ") -
	       vmstat(buf, "nr_foll_pin_released ");
}

/* Whether this is the debug kernel, on which everything takes many times as long. */
bool kernel_has_checkers(void)
{
	return access("/sys/kernel/debug/kmemleak", F_OK) == 0;
}

/* ---- containers, groups, devices ---- */

int container_open(void)
{
	return sys_result(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
}

/* A group that was made up in no-IOMMU mode has a name of its own. */
int group_open(const char *bdf)
{
	char path[PATH_SIZE];
	int group = pci_group(bdf);
	int fd;

	if (group < 0)
		return group;
	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	fd = sys_result(open(path, O_RDWR | O_CLOEXEC));
	if (fd != -ENOENT)
		return fd;
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d", group);
	return sys_result(open(path, O_RDWR | O_CLOEXEC));
}

long group_set_container(int group, int container)
{
	return vfio_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
}

/* Puts @group, and type1, into a container that has neither yet. */
long group_join(int group, int container)
{
	long ret = group_set_container(group, container);

	return ret ? ret : vfio_ioctl(container, VFIO_SET_IOMMU,
				      VFIO_TYPE1v2_IOMMU);
}

long group_flags(int group)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	long ret = vfio_ioctl(group, VFIO_GROUP_GET_STATUS, &status);

	return ret ? ret : (long)status.flags;
}

long group_device(int group, const char *bdf)
{
	return vfio_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
}

/* The name of the device of @bdf in /sys/class/vfio-dev. */
int cdev_name(const char *bdf, char *name, size_t size)
{
	struct dirent *entry;
	char path[PATH_SIZE];
	int ret = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (ret && (entry = readdir(dir))) {
		if (!strstr(entry->d_name, "vfio"))
			continue;
		snprintf(name, size, "%.32s", entry->d_name);
		ret = 0;
	}
	closedir(dir);
	return ret;
}

int cdev_open(const char *bdf, int flags)
{
	char path[PATH_SIZE], name[64];
	int ret = cdev_name(bdf, name, sizeof(name));

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	return sys_result(open(path, flags | O_CLOEXEC));
}

long cdev_bind(int device, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	long ret = vfio_ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	return ret ? ret : (long)bind.out_devid;
}

long cdev_attach(int device, uint32_t pt_id)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = pt_id,
	};
	long ret = vfio_ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	return ret ? ret : (long)attach.pt_id;
}

/*
 * Container and group of @bdf, but not the device, whose last close takes its
 * time on some kernels. Nothing is left open on failure.
 */
int session_join(struct vfio_session *session, const char *bdf, int iommu)
{
	long ret;

	session->bdf = bdf;
	session->group = -1;
	session->device = -1;
	session->container = container_open();
	ret = session->container;
	if (ret >= 0)
		ret = session->group = group_open(bdf);
	if (ret >= 0)
		ret = group_set_container(session->group, session->container);
	if (ret >= 0)
		ret = vfio_ioctl(session->container, VFIO_SET_IOMMU, iommu);
	if (ret >= 0)
		return 0;
	session_close(session);
	return ret;
}

/* Container, group and device of @bdf; nothing is left open on failure. */
int session_open(struct vfio_session *session, const char *bdf, int iommu)
{
	int ret = session_join(session, bdf, iommu);

	if (ret)
		return ret;
	session->device = group_device(session->group, bdf);
	if (session->device >= 0)
		return 0;
	ret = session->device;
	session_close(session);
	return ret;
}

/*
 * A session of @device, a character device that is open, or else a negative errno, with an
 * iommufd of its own.
 */
int session_of_cdev(struct vfio_session *session, const char *name, int device)
{
	long ret = device;

	session->bdf = name;
	session->group = -1;
	session->device = device;
	session->container = iommufd_open();
	if (ret >= 0)
		ret = session->container;
	if (ret >= 0)
		ret = cdev_bind(device, session->container);
	if (ret >= 0)
		return 0;
	session_close(session);
	return ret;
}

void session_close(struct vfio_session *session)
{
	if (session->device >= 0)
		close(session->device);
	if (session->group >= 0)
		close(session->group);
	if (session->container >= 0)
		close(session->container);
	session->device = -1;
	session->group = -1;
	session->container = -1;
}

#define KEPT	8

static struct vfio_session kept[KEPT];
static unsigned int nr_kept;

/* Runs before the drivers are restored, which would wait for these fds. */
static void session_drop(void)
{
	while (nr_kept)
		session_close(&kept[--nr_kept]);
}

/* Opens the named devices for session_share(). */
void session_keep(const char *const *names)
{
	atexit(session_drop);
	for (; *names && nr_kept < KEPT; names++) {
		const char *bdf = pci_device(*names);
		int ret;

		if (!bdf)
			continue;
		ret = session_open(&kept[nr_kept], bdf, VFIO_TYPE1v2_IOMMU);
		if (!ret)
			nr_kept++;
		else
			printf("# %s=%s does not open: %s\n", *names, bdf,
			       strerror(-ret));
	}
}

/*
 * Puts a device that stays open into the state that a test starts from, as far
 * as an earlier test may have changed it: no mappings, no interrupts, power and
 * memory on, bus master off.
 */
static void session_settle(const struct vfio_session *session)
{
	long power = config_cap(session->device, PCI_CAP_ID_PM);
	uint32_t index;

	type1_unmap(session->container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	for (index = 0; index < VFIO_PCI_NUM_IRQS; index++)
		irq_disable(session->device, index);
	if (power > 0)
		config_write(session->device, power + PCI_PM_CTRL, 2, 0);
	config_write(session->device, PCI_COMMAND, 2,
		     PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
}

/* New fds for a device that session_keep() has opened; close them as usual. */
int session_share(struct vfio_session *session, const char *bdf)
{
	unsigned int i;

	for (i = 0; i < nr_kept; i++) {
		if (strcmp(kept[i].bdf, bdf))
			continue;
		session->bdf = bdf;
		session->container = dup(kept[i].container);
		session->group = dup(kept[i].group);
		session->device = group_device(session->group, bdf);
		if (session->device < 0)
			return session->device;
		session_settle(session);
		return 0;
	}
	return -ENODEV;
}

/* 0 if container, and device if open, still do what they are for. */
int session_works(const struct vfio_session *session)
{
	const uint64_t iova = 0x7fff0000;
	void *page = memory_new(PAGE_SIZE);
	long ret;

	if (page == MAP_FAILED)
		return -ENOMEM;
	ret = type1_map(session->container, page, iova, PAGE_SIZE, DMA_RW);
	if (!ret) {
		ret = type1_unmap(session->container, iova, PAGE_SIZE, 0);
		ret = ret == PAGE_SIZE ? 0 : -EIO;
	}
	munmap(page, PAGE_SIZE);
	if (ret || session->device < 0)
		return ret;
	ret = config_read(session->device, PCI_VENDOR_ID, 2);
	if (ret < 0)
		return ret;
	return ret == pci_hw_config(session->bdf, PCI_VENDOR_ID, 2) ? 0 : -EIO;
}

/* Closes a session; fails if it did not work any more. */
int session_finish(struct vfio_session *session)
{
	int ret = session_works(session);

	session_close(session);
	return ret;
}

bool kernel_has_iommufd(void)
{
	return !access("/dev/iommu", F_OK);
}

int iommufd_open(void)
{
	return sys_result(open("/dev/iommu", O_RDWR | O_CLOEXEC));
}

/* A new I/O address space; returns its id. */
long iommufd_ioas(int iommufd)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	long ret = vfio_ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc);

	return ret ? ret : (long)alloc.out_ioas_id;
}

long iommufd_map(int iommufd, uint32_t ioas, void *vaddr, uint64_t iova,
		 uint64_t size)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)vaddr,
		.length = size,
		.iova = iova,
	};

	return vfio_ioctl(iommufd, IOMMU_IOAS_MAP, &map);
}

/* ---- type1 ---- */

long type1_map(int container, void *vaddr, uint64_t iova, uint64_t size,
	       uint32_t flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = (uintptr_t)vaddr,
		.iova = iova,
		.size = size,
	};

	return vfio_ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
}

/* Returns the number of bytes that are no longer mapped. */
long type1_unmap(int container, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = flags,
		.iova = iova,
		.size = size,
	};
	long ret = vfio_ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap);

	return ret ? ret : (long)unmap.size;
}

/* The whole answer of GET_INFO, capabilities included; the caller frees it. */
void *type1_info(int container)
{
	struct vfio_iommu_type1_info head = { .argsz = sizeof(head) };
	struct vfio_iommu_type1_info *info;

	if (vfio_ioctl(container, VFIO_IOMMU_GET_INFO, &head))
		return NULL;
	info = calloc(1, head.argsz);
	if (!info)
		return NULL;
	info->argsz = head.argsz;
	if (!vfio_ioctl(container, VFIO_IOMMU_GET_INFO, info))
		return info;
	free(info);
	return NULL;
}

/* The capability @id of an information structure whose chain is at @first. */
void *info_cap(void *info, uint32_t first, uint16_t id)
{
	uint32_t argsz = *(uint32_t *)info;
	uint32_t offset = first;

	while (offset && offset <= argsz - sizeof(struct vfio_info_cap_header)) {
		struct vfio_info_cap_header *cap = info + offset;

		if (cap->id == id)
			return cap;
		if (cap->next && cap->next <= offset)
			return NULL;
		offset = cap->next;
	}
	return NULL;
}

/* How many more mappings the container takes. */
long type1_dma_avail(int container)
{
	struct vfio_iommu_type1_info_dma_avail *cap;
	struct vfio_iommu_type1_info *info = type1_info(container);
	long avail = -ENOENT;

	if (!info)
		return -EIO;
	cap = info_cap(info, info->cap_offset,
		       VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	if (cap)
		avail = cap->avail;
	free(info);
	return avail;
}

/* ---- processes ---- */

/* The exit status of @pid, or minus the signal that killed it. */
int child_result(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

union fd_message {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

int fd_send(int socket, int fd)
{
	union fd_message control = { 0 };
	char byte = 0;
	struct iovec vec = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	long ret;

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	ret = sys_result(sendmsg(socket, &message, 0));
	return ret < 0 ? ret : 0;
}

int fd_receive(int socket)
{
	union fd_message control = { 0 };
	char byte;
	struct iovec vec = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	long ret = sys_result(recvmsg(socket, &message, MSG_CMSG_CLOEXEC));
	int fd;

	if (ret < 0)
		return ret;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -EBADMSG;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* ---- reports ---- */

/* A line of the table in which "make check" compares the stacks. */
void report_difference(const char *what, const char *how)
{
	printf("# difference: %s: %s\n", what, how);
	fflush(stdout);
}
