// SPDX-License-Identifier: GPL-2.0

//! Ranges of addresses that drivers in C log.
//!
//! C headers: [`include/linux/vfio.h`](srctree/include/linux/vfio.h),
//! [`include/linux/interval_tree.h`](srctree/include/linux/interval_tree.h)

use crate::{
    abstractions::{
        bindings,
        exports::signature::signatures, //
    },
    device::dma_logging::nearest::{
        joined,
        nearest, //
    }, //
};
use core::{
    iter,
    ops::RangeInclusive,
    ptr::NonNull, //
};
use kernel::warn_on;

signatures!(vfio_combine_iova_ranges);

type Node = NonNull<bindings::interval_tree_node>;

/// The nodes of a tree, in ascending order.
///
/// # Safety
///
/// `root` must be valid, and its tree stay as it is as long as the result is used.
unsafe fn nodes(root: *mut bindings::rb_root_cached) -> impl Iterator<Item = Node> {
    // SAFETY: By this function's contract.
    let first = unsafe { bindings::interval_tree_iter_first(root, 0, usize::MAX) };
    iter::successors(NonNull::new(first), |node| {
        // SAFETY: By this function's contract the node is in the tree.
        let next = unsafe { bindings::interval_tree_iter_next(node.as_ptr(), 0, usize::MAX) };
        NonNull::new(next)
    })
}

/// # Safety
///
/// `node` must be valid.
unsafe fn range(node: Node) -> RangeInclusive<u64> {
    // SAFETY: By this function's contract.
    let (start, last) = unsafe { ((*node.as_ptr()).start, (*node.as_ptr()).last) };
    // CAST: Widen.
    start as u64..=last as u64
}

/// Makes one node of the two neighbours that are the nearest; returns whether there are two.
///
/// # Safety
///
/// `root` must be valid, and nobody else use the tree.
unsafe fn combine_nearest(root: *mut bindings::rb_root_cached) -> bool {
    // SAFETY: By this function's contract; and all nodes are valid.
    let ranges = unsafe { nodes(root) }.map(|node| unsafe { range(node) });
    let Some(index) = nearest(ranges) else {
        return false;
    };
    // SAFETY: By this function's contract; both are taken from here before the tree changes.
    let mut pair = unsafe { nodes(root) }.skip(index);
    let (Some(first), Some(second)) = (pair.next(), pair.next()) else {
        return false;
    };
    // SAFETY: Both are in the tree. What a node says of its range can be changed while it is not.
    unsafe {
        let whole = joined(&range(first), &range(second));
        bindings::interval_tree_remove(second.as_ptr(), root);
        bindings::interval_tree_remove(first.as_ptr(), root);
        // CAST: That of one of both.
        (*first.as_ptr()).last = *whole.end() as usize;
        bindings::interval_tree_insert(first.as_ptr(), root);
    }
    true
}

/// Makes `req_nodes` of the `cur_nodes` ranges of a tree, so that they cover as little as possible
/// of what is between them. The nodes that are left were there before; the others are not in the
/// tree any more.
///
/// # Safety
///
/// `root` must be valid, its tree be one of `interval_tree_node`, and nobody else use it.
#[no_mangle]
pub unsafe extern "C" fn vfio_combine_iova_ranges(
    root: *mut bindings::rb_root_cached,
    cur_nodes: u32,
    req_nodes: u32,
) {
    if req_nodes == 1 {
        // SAFETY: By this function's contract.
        warn_on!(unsafe { nodes(root) }.next().is_none());
        // SAFETY: By this function's contract.
        while unsafe { combine_nearest(root) } {}
        return;
    }
    for _ in req_nodes..cur_nodes {
        // SAFETY: By this function's contract.
        let combined = unsafe { combine_nearest(root) };
        if warn_on!(!combined) {
            return;
        }
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_exports_dma_logging)]
mod tests {
    use super::*;
    use crate::abstractions::bindings::{
        interval_tree_node,
        rb_root_cached, //
    };
    use core::pin::pin;
    use kernel::prelude::*;

    /// What is left of ranges if there are to be `count`, and the driver thinks that there are
    /// `current`.
    fn combined(
        ranges: &[(usize, usize)],
        current: u32,
        count: u32,
    ) -> Result<KVec<RangeInclusive<u64>>> {
        let mut storage = KVec::new();
        for (start, last) in ranges {
            let node = interval_tree_node {
                start: *start,
                last: *last,
                ..Default::default()
            };
            storage.push(node, GFP_KERNEL)?;
        }
        let mut root = pin!(rb_root_cached::default());
        let root = &mut *root;
        for node in storage.iter_mut() {
            // SAFETY: Neither moves as long as the tree is used.
            unsafe { bindings::interval_tree_insert(node, root) };
        }
        // SAFETY: The tree is this function's.
        unsafe { vfio_combine_iova_ranges(root, current, count) };
        let mut found = KVec::new();
        // SAFETY: The tree does not change any more.
        for node in unsafe { nodes(root) } {
            // SAFETY: As it is in the tree.
            found.push(unsafe { range(node) }, GFP_KERNEL)?;
        }
        // What the tree knows of its nodes is true.
        // SAFETY: As above.
        let last = unsafe { bindings::interval_tree_iter_first(root, usize::MAX, usize::MAX) };
        let ends_there = found.last().is_some_and(|range| *range.end() == u64::MAX);
        assert_eq!(!last.is_null(), ends_there);
        Ok(found)
    }

    const RANGES: [(usize, usize); 5] = [
        (0x9000, 0x9fff),
        (0, 0xfff),
        (0x2000, 0x2fff),
        (0x1_0000, usize::MAX),
        (0x4000, 0x4fff),
    ];

    // Row 9-6.
    #[test]
    fn the_nearest_become_one() -> Result {
        let all = [0..=0xfff, 0x2000..=0x2fff, 0x4000..=0x4fff, 0x9000..=0x9fff];
        let last = 0x1_0000..=u64::MAX;
        assert_eq!(combined(&RANGES, 5, 5)?[..4], all);
        assert_eq!(combined(&RANGES, 5, 8)?.len(), 5);
        assert_eq!(
            combined(&RANGES, 5, 3)?[..],
            [0..=0x4fff, 0x9000..=0x9fff, last.clone()]
        );
        assert_eq!(combined(&RANGES, 5, 2)?[..], [0..=0x9fff, last]);
        assert_eq!(combined(&RANGES, 5, 1)?[..], [0..=u64::MAX]);
        // However many the driver thinks that there are.
        assert_eq!(combined(&RANGES, 0, 1)?[..], [0..=u64::MAX]);
        Ok(())
    }
}
