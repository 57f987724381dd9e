// SPDX-License-Identifier: GPL-2.0

//! Page frames that stay in place while they are mapped for DMA.
//!
//! C header: [`include/linux/iommu.h`](srctree/include/linux/iommu.h)

use crate::run::Run;
use core::marker::PhantomData;

/// Page frames that stay in place for `'a`: proof for those who map them.
#[derive(Clone, Copy)]
pub(in crate::abstractions) struct HeldRun<'a> {
    run: Run,
    _owner: PhantomData<&'a ()>,
}

impl HeldRun<'_> {
    /// Gives the proof.
    ///
    /// # Safety
    ///
    /// The page frames of `run` must stay in place as long as the result is used.
    pub(in crate::abstractions) unsafe fn new(run: Run) -> Self {
        Self {
            run,
            _owner: PhantomData,
        }
    }

    /// The number of the first page frame.
    pub(in crate::abstractions) fn pfn(&self) -> u64 {
        self.run.pfn()
    }

    /// The number of pages.
    pub(in crate::abstractions) fn pages(&self) -> u64 {
        self.run.pages()
    }
}
