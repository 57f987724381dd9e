/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inline functions and macros of kernel headers that bindgen cannot bind,
 * as plain functions. One section per module that links them.
 */
#ifndef VFIO_RUST_HELPERS_H
#define VFIO_RUST_HELPERS_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/ratelimit_types.h>
#include <linux/rwsem.h>
#include <linux/vfio_device_memory.h>
#include <linux/vgaarb.h>
#include <linux/wait.h>

/* helpers_vfio.c */
struct iommufd_access;
struct iommufd_ctx;
struct kvm;

static const unsigned int VFIO_RUST_MINORBITS = MINORBITS;
static const fmode_t VFIO_RUST_FMODE_PREAD_PWRITE =
	(__force fmode_t)((__force u32)FMODE_PREAD | (__force u32)FMODE_PWRITE);
/* Not literals on every architecture. */
static const unsigned int VFIO_RUST_PMD_SHIFT = PMD_SHIFT;
static const unsigned int VFIO_RUST_PUD_SHIFT = PUD_SHIFT;
static const unsigned long VFIO_RUST_MAP_FIXED = MAP_FIXED;

void vfio_rust_init_rwsem(struct rw_semaphore *sem, const char *name,
			  struct lock_class_key *key);
void vfio_rust_vma_set_uncached(struct vm_area_struct *vma);
vm_fault_t vfio_rust_vmf_insert_pfn(struct vm_fault *vmf, unsigned long address,
				    unsigned long pfn, unsigned int order);
void vfio_rust_vma_set_pfnmap(struct vm_area_struct *vma);
void vfio_rust_vma_before_split(struct vm_area_struct *vma, unsigned long addr);
void vfio_rust_vma_opened(struct vm_area_struct *vma);
vm_fault_t vfio_rust_vmf_insert_pfn_around(struct vm_fault *vmf, unsigned long pfn,
					   unsigned long before, unsigned long after);
struct file *vfio_rust_fault_unlock(struct vm_fault *vmf);
struct file *vfio_rust_fget(int fd);
struct ida;
void vfio_rust_ida_init(struct ida *ida);
void vfio_rust_first_use_lock(void);
void vfio_rust_first_use_unlock(void);

struct vfio_rust_ratelimit {
	struct ratelimit_state state;
	bool ready;
};

bool vfio_rust_ratelimit(struct vfio_rust_ratelimit *limit);
unsigned long vfio_rust_array_index_mask(unsigned long index, unsigned long size);
struct device;
int vfio_rust_awake_get(struct device *dev);
void vfio_rust_awake_put(struct device *dev);

struct vfio_rust_access_user {
	void (*unmap)(struct vfio_rust_access_user *user, unsigned long iova,
		      unsigned long length);
};

struct iommufd_access *
vfio_rust_iommufd_access_create(struct iommufd_ctx *ictx,
				struct vfio_rust_access_user *user, u32 *id);
int vfio_rust_iommufd_access_pin(struct iommufd_access *access,
				 unsigned long iova, unsigned long length,
				 struct page **pages, bool write);
int vfio_rust_iommufd_access_rw(struct iommufd_access *access,
				unsigned long iova, void *data, size_t len,
				bool write);
unsigned long vfio_rust_reserve_page(struct page *page);
void vfio_rust_unreserve_page(struct page *page);
void vfio_rust_copy_from_page(void *to, struct page *page, size_t offset,
			      size_t len);
void vfio_rust_copy_to_page(struct page *page, size_t offset, const void *from,
			    size_t len);
void vfio_rust_clear_page(struct page *page);
char *vfio_rust_devnode_vfio(const struct device *dev, umode_t *mode);
char *vfio_rust_devnode_vfio_devices(const struct device *dev, umode_t *mode);
struct vfio_device;
struct vfio_device_ops;
struct vfio_device_set;
void vfio_rust_device_set_init(struct vfio_device_set *set, void *key);
void vfio_rust_list_del(struct list_head *entry);
int vfio_rust_migration_get_state(struct vfio_device *device, u32 *state);
struct file *vfio_rust_migration_set_state(struct vfio_device *device, u32 state);
bool vfio_rust_kvm_get(struct kvm *kvm);
void vfio_rust_kvm_put(struct kvm *kvm);

