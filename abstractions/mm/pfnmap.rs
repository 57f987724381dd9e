// SPDX-License-Identifier: GPL-2.0

//! Memory areas of page frame numbers that a fault handler fills.
//!
//! A fault is about one page, or about a block of them that one entry of a
//! higher page table level maps, if the area, the file and physical memory are
//! all aligned to it.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use crate::abstractions::{
    bindings,
    fs::pseudo_fs::AnonInode,
    mm::page_frames::PageFrames, //
};
use core::marker::PhantomData;
use kernel::{
    mm::virt::{
        flags,
        VmaNew,
        VmaRef, //
    },
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::Arc,
    types::ForeignOwnable, //
};

/// Who fills an area with pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Populated {
    /// The fault handler of its file.
    ByFault,
    /// The driver did, or has given it a fault handler of its own.
    ByDriver,
}

/// An area that `mmap()` is setting up.
pub struct NewMapping<'a>(&'a VmaNew);

impl<'a> NewMapping<'a> {
    pub(in crate::abstractions) fn new(vma: &'a VmaNew) -> Self {
        Self(vma)
    }

    /// The area.
    pub(in crate::abstractions) fn as_raw(&self) -> *mut bindings::vm_area_struct {
        self.0.as_ptr()
    }

    /// Length in bytes, a multiple of the page size.
    pub fn len(&self) -> usize {
        self.0.end().saturating_sub(self.0.start())
    }

    /// Whether the area is empty; mm never makes such an area.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// First page of the file that is mapped, in pages.
    pub fn page_offset(&self) -> u64 {
        // SAFETY: The area is alive and under the mmap lock during `mmap()`.
        unsafe { (*self.0.as_ptr()).vm_pgoff as u64 }
    }

    /// Whether stores go to the file (`MAP_SHARED`).
    pub fn is_shared(&self) -> bool {
        self.0.flags() & flags::SHARED != 0
    }

    /// Makes accesses through the area uncached, as device registers need it.
    pub fn set_uncached(&self) {
        // SAFETY: The area is being set up and not shared with anybody.
        unsafe { bindings::vfio_rust_vma_set_uncached(self.0.as_ptr()) };
    }
}

/// Consecutive page frames of memory of a device, at least one.
///
/// # Invariants
///
/// The kernel keeps nothing in them, whatever becomes of the device, and they have one caching
/// type. There are numbers for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRange {
    first: u64,
    pages: u64,
}

impl FrameRange {
    /// The `pages` page frames from the one with the number `first` on. `None` if there are none.
    ///
    /// # Safety
    ///
    /// They are memory of a device, there is nothing else in them, and they have one caching type.
    pub const unsafe fn new(first: u64, pages: u64) -> Option<Self> {
        if pages == 0 {
            return None;
        }
        // INVARIANT: By this function's contract.
        Some(Self { first, pages })
    }

    /// The number of the first one.
    #[inline]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// How many there are.
    #[inline]
    pub const fn pages(&self) -> u64 {
        self.pages
    }

    /// Those behind the first `count`, if there are any.
    #[inline]
    pub fn skip(self, count: u64) -> Option<Self> {
        let pages = self.pages.checked_sub(count).filter(|left| *left != 0)?;
        // INVARIANT: These are some of the same page frames.
        Some(Self {
            first: self.first.wrapping_add(count),
            pages,
        })
    }

    /// The first `count` of them, or all if there are fewer. `None` if that is none.
    #[inline]
    pub fn at_most(self, count: u64) -> Option<Self> {
        let pages = self.pages.min(count);
        // INVARIANT: These are some of the same page frames.
        (pages != 0).then_some(Self { pages, ..self })
    }
}

/// Consecutive pages of a file that an area maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePages {
    /// The offset of the first one, in pages.
    pub first: u64,
    /// How many there are.
    pub pages: u64,
}

impl FilePages {
    /// What `vma` maps from `address` on; `None` if the address is not in it.
    pub fn of_vma(vma: &VmaRef, address: usize) -> Option<Self> {
        let before = address.checked_sub(vma.start())? >> PAGE_SHIFT;
        let pages = vma.end().checked_sub(address)?.div_ceil(PAGE_SIZE);
        // SAFETY: The area is alive, and its lock or the mmap lock is held, as the reference
        // shows.
        let offset = unsafe { (*vma.as_ptr()).vm_pgoff } as u64;
        (pages > 0).then_some(Self {
            first: offset.wrapping_add(before as u64),
            pages: pages as u64,
        })
    }
}

