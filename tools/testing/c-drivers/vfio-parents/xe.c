// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the driver of Intel's GPUs that migrates virtual ones. It keeps what is saved, or
 * is to be loaded, until the transfer ends.
 */
#include <linux/export.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/intel/xe_sriov_vfio.h>

#include "vfio_parents.h"

/* There is one, and it has nothing that is not in its functions. */
struct xe_device {
	int unused;
};

static struct xe_device xe_device;

/* They are counted from 1. */
static struct parents_vf *vf_of(unsigned int vfid)
{
	return parents_vf(vfid - 1);
}

struct xe_device *xe_sriov_vfio_get_pf(struct pci_dev *pdev)
{
	return pdev->is_virtfn ? &xe_device : NULL;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_get_pf, "xe-vfio-pci");

bool xe_sriov_vfio_migration_supported(struct xe_device *xe)
{
	return true;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_migration_supported, "xe-vfio-pci");

/* The next two are called with locks of VFIO, which faults take too. */
int xe_sriov_vfio_flr_prepare(struct xe_device *xe, unsigned int vfid)
{
	atomic_inc(&vf_of(vfid)->resetting);
	return 0;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_flr_prepare, "xe-vfio-pci");

/* Counts those that were prepared. */
int xe_sriov_vfio_wait_flr_done(struct xe_device *xe, unsigned int vfid)
{
	struct parents_vf *vf = vf_of(vfid);

	if (!atomic_add_unless(&vf->resetting, -1, 0))
		return -EPROTO;
	atomic_set(&vf->stopped, 0);
	atomic_inc(&vf->resets);
	return 0;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_wait_flr_done, "xe-vfio-pci");

int xe_sriov_vfio_suspend_device(struct xe_device *xe, unsigned int vfid)
{
	struct parents_vf *vf = vf_of(vfid);
	int ret = parents_failure(vf);

	if (!ret)
		atomic_set(&vf->stopped, 1);
	return ret;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_suspend_device, "xe-vfio-pci");

int xe_sriov_vfio_resume_device(struct xe_device *xe, unsigned int vfid)
{
	struct parents_vf *vf = vf_of(vfid);
	int ret = parents_failure(vf);

	if (!ret)
		atomic_set(&vf->stopped, 0);
	return ret;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_resume_device, "xe-vfio-pci");

int xe_sriov_vfio_stop_copy_enter(struct xe_device *xe, unsigned int vfid)
{
	struct parents_vf *vf = vf_of(vfid);
	int ret = parents_failure(vf);

	if (ret)
		return ret;
	guard(mutex)(&vf->lock);
	vf->image_size = parents_save(vf, vf->image, sizeof(vf->image));
	vf->image_done = 0;
	return 0;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_stop_copy_enter, "xe-vfio-pci");

int xe_sriov_vfio_stop_copy_exit(struct xe_device *xe, unsigned int vfid)
{
	return parents_failure(vf_of(vfid));
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_stop_copy_exit, "xe-vfio-pci");

int xe_sriov_vfio_resume_data_enter(struct xe_device *xe, unsigned int vfid)
{
	struct parents_vf *vf = vf_of(vfid);
	int ret = parents_failure(vf);

	if (ret)
		return ret;
	guard(mutex)(&vf->lock);
	vf->image_size = 0;
	return 0;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_resume_data_enter, "xe-vfio-pci");

int xe_sriov_vfio_resume_data_exit(struct xe_device *xe, unsigned int vfid)
{
	struct parents_vf *vf = vf_of(vfid);
	int ret = parents_failure(vf);

	if (ret)
		return ret;
	guard(mutex)(&vf->lock);
	return parents_load(vf, vf->image, vf->image_size) == vf->image_size ? 0 : -EINVAL;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_resume_data_exit, "xe-vfio-pci");

int xe_sriov_vfio_error(struct xe_device *xe, unsigned int vfid)
{
	return 0;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_error, "xe-vfio-pci");

ssize_t xe_sriov_vfio_data_read(struct xe_device *xe, unsigned int vfid, char __user *buf,
				size_t len)
{
	struct parents_vf *vf = vf_of(vfid);
	void *copy;

	copy = kmalloc(PARENTS_IMAGE_MAX, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	mutex_lock(&vf->lock);
	len = min(len, vf->image_size - vf->image_done);
	memcpy(copy, vf->image + vf->image_done, len);
	mutex_unlock(&vf->lock);
	if (copy_to_user(buf, copy, len)) {
		kfree(copy);
		return -EFAULT;
	}
	kfree(copy);
	mutex_lock(&vf->lock);
	vf->image_done += len;
	mutex_unlock(&vf->lock);
	return len;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_data_read, "xe-vfio-pci");

ssize_t xe_sriov_vfio_data_write(struct xe_device *xe, unsigned int vfid,
				 const char __user *buf, size_t len)
{
	struct parents_vf *vf = vf_of(vfid);
	void *copy;

	if (len > PARENTS_IMAGE_MAX)
		return -ENOSPC;
	copy = memdup_user(buf, len);
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	mutex_lock(&vf->lock);
	if (len <= sizeof(vf->image) - vf->image_size)
		memcpy(vf->image + vf->image_size, copy, len);
	else
		len = -ENOSPC;
	if ((ssize_t)len > 0)
		vf->image_size += len;
	mutex_unlock(&vf->lock);
	kfree(copy);
	return len;
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_data_write, "xe-vfio-pci");

ssize_t xe_sriov_vfio_stop_copy_size(struct xe_device *xe, unsigned int vfid)
{
	struct parents_vf *vf = vf_of(vfid);

	guard(mutex)(&vf->lock);
	return parents_image_size(vf);
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vfio_stop_copy_size, "xe-vfio-pci");
