// SPDX-License-Identifier: GPL-2.0
/*
 * A device whose driver calls what its user wants to see, for tests of a core that drivers
 * in C run on. As gvt does, it holds a mutex over what it pins, which it takes as well when
 * it is told to let go.
 */

#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "vfio_pins.h"

#define NAME	"vfio-pins"

struct pins {
	struct vfio_device vdev;
	/* Below: pages by their number, how often each is pinned, and the rest. */
	struct mutex lock;
	struct xarray pages;
	struct pins_report report;
	bool keep;
	struct virqfd *virqfd;
	atomic_t signalled;
	atomic_t threads;
};

static struct platform_device *device;

static struct pins *to_pins(struct vfio_device *vdev)
{
	return container_of(vdev, struct pins, vdev);
}

static int pins_init(struct vfio_device *vdev)
{
	mutex_init(&to_pins(vdev)->lock);
	xa_init(&to_pins(vdev)->pages);
	return 0;
}

static void pins_release(struct vfio_device *vdev)
{
	xa_destroy(&to_pins(vdev)->pages);
}

/* Lets go of a page, once. */
static void put_page_at(struct pins *pins, unsigned long page, unsigned long count)
{
	if (count > 1)
		xa_store(&pins->pages, page, xa_mk_value(count - 1), GFP_KERNEL);
	else
		xa_erase(&pins->pages, page);
	pins->report.pinned--;
	vfio_unpin_pages(&pins->vdev, (dma_addr_t)page << PAGE_SHIFT, 1);
}

static void put_all(struct pins *pins, unsigned long first, unsigned long last)
{
	unsigned long page;
	void *entry;

	xa_for_each_range(&pins->pages, page, entry, first, last)
		while ((entry = xa_load(&pins->pages, page)))
			put_page_at(pins, page, xa_to_value(entry));
}

static int pins_open(struct vfio_device *vdev)
{
	struct pins *pins = to_pins(vdev);

	mutex_lock(&pins->lock);
	pins->report.opened++;
	pins->keep = false;
	mutex_unlock(&pins->lock);
	return 0;
}

static void pins_close(struct vfio_device *vdev)
{
	struct pins *pins = to_pins(vdev);

	vfio_virqfd_disable(&pins->virqfd);
	mutex_lock(&pins->lock);
	put_all(pins, 0, ULONG_MAX);
	mutex_unlock(&pins->lock);
}

static void pins_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct pins *pins = to_pins(vdev);

	mutex_lock(&pins->lock);
	pins->report.told++;
	pins->report.told_iova = iova;
	pins->report.told_length = length;
	if (!pins->keep)
		put_all(pins, iova >> PAGE_SHIFT, (iova + length - 1) >> PAGE_SHIFT);
	mutex_unlock(&pins->lock);
}

