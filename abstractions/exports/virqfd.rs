// SPDX-License-Identifier: GPL-2.0

//! Eventfds that call functions of drivers in C.
//!
//! What a driver has is a pointer, null at first, that only these functions look behind: there is a
//! slot of a [`Virqfd`].
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

use crate::{
    abstractions::{
        bindings,
        exports::signature::signatures,
        sync::static_mutex::StaticMutex, //
    },
    static_mutex,
    virqfd::{
        Handler,
        Virqfd, //
    }, //
};
use core::ptr;
use kernel::{
    error::from_result,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::Arc, //
};

signatures!(
    vfio_virqfd_disable,
    vfio_virqfd_enable,
    vfio_virqfd_flush_thread,
);

/// An eventfd of a driver, unless its user has closed it.
type Slot = Option<Virqfd>;

/// What drivers' pointers are read and changed with. None of their functions is waited for.
static POINTERS: StaticMutex<()> = static_mutex!((), c"vfio_virqfd_pointers");

/// Calls the functions of a driver.
///
/// # Invariants
///
/// They may be called, `handler` in atomic context, with `opaque` and `data`, from any thread.
struct Functions {
    opaque: *mut c_void,
    data: *mut c_void,
    handler: Option<unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int>,
    thread: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
}

// SAFETY: By the type invariant.
unsafe impl Send for Functions {}
// SAFETY: By the type invariant.
unsafe impl Sync for Functions {}

impl Handler for Functions {
    fn signalled(&self) -> bool {
        let wanted = self.handler.is_none_or(|handler| {
            // SAFETY: By the type invariant.
            let wanted = unsafe { handler(self.opaque, self.data) };
            wanted != 0
        });
        wanted && self.thread.is_some()
    }

    fn follow_up(&self) {
        if let Some(thread) = self.thread {
            // SAFETY: By the type invariant.
            unsafe { thread(self.opaque, self.data) };
        }
    }
}

/// Removes an eventfd that its user has closed.
///
/// # Safety
///
/// As of [`vfio_virqfd_enable()`].
unsafe fn remove_closed(pvirqfd: *mut *mut bindings::virqfd) {
    let pointers = POINTERS.lock();
    // SAFETY: By this function's contract it is null, or what is put there below.
    let slot = unsafe { (*pvirqfd).cast::<Slot>().as_mut() };
    let closed = slot.and_then(|slot| slot.take_if(|virqfd| !virqfd.is_open()));
    drop(pointers);
    drop(closed);
}

/// Calls `handler` when somebody signals the eventfd `fd`, in atomic context; and `thread` after
/// that, in a thread, if `handler` returns something. Either may be null, what is called is as
/// if `handler` had returned something then. If the eventfd was signalled already, that is now.
///
/// Returns EBADF if `fd` is not open, EINVAL if it is no eventfd, EBUSY if there is one at
/// `pvirqfd` that is open, ENOMEM.
///
/// # Safety
///
/// `pvirqfd` must be valid, null at first, and be changed by functions of this file only. Both
/// functions must be callable with `opaque` and `data` until [`vfio_virqfd_disable()`].
#[no_mangle]
pub unsafe extern "C" fn vfio_virqfd_enable(
    opaque: *mut c_void,
    handler: Option<unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int>,
    thread: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
    data: *mut c_void,
    pvirqfd: *mut *mut bindings::virqfd,
    fd: c_int,
) -> c_int {
    from_result(|| {
        // INVARIANT: By this function's contract; they are not called any more once the eventfd
        // is taken away.
        let functions = Functions {
            opaque,
            data,
            handler,
            thread,
        };
        let functions = Arc::new(functions, GFP_KERNEL_ACCOUNT)?;
        // SAFETY: By this function's contract.
        unsafe { remove_closed(pvirqfd) };
        let _pointers = POINTERS.lock();
        // SAFETY: By this function's contract it is null, or what is put there below.
        if let Some(slot) = unsafe { (*pvirqfd).cast::<Slot>().as_mut() } {
            Virqfd::install(slot, fd, functions)?;
            return Ok(0);
        }
        let mut slot = KBox::new(None, GFP_KERNEL_ACCOUNT)?;
        Virqfd::install(&mut slot, fd, functions)?;
        // SAFETY: By this function's contract.
        unsafe { pvirqfd.write(KBox::into_raw(slot).cast()) };
        Ok(0)
    })
}

/// Takes an eventfd away, if there is one. None of its driver's functions runs any more then. May
/// sleep.
///
/// # Safety
///
/// As of [`vfio_virqfd_enable()`].
#[no_mangle]
pub unsafe extern "C" fn vfio_virqfd_disable(pvirqfd: *mut *mut bindings::virqfd) {
    let pointers = POINTERS.lock();
    // SAFETY: By this function's contract.
    let slot = unsafe { ptr::replace(pvirqfd, ptr::null_mut()) }.cast::<Slot>();
    // The driver's functions are waited for without the lock.
    drop(pointers);
    if !slot.is_null() {
        // SAFETY: `vfio_virqfd_enable()` put it there, and nobody else finds it any more.
        drop(unsafe { KBox::from_raw(slot) });
    }
}

/// Waits for the function that a driver runs in a thread, if it is to run. May sleep.
///
/// # Safety
///
/// As of [`vfio_virqfd_enable()`].
#[no_mangle]
pub unsafe extern "C" fn vfio_virqfd_flush_thread(pvirqfd: *mut *mut bindings::virqfd) {
    let pointers = POINTERS.lock();
    // SAFETY: By this function's contract; with the lock held it stays there.
    let slot = unsafe { (*pvirqfd).cast::<Slot>().as_ref() };
    let follow_up = slot.and_then(|slot| slot.as_ref().map(Virqfd::follow_up));
    drop(pointers);
    if let Some(follow_up) = follow_up {
        follow_up.wait();
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_exports_virqfd)]
mod tests {
    use super::*;

    // Row 9-10: what a driver with nothing but a null pointer is told.
    #[test]
    fn a_pointer_stays_null() {
        let mut pointer = ptr::null_mut();
        // SAFETY: The pointer is null; no function is given.
        unsafe {
            let null = ptr::null_mut();
            let rc = vfio_virqfd_enable(null, None, None, null, &mut pointer, -1);
            assert_eq!(rc, EBADF.to_errno());
            assert!(pointer.is_null());
            vfio_virqfd_flush_thread(&mut pointer);
            vfio_virqfd_disable(&mut pointer);
        }
        assert!(pointer.is_null());
    }
}
