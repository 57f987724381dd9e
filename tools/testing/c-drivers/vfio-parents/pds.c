// SPDX-License-Identifier: GPL-2.0
/*
 * The core of AMD's Pensando cards, which takes no clients unless it is told to, and does no
 * command.
 */
#include <linux/export.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>
#include <linux/pci.h>

#include <linux/pds/pds_common.h>
#include <linux/pds/pds_core_if.h>
#include <linux/pds/pds_adminq.h>

#include "vfio_parents.h"

static bool pds_clients;
module_param(pds_clients, bool, 0600);

static BLOCKING_NOTIFIER_HEAD(listeners);

int pdsc_register_notify(struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&listeners, nb);
}
EXPORT_SYMBOL_GPL(pdsc_register_notify);

void pdsc_unregister_notify(struct notifier_block *nb)
{
	blocking_notifier_chain_unregister(&listeners, nb);
}
EXPORT_SYMBOL_GPL(pdsc_unregister_notify);

void *pdsc_get_pf_struct(struct pci_dev *vf_pdev)
{
	return parents_vf_of(vf_pdev) ?: ERR_PTR(-ENODEV);
}
EXPORT_SYMBOL_GPL(pdsc_get_pf_struct);

int pds_client_register(struct pdsc *pf, char *devname)
{
	struct parents_vf *vf = (struct parents_vf *)pf;

	if (!pds_clients)
		return -EUSERS;
	atomic_inc(&vf->users);
	return 1;
}
EXPORT_SYMBOL_GPL(pds_client_register);

int pds_client_unregister(struct pdsc *pf, u16 client_id)
{
	struct parents_vf *vf = (struct parents_vf *)pf;

	atomic_dec(&vf->users);
	return 0;
}
EXPORT_SYMBOL_GPL(pds_client_unregister);

int pdsc_adminq_post(struct pdsc *pdsc, union pds_core_adminq_cmd *cmd,
		     union pds_core_adminq_comp *comp, bool fast_poll)
{
	return -ENXIO;
}
EXPORT_SYMBOL_GPL(pdsc_adminq_post);
