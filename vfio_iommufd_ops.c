// SPDX-License-Identifier: GPL-2.0
/*
 * What drivers in C have in their tables for iommufd. This core binds and attaches
 * devices by itself, and only wants to know which of these a driver has: whether its
 * device does DMA. Functions are compared here, as Rust may give two of them one
 * address.
 */

#include <linux/bug.h>
#include <linux/export.h>
#include <linux/vfio.h>

#include "abstractions/helpers.h"

#if IS_ENABLED(CONFIG_IOMMUFD)

static int not_to_be_called(void)
{
	WARN_ONCE(1, "vfio: a driver calls what only the core does\n");
	return -EOPNOTSUPP;
}

int vfio_iommufd_physical_bind(struct vfio_device *vdev, struct iommufd_ctx *ictx,
			       u32 *out_device_id)
{
	return not_to_be_called();
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_bind);

void vfio_iommufd_physical_unbind(struct vfio_device *vdev)
{
	not_to_be_called();
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_unbind);

int vfio_iommufd_physical_attach_ioas(struct vfio_device *vdev, u32 *pt_id)
{
	return not_to_be_called();
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_attach_ioas);

void vfio_iommufd_physical_detach_ioas(struct vfio_device *vdev)
{
	not_to_be_called();
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_detach_ioas);

int vfio_iommufd_physical_pasid_attach_ioas(struct vfio_device *vdev, u32 pasid,
					    u32 *pt_id)
{
	return not_to_be_called();
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_pasid_attach_ioas);

void vfio_iommufd_physical_pasid_detach_ioas(struct vfio_device *vdev, u32 pasid)
{
	not_to_be_called();
}
EXPORT_SYMBOL_GPL(vfio_iommufd_physical_pasid_detach_ioas);

int vfio_iommufd_emulated_bind(struct vfio_device *vdev, struct iommufd_ctx *ictx,
			       u32 *out_device_id)
{
	return not_to_be_called();
}
EXPORT_SYMBOL_GPL(vfio_iommufd_emulated_bind);

void vfio_iommufd_emulated_unbind(struct vfio_device *vdev)
{
	not_to_be_called();
}
EXPORT_SYMBOL_GPL(vfio_iommufd_emulated_unbind);

int vfio_iommufd_emulated_attach_ioas(struct vfio_device *vdev, u32 *pt_id)
{
	return not_to_be_called();
}
EXPORT_SYMBOL_GPL(vfio_iommufd_emulated_attach_ioas);

void vfio_iommufd_emulated_detach_ioas(struct vfio_device *vdev)
{
	not_to_be_called();
}
EXPORT_SYMBOL_GPL(vfio_iommufd_emulated_detach_ioas);

/* PASIDs are for devices that do DMA, and not for each of them. */
static bool pasid_ops_are_ours(const struct vfio_device_ops *ops)
{
	return (!ops->pasid_attach_ioas && !ops->pasid_detach_ioas) ||
	       (ops->pasid_attach_ioas == vfio_iommufd_physical_pasid_attach_ioas &&
		ops->pasid_detach_ioas == vfio_iommufd_physical_pasid_detach_ioas);
}

bool vfio_rust_iommufd_ops_are_physical(const struct vfio_device_ops *ops)
{
	return ops->bind_iommufd == vfio_iommufd_physical_bind &&
	       ops->unbind_iommufd == vfio_iommufd_physical_unbind &&
	       ops->attach_ioas == vfio_iommufd_physical_attach_ioas &&
	       ops->detach_ioas == vfio_iommufd_physical_detach_ioas &&
	       pasid_ops_are_ours(ops);
}

bool vfio_rust_iommufd_ops_are_emulated(const struct vfio_device_ops *ops)
{
	return ops->bind_iommufd == vfio_iommufd_emulated_bind &&
	       ops->unbind_iommufd == vfio_iommufd_emulated_unbind &&
	       ops->attach_ioas == vfio_iommufd_emulated_attach_ioas &&
	       ops->detach_ioas == vfio_iommufd_emulated_detach_ioas &&
	       !ops->pasid_attach_ioas && !ops->pasid_detach_ioas;
}

#else

/* Nobody has any. */
bool vfio_rust_iommufd_ops_are_physical(const struct vfio_device_ops *ops)
{
	return true;
}

bool vfio_rust_iommufd_ops_are_emulated(const struct vfio_device_ops *ops)
{
	return true;
}

#endif
