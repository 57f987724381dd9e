// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a GPU, as firmware tells the driver of it. The file "gpu" takes the address of a
 * device, and where its memory is to be; without any it forgets that.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/uaccess.h>

#include "vfio_parents.h"

static DEFINE_MUTEX(gpu_lock);
static struct pci_dev *gpu;
static struct property_entry properties[3];
static const struct software_node node = { .properties = properties };

static void gpu_forget(void)
{
	if (!gpu)
		return;
	device_remove_software_node(&gpu->dev);
	pci_dev_put(gpu);
	gpu = NULL;
}

void parents_gpu_forget(void)
{
	guard(mutex)(&gpu_lock);
	gpu_forget();
}

static ssize_t gpu_write(struct file *file, const char __user *buf, size_t count, loff_t *ppos)
{
	unsigned int domain, bus, slot, function;
	char text[128] = "";
	u64 base, size;
	int ret;

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, count))
		return -EFAULT;
	guard(mutex)(&gpu_lock);
	gpu_forget();
	if (sscanf(text, "%x:%x:%x.%x %lli %lli", &domain, &bus, &slot, &function, &base,
		   &size) != 6)
		return strim(text)[0] ? -EINVAL : count;
	gpu = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, function));
	if (!gpu)
		return -ENODEV;
	properties[0] = PROPERTY_ENTRY_U64("nvidia,gpu-mem-base-pa", base);
	properties[1] = PROPERTY_ENTRY_U64("nvidia,gpu-mem-size", size);
	ret = device_add_software_node(&gpu->dev, &node);
	if (!ret)
		return count;
	pci_dev_put(gpu);
	gpu = NULL;
	return ret;
}

const struct file_operations parents_gpu_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = gpu_write,
};
