// SPDX-License-Identifier: GPL-2.0
/* What the VFIO selftests share; see vfio_fixture.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

/* What this process is charged for in locked memory, mlock or DMA alike. */
long memory_locked_kb(void)
{
	char buf[4096];
	char *line;

	if (file_read("/proc/self/status", buf, sizeof(buf)) < 0)
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

/* ---- PCI devices ---- */

#define CLAIMS	16

struct claim {
	char bdf[16];
	char driver[64];
};

static struct claim claims[CLAIMS];
static unsigned int nr_claims;
static pid_t claimer;

/* The address of the device that the environment gives @name, or NULL. */
const char *pci_device(const char *name)
{
	const char *bdf = getenv(name);

	return bdf && *bdf ? bdf : NULL;
}

static int link_name(const char *path, char *name, size_t size)
{
	char target[PATH_SIZE];
	char *base;
	long len = sys_result(readlink(path, target, sizeof(target) - 1));

	if (len < 0)
		return len;
	target[len] = '\0';
	base = strrchr(target, '/');
	snprintf(name, size, "%s", base ? base + 1 : target);
	return 0;
}

/* The name of the driver that @bdf is bound to, or "". */
int pci_driver(const char *bdf, char *name, size_t size)
{
	char path[PATH_SIZE];

	name[0] = '\0';
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	return link_name(path, name, size);
}

/* Binds @bdf to @driver and to no other, or to none if @driver is NULL. */
int pci_bind(const char *bdf, const char *driver)
{
	char path[PATH_SIZE];
	char now[64];
	long ret;

	pci_driver(bdf, now, sizeof(now));
	if (driver && !strcmp(now, driver))
		return 0;
	if (now[0]) {
		snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind",
			 now);
		ret = file_write(path, bdf);
		if (ret)
			return ret;
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override",
		 bdf);
	ret = file_write(path, driver ? driver : "\n");
	if (ret || !driver)
		return ret;
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", driver);
	return file_write(path, bdf);
}

int pci_group(const char *bdf)
{
	char path[PATH_SIZE];
	char name[64];
	int ret;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 bdf);
	ret = link_name(path, name, sizeof(name));
	return ret ? ret : atoi(name);
}

/* Where the host has put resource @index, as sysfs tells it. */
int pci_resource(const char *bdf, unsigned int index, uint64_t *start,
		 uint64_t *size)
{
	unsigned long long first, last, flags;
	char path[PATH_SIZE];
	FILE *file;
	unsigned int i;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", bdf);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	for (i = 0; i <= index; i++) {
		if (fscanf(file, "%llx %llx %llx", &first, &last, &flags) != 3) {
			fclose(file);
			return -ENOENT;
		}
	}
	fclose(file);
	*start = first;
	*size = last ? last - first + 1 : 0;
	return 0;
}

/* What the hardware holds, past everything that VFIO makes up. */
long pci_hw_config(const char *bdf, unsigned int offset, unsigned int size)
{
	char path[PATH_SIZE];
	uint32_t value = 0;
	long ret;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = sys_result(pread(fd, &value, size, offset));
	close(fd);
	if (ret < 0)
		return ret;
	return ret == (long)size ? (long)value : -EIO;
}

static void pci_restore(void)
{
	if (getpid() != claimer)
		return;
	while (nr_claims) {
		struct claim *claim = &claims[--nr_claims];

		pci_bind(claim->bdf, claim->driver[0] ? claim->driver : NULL);
	}
}

/* Binds the named devices to vfio-pci until this process exits. */
void pci_claim(const char *const *names)
{
	claimer = getpid();
	atexit(pci_restore);
	for (; *names && nr_claims < CLAIMS; names++) {
		struct claim *claim = &claims[nr_claims];
		const char *bdf = pci_device(*names);
		int ret;

		if (!bdf)
			continue;
		snprintf(claim->bdf, sizeof(claim->bdf), "%s", bdf);
		pci_driver(bdf, claim->driver, sizeof(claim->driver));
		nr_claims++;
		ret = pci_bind(bdf, "vfio-pci");
		if (ret)
			printf("# %s=%s does not bind to vfio-pci: %s\n",
			       *names, bdf, strerror(-ret));
	}
}

/* ---- containers, groups, devices ---- */

int container_open(void)
{
	return sys_result(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
}

int group_open(const char *bdf)
{
	char path[PATH_SIZE];
	int group = pci_group(bdf);

	if (group < 0)
		return group;
	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	return sys_result(open(path, O_RDWR | O_CLOEXEC));
}

long group_set_container(int group, int container)
{
	return vfio_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
}

long group_device(int group, const char *bdf)
{
	return vfio_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
}

int cdev_open(const char *bdf, int flags)
{
	struct dirent *entry;
	char path[PATH_SIZE];
	int fd = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%.32s",
			 entry->d_name);
		fd = sys_result(open(path, flags | O_CLOEXEC));
		break;
	}
	closedir(dir);
	return fd;
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

/* Container, group and device of @bdf; nothing is left open on failure. */
int session_open(struct vfio_session *session, const char *bdf, int iommu)
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
		ret = session->device = group_device(session->group, bdf);
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

/* 0 if container and device still do what they are for. */
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
	if (ret)
		return ret;
	ret = config_read(session->device, PCI_VENDOR_ID, 2);
	if (ret < 0)
		return ret;
	return ret == pci_hw_config(session->bdf, PCI_VENDOR_ID, 2) ? 0 : -EIO;
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

/* ---- registers ---- */