/* Pins pages, and shows that they are those of the user. */
static long pins_pin(struct pins *pins, const struct pins_request *request)
{
	unsigned long first = request->iova >> PAGE_SHIFT, page;
	struct page **pages;
	long ret;
	u32 i;

	pages = kcalloc(max(request->count, 1), sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	mutex_lock(&pins->lock);
	ret = vfio_pin_pages(&pins->vdev, request->iova, request->count, request->prot, pages);
	if (ret < 0 && memchr_inv(pages, 0, request->count * sizeof(*pages)))
		pins->report.left++;
	for (i = 0; ret > 0 && i < request->count; i++) {
		unsigned long count;
		u8 *byte = kmap_local_page(pages[i]), copy = *byte;

		if (request->prot & IOMMU_WRITE)
			*byte = copy + 1;
		kunmap_local(byte);
		page = first + i;
		count = xa_to_value(xa_load(&pins->pages, page) ?: xa_mk_value(0));
		xa_store(&pins->pages, page, xa_mk_value(count + 1), GFP_KERNEL);
		pins->report.pinned++;
		if (request->bytes && put_user(copy, (u8 __user *)request->bytes + i))
			ret = -EFAULT;
	}
	mutex_unlock(&pins->lock);
	kfree(pages);
	return ret;
}

/* Lets go of a range that is pinned, in one call. */
static long pins_unpin(struct pins *pins, const struct pins_request *request)
{
	unsigned long first = request->iova >> PAGE_SHIFT, count;
	long ret = 0;
	u32 i;

	mutex_lock(&pins->lock);
	for (i = 0; i < request->count; i++)
		if (!xa_load(&pins->pages, first + i))
			ret = -ENOENT;
	for (i = 0; !ret && i < request->count; i++) {
		count = xa_to_value(xa_load(&pins->pages, first + i));
		if (count > 1)
			xa_store(&pins->pages, first + i, xa_mk_value(count - 1), GFP_KERNEL);
		else
			xa_erase(&pins->pages, first + i);
		pins->report.pinned--;
	}
	if (!ret)
		vfio_unpin_pages(&pins->vdev, request->iova, request->count);
	mutex_unlock(&pins->lock);
	return ret;
}

static long pins_copy(struct pins *pins, const struct pins_request *request, bool write)
{
	void __user *bytes = (void __user *)request->bytes;
	void *buffer = kzalloc(max(request->count, 1), GFP_KERNEL);
	long ret;

	if (!buffer)
		return -ENOMEM;
	if (write && copy_from_user(buffer, bytes, request->count))
		ret = -EFAULT;
	else
		ret = vfio_dma_rw(&pins->vdev, request->iova, buffer, request->count, write);
	if (!ret && !write && copy_to_user(bytes, buffer, request->count))
		ret = -EFAULT;
	kfree(buffer);
	return ret;
}

/* In atomic context. */
static int pins_signalled(void *opaque, void *data)
{
	struct pins *pins = opaque;

	atomic_inc(&pins->signalled);
	return data == &pins->signalled;
}

static void pins_thread(void *opaque, void *data)
{
	struct pins *pins = opaque;

	might_sleep();
	if (data == &pins->signalled)
		atomic_inc(&pins->threads);
}

static long pins_file(struct pins *pins, int fd)
{
	struct file *file = fget(fd);
	long ret;

	if (!file)
		return -EBADF;
	ret = vfio_file_is_group(file) | vfio_file_has_dev(file, &pins->vdev) << 1;
	fput(file);
	return ret;
}

static long pins_report(struct pins *pins, void __user *user)
{
	struct pins_report report;

	mutex_lock(&pins->lock);
	report = pins->report;
	mutex_unlock(&pins->lock);
	report.signalled = atomic_read(&pins->signalled);
	report.threads = atomic_read(&pins->threads);
	return copy_to_user(user, &report, sizeof(report)) ? -EFAULT : 0;
}

/* Calls that have no request. */
static long pins_other(struct pins *pins, unsigned int cmd, unsigned long arg)
{
	struct vfio_device *vdev = &pins->vdev;

	switch (cmd) {
	case PINS_BAD_PIN:
		return vfio_pin_pages(vdev, 0, 1, IOMMU_READ, NULL);
	case PINS_BAD_READ:
		return vfio_dma_rw(vdev, 0, NULL, 1, false);
	case PINS_KEEP:
		pins->keep = arg;
		return 0;
	case PINS_EVENTFD:
		return vfio_virqfd_enable(pins, pins_signalled, pins_thread,
					  &pins->signalled, &pins->virqfd, arg);
	case PINS_NO_EVENTFD:
		vfio_virqfd_disable(&pins->virqfd);
		return 0;
	case PINS_FLUSH:
		vfio_virqfd_flush_thread(&pins->virqfd);
		return 0;
	case PINS_FILE:
		return pins_file(pins, arg);
	case PINS_DEVICE_ID:
		return vfio_iommufd_get_dev_id(vdev, NULL);
	case PINS_REPORT:
		return pins_report(pins, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static long pins_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct pins *pins = to_pins(vdev);
	struct pins_request request;

	switch (cmd) {
	case PINS_PIN:
	case PINS_UNPIN:
	case PINS_READ:
	case PINS_WRITE:
		if (copy_from_user(&request, (void __user *)arg, sizeof(request)))
			return -EFAULT;
		if (request.count > PINS_MOST)
			return -ERANGE;
		break;
	default:
		return pins_other(pins, cmd, arg);
	}
	if (cmd == PINS_PIN)
		return pins_pin(pins, &request);
	if (cmd == PINS_UNPIN)
		return pins_unpin(pins, &request);
	return pins_copy(pins, &request, cmd == PINS_WRITE);
}

static const struct vfio_device_ops pins_ops = {
	.name = NAME,
	.init = pins_init,
	.release = pins_release,
	.open_device = pins_open,
	.close_device = pins_close,
	.ioctl = pins_ioctl,
	.dma_unmap = pins_dma_unmap,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

static int pins_probe(struct platform_device *pdev)
{
	struct pins *pins;
	int ret;

	pins = vfio_alloc_device(pins, vdev, &pdev->dev, &pins_ops);
	if (IS_ERR(pins))
		return PTR_ERR(pins);
	ret = vfio_register_emulated_iommu_dev(&pins->vdev);
	if (ret) {
		vfio_put_device(&pins->vdev);
		return ret;
	}
	platform_set_drvdata(pdev, pins);
	return 0;
}

static void pins_remove(struct platform_device *pdev)
{
	struct pins *pins = platform_get_drvdata(pdev);

	vfio_unregister_group_dev(&pins->vdev);
	vfio_put_device(&pins->vdev);
}

static struct platform_driver pins_driver = {
	.probe = pins_probe,
	.remove = pins_remove,
	.driver.name = NAME,
};

static int __init pins_module_init(void)
{
	int ret;

	ret = platform_driver_register(&pins_driver);
	if (ret)
		return ret;
	device = platform_device_register_simple(NAME, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device)) {
		platform_driver_unregister(&pins_driver);
		return PTR_ERR(device);
	}
	return 0;
}
module_init(pins_module_init);

static void __exit pins_module_exit(void)
{
	platform_device_unregister(device);
	platform_driver_unregister(&pins_driver);
}
module_exit(pins_module_exit);

MODULE_DESCRIPTION("VFIO device whose driver pins pages when its user says so");
MODULE_AUTHOR("The VFIO in Rust developers");
MODULE_LICENSE("GPL");
