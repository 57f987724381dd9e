// SPDX-License-Identifier: GPL-2.0

//! Memory of a device as the DMA of other devices reaches it.
//!
//! C header: [`include/linux/pci-p2pdma.h`](srctree/include/linux/pci-p2pdma.h)

use crate::abstractions::{
    pci::{
        Function,
        Resource,
        NUM_BARS, //
    },
    uapi::pci::DmaBufRange, //
};
use core::ptr::NonNull;
use kernel::{
    device::Core,
    error::to_result,
    pci,
    prelude::*, //
};
use vfio::abstractions::{
    bindings,
    registered::RegistrationRef, //
};

/// Prepares a function that is being bound for [`PeerMemory`], until it is unbound.
///
/// # Errors
///
/// EOPNOTSUPP if a quirk has marked its BARs as not to be mapped, ENOMEM.
pub(crate) fn prepare(device: &pci::Device<Core<'_>>) -> Result {
    // SAFETY: The function is valid, and being bound: what is allocated for it is freed when it is
    // unbound, or if that fails.
    to_result(unsafe { bindings::pcim_p2pdma_init(Function::new(device).as_raw()) })
}

/// A range of physical addresses, which is in a BAR.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct PhysicalRange(bindings::phys_vec);

impl PhysicalRange {
    /// None at all.
    pub(in crate::abstractions) const NONE: Self = Self(bindings::phys_vec { paddr: 0, len: 0 });

    /// Finds out where `range` of a BAR of `len` bytes at `bar` is.
    ///
    /// # Errors
    ///
    /// EINVAL if it is empty or ends beyond the BAR, EOVERFLOW if it ends beyond the last address
    /// there is.
    pub(in crate::abstractions) fn of(bar: u64, len: u64, range: &DmaBufRange) -> Result<Self> {
        let bar_end = bar.checked_add(len).ok_or(EINVAL)?;
        if range.length == 0 {
            return Err(EINVAL);
        }
        let start = bar.checked_add(range.offset).ok_or(EOVERFLOW)?;
        let end = start.checked_add(range.length).ok_or(EOVERFLOW)?;
        if end > bar_end {
            return Err(EINVAL);
        }

        Ok(Self(bindings::phys_vec {
            paddr: start,
            len: usize::try_from(range.length)?,
        }))
    }

    /// Returns the number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len
    }

    /// Returns the C form.
    pub(in crate::abstractions) fn as_raw(&self) -> bindings::phys_vec {
        self.0
    }
}

/// Ranges of a memory BAR of a device that stays bound, and so keeps its BARs where they are.
///
/// # Invariants
///
/// `hold` keeps the device bound that `provider` is of. All `ranges` are in its BAR, or are what
/// its driver in C says that the BAR is.
pub(crate) struct PeerMemory {
    provider: NonNull<bindings::p2pdma_provider>,
    ranges: KVVec<PhysicalRange>,
    _hold: RegistrationRef,
}

// SAFETY: The provider is only read, by functions that lock; nothing of this belongs to a thread.
unsafe impl Send for PeerMemory {}
// SAFETY: As above.
unsafe impl Sync for PeerMemory {}

impl PeerMemory {
    /// Finds out where `ranges` of BAR `index` are, of a function that `hold` keeps bound.
    ///
    /// # Errors
    ///
    /// EINVAL if that is no memory BAR, a range ends beyond it, or `hold` is of another device;
    /// EOVERFLOW if a range ends beyond the last address there is; ENOMEM.
    pub(crate) fn new(
        function: &Function,
        index: usize,
        ranges: &[DmaBufRange],
        hold: RegistrationRef,
    ) -> Result<Self> {
        if !function.is_held_by(&hold) || index >= NUM_BARS {
            return Err(EINVAL);
        }
        let located = locate(function.resource(index), ranges)?;
        // SAFETY: The function is valid and bound, as `hold` shows; a driver of ours has prepared
        // it.
        let provider = unsafe { provider_of(function.as_raw(), index)? };

        // INVARIANT: The provider goes when the device is unbound. Bound, a device keeps its BARs.
        Ok(Self {
            provider,
            ranges: located,
            _hold: hold,
        })
    }

    /// Takes over ranges that a driver in C has found.
    ///
    /// # Safety
    ///
    /// `hold` must keep the device bound that `provider` is of, and the ranges be memory of it.
    pub(in crate::abstractions) unsafe fn from_parts(
        provider: NonNull<bindings::p2pdma_provider>,
        ranges: KVVec<PhysicalRange>,
        hold: RegistrationRef,
    ) -> Self {
        // INVARIANT: By this function's contract.
        Self {
            provider,
            ranges,
            _hold: hold,
        }
    }

    /// Returns the ranges.
    pub(crate) fn ranges(&self) -> &[PhysicalRange] {
        &self.ranges
    }

    /// Returns the provider, which is valid for as long as the function is bound, hence `self`.
    pub(in crate::abstractions) fn provider(&self) -> *mut bindings::p2pdma_provider {
        self.provider.as_ptr()
    }
}

/// Returns what C functions know the memory of BAR `index` by.
///
/// # Errors
///
/// EINVAL if that is no memory BAR, or one that is not to be mapped.
///
/// # Safety
///
/// `device` must be valid and bound, and [prepared](prepare).
pub(in crate::abstractions) unsafe fn provider_of(
    device: *mut bindings::pci_dev,
    index: usize,
) -> Result<NonNull<bindings::p2pdma_provider>> {
    if index >= NUM_BARS {
        return Err(EINVAL);
    }
    // CAST: The index is less than six.
    // SAFETY: By this function's contract. There is a BAR of that index.
    let provider = unsafe { bindings::pcim_p2pdma_provider(device, index as c_int) };

    NonNull::new(provider).ok_or(EINVAL)
}

/// Finds out where `ranges` of a BAR are.
fn locate(bar: Resource, ranges: &[DmaBufRange]) -> Result<KVVec<PhysicalRange>> {
    let mut located = KVVec::with_capacity(ranges.len(), GFP_KERNEL_ACCOUNT)?;
    for range in ranges {
        let range = PhysicalRange::of(bar.start, bar.len, range)?;
        located.push(range, GFP_KERNEL_ACCOUNT)?;
    }

    Ok(located)
}
