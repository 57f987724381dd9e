// SPDX-License-Identifier: GPL-2.0
/*
 * An emulated device in C, for tests: registers tell it which memory of its user to pin, to
 * read and to write, and what else to ask the core for.
 */
#include <linux/cleanup.h>
#include <linux/highmem.h>
#include <linux/interval_tree.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "vfio_pages.h"

#define MEMORY_SIZE	(16 * PAGE_SIZE)
#define REGISTERS	(1UL << 20)

struct pages_device {
	struct vfio_device vdev;
	/* Commands come one after the other. */
	struct mutex commands;
	/*
	 * Of the list. It is held while pages are pinned, too: what the core says is unmapped
	 * has to be in the list by then.
	 */
	struct mutex pins_lock;
	struct list_head pins;
	u8 *memory;
	struct vfio_pages_registers regs;
};

struct pin {
	struct list_head entry;
	dma_addr_t iova;
	int count;
	bool writable;
	struct page *pages[];
};

struct command {
	struct work_struct work;
	struct pages_device *pages;
	long result;
};

static struct pages_device *to_pages(struct vfio_device *vdev)
{
	return container_of(vdev, struct pages_device, vdev);
}

/* ---- pins ---- */

static bool touches(const struct pin *pin, u64 iova, u64 length)
{
	u64 last = pin->iova + ((u64)pin->count << PAGE_SHIFT) - 1;

	return length && iova <= last && pin->iova <= iova + (length - 1);
}

static void unpin(struct pages_device *pages, u64 iova, u64 length)
{
	struct pin *pin, *next;
	LIST_HEAD(gone);

	scoped_guard(mutex, &pages->pins_lock) {
		list_for_each_entry_safe(pin, next, &pages->pins, entry) {
			if (!touches(pin, iova, length))
				continue;
			list_move(&pin->entry, &gone);
			pages->regs.memory.pinned--;
		}
	}
	list_for_each_entry_safe(pin, next, &gone, entry) {
		vfio_unpin_pages(&pages->vdev, pin->iova, pin->count);
		kvfree(pin);
	}
}

static long pin(struct pages_device *pages, u64 iova, u64 length, bool writable)
{
	u64 first = ALIGN_DOWN(iova, PAGE_SIZE), end;
	struct pin *pin;
	int count, ret;

	if (check_add_overflow(iova, length, &end) || end > U64_MAX - PAGE_SIZE)
		return -EOVERFLOW;
	end = ALIGN(end, PAGE_SIZE);
	if (end - first > (u64)VFIO_PIN_PAGES_MAX_ENTRIES << PAGE_SHIFT)
		return -E2BIG;
	count = (end - first) >> PAGE_SHIFT;
	pin = kvzalloc(struct_size(pin, pages, count), GFP_KERNEL);
	if (!pin)
		return -ENOMEM;
	pin->iova = first;
	pin->count = count;
	pin->writable = writable;
	guard(mutex)(&pages->pins_lock);
	ret = vfio_pin_pages(&pages->vdev, first, count,
			     IOMMU_READ | (writable ? IOMMU_WRITE : 0), pin->pages);
	if (ret != count) {
		if (ret > 0)
			vfio_unpin_pages(&pages->vdev, first, ret);
		kvfree(pin);
		return ret < 0 ? ret : -EFAULT;
	}
	list_add(&pin->entry, &pages->pins);
	pages->regs.memory.pinned++;
	return 0;
}

static void copy_page_part(const struct pin *pin, u64 iova, u8 *bytes, size_t size,
			   bool write)
{
	u64 place = iova - pin->iova;
	u8 *page = kmap_local_page(pin->pages[place >> PAGE_SHIFT]);

	if (write)
		memcpy(page + offset_in_page(place), bytes, size);
	else
		memcpy(bytes, page + offset_in_page(place), size);
	kunmap_local(page);
}

static long copy_pinned(struct pages_device *pages, u64 iova, u8 *bytes, u64 length,
			bool write)
{
	struct pin *pin;

	guard(mutex)(&pages->pins_lock);
	list_for_each_entry(pin, &pages->pins, entry) {
		u64 end = pin->iova + ((u64)pin->count << PAGE_SHIFT);

		if (iova < pin->iova || iova > end || length > end - iova)
			continue;
		if (write && !pin->writable)
			return -EPERM;
		while (length) {
			size_t part = min_t(u64, length, PAGE_SIZE - offset_in_page(iova));

			copy_page_part(pin, iova, bytes, part, write);
			iova += part;
			bytes += part;
			length -= part;
		}
		return 0;
	}
	return -ENOENT;
}

