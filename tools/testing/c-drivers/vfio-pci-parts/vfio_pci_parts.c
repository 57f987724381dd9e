// SPDX-License-Identifier: GPL-2.0
/*
 * A driver for any PCI device that uses each part of the core that is there for drivers of
 * particular ones; see vfio_pci_parts.h.
 */

#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>
#include <linux/vmalloc.h>

#include "vfio_pci_parts.h"

/* In no header outside of the core. */
ssize_t vfio_pci_config_rw_single(struct vfio_pci_core_device *vdev, char __user *buf,
				  size_t count, loff_t *ppos, bool iswrite);

struct parts {
	struct vfio_pci_core_device core;
	atomic_t resets;
	atomic_t faults;
	atomic_t huge_faults;
	u64 position;
};

/* Fails between both halves of it. */
static bool fail_open;
module_param(fail_open, bool, 0644);
/* Whether the driver of devices that are bound from now on exports anything. */
static bool exports = true;
module_param(exports, bool, 0644);
/* Regions that have been released, of all devices. */
static int released;
module_param(released, int, 0444);

static struct parts *to_parts(struct vfio_device *vdev)
{
	return container_of(vdev, struct parts, core.vdev);
}

/* ---- regions of its own ---- */

static ssize_t memory_rw(struct vfio_pci_core_device *core, char __user *buf, size_t count,
			 loff_t *ppos, bool iswrite)
{
	unsigned int i = VFIO_PCI_OFFSET_TO_INDEX(*ppos) - VFIO_PCI_NUM_REGIONS;
	struct parts *parts = container_of(core, struct parts, core);
	struct vfio_pci_region *region = &core->region[i];
	u64 pos = *ppos & VFIO_PCI_OFFSET_MASK;

	parts->position = *ppos;
	if (pos >= region->size)
		return -EINVAL;
	if (iswrite && !(region->flags & VFIO_REGION_INFO_FLAG_WRITE))
		return -EPERM;
	count = min(count, (size_t)(region->size - pos));
	if (iswrite ? copy_from_user(region->data + pos, buf, count) :
		      copy_to_user(buf, region->data + pos, count))
		return -EFAULT;
	*ppos += count;
	return count;
}

static void memory_release(struct vfio_pci_core_device *core, struct vfio_pci_region *region)
{
	vfree(region->data);
	released++;
}

static int memory_mmap(struct vfio_pci_core_device *core, struct vfio_pci_region *region,
		       struct vm_area_struct *vma)
{
	u64 mask = (1ULL << (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT)) - 1;

	return remap_vmalloc_range(vma, region->data, vma->vm_pgoff & mask);
}

static int memory_add_capability(struct vfio_pci_core_device *core,
				 struct vfio_pci_region *region, struct vfio_info_cap *caps)
{
	struct parts_cap cap = {
		.header.id = PARTS_CAP_ID,
		.header.version = PARTS_CAP_VERSION,
		.value = PARTS_CAP_VALUE,
	};

	return vfio_info_add_capability(caps, &cap.header, sizeof(cap));
}

static const struct vfio_pci_regops memory_ops = {
	.rw = memory_rw,
	.release = memory_release,
	.mmap = memory_mmap,
	.add_capability = memory_add_capability,
};

static const struct vfio_pci_regops bytes_ops = {
	.rw = memory_rw,
	.release = memory_release,
};

static int add_region(struct parts *parts, const struct vfio_pci_regops *ops, size_t size,
		      u32 flags)
{
	void *memory = vmalloc_user(size);
	int ret;

	if (!memory)
		return -ENOMEM;
	memset(memory, PARTS_BYTE, size);
	ret = vfio_pci_core_register_dev_region(&parts->core, PARTS_REGION_TYPE,
						parts->core.num_regions + 1, ops, size,
						flags, memory);
	if (ret)
		vfree(memory);
	return ret;
}

/* ---- open ---- */

static int parts_open(struct vfio_device *vdev)
{
	struct parts *parts = to_parts(vdev);
	int ret;

	ret = vfio_pci_core_enable(&parts->core);
	if (ret)
		return ret;
	ret = add_region(parts, &memory_ops, PARTS_MEMORY_SIZE,
			 VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			 VFIO_REGION_INFO_FLAG_MMAP);
	ret = ret ?: add_region(parts, &bytes_ops, PARTS_BYTES_SIZE,
				VFIO_REGION_INFO_FLAG_READ);
	if (!ret && fail_open)
		ret = -PARTS_OPEN_ERROR;
	if (ret) {
		vfio_pci_core_disable(&parts->core);
		return ret;
	}
	vfio_pci_core_finish_enable(&parts->core);
	return 0;
}

/* ---- BAR 0 and config space ---- */

