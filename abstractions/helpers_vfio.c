// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros for the abstractions of vfio.ko; and its device
 * node names, which the driver core wants from kmalloc().
 */

#include <linux/device.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/idr.h>
#include <linux/iommufd.h>
#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/pm_runtime.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/vfio.h>

#include "helpers.h"

void vfio_rust_init_rwsem(struct rw_semaphore *sem, const char *name,
			  struct lock_class_key *key)
{
	__init_rwsem(sem, name, key);
}

void vfio_rust_vma_set_uncached(struct vm_area_struct *vma)
{
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	/* Lets arm64 KVM choose a normal, uncached type for the guest. */
	vm_flags_set(vma, VM_ALLOW_ANY_UNCACHED);
}

vm_fault_t vfio_rust_vmf_insert_pfn(struct vm_fault *vmf, unsigned long address,
				    unsigned long pfn, unsigned int order)
{
	if (!order)
		return vmf_insert_pfn(vmf->vma, address, pfn);
	if (IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) && order == PMD_ORDER)
		return vmf_insert_pfn_pmd(vmf, pfn, false);
	if (IS_ENABLED(CONFIG_ARCH_SUPPORTS_PUD_PFNMAP) && order == PUD_ORDER)
		return vmf_insert_pfn_pud(vmf, pfn, false);
	return VM_FAULT_FALLBACK;
}

/* The default of mm's fault_around_bytes. */
#define AROUND	max(SZ_64K, PAGE_SIZE)

/*
 * What an area has as its private data once mm was seen to give an entry of it the
 * protection that the area has. Otherwise mm has another caching type for the page
 * frames, which it tells nobody but vmf_insert_pfn().
 */
#define PROTECTION_KNOWN	((void *)1)

/* Entries next to each other in a page table. */
struct run {
	struct vm_area_struct *vma;
	unsigned long pfn;
	unsigned long count;
	/* The one that mm has just made, by its index, or -1. */
	long made;
};

static pte_t run_entry(const struct run *run, unsigned long index)
{
	return pte_mkspecial(pfn_pte(run->pfn + index, run->vma->vm_page_prot));
}

/* Whether two entries are the same but for what the processor changes. */
static bool is_alike(pte_t a, pte_t b)
{
	return pte_same(pte_mkold(pte_mkclean(a)), pte_mkold(pte_mkclean(b)));
}

/*
 * Called once, for the first entry: to be called for each costs more than the
 * entries do.
 */
static int run_fill(pte_t *pte, unsigned long addr, void *data)
{
	const struct run *run = data;
	unsigned long i;

	if (run->made >= 0 &&
	    !is_alike(ptep_get(pte + run->made), run_entry(run, run->made)))
		return -EINVAL;

	for (i = 0; i < run->count; i++, pte++, addr += PAGE_SIZE) {
		if (!pte_none(ptep_get(pte)))
			continue;
		set_pte_at(run->vma->vm_mm, addr, pte, run_entry(run, i));
		update_mmu_cache(run->vma, addr, pte);
	}
	return 0;
}

/* Whether the page table is there. Under the lock of a fault it stays then. */
static bool has_page_table(const struct vm_fault *vmf)
{
	pmd_t pmd = pmdp_get_lockless(vmf->pmd);

	return pmd_present(pmd) && !pmd_leaf(pmd) && !pmd_bad(pmd);
}

/*
 * Maps the page that is wanted, and those around it in the area and the file that
 * nothing is mapped at: up to @before and @after it, whose page frames are next to
 * @pfn and of the same caching type. Looking that up, which mm does for each page that
 * it is given, takes a fourth of a fault. userfaultfd has no areas of page frame
 * numbers, so there is nothing in between that it would have to be told.
 */
