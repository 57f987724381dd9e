// SPDX-License-Identifier: GPL-2.0

//! `struct vfio_device`, what a driver in C has of a [`Device`].
//!
//! Drivers embed it at the begin of a structure of their own, and let `_vfio_alloc_device()`
//! allocate that. In front of it, where they do not look, is what this module has to know of it. A
//! driver reads and writes some fields of the structure; the others, which are private in C, stay
//! zero.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::{
    abstractions::{
        bindings,
        c_driver::device_set,
        exports::signature::signatures, //
    },
    device::{
        c_driver::CDriver,
        Device, //
    },
    registration::Registration, //
};
use core::{
    alloc::Layout,
    any::Any,
    cell::UnsafeCell,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    alloc::{
        allocator::KVmalloc,
        flags::__GFP_ZERO,
        Allocator,
        NumaNode, //
    },
    container_of,
    error::to_result,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Arc,
        SpinLock, //
    },
    warn_on, //
};

signatures!(_vfio_alloc_device);

/// What is in front of a driver's `struct vfio_device`.
///
/// As long as cache lines are, so that what follows is aligned as if it were alone.
#[pin_data]
#[repr(align(64))]
pub(in crate::abstractions) struct Face {
    /// A leaf: what it has is cloned or taken out.
    #[pin]
    registered: SpinLock<Registered>,
    /// The device of `registered`, or null, for who calls for a device that is registered: each of
    /// its user's accesses does, and they would meet at that lock.
    device: Atomic<*mut Device>,
    /// What another module has to know of the device. Changed only by who has the device alone.
    extension: UnsafeCell<Option<KBox<dyn Any + Send + Sync>>>,
}

/// What a device has from its registration to the end of that.
#[derive(Default)]
struct Registered {
    /// Until the driver asks for the end of it.
    registration: Option<Registration>,
    /// Until nobody uses the device any more.
    device: Option<Arc<Device>>,
    driver: Option<Arc<CDriver>>,
}

const FACE_SIZE: usize = size_of::<Face>();

impl Face {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            registered <- new_spinlock!(Registered::default(), "vfio_c_device"),
            device: Atomic::new(ptr::null_mut()),
            extension: UnsafeCell::new(None),
        })
    }

    /// What is in front of `device`.
    ///
    /// # Safety
    ///
    /// `device` must be from `_vfio_alloc_device()`, and the caller must have a reference to it for
    /// as long as he has the result.
    pub(in crate::abstractions) unsafe fn of<'a>(device: *mut bindings::vfio_device) -> &'a Self {
        // SAFETY: By this function's contract `allocate()` has put one there, which `free()` takes
        // when the last reference is gone.
        unsafe { &*device.byte_sub(FACE_SIZE).cast::<Self>() }
    }

    /// The device is about to be registered.
    pub(super) fn begin(&self, device: &Arc<Device>, driver: Arc<CDriver>) {
        let mut registered = self.registered.lock();
        registered.device = Some(device.clone());
        registered.driver = Some(driver);
        self.device
            .store(ptr::from_ref::<Device>(device).cast_mut(), Release);
    }

    /// The device is registered, until [`unregister()`](Self::unregister).
    pub(super) fn keep(&self, registration: Registration) {
        self.registered.lock().registration = Some(registration);
    }

    /// The device, from its registration until nobody uses it any more.
    pub(in crate::abstractions) fn device(&self) -> Option<Arc<Device>> {
        self.registered.lock().device.clone()
    }

    /// The same, with its driver.
    pub(in crate::abstractions) fn in_use(&self) -> Option<(Arc<Device>, Arc<CDriver>)> {
        let registered = self.registered.lock();
        registered.device.clone().zip(registered.driver.clone())
    }

    /// Ends the registration, if there is one: hides the device from users, and sleeps until the
    /// last of them has let it go. Whether there was one.
    ///
    /// # Safety
    ///
    /// `device` must be the one that this is in front of.
    pub(super) unsafe fn unregister(&self, device: *mut bindings::vfio_device) -> bool {
        let registration = self.registered.lock().registration.take();
        let is_registered = registration.is_some();
        // What is in use until then looks at the others.
        drop(registration);
        // SAFETY: By this function's contract, and nobody uses the device.
        unsafe { self.forget(device) };
        is_registered
    }

    /// The device is not registered, and nobody uses it.
    ///
    /// # Safety
    ///
    /// This is so, and `device` must be the one that this is in front of.
    pub(super) unsafe fn forget(&self, device: *mut bindings::vfio_device) {
        self.device.store(ptr::null_mut(), Release);
        let registered = core::mem::take(&mut *self.registered.lock());
        if let Some(driver) = &registered.driver {
            driver.device().detach();
        }
        // SAFETY: The device is valid. The inode goes with what is dropped now, the directory is
        // gone.
        unsafe {
            (*device).inode = ptr::null_mut();
            (*device).debug_root = ptr::null_mut();
        }
        drop(registered);
    }

    /// Allocates `size` bytes, zeroed, with one of these in front of them.
    fn allocate(size: usize) -> Result<NonNull<bindings::vfio_device>> {
        let size = size.checked_add(FACE_SIZE).ok_or(ENOMEM)?;
        let layout = Layout::from_size_align(size, align_of::<Self>()).map_err(|_| ENOMEM)?;
        let base = KVmalloc::alloc(layout, GFP_KERNEL | __GFP_ZERO, NumaNode::NO_NODE)?;
        let base = base.cast::<Self>();
        // SAFETY: There is room for it, nobody else has it, and it stays where it is. The
        // initialiser cannot fail.
        unsafe { pin_init::raw_init(base.as_ptr(), Self::new()) };
        // SAFETY: It is in the same allocation.
        Ok(unsafe { base.byte_add(FACE_SIZE) }.cast())
    }

    /// Frees what `allocate()` has allocated.
    ///
    /// # Safety
    ///
    /// `device` must be the result of that, and nobody may use it any more.
    unsafe fn free(device: *mut bindings::vfio_device) {
        // SAFETY: By this function's contract.
        unsafe {
            device_set::leave(device);
            let base = device.byte_sub(FACE_SIZE).cast::<Self>();
            ptr::drop_in_place(base);
            bindings::kvfree(base.cast());
        }
    }
}

