// SPDX-License-Identifier: GPL-2.0
/*
 * An IOMMU driver that fails to unmap, for tests. Who writes the address of a PCI
 * device and an I/O virtual address to vfio-iommu-fault of debugfs makes the domain
 * that the device is in keep whatever it has there; an empty line puts that right.
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/uaccess.h>

static struct dentry *file;
static DEFINE_MUTEX(lock);
/* The page table that does not let go, of which address, and its true operations. */
static struct pt_iommu *broken;
static dma_addr_t stuck;
static const struct pt_iommu_ops *whole;
static struct pt_iommu_ops fault_ops;

static void mend(void)
{
	if (broken)
		WRITE_ONCE(broken->ops, whole);
	broken = NULL;
}

static size_t unmap_range(struct pt_iommu *table, dma_addr_t iova,
			  dma_addr_t len, struct iommu_iotlb_gather *gather)
{
	if (iova <= stuck && stuck - iova < len)
		return 0;
	return whole->unmap_range(table, iova, len, gather);
}

/* The domain goes. */
static void deinit(struct pt_iommu *table)
{
	scoped_guard(mutex, &lock)
		mend();
	table->ops->deinit(table);
}

static int break_domain(struct pci_dev *pdev, dma_addr_t iova)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&pdev->dev);
	struct pt_iommu *table = domain ? iommupt_from_domain(domain) : NULL;

	if (!table)
		return -EOPNOTSUPP;
	broken = table;
	stuck = iova;
	whole = table->ops;
	fault_ops = *whole;
	fault_ops.unmap_range = unmap_range;
	fault_ops.deinit = deinit;
	WRITE_ONCE(table->ops, &fault_ops);
	return 0;
}

static ssize_t fault_write(struct file *file, const char __user *text,
			   size_t count, loff_t *offset)
{
	unsigned int domain, bus, slot, function;
	unsigned long long iova;
	struct pci_dev *pdev;
	char buf[64];
	int ret;

	if (count >= sizeof(buf))
		return -EINVAL;
	if (copy_from_user(buf, text, count))
		return -EFAULT;
	buf[count] = '\0';

	guard(mutex)(&lock);
	mend();
	if (!*strim(buf))
		return count;
	if (sscanf(buf, "%x:%x:%x.%x %llx", &domain, &bus, &slot, &function,
		   &iova) != 5)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, function));
	if (!pdev)
		return -ENODEV;
	ret = break_domain(pdev, iova);
	pci_dev_put(pdev);
	return ret ?: count;
}

static const struct file_operations fault_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = fault_write,
};

static int __init fault_init(void)
{
	file = debugfs_create_file("vfio-iommu-fault", 0200, NULL, NULL,
				   &fault_fops);
	return PTR_ERR_OR_ZERO(file);
}

static void __exit fault_exit(void)
{
	debugfs_remove(file);
	scoped_guard(mutex, &lock)
		mend();
}

module_init(fault_init);
module_exit(fault_exit);

MODULE_DESCRIPTION("Test of VFIO: an IOMMU driver that fails to unmap");
MODULE_AUTHOR("The VFIO in Rust developers");
MODULE_LICENSE("GPL");