static ssize_t bar_rw(struct parts *parts, char __user *buf, size_t count, loff_t *ppos,
		      bool iswrite)
{
	u64 len = pci_resource_len(parts->core.pdev, 0);
	u64 pos = *ppos & VFIO_PCI_OFFSET_MASK;
	void __iomem *io = vfio_pci_core_get_iomap(&parts->core, 0);
	ssize_t done;

	if (IS_ERR(io))
		return PTR_ERR(io);
	if (pos >= len)
		return -EINVAL;
	count = min(count, (size_t)(len - pos));
	done = vfio_pci_core_do_io_rw(&parts->core, true, io, buf, pos, count, PARTS_HIDDEN,
				      PARTS_HIDDEN_END, iswrite, VFIO_PCI_IO_WIDTH_4);
	if (done > 0)
		*ppos += done;
	return done;
}

static ssize_t config_rw(struct parts *parts, char __user *buf, size_t count, loff_t *ppos,
			 bool iswrite)
{
	loff_t pos = *ppos & VFIO_PCI_OFFSET_MASK;
	size_t done = 0;

	while (done < count) {
		ssize_t ret = vfio_pci_config_rw_single(&parts->core, buf + done,
							count - done, &pos, iswrite);

		if (ret < 0)
			return ret;
		done += ret;
		pos += ret;
	}
	*ppos += done;
	return done;
}

/* Negative if it is for the core. */
static ssize_t parts_rw(struct parts *parts, char __user *buf, size_t count, loff_t *ppos,
			bool iswrite, bool *is_own)
{
	unsigned int index = VFIO_PCI_OFFSET_TO_INDEX(*ppos);
	struct device *dev = &parts->core.pdev->dev;
	ssize_t done;

	*is_own = count && (!index || index == VFIO_PCI_CONFIG_REGION_INDEX);
	if (!*is_own)
		return 0;
	if (pm_runtime_resume_and_get(dev))
		return -EIO;
	done = index ? config_rw(parts, buf, count, ppos, iswrite) :
		       bar_rw(parts, buf, count, ppos, iswrite);
	pm_runtime_put(dev);
	return done;
}

static ssize_t parts_read(struct vfio_device *vdev, char __user *buf, size_t count,
			  loff_t *ppos)
{
	bool is_own;
	ssize_t done = parts_rw(to_parts(vdev), buf, count, ppos, false, &is_own);

	return is_own ? done : vfio_pci_core_read(vdev, buf, count, ppos);
}

static ssize_t parts_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			   loff_t *ppos)
{
	bool is_own;
	ssize_t done = parts_rw(to_parts(vdev), (char __user *)buf, count, ppos, true,
				&is_own);

	return is_own ? done : vfio_pci_core_write(vdev, buf, count, ppos);
}

/* ---- areas of BARs 0 and 2 ---- */

static unsigned long first_pfn(struct vm_area_struct *vma)
{
	struct parts *parts = vma->vm_private_data;
	unsigned int index = vma->vm_pgoff >> (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT);
	u64 mask = (1ULL << (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT)) - 1;

	return (pci_resource_start(parts->core.pdev, index) >> PAGE_SHIFT) +
	       (vma->vm_pgoff & mask);
}

static vm_fault_t parts_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct parts *parts = vma->vm_private_data;
	unsigned long addr = vmf->address & ~((PAGE_SIZE << order) - 1);
	unsigned long pfn = first_pfn(vma) + ((addr - vma->vm_start) >> PAGE_SHIFT);
	vm_fault_t ret;

	if (!is_aligned_for_order(vma, addr, pfn, order))
		return VM_FAULT_FALLBACK;
	scoped_guard(rwsem_read, &parts->core.memory_lock)
		ret = vfio_pci_vmf_insert_pfn(&parts->core, vmf, pfn, order);
	if (ret == VM_FAULT_NOPAGE)
		atomic_inc(order ? &parts->huge_faults : &parts->faults);
	return ret;
}

static vm_fault_t parts_fault(struct vm_fault *vmf)
{
	return parts_huge_fault(vmf, 0);
}

static const struct vm_operations_struct parts_vm_ops = {
	.fault = parts_fault,
#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP
	.huge_fault = parts_huge_fault,
#endif
};

static int parts_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct parts *parts = to_parts(vdev);
	unsigned int index = vma->vm_pgoff >> (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT);
	u64 mask = (1ULL << (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT)) - 1;
	struct pci_dev *pdev = parts->core.pdev;

	if (index && index != 2)
		return vfio_pci_core_mmap(vdev, vma);
	if (!(pci_resource_flags(pdev, index) & IORESOURCE_MEM) ||
	    !(vma->vm_flags & VM_SHARED) ||
	    (vma->vm_pgoff & mask) + vma_pages(vma) >
		    pci_resource_len(pdev, index) >> PAGE_SHIFT)
		return -EINVAL;
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = parts;
	vma->vm_ops = &parts_vm_ops;
	return 0;
}