/* The user unmaps memory. */
static void pages_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct pages_device *pages = to_pages(vdev);

	pages->regs.memory.told++;
	if (!(READ_ONCE(pages->regs.memory.options) & VFIO_MEMORY_KEEP))
		unpin(pages, iova, length);
}

/* ---- other things of the core ---- */

static long next_state(struct pages_device *pages)
{
	struct vfio_pages_registers *regs = &pages->regs;
	enum vfio_device_mig_state next = VFIO_DEVICE_STATE_ERROR;
	u32 flags = pages->vdev.migration_flags;
	long ret;

	pages->vdev.migration_flags = regs->flags;
	ret = vfio_mig_get_next_state(&pages->vdev, regs->from, regs->to, &next);
	pages->vdev.migration_flags = flags;
	regs->to = next;
	return ret;
}

static long combine(struct pages_device *pages)
{
	struct rb_root_cached root = RB_ROOT_CACHED;
	u64 count = pages->regs.memory.length, (*ranges)[2] = (void *)pages->memory;
	struct interval_tree_node *nodes, *node;
	u64 i;

	if (!count || count > MEMORY_SIZE / sizeof(*ranges) || !pages->regs.flags)
		return -EINVAL;
	nodes = kvcalloc(count, sizeof(*nodes), GFP_KERNEL);
	if (!nodes)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		nodes[i].start = ranges[i][0];
		nodes[i].last = ranges[i][1];
		interval_tree_insert(&nodes[i], &root);
	}
	vfio_combine_iova_ranges(&root, count, pages->regs.flags);
	i = 0;
	for (node = interval_tree_iter_first(&root, 0, ULONG_MAX); node && i < count;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		ranges[i][0] = node->start;
		ranges[i][1] = node->last;
		i++;
	}
	pages->regs.to = i;
	kvfree(nodes);
	return 0;
}

/* ---- commands ---- */

static long copies(struct pages_device *pages)
{
	struct vfio_memory_registers *regs = &pages->regs.memory;
	u8 *bytes = pages->memory + regs->position;
	bool write = regs->command == VFIO_MEMORY_WRITE ||
		     regs->command == VFIO_MEMORY_WRITE_PINNED;

	if (regs->position > MEMORY_SIZE || regs->length > MEMORY_SIZE - regs->position)
		return -EINVAL;
	if (regs->command == VFIO_MEMORY_READ || regs->command == VFIO_MEMORY_WRITE)
		return vfio_dma_rw(&pages->vdev, regs->iova, bytes, regs->length, write);
	return copy_pinned(pages, regs->iova, bytes, regs->length, write);
}

static long carry_out(struct pages_device *pages)
{
	struct vfio_memory_registers *regs = &pages->regs.memory;

	switch (regs->command) {
	case VFIO_MEMORY_READ:
	case VFIO_MEMORY_WRITE:
	case VFIO_MEMORY_READ_PINNED:
	case VFIO_MEMORY_WRITE_PINNED:
		return copies(pages);
	case VFIO_MEMORY_PIN:
	case VFIO_MEMORY_PIN_TO_READ:
		return pin(pages, regs->iova, regs->length,
			   regs->command == VFIO_MEMORY_PIN);
	case VFIO_MEMORY_UNPIN:
		unpin(pages, regs->iova, regs->length);
		return 0;
	case VFIO_PAGES_NEXT_STATE:
		return next_state(pages);
	case VFIO_PAGES_COMBINE:
		return combine(pages);
	}
	return -ENOTTY;
}

static void carry_out_work(struct work_struct *work)
{
	struct command *command = container_of(work, struct command, work);

	command->result = carry_out(command->pages);
}

static void begin_command(struct pages_device *pages)
{
	struct command command = { .pages = pages };

	if (pages->regs.memory.options & VFIO_MEMORY_WORKER) {
		INIT_WORK_ONSTACK(&command.work, carry_out_work);
		queue_work(system_unbound_wq, &command.work);
		flush_work(&command.work);
		destroy_work_on_stack(&command.work);
	} else {
		command.result = carry_out(pages);
	}
	pages->regs.memory.result = command.result;
}

/* ---- operations ---- */

static int pages_init(struct vfio_device *vdev)
{
	struct pages_device *pages = to_pages(vdev);

	mutex_init(&pages->commands);
	mutex_init(&pages->pins_lock);
	INIT_LIST_HEAD(&pages->pins);
	pages->memory = vzalloc(MEMORY_SIZE);
	return pages->memory ? 0 : -ENOMEM;
}

static void pages_release(struct vfio_device *vdev)
{
	vfree(to_pages(vdev)->memory);
}

