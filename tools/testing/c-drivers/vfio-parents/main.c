// SPDX-License-Identifier: GPL-2.0
/*
 * The driver of the physical function, and the memory of the virtual ones, which tests see in
 * debugfs: see vfio_parents.h.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>

#include "vfio_parents.h"

static struct parents_vf vfs[PARENTS_VFS];
static struct dentry *root;

struct parents_vf *parents_vf(int id)
{
	return id >= 0 && id < PARENTS_VFS ? &vfs[id] : NULL;
}

/* NULL if it is no virtual function. */
struct parents_vf *parents_vf_of(struct pci_dev *pdev)
{
	return pdev->is_virtfn ? parents_vf(pci_iov_vf_id(pdev)) : NULL;
}

/* What a test wants this call to fail with, once. */
int parents_failure(struct parents_vf *vf)
{
	return -atomic_xchg(&vf->fail, 0);
}

size_t parents_image_size(struct parents_vf *vf)
{
	return sizeof(struct parents_image) + vf->size;
}

/* How long it is, of what there is room for. */
ssize_t parents_save(struct parents_vf *vf, void *buf, size_t size)
{
	struct parents_image *image = buf;

	lockdep_assert_held(&vf->lock);
	if (size < parents_image_size(vf))
		return -ENOSPC;
	image->magic = cpu_to_le32(PARENTS_MAGIC);
	image->size = cpu_to_le32(vf->size);
	memcpy(image->memory, vf->memory, vf->size);
	return parents_image_size(vf);
}

/* How long it was; nothing has changed if it is none. */
ssize_t parents_load(struct parents_vf *vf, const void *buf, size_t size)
{
	const struct parents_image *image = buf;

	lockdep_assert_held(&vf->lock);
	if (size < sizeof(*image) || le32_to_cpu(image->magic) != PARENTS_MAGIC ||
	    le32_to_cpu(image->size) > PARENTS_MEMORY ||
	    le32_to_cpu(image->size) > size - sizeof(*image))
		return -EINVAL;
	vf->size = le32_to_cpu(image->size);
	memcpy(vf->memory, image->memory, vf->size);
	return parents_image_size(vf);
}

static ssize_t memory_read(struct file *file, char __user *buf, size_t count, loff_t *ppos)
{
	struct parents_vf *vf = file->private_data;
	ssize_t ret;
	size_t size;
	void *copy;

	copy = kmalloc(PARENTS_MEMORY, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	mutex_lock(&vf->lock);
	size = vf->size;
	memcpy(copy, vf->memory, size);
	mutex_unlock(&vf->lock);
	ret = simple_read_from_buffer(buf, count, ppos, copy, size);
	kfree(copy);
	return ret;
}

/* All of it at once. */
static ssize_t memory_write(struct file *file, const char __user *buf, size_t count,
			    loff_t *ppos)
{
	struct parents_vf *vf = file->private_data;
	void *copy;

	if (count > PARENTS_MEMORY)
		return -ENOSPC;
	copy = memdup_user(buf, count);
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	mutex_lock(&vf->lock);
	memcpy(vf->memory, copy, count);
	vf->size = count;
	mutex_unlock(&vf->lock);
	kfree(copy);
	return count;
}

static const struct file_operations memory_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = memory_read,
	.write = memory_write,
};

static int parents_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return pci_enable_device(pdev);
}

static void parents_remove(struct pci_dev *pdev)
{
	pci_disable_sriov(pdev);
	pci_disable_device(pdev);
}

/* Only for what is given to it by driver_override. */
static struct pci_driver parents_driver = {
	.name = KBUILD_MODNAME,
	.probe = parents_probe,
	.remove = parents_remove,
	.sriov_configure = pci_sriov_configure_simple,
};

static int __init parents_init(void)
{
	int i, ret;

	root = debugfs_create_dir("vfio-parents", NULL);
	debugfs_create_file("gpu", 0200, root, NULL, &parents_gpu_fops);
	for (i = 0; i < PARENTS_VFS; i++) {
		struct parents_vf *vf = &vfs[i];
		struct dentry *dir;
		char name[16];

		mutex_init(&vf->lock);
		snprintf(name, sizeof(name), "%d", i);
		dir = debugfs_create_dir(name, root);
		debugfs_create_file("memory", 0600, dir, vf, &memory_fops);
		debugfs_create_atomic_t("stopped", 0400, dir, &vf->stopped);
		debugfs_create_atomic_t("resets", 0400, dir, &vf->resets);
		debugfs_create_atomic_t("resetting", 0400, dir, &vf->resetting);
		debugfs_create_atomic_t("users", 0400, dir, &vf->users);
		debugfs_create_atomic_t("opens", 0400, dir, &vf->opens);
		debugfs_create_atomic_t("objects", 0400, dir, &vf->object_count);
		debugfs_create_atomic_t("fail", 0600, dir, &vf->fail);
	}
	ret = pci_register_driver(&parents_driver);
	if (ret)
		debugfs_remove(root);
	return ret;
}
module_init(parents_init);

static void __exit parents_exit(void)
{
	pci_unregister_driver(&parents_driver);
	debugfs_remove(root);
	parents_gpu_forget();
}
module_exit(parents_exit);

MODULE_DESCRIPTION("Stand-ins for the parents of VFIO's variant drivers");
MODULE_AUTHOR("The VFIO in Rust developers");
MODULE_LICENSE("GPL");
