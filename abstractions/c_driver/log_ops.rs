// SPDX-License-Identifier: GPL-2.0

//! Logging of DMA by drivers in C: `struct vfio_log_ops`.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::abstractions::{
    bindings,
    c_driver::device::{
        CDevice,
        Present, //
    },
    iommu::iova_bitmap::DirtyBitmap, //
};
use core::ops::RangeInclusive;
use kernel::{
    error::to_result,
    prelude::*, //
};

impl Present<'_> {
    /// The operations, which do not change once a device is registered.
    fn log_ops(&self) -> Option<&bindings::vfio_log_ops> {
        // SAFETY: The device is valid by the type invariant, and so is the table, if there is one.
        unsafe { (*self.raw).log_ops.as_ref() }
    }
}

impl CDevice {
    /// Whether it can tell where it writes to.
    pub fn has_dma_logging(&self) -> bool {
        self.present()
            .is_some_and(|device| device.log_ops().is_some())
    }

    /// `log_start`: begins to remember writes to `ranges`. Returns how many bytes at a time are
    /// remembered. Those who have such a driver have the ranges' tree, too.
    #[cfg(CONFIG_INTERVAL_TREE)]
    pub fn log_start(&self, ranges: &[RangeInclusive<u64>], page_size: u64) -> Option<Result<u64>> {
        let device = self.present()?;
        let start = device.log_ops()?.log_start?;
        Some(RangeTree::new(ranges).and_then(|mut tree| {
            let mut page_size = page_size;
            // SAFETY: This is what the operation is for; the device is valid, and the tree, which
            // the driver may change during the call, has as many nodes.
            to_result(unsafe {
                start(
                    device.raw,
                    &mut tree.root,
                    u32::try_from(tree.nodes.len())?,
                    &mut page_size,
                )
            })?;
            Ok(page_size)
        }))
    }

    /// No driver can have any ranges.
    #[cfg(not(CONFIG_INTERVAL_TREE))]
    pub fn log_start(
        &self,
        _ranges: &[RangeInclusive<u64>],
        _page_size: u64,
    ) -> Option<Result<u64>> {
        None
    }

    /// `log_stop`: forgets it.
    pub fn log_stop(&self) -> Option<Result> {
        let device = self.present()?;
        let stop = device.log_ops()?.log_stop?;
        // SAFETY: This is what the operation is for; the device is valid.
        Some(to_result(unsafe { stop(device.raw) }))
    }

    /// `log_read_and_clear`: sets in `dirty` what has been written.
    pub fn log_read_and_clear(&self, dirty: &mut DirtyBitmap<'_>) -> Option<Result> {
        let device = self.present()?;
        let report = device.log_ops()?.log_read_and_clear?;
        let (Ok(first), Ok(length)) = (
            usize::try_from(dirty.iova()),
            usize::try_from(dirty.length()),
        ) else {
            return Some(Err(EINVAL));
        };
        // SAFETY: This is what the operation is for; the device is valid, and the bitmap has the
        // range.
        Some(to_result(unsafe {
            report(device.raw, first, length, dirty.as_raw())
        }))
    }
}

/// Ranges as C drivers take them.
///
/// # Invariants
///
/// The tree has all the nodes, which stay where they are.
#[cfg(CONFIG_INTERVAL_TREE)]
struct RangeTree {
    root: bindings::rb_root_cached,
    nodes: KVec<bindings::interval_tree_node>,
}

#[cfg(CONFIG_INTERVAL_TREE)]
impl RangeTree {
    /// # Errors
    ///
    /// `ENOMEM`.
    fn new(ranges: &[RangeInclusive<u64>]) -> Result<Self> {
        let mut nodes = KVec::with_capacity(ranges.len(), GFP_KERNEL_ACCOUNT)?;
        for range in ranges {
            let node = bindings::interval_tree_node {
                start: usize::try_from(*range.start())?,
                last: usize::try_from(*range.end())?,
                ..Default::default()
            };
            nodes.push(node, GFP_KERNEL_ACCOUNT)?;
        }
        let mut root = bindings::rb_root_cached::default();
        for node in &mut nodes {
            // SAFETY: The node is in no tree yet, and stays where it is until the tree goes: the
            // vector does not grow, and to move it does not move what it has.
            unsafe { bindings::interval_tree_insert(node, &mut root) };
        }
        // INVARIANT: All have just been inserted.
        Ok(Self { root, nodes })
    }
}
