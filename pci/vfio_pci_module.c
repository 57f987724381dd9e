// SPDX-License-Identifier: GPL-2.0
/*
 * What the module! macro of the kernel crate cannot express: parameters that
 * are strings or writable in sysfs, and a device table of override-only ids.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>

#include "../abstractions/helpers.h"

/* Only read while the module is initialised. */
static char ids[1024];
module_param_string(ids, ids, sizeof(ids), 0);
MODULE_PARM_DESC(ids,
		 "PCI ids to bind, a comma separated list of vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]");

static bool nointxmask;
module_param(nointxmask, bool, 0644);
MODULE_PARM_DESC(nointxmask,
		 "Do not mask INTx in the device (PCI 2.3); requires an exclusive interrupt line");

static bool disable_idle_d3;
module_param(disable_idle_d3, bool, 0644);
MODULE_PARM_DESC(disable_idle_d3,
		 "Keep devices that are bound but not in use out of the D3 power state");

#ifdef CONFIG_VFIO_RUST_PCI_VGA
static bool disable_vga;
module_param(disable_vga, bool, 0444);
MODULE_PARM_DESC(disable_vga,
		 "Do not give users the legacy VGA addresses of VGA devices");
#endif

#ifdef CONFIG_PCI_IOV
static bool enable_sriov;
module_param(enable_sriov, bool, 0644);
MODULE_PARM_DESC(enable_sriov,
		 "Allow virtual functions to be enabled through sysfs");
#endif

static bool disable_denylist;
module_param(disable_denylist, bool, 0444);
MODULE_PARM_DESC(disable_denylist,
		 "Allow devices whose known errata make them unsafe in the hands of untrusted users");

/* Matches every device, but only by driver_override. */
static const struct pci_device_id vfio_pci_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID, PCI_ANY_ID) },
	{}
};
MODULE_DEVICE_TABLE(pci, vfio_pci_table);

const struct pci_device_id *vfio_rust_pci_id_table(void)
{
	return vfio_pci_table;
}

const char *vfio_rust_pci_param_ids(void)
{
	return ids;
}

bool vfio_rust_pci_param_nointxmask(void)
{
	return nointxmask;
}

bool vfio_rust_pci_param_disable_idle_d3(void)
{
	return disable_idle_d3;
}

bool vfio_rust_pci_param_disable_vga(void)
{
#ifdef CONFIG_VFIO_RUST_PCI_VGA
	return disable_vga;
#else
	return true;
#endif
}

bool vfio_rust_pci_param_enable_sriov(void)
{
#ifdef CONFIG_PCI_IOV
	return enable_sriov;
#else
	return false;
#endif
}

bool vfio_rust_pci_param_disable_denylist(void)
{
	return disable_denylist;
}
