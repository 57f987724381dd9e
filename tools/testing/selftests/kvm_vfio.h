/* SPDX-License-Identifier: GPL-2.0 */
/* KVM's "vfio" device, which takes files of VFIO. */
#ifndef KVM_VFIO_H
#define KVM_VFIO_H

#include <stdint.h>

#include <linux/kvm.h>

#include "vfio_fixture.h"

/* That of a machine. */
static inline long kvm_vfio(int vm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	long ret = vfio_ioctl(vm, KVM_CREATE_DEVICE, &create);

	return ret ? ret : (long)create.fd;
}

static inline long kvm_file(int device, uint64_t attribute, int fd)
{
	int32_t file = fd;
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_FILE,
		.attr = attribute,
		.addr = (uintptr_t)&file,
	};

	return vfio_ioctl(device, KVM_SET_DEVICE_ATTR, &attr);
}

#endif