/// Gives a device what another module has to know of it, until [`withdraw()`], or until the device
/// is freed.
///
/// # Errors
///
/// `ENOMEM`.
///
/// # Safety
///
/// `device` must be from [`_vfio_alloc_device()`], and nobody else may use it: its driver is
/// initialising it.
pub unsafe fn extend<T: Any + Send + Sync>(
    device: *mut bindings::vfio_device,
    extension: T,
) -> Result {
    let extension = KBox::new(extension, GFP_KERNEL_ACCOUNT)?;
    // SAFETY: By this function's contract.
    unsafe { *Face::of(device).extension.get() = Some(extension) };
    Ok(())
}

/// What [`extend()`] has given to a device; `None` if it was nothing of this type.
///
/// # Safety
///
/// `device` must be from [`_vfio_alloc_device()`], and nobody may free it, or withdraw this from
/// it, as long as the result is used.
#[inline]
pub unsafe fn extension<'a, T: Any + Send + Sync>(
    device: *mut bindings::vfio_device,
) -> Option<&'a T> {
    // SAFETY: By this function's contract; who changes it is alone.
    let extension = unsafe { &*Face::of(device).extension.get() };
    extension.as_deref()?.downcast_ref()
}

/// Takes away what [`extend()`] has given to a device.
///
/// # Safety
///
/// `device` must be from [`_vfio_alloc_device()`], and nobody else may use it: its driver is
/// releasing it.
pub unsafe fn withdraw(device: *mut bindings::vfio_device) {
    // SAFETY: By this function's contract.
    let extension = unsafe { (*Face::of(device).extension.get()).take() };
    drop(extension);
}

/// The device, from its registration until nobody uses it any more.
///
/// # Safety
///
/// `device` must be from [`_vfio_alloc_device()`]. If it is registered, or open, then it must stay
/// so as long as the result is used.
#[inline]
pub unsafe fn registered<'a>(device: *mut bindings::vfio_device) -> Option<&'a Device> {
    // SAFETY: By this function's contract. `Face::registered` has a reference to what it is, until
    // `Face::forget()`, which is called when it is neither.
    unsafe { Face::of(device).device.load(Acquire).as_ref() }
}

/// Allocates a driver's structure, which begins with a `struct vfio_device`, and lets the driver
/// initialise it. The last reference to its `device` frees it.
///
/// Returns an error pointer: EINVAL if it is too small, ENOMEM, or what the driver refuses.
///
/// # Safety
///
/// `parent` and `ops` must be valid as long as the result is.
#[no_mangle]
pub unsafe extern "C" fn _vfio_alloc_device(
    size: usize,
    parent: *mut bindings::device,
    ops: *const bindings::vfio_device_ops,
) -> *mut bindings::vfio_device {
    // SAFETY: By this function's contract.
    match unsafe { create(size, parent, ops) } {
        Ok(device) => device.as_ptr(),
        Err(error) => error.to_ptr(),
    }
}

/// # Safety
///
/// As for [`_vfio_alloc_device()`].
unsafe fn create(
    size: usize,
    parent: *mut bindings::device,
    ops: *const bindings::vfio_device_ops,
) -> Result<NonNull<bindings::vfio_device>> {
    if warn_on!(size < size_of::<bindings::vfio_device>()) {
        return Err(EINVAL);
    }
    let device = Face::allocate(size)?;
    let raw = device.as_ptr();
    // SAFETY: The device is new, and there is room for all of it. The driver frees what it has
    // allocated when it refuses, and is not asked to release it.
    unsafe {
        (*raw).dev = parent;
        (*raw).ops = ops;
        if let Some(init) = (*ops).init {
            if let Err(error) = to_result(init(raw)) {
                Face::free(raw);
                return Err(error);
            }
        }
        bindings::device_initialize(&raw mut (*raw).device);
        (*raw).device.parent = parent;
        (*raw).device.release = Some(release);
    }
    Ok(device)
}

/// The last reference to a driver's device is gone.
///
/// # Safety
///
/// Only the driver core calls this, for the `device` of a structure of [`_vfio_alloc_device()`].
unsafe extern "C" fn release(raw: *mut bindings::device) {
    // SAFETY: By this function's contract it is a part of that structure.
    let device = unsafe { container_of!(raw, bindings::vfio_device, device) };
    // SAFETY: As above; this is the last use.
    unsafe {
        // A driver that forgets it would leave users with what is freed below.
        warn_on!(Face::of(device).unregister(device));
        if let Some(release) = (*(*device).ops).release {
            release(device);
        }
        Face::free(device);
    }
}
