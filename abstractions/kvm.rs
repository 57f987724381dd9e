// SPDX-License-Identifier: GPL-2.0

//! Virtual machines: references to them.
//!
//! C header: [`include/linux/kvm_host.h`](srctree/include/linux/kvm_host.h)

use crate::abstractions::bindings;
use core::ptr::NonNull;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};

/// A virtual machine that may go as soon as KVM has taken the pointer back.
struct KvmPointer(NonNull<bindings::kvm>);

// SAFETY: The pointer is only passed on to KVM, which locks.
unsafe impl Send for KvmPointer {}

/// Which virtual machine a file was given to.
///
/// # Invariants
///
/// A machine that is in here exists: before it goes KVM takes the pointer back, by
/// `vfio_file_set_kvm()` for the file that it gave it to, which puts it nowhere else and takes it
/// from here with the lock held.
#[pin_data]
pub struct KvmSlot {
    #[pin]
    machine: SpinLock<Option<KvmPointer>>,
}

impl KvmSlot {
    /// Of a file that was given to none.
    pub(crate) fn new() -> impl PinInit<Self> {
        // INVARIANT: There is no machine.
        pin_init!(Self {
            machine <- new_spinlock!(None, "vfio_kvm"),
        })
    }

    /// Puts a machine, or none, in place of the one that is there.
    ///
    /// # Safety
    ///
    /// `machine` must exist until this is called again for the same slot.
    pub(in crate::abstractions) unsafe fn set(&self, machine: Option<NonNull<bindings::kvm>>) {
        // INVARIANT: By this function's contract.
        *self.machine.lock() = machine.map(KvmPointer);
    }

    /// Takes a reference on the machine and on the KVM module, unless there is none or the
    /// machine is going away.
    pub(crate) fn get(&self) -> Option<Kvm> {
        let machine = self.machine.lock();
        let pointer = machine.as_ref()?.0;
        // SAFETY: By the type invariant, and the lock is held, the machine's memory
        // is there; the helper copes with a machine without users.
        // Not `then_some()`, which would make, and drop, the reference in any
        // case.
        unsafe { bindings::vfio_rust_kvm_get(pointer.as_ptr()) }.then(|| Kvm(pointer))
    }
}

/// A reference to a virtual machine and to the KVM module.
pub struct Kvm(NonNull<bindings::kvm>);

impl Kvm {
    /// The machine, which exists as long as this.
    pub(in crate::abstractions) fn as_raw(&self) -> *mut bindings::kvm {
        self.0.as_ptr()
    }
}

// SAFETY: Machines may be released from any thread.
unsafe impl Send for Kvm {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl Sync for Kvm {}

impl Drop for Kvm {
    fn drop(&mut self) {
        // SAFETY: `KvmSlot::get()` took this reference.
        unsafe { bindings::vfio_rust_kvm_put(self.0.as_ptr()) };
    }
}
