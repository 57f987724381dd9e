// SPDX-License-Identifier: GPL-2.0

//! PCI devices of drivers in C: the fields of `struct vfio_pci_core_device` that those look at.
//!
//! C header: [`include/linux/vfio_pci_core.h`](srctree/include/linux/vfio_pci_core.h)

use crate::abstractions::{
    io::mem::IoMem,
    pci::driver::Probed,
    uapi::pci::VFIO_PCI_NUM_IRQS, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Arc, //
    },
    types::NotThreadSafe, //
};
use vfio::{
    abstractions::{
        bindings,
        exports::registration, //
    },
    confinement::Dma,
    device::{
        ops::DeviceOps,
        set::DeviceSetKey,
        Device, //
    }, //
};

/// A PCI device of a driver in C. A method does nothing if the device is gone.
///
/// # Invariants
///
/// `raw` is null, or a device that `_vfio_alloc_device()` has made and whose driver has had it
/// initialised here. It is made null before that goes.
pub(crate) struct CPciDevice {
    raw: Atomic<*mut bindings::vfio_pci_core_device>,
    announces_resets: bool,
}

/// What `barmap` has for a BAR.
pub(crate) enum Registers<'a> {
    /// The device is not open.
    None,
    /// It is mapped.
    Mapped(&'a IoMem),
    /// It could not be.
    Failed(Error),
}

impl CPciDevice {
    /// # Safety
    ///
    /// `raw` must be from `_vfio_alloc_device()`, and its `pdev` bound to the driver. Its
    /// `memory_lock` must be initialised. Before it goes [`detach()`](Self::detach) must be
    /// called, when nobody calls any other method any more.
    pub(in crate::abstractions) unsafe fn new(
        raw: NonNull<bindings::vfio_pci_core_device>,
    ) -> Self {
        // INVARIANT: By this function's contract.
        Self {
            raw: Atomic::new(raw.as_ptr()),
            // SAFETY: By this function's contract.
            announces_resets: unsafe {
                bindings::vfio_rust_pci_announces_resets((*raw.as_ptr()).pdev)
            },
        }
    }

    /// The driver may free the device.
    pub(in crate::abstractions) fn detach(&self) {
        // INVARIANT: It is null.
        self.raw.store(ptr::null_mut(), Release);
    }

    /// The device, unless it is gone.
    pub(in crate::abstractions) fn present(
        &self,
    ) -> Option<NonNull<bindings::vfio_pci_core_device>> {
        NonNull::new(self.raw.load(Acquire))
    }

    /// Does the driver let this module hear of resets? It does with the error handlers that this
    /// module offers; with others, nobody says that the device is being reset.
    pub(crate) fn announces_resets(&self) -> bool {
        self.announces_resets
    }

    /// `barmap`: the registers of BAR `index` while the device is open.
    pub(crate) fn set_registers(&self, index: usize, registers: Registers<'_>) {
        let Some(device) = self.present() else {
            return;
        };
        let cookie = match registers {
            Registers::None => ptr::null_mut(),
            Registers::Mapped(io) => io.cookie(),
            Registers::Failed(error) => error.to_ptr(),
        };
        // SAFETY: The device is valid; only this function writes the field, only while the device
        // is opened or closed.
        if let Some(slot) = unsafe { (*device.as_ptr()).barmap.get_mut(index) } {
            *slot = cookie;
        }
    }

    /// `irq_type`: the index of the interrupts that are in use; none is one behind the last.
    pub(crate) fn set_interrupts(&self, index: Option<u32>) {
        let Some(device) = self.present() else {
            return;
        };
        let index = index.unwrap_or(VFIO_PCI_NUM_IRQS);
        // CAST: A small number.
        // SAFETY: The device is valid. C code that reads the field does so without a lock.
        unsafe { (&raw mut (*device.as_ptr()).irq_type).write_volatile(index as c_int) };
    }

    /// Takes `memory_lock`, which the driver takes for reading to keep the memory of the device
    /// from being disabled. `None` if the device is gone.
    pub(crate) fn lock_memory(&self) -> Option<MemoryGuard> {
        let device = self.present()?;
        // SAFETY: The device is valid, and its lock initialised.
        unsafe { bindings::down_write(&raw mut (*device.as_ptr()).memory_lock) };
        Some(MemoryGuard::new(device))
    }

    /// The same without sleeping.
    ///
    /// # Errors
    ///
    /// EBUSY if somebody has the lock.
    pub(crate) fn try_lock_memory(&self) -> Result<Option<MemoryGuard>> {
        let Some(device) = self.present() else {
            return Ok(None);
        };
        // SAFETY: The device is valid, and its lock initialised.
        if unsafe { bindings::down_write_trylock(&raw mut (*device.as_ptr()).memory_lock) } == 0 {
            return Err(EBUSY);
        }
        Ok(Some(MemoryGuard::new(device)))
    }

