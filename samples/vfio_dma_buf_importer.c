// SPDX-License-Identifier: GPL-2.0
/*
 * Imports BARs that VFIO has exported: a sample of what the driver of a network
 * or graphics device does for peer to peer DMA. Each open file of
 * /dev/vfio-dma-buf-importer attaches to one buffer, and maps it for a PCI
 * function of the user's choice, which does nothing with it.
 */
#include <linux/cleanup.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "vfio_dma_buf_importer.h"

/**
 * struct importer - an open file
 * @lock: serialises ioctls; never taken by the exporter's callback
 * @device: the function that the buffer is mapped for
 * @attachment: to the buffer, or NULL
 * @milliseconds: how long it takes to unmap the buffer when it is to be
 * @unmap: unmaps it then
 * @table: the mapping, or NULL; the lock of the buffer protects it
 * @invalidations: how often it was to be unmapped; likewise
 */
struct importer {
	struct mutex lock;
	struct pci_dev *device;
	struct dma_buf_attachment *attachment;
	unsigned int milliseconds;
	struct delayed_work unmap;
	struct sg_table *table;
	u32 invalidations;
};

/* Called with the lock of the buffer held. */
static void importer_unmap_locked(struct importer *importer)
{
	if (importer->table)
		dma_buf_unmap_attachment(importer->attachment, importer->table,
					 DMA_BIDIRECTIONAL);
	importer->table = NULL;
}

static void importer_unmap(struct importer *importer)
{
	struct dma_resv *resv = importer->attachment->dmabuf->resv;

	dma_resv_lock(resv, NULL);
	importer_unmap_locked(importer);
	dma_resv_unlock(resv);
}

static void importer_unmap_late(struct work_struct *work)
{
	importer_unmap(container_of(to_delayed_work(work), struct importer,
				    unmap));
}

static void importer_invalidate(struct dma_buf_attachment *attachment)
{
	struct importer *importer = attachment->importer_priv;

	importer->invalidations++;
	if (importer->milliseconds)
		schedule_delayed_work(&importer->unmap,
				      msecs_to_jiffies(importer->milliseconds));
	else
		importer_unmap_locked(importer);
}

static const struct dma_buf_attach_ops importer_ops[] = {
	[0] = {},
	[DMA_BUF_IMPORTER_PEER_TO_PEER] = {
		.allow_peer2peer = true,
	},
	[DMA_BUF_IMPORTER_REVOCABLE] = {
		.invalidate_mappings = importer_invalidate,
	},
	[DMA_BUF_IMPORTER_PEER_TO_PEER | DMA_BUF_IMPORTER_REVOCABLE] = {
		.allow_peer2peer = true,
		.invalidate_mappings = importer_invalidate,
	},
};

static long importer_attach(struct importer *importer, void __user *arg)
{
	struct dma_buf_importer_attach attach;
	struct dma_buf_attachment *attachment;
	struct dma_buf *buffer;

	if (copy_from_user(&attach, arg, sizeof(attach)))
		return -EFAULT;
	if (attach.flags >= ARRAY_SIZE(importer_ops) ||
	    attach.milliseconds > 60 * MSEC_PER_SEC)
		return -EINVAL;
	if (importer->attachment)
		return -EBUSY;

	struct pci_dev *device __free(pci_dev_put) =
		pci_get_domain_bus_and_slot(attach.domain, attach.bus,
					    attach.devfn);
	if (!device)
		return -ENODEV;
	buffer = dma_buf_get(attach.fd);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	importer->milliseconds = attach.milliseconds;
	attachment = dma_buf_dynamic_attach(buffer, &device->dev,
					    &importer_ops[attach.flags],
					    importer);
	if (IS_ERR(attachment)) {
		dma_buf_put(buffer);
		return PTR_ERR(attachment);
	}

	importer->device = no_free_ptr(device);
	importer->attachment = attachment;

	return 0;
}

static long importer_map(struct importer *importer, void __user *arg)
{
	struct dma_resv *resv = importer->attachment->dmabuf->resv;
	struct dma_buf_importer_map map = {};
	struct scatterlist *entry;
	struct sg_table *table;
	long ret = 0;
	int i;

	dma_resv_lock(resv, NULL);
	table = importer->table ? ERR_PTR(-EBUSY) :
		dma_buf_map_attachment(importer->attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(table)) {
		ret = PTR_ERR(table);
	} else {
		importer->table = table;
		map.address = sg_dma_address(table->sgl);
		map.entries = table->nents;
		for_each_sgtable_dma_sg(table, entry, i)
			map.length += sg_dma_len(entry);
	}
	dma_resv_unlock(resv);
	if (!ret && copy_to_user(arg, &map, sizeof(map)))
		ret = -EFAULT;

	return ret;
}

static long importer_state(struct importer *importer, void __user *arg)
{
	struct dma_resv *resv = importer->attachment->dmabuf->resv;
	struct dma_buf_importer_state state;

	dma_resv_lock(resv, NULL);
	state.invalidations = importer->invalidations;
	state.mapped = !!importer->table;
	dma_resv_unlock(resv);

	return copy_to_user(arg, &state, sizeof(state)) ? -EFAULT : 0;
}

static long importer_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	struct importer *importer = file->private_data;

	guard(mutex)(&importer->lock);
	if (cmd == DMA_BUF_IMPORTER_ATTACH)
		return importer_attach(importer, (void __user *)arg);
	if (!importer->attachment)
		return -ENOENT;

	switch (cmd) {
	case DMA_BUF_IMPORTER_MAP:
		return importer_map(importer, (void __user *)arg);
	case DMA_BUF_IMPORTER_UNMAP:
		importer_unmap(importer);
		return 0;
	case DMA_BUF_IMPORTER_STATE:
		return importer_state(importer, (void __user *)arg);
	}

	return -ENOTTY;
}

static int importer_open(struct inode *inode, struct file *file)
{
	struct importer *importer = kzalloc_obj(*importer);

	if (!importer)
		return -ENOMEM;
	mutex_init(&importer->lock);
	INIT_DELAYED_WORK(&importer->unmap, importer_unmap_late);
	file->private_data = importer;

	return 0;
}

static int importer_release(struct inode *inode, struct file *file)
{
	struct importer *importer = file->private_data;

	if (importer->attachment) {
		struct dma_buf *buffer = importer->attachment->dmabuf;

		disable_delayed_work_sync(&importer->unmap);
		importer_unmap(importer);
		dma_buf_detach(buffer, importer->attachment);
		dma_buf_put(buffer);
	}
	pci_dev_put(importer->device);
	mutex_destroy(&importer->lock);
	kfree(importer);

	return 0;
}

static const struct file_operations importer_fops = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.release = importer_release,
	.unlocked_ioctl = importer_ioctl,
};

static struct miscdevice importer_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vfio-dma-buf-importer",
	.fops = &importer_fops,
};

module_misc_device(importer_misc);

MODULE_DESCRIPTION("Sample of importing BARs of VFIO devices");
MODULE_AUTHOR("The VFIO in Rust developers");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
