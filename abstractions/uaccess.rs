// SPDX-License-Identifier: GPL-2.0

//! Memory of the user, as a system call names it.
//!
//! C header: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)

use kernel::uaccess::{
    UserPtr,
    UserSlice,
    UserSliceReader,
    UserSliceWriter, //
};

/// Bytes of the user's memory, of which nothing is known.
///
/// A `kernel::uaccess::UserSlice` tells nobody where it is, but drivers in C ask.
#[derive(Clone, Copy)]
pub struct UserBytes {
    address: UserPtr,
    len: usize,
}

impl UserBytes {
    /// `len` bytes at `address`.
    #[inline]
    pub fn new(address: UserPtr, len: usize) -> Self {
        Self { address, len }
    }

    /// Where they are.
    #[inline]
    pub fn address(self) -> UserPtr {
        self.address
    }

    /// How many there are.
    #[inline]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// What reads them.
    #[inline]
    pub fn reader(self) -> UserSliceReader {
        UserSlice::new(self.address, self.len).reader()
    }

    /// What writes them.
    #[inline]
    pub fn writer(self) -> UserSliceWriter {
        UserSlice::new(self.address, self.len).writer()
    }
}