vm_fault_t vfio_rust_vmf_insert_pfn_around(struct vm_fault *vmf, unsigned long pfn,
					   unsigned long before, unsigned long after)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long address = vmf->address & PAGE_MASK;
	unsigned long place = ALIGN_DOWN(address, AROUND);
	unsigned long first, end;
	struct run run = { .vma = vma, .made = -1 };
	bool known;
	vm_fault_t ret;

	known = READ_ONCE(vma->vm_private_data) == PROTECTION_KNOWN &&
		vma_is_accessible(vma) && has_page_table(vmf);
	if (!known) {
		ret = vmf_insert_pfn(vma, address, pfn);
		if (ret != VM_FAULT_NOPAGE)
			return ret;
	}

	before = min(before, (address - max(place, vma->vm_start)) >> PAGE_SHIFT);
	end = min(place + AROUND - 1, vma->vm_end - 1);
	after = min(after, (end - address) >> PAGE_SHIFT);
	first = address - (before << PAGE_SHIFT);
	run.pfn = pfn - before;
	run.count = before + 1 + after;
	if (!known)
		run.made = before;
	if (apply_to_page_range(vma->vm_mm, first, PAGE_SIZE, run_fill, &run))
		return known ? vmf_insert_pfn(vma, address, pfn) : VM_FAULT_NOPAGE;

	if (!known)
		WRITE_ONCE(vma->vm_private_data, PROTECTION_KNOWN);
	return VM_FAULT_NOPAGE;
}

void vfio_rust_vma_set_pfnmap(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
}

/*
 * mm takes an entry of the size of a PUD for a table of smaller ones when an area
 * is split in the middle of it, so none must be left there.
 */
void vfio_rust_vma_before_split(struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long start = ALIGN_DOWN(addr, PUD_SIZE);

	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PUD_PFNMAP) || start == addr ||
	    start < vma->vm_start || vma->vm_end - start < PUD_SIZE)
		return;

	/* Faults that hold only the area's lock would bring it back. */
	vma_start_write(vma);
	zap_vma_range(vma, start, PUD_SIZE);
}

/*
 * When mremap() moves an area it drops entries of the size of a PUD, as bad ones
 * and without telling the TLB, so none must be left then. The new area is not
 * among those of the process yet, unlike after a split; at a fork it is another's.
 */
void vfio_rust_vma_opened(struct vm_area_struct *vma)
{
	unsigned long start = vma->vm_start, end = vma->vm_end;
	loff_t first = (loff_t)vma->vm_pgoff << PAGE_SHIFT;
	loff_t last = first + (end - start);

	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PUD_PFNMAP) ||
	    vma->vm_mm != current->mm ||
	    find_vma_intersection(vma->vm_mm, start, end))
		return;

	/* Whole entries, in other areas too, whose locks are not held to split them. */
	first = round_down(first, PUD_SIZE);
	last = round_up(last, PUD_SIZE);
	unmap_mapping_range(vma->vm_file->f_mapping, first, last - first, 1);
}

/* The file, for the caller to put, keeps loaded the code that the fault is in. */
struct file *vfio_rust_fault_unlock(struct vm_fault *vmf)
{
	struct file *file = get_file(vmf->vma->vm_file);

	release_fault_lock(vmf);

	return file;
}

struct file *vfio_rust_fget(int fd)
{
	return fget(fd);
}

void vfio_rust_ida_init(struct ida *ida)
{
	ida_init(ida);
}

/* Held while a mutex in a static of Rust code is initialised, at its first use. */
static DEFINE_MUTEX(first_use);

void vfio_rust_first_use_lock(void)
{
	mutex_lock(&first_use);
}

void vfio_rust_first_use_unlock(void)
{
	mutex_unlock(&first_use);
}

/* @limit is zero before its first use. */
bool vfio_rust_ratelimit(struct vfio_rust_ratelimit *limit)
{
	static DEFINE_SPINLOCK(first);

	/* Pairs with the release below: @state is initialised. */
	if (!smp_load_acquire(&limit->ready)) {
		guard(spinlock)(&first);
		if (!limit->ready) {
			ratelimit_default_init(&limit->state);
			/* Pairs with the acquire above. */
			smp_store_release(&limit->ready, true);
		}
	}

	return ___ratelimit(&limit->state, "vfio");
}

/* The part of array_index_nospec() that is not a macro. */
unsigned long vfio_rust_array_index_mask(unsigned long index, unsigned long size)
{
	return array_index_mask_nospec(index, size);
}

/* Returns 1 with a count taken, and 0 for a device that never sleeps. */
int vfio_rust_awake_get(struct device *dev)
{
	int ret;

	if (!pm_runtime_enabled(dev))
		return 0;
	ret = pm_runtime_resume_and_get(dev);

	return ret < 0 ? ret : 1;
}

void vfio_rust_awake_put(struct device *dev)
{
	pm_runtime_put(dev);
}

