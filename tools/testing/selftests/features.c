// SPDX-License-Identifier: GPL-2.0
/* Features of a device, and what sysfs says of its power; see vfio_fixture.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfio_fixture.h"

#define PATH_SIZE	256

/* VFIO_DEVICE_FEATURE with @size bytes of data. */
long device_feature(int device, uint32_t flags, const void *data, size_t size)
{
	struct vfio_device_feature *feature = calloc(1, sizeof(*feature) + size);
	long ret;

	if (!feature)
		return -ENOMEM;
	feature->argsz = sizeof(*feature) + size;
	feature->flags = flags;
	if (size)
		memcpy(feature->data, data, size);
	ret = vfio_ioctl(device, VFIO_DEVICE_FEATURE, feature);
	free(feature);
	return ret;
}

/* The first line of a file that sysfs has for @bdf. */
int pci_attribute(const char *bdf, const char *name, char *text, size_t size)
{
	char path[PATH_SIZE];
	long len;

	text[0] = '\0';
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	len = file_read(path, text, size);
	if (len < 0)
		return len;
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

int pci_set_attribute(const char *bdf, const char *name, const char *text)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	return file_write(path, text);
}

/* Whether such a file says @text, now or within five seconds. */
bool pci_becomes(const char *bdf, const char *name, const char *text)
{
	char now[64];
	int i;

	for (i = 0; i < 500; i++) {
		if (!pci_attribute(bdf, name, now, sizeof(now)) &&
		    !strcmp(now, text))
			return true;
		usleep(10000);
	}
	printf("# %s of %s is %s\n", name, bdf, now);
	return false;
}

/* $STACK says whose modules are loaded. */
bool on_c_modules(void)
{
	const char *stack = getenv("STACK");

	return stack && !strcmp(stack, "c");
}