    /// Are mappings of this device made by this module alone?
    pub(crate) fn has_no_mappings_of_its_own(&self) -> bool {
        self.present().is_some_and(|device| {
            // SAFETY: The device is valid; it has operations, which do not change.
            unsafe { bindings::vfio_rust_pci_maps_as_core((*device.as_ptr()).vdev.ops) }
        })
    }

    /// Puts the device into the set that `key` stands for.
    fn join_set(
        &self,
        device: NonNull<bindings::vfio_pci_core_device>,
        key: DeviceSetKey,
    ) -> Result {
        let key = match key {
            DeviceSetKey::Alone => device.as_ptr().cast(),
            DeviceSetKey::Shared(key) => ptr::without_provenance_mut(key),
        };
        // SAFETY: The device is valid; it is being bound, so that nobody else does this.
        to_result(unsafe {
            bindings::vfio_assign_device_set(&raw mut (*device.as_ptr()).vdev, key)
        })
    }

    /// Registers the device, which is being bound, in the set that `key` stands for. `core` does
    /// for it what its driver leaves to this module.
    ///
    /// # Errors
    ///
    /// ENODEV if it is another device, EINVAL if it is in another set already, or those of
    /// [`registration::register`].
    pub(crate) fn register(
        self: &Arc<Self>,
        probed: &Probed<'_>,
        key: DeviceSetKey,
        core: Arc<dyn DeviceOps>,
    ) -> Result<Registered> {
        let raw = self.present().ok_or(ENODEV)?;
        // SAFETY: The device is valid.
        if !probed.is(unsafe { (*raw.as_ptr()).pdev }) {
            return Err(ENODEV);
        }
        self.join_set(raw, key)?;
        // SAFETY: The device is from `_vfio_alloc_device()`. Its driver is binding it, with the
        // lock of the device held, and does nothing else with it.
        let device = unsafe {
            let raw = &raw mut (*raw.as_ptr()).vdev;
            registration::register(raw, Dma::Physical, Some(core))?
        };

        Ok(Registered {
            device,
            c_device: self.clone(),
        })
    }
}

/// The registration of a device of a driver in C. Dropping it unregisters the device, which sleeps
/// until nobody uses it.
pub(crate) struct Registered {
    device: Arc<Device>,
    c_device: Arc<CPciDevice>,
}

impl Registered {
    /// The device.
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(raw) = self.c_device.present() {
            // SAFETY: The device is from `_vfio_alloc_device()`, and this value's existence shows
            // that it was registered, which it is only once.
            unsafe { registration::unregister(&raw mut (*raw.as_ptr()).vdev) };
        }
    }
}

/// Calls `inner` with a `memory_lock` held, of a driver that takes it in page faults, so that
/// lockdep knows in which order it is taken.
///
/// # Errors
///
/// ENOMEM.
pub(crate) fn prime_lock_order<R>(inner: impl FnOnce() -> R) -> Result<R> {
    let mut lock = KBox::new(bindings::rw_semaphore::default(), GFP_KERNEL)?;
    let lock: *mut bindings::rw_semaphore = &mut *lock;
    // SAFETY: The lock stays where it is until the end of this function, and nobody else has it.
    unsafe {
        bindings::vfio_rust_pci_init_memory_lock(lock, true);
        bindings::down_write(lock);
    }
    let result = inner();
    // SAFETY: The lock was taken above.
    unsafe { bindings::up_write(lock) };

    Ok(result)
}

/// `memory_lock` is held for writing: no driver is at the memory of the device.
#[must_use = "the driver may come to the memory as soon as this is dropped"]
pub(crate) struct MemoryGuard {
    device: NonNull<bindings::vfio_pci_core_device>,
    _task: NotThreadSafe,
}

impl MemoryGuard {
    /// The lock has been taken.
    fn new(device: NonNull<bindings::vfio_pci_core_device>) -> Self {
        Self {
            device,
            _task: NotThreadSafe,
        }
    }

    /// `pm_runtime_engaged`: may the device be suspended, so that nothing of it is to be mapped?
    pub(crate) fn set_low_power(&self, is_on: bool) {
        // SAFETY: The lock is held, so the device is valid, and nobody else is at the field.
        unsafe { (*self.device.as_ptr()).pm_runtime_engaged = is_on };
    }
}

impl Drop for MemoryGuard {
    fn drop(&mut self) {
        // SAFETY: This value's existence shows that the lock is held by this task; the device stays
        // while somebody is at work on it.
        unsafe { bindings::up_write(&raw mut (*self.device.as_ptr()).memory_lock) };
    }
}