#if IS_ENABLED(CONFIG_IOMMUFD)
static void access_unmap(void *data, unsigned long iova, unsigned long length)
{
	struct vfio_rust_access_user *user = data;

	user->unmap(user, iova, length);
}

static const struct iommufd_access_ops access_ops = {
	.needs_pin_pages = 1,
	.unmap = access_unmap,
};

struct iommufd_access *
vfio_rust_iommufd_access_create(struct iommufd_ctx *ictx,
				struct vfio_rust_access_user *user, u32 *id)
{
	return iommufd_access_create(ictx, &access_ops, user, id);
}

int vfio_rust_iommufd_access_pin(struct iommufd_access *access,
				 unsigned long iova, unsigned long length,
				 struct page **pages, bool write)
{
	return iommufd_access_pin_pages(access, iova, length, pages,
					write ? IOMMUFD_ACCESS_RW_WRITE : 0);
}

/* A kernel thread has no address space to look into, so it borrows the user's. */
int vfio_rust_iommufd_access_rw(struct iommufd_access *access,
				unsigned long iova, void *data, size_t len,
				bool write)
{
	unsigned int flags = write ? IOMMUFD_ACCESS_RW_WRITE : 0;

	if (!current->mm)
		flags |= IOMMUFD_ACCESS_RW_KTHREAD;
	return iommufd_access_rw(access, iova, data, len, flags);
}
#endif

unsigned long vfio_rust_reserve_page(struct page *page)
{
	SetPageReserved(page);
	return page_to_pfn(page);
}

void vfio_rust_unreserve_page(struct page *page)
{
	ClearPageReserved(page);
}

void vfio_rust_copy_from_page(void *to, struct page *page, size_t offset,
			      size_t len)
{
	memcpy_from_page(to, page, offset, len);
}

void vfio_rust_copy_to_page(struct page *page, size_t offset, const void *from,
			    size_t len)
{
	memcpy_to_page(page, offset, from, len);
}

void vfio_rust_clear_page(struct page *page)
{
	clear_highpage(page);
}

char *vfio_rust_devnode_vfio(const struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "vfio/%s", dev_name(dev));
}

char *vfio_rust_devnode_vfio_devices(const struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "vfio/devices/%s", dev_name(dev));
}

#if IS_ENABLED(CONFIG_KVM)
/*
 * The symbol_get() of kvm_put_kvm is kept until vfio_rust_kvm_put(): it is
 * what holds the module.
 */
bool vfio_rust_kvm_get(struct kvm *kvm)
{
	bool (*get)(struct kvm *kvm);
	void (*put)(struct kvm *kvm);
	bool alive;

	put = symbol_get(kvm_put_kvm);
	if (!put)
		return false;

	get = symbol_get(kvm_get_kvm_safe);
	alive = get && get(kvm);
	if (get)
		symbol_put(kvm_get_kvm_safe);
	if (!alive)
		symbol_put(kvm_put_kvm);

	return alive;
}

void vfio_rust_kvm_put(struct kvm *kvm)
{
	void (*put)(struct kvm *kvm);

	put = symbol_get(kvm_put_kvm);
	if (!WARN_ON(!put)) {
		put(kvm);
		symbol_put(kvm_put_kvm);
	}
	symbol_put(kvm_put_kvm);
}
#else
bool vfio_rust_kvm_get(struct kvm *kvm)
{
	return false;
}

void vfio_rust_kvm_put(struct kvm *kvm)
{
}
#endif

void vfio_rust_device_set_init(struct vfio_device_set *set, void *key)
{
	set->set_id = key;
	mutex_init(&set->lock);
	INIT_LIST_HEAD(&set->device_list);
}

void vfio_rust_list_del(struct list_head *entry)
{
	list_del(entry);
}

/*
 * An enum is a part of the type that CFI compares in an indirect call, and Rust has
 * none of that type.
 */
int vfio_rust_migration_get_state(struct vfio_device *device, u32 *state)
{
	enum vfio_device_mig_state found;
	int ret;

	ret = device->mig_ops->migration_get_state(device, &found);
	if (!ret)
		*state = found;
	return ret;
}

struct file *vfio_rust_migration_set_state(struct vfio_device *device, u32 state)
{
	return device->mig_ops->migration_set_state(device, state);
}
