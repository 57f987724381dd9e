// SPDX-License-Identifier: GPL-2.0
/*
 * Exports of plain C symbols.
 */
#include <linux/export.h>
#include <linux/vfio_pci_core.h>

#include "../abstractions/helpers.h"

/* For drivers in C. */
EXPORT_SYMBOL_GPL(vfio_pci_core_init_dev);
EXPORT_SYMBOL_GPL(vfio_pci_core_release_dev);
EXPORT_SYMBOL_GPL(vfio_pci_core_register_device);
EXPORT_SYMBOL_GPL(vfio_pci_core_unregister_device);
EXPORT_SYMBOL_GPL(vfio_pci_core_enable);
EXPORT_SYMBOL_GPL(vfio_pci_core_finish_enable);
EXPORT_SYMBOL_GPL(vfio_pci_core_disable);
EXPORT_SYMBOL_GPL(vfio_pci_core_close_device);
EXPORT_SYMBOL_GPL(vfio_pci_core_ioctl);
EXPORT_SYMBOL_GPL(vfio_pci_core_ioctl_feature);
EXPORT_SYMBOL_GPL(vfio_pci_ioctl_get_region_info);
EXPORT_SYMBOL_GPL(vfio_pci_core_read);
EXPORT_SYMBOL_GPL(vfio_pci_core_write);
EXPORT_SYMBOL_GPL(vfio_pci_core_mmap);
EXPORT_SYMBOL_GPL(vfio_pci_core_request);
EXPORT_SYMBOL_GPL(vfio_pci_core_match);
EXPORT_SYMBOL_GPL(vfio_pci_core_match_token_uuid);
EXPORT_SYMBOL_GPL(vfio_pci_core_aer_err_detected);
EXPORT_SYMBOL_GPL(vfio_pci_core_sriov_configure);
EXPORT_SYMBOL_GPL(vfio_pci_core_register_dev_region);
EXPORT_SYMBOL_GPL(vfio_pci_config_rw_single);
EXPORT_SYMBOL_GPL(vfio_pci_core_range_intersect_range);
EXPORT_SYMBOL_GPL(__vfio_pci_memory_enabled);
EXPORT_SYMBOL_GPL(vfio_pci_vmf_insert_pfn);
EXPORT_SYMBOL_GPL(vfio_pci_core_do_io_rw);
EXPORT_SYMBOL_GPL(vfio_pci_core_ioread8);
EXPORT_SYMBOL_GPL(vfio_pci_core_ioread16);
EXPORT_SYMBOL_GPL(vfio_pci_core_ioread32);
EXPORT_SYMBOL_GPL(vfio_pci_core_ioread64);
EXPORT_SYMBOL_GPL(vfio_pci_core_iowrite8);
EXPORT_SYMBOL_GPL(vfio_pci_core_iowrite16);
EXPORT_SYMBOL_GPL(vfio_pci_core_iowrite32);
EXPORT_SYMBOL_GPL(vfio_pci_core_iowrite64);

#if IS_ENABLED(CONFIG_VFIO_PCI_DMABUF)
EXPORT_SYMBOL_GPL(vfio_pci_core_fill_phys_vec);
EXPORT_SYMBOL_GPL(vfio_pci_core_get_dmabuf_phys);
#endif

#if IS_ENABLED(CONFIG_PCI_P2PDMA) && IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)
/* Looked up by iommufd with symbol_get(). */
EXPORT_SYMBOL_FOR_MODULES(vfio_pci_dma_buf_iommufd_map, "iommufd");
#endif
