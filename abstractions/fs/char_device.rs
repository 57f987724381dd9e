// SPDX-License-Identifier: GPL-2.0

//! Character devices with a class device, reference counted.
//!
//! C headers: [`include/linux/cdev.h`](srctree/include/linux/cdev.h),
//! [`include/linux/device/class.h`](srctree/include/linux/device/class.h)

use crate::abstractions::{
    bindings,
    device,
    fs::file::{
        FileOperations,
        FileTable, //
    },
    ida::{
        Ida,
        Number, //
    }, //
};
use core::{
    cell::UnsafeCell,
    mem::offset_of,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    device::Device,
    error::to_result,
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Atomic,
            Full,
            Release, //
        },
        Arc, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
    ThisModule, //
};

/// Where devtmpfs puts the nodes of a class.
#[derive(Clone, Copy)]
pub enum NodeFolder {
    /// `/dev/vfio/`
    Vfio,
    /// `/dev/vfio/devices/`
    VfioDevices,
}

/// A device class, `/sys/class/NAME`.
pub struct Class(UnsafeCell<bindings::class>);

// SAFETY: The driver core only reads the structure.
unsafe impl Sync for Class {}

impl Class {
    /// Describes a class; [`ClassRegistration`] makes it exist.
    pub const fn new(name: &'static CStr, folder: NodeFolder) -> Self {
        let mut class: bindings::class = pin_init::zeroed();
        class.name = kernel::str::as_char_ptr_in_const_context(name);
        class.devnode = Some(match folder {
            NodeFolder::Vfio => bindings::vfio_rust_devnode_vfio,
            NodeFolder::VfioDevices => bindings::vfio_rust_devnode_vfio_devices,
        });
        Self(UnsafeCell::new(class))
    }
}

