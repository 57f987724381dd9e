// SPDX-License-Identifier: GPL-2.0
/*
 * Tells userspace when VFIO devices are released: a sample of how kernel code
 * that finds device memory in a process watches the device behind it. Each open
 * file of /dev/vfio-release-watch watches one device.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_device_memory.h>
#include <linux/wait.h>

#include "vfio_release_watch.h"

/**
 * struct watch - an open file
 * @lock: serialises ioctls; never taken by the notifier, for which
 *	unregistering waits
 * @device: the device that was looked up, or NULL
 * @registered: whether @notifier has to be unregistered
 * @milliseconds: how long @notifier takes
 * @notifier: called before @device is released
 * @calls_lock: protects @calls and @seen
 * @calls: the calls of @notifier so far
 * @seen: how many of them read() has told
 * @called: where poll() waits
 */
struct watch {
	struct mutex lock;
	struct vfio_device_ref *device;
	bool registered;
	unsigned int milliseconds;
	struct vfio_release_notifier notifier;
	spinlock_t calls_lock;
	struct release_watch_calls calls;
	u64 seen;
	wait_queue_head_t called;
};

static void watch_released(struct vfio_release_notifier *notifier)
{
	struct watch *watch = container_of(notifier, struct watch, notifier);
	u64 began = ktime_get_ns();

	msleep(watch->milliseconds);
	scoped_guard(spinlock, &watch->calls_lock) {
		watch->calls.count++;
		watch->calls.last_began_ns = began;
		watch->calls.last_ended_ns = ktime_get_ns();
	}
	wake_up_interruptible(&watch->called);
}

/* Takes the caller's reference to @device in place of the one before. */
static void watch_set_device(struct watch *watch,
			     struct vfio_device_ref *device)
{
	if (watch->device)
		vfio_device_ref_put(watch->device);
	watch->device = device;
}

/**
 * struct signal - a notifier that nobody watches over: it frees itself
 * @notifier: called before the device is released
 * @event: what is signalled then
 */
struct signal {
	struct vfio_release_notifier notifier;
	struct eventfd_ctx *event;
};

static void signal_free(struct signal *signal)
{
	eventfd_ctx_put(signal->event);
	kfree(signal);
}

static void signal_released(struct vfio_release_notifier *notifier)
{
	struct signal *signal = container_of(notifier, struct signal, notifier);

	eventfd_signal(signal->event);
	vfio_release_notifier_unregister(notifier);
	signal_free(signal);
}

static long watch_signal(struct watch *watch, unsigned long fd)
{
	struct eventfd_ctx *event;
	struct signal *signal;
	int ret;

	if (!watch->device)
		return -ENOENT;
	if (fd > INT_MAX)
		return -EBADF;

	event = eventfd_ctx_fdget(fd);
	if (IS_ERR(event))
		return PTR_ERR(event);
	signal = kzalloc_obj(*signal);
	if (!signal) {
		eventfd_ctx_put(event);
		return -ENOMEM;
	}
	signal->event = event;
	signal->notifier.owner = THIS_MODULE;
	signal->notifier.released = signal_released;
	ret = vfio_release_notifier_register(watch->device, &signal->notifier);
	if (ret)
		signal_free(signal);

	return ret;
}

static long watch_look_up(struct watch *watch, unsigned long address)
{
	struct vfio_device_ref *device = NULL;
	struct vm_area_struct *vma;

	if (watch->registered)
		return -EBUSY;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, address);
	if (vma)
		device = vfio_device_ref_from_vma(vma);
	mmap_read_unlock(current->mm);
	if (!device)
		return -ENOENT;

	watch_set_device(watch, device);

	return 0;
}

static const struct file_operations watch_fops;

/* A reference to the device of the watch behind @fd. */
static struct vfio_device_ref *watch_device_of(unsigned int fd)
{
	CLASS(fd, file)(fd);
	struct watch *watch;

	if (fd_empty(file))
		return ERR_PTR(-EBADF);
	if (fd_file(file)->f_op != &watch_fops)
		return ERR_PTR(-EINVAL);

