// SPDX-License-Identifier: GPL-2.0

#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmap_lock.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "helpers.h"

void vfio_rust_cond_resched(void)
{
	cond_resched();
}

bool vfio_rust_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

/* Whether this is in a user's half of the address space. */
bool vfio_rust_access_ok(unsigned long addr, unsigned long size)
{
	return access_ok((const void __user *)addr, size);
}

/* A kernel thread has no address space, so it borrows the user's. */
static bool borrow_mm(struct mm_struct *mm)
{
	if (current->mm || !(current->flags & PF_KTHREAD))
		return false;
	kthread_use_mm(mm);
	return true;
}

int vfio_rust_copy_from_mm(struct mm_struct *mm, void *to, unsigned long addr,
			   unsigned long size)
{
	bool borrowed = borrow_mm(mm);
	unsigned long left = size;

	if (current->mm == mm)
		left = copy_from_user(to, (const void __user *)addr, size);
	if (borrowed)
		kthread_unuse_mm(mm);
	return left ? -EFAULT : 0;
}

int vfio_rust_copy_to_mm(struct mm_struct *mm, unsigned long addr,
			 const void *from, unsigned long size)
{
	bool borrowed = borrow_mm(mm);
	unsigned long left = size;

	if (current->mm == mm)
		left = copy_to_user((void __user *)addr, from, size);
	if (borrowed)
		kthread_unuse_mm(mm);
	return left ? -EFAULT : 0;
}

void vfio_rust_iotlb_gather_init(struct iommu_iotlb_gather *gather)
{
	iommu_iotlb_gather_init(gather);
}

void vfio_rust_iotlb_sync(struct iommu_domain *domain,
			  struct iommu_iotlb_gather *gather)
{
	iommu_iotlb_sync(domain, gather);
}

int vfio_rust_mmap_write_lock_killable(struct mm_struct *mm)
{
	return mmap_write_lock_killable(mm);
}

void vfio_rust_mmap_write_lock(struct mm_struct *mm)
{
	mmap_write_lock(mm);
}

void vfio_rust_mmap_write_unlock(struct mm_struct *mm)
{
	mmap_write_unlock(mm);
}

unsigned long vfio_rust_task_rlimit(const struct task_struct *task,
				    unsigned int limit)
{
	return task_rlimit(task, limit);
}

unsigned long vfio_rust_untagged_addr_remote(struct mm_struct *mm,
					     unsigned long addr)
{
	return untagged_addr_remote(mm, addr);
}

size_t vfio_rust_num_pages_contiguous(struct page **pages, size_t nr_pages)
{
	return num_pages_contiguous(pages, nr_pages);
}

struct page *vfio_rust_pfn_to_page(unsigned long pfn)
{
	return pfn_to_page(pfn);
}

unsigned long vfio_rust_page_to_pfn(struct page *page)
{
	return page_to_pfn(page);
}

/* Whether this is no memory that the page allocator hands out. */
bool vfio_rust_page_is_reserved(struct page *page)
{
	return PageReserved(page);
}

/* Memory that the page allocator hands out, as opposed to a device's. */
bool vfio_rust_pfn_is_ordinary(unsigned long pfn)
{
	return pfn_valid(pfn) && !PageReserved(pfn_to_page(pfn));
}

void vfio_rust_changes_init(struct vfio_rust_changes *changes, const char *name,
			    struct lock_class_key *key)
{
	__init_waitqueue_head(&changes->queue, name, key);
	atomic_set(&changes->count, 0);
}

int vfio_rust_changes_seen(struct vfio_rust_changes *changes)
{
	return atomic_read(&changes->count);
}

/*
 * Counts one more; whether anybody is to be woken. Who goes to sleep after this has
 * looked finds that the count has changed.
 */
bool vfio_rust_changes_count(struct vfio_rust_changes *changes)
{
	atomic_inc(&changes->count);
	return wq_has_sleeper(&changes->queue);
}

void vfio_rust_changes_wake(struct vfio_rust_changes *changes)
{
	wake_up_all(&changes->queue);
}

int vfio_rust_changes_wait_killable(struct vfio_rust_changes *changes, int seen)
{
	return wait_event_killable(changes->queue,
				   atomic_read(&changes->count) != seen) ?
	       -EINTR : 0;
}