/* ---- ioctls ---- */

static long parts_report(struct parts *parts, void __user *user)
{
	struct vfio_pci_core_device *core = &parts->core;
	struct parts_report report = {
		.irq_type = core->irq_type,
		.num_regions = core->num_regions,
		.released = released,
		.resets = atomic_read(&parts->resets),
		.faults = atomic_read(&parts->faults),
		.huge_faults = atomic_read(&parts->huge_faults),
		.position = parts->position,
	};
	int i;

	scoped_guard(rwsem_read, &core->memory_lock) {
		report.memory_enabled = __vfio_pci_memory_enabled(core);
		report.low_power = core->pm_runtime_engaged;
	}
	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		report.bars[i] = IS_ERR(core->barmap[i]) ?
				 (s32)PTR_ERR(core->barmap[i]) : !!core->barmap[i];
	return copy_to_user(user, &report, sizeof(report)) ? -EFAULT : 0;
}

static int read_register(struct parts *parts, struct parts_access *access, void __iomem *io)
{
	union {
		u8 byte;
		u16 word;
		u32 dword;
		u64 qword;
	} value;
	int ret;

	switch (access->width) {
	case 1:
		ret = vfio_pci_core_ioread8(&parts->core, access->test_memory, &value.byte, io);
		access->value = ret ? 0 : value.byte;
		return ret;
	case 2:
		ret = vfio_pci_core_ioread16(&parts->core, access->test_memory, &value.word,
					     io);
		access->value = ret ? 0 : value.word;
		return ret;
	case 4:
		ret = vfio_pci_core_ioread32(&parts->core, access->test_memory, &value.dword,
					     io);
		access->value = ret ? 0 : value.dword;
		return ret;
	case 8:
		ret = vfio_pci_core_ioread64(&parts->core, access->test_memory, &value.qword,
					     io);
		access->value = ret ? 0 : value.qword;
		return ret;
	default:
		return -EINVAL;
	}
}

static int write_register(struct parts *parts, struct parts_access *access, void __iomem *io)
{
	bool test = access->test_memory;

	switch (access->width) {
	case 1:
		return vfio_pci_core_iowrite8(&parts->core, test, access->value, io);
	case 2:
		return vfio_pci_core_iowrite16(&parts->core, test, access->value, io);
	case 4:
		return vfio_pci_core_iowrite32(&parts->core, test, access->value, io);
	case 8:
		return vfio_pci_core_iowrite64(&parts->core, test, access->value, io);
	default:
		return -EINVAL;
	}
}

static long parts_access(struct parts *parts, void __user *user)
{
	struct parts_access access;
	void __iomem *io;
	int ret;

	if (copy_from_user(&access, user, sizeof(access)))
		return -EFAULT;
	if (access.bar >= PCI_STD_NUM_BARS || access.offset % 8 ||
	    access.offset >= pci_resource_len(parts->core.pdev, access.bar))
		return -EINVAL;
	io = vfio_pci_core_get_iomap(&parts->core, access.bar);
	if (IS_ERR(io))
		return PTR_ERR(io);
	io += access.offset;
	ret = access.is_write ? write_register(parts, &access, io) :
				read_register(parts, &access, io);
	return ret ?: copy_to_user(user, &access, sizeof(access)) ? -EFAULT : 0;
}

static long parts_overlap(void __user *user)
{
	struct parts_overlap overlap;
	size_t common, in_register;
	loff_t in_transfer;

	if (copy_from_user(&overlap, user, sizeof(overlap)))
		return -EFAULT;
	if (!vfio_pci_core_range_intersect_range(overlap.transfer, overlap.transfer_len,
						 overlap.reg, overlap.reg_len, &in_transfer,
						 &common, &in_register))
		return 0;
	overlap.in_transfer = in_transfer;
	overlap.common = common;
	overlap.in_register = in_register;
	return copy_to_user(user, &overlap, sizeof(overlap)) ? -EFAULT : 1;
}

static long parts_hold(struct parts *parts, unsigned long milliseconds)
{
	scoped_guard(rwsem_read, &parts->core.memory_lock)
		msleep(min(milliseconds, 2000UL));
	return 0;
}

static long parts_config(struct parts *parts, void __user *user)
{
	struct parts_config config;
	loff_t pos;
	ssize_t ret;

	if (copy_from_user(&config, user, sizeof(config)))
		return -EFAULT;
	pos = config.position;
	ret = vfio_pci_config_rw_single(&parts->core, u64_to_user_ptr(config.buffer),
					config.count, &pos, config.is_write);
	/* To move it on is up to the caller. */
	return pos == config.position ? ret : -EUCLEAN;
}

