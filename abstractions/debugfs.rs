// SPDX-License-Identifier: GPL-2.0

//! Directories and files in debugfs, for modules.
//!
//! `kernel::debugfs` keeps the data of a file for as long as there is the file, but not the module
//! that has its operations: who closes a file after the module was unloaded runs into them. Here
//! an open file keeps the module loaded.
//!
//! As in C, nobody is told if something cannot be shown: then it is missing.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)

use crate::abstractions::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    str::CStr,
    sync::Arc,
    ThisModule, //
};

/// Read by anybody who gets as far as to debugfs.
const MODE: bindings::umode_t = 0o444;

/// A directory, until this is dropped; whoever reads a file in there then is waited for.
///
/// # Invariants
///
/// `dentry` is that of a directory, or an error, and `parent` is the one that it is in.
pub struct Directory {
    dentry: *mut bindings::dentry,
    _parent: Option<Arc<Self>>,
}

// SAFETY: debugfs has locks of its own.
unsafe impl Send for Directory {}
// SAFETY: As above.
unsafe impl Sync for Directory {}

impl Directory {
    /// Makes the directory `name` in `parent`, or in the root of debugfs. May sleep.
    pub fn new(parent: Option<Arc<Self>>, name: &CStr) -> Self {
        let inside = parent.as_ref().map_or(ptr::null_mut(), |it| it.dentry);
        // SAFETY: The parent is there, or an error, and the name is a string.
        let dentry = unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), inside) };
        // INVARIANT: Just made.
        Self {
            dentry,
            _parent: parent,
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: The directory is there, since nobody else removes it and its parent stays for
        // as long; or it is an error, which is nothing to remove.
        unsafe { bindings::debugfs_remove(self.dentry) };
    }
}

/// A file with some lines of text about a `Data`.
pub trait TextFile: 'static {
    /// What the file tells about.
    type Data: Send + Sync;

    /// Whose code this is.
    const MODULE: &'static ThisModule;

    /// Writes the text to `output`. May sleep.
    ///
    /// # Errors
    ///
    /// What the reader gets.
    fn show(data: &Self::Data, output: &SeqFile) -> Result;
}

/// A directory with files about one `T`, until this is dropped.
///
/// Fields are dropped in order: the files go before what they tell about.
pub struct DataDirectory<T: Send + Sync> {
    directory: Directory,
    data: Arc<T>,
}

impl<T: Send + Sync> DataDirectory<T> {
    /// Makes the directory `name` in `parent`. May sleep.
    pub fn new(parent: Arc<Directory>, name: &CStr, data: Arc<T>) -> Self {
        Self {
            directory: Directory::new(Some(parent), name),
            data,
        }
    }

    /// The C object, or an error.
    pub(in crate::abstractions) fn as_raw(&self) -> *mut bindings::dentry {
        self.directory.dentry
    }

    /// Makes the directory `name` in this one. May sleep.
    pub fn subdirectory(&self, name: &CStr) -> Subdirectory<'_, T> {
        // SAFETY: The directory is there, or an error, and the name is a string.
        let dentry =
            unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), self.directory.dentry) };
        // INVARIANT: It goes with the one that it is in.
        Subdirectory {
            dentry,
            data: &self.data,
        }
    }
}

/// A directory in a [`DataDirectory`], which goes with that.
///
/// # Invariants
///
/// `dentry` is that of a directory, or an error, and stays as long as `'a`. `data` stays longer
/// than the directory.
pub struct Subdirectory<'a, T: Send + Sync> {
    dentry: *mut bindings::dentry,
    data: &'a Arc<T>,
}

impl<T: Send + Sync> Subdirectory<'_, T> {
    /// Makes the file `name`, which tells what does not change: "Y" or "N". May sleep.
    pub fn add_flag(&self, name: &CStr, value: bool) {
        static YES: bool = true;
        static NO: bool = false;
        let value = ptr::from_ref(if value { &YES } else { &NO }).cast_mut();
        // SAFETY: The directory is there, or an error, and the name is a string. The value is
        // there as long as the module, which waits for its devices, and with the mode of the
        // file nobody writes to it.
        unsafe { bindings::debugfs_create_bool(name.as_char_ptr(), MODE, self.dentry, value) };
    }

    /// Makes the file `name`. May sleep.
    pub fn add_text<F: TextFile<Data = T>>(&self, name: &CStr) {
        let data = Arc::as_ptr(self.data).cast_mut();
        // SAFETY: The directory is there, or an error, and the name is a string. By the type
        // invariant the data stays longer than the file, and the operations are for such data.
        unsafe {
            bindings::debugfs_create_file_full(
                name.as_char_ptr(),
                MODE,
                self.dentry,
                data.cast(),
                ptr::null(),
                &raw const *TextOperations::<F>::TABLE,
            )
        };
    }
}

/// The operations of a [`TextFile`].
struct TextOperations<F: TextFile>(PhantomData<F>);

impl<F: TextFile> TextOperations<F> {
    const TABLE: &'static bindings::file_operations = &bindings::file_operations {
        owner: F::MODULE.as_ptr(),
        open: Some(Self::open),
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        release: Some(bindings::single_release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// As for `open()` of a file whose inode has a pointer to an `F::Data` that stays as long as
    /// the file can be read.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The inode is valid.
        let data = unsafe { (*inode).i_private };
        // SAFETY: The file is about to be opened; `show()` gets the pointer that it wants.
        unsafe { bindings::single_open(file, Some(Self::show), data) }
    }

    /// # Safety
    ///
    /// As for the callback of `single_open()`, whose data is a pointer to an `F::Data`, which is
    /// there.
    unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: The file is valid; debugfs waits for this before it removes the file, and the
        // data goes after that.
        let data = unsafe { &*(*seq).private.cast::<F::Data>() };
        // SAFETY: The file is valid, and nobody else uses it meanwhile.
        let output = unsafe { SeqFile::from_raw(seq) };
        match F::show(data, output) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }
}
