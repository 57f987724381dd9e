// SPDX-License-Identifier: GPL-2.0

//! Device sets as drivers in C see them: `struct vfio_device_set`.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)
//!
//! The lock of a set of this kind is inside of that of a [`DeviceSet`], which is what keeps
//! devices from being opened at a time; C code may take it alone.
//!
//! [`DeviceSet`]: crate::device::set::DeviceSet

use crate::{
    abstractions::{
        bindings,
        c_driver::device::CDevice,
        sync::static_mutex::StaticMutex, //
    },
    static_mutex, //
};
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    types::NotThreadSafe,
    warn_on, //
};

/// A set that some device has joined.
///
/// # Invariants
///
/// It is initialised, has `device_count` devices, and goes when the last one leaves it.
struct Set(NonNull<bindings::vfio_device_set>);

// SAFETY: Sets are shared by all threads, and have a lock.
unsafe impl Send for Set {}

/// All sets. Held to join and leave, not while devices are opened.
static SETS: StaticMutex<KVec<Set>> = static_mutex!(KVec::new(), c"vfio_c_device_sets");

/// Finds the set with this key, or makes it, and counts one more device.
fn get(key: *mut c_void) -> Result<NonNull<bindings::vfio_device_set>> {
    let mut sets = SETS.lock();
    for set in sets.iter() {
        let raw = set.0.as_ptr();
        // SAFETY: By the type invariant; `SETS` is locked, under which alone the fields change.
        unsafe {
            if (*raw).set_id == key {
                (*raw).device_count = (*raw).device_count.saturating_add(1);
                return Ok(set.0);
            }
        }
    }
    sets.reserve(1, GFP_KERNEL)?;
    let set = KBox::new(bindings::vfio_device_set::default(), GFP_KERNEL)?;
    let set = NonNull::from(KBox::leak(set));
    // SAFETY: The set is new, and stays where it is.
    unsafe {
        bindings::vfio_rust_device_set_init(set.as_ptr(), key);
        (*set.as_ptr()).device_count = 1;
    }
    // INVARIANT: The device that is counted is the caller's.
    sets.push(Set(set), GFP_KERNEL)?;
    Ok(set)
}

/// Counts one device less; the last one frees the set.
///
/// # Safety
///
/// The caller must have a count from [`get()`], and give it up.
unsafe fn put(set: NonNull<bindings::vfio_device_set>) {
    let mut sets = SETS.lock();
    // SAFETY: By this function's contract the set is there; the field only changes with `SETS`
    // locked.
    let left = unsafe {
        let count = &raw mut (*set.as_ptr()).device_count;
        *count = (*count).saturating_sub(1);
        *count
    };
    if left != 0 {
        return;
    }
    sets.retain(|other| other.0 != set);
    if sets.is_empty() {
        // The static outlives the module's other data: leave nothing allocated in it.
        *sets = KVec::new();
    }
    // SAFETY: `get()` has leaked it, and nobody has it any more.
    drop(unsafe { KBox::from_raw(set.as_ptr()) });
}

/// Puts a device into the set with a key.
///
/// # Errors
///
/// `EINVAL`: the key is null, or the device is in another set. `ENOMEM`.
///
/// # Safety
///
/// `device` must be from `_vfio_alloc_device()`, and nobody else may change which set it is in.
pub(in crate::abstractions) unsafe fn join(
    device: *mut bindings::vfio_device,
    key: *mut c_void,
) -> Result {
    if warn_on!(key.is_null()) {
        return Err(EINVAL);
    }
    // SAFETY: By this function's contract.
    let own = unsafe { (*device).dev_set };
    if let Some(own) = NonNull::new(own) {
        // SAFETY: The device is in it, so it is there, and its key does not change.
        let is_same = unsafe { (*own.as_ptr()).set_id } == key;
        return if warn_on!(!is_same) {
            Err(EINVAL)
        } else {
            Ok(())
        };
    }
    let set = get(key)?;
    // SAFETY: The device is counted, so the set is there; its list only changes with its lock held.
    unsafe {
        let set = set.as_ptr();
        bindings::mutex_lock(&raw mut (*set).lock);
        (*device).dev_set = set;
        bindings::list_add_tail(&raw mut (*device).dev_set_list, &raw mut (*set).device_list);
        bindings::mutex_unlock(&raw mut (*set).lock);
    }
    Ok(())
}

/// Takes a device out of its set, if it is in one.
///
/// # Safety
///
/// As for [`join()`].
pub(in crate::abstractions) unsafe fn leave(device: *mut bindings::vfio_device) {
    // SAFETY: By this function's contract.
    let Some(set) = NonNull::new(unsafe { (*device).dev_set }) else {
        return;
    };
    // SAFETY: The device is in the set, which is there for that; its list only changes with its
    // lock held.
    unsafe {
        let raw = set.as_ptr();
        bindings::mutex_lock(&raw mut (*raw).lock);
        bindings::vfio_rust_list_del(&raw mut (*device).dev_set_list);
        (*device).dev_set = core::ptr::null_mut();
        bindings::mutex_unlock(&raw mut (*raw).lock);
        put(set);
    }
}

/// The devices of a set, in the order in which they came.
///
/// # Safety
///
/// `set` must be one of C's, and the caller must hold its lock.
pub(in crate::abstractions) unsafe fn devices(
    set: *mut bindings::vfio_device_set,
) -> impl Iterator<Item = *mut bindings::vfio_device> {
    // SAFETY: By this function's contract.
    let head = unsafe { &raw mut (*set).device_list };
    // SAFETY: As above; the list does not change while the lock is held.
    let mut link = unsafe { (*head).next };
    core::iter::from_fn(move || {
        if link == head {
            return None;
        }
        let device = kernel::container_of!(link, bindings::vfio_device, dev_set_list);
        // SAFETY: As above, the link is one of the list.
        link = unsafe { (*link).next };
        Some(device)
    })
}

/// Calls `inner` with the lock of a set, so that lockdep knows in which order it is taken.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn prime_lock_order<R>(inner: impl FnOnce() -> R) -> Result<R> {
    let mut set = KBox::new(bindings::vfio_device_set::default(), GFP_KERNEL)?;
    let set: *mut bindings::vfio_device_set = &mut *set;
    // SAFETY: The set stays where it is until the end of this function, and nobody else has it.
    unsafe {
        bindings::vfio_rust_device_set_init(set, core::ptr::null_mut());
        bindings::mutex_lock(&raw mut (*set).lock);
    }
    let result = inner();
    // SAFETY: The lock was taken above.
    unsafe { bindings::mutex_unlock(&raw mut (*set).lock) };
    Ok(result)
}

/// The lock of a device's set, which is held until this is dropped.
pub struct SetGuard {
    set: NonNull<bindings::vfio_device_set>,
    _task: NotThreadSafe,
}

impl CDevice {
    /// Takes the lock of the device's set. `None`: it is in none.
    pub fn lock_set(&self) -> Option<SetGuard> {
        let device = self.present()?;
        // SAFETY: The device is valid; it leaves its set when it goes.
        let set = NonNull::new(unsafe { (*device.raw).dev_set })?;
        // SAFETY: The device is in the set, which is there for that.
        unsafe { bindings::mutex_lock(&raw mut (*set.as_ptr()).lock) };
        Some(SetGuard {
            set,
            _task: NotThreadSafe,
        })
    }
}

impl Drop for SetGuard {
    fn drop(&mut self) {
        // SAFETY: This value's existence shows that the lock is held by this task, and the device
        // whose set it is, is in use.
        unsafe { bindings::mutex_unlock(&raw mut (*self.set.as_ptr()).lock) };
    }
}
