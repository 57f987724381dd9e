// SPDX-License-Identifier: GPL-2.0
/*
 * Tables of callbacks for drivers in C, and what is asked of those that drivers bring.
 * Functions are compared here, as Rust may give two of them one address.
 */
#include <linux/export.h>
#include <linux/pm_runtime.h>
#include <linux/vfio_pci_core.h>

#include "../abstractions/helpers.h"

static pci_ers_result_t slot_reset(struct pci_dev *pdev)
{
	vfio_rust_pci_link_reset(pdev);
	return PCI_ERS_RESULT_RECOVERED;
}

/*
 * More than the one in C has: a driver with this table lets the core hear of resets, and of the
 * end of an error.
 */
const struct pci_error_handlers vfio_pci_core_err_handlers = {
	.error_detected = vfio_pci_core_aer_err_detected,
	.slot_reset = slot_reset,
	.reset_prepare = vfio_rust_pci_reset_prepare,
	.reset_done = vfio_rust_pci_reset_done,
	.resume = vfio_rust_pci_recovered,
};
EXPORT_SYMBOL_GPL(vfio_pci_core_err_handlers);

static int runtime_suspend(struct device *dev)
{
	vfio_rust_pci_runtime_suspend(dev);
	return 0;
}

static int runtime_resume(struct device *dev)
{
	vfio_rust_pci_runtime_resume(dev);
	return 0;
}

static const struct dev_pm_ops pm_ops = {
	SET_RUNTIME_PM_OPS(runtime_suspend, runtime_resume, NULL)
};

void vfio_rust_pci_set_pm_operations(struct pci_dev *pdev)
{
	pdev->dev.driver->pm = &pm_ops;
}

bool vfio_rust_pci_announces_resets(struct pci_dev *pdev)
{
	return pdev->dev.driver &&
	       to_pci_driver(pdev->dev.driver)->err_handler == &vfio_pci_core_err_handlers;
}

bool vfio_rust_pci_maps_as_core(const struct vfio_device_ops *ops)
{
	return ops->mmap == vfio_pci_core_mmap;
}

void vfio_rust_pci_assert_memory_locked(const struct vfio_pci_core_device *vdev)
{
	lockdep_assert_held_read(&vdev->memory_lock);
}
