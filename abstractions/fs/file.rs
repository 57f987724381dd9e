// SPDX-License-Identifier: GPL-2.0

//! Files with operations written in Rust.
//!
//! What `kernel::miscdevice` has, for any kind of file: anonymous ones, those
//! of character devices and of misc devices. `read` and `write` are the plain
//! ones, because `readv()` on device registers must see every segment on its
//! own.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/anon_inodes.h`](srctree/include/linux/anon_inodes.h)

use crate::abstractions::{
    bindings,
    fs::pseudo_fs::AnonInode,
    mm::{
        pfnmap::{
            self,
            Populated, //
        },
        unmapped_area, //
    },
    uaccess::UserBytes, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_err_ptr,
        VTABLE_DEFAULT_ERROR, //
    },
    fs::File,
    mm::virt::{
        VmaNew,
        VmaRef, //
    },
    prelude::*,
    seq_file::SeqFile,
    str::CStr,
    sync::aref::ARef,
    types::ForeignOwnable,
    uaccess::UserPtr,
    ThisModule, //
};

/// Shorthand for how an operation sees a file's data.
pub type DataOf<'a, T> = <<T as FileOperations>::Data as ForeignOwnable>::Borrowed<'a>;

/// The operations of a file.
#[vtable]
pub trait FileOperations: Sized + 'static {
    /// What the file owns from its creation to its release.
    type Data: ForeignOwnable + Send + Sync;

    /// The last reference to the file is gone. There is no file to look at: it has no data any
    /// more.
    fn release(data: Self::Data) {
        drop(data);
    }

    /// `ioctl()`, native and, with a converted pointer, compat.
    fn ioctl(_data: DataOf<'_, Self>, _file: &File, _cmd: u32, _arg: usize) -> Result<isize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// `read()` and `pread()`; advances `position` by what it returns.
    fn read(_data: DataOf<'_, Self>, _bytes: UserBytes, _position: &mut i64) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// `write()` and `pwrite()`; advances `position` by what it returns.
    fn write(_data: DataOf<'_, Self>, _bytes: UserBytes, _position: &mut i64) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// `mmap()`. Unless it has filled the area by itself, it becomes one of page frame
    /// numbers whose pages come from [`fault`](Self::fault) only.
    fn mmap(_data: DataOf<'_, Self>, _mapping: &pfnmap::NewMapping<'_>) -> Result<Populated> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A page of such an area is touched.
    fn fault(_data: DataOf<'_, Self>, _fault: &pfnmap::Fault<'_>) -> pfnmap::FaultResult {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// `/proc/PID/fdinfo/FD`.
    fn show_fdinfo(_data: DataOf<'_, Self>, _output: &SeqFile) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The inode whose address space all mappings of the file shall go to, if
    /// not the file's own. Asked once, before the file is published.
    fn address_space<'a>(_data: &'a DataOf<'_, Self>) -> Option<&'a AnonInode> {
        None
    }
}

/// The table of a file's operations.
///
/// Lives in a `static`, because its address tells files of this kind from
/// others. Each kind of device has a kind of table of its own around one of
/// these.
///
/// # Invariants
///
/// Every opened file whose `f_op` is this table has the result of
/// `T::Data::into_foreign()` as private data, until its release.
#[repr(transparent)]
pub struct FileTable<T: FileOperations>(bindings::file_operations, PhantomData<fn() -> T>);

// SAFETY: The table is never written after its creation.
unsafe impl<T: FileOperations> Sync for FileTable<T> {}

impl<T: FileOperations> pfnmap::FaultHandler for T {
    type FileData = T::Data;

    fn answer(data: DataOf<'_, T>, fault: &pfnmap::Fault<'_>) -> pfnmap::FaultResult {
        if T::HAS_FAULT {
            T::fault(data, fault)
        } else {
            pfnmap::FaultResult::SIGBUS
        }
    }
}

impl<T: FileOperations> FileTable<T> {
    /// Creates the table of files that are only created, and never opened by name.
    pub const fn new(module: &'static ThisModule) -> Self {
        // INVARIANT: Files get their data when they are created.
        Self(
            bindings::file_operations {
                owner: module.as_ptr(),
                release: Some(Self::release),
                read: if T::HAS_READ { Some(Self::read) } else { None },
                write: if T::HAS_WRITE {
                    Some(Self::write)
                } else {
                    None
                },
                unlocked_ioctl: if T::HAS_IOCTL {
                    Some(Self::ioctl)
                } else {
                    None
                },
                #[cfg(CONFIG_COMPAT)]
                compat_ioctl: if T::HAS_IOCTL {
                    bindings::compat_ptr_ioctl
                } else {
                    None
                },
                mmap: if T::HAS_MMAP { Some(Self::mmap) } else { None },
                get_unmapped_area: if T::HAS_FAULT {
                    Some(unmapped_area::find)
                } else {
                    None
                },
                show_fdinfo: if T::HAS_SHOW_FDINFO {
                    Some(Self::show_fdinfo)
                } else {
                    None
                },
                ..pin_init::zeroed()
            },
            PhantomData,
        )
    }

    /// Creates the table; `open` is called for files that are opened by name.
    ///
    /// # Safety
    ///
    /// Where it succeeds, `open` sets the private data of the file as the type invariant has it,
    /// and the table is for devices only that `open` is for.
    pub(in crate::abstractions) const unsafe fn with_open(
        module: &'static ThisModule,
        open: unsafe extern "C" fn(*mut bindings::inode, *mut bindings::file) -> c_int,
    ) -> Self {
        let mut table = Self::new(module);
        table.0.open = Some(open);
        // INVARIANT: By this function's contract.
        table
    }

    pub(in crate::abstractions) const fn as_raw(&'static self) -> *const bindings::file_operations {
        &raw const self.0
    }

    /// The data of `file`, if it is one of this kind.
    pub fn data_of<'a>(&'static self, file: &'a File) -> Option<DataOf<'a, T>> {
        // SAFETY: The reference keeps the file alive; `f_op` of a file that
        // others can see no longer changes.
        let operations = unsafe { (*file.as_ptr()).f_op };
        if !core::ptr::eq(operations, self.as_raw()) {
            return None;
        }
        // SAFETY: By the type invariant; the reference to the file keeps it
        // from being released for as long as the borrow lasts.
        Some(unsafe { T::Data::borrow((*file.as_ptr()).private_data) })
    }

    /// The data of the file that `vma` maps, if it is one of this kind.
    pub fn data_of_vma<'a>(&'static self, vma: &'a VmaRef) -> Option<DataOf<'a, T>> {
        // SAFETY: The area is alive, and a lock is held under which its file
        // does not change.
        let file = unsafe { (*vma.as_ptr()).vm_file };
        if file.is_null() {
            return None;
        }
        // SAFETY: The area holds a reference to its file, and lives for `'a`.
        // Nobody uses the file's position through this reference.
        self.data_of(unsafe { File::from_raw_file(file) })
    }

    /// Creates a file on the anonymous inode, open for reading and writing,
    /// with `pread()` and `pwrite()` but no seeking.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `ENFILE`: there is no room for one more file. The data comes
    /// back to the caller.
    pub fn create_anonymous(
        &'static self,
        name: &'static CStr,
        data: T::Data,
    ) -> Result<ARef<File>, (Error, T::Data)> {
        self.create(
            name,
            data,
            bindings::O_RDWR,
            bindings::VFIO_RUST_FMODE_PREAD_PWRITE,
        )
    }

    /// Creates a file on the anonymous inode that is read, or written, from its
    /// begin to its end: what it has no operation for it is not open for.
    ///
    /// # Errors
    ///
    /// As [`create_anonymous`](Self::create_anonymous).
    pub fn create_stream(
        &'static self,
        name: &'static CStr,
        data: T::Data,
    ) -> Result<ARef<File>, (Error, T::Data)> {
        let access = match (T::HAS_READ, T::HAS_WRITE) {
            (true, true) => bindings::O_RDWR,
            (false, true) => bindings::O_WRONLY,
            _ => bindings::O_RDONLY,
        };
        self.create(name, data, access, 0)
    }

    fn create(
        &'static self,
        name: &'static CStr,
        data: T::Data,
        access: u32,
        mode: bindings::fmode_t,
    ) -> Result<ARef<File>, (Error, T::Data)> {
        let private = data.into_foreign();
        // SAFETY: Name and operations are static, the private data is what the
        // operations expect.
        let file = from_err_ptr(unsafe {
            bindings::anon_inode_getfile_fmode(
                name.as_char_ptr(),
                self.as_raw(),
                private,
                // CAST: An access mode, which the kernel takes as an `int`.
                access as c_int,
                mode,
            )
        });
        match file {
            Ok(file) => {
                // SAFETY: The file is new and nobody else's yet; its private
                // data is valid until its release.
                unsafe { Self::adopt_address_space(file) };
                // SAFETY: `anon_inode_getfile_fmode()` gave us the only
                // reference; nobody can have an fdget_pos region on it.
                Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(file.cast::<File>())) })
            }
            Err(error) => {
                // SAFETY: The failed call did not take the data.
                Err((error, unsafe { T::Data::from_foreign(private) }))
            }
        }
    }

    /// Redirects the file's mappings to the address space its data names.
    ///
    /// # Safety
    ///
    /// `file` must be one of this table that nobody else can reach yet, with
    /// its private data set.
    pub(in crate::abstractions) unsafe fn adopt_address_space(file: *mut bindings::file) {
        // SAFETY: By this function's contract.
        let data = unsafe { T::Data::borrow((*file).private_data) };
        if let Some(inode) = T::address_space(&data) {
            // SAFETY: The inode is borrowed from the data, which is never
            // borrowed but shared until the release of the file, so it stays
            // as long; mappings hold a reference to the file.
            unsafe { (*file).f_mapping = inode.mapping() };
        }
    }

    /// # Safety
    ///
    /// `file` must be an opened file of this table.
    unsafe fn data<'a>(file: *mut bindings::file) -> DataOf<'a, T> {
        // SAFETY: By the type invariant; the caller of an operation holds a
        // reference to the file.
        unsafe { T::Data::borrow((*file).private_data) }
    }

    /// # Safety
    ///
    /// Only the VFS calls this, once per file, at the end.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: By the type invariant; this is the last use.
        T::release(unsafe { T::Data::from_foreign((*file).private_data) });
        0
    }

    /// # Safety
    ///
    /// Only the VFS calls this.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The VFS passes an opened file of this table.
        let data = unsafe { Self::data(file) };
        // SAFETY: The file is valid during the call, with no fdget_pos region.
        match T::ioctl(data, unsafe { File::from_raw_file(file) }, cmd, arg) {
            Ok(value) => value as c_long,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// Only the VFS calls this.
    unsafe extern "C" fn read(
        file: *mut bindings::file,
        buffer: *mut c_char,
        count: usize,
        position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The VFS passes an opened file of this table.
        let data = unsafe { Self::data(file) };
        let bytes = UserBytes::new(UserPtr::from_ptr(buffer.cast()), count);
        // SAFETY: The VFS passes a valid position that is ours for the call.
        match T::read(data, bytes, unsafe { &mut *position }) {
            Ok(done) => done as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// Only the VFS calls this.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        buffer: *const c_char,
        count: usize,
        position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The VFS passes an opened file of this table.
        let data = unsafe { Self::data(file) };
        let bytes = UserBytes::new(UserPtr::from_ptr(buffer.cast_mut().cast()), count);
        // SAFETY: The VFS passes a valid position that is ours for the call.
        match T::write(data, bytes, unsafe { &mut *position }) {
            Ok(done) => done as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// Only mm calls this.
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: mm passes an opened file of this table.
        let data = unsafe { Self::data(file) };
        // SAFETY: mm passes an area that is being set up.
        let mapping = pfnmap::NewMapping::new(unsafe { VmaNew::from_raw(vma) });
        match T::mmap(data, &mapping) {
            Ok(Populated::ByFault) => {
                if T::HAS_FAULT {
                    // SAFETY: The area is being set up; the handler finds what it needs
                    // in the area's file, which is of this table.
                    unsafe { pfnmap::install::<T>(vma) };
                }
                0
            }
            Ok(Populated::ByDriver) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Only procfs calls this.
    unsafe extern "C" fn show_fdinfo(output: *mut bindings::seq_file, file: *mut bindings::file) {
        // SAFETY: procfs passes an opened file of this table.
        let data = unsafe { Self::data(file) };
        // SAFETY: procfs passes a valid output.
        T::show_fdinfo(data, unsafe { SeqFile::from_raw(output) });
    }
}

/// Looks up the file behind a descriptor of the current process.
///
/// # Errors
///
/// `EBADF`: the descriptor is not open, or was opened with `O_PATH`.
pub fn get(fd: i32) -> Result<ARef<File>> {
    // SAFETY: The helper looks up in the current process' table.
    let file = unsafe { bindings::vfio_rust_fget(fd) };
    let file = NonNull::new(file).ok_or(EBADF)?;
    // SAFETY: `fget()` gave us a reference. Our users do not read or write at
    // the file's position, so no fdget_pos region is disturbed.
    Ok(unsafe { ARef::from_raw(file.cast()) })
}
