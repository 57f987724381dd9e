/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mediated devices of the kernel's C samples, which both stacks load. They are opened by
 * their UUID, as emulated devices are by name (samples.h).
 */
#ifndef MDEV_H
#define MDEV_H

#include <stdbool.h>

#include "samples.h"

#define UUID_1	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define UUID_2	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"

int mdev_create(const char *parent, const char *type, const char *uuid);
int mdev_remove(const char *uuid);
bool mdev_exists(const char *uuid);
long mdev_available(const char *parent, const char *type);

/* Opens through a container, or through an iommufd, which is in its place then. */
int mdev_open(struct vfio_session *session, const char *uuid, bool cdev);

#define NEED_C_DRIVER(name)						\
	do {								\
		if (!sample_exists(name))				\
			SKIP(return, "the kernel has no module %s", name); \
	} while (0)

/* A device that a test that was killed may have left. */
#define CREATE_MDEV(parent, type, uuid)					\
	do {								\
		if (mdev_exists(uuid))					\
			mdev_remove(uuid);				\
		ASSERT_EQ(0, mdev_create(parent, type, uuid));		\
	} while (0)

#endif
