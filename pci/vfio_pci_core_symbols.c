// SPDX-License-Identifier: GPL-2.0
/*
 * Exports of plain C symbols.
 */
#include <linux/export.h>
#include <linux/vfio_pci_core.h>

#if IS_ENABLED(CONFIG_PCI_P2PDMA) && IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)
/* Looked up by iommufd with symbol_get(). */
EXPORT_SYMBOL_FOR_MODULES(vfio_pci_dma_buf_iommufd_map, "iommufd");
#endif
