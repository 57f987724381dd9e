// SPDX-License-Identifier: GPL-2.0

//! Addresses for new memory areas of page frame numbers.
//!
//! A block of such an area can be one entry of a page table only where the address is aligned as
//! the block is in the file. mm does not care for that by itself, other than for page cache.
//!
//! C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)

use crate::abstractions::bindings;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// What can be mapped by one entry, largest first.
const BLOCK_SIZES: &[usize] = if cfg!(CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP) {
    &[
        1 << bindings::VFIO_RUST_PUD_SHIFT,
        1 << bindings::VFIO_RUST_PMD_SHIFT,
    ]
} else {
    &[]
};

/// Is there a block of `size` bytes, aligned to that, in `len` bytes of a file from `offset` on?
fn has_block(offset: usize, len: usize, size: usize) -> bool {
    let end = offset.checked_add(len);
    let block_end = offset
        .checked_next_multiple_of(size)
        .and_then(|block| block.checked_add(size));

    block_end.is_some() && end >= block_end
}

/// Chooses the address of an area of `len` bytes that maps `file` from page `page_offset` on.
///
/// One that the user gives, or just proposes, is what mm makes of it.
///
/// # Safety
///
/// Only mm calls this, with the mmap lock of the current process held for writing.
pub(in crate::abstractions) unsafe extern "C" fn find(
    file: *mut bindings::file,
    address: c_ulong,
    len: c_ulong,
    page_offset: c_ulong,
    flags: c_ulong,
) -> c_ulong {
    // SAFETY: By this function's contract; mm checks whatever length it is given.
    let free = |address, len| unsafe {
        bindings::mm_get_unmapped_area(file, address, len, page_offset, flags)
    };
    let is_chosen = address != 0 || flags & bindings::VFIO_RUST_MAP_FIXED != 0;
    let offset = page_offset.checked_mul(PAGE_SIZE);
    if let (false, Some(offset)) = (is_chosen, offset) {
        let sizes = BLOCK_SIZES.iter().copied();
        for size in sizes.filter(|size| has_block(offset, len, *size)) {
            // With so much more there is an address like that in it.
            let Some(padded) = len.checked_add(size - PAGE_SIZE) else {
                continue;
            };
            let start = free(0, padded);
            // Otherwise it is an error: there may be room for less.
            if start & (PAGE_SIZE - 1) == 0 {
                return start.wrapping_add(offset.wrapping_sub(start) & (size - 1));
            }
        }
    }

    free(address, len)
}