/// A class that exists; it goes when this is dropped.
pub struct ClassRegistration(&'static Class);

// SAFETY: Classes may be unregistered from any thread.
unsafe impl Send for ClassRegistration {}

impl ClassRegistration {
    /// Registers a class. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST`: another class has the name. `ENOMEM`.
    pub fn new(class: &'static Class) -> Result<Self> {
        // SAFETY: The class is static.
        to_result(unsafe { bindings::class_register(class.0.get()) })?;
        Ok(Self(class))
    }
}

impl Drop for ClassRegistration {
    fn drop(&mut self) {
        // SAFETY: `new()` registered it.
        unsafe { bindings::class_unregister(self.0 .0.get()) };
    }
}

/// A major number with all its minors, as `/proc/devices` lists it. It is given back when this and
/// all numbers of it are dropped.
pub struct DeviceNumbers {
    region: Arc<Region>,
    minors: Arc<Ida>,
}

/// The numbers that were reserved, by the first one.
struct Region(bindings::dev_t);

impl DeviceNumbers {
    /// The highest minor number: there can be as many devices as one major has.
    pub const LAST: u32 = (1 << bindings::VFIO_RUST_MINORBITS) - 1;

    /// How many minor numbers there are.
    const COUNT: u32 = Self::LAST + 1;

    /// Reserves a dynamic major number. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY`: no major number is left. `ENOMEM`.
    pub fn allocate(name: &'static CStr) -> Result<Self> {
        let minors = Ida::new(Self::LAST)?;
        let mut first = 0;
        // SAFETY: `first` is valid for writes, the name is static.
        to_result(unsafe {
            bindings::alloc_chrdev_region(&mut first, 0, Self::COUNT, name.as_char_ptr())
        })?;
        Ok(Self {
            region: Arc::new(Region(first), GFP_KERNEL)?,
            minors,
        })
    }

    /// Takes a device number. It has not been another device's for as long as
    /// possible: a node that somebody kept leads to nobody else's device. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOSPC`: all are taken. `ENOMEM`.
    pub fn take(&self) -> Result<Arc<DeviceNumber>> {
        let number = DeviceNumber {
            region: self.region.clone(),
            minor: self.minors.in_turn()?,
            used: Atomic::new(false),
        };
        Ok(Arc::new(number, GFP_KERNEL)?)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `allocate()` reserved exactly this range, and nobody has any of it.
        unsafe { bindings::unregister_chrdev_region(self.0, DeviceNumbers::COUNT) };
    }
}

/// A device number, which is nobody else's until this is dropped.
pub struct DeviceNumber {
    region: Arc<Region>,
    minor: Number,
    /// By a device.
    used: Atomic<bool>,
}

impl DeviceNumber {
    fn as_raw(&self) -> bindings::dev_t {
        // Minors are the low bits of a `dev_t`, and begin at zero.
        self.region.0 | self.minor.value()
    }
}

/// A device number that is one device's: the kernel cannot tell two of the same number apart when
/// one of them goes.
struct UsedNumber(Arc<DeviceNumber>);

impl UsedNumber {
    fn new(number: &Arc<DeviceNumber>) -> Result<Self> {
        if number.used.xchg(true, Full) {
            return Err(EBUSY);
        }
        Ok(Self(number.clone()))
    }
}

impl Drop for UsedNumber {
    fn drop(&mut self) {
        self.0.used.store(false, Release);
    }
}

/// What happens when the node of a character device is opened.
pub trait OpenDevice: FileOperations {
    /// What the device stands for.
    type Device: Send + Sync + 'static;

    /// Makes the data of a new file. There is no file to look at, as it has no data yet.
    fn open(device: &Arc<Self::Device>) -> Result<Self::Data>;
}

/// The table of the operations of files that nodes of character devices of `T::Device` are opened
/// as, or that are created.
///
/// # Invariants
///
/// Only [`CharDevice`]s of `T::Device` have this table.
#[repr(transparent)]
pub struct CharDeviceTable<T: OpenDevice>(FileTable<T>);

impl<T: OpenDevice> Deref for CharDeviceTable<T> {
    type Target = FileTable<T>;

    fn deref(&self) -> &FileTable<T> {
        &self.0
    }
}

impl<T: OpenDevice> CharDeviceTable<T> {
    /// Creates the table.
    pub const fn new(module: &'static ThisModule) -> Self {
        // INVARIANT: `CharDevice::new()` is the only way to use it for a device.
        // SAFETY: `open()` sets the data, and is for devices of `T::Device`.
        Self(unsafe { FileTable::with_open(module, Self::open) })
    }

    /// # Safety
    ///
    /// Only the VFS calls this, for a [`CharDevice`] made with this table.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The VFS found this table through a `cdev` that `CharDevice`
        // initialised with it, which is inside an `Inner<T::Device>`; it holds
        // a reference to it during the call.
        let device = unsafe {
            let cdev = (*inode).__bindgen_anon_5.i_cdev;
            &*cdev
                .byte_sub(offset_of!(Inner<T::Device>, cdev))
                .cast::<Inner<T::Device>>()
        };
        match T::open(&device.data) {
            Ok(data) => {
                // SAFETY: `open` owns the private data; nobody else can reach
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

/// What a character device is called and where it belongs.
pub struct Description<'a> {
    /// Its class.
    pub class: &'static Class,
    /// The device above it in sysfs.
    pub parent: Option<&'a Device>,
    /// Its number, which no other device has. Whoever opens the device's node finds this device as
    /// long as it exists, so it is kept as long. Without a number there is no node, only the
    /// class device.
    pub number: Option<&'a Arc<DeviceNumber>>,
    /// The name in sysfs and devtmpfs.
    pub name: &'a CStr,
}

#[repr(C)]
struct Inner<T> {
    device: Opaque<bindings::device>,
    cdev: Opaque<bindings::cdev>,
    data: Arc<T>,
    number: Option<UsedNumber>,
}

/// A character device that exists in sysfs and devtmpfs.
///
/// When this is dropped, the device goes: no new open succeeds. Files that are
/// open keep the memory, and with it the data, alive.
///
/// # Invariants
///
/// `inner` is a pinned allocation with an initialised, added device of which
/// this value owns one reference.
pub struct CharDevice<T: Send + Sync + 'static> {
    inner: NonNull<Inner<T>>,
}

// SAFETY: Devices may be used and removed from any thread; the data is `Send`
// and `Sync`.
unsafe impl<T: Send + Sync + 'static> Send for CharDevice<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync + 'static> Sync for CharDevice<T> {}

impl<T: Send + Sync + 'static> CharDevice<T> {
    /// Creates and adds a device. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST`: there is a device of that name. `EBUSY`: there is one of that number. `ENOMEM`.
    pub fn new<F: OpenDevice<Device = T>>(
        description: Description<'_>,
        operations: &'static CharDeviceTable<F>,
        data: Arc<T>,
    ) -> Result<Self> {
        let Description {
            class,
            parent,
            number,
            name,
        } = description;
        let inner = KBox::new(
            Inner {
                device: Opaque::zeroed(),
                cdev: Opaque::zeroed(),
                data,
                number: number.map(UsedNumber::new).transpose()?,
            },
            GFP_KERNEL,
        )?;
        let devt = inner.number.as_ref().map_or(0, |used| used.0.as_raw());
        let inner = NonNull::from(KBox::leak(inner));
        // SAFETY: The allocation is valid; it is not moved any more.
        let (device, cdev) = unsafe { (inner.as_ref().device.get(), inner.as_ref().cdev.get()) };
        // SAFETY: Both structures are zeroed and ours, and the operations are
        // static. From `device_initialize()` on, `release` frees the allocation
        // with the last reference.
        unsafe {
            bindings::device_initialize(device);
            (*device).class = class.0.get();
            (*device).parent = parent.map_or(core::ptr::null_mut(), device::as_raw);
            (*device).devt = devt;
            (*device).release = Some(Self::release);
            bindings::cdev_init(cdev, operations.as_raw());
            (*cdev).owner = (*operations.as_raw()).owner;
        }
        // SAFETY: The device is initialised; the format takes one string.
        let mut result = to_result(unsafe {
            bindings::dev_set_name(device, c"%s".as_char_ptr(), name.as_char_ptr())
        });
        if result.is_ok() {
            // SAFETY: Both are initialised; the device has a name.
            result = to_result(unsafe { bindings::cdev_device_add(cdev, device) });
        }
        if let Err(error) = result {
            // SAFETY: The initial reference is ours; this drops it.
            unsafe { bindings::put_device(device) };
            return Err(error);
        }
        // INVARIANT: The device is added and the initial reference is ours.
        Ok(Self { inner })
    }

    /// # Safety
    ///
    /// Only the driver core calls this, once, for the device of an `Inner<T>`.
    unsafe extern "C" fn release(device: *mut bindings::device) {
        // SAFETY: `device` is the first field of the allocation that `new()`
        // leaked, and this was the last reference.
        drop(unsafe { KBox::from_raw(device.cast::<Inner<T>>()) });
    }
}

impl<T: Send + Sync + 'static> Drop for CharDevice<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe {
            let inner = self.inner.as_ref();
            let (device, cdev) = (inner.device.get(), inner.cdev.get());
            bindings::cdev_device_del(cdev, device);
            bindings::put_device(device);
        }
    }
}
