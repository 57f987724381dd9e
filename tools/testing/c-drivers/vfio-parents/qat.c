// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the driver of Intel's QAT that migrates virtual functions: a block of a fixed
 * size, of which the first bytes are known before the device stops.
 */
#include <linux/export.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <linux/qat/qat_mig_dev.h>

#include "vfio_parents.h"

#define STATE_SIZE	4096
#define SETUP		"vfio-parents qat"
#define SETUP_SIZE	(sizeof(SETUP) - 1)

struct qat_mig_dev *qat_vfmig_create(struct pci_dev *pdev, int vf_id)
{
	struct parents_vf *vf = parents_vf(vf_id);
	struct qat_mig_dev *mdev;
	int ret;

	if (!vf)
		return ERR_PTR(-ENODEV);
	ret = parents_failure(vf);
	if (ret)
		return ERR_PTR(ret);
	mdev = kzalloc_obj(*mdev);
	if (!mdev)
		return ERR_PTR(-ENOMEM);
	mdev->state = kzalloc(STATE_SIZE, GFP_KERNEL);
	if (!mdev->state) {
		kfree(mdev);
		return ERR_PTR(-ENOMEM);
	}
	mdev->parent_accel_dev = vf;
	mdev->state_size = STATE_SIZE;
	mdev->setup_size = SETUP_SIZE;
	mdev->vf_id = vf_id;
	return mdev;
}
EXPORT_SYMBOL_GPL(qat_vfmig_create);

int qat_vfmig_init(struct qat_mig_dev *mdev)
{
	struct parents_vf *vf = mdev->parent_accel_dev;
	int ret = parents_failure(vf);

	if (!ret)
		atomic_inc(&vf->users);
	return ret;
}
EXPORT_SYMBOL_GPL(qat_vfmig_init);

void qat_vfmig_cleanup(struct qat_mig_dev *mdev)
{
	struct parents_vf *vf = mdev->parent_accel_dev;

	atomic_dec(&vf->users);
}
EXPORT_SYMBOL_GPL(qat_vfmig_cleanup);

void qat_vfmig_destroy(struct qat_mig_dev *mdev)
{
	kfree(mdev->state);
	kfree(mdev);
}
EXPORT_SYMBOL_GPL(qat_vfmig_destroy);

/* Called with locks of VFIO, which faults take too. */
void qat_vfmig_reset(struct qat_mig_dev *mdev)
{
	struct parents_vf *vf = mdev->parent_accel_dev;

	mdev->remote_setup_size = 0;
	atomic_set(&vf->stopped, 0);
	atomic_inc(&vf->resets);
}
EXPORT_SYMBOL_GPL(qat_vfmig_reset);

int qat_vfmig_open(struct qat_mig_dev *mdev)
{
	struct parents_vf *vf = mdev->parent_accel_dev;
	int ret = parents_failure(vf);

	if (!ret)
		atomic_inc(&vf->opens);
	return ret;
}
EXPORT_SYMBOL_GPL(qat_vfmig_open);

void qat_vfmig_close(struct qat_mig_dev *mdev)
{
	struct parents_vf *vf = mdev->parent_accel_dev;

	mdev->remote_setup_size = 0;
	atomic_dec(&vf->opens);
}
EXPORT_SYMBOL_GPL(qat_vfmig_close);

int qat_vfmig_suspend(struct qat_mig_dev *mdev)
{
	struct parents_vf *vf = mdev->parent_accel_dev;
	int ret = parents_failure(vf);

	if (!ret)
		atomic_set(&vf->stopped, 1);
	return ret;
}
EXPORT_SYMBOL_GPL(qat_vfmig_suspend);

int qat_vfmig_resume(struct qat_mig_dev *mdev)
{
	struct parents_vf *vf = mdev->parent_accel_dev;

	atomic_set(&vf->stopped, 0);
	return 0;
}
EXPORT_SYMBOL_GPL(qat_vfmig_resume);

int qat_vfmig_save_setup(struct qat_mig_dev *mdev)
{
	int ret = parents_failure(mdev->parent_accel_dev);

	if (!ret)
		memcpy(mdev->state, SETUP, SETUP_SIZE);
	return ret;
}
EXPORT_SYMBOL_GPL(qat_vfmig_save_setup);

int qat_vfmig_save_state(struct qat_mig_dev *mdev)
{
	struct parents_vf *vf = mdev->parent_accel_dev;
	int ret = qat_vfmig_save_setup(mdev);
	ssize_t size;

	if (ret)
		return ret;
	guard(mutex)(&vf->lock);
	size = parents_save(vf, mdev->state + SETUP_SIZE, STATE_SIZE - SETUP_SIZE);
	return size < 0 ? size : 0;
}
EXPORT_SYMBOL_GPL(qat_vfmig_save_state);

/* Called with what has come so far; how much that was is kept where there is a place for it. */
int qat_vfmig_load_setup(struct qat_mig_dev *mdev, int size)
{
	mdev->remote_setup_size = size;
	if (size < SETUP_SIZE)
		return -EAGAIN;
	return memcmp(mdev->state, SETUP, SETUP_SIZE) ? -EINVAL : 0;
}
EXPORT_SYMBOL_GPL(qat_vfmig_load_setup);

int qat_vfmig_load_state(struct qat_mig_dev *mdev)
{
	struct parents_vf *vf = mdev->parent_accel_dev;
	int ret = parents_failure(vf);
	ssize_t size;

	if (ret)
		return ret;
	if (mdev->remote_setup_size != STATE_SIZE)
		return -EINVAL;
	guard(mutex)(&vf->lock);
	size = parents_load(vf, mdev->state + SETUP_SIZE, STATE_SIZE - SETUP_SIZE);
	if (size < 0)
		return size;
	mdev->remote_setup_size = 0;
	return 0;
}
EXPORT_SYMBOL_GPL(qat_vfmig_load_state);
