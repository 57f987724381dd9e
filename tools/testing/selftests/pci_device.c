// SPDX-License-Identifier: GPL-2.0
/* PCI devices as sysfs has them, and their drivers; see vfio_fixture.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfio_fixture.h"

#define PATH_SIZE	256

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

/* The address of a virtual function of @bdf; -ENOENT if it has not that many. */
int pci_vf(const char *bdf, unsigned int index, char *name, size_t size)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/virtfn%u", bdf,
		 index);
	return link_name(path, name, size);
}

int pci_first_vf(const char *bdf, char *name, size_t size)
{
	return pci_vf(bdf, 0, name, size);
}

/* Whether vfio-pci lets a function have virtual ones: its option. */
int pci_allow_vfs(bool allow)
{
	return file_write("/sys/module/vfio_pci/parameters/enable_sriov",
			  allow ? "Y" : "N");
}

/* Gives @bdf that many virtual functions. */
int pci_set_vfs(const char *bdf, const char *number)
{
	return pci_set_attribute(bdf, "sriov_numvfs", number);
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

/* How many references keep @module from being unloaded. */
long module_users(const char *module)
{
	char path[PATH_SIZE], text[32];
	long ret;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	ret = file_read(path, text, sizeof(text));
	return ret < 0 ? ret : atol(text);
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
