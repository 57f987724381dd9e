// SPDX-License-Identifier: GPL-2.0
/*
 * Devices whose driver tells its user what the core calls it with, for tests of a core
 * that drivers in C run on.
 */

#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "vfio_callbacks.h"

#define NAME	"vfio-callbacks"
#define DEVICES	3

struct callbacks {
	struct vfio_device vdev;
	struct callbacks_report report;
	void *memory;
};

static struct platform_device *devices[DEVICES];
/* The key of the set that two of them are in. */
static int set_key;

/* Released so far. */
static int released;
module_param(released, int, 0444);
/* What a device was refused with by its driver, and one that would do DMA without an IOMMU. */
static int refused;
module_param(refused, int, 0444);
static int unconfined;
module_param(unconfined, int, 0444);

static struct callbacks *to_callbacks(struct vfio_device *vdev)
{
	return container_of(vdev, struct callbacks, vdev);
}

static int callbacks_init(struct vfio_device *vdev)
{
	struct callbacks *cb = to_callbacks(vdev);

	/* The core has nothing in here that it needs. */
	if (memchr_inv(&cb->report, 0, sizeof(cb->report)))
		return -EUCLEAN;
	cb->memory = vmalloc_user(CALLBACKS_REGION_SIZE);
	if (!cb->memory)
		return -ENOMEM;
	memset(cb->memory, CALLBACKS_BYTE, CALLBACKS_REGION_SIZE);
	return 0;
}

static void callbacks_release(struct vfio_device *vdev)
{
	vfree(to_callbacks(vdev)->memory);
	released++;
}

static int callbacks_open(struct vfio_device *vdev)
{
	struct callbacks *cb = to_callbacks(vdev);

	cb->report.open_count_then = vdev->open_count;
	cb->report.set_locked_then = mutex_is_locked(&vdev->dev_set->lock);
	lockdep_assert_held(&vdev->dev_set->lock);
	return 0;
}

static void callbacks_close(struct vfio_device *vdev)
{
	lockdep_assert_held(&vdev->dev_set->lock);
	to_callbacks(vdev)->report.closed++;
}

static ssize_t callbacks_read(struct vfio_device *vdev, char __user *buf, size_t count,
			      loff_t *ppos)
{
	struct callbacks *cb = to_callbacks(vdev);

	cb->report.read_address = (unsigned long)buf;
	cb->report.read_size = count;
	return simple_read_from_buffer(buf, count, ppos, cb->memory,
				       CALLBACKS_REGION_SIZE);
}

static ssize_t callbacks_write(struct vfio_device *vdev, const char __user *buf,
			       size_t count, loff_t *ppos)
{
	return simple_write_to_buffer(to_callbacks(vdev)->memory, CALLBACKS_REGION_SIZE,
				      ppos, buf, count);
}

static long callbacks_report(struct callbacks *cb, void __user *user)
{
	struct vfio_device *vdev = &cb->vdev;
	struct callbacks_report *report = &cb->report;

	mutex_lock(&vdev->dev_set->lock);
	report->open_count = vdev->open_count;
	report->cdev_opened = vfio_device_cdev_opened(vdev);
	report->set_open_count = vfio_device_set_open_count(vdev->dev_set);
	report->found_in_set =
		vfio_find_device_in_devset(vdev->dev_set, vdev->dev) == vdev &&
		!vfio_find_device_in_devset(vdev->dev_set, &devices[1]->dev);
	mutex_unlock(&vdev->dev_set->lock);

	report->has_registration = vfio_device_try_get_registration(vdev);
	if (report->has_registration)
		vfio_device_put_registration(vdev);
	return copy_to_user(user, report, sizeof(*report)) ? -EFAULT : 0;
}

static long callbacks_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	if (cmd == CALLBACKS_REPORT)
		return callbacks_report(to_callbacks(vdev), (void __user *)arg);
	/* A result that is not zero goes to the user as it is. */
	return cmd == VFIO_DEVICE_RESET ? 42 : -ENOTTY;
}

static int callbacks_region_info(struct vfio_device *vdev, struct vfio_region_info *info,
				 struct vfio_info_cap *caps)
{
	struct vfio_info_cap_header cap = { .id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE };
	int ret;

	if (info->index > 1)
		return -EINVAL;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP;
	info->size = CALLBACKS_REGION_SIZE;
	info->offset = 0;
	if (!info->index)
		return 0;
	cap.version = 1;
	ret = vfio_info_add_capability(caps, &cap, sizeof(cap));
	cap.version = 2;
	return ret ?: vfio_info_add_capability(caps, &cap, sizeof(cap));
}

static int callbacks_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct callbacks *cb = to_callbacks(vdev);

	cb->report.inode_is_that_of_file =
		vma->vm_file->f_mapping == vdev->inode->i_mapping;
	return remap_vmalloc_range(vma, cb->memory, vma->vm_pgoff);
}

/* Writes to what it is given, as strsep() does. */
static int callbacks_match(struct vfio_device *vdev, char *buf)
{
	char *name = strsep(&buf, " ");

	if (strcmp(name, dev_name(vdev->dev)))
		return 0;
	if (!buf)
		return 1;
	return strcmp(buf, "please") ? -EACCES : 1;
}

static int callbacks_match_token(struct vfio_device *vdev, const uuid_t *uuid)
{
	if (!uuid)
		return 0;
	return memcmp(uuid, CALLBACKS_TOKEN, sizeof(*uuid)) ? -EACCES : 0;
}