long config_read(int device, unsigned int offset, unsigned int size)
{
	uint32_t value = 0;
	long ret = sys_result(pread(device, &value, size,
				    CONFIG_OFFSET + offset));

	if (ret < 0)
		return ret;
	return ret == (long)size ? (long)value : -EIO;
}

long config_write(int device, unsigned int offset, unsigned int size,
		  uint32_t value)
{
	long ret = sys_result(pwrite(device, &value, size,
				     CONFIG_OFFSET + offset));

	if (ret < 0)
		return ret;
	return ret == (long)size ? 0 : -EIO;
}

/* The offset of capability @id in the list as the user sees it. */
long config_cap(int device, uint8_t id)
{
	long offset = config_read(device, PCI_CAPABILITY_LIST, 1);
	int budget = 48;

	while (offset > 0 && budget--) {
		if (config_read(device, offset, 1) == id)
			return offset;
		offset = config_read(device, offset + PCI_CAP_LIST_NEXT, 1);
	}
	return -ENOENT;
}

long config_ext_cap(int device, uint16_t id)
{
	long offset = PCI_CFG_SPACE_SIZE;
	int budget = 480;

	while (offset && budget--) {
		long header = config_read(device, offset, 4);

		if (header <= 0)
			break;
		if (PCI_EXT_CAP_ID(header) == id)
			return offset;
		offset = PCI_EXT_CAP_NEXT(header);
	}
	return -ENOENT;
}

long memory_enable(int device, bool on)
{
	long command = config_read(device, PCI_COMMAND, 2);

	if (command < 0)
		return command;
	if (on)
		command |= PCI_COMMAND_MEMORY;
	else
		command &= ~PCI_COMMAND_MEMORY;
	return config_write(device, PCI_COMMAND, 2, command);
}

long region_size(int device, unsigned int index)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = index,
	};
	long ret = vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info);

	return ret ? ret : (long)info.size;
}

long region_read(int device, unsigned int index, uint64_t offset, void *buf,
		 size_t size)
{
	return sys_result(pread(device, buf, size,
				REGION_OFFSET(index) + offset));
}

long region_write(int device, unsigned int index, uint64_t offset,
		  const void *buf, size_t size)
{
	return sys_result(pwrite(device, buf, size,
				 REGION_OFFSET(index) + offset));
}

long bar_mmap(int device, unsigned int index, uint64_t offset, size_t size,
	      int prot, void **addr)
{
	*addr = mmap(NULL, size, prot, MAP_SHARED, device,
		     REGION_OFFSET(index) + offset);
	return *addr == MAP_FAILED ? -errno : 0;
}

static sigjmp_buf fault_return;

static void fault_handler(int signal)
{
	siglongjmp(fault_return, signal);
}

/*
 * Makes SIGBUS and SIGSEGV return to where the access was started. Both are
 * needed: SIGSEGV is the answer where no mapping, or not this access, is there.
 */
static void fault_catch(struct sigaction old[2])
{
	struct sigaction action = { .sa_handler = fault_handler };

	sigaction(SIGBUS, &action, &old[0]);
	sigaction(SIGSEGV, &action, &old[1]);
}

static void fault_release(const struct sigaction old[2])
{
	sigaction(SIGBUS, &old[0], NULL);
	sigaction(SIGSEGV, &old[1], NULL);
}

int mmio_read(const volatile void *addr, uint32_t *value)
{
	struct sigaction old[2];
	int signal;

	fault_catch(old);
	signal = sigsetjmp(fault_return, 1);
	if (!signal)
		*value = *(const volatile uint32_t *)addr;
	fault_release(old);
	return -signal;
}

int mmio_write(volatile void *addr, uint32_t value)
{
	struct sigaction old[2];
	int signal;

	fault_catch(old);
	signal = sigsetjmp(fault_return, 1);
	if (!signal)
		*(volatile uint32_t *)addr = value;
	fault_release(old);
	return -signal;
}

/* Faults of this process that needed no disk: those on BARs are among them. */
long fault_count(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		return -errno;
	return usage.ru_minflt + usage.ru_majflt;
}

/* ---- interrupts and eventfds ---- */

long irq_set(int device, uint32_t index, uint32_t flags, uint32_t start,
	     uint32_t count, const void *data, size_t size)
{
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + size);
	long ret;

	if (!set)
		return -ENOMEM;
	set->argsz = sizeof(*set) + size;
	set->flags = flags;
	set->index = index;
	set->start = start;
	set->count = count;
	if (size)
		memcpy(set->data, data, size);
	ret = vfio_ioctl(device, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return ret;
}

long irq_eventfd(int device, uint32_t index, uint32_t start, int fd)
{
	int32_t data = fd;

	return irq_set(device, index,
		       VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		       start, 1, &data, sizeof(data));
}

long irq_disable(int device, uint32_t index)
{
	return irq_set(device, index,
		       VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		       0, 0, NULL, 0);
}

int event_new(void)
{
	return sys_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* The count of @fd, which becomes zero; -EAGAIN if it was not signalled. */
long event_take(int fd)
{
	uint64_t count;
	long ret = sys_result(read(fd, &count, sizeof(count)));

	return ret < 0 ? ret : (long)count;
}

long event_wait(int fd, int milliseconds)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	int ret;

	do {
		ret = poll(&poller, 1, milliseconds);
	} while (ret < 0 && errno == EINTR);
	if (ret <= 0)
		return ret ? -errno : -ETIMEDOUT;
	return event_take(fd);
}

long event_signal(int fd)
{
	uint64_t one = 1;
	long ret = sys_result(write(fd, &one, sizeof(one)));

	return ret < 0 ? ret : 0;
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