/// A fault in such an area: mm wants a page, or a block of them.
///
/// Exists while the handler runs: under the mmap lock or the area's own lock.
///
/// # Invariants
///
/// The block of `1 << order` pages, aligned to its size, that the faulting
/// address is in lies in the area.
pub struct Fault<'a> {
    vmf: *mut bindings::vm_fault,
    order: u32,
    _vma: PhantomData<&'a VmaNew>,
}

impl Fault<'_> {
    /// How many pages are wanted, a power of two.
    #[inline]
    pub fn pages(&self) -> u64 {
        1 << self.order
    }

    /// The address of the first page that is wanted.
    #[inline]
    pub fn address(&self) -> usize {
        // SAFETY: The fault is valid while `self` exists.
        let address = unsafe { (*self.vmf).__bindgen_anon_1.address };
        address & !(block_size(self.order) - 1)
    }

    /// The first page of the file that is wanted, in pages.
    #[inline]
    pub fn page_offset(&self) -> u64 {
        // SAFETY: The fault is valid while `self` exists.
        let (address, offset) = unsafe {
            let fault = &(*self.vmf).__bindgen_anon_1;
            (fault.address, fault.pgoff as u64)
        };
        // By the type invariant, the first page is in the file too.
        offset.wrapping_sub((address.wrapping_sub(self.address()) >> PAGE_SHIFT) as u64)
    }

    /// Maps as many of `frames` as are wanted, from the one with the given index on. A page that
    /// another thread has mapped there meanwhile is success. A block that is not aligned in
    /// physical memory as well is not mapped; mm asks for its pages one at a time then.
    ///
    /// With a single page come the ones around it that nothing is mapped at yet, as far as they
    /// are in `frames` and in the area: up to 64 KiB, aligned to their size. So `frames` have to
    /// be next to each other in the file as they are in memory.
    ///
    /// `SIGBUS`: there is no such page. A block that goes beyond `frames` is not mapped, either.
    pub fn insert_frames(&self, frames: FrameRange, index: u64) -> FaultResult {
        let Some(wanted) = frames.skip(index) else {
            return FaultResult::SIGBUS;
        };
        if self.order != 0 {
            if wanted.first & (self.pages() - 1) != 0 || wanted.pages < self.pages() {
                return FaultResult::FALLBACK;
            }
            // SAFETY: By the invariants of `frames`, and there are as many.
            return unsafe { self.insert_pfn(wanted.first) };
        }
        // SAFETY: The area was made by `install()`, so it is one of page frame numbers, and its
        // lock is held during the fault, which is about one page. The helper goes no further than
        // the area, nor than the `index` page frames before this one and those behind it, which
        // users may have by the invariants of `frames`.
        FaultResult(Answer::Now(unsafe {
            bindings::vfio_rust_vmf_insert_pfn_around(
                self.vmf,
                wanted.first as usize,
                index as usize,
                wanted.pages.wrapping_sub(1) as usize,
            )
        }))
    }

    /// Maps the page of `pages` with the given index, if a single one is wanted. The inode that
    /// the file's mappings go to ([`FileOperations::address_space()`]) keeps all of them from now
    /// on. May sleep.
    ///
    /// If there is no such page, or the file has no inode that keeps pages, that is
    /// `SIGBUS`.
    ///
    /// [`FileOperations::address_space()`]:
    /// crate::abstractions::fs::file::FileOperations::address_space
    pub fn insert_page(&self, pages: &Arc<PageFrames>, index: u64) -> FaultResult {
        if self.order != 0 {
            return FaultResult::FALLBACK;
        }
        let Some(pfn) = pages.pfn(index) else {
            return FaultResult::SIGBUS;
        };
        // SAFETY: The fault is valid while `self` exists, and so is its area, which has a
        // file of ours, which has an inode.
        let inode = unsafe {
            let file = (*(*self.vmf).__bindgen_anon_1.vma).vm_file;
            (*(*file).f_mapping).host
        };
        // SAFETY: As above, the inode is alive; if it is an `AnonInode`'s, the data of the file
        // keeps that.
        match unsafe { AnonInode::keep(inode, pages) } {
            // SAFETY: The page stays as long as the inode, hence as long as the file, which every
            // area that maps it refers to.
            Ok(()) => unsafe { self.insert_pfn(pfn) },
            Err(error) if error == ENOMEM => FaultResult::OOM,
            Err(_) => FaultResult::SIGBUS,
        }
    }

    /// Maps as many page frames as are wanted, from `pfn` on.
    ///
    /// # Safety
    ///
    /// Users may have them as long as their areas map them.
    unsafe fn insert_pfn(&self, pfn: u64) -> FaultResult {
        // SAFETY: The area was made by `install()`, so it is one of page frame
        // numbers, and its lock is held during the fault; by the type
        // invariant the addresses lie in it.
        FaultResult(Answer::Now(unsafe {
            bindings::vfio_rust_vmf_insert_pfn(self.vmf, self.address(), pfn as usize, self.order)
        }))
    }
}

