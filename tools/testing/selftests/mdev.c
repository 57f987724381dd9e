// SPDX-License-Identifier: GPL-2.0
/* Mediated devices; see mdev.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mdev.h"

#define PATH_SIZE	256

static void type_path(char *path, const char *parent, const char *type, const char *name)
{
	snprintf(path, PATH_SIZE, "/sys/class/mdev_bus/%s/mdev_supported_types/%s/%s",
		 parent, type, name);
}

int mdev_create(const char *parent, const char *type, const char *uuid)
{
	char path[PATH_SIZE];

	type_path(path, parent, type, "create");
	return file_write(path, uuid);
}

/* Waits for whoever has it open. */
int mdev_remove(const char *uuid)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/remove", uuid);
	return file_write(path, "1");
}

bool mdev_exists(const char *uuid)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s", uuid);
	return !access(path, F_OK);
}

/* How many more devices of a type there can be. */
long mdev_available(const char *parent, const char *type)
{
	char path[PATH_SIZE], text[32];
	long ret;

	type_path(path, parent, type, "available_instances");
	ret = file_read(path, text, sizeof(text));
	return ret < 0 ? ret : atol(text);
}

int mdev_open(struct vfio_session *session, const char *uuid, bool cdev)
{
	if (!cdev)
		return emulated_open(session, uuid, VFIO_TYPE1v2_IOMMU);
	return session_of_cdev(session, uuid, emulated_cdev_open(uuid));
}
