// SPDX-License-Identifier: GPL-2.0

//! Misc devices with a fixed minor number, a path and a mode.
//!
//! `kernel::miscdevice` knows a name only.
//!
//! C header: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h)

use crate::abstractions::{
    bindings,
    fs::file::{
        FileOperations,
        FileTable, //
    }, //
};
use core::ops::Deref;
use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    types::{
        ForeignOwnable,
        Opaque, //
    },
    ThisModule, //
};

/// What happens when the node of a misc device is opened.
pub trait OpenMisc: FileOperations {
    /// Makes the data of a new file.
    fn open() -> Result<Self::Data>;
}

/// The table of the operations of files that nodes of misc devices are opened as, or that are
/// created.
#[repr(transparent)]
pub struct MiscDeviceTable<T: OpenMisc>(FileTable<T>);

impl<T: OpenMisc> Deref for MiscDeviceTable<T> {
    type Target = FileTable<T>;

    fn deref(&self) -> &FileTable<T> {
        &self.0
    }
}

impl<T: OpenMisc> MiscDeviceTable<T> {
    /// Creates the table.
    pub const fn new(module: &'static ThisModule) -> Self {
        // SAFETY: `open()` sets the data. It is for misc devices, and
        // `MiscDevice::register()` is the only way to use the table for a device.
        Self(unsafe { FileTable::with_open(module, Self::open) })
    }

    /// # Safety
    ///
    /// Only the VFS calls this, for a [`MiscDevice`] made with this table.
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        match T::open() {
            Ok(data) => {
                // SAFETY: `open` owns the private data, `misc_open()` has put
                // a pointer there that we do not need; nobody else can reach
                // the file before `open` returns.
                unsafe {
                    (*file).private_data = data.into_foreign();
                    FileTable::<T>::adopt_address_space(file);
                }
                0
            }
            Err(error) => error.to_errno(),
        }
    }
}

/// What a misc device is called.
pub struct Description {
    /// Minor number of major 10.
    pub minor: u32,
    /// Name in sysfs and `/proc/misc`.
    pub name: &'static CStr,
    /// Path below `/dev`.
    pub node: &'static CStr,
    /// Access mode of the node.
    pub mode: u16,
}

/// A registered misc device; it goes when this is dropped.
#[pin_data(PinnedDrop)]
pub struct MiscDevice {
    #[pin]
    inner: Opaque<bindings::miscdevice>,
}

// SAFETY: Misc devices may be deregistered from any thread.
unsafe impl Send for MiscDevice {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl Sync for MiscDevice {}

impl MiscDevice {
    /// Registers the device. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the minor number is taken. `ENOMEM`.
    pub fn register<T: OpenMisc>(
        description: Description,
        operations: &'static MiscDeviceTable<T>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            inner <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                let device = bindings::miscdevice {
                    minor: description.minor as c_int,
                    name: description.name.as_char_ptr(),
                    nodename: description.node.as_char_ptr(),
                    mode: description.mode,
                    fops: operations.as_raw(),
                    ..pin_init::zeroed()
                };
                // SAFETY: The slot is valid for writes, pinned, and stays until
                // the drop below deregisters it.
                to_result(unsafe {
                    slot.write(device);
                    bindings::misc_register(slot)
                })
            }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for MiscDevice {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: `register()` succeeded, or this value would not exist.
        unsafe { bindings::misc_deregister(self.inner.get()) };
    }
}
