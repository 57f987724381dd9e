// SPDX-License-Identifier: GPL-2.0
/* The sample modules; see samples.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "samples.h"

#define PATH_SIZE	512
#define MOST_SAMPLES	4

static const char *loaded[MOST_SAMPLES];
static unsigned int nr_loaded;
static pid_t claimer;

/* The C modules come without samples of this kind. */
bool samples_exist(void)
{
	return !on_c_modules();
}

/* But this one knows nothing of VFIO, and others are C drivers that both stacks load. */
bool sample_exists(const char *name)
{
	char path[PATH_SIZE];
	struct utsname kernel;

	if (uname(&kernel))
		return false;
	snprintf(path, sizeof(path), "/lib/modules/%s/updates/%s.ko",
		 kernel.release, name);
	return !access(path, F_OK);
}

/* Loads a module and those that it needs. */
int module_load(const char *name)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		execl("/sbin/modprobe", "modprobe", name, NULL);
		_exit(127);
	}
	return child_result(pid) ? -ENOENT : 0;
}

int module_unload(const char *name)
{
	return sys_result(syscall(SYS_delete_module, name, O_NONBLOCK));
}

/* A parameter that is a number. */
long module_parameter(const char *module, const char *name)
{
	char path[128], text[32];
	long ret;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, name);
	ret = file_read(path, text, sizeof(text));
	return ret < 0 ? ret : atol(text);
}

static void samples_drop(void)
{
	if (getpid() != claimer)
		return;
	while (nr_loaded) {
		const char *name = loaded[--nr_loaded];
		int ret = module_unload(name);

		if (ret)
			printf("# %s does not unload: %s\n", name,
			       strerror(-ret));
	}
}

/* Loads the modules, in this order, until the process exits. */
void samples_claim(const char *const *names)
{
	claimer = getpid();
	atexit(samples_drop);
	for (; *names && nr_loaded < MOST_SAMPLES; names++) {
		int ret = sample_exists(*names) ? module_load(*names) : 0;

		if (!sample_exists(*names))
			continue;
		if (!ret)
			loaded[nr_loaded++] = *names;
		else
			printf("# %s does not load: %s\n", *names,
			       strerror(-ret));
	}
}

/* A file of an emulated device, on whichever bus that is. */
static void emulated_path(char *path, const char *name, const char *file)
{
	static const char *const buses[] = { "mdev", "platform", "faux" };
	int i, length;

	for (i = 0; i < 3; i++) {
		length = snprintf(path, PATH_SIZE, "/sys/bus/%s/devices/%s/", buses[i],
				  name);
		if (!access(path, F_OK))
			break;
	}
	snprintf(path + length, PATH_SIZE - length, "%s", file);
}

/* The number of the group that was made up for an emulated device. */
int emulated_group(const char *name)
{
	char path[PATH_SIZE], target[PATH_SIZE];
	char *base;
	long len;

	emulated_path(path, name, "iommu_group");
	len = sys_result(readlink(path, target, sizeof(target) - 1));
	if (len < 0)
		return len;
	target[len] = '\0';
	base = strrchr(target, '/');
	return base ? atoi(base + 1) : -EIO;
}

int emulated_group_open(const char *name)
{
	char path[PATH_SIZE];
	int group = emulated_group(name);

	if (group < 0)
		return group;
	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	return sys_result(open(path, O_RDWR | O_CLOEXEC));
}

int emulated_cdev_open(const char *name)
{
	char path[PATH_SIZE];
	struct dirent *entry;
	int fd = -ENOENT;
	DIR *dir;

	emulated_path(path, name, "vfio-dev");
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s",
			 entry->d_name);
		fd = sys_result(open(path, O_RDWR | O_CLOEXEC));
		break;
	}
	closedir(dir);
	return fd;
}

/* As session_join(), for an emulated device. */
int emulated_join(struct vfio_session *session, const char *name, int iommu)
{
	long ret;

	session->bdf = name;
	session->group = -1;
	session->device = -1;
	session->container = container_open();
	ret = session->container;
	if (ret >= 0)
		ret = session->group = emulated_group_open(name);
	if (ret >= 0)
		ret = group_set_container(session->group, session->container);
	if (ret >= 0)
		ret = vfio_ioctl(session->container, VFIO_SET_IOMMU, iommu);
	if (ret >= 0)
		return 0;
	session_close(session);
	return ret;
}

/* As session_open(), for an emulated device. */
int emulated_open(struct vfio_session *session, const char *name, int iommu)
{
	int ret = emulated_join(session, name, iommu);

	if (ret)
		return ret;
	session->device = group_device(session->group, name);
	if (session->device >= 0)
		return 0;
	ret = session->device;
	session_close(session);
	return ret;
}

int memory_group(void)
{
	return emulated_group(MEMORY_NAME);
}

int memory_group_open(void)
{
	return emulated_group_open(MEMORY_NAME);
}

int memory_cdev_open(void)
{
	return emulated_cdev_open(MEMORY_NAME);
}

int memory_join(struct vfio_session *session, int iommu)
{
	return emulated_join(session, MEMORY_NAME, iommu);
}

int memory_open(struct vfio_session *session, int iommu)
{
	return emulated_open(session, MEMORY_NAME, iommu);
}

/* Maps all memory of vfio_memory. */
void *memory_mmap(int device)
{
	return mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		    device, 0);
}

long region_info(int device, uint32_t index, struct region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->head.argsz = sizeof(*info);
	info->head.index = index;
	return vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info);
}

/* Gives the device to @driver, and opens it with a container. */
int session_open_by(struct vfio_session *session, const char *bdf,
		    const char *driver)
{
	int ret = pci_bind(bdf, driver);

	return ret ?: session_open(session, bdf, VFIO_TYPE1v2_IOMMU);
}
