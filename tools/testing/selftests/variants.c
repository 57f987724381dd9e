// SPDX-License-Identifier: GPL-2.0
/* Variant drivers of vfio-pci; see variants.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "variants.h"

#define PARENT		"PORT_IGB"
#define PATH_SIZE	256

static char vfs[PARENT_VFS][16];
static pid_t claimer;

static void parents_drop(void)
{
	int ret;

	if (getpid() != claimer)
		return;
	ret = pci_set_vfs(pci_device(PARENT), "0");
	ret = ret ?: pci_bind(pci_device(PARENT), NULL);
	ret = ret ?: module_unload(PARENTS);
	if (ret)
		printf("# " PARENTS " does not unload: %s\n", strerror(-ret));
}

void parents_claim(void)
{
	const char *parent = pci_device(PARENT);
	char number[8];
	int i, ret;

	if (!parent || !sample_exists(PARENTS))
		return;
	claimer = getpid();
	atexit(parents_drop);
	snprintf(number, sizeof(number), "%d", PARENT_VFS);
	ret = module_load(PARENTS);
	ret = ret ?: pci_bind(parent, PARENTS);
	ret = ret ?: pci_set_vfs(parent, number);
	for (i = 0; !ret && i < PARENT_VFS; i++)
		ret = pci_vf(parent, i, vfs[i], sizeof(vfs[i]));
	if (ret)
		printf("# " PARENT " has no virtual functions: %s\n", strerror(-ret));
}

const char *parents_vf(unsigned int index)
{
	return vfs[index];
}

static void parents_path(char *path, unsigned int index, const char *name)
{
	snprintf(path, PATH_SIZE, "/sys/kernel/debug/vfio-parents/%u/%s", index, name);
}

long parents_value(unsigned int index, const char *name)
{
	char path[PATH_SIZE], text[32];
	long ret;

	parents_path(path, index, name);
	ret = file_read(path, text, sizeof(text));
	return ret < 0 ? ret : atol(text);
}

int parents_set(unsigned int index, const char *name, long value)
{
	char path[PATH_SIZE], text[32];

	parents_path(path, index, name);
	snprintf(text, sizeof(text), "%ld", value);
	return file_write(path, text);
}

bool parents_idle(void)
{
	static const char *const names[] = { "users", "opens", "objects", "resetting" };
	bool idle = true;
	unsigned int i, j;

	for (i = 0; i < PARENT_VFS; i++) {
		for (j = 0; j < 4; j++) {
			long value = parents_value(i, names[j]);

			if (value)
				printf("# %s of function %u: %ld\n", names[j], i, value);
			idle = idle && !value;
		}
	}
	return idle;
}

int parents_parameter(const char *name, const char *value)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "/sys/module/" PARENTS "/parameters/%s", name);
	return file_write(path, value);
}

int variant_begin(const struct variant_driver *driver, const char *bdf)
{
	int ret = module_load(driver->module);

	return ret ?: pci_bind(bdf, driver->name);
}

int variant_end(const struct variant_driver *driver, const char *bdf)
{
	int ret = pci_bind(bdf, NULL);

	return ret ?: module_unload(driver->module);
}

int variant_open(struct vfio_session *session, const char *bdf, bool cdev)
{
	if (!cdev)
		return session_open(session, bdf, VFIO_TYPE1v2_IOMMU);
	return session_of_cdev(session, bdf, cdev_open(bdf, O_RDWR));
}