/* vfio_iommufd_ops.c */
bool vfio_rust_iommufd_ops_are_physical(const struct vfio_device_ops *ops);
bool vfio_rust_iommufd_ops_are_emulated(const struct vfio_device_ops *ops);

/* vfio_module.c */
bool vfio_rust_enable_unsafe_noiommu_mode(void);

/* helpers_type1.c */
struct iommu_domain;
struct iommu_iotlb_gather;
struct task_struct;
void vfio_rust_cond_resched(void);
bool vfio_rust_fatal_signal_pending(void);
bool vfio_rust_access_ok(unsigned long addr, unsigned long size);
int vfio_rust_copy_from_mm(struct mm_struct *mm, void *to, unsigned long addr,
			   unsigned long size);
int vfio_rust_copy_to_mm(struct mm_struct *mm, unsigned long addr,
			 const void *from, unsigned long size);
void vfio_rust_iotlb_gather_init(struct iommu_iotlb_gather *gather);
void vfio_rust_iotlb_sync(struct iommu_domain *domain,
			  struct iommu_iotlb_gather *gather);
int vfio_rust_mmap_write_lock_killable(struct mm_struct *mm);
void vfio_rust_mmap_write_lock(struct mm_struct *mm);
void vfio_rust_mmap_write_unlock(struct mm_struct *mm);
unsigned long vfio_rust_task_rlimit(const struct task_struct *task,
				    unsigned int limit);
unsigned long vfio_rust_untagged_addr_remote(struct mm_struct *mm,
					     unsigned long addr);
size_t vfio_rust_num_pages_contiguous(struct page **pages, size_t nr_pages);
struct page *vfio_rust_pfn_to_page(unsigned long pfn);
unsigned long vfio_rust_page_to_pfn(struct page *page);
bool vfio_rust_pfn_is_ordinary(unsigned long pfn);
bool vfio_rust_page_is_reserved(struct page *page);

struct vfio_rust_changes {
	wait_queue_head_t queue;
	atomic_t count;
};

void vfio_rust_changes_init(struct vfio_rust_changes *changes, const char *name,
			    struct lock_class_key *key);
int vfio_rust_changes_seen(struct vfio_rust_changes *changes);
bool vfio_rust_changes_count(struct vfio_rust_changes *changes);
void vfio_rust_changes_wake(struct vfio_rust_changes *changes);
int vfio_rust_changes_wait_killable(struct vfio_rust_changes *changes, int seen);

/* type1/vfio_iommu_type1_module.c */
bool vfio_rust_type1_allow_unsafe_interrupts(void);
bool vfio_rust_type1_disable_hugepages(void);
unsigned int vfio_rust_type1_dma_entry_limit(void);

/* pci/vfio_pci_core_handlers.c, and what that calls */
struct vfio_pci_core_device;
struct vfio_device_ops;
void vfio_rust_pci_set_pm_operations(struct pci_dev *pdev);
bool vfio_rust_pci_announces_resets(struct pci_dev *pdev);
bool vfio_rust_pci_maps_as_core(const struct vfio_device_ops *ops);
void vfio_rust_pci_assert_memory_locked(const struct vfio_pci_core_device *vdev);
void vfio_rust_pci_reset_prepare(struct pci_dev *pdev);
void vfio_rust_pci_reset_done(struct pci_dev *pdev);
void vfio_rust_pci_link_reset(struct pci_dev *pdev);
void vfio_rust_pci_recovered(struct pci_dev *pdev);
void vfio_rust_pci_runtime_suspend(struct device *dev);
void vfio_rust_pci_runtime_resume(struct device *dev);

/* In no header for drivers, or not with every order of headers. */
ssize_t vfio_pci_config_rw_single(struct vfio_pci_core_device *vdev, char __user *buf,
				  size_t count, loff_t *ppos, bool iswrite);
int vfio_pci_core_ioread64(struct vfio_pci_core_device *vdev, bool test_mem, u64 *val,
			   void __iomem *io);
int vfio_pci_core_iowrite64(struct vfio_pci_core_device *vdev, bool test_mem, u64 val,
			    void __iomem *io);

