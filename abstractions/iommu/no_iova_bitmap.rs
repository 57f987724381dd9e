// SPDX-License-Identifier: GPL-2.0

//! The kernel has no bitmaps of what devices have written to: none can be made.
//!
//! C header: [`include/linux/iova_bitmap.h`](srctree/include/linux/iova_bitmap.h)

use crate::abstractions::bindings;
use core::{
    convert::Infallible,
    marker::PhantomData, //
};
use kernel::prelude::*;

/// A bitmap of the user: there is none.
pub struct IovaBitmap(Infallible);

impl IovaBitmap {
    /// Describes a bitmap.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`.
    pub fn new(_iova: u64, _length: u64, _page_size: u64, _address: u64) -> Result<Self> {
        Err(EOPNOTSUPP)
    }

    /// Calls `visit` for each part of the bitmap.
    ///
    /// # Errors
    ///
    /// None: there is no bitmap.
    pub fn for_each<F: FnMut(&mut DirtyBitmap<'_>) -> Result>(&mut self, _visit: F) -> Result {
        match self.0 {}
    }
}

/// A part of a bitmap: there is none.
pub struct DirtyBitmap<'a>(Infallible, PhantomData<&'a mut ()>);

impl DirtyBitmap<'_> {
    /// The bitmap.
    pub(in crate::abstractions) fn as_raw(&mut self) -> *mut bindings::iova_bitmap {
        match self.0 {}
    }

    /// The first address that it is for.
    pub fn iova(&self) -> u64 {
        match self.0 {}
    }

    /// How many bytes it is for.
    pub fn length(&self) -> u64 {
        match self.0 {}
    }

    /// Sets bits.
    pub fn set(&mut self, _iova: u64, _length: u64) {
        match self.0 {}
    }
}
