// SPDX-License-Identifier: GPL-2.0
/*
 * The parts of a virtio device, by the admin commands of its physical function. The kernel's
 * own functions for them are in vmlinux: ../Kbuild gives these other names.
 */
#include <linux/export.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_pci_admin.h>

#include "vfio_parents.h"

bool virtio_pci_admin_has_dev_parts(struct pci_dev *pdev)
{
	return parents_vf_of(pdev);
}
EXPORT_SYMBOL_GPL(virtio_pci_admin_has_dev_parts);

int virtio_pci_admin_mode_set(struct pci_dev *pdev, u8 mode)
{
	struct parents_vf *vf = parents_vf_of(pdev);
	int ret = parents_failure(vf);

	if (!ret)
		atomic_set(&vf->stopped, !!(mode & BIT(VIRTIO_ADMIN_CMD_DEV_MODE_F_STOPPED)));
	return ret;
}
EXPORT_SYMBOL_GPL(virtio_pci_admin_mode_set);

/* An object is the direction in which parts are copied, plus 1. */
static bool object_is(struct parents_vf *vf, u32 id, u8 operation_type)
{
	return id < PARENTS_OBJECTS && vf->objects[id] == operation_type + 1;
}

int virtio_pci_admin_obj_create(struct pci_dev *pdev, u16 obj_type, u8 operation_type,
				u32 *obj_id)
{
	struct parents_vf *vf = parents_vf_of(pdev);
	int ret = parents_failure(vf);
	u32 id;

	if (ret)
		return ret;
	if (obj_type != VIRTIO_RESOURCE_OBJ_DEV_PARTS)
		return -EINVAL;
	guard(mutex)(&vf->lock);
	for (id = 0; id < PARENTS_OBJECTS; id++) {
		if (vf->objects[id])
			continue;
		vf->objects[id] = operation_type + 1;
		atomic_inc(&vf->object_count);
		*obj_id = id;
		return 0;
	}
	return -ENOSPC;
}
EXPORT_SYMBOL_GPL(virtio_pci_admin_obj_create);

int virtio_pci_admin_obj_destroy(struct pci_dev *pdev, u16 obj_type, u32 id)
{
	struct parents_vf *vf = parents_vf_of(pdev);

	guard(mutex)(&vf->lock);
	if (id >= PARENTS_OBJECTS || !vf->objects[id])
		return -EINVAL;
	vf->objects[id] = 0;
	atomic_dec(&vf->object_count);
	return 0;
}
EXPORT_SYMBOL_GPL(virtio_pci_admin_obj_destroy);

int virtio_pci_admin_dev_parts_metadata_get(struct pci_dev *pdev, u16 obj_type, u32 id,
					    u8 metadata_type, u32 *out)
{
	struct parents_vf *vf = parents_vf_of(pdev);
	int ret = parents_failure(vf);

	if (ret)
		return ret;
	guard(mutex)(&vf->lock);
	if (metadata_type != VIRTIO_ADMIN_CMD_DEV_PARTS_METADATA_TYPE_SIZE ||
	    !object_is(vf, id, VIRTIO_RESOURCE_OBJ_DEV_PARTS_TYPE_GET))
		return -EINVAL;
	*out = parents_image_size(vf);
	return 0;
}
EXPORT_SYMBOL_GPL(virtio_pci_admin_dev_parts_metadata_get);

int virtio_pci_admin_dev_parts_get(struct pci_dev *pdev, u16 obj_type, u32 id, u8 get_type,
				   struct scatterlist *res_sg, u32 *res_size)
{
	struct parents_vf *vf = parents_vf_of(pdev);
	int ret = parents_failure(vf);
	ssize_t size;
	void *image;

	if (ret)
		return ret;
	image = kmalloc(PARENTS_IMAGE_MAX, GFP_KERNEL);
	if (!image)
		return -ENOMEM;
	mutex_lock(&vf->lock);
	size = object_is(vf, id, VIRTIO_RESOURCE_OBJ_DEV_PARTS_TYPE_GET) ?
		       parents_save(vf, image, PARENTS_IMAGE_MAX) : -EINVAL;
	mutex_unlock(&vf->lock);
	/* There may be less room, if the memory has grown since somebody asked for its size. */
	if (size >= 0 && sg_copy_from_buffer(res_sg, sg_nents(res_sg), image, size) != size)
		size = -ENOSPC;
	kfree(image);
	if (size < 0)
		return size;
	*res_size = size;
	return 0;
}
EXPORT_SYMBOL_GPL(virtio_pci_admin_dev_parts_get);

/* Takes exactly one image, behind the header of the command. */
int virtio_pci_admin_dev_parts_set(struct pci_dev *pdev, struct scatterlist *data_sg)
{
	struct virtio_admin_cmd_resource_obj_cmd_hdr *head;
	const size_t most = sizeof(*head) + PARENTS_IMAGE_MAX;
	struct parents_vf *vf = parents_vf_of(pdev);
	int ret = parents_failure(vf);
	size_t size;

	if (ret)
		return ret;
	head = kmalloc(most + 1, GFP_KERNEL);
	if (!head)
		return -ENOMEM;
	size = sg_copy_to_buffer(data_sg, sg_nents(data_sg), head, most + 1);
	ret = -EINVAL;
	mutex_lock(&vf->lock);
	if (size > sizeof(*head) && size <= most &&
	    le16_to_cpu(head->type) == VIRTIO_RESOURCE_OBJ_DEV_PARTS &&
	    object_is(vf, le32_to_cpu(head->id), VIRTIO_RESOURCE_OBJ_DEV_PARTS_TYPE_SET) &&
	    parents_load(vf, head + 1, size - sizeof(*head)) == size - sizeof(*head))
		ret = 0;
	mutex_unlock(&vf->lock);
	kfree(head);
	return ret;
}
EXPORT_SYMBOL_GPL(virtio_pci_admin_dev_parts_set);