static int callbacks_feature(struct vfio_device *vdev, u32 flags, void __user *arg,
			     size_t argsz)
{
	if ((flags & VFIO_DEVICE_FEATURE_MASK) != CALLBACKS_FEATURE)
		return -ENOTTY;
	return argsz;
}

#define ALL_CALLBACKS						\
	.name = NAME,						\
	.init = callbacks_init,					\
	.release = callbacks_release,				\
	.open_device = callbacks_open,				\
	.close_device = callbacks_close,			\
	.read = callbacks_read,					\
	.write = callbacks_write,				\
	.ioctl = callbacks_ioctl,				\
	.get_region_info_caps = callbacks_region_info,		\
	.mmap = callbacks_mmap,					\
	.match = callbacks_match,				\
	.match_token_uuid = callbacks_match_token,		\
	.device_feature = callbacks_feature

static const struct vfio_device_ops physical_ops = {
	ALL_CALLBACKS,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
};

static const struct vfio_device_ops full_ops = {
	ALL_CALLBACKS,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

static const struct vfio_device_ops bare_ops = {
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

/* Refuses its device, with a set that it has joined already. */
static int refusing_init(struct vfio_device *vdev)
{
	int ret = vfio_assign_device_set(vdev, &set_key);

	return ret ?: -EDOM;
}

static const struct vfio_device_ops refusing_ops = {
	.init = refusing_init,
	.release = callbacks_release,
};

/* A device that would do DMA without an IOMMU. */
static int try_unconfined(struct device *dev)
{
	struct callbacks *cb = vfio_alloc_device(callbacks, vdev, dev, &physical_ops);

	if (IS_ERR(cb))
		return PTR_ERR(cb);
	unconfined = vfio_register_group_dev(&cb->vdev);
	if (!unconfined)
		vfio_unregister_group_dev(&cb->vdev);
	vfio_put_device(&cb->vdev);
	return 0;
}

static int callbacks_probe(struct platform_device *pdev)
{
	const struct vfio_device_ops *ops = pdev->id == 1 ? &bare_ops : &full_ops;
	struct callbacks *cb;
	int ret = 0;

	cb = vfio_alloc_device(callbacks, vdev, &pdev->dev, &refusing_ops);
	if (!IS_ERR(cb)) {
		vfio_put_device(&cb->vdev);
		return -EUCLEAN;
	}
	refused = PTR_ERR(cb);

	if (!pdev->id) {
		ret = try_unconfined(&pdev->dev);
		if (ret)
			return ret;
	}

	cb = vfio_alloc_device(callbacks, vdev, &pdev->dev, ops);
	if (IS_ERR(cb))
		return PTR_ERR(cb);
	if (pdev->id != 1)
		ret = vfio_assign_device_set(&cb->vdev, &set_key);
	if (!ret && vfio_device_try_get_registration(&cb->vdev))
		ret = -EUCLEAN;
	ret = ret ?: vfio_register_emulated_iommu_dev(&cb->vdev);
	if (ret) {
		vfio_put_device(&cb->vdev);
		return ret;
	}
	platform_set_drvdata(pdev, cb);
	return 0;
}

static void callbacks_remove(struct platform_device *pdev)
{
	struct callbacks *cb = platform_get_drvdata(pdev);

	vfio_unregister_group_dev(&cb->vdev);
	vfio_put_device(&cb->vdev);
}

static struct platform_driver callbacks_driver = {
	.probe = callbacks_probe,
	.remove = callbacks_remove,
	.driver.name = NAME,
};

static int callbacks_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct callbacks *cb;
	int ret;

	cb = vfio_alloc_device(callbacks, vdev, &pdev->dev, &physical_ops);
	if (IS_ERR(cb))
		return PTR_ERR(cb);
	ret = vfio_register_group_dev(&cb->vdev);
	if (ret) {
		vfio_put_device(&cb->vdev);
		return ret;
	}
	pci_set_drvdata(pdev, cb);
	return 0;
}

static void callbacks_pci_remove(struct pci_dev *pdev)
{
	struct callbacks *cb = pci_get_drvdata(pdev);

	vfio_unregister_group_dev(&cb->vdev);
	vfio_put_device(&cb->vdev);
}

/* Only devices that are given to it by driver_override. */
static struct pci_driver callbacks_pci_driver = {
	.name = "vfio-callbacks-pci",
	.probe = callbacks_pci_probe,
	.remove = callbacks_pci_remove,
	.driver_managed_dma = true,
};

static void callbacks_unregister(void)
{
	int i;

	for (i = 0; i < DEVICES; i++)
		if (!IS_ERR_OR_NULL(devices[i]))
			platform_device_unregister(devices[i]);
	platform_driver_unregister(&callbacks_driver);
	pci_unregister_driver(&callbacks_pci_driver);
}

static int __init callbacks_module_init(void)
{
	int i, ret;

	ret = pci_register_driver(&callbacks_pci_driver);
	if (ret)
		return ret;
	ret = platform_driver_register(&callbacks_driver);
	if (ret) {
		pci_unregister_driver(&callbacks_pci_driver);
		return ret;
	}
	for (i = 0; i < DEVICES; i++) {
		devices[i] = platform_device_register_simple(NAME, i, NULL, 0);
		if (IS_ERR(devices[i])) {
			ret = PTR_ERR(devices[i]);
			callbacks_unregister();
			return ret;
		}
	}
	return 0;
}
module_init(callbacks_module_init);
module_exit(callbacks_unregister);

MODULE_DESCRIPTION("VFIO devices that tell what their driver is called with");
MODULE_AUTHOR("The VFIO in Rust developers");
MODULE_LICENSE("GPL");