/// Size of a block of `1 << order` pages in bytes.
fn block_size(order: u32) -> usize {
    PAGE_SIZE << order
}

/// Something that ends by itself, after which a fault that it is in the way of can be dealt with.
pub trait Awaited: Send + Sync {
    /// Sleeps until it has ended.
    ///
    /// # Errors
    ///
    /// The task is being killed.
    fn wait(&self) -> Result;
}

/// How a fault was dealt with.
#[must_use]
pub struct FaultResult(Answer);

enum Answer {
    /// Right away.
    Now(bindings::vm_fault_t),
    /// Not yet.
    Later(Arc<dyn Awaited>),
}

impl FaultResult {
    /// The page is there.
    pub const NOPAGE: Self = Self::now(bindings::vm_fault_reason_VM_FAULT_NOPAGE);
    /// There is nothing to access; the thread gets `SIGBUS`.
    pub const SIGBUS: Self = Self::now(bindings::vm_fault_reason_VM_FAULT_SIGBUS);
    /// There is no block of that size here, but there may be smaller ones.
    pub const FALLBACK: Self = Self::now(bindings::vm_fault_reason_VM_FAULT_FALLBACK);
    /// There was no memory for page tables.
    pub const OOM: Self = Self::now(bindings::vm_fault_reason_VM_FAULT_OOM);

    const fn now(reason: bindings::vm_fault_reason) -> Self {
        Self(Answer::Now(reason as bindings::vm_fault_t))
    }

    /// The fault is to be repeated when `obstacle` has ended. The thread waits for that without
    /// the lock of the memory area, where the fault allows it, so that others can use the process'
    /// memory meanwhile, and can be killed in any case.
    pub fn after(obstacle: Arc<dyn Awaited>) -> Self {
        Self(Answer::Later(obstacle))
    }
}

/// What answers the page faults of an area: the data of its file.
pub(in crate::abstractions) trait FaultHandler: 'static {
    /// The data of the file.
    type FileData: ForeignOwnable;

    /// Answers a fault.
    fn answer(
        data: <Self::FileData as ForeignOwnable>::Borrowed<'_>,
        fault: &Fault<'_>,
    ) -> FaultResult;
}

/// Makes `vma` an area of page frame numbers with `T`'s fault handler.
///
/// # Safety
///
/// `vma` must be an area that is being set up for a file whose private data is `T::FileData`'s.
pub(in crate::abstractions) unsafe fn install<T: FaultHandler>(vma: *mut bindings::vm_area_struct) {
    // SAFETY: By this function's contract nobody else sees the area yet.
    unsafe {
        bindings::vfio_rust_vma_set_pfnmap(vma);
        (*vma).vm_ops = Operations::<T>::table();
    }
}

struct Operations<T>(PhantomData<T>);

impl<T: FaultHandler> Operations<T> {
    const TABLE: bindings::vm_operations_struct = bindings::vm_operations_struct {
        open: Some(Self::open),
        may_split: Some(Self::may_split),
        fault: Some(Self::fault),
        huge_fault: Self::HUGE_FAULT,
        map_pages: Some(Self::map_pages),
        ..pin_init::zeroed()
    };

