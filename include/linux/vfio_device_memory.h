/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of VFIO devices, for those who find it in the address space of a
 * process: whose it is, and when it goes.
 */
#ifndef _LINUX_VFIO_DEVICE_MEMORY_H
#define _LINUX_VFIO_DEVICE_MEMORY_H

struct module;
struct vm_area_struct;

/**
 * DOC: Memory of VFIO devices
 *
 * The memory of a VFIO device that a process has mapped has no struct pages, so
 * nothing counts who uses its page frames. Whoever passes them on, to an IOMMU
 * for instance, looks up the device behind the area, registers a release
 * notifier with it, and only then takes the page frames. The notifier takes
 * them away again before the device changes hands.
 */

/**
 * struct vfio_device_ref - a reference to a VFIO device
 *
 * It keeps the object alive and the code of its bus driver loaded. It does not
 * keep the device open, so that its memory may stop to be there at any time;
 * a release notifier tells when.
 */
struct vfio_device_ref;

/**
 * struct vfio_release_notifier - what to do before a device is released
 * @owner: THIS_MODULE. It stays loaded until @released has returned, or the
 *	notifier has been unregistered.
 * @released: Called when the last file of the device is closed, once, before
 *	the bus driver closes the device, hence before close() or unbind returns.
 *	Nothing may reach the device's memory any more when it returns. Notifiers are called in
 *	the order of their registration, in process context, and may sleep. They
 *	may register and unregister notifiers, themselves included. The group
 *	and device-set locks of VFIO are held.
 *
 * Usually part of a larger structure, which may be freed by @released once that
 * has unregistered it. All zero but @owner and @released before it is registered.
 */
struct vfio_release_notifier {
	struct module *owner;
	void (*released)(struct vfio_release_notifier *notifier);
	/* private: */
	void *registration;
};

/**
 * vfio_device_ref_from_vma() - the device whose memory an area maps
 * @vma: the area
 *
 * Context: The mmap lock of the area's mm, or the lock of the area, is held.
 * Return: A reference, to be given back by vfio_device_ref_put(), or NULL if
 * the area is not one of a VFIO device file.
 */
struct vfio_device_ref *vfio_device_ref_from_vma(struct vm_area_struct *vma);

/**
 * vfio_device_ref_get() - take one more reference to a device
 * @device: the device
 *
 * Context: Any.
 */
void vfio_device_ref_get(struct vfio_device_ref *device);

/**
 * vfio_device_ref_put() - give a reference to a device back
 * @device: the device
 *
 * Context: May sleep.
 */
void vfio_device_ref_put(struct vfio_device_ref *device);

/**
 * vfio_release_notifier_register() - be told before a device is released
 * @device: the device
 * @notifier: the notifier, which must stay until it is unregistered
 *
 * The notifier has a reference to the device of its own until it is
 * unregistered. It may be called before this returns.
 *
 * Context: May sleep. The mmap lock may be held.
 * Return: 0; -ENODEV if the device is not open or its release has begun;
 * -ENOMEM.
 */
int vfio_release_notifier_register(struct vfio_device_ref *device,
				   struct vfio_release_notifier *notifier);

/**
 * vfio_release_notifier_unregister() - no longer be told
 * @notifier: the notifier
 *
 * When this returns the notifier is not being called, unless it is the notifier
 * that calls this, and it will not be. It is needed once for every successful
 * registration, whether the notifier has been called or not, and does nothing
 * for a notifier that is not registered. The caller sees to it that a notifier is
 * registered or unregistered once at a time; one that unregisters itself is not
 * to be unregistered by anybody else while it may be called.
 *
 * Context: May sleep. No lock is held that @notifier takes, and, as it waits for
 * a call in flight, no mmap lock if @notifier takes that.
 */
void vfio_release_notifier_unregister(struct vfio_release_notifier *notifier);

#endif
