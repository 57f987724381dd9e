// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros of kernel headers, as functions that the Rust
 * code of vfio-pci-core.ko can call.
 */
#include <linux/aperture.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/vgaarb.h>
#include <linux/wait.h>

#include "helpers.h"

void vfio_rust_wait_flags_init(struct vfio_rust_wait_flags *wait,
			       const char *name, struct lock_class_key *key)
{
	__init_waitqueue_head(&wait->queue, name, key);
	atomic_set(&wait->flags, 0);
	atomic_set(&wait->turns, 0);
}

void vfio_rust_wait_flags_set(struct vfio_rust_wait_flags *wait, u16 flags)
{
	atomic_or(flags, &wait->flags);
	/* Who gives way does so no longer. */
	if (atomic_read(&wait->turns))
		wake_up_all(&wait->queue);
}

void vfio_rust_wait_flags_clear(struct vfio_rust_wait_flags *wait, u16 flags)
{
	atomic_andnot(flags, &wait->flags);
	if (wq_has_sleeper(&wait->queue))
		wake_up_all(&wait->queue);
}

void vfio_rust_wait_flags_wait(struct vfio_rust_wait_flags *wait, u16 flags)
{
	wait_event(wait->queue, !(atomic_read(&wait->flags) & flags));
}

int vfio_rust_wait_flags_wait_killable(struct vfio_rust_wait_flags *wait,
				       u16 flags)
{
	return wait_event_killable(wait->queue,
				   !(atomic_read(&wait->flags) & flags)) ?
	       -EINTR : 0;
}

void vfio_rust_wait_flags_begin_turn(struct vfio_rust_wait_flags *wait)
{
	atomic_inc(&wait->turns);
}

void vfio_rust_wait_flags_end_turn(struct vfio_rust_wait_flags *wait)
{
	if (atomic_dec_and_test(&wait->turns) && wq_has_sleeper(&wait->queue))
		wake_up_all(&wait->queue);
}

/* There is nobody to give way to, or somebody else keeps those waiting. */
static bool may_go(struct vfio_rust_wait_flags *wait)
{
	return !atomic_read(&wait->turns) || atomic_read(&wait->flags);
}

void vfio_rust_wait_flags_give_way(struct vfio_rust_wait_flags *wait)
{
	wait_event(wait->queue, may_go(wait));
}

int vfio_rust_wait_flags_give_way_killable(struct vfio_rust_wait_flags *wait)
{
	return wait_event_killable(wait->queue, may_go(wait)) ? -EINTR : 0;
}

/*
 * A class for drivers whose areas have fault handlers of their own, which take the lock with
 * that of the address space held, and one for all others. A class is known by the call.
 */
void vfio_rust_pci_init_memory_lock(struct rw_semaphore *memory_lock, bool in_faults)
{
	if (in_faults)
		init_rwsem(memory_lock);
	else
		init_rwsem(memory_lock);
}

bool vfio_rust_pci_is_root_bus(struct pci_dev *pdev)
{
	return pci_is_root_bus(pdev->bus);
}

struct pci_dev *vfio_rust_pci_upstream_bridge(struct pci_dev *pdev)
{
	return pci_upstream_bridge(pdev);
}

struct pci_dev *vfio_rust_pci_physfn(struct pci_dev *pdev)
{
	return pci_physfn(pdev);
}

int vfio_rust_pci_domain_nr(struct pci_dev *pdev)
{
	return pci_domain_nr(pdev->bus);
}

/* A slot takes everything below its devices along. */
bool vfio_rust_pci_is_below_slot(struct pci_dev *pdev, struct pci_slot *slot)
{
	while (pdev && pdev->bus != slot->bus)
		pdev = pdev->bus->self;

	return pdev && pdev->slot == slot;
}

bool vfio_rust_pci_intx_mask_supported(struct pci_dev *pdev)
{
	return pci_intx_mask_supported(pdev);
}

/* On a 64-bit kernel one MMIO access, on I/O ports two. */
u64 vfio_rust_ioread64(const void __iomem *addr)
{
	return ioread64(addr);
}

void vfio_rust_iowrite64(u64 value, void __iomem *addr)
{
	iowrite64(value, addr);
}

/* With CONFIG_PCI_IOV=n these are inline functions, as the next with CONFIG_PM=n. */
unsigned int vfio_rust_pci_num_vf(struct pci_dev *pdev)
{
	return pci_num_vf(pdev);
}

int vfio_rust_pci_enable_sriov(struct pci_dev *pdev, int nr_virtfn)
{
	return pci_enable_sriov(pdev, nr_virtfn);
}

void vfio_rust_pci_disable_sriov(struct pci_dev *pdev)
{
	pci_disable_sriov(pdev);
}

void vfio_rust_pm_runtime_allow(struct device *dev)
{
	pm_runtime_allow(dev);
}

void vfio_rust_pm_runtime_forbid(struct device *dev)
{
	pm_runtime_forbid(dev);
}

int vfio_rust_pm_runtime_resume_and_get(struct device *dev)
{
	return pm_runtime_resume_and_get(dev);
}

void vfio_rust_pm_runtime_get_noresume(struct device *dev)
{
	pm_runtime_get_noresume(dev);
}

void vfio_rust_pm_runtime_put(struct device *dev)
{
	pm_runtime_put(dev);
}

void vfio_rust_pm_runtime_put_noidle(struct device *dev)
{
	pm_runtime_put_noidle(dev);
}

int vfio_rust_pm_runtime_resume(struct device *dev)
{
	return pm_runtime_resume(dev);
}

int vfio_rust_pci_domain(struct pci_dev *pdev)
{
	return pci_domain_nr(pdev->bus);
}

int vfio_rust_aperture_remove_conflicting(struct pci_dev *pdev, const char *name)
{
	return aperture_remove_conflicting_pci_devices(pdev, name);
}

int vfio_rust_vga_client_register(struct pci_dev *pdev,
				  unsigned int (*set_decode)(struct pci_dev *pdev,
							     bool single))
{
	return vga_client_register(pdev, set_decode);
}

void vfio_rust_vga_set_legacy_decoding(struct pci_dev *pdev, unsigned int decodes)
{
	vga_set_legacy_decoding(pdev, decodes);
}

int vfio_rust_vga_get(struct pci_dev *pdev, unsigned int resource)
{
	return vga_get_interruptible(pdev, resource);
}

void vfio_rust_vga_put(struct pci_dev *pdev, unsigned int resource)
{
	vga_put(pdev, resource);
}

/* Not every architecture has ports; those that do not have no VGA region. */
void __iomem *vfio_rust_ioport_map(unsigned long port, unsigned int count)
{
#ifdef CONFIG_HAS_IOPORT_MAP
	return ioport_map(port, count);
#else
	return NULL;
#endif
}

void vfio_rust_ioport_unmap(void __iomem *addr)
{
#ifdef CONFIG_HAS_IOPORT_MAP
	ioport_unmap(addr);
#endif
}