    const fn table() -> &'static bindings::vm_operations_struct {
        &Self::TABLE
    }

    const HUGE_FAULT: Option<
        unsafe extern "C" fn(*mut bindings::vm_fault, c_uint) -> bindings::vm_fault_t,
    > = if cfg!(CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP) {
        Some(Self::huge_fault)
    } else {
        None
    };

    /// An area has come to be from another one: by a fork, a split, or a move.
    ///
    /// # Safety
    ///
    /// Only mm calls this, with the mmap lock held for writing, for areas that `install::<T>()`
    /// made or copies of them.
    unsafe extern "C" fn open(vma: *mut bindings::vm_area_struct) {
        // SAFETY: By this function's contract; an area keeps its file.
        unsafe { bindings::vfio_rust_vma_opened(vma) };
    }

    /// An area is about to be split. It always may be.
    ///
    /// # Safety
    ///
    /// Only mm calls this, with the mmap lock held for writing, for areas that `install::<T>()`
    /// made or copies of them, and addresses within them.
    unsafe extern "C" fn may_split(vma: *mut bindings::vm_area_struct, address: c_ulong) -> c_int {
        // SAFETY: By this function's contract.
        unsafe { bindings::vfio_rust_vma_before_split(vma, address) };
        0
    }

    /// Maps nothing, as it may not sleep. But mm knows by it that `fault()` needs no more than the
    /// area's own lock, and neither tries twice nor takes the lock of all areas of the process.
    ///
    /// # Safety
    ///
    /// Only mm calls this, for areas that `install::<T>()` made.
    unsafe extern "C" fn map_pages(
        _vmf: *mut bindings::vm_fault,
        _first: c_ulong,
        _last: c_ulong,
    ) -> bindings::vm_fault_t {
        0
    }

    /// # Safety
    ///
    /// Only mm calls this, for areas that `install::<T>()` made.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: By this function's contract.
        unsafe { Self::huge_fault(vmf, 0) }
    }

    /// # Safety
    ///
    /// Only mm calls this, for areas that `install::<T>()` made.
    unsafe extern "C" fn huge_fault(
        vmf: *mut bindings::vm_fault,
        order: c_uint,
    ) -> bindings::vm_fault_t {
        // SAFETY: mm passes a valid fault, with the area's lock held; the area
        // holds a reference to its file, whose private data is `T::FileData`'s by
        // `install()`'s contract, until the file's release.
        let (data, area, address) = unsafe {
            let fault = &(*vmf).__bindgen_anon_1;
            let file = (*fault.vma).vm_file;
            (
                T::FileData::borrow((*file).private_data),
                VmaRef::from_raw(fault.vma),
                fault.address,
            )
        };
        let first = address & !(block_size(order) - 1);
        let fits = first >= area.start()
            && first
                .checked_add(block_size(order))
                .is_some_and(|end| end <= area.end());
        if !fits {
            return bindings::vm_fault_reason_VM_FAULT_FALLBACK as bindings::vm_fault_t;
        }
        // INVARIANT: Just checked.
        let fault = Fault {
            vmf,
            order,
            _vma: PhantomData,
        };
        match T::answer(data, &fault).0 {
            Answer::Now(reasons) => reasons,
            // SAFETY: The fault is valid, and what the handler has seen of it is gone.
            Answer::Later(obstacle) => unsafe { wait_for(vmf, &*obstacle) },
        }
    }
}

/// Waits until `obstacle` has ended, and returns what makes mm repeat the fault.
///
/// Not inlined: generic code is compiled in the module that uses it, which
/// cannot call the C helpers of this one.
///
/// # Safety
///
/// `vmf` must be a fault that its handler is about to return from. Neither it nor the area is to be
/// touched afterwards.
#[inline(never)]
unsafe fn wait_for(vmf: *mut bindings::vm_fault, obstacle: &dyn Awaited) -> bindings::vm_fault_t {
    // SAFETY: By this function's contract.
    let flags = unsafe { (*vmf).flags };
    if flags & bindings::fault_flag_FAULT_FLAG_ALLOW_RETRY == 0 {
        // Nobody expects the lock to be gone. Without a page the access faults again.
        return match obstacle.wait() {
            Ok(()) => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            Err(_) => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
        } as bindings::vm_fault_t;
    }
    if flags & bindings::fault_flag_FAULT_FLAG_RETRY_NOWAIT == 0 {
        // SAFETY: The lock that the fault came with is held, and by the flags mm expects it to be
        // released with the result below.
        let file = unsafe { bindings::vfio_rust_fault_unlock(vmf) };
        // mm looks for signals before it repeats the fault.
        let _ = obstacle.wait();
        // SAFETY: The call above has taken a reference.
        unsafe { bindings::fput(file) };
    }
    bindings::vm_fault_reason_VM_FAULT_RETRY as bindings::vm_fault_t
}

/// Pages per byte count, rounded up.
pub const fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(1 << PAGE_SHIFT)
}