static long parts_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct parts *parts = to_parts(vdev);

	switch (cmd) {
	case PARTS_REPORT:
		return parts_report(parts, (void __user *)arg);
	case PARTS_ACCESS:
		return parts_access(parts, (void __user *)arg);
	case PARTS_OVERLAP:
		return parts_overlap((void __user *)arg);
	case PARTS_HOLD:
		return parts_hold(parts, arg);
	case PARTS_CONFIG:
		return parts_config(parts, (void __user *)arg);
	default:
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	}
}

/* ---- exports ---- */

static int parts_get_dmabuf_phys(struct vfio_pci_core_device *core,
				 struct p2pdma_provider **provider, unsigned int index,
				 struct phys_vec *phys_vec,
				 struct vfio_region_dma_range *ranges, size_t nr_ranges)
{
	size_t i;
	int ret;

	ret = vfio_pci_core_get_dmabuf_phys(core, provider, index, phys_vec, ranges,
					    nr_ranges);
	if (ret || index != 2)
		return ret;
	for (i = 0; i < nr_ranges; i++)
		if (ranges[i].offset <= PARTS_DENIED &&
		    ranges[i].length > PARTS_DENIED - ranges[i].offset)
			return -EPERM;
	return vfio_pci_core_fill_phys_vec(phys_vec, ranges, nr_ranges,
					   pci_resource_start(core->pdev, index),
					   PARTS_EXPORTED);
}

static const struct vfio_pci_device_ops parts_pci_ops = {
	.get_dmabuf_phys = parts_get_dmabuf_phys,
};

/* ---- the driver ---- */

static const struct vfio_device_ops parts_ops = {
	.name = PARTS_DRIVER,
	.init = vfio_pci_core_init_dev,
	.release = vfio_pci_core_release_dev,
	.open_device = parts_open,
	.close_device = vfio_pci_core_close_device,
	.ioctl = parts_ioctl,
	.get_region_info_caps = vfio_pci_ioctl_get_region_info,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = parts_read,
	.write = parts_write,
	.mmap = parts_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	.match_token_uuid = vfio_pci_core_match_token_uuid,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
};

static int parts_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct parts *parts;
	int ret;

	parts = vfio_alloc_device(parts, core.vdev, &pdev->dev, &parts_ops);
	if (IS_ERR(parts))
		return PTR_ERR(parts);
	if (exports)
		parts->core.pci_ops = &parts_pci_ops;
	dev_set_drvdata(&pdev->dev, &parts->core);
	ret = vfio_pci_core_register_device(&parts->core);
	if (ret)
		vfio_put_device(&parts->core.vdev);
	return ret;
}

static void parts_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(core);
	vfio_put_device(&core->vdev);
}

static int parts_sriov_configure(struct pci_dev *pdev, int nr_virtfn)
{
	return vfio_pci_core_sriov_configure(dev_get_drvdata(&pdev->dev), nr_virtfn);
}

static void parts_reset_done(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	atomic_inc(&container_of(core, struct parts, core)->resets);
}

/* As most drivers have: nothing before a reset. */
static const struct pci_error_handlers own_handlers = {
	.reset_done = parts_reset_done,
	.error_detected = vfio_pci_core_aer_err_detected,
};

/* Only devices that are given to them by driver_override. */
static struct pci_driver parts_driver = {
	.name = PARTS_DRIVER,
	.probe = parts_probe,
	.remove = parts_remove,
	.sriov_configure = parts_sriov_configure,
	.err_handler = &own_handlers,
	.driver_managed_dma = true,
};

static struct pci_driver parts_told_driver = {
	.name = PARTS_TOLD_DRIVER,
	.probe = parts_probe,
	.remove = parts_remove,
	.sriov_configure = parts_sriov_configure,
	.err_handler = &vfio_pci_core_err_handlers,
	.driver_managed_dma = true,
};

static int __init parts_init(void)
{
	int ret = pci_register_driver(&parts_driver);

	if (ret)
		return ret;
	ret = pci_register_driver(&parts_told_driver);
	if (ret)
		pci_unregister_driver(&parts_driver);
	return ret;
}
module_init(parts_init);

static void __exit parts_exit(void)
{
	pci_unregister_driver(&parts_told_driver);
	pci_unregister_driver(&parts_driver);
}
module_exit(parts_exit);

MODULE_IMPORT_NS("IOMMUFD");
MODULE_DESCRIPTION("VFIO driver for any PCI device that does its share itself");
MODULE_AUTHOR("The VFIO in Rust developers");
MODULE_LICENSE("GPL");
