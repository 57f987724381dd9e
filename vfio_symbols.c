// SPDX-License-Identifier: GPL-2.0
/*
 * Exports of vfio.ko for code in C, which are defined in Rust.
 */

#include <linux/export.h>
#include <linux/vfio.h>
#include <linux/vfio_device_memory.h>

/* Looked up by KVM with symbol_get(). */
EXPORT_SYMBOL_GPL(vfio_file_is_valid);
EXPORT_SYMBOL_GPL(vfio_file_enforced_coherent);
EXPORT_SYMBOL_GPL(vfio_file_set_kvm);
EXPORT_SYMBOL_GPL(vfio_file_iommu_group);

/* For drivers in C. Which of them are for any licence is as in the C modules. */
EXPORT_SYMBOL_GPL(_vfio_alloc_device);
EXPORT_SYMBOL_GPL(vfio_register_group_dev);
EXPORT_SYMBOL_GPL(vfio_register_emulated_iommu_dev);
EXPORT_SYMBOL_GPL(vfio_unregister_group_dev);
EXPORT_SYMBOL_GPL(vfio_device_try_get_registration);
EXPORT_SYMBOL_GPL(vfio_device_put_registration);
EXPORT_SYMBOL_GPL(vfio_assign_device_set);
EXPORT_SYMBOL_GPL(vfio_device_set_open_count);
EXPORT_SYMBOL_GPL(vfio_find_device_in_devset);
#if IS_ENABLED(CONFIG_VFIO_GROUP)
EXPORT_SYMBOL_GPL(vfio_file_is_group);
EXPORT_SYMBOL_GPL(vfio_file_has_dev);
#endif
#if IS_ENABLED(CONFIG_IOMMUFD)
EXPORT_SYMBOL_GPL(vfio_iommufd_device_ictx);
EXPORT_SYMBOL_GPL(vfio_iommufd_get_dev_id);
#endif
EXPORT_SYMBOL(vfio_pin_pages);
EXPORT_SYMBOL(vfio_unpin_pages);
EXPORT_SYMBOL(vfio_dma_rw);
EXPORT_SYMBOL_GPL(vfio_info_cap_add);
EXPORT_SYMBOL(vfio_info_cap_shift);
EXPORT_SYMBOL(vfio_info_add_capability);
EXPORT_SYMBOL(vfio_set_irqs_validate_and_prepare);
EXPORT_SYMBOL_GPL(vfio_mig_get_next_state);
#ifdef CONFIG_INTERVAL_TREE
EXPORT_SYMBOL_GPL(vfio_combine_iova_ranges);
#endif
EXPORT_SYMBOL_GPL(vfio_virqfd_enable);
EXPORT_SYMBOL_GPL(vfio_virqfd_disable);
EXPORT_SYMBOL_GPL(vfio_virqfd_flush_thread);

/* For whoever finds memory of a device in a process. */
EXPORT_SYMBOL_GPL(vfio_device_ref_from_vma);
EXPORT_SYMBOL_GPL(vfio_device_ref_get);
EXPORT_SYMBOL_GPL(vfio_device_ref_put);
EXPORT_SYMBOL_GPL(vfio_release_notifier_register);
EXPORT_SYMBOL_GPL(vfio_release_notifier_unregister);