/* helpers_pci.c */
void vfio_rust_pci_init_memory_lock(struct rw_semaphore *memory_lock, bool in_faults);
struct vfio_rust_wait_flags {
	wait_queue_head_t queue;
	atomic_t flags;
	atomic_t turns;
};

void vfio_rust_wait_flags_init(struct vfio_rust_wait_flags *wait,
			       const char *name, struct lock_class_key *key);
void vfio_rust_wait_flags_set(struct vfio_rust_wait_flags *wait, u16 flags);
void vfio_rust_wait_flags_clear(struct vfio_rust_wait_flags *wait, u16 flags);
void vfio_rust_wait_flags_wait(struct vfio_rust_wait_flags *wait, u16 flags);
int vfio_rust_wait_flags_wait_killable(struct vfio_rust_wait_flags *wait,
				       u16 flags);
void vfio_rust_wait_flags_begin_turn(struct vfio_rust_wait_flags *wait);
void vfio_rust_wait_flags_end_turn(struct vfio_rust_wait_flags *wait);
void vfio_rust_wait_flags_give_way(struct vfio_rust_wait_flags *wait);
int vfio_rust_wait_flags_give_way_killable(struct vfio_rust_wait_flags *wait);
struct pci_dev;
bool vfio_rust_pci_is_root_bus(struct pci_dev *pdev);
struct pci_dev *vfio_rust_pci_upstream_bridge(struct pci_dev *pdev);
struct pci_dev *vfio_rust_pci_physfn(struct pci_dev *pdev);
int vfio_rust_pci_domain_nr(struct pci_dev *pdev);
struct pci_slot;
bool vfio_rust_pci_is_below_slot(struct pci_dev *pdev, struct pci_slot *slot);
bool vfio_rust_pci_intx_mask_supported(struct pci_dev *pdev);
u64 vfio_rust_ioread64(const void __iomem *addr);
void vfio_rust_iowrite64(u64 value, void __iomem *addr);
unsigned int vfio_rust_pci_num_vf(struct pci_dev *pdev);
int vfio_rust_pci_enable_sriov(struct pci_dev *pdev, int nr_virtfn);
void vfio_rust_pci_disable_sriov(struct pci_dev *pdev);
void vfio_rust_pm_runtime_allow(struct device *dev);
void vfio_rust_pm_runtime_forbid(struct device *dev);
int vfio_rust_pm_runtime_resume_and_get(struct device *dev);
void vfio_rust_pm_runtime_get_noresume(struct device *dev);
void vfio_rust_pm_runtime_put(struct device *dev);
void vfio_rust_pm_runtime_put_noidle(struct device *dev);
int vfio_rust_pm_runtime_resume(struct device *dev);
static const unsigned int VFIO_RUST_VGA_LEGACY_IO = VGA_RSRC_LEGACY_IO;
static const unsigned int VFIO_RUST_VGA_LEGACY_MEM = VGA_RSRC_LEGACY_MEM;
static const unsigned int VFIO_RUST_VGA_NORMAL =
	VGA_RSRC_NORMAL_IO | VGA_RSRC_NORMAL_MEM;
int vfio_rust_pci_domain(struct pci_dev *pdev);
int vfio_rust_aperture_remove_conflicting(struct pci_dev *pdev, const char *name);
int vfio_rust_vga_client_register(struct pci_dev *pdev,
				  unsigned int (*set_decode)(struct pci_dev *pdev,
							     bool single));
void vfio_rust_vga_set_legacy_decoding(struct pci_dev *pdev, unsigned int decodes);
int vfio_rust_vga_get(struct pci_dev *pdev, unsigned int resource);
void vfio_rust_vga_put(struct pci_dev *pdev, unsigned int resource);
void __iomem *vfio_rust_ioport_map(unsigned long port, unsigned int count);
void vfio_rust_ioport_unmap(void __iomem *addr);

/* pci/vfio_pci_module.c */
struct pci_device_id;
const struct pci_device_id *vfio_rust_pci_id_table(void);
const char *vfio_rust_pci_param_ids(void);
bool vfio_rust_pci_param_nointxmask(void);
bool vfio_rust_pci_param_disable_idle_d3(void);
bool vfio_rust_pci_param_disable_vga(void);
bool vfio_rust_pci_param_enable_sriov(void);
bool vfio_rust_pci_param_disable_denylist(void);

#endif
