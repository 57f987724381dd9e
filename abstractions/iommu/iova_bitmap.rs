// SPDX-License-Identifier: GPL-2.0

//! Bitmaps in user memory that say which addresses a device has written to.
//!
//! C header: [`include/linux/iova_bitmap.h`](srctree/include/linux/iova_bitmap.h)

use crate::abstractions::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*, //
};

/// A bitmap of the user for a range of addresses as a device sees them.
///
/// # Invariants
///
/// `raw` is from `iova_bitmap_alloc()`, and this value's. The range is not empty, and ends within
/// the numbers of 64 bits.
pub struct IovaBitmap {
    raw: NonNull<bindings::iova_bitmap>,
}

impl IovaBitmap {
    /// Describes a bitmap at `address` of the current process, of `length` bytes from `iova` on. A
    /// bit of it stands for `page_size` bytes. Nothing is known of the memory that it is in. May
    /// sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the page size is not a power of two, or there is nothing in the range.
    /// `EOVERFLOW`: the range has no end. `ENOMEM`.
    pub fn new(iova: u64, length: u64, page_size: u64, address: u64) -> Result<Self> {
        if length == 0 || !page_size.is_power_of_two() {
            return Err(EINVAL);
        }
        iova.checked_add(length).ok_or(EOVERFLOW)?;
        let first = usize::try_from(iova)?;
        let length = usize::try_from(length)?;
        let page_size = usize::try_from(page_size)?;
        let data = core::ptr::with_exposed_provenance_mut(usize::try_from(address)?);
        // SAFETY: The page size is not zero, nor is the length. The address need not be valid: the
        // callee pins the user pages there before it touches them.
        let raw = unsafe { bindings::iova_bitmap_alloc(first, length, page_size, data) };
        // INVARIANT: As checked above.
        Ok(Self {
            raw: NonNull::new(from_err_ptr(raw)?).ok_or(ENOMEM)?,
        })
    }

    /// Calls `visit` for one part of the bitmap after another, until an error. Runs in the process
    /// that the bitmap is of. May sleep.
    ///
    /// # Errors
    ///
    /// That of `visit`.
    pub fn for_each<F: FnMut(&mut DirtyBitmap<'_>) -> Result>(&mut self, mut visit: F) -> Result {
        let opaque: *mut F = &mut visit;
        // SAFETY: The bitmap is valid by the type invariant; the callback gets what it expects.
        to_result(unsafe {
            bindings::iova_bitmap_for_each(self.raw.as_ptr(), opaque.cast(), Some(call::<F>))
        })
    }
}

impl Drop for IovaBitmap {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; this is the last use.
        unsafe { bindings::iova_bitmap_free(self.raw.as_ptr()) };
    }
}

/// # Safety
///
/// Only [`IovaBitmap::for_each`] passes this, with its closure as `opaque`, to a function that
/// calls it with a part of that bitmap.
unsafe extern "C" fn call<F: FnMut(&mut DirtyBitmap<'_>) -> Result>(
    raw: *mut bindings::iova_bitmap,
    iova: c_ulong,
    length: usize,
    opaque: *mut c_void,
) -> c_int {
    let Some(raw) = NonNull::new(raw) else {
        return EINVAL.to_errno();
    };
    // SAFETY: By this function's contract; nobody else uses the closure meanwhile.
    let visit = unsafe { &mut *opaque.cast::<F>() };
    // INVARIANT: By this function's contract.
    let mut part = DirtyBitmap {
        raw,
        iova: iova as u64,
        length: length as u64,
        _call: PhantomData,
    };
    match visit(&mut part) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// A part of a bitmap that can be written.
///
/// # Invariants
///
/// `raw` is valid, of a bitmap that has the range, and nobody else uses it.
pub struct DirtyBitmap<'a> {
    raw: NonNull<bindings::iova_bitmap>,
    iova: u64,
    length: u64,
    _call: PhantomData<&'a mut ()>,
}

impl DirtyBitmap<'_> {
    /// The bitmap, of which only this part may be touched.
    pub(in crate::abstractions) fn as_raw(&mut self) -> *mut bindings::iova_bitmap {
        self.raw.as_ptr()
    }

    /// The first address that it is for.
    pub fn iova(&self) -> u64 {
        self.iova
    }

    /// How many bytes it is for.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Sets the bits of all pages that have any of the `length` bytes from `iova` on, as far as the
    /// bitmap has them. Pins pages of the user, so nothing may be locked that a page fault needs.
    /// Memory that cannot be written to is left alone.
    pub fn set(&mut self, iova: u64, length: u64) {
        let Some(own_last) = self.length.checked_sub(1) else {
            return;
        };
        let Some(last) = length.checked_sub(1) else {
            return;
        };
        let first = iova.max(self.iova);
        let last = iova
            .saturating_add(last)
            .min(self.iova.saturating_add(own_last));
        let Some(count) = last.checked_sub(first) else {
            return;
        };
        // CAST: A `usize` has 64 bits where this module runs; the range is within that of the
        // bitmap, so that one more does not overflow.
        let (first, count) = (first as usize, count.saturating_add(1) as usize);
        // SAFETY: By the type invariant; the range is not empty, and within that of the bitmap.
        unsafe { bindings::iova_bitmap_set(self.raw.as_ptr(), first, count) };
    }
}
