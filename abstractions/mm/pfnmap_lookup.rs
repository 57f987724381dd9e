// SPDX-License-Identifier: GPL-2.0

//! Which page frames are behind a mapping that has no struct pages.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use crate::abstractions::mm::{
    pinned_pages::DmaRun,
    user_memory::ReadLockedMm, //
};
use crate::run::Run;
use kernel::{
    mm::virt::{
        flags,
        VmaRef, //
    },
    page::PAGE_SHIFT,
    prelude::*, //
};
use vfio::{
    abstractions::{
        bindings,
        mm::pfnmap::FrameRange, //
    },
    notifier::WatchedMemory, //
};

/// What one entry of the page table, at whatever level, maps from an address on; or what a page
/// fault would put there.
pub(crate) struct Leaf {
    pfn: u64,
    pages: u64,
    writable: bool,
}

/// What there is at an address.
pub(crate) enum Lookup<T = Leaf> {
    /// The address is in no VMA of plain page frames.
    NotPfnmap,
    /// The address is in such a VMA, but nothing is mapped there now.
    Absent,
    /// What is mapped there.
    Present(T),
}

impl ReadLockedMm<'_> {
    /// Looks `address` up in the page table, if it is in a `VM_PFNMAP` VMA.
    ///
    /// The leaf may be gone as soon as this returns. Only who owns the page
    /// frames can say when they may no longer be used.
    pub(crate) fn pfnmap_leaf(&self, address: usize) -> Lookup {
        let Some(vma) = self.pfnmap_vma(address) else {
            return Lookup::NotPfnmap;
        };
        let mut args = bindings::follow_pfnmap_args {
            vma: vma.as_ptr(),
            address,
            ..Default::default()
        };
        // SAFETY: The VMA is valid, and the mmap lock is held for reading, both
        // while `self` is borrowed.
        if unsafe { bindings::follow_pfnmap_start(&raw mut args) } != 0 {
            return Lookup::Absent;
        }
        // The address mask has ones for the bits above the leaf's size.
        let index = !args.addr_mask & address;
        let leaf_size = (!args.addr_mask).saturating_add(1);
        let in_leaf = leaf_size.saturating_sub(index);
        let leaf = Leaf {
            pfn: args.pfn as u64,
            pages: (in_leaf.min(vma.end().saturating_sub(address)) >> PAGE_SHIFT) as u64,
            writable: args.writable,
        };
        // SAFETY: Ends what the successful `follow_pfnmap_start()` began.
        unsafe { bindings::follow_pfnmap_end(&raw mut args) };
        Lookup::Present(leaf)
    }
}

impl Leaf {
    /// Page frames that `vma` maps, as its owner says, whether they are in the page table or not.
    ///
    /// `None`: the user may not read them there, let alone write.
    pub(crate) fn of_frames(vma: &VmaRef, frames: FrameRange) -> Option<Self> {
        (vma.flags() & flags::READ != 0).then_some(Self {
            pfn: frames.first(),
            pages: frames.pages(),
            writable: vma.flags() & flags::WRITE != 0,
        })
    }

    /// The first `limit` pages of the leaf, for a device that may `write`. They are of `memory`,
    /// which is watched; without, nobody tells when they are given to somebody else.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the leaf is read-only, but writes are asked for; or it maps
    /// ordinary memory, which could be freed and used anew at any time, since
    /// nothing here holds a reference on it; or there is no `memory`, unless the kernel was
    /// configured to accept that.
    pub(crate) fn into_run(
        self,
        limit: u64,
        write: bool,
        memory: Option<WatchedMemory>,
    ) -> Result<DmaRun> {
        // SAFETY: Any number may be asked about.
        let ordinary = unsafe { bindings::vfio_rust_pfn_is_ordinary(self.pfn as usize) };
        let foreign = memory.is_none() && !cfg!(CONFIG_VFIO_RUST_UNSAFE_PFNMAP);
        if ordinary || foreign || (write && !self.writable) {
            return Err(EFAULT);
        }
        let pages = self.pages.min(limit).min(Run::MAX_PAGES);
        DmaRun::of_device(self.pfn, pages, write, memory).ok_or(EFAULT)
    }
}