static int pages_open(struct vfio_device *vdev)
{
	struct pages_device *pages = to_pages(vdev);

	memset(&pages->regs, 0, sizeof(pages->regs));
	memset(pages->memory, 0, MEMORY_SIZE);
	return 0;
}

static void pages_close(struct vfio_device *vdev)
{
	unpin(to_pages(vdev), 0, U64_MAX);
}

/* A register, as one. */
static u64 *pages_register(struct pages_device *pages, size_t count, loff_t pos)
{
	if (count != sizeof(u64) || pos < REGISTERS || pos % sizeof(u64) ||
	    pos - REGISTERS > sizeof(pages->regs) - sizeof(u64))
		return NULL;
	return (u64 *)&pages->regs + (pos - REGISTERS) / sizeof(u64);
}

static size_t memory_part(size_t count, loff_t pos)
{
	return pos < MEMORY_SIZE ? min_t(size_t, count, MEMORY_SIZE - pos) : 0;
}

static ssize_t pages_read(struct vfio_device *vdev, char __user *buf, size_t count,
			  loff_t *ppos)
{
	struct pages_device *pages = to_pages(vdev);
	u64 *reg = pages_register(pages, count, *ppos);
	size_t part = memory_part(count, *ppos);

	guard(mutex)(&pages->commands);
	pages->regs.kvm = !!vdev->kvm;
	if (reg ? copy_to_user(buf, reg, count) :
		  copy_to_user(buf, pages->memory + (part ? *ppos : 0), part))
		return -EFAULT;
	part = reg ? count : part;
	*ppos += part;
	return part;
}

static ssize_t pages_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			   loff_t *ppos)
{
	struct pages_device *pages = to_pages(vdev);
	u64 *reg = pages_register(pages, count, *ppos);
	size_t part = memory_part(count, *ppos);

	guard(mutex)(&pages->commands);
	if (reg ? copy_from_user(reg, buf, count) :
		  copy_from_user(pages->memory + (part ? *ppos : 0), buf, part))
		return -EFAULT;
	if (reg == &pages->regs.memory.command)
		begin_command(pages);
	part = reg ? count : part;
	*ppos += part;
	return part;
}

static int pages_region_info(struct vfio_device *vdev, struct vfio_region_info *info,
			     struct vfio_info_cap *caps)
{
	if (info->index > 1)
		return -EINVAL;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	info->offset = info->index ? REGISTERS : 0;
	info->size = info->index ? sizeof(struct vfio_pages_registers) : MEMORY_SIZE;
	return 0;
}

static long pages_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	return -ENOTTY;
}

static const struct vfio_device_ops pages_ops = {
	.name = "vfio-pages",
	.init = pages_init,
	.release = pages_release,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
	.open_device = pages_open,
	.close_device = pages_close,
	.read = pages_read,
	.write = pages_write,
	.ioctl = pages_ioctl,
	.get_region_info_caps = pages_region_info,
	.dma_unmap = pages_dma_unmap,
};

/* ---- the device ---- */

static int pages_probe(struct platform_device *pdev)
{
	struct pages_device *pages = vfio_alloc_device(pages_device, vdev, &pdev->dev,
						       &pages_ops);
	int ret;

	if (IS_ERR(pages))
		return PTR_ERR(pages);
	platform_set_drvdata(pdev, pages);
	ret = vfio_register_emulated_iommu_dev(&pages->vdev);
	if (ret)
		vfio_put_device(&pages->vdev);
	return ret;
}

static void pages_remove(struct platform_device *pdev)
{
	struct pages_device *pages = platform_get_drvdata(pdev);

	vfio_unregister_group_dev(&pages->vdev);
	vfio_put_device(&pages->vdev);
}

static struct platform_driver pages_driver = {
	.probe = pages_probe,
	.remove = pages_remove,
	.driver.name = "vfio-pages",
};

static struct platform_device *device;

static int __init pages_module_init(void)
{
	int ret = platform_driver_register(&pages_driver);

	if (ret)
		return ret;
	device = platform_device_register_simple("vfio-pages", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device))
		platform_driver_unregister(&pages_driver);
	return PTR_ERR_OR_ZERO(device);
}

static void __exit pages_module_exit(void)
{
	platform_device_unregister(device);
	platform_driver_unregister(&pages_driver);
}

module_init(pages_module_init);
module_exit(pages_module_exit);

MODULE_DESCRIPTION("Test of VFIO: an emulated device in C");
MODULE_AUTHOR("The VFIO in Rust developers");
MODULE_LICENSE("GPL");
