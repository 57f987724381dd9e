/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stands in for the parents of the kernel's variant drivers: a driver for any physical
 * function that has virtual ones, and what the drivers of virtual functions call. Each virtual
 * function has a few bytes of memory, which is what migrates.
 */
#ifndef VFIO_PARENTS_H
#define VFIO_PARENTS_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct file_operations;
struct pci_dev;

#define PARENTS_VFS		4
#define PARENTS_MEMORY		(3 * 4096)
/* Objects of virtio that a function can have. */
#define PARENTS_OBJECTS		4

/* What saved memory begins with; it is followed by the memory. */
struct parents_image {
	__le32 magic;
	__le32 size;
	u8 memory[];
} __packed;

#define PARENTS_MAGIC		0x50464d56

#define PARENTS_IMAGE_MAX	(sizeof(struct parents_image) + PARENTS_MEMORY)

struct parents_vf {
	/* Of what is not atomic. No user memory is touched under it. */
	struct mutex lock;
	size_t size;
	u8 memory[PARENTS_MEMORY];
	/* A transfer of a parent that keeps it itself. */
	u8 image[PARENTS_IMAGE_MAX];
	size_t image_size;
	size_t image_done;
	u8 objects[PARENTS_OBJECTS];

	/* Told to stop, and not yet to go on. */
	atomic_t stopped;
	/* Resets that the parent was told of. */
	atomic_t resets;
	/* A reset has begun, and is not yet done. */
	atomic_t resetting;
	/* Drivers that have the function, and those that have it open. */
	atomic_t users;
	atomic_t opens;
	atomic_t object_count;
	/* An errno that the next call fails with. */
	atomic_t fail;
};

struct parents_vf *parents_vf(int id);
struct parents_vf *parents_vf_of(struct pci_dev *pdev);
int parents_failure(struct parents_vf *vf);

extern const struct file_operations parents_gpu_fops;
void parents_gpu_forget(void);

/* With the lock held. */
size_t parents_image_size(struct parents_vf *vf);
ssize_t parents_save(struct parents_vf *vf, void *buf, size_t size);
ssize_t parents_load(struct parents_vf *vf, const void *buf, size_t size);

#endif