	watch = fd_file(file)->private_data;
	guard(mutex)(&watch->lock);
	if (!watch->device)
		return ERR_PTR(-ENOENT);
	vfio_device_ref_get(watch->device);

	return watch->device;
}

/* Holds one lock at a time: of two watches neither comes first. */
static long watch_share(struct watch *watch, unsigned long fd)
{
	struct vfio_device_ref *device;

	if (fd > INT_MAX)
		return -EBADF;
	device = watch_device_of(fd);
	if (IS_ERR(device))
		return PTR_ERR(device);

	scoped_guard(mutex, &watch->lock) {
		if (!watch->registered) {
			watch_set_device(watch, device);
			return 0;
		}
	}
	vfio_device_ref_put(device);

	return -EBUSY;
}

static long watch_register(struct watch *watch, unsigned long milliseconds)
{
	int ret;

	if (milliseconds > 10 * MSEC_PER_SEC)
		return -EINVAL;
	if (!watch->device)
		return -ENOENT;
	if (watch->registered)
		return -EBUSY;

	watch->milliseconds = milliseconds;
	ret = vfio_release_notifier_register(watch->device, &watch->notifier);
	watch->registered = !ret;

	return ret;
}

static void watch_unregister(struct watch *watch)
{
	if (watch->registered)
		vfio_release_notifier_unregister(&watch->notifier);
	watch->registered = false;
}

static long watch_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct watch *watch = file->private_data;

	if (cmd == RELEASE_WATCH_SHARE)
		return watch_share(watch, arg);

	guard(mutex)(&watch->lock);
	switch (cmd) {
	case RELEASE_WATCH_LOOK_UP:
		return watch_look_up(watch, arg);
	case RELEASE_WATCH_REGISTER:
		return watch_register(watch, arg);
	case RELEASE_WATCH_UNREGISTER:
		watch_unregister(watch);
		return 0;
	case RELEASE_WATCH_SIGNAL:
		return watch_signal(watch, arg);
	}

	return -ENOTTY;
}

static ssize_t watch_read(struct file *file, char __user *buf, size_t count,
			  loff_t *pos)
{
	struct watch *watch = file->private_data;
	struct release_watch_calls calls;

	if (count < sizeof(calls))
		return -EINVAL;

	scoped_guard(spinlock, &watch->calls_lock) {
		calls = watch->calls;
		watch->seen = calls.count;
	}

	return copy_to_user(buf, &calls, sizeof(calls)) ? -EFAULT : sizeof(calls);
}

static __poll_t watch_poll(struct file *file, poll_table *wait)
{
	struct watch *watch = file->private_data;

	poll_wait(file, &watch->called, wait);
	guard(spinlock)(&watch->calls_lock);

	return watch->calls.count != watch->seen ? EPOLLIN | EPOLLRDNORM : 0;
}

static int watch_open(struct inode *inode, struct file *file)
{
	struct watch *watch = kzalloc_obj(*watch);

	if (!watch)
		return -ENOMEM;
	mutex_init(&watch->lock);
	spin_lock_init(&watch->calls_lock);
	init_waitqueue_head(&watch->called);
	watch->notifier.owner = THIS_MODULE;
	watch->notifier.released = watch_released;
	file->private_data = watch;

	return 0;
}

static int watch_release(struct inode *inode, struct file *file)
{
	struct watch *watch = file->private_data;

	watch_unregister(watch);
	if (watch->device)
		vfio_device_ref_put(watch->device);
	mutex_destroy(&watch->lock);
	kfree(watch);

	return 0;
}

static const struct file_operations watch_fops = {
	.owner = THIS_MODULE,
	.open = watch_open,
	.release = watch_release,
	.unlocked_ioctl = watch_ioctl,
	.read = watch_read,
	.poll = watch_poll,
};

static struct miscdevice watch_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vfio-release-watch",
	.fops = &watch_fops,
};

module_misc_device(watch_misc);

MODULE_DESCRIPTION("Sample of watching the release of VFIO devices");
MODULE_AUTHOR("The VFIO in Rust developers");
MODULE_LICENSE("GPL");
