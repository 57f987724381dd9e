// SPDX-License-Identifier: GPL-2.0
/* The core of HiSilicon's accelerators, of which there are none: it is only linked to. */
#include <linux/export.h>

#include <linux/hisi_acc_qm.h>

struct pci_driver *hisi_sec_get_pf_driver(void)
{
	return NULL;
}
EXPORT_SYMBOL_GPL(hisi_sec_get_pf_driver);

struct pci_driver *hisi_hpre_get_pf_driver(void)
{
	return NULL;
}
EXPORT_SYMBOL_GPL(hisi_hpre_get_pf_driver);

struct pci_driver *hisi_zip_get_pf_driver(void)
{
	return NULL;
}
EXPORT_SYMBOL_GPL(hisi_zip_get_pf_driver);

int hisi_qm_wait_mb_ready(struct hisi_qm *qm)
{
	return -ENODEV;
}
EXPORT_SYMBOL_GPL(hisi_qm_wait_mb_ready);

int hisi_qm_mb(struct hisi_qm *qm, u8 cmd, dma_addr_t dma_addr, u16 queue, bool op)
{
	return -ENODEV;
}
EXPORT_SYMBOL_GPL(hisi_qm_mb);

int hisi_qm_mb_read(struct hisi_qm *qm, u64 *base, u8 cmd, u16 queue)
{
	return -ENODEV;
}
EXPORT_SYMBOL_GPL(hisi_qm_mb_read);
