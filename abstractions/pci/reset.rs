// SPDX-License-Identifier: GPL-2.0

//! Resets of a PCI function, its saved state, and what is reset together with it.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use crate::abstractions::pci::Function;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    pci,
    prelude::*, //
};
use vfio::abstractions::bindings;

/// Config space state of a function, kept apart from the one in `struct pci_dev`.
pub(crate) struct SavedState(NonNull<bindings::pci_saved_state>);

// SAFETY: The state is plain memory that nobody else refers to.
unsafe impl Send for SavedState {}

// SAFETY: Nobody writes to the state once it is stored: `load_saved_state()`, which takes it
// shared, copies from it.
unsafe impl Sync for SavedState {}

impl Drop for SavedState {
    fn drop(&mut self) {
        // SAFETY: The state was allocated by `pci_store_saved_state()`, whose callers own it and
        // free it with `kfree()`.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}

/// Saved state.
impl Function {
    /// Saves config space in the function's `struct pci_dev`.
    pub(crate) fn save_state(&self) {
        // SAFETY: `as_raw()` is valid. The result is always zero, or the lack of a buffer of a
        // capability, without which it is just not saved.
        unsafe { bindings::pci_save_state(self.as_raw()) };
    }

    /// Copies what [`Self::save_state`] saved. `None` if nothing was saved, or memory is short.
    pub(crate) fn store_saved_state(&self) -> Option<SavedState> {
        // SAFETY: `as_raw()` is valid.
        NonNull::new(unsafe { bindings::pci_store_saved_state(self.as_raw()) }).map(SavedState)
    }

    /// Makes `state` the saved one again. Without one, nothing counts as saved after this.
    ///
    /// # Errors
    ///
    /// EINVAL if the state does not fit the function.
    pub(crate) fn load_saved_state(&self, state: Option<&SavedState>) -> Result {
        let raw = state.map_or(core::ptr::null_mut(), |state| state.0.as_ptr());

        // SAFETY: `as_raw()` is valid, and `raw` is null or a saved state, which is only read.
        to_result(unsafe { bindings::pci_load_saved_state(self.as_raw(), raw) })
    }

    /// Writes to the hardware what was saved, or loaded, last, whether it still counts as saved or
    /// not; afterwards nothing does.
    pub(crate) fn restore_state(&self) {
        // SAFETY: `as_raw()` is valid.
        unsafe { bindings::pci_restore_state(self.as_raw()) };
    }
}

/// The lock of a function, which keeps drivers from binding and config space from being used.
struct Locked<'a>(&'a Function);

impl<'a> Locked<'a> {
    fn try_lock(function: &'a Function) -> Option<Self> {
        // SAFETY: `as_raw()` is valid.
        let locked = unsafe { bindings::pci_dev_trylock(function.as_raw()) };

        // Not `then_some()`, which would make, and drop, the guard in any case.
        (locked != 0).then(|| Self(function))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: Taken by `try_lock()`.
        unsafe { bindings::pci_dev_unlock(self.0.as_raw()) };
    }
}

/// What a reset that reaches beyond the function would take with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResetScope {
    /// Nothing else.
    Function,
    /// The slot; its address is its identity.
    Slot(usize),
    /// The bus; its address is its identity.
    Bus(usize),
}

/// Resets.
impl Function {
    /// Resets the function by the best method it has, and restores its config space.
    ///
    /// # Errors
    ///
    /// EAGAIN if the function is locked, ENOTTY if it has no method, or that of the method.
    pub(crate) fn try_reset(&self) -> Result {
        // SAFETY: `as_raw()` is valid.
        to_result(unsafe { bindings::pci_try_reset_function(self.as_raw()) })
    }

    /// Resets the function and leaves its saved state alone.
    ///
    /// # Errors
    ///
    /// EAGAIN if the function or the bridge above it is locked, ENOTTY if it has no method, or
    /// that of the method.
    pub(crate) fn try_reset_keeping_saved_state(&self) -> Result {
        let bridge = self.upstream_bridge();
        let _bridge_lock = match &bridge {
            Some(bridge) => Some(Locked::try_lock(bridge).ok_or(EAGAIN)?),
            None => None,
        };
        let _lock = Locked::try_lock(self).ok_or(EAGAIN)?;

        // SAFETY: `as_raw()` is valid, and the function is locked, as is the bridge above it.
        to_result(unsafe { bindings::__pci_reset_function_locked(self.as_raw()) })
    }

    /// Returns the bridge above the function, if it is not on a root bus.
    fn upstream_bridge(&self) -> Option<Function> {
        // SAFETY: `as_raw()` is valid.
        let raw = unsafe { bindings::vfio_rust_pci_upstream_bridge(self.as_raw()) };

        // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
        // SAFETY: `raw` is null or valid: a function keeps its bus, which keeps its bridge.
        unsafe { raw.cast::<pci::Device>().as_ref() }.map(Function::new)
    }

    /// Returns what is reset by the smallest reset that reaches beyond the function.
    pub(crate) fn reset_scope(&self) -> ResetScope {
        // SAFETY: `as_raw()` is valid.
        if self.is_virtual() || unsafe { bindings::vfio_rust_pci_is_root_bus(self.as_raw()) } {
            return ResetScope::Function;
        }

        let (bus, slot) = self.bus_and_slot();
        // SAFETY: `slot` is null, which the callee expects, or was valid a moment ago: nothing but
        // the end of its hotplug driver frees it, and nobody, C drivers included, can wait for
        // that here.
        if unsafe { bindings::pci_probe_reset_slot(slot) } == 0 {
            ResetScope::Slot(slot.addr())
        } else {
            ResetScope::Bus(bus.addr())
        }
    }

    fn bus_and_slot(&self) -> (*mut bindings::pci_bus, *mut bindings::pci_slot) {
        let function = self.as_raw();
        // SAFETY: `as_raw()` is valid. A function has the same bus for as long as it exists. Its
        // slot comes and goes with the hotplug driver that is in charge of it, under locks of
        // the PCI core that no module can take, hence the volatile read.
        unsafe {
            (
                (*function).bus,
                (&raw const (*function).slot).read_volatile(),
            )
        }
    }

    /// Can the slot, or else the bus, be reset?
    pub(crate) fn can_reset_scope(&self) -> bool {
        let (bus, slot) = self.bus_and_slot();

        // SAFETY: `slot` is as in `reset_scope()`; the function keeps its bus.
        unsafe {
            bindings::pci_probe_reset_slot(slot) == 0 || bindings::pci_probe_reset_bus(bus) == 0
        }
    }

    /// Resets the slot, or else the bus, and restores the config space of all in it.
    ///
    /// # Errors
    ///
    /// EAGAIN if one of the functions is locked, ENOTTY if there is no such reset, or that of the
    /// method.
    pub(crate) fn try_reset_scope(&self) -> Result {
        // SAFETY: `as_raw()` is valid.
        to_result(unsafe { bindings::pci_reset_bus(self.as_raw()) })
    }

    /// Returns how many functions [`Self::try_reset_scope`] resets.
    pub(crate) fn count_in_scope(&self) -> usize {
        let mut count = 0usize;
        self.visit_scope(|_| {
            count = count.saturating_add(1);
            true
        });

        count
    }

    /// Returns what `describe` says of the functions that [`Self::try_reset_scope`] resets, if they
    /// are at most `limit`. It is called with the lock of the PCI bus list held.
    ///
    /// # Errors
    ///
    /// EAGAIN if there are more, ENOMEM, and what `describe` fails with.
    pub(crate) fn describe_scope<T>(
        &self,
        limit: usize,
        mut describe: impl FnMut(&pci::Device) -> Result<T>,
    ) -> Result<KVec<T>> {
        let mut described = KVec::with_capacity(limit, GFP_KERNEL)?;
        let mut result = Ok(());
        self.visit_scope(|device| {
            result = describe(device)
                .and_then(|one| described.push_within_capacity(one).map_err(|_| EAGAIN));
            result.is_ok()
        });

        result.map(|()| described)
    }

    /// Does `predicate` hold for every function that [`Self::try_reset_scope`] resets? It is
    /// called with the lock of the PCI bus list held.
    pub(crate) fn all_in_scope(&self, mut predicate: impl FnMut(&pci::Device) -> bool) -> bool {
        let mut all = true;
        self.visit_scope(|device| {
            all = predicate(device);
            all
        });

        all
    }

    /// Calls `visit` for every function that [`Self::try_reset_scope`] resets, until it returns
    /// false. It is called with the lock of the PCI bus list held.
    fn visit_scope(&self, mut visit: impl FnMut(&pci::Device) -> bool) {
        let (bus, slot) = self.bus_and_slot();
        // SAFETY: As in `reset_scope()`.
        let by_slot = unsafe { bindings::pci_probe_reset_slot(slot) } == 0;
        let mut visit_below = |device: *mut bindings::pci_dev| {
            // SAFETY: The walk passes valid functions; `slot` is valid if it can be reset.
            if by_slot && !unsafe { bindings::vfio_rust_pci_is_below_slot(device, slot) } {
                return true;
            }
            // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
            // SAFETY: The walk passes valid functions.
            visit(unsafe { &*device.cast::<pci::Device>() })
        };
        walk(bus, &mut visit_below);
    }
}

/// Where a function is.
#[derive(Clone, Copy)]
pub(crate) struct Location {
    /// PCI domain.
    pub(crate) segment: c_int,
    /// Bus.
    pub(crate) bus: u8,
    /// Device and function.
    pub(crate) devfn: u8,
}

impl Location {
    /// Of `device`.
    pub(crate) fn of(device: &pci::Device) -> Self {
        // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
        let device: *mut bindings::pci_dev = core::ptr::from_ref(device).cast_mut().cast();
        // SAFETY: The device is valid. The fields are constant, and it keeps its bus.
        let (bus, devfn) = unsafe { ((*(*device).bus).number, (*device).devfn) };

        Self {
            // SAFETY: As above.
            segment: unsafe { bindings::vfio_rust_pci_domain_nr(device) },
            bus,
            // CAST: A device and function number has eight bits.
            devfn: devfn as u8,
        }
    }
}

/// Calls `visit` for all functions on a bus and below, until it returns false.
fn walk(bus: *mut bindings::pci_bus, visit: &mut dyn FnMut(*mut bindings::pci_dev) -> bool) {
    type Visit<'a> = &'a mut dyn FnMut(*mut bindings::pci_dev) -> bool;

    /// # Safety
    ///
    /// `data` must be the address of a `Visit`.
    unsafe extern "C" fn callback(device: *mut bindings::pci_dev, data: *mut c_void) -> c_int {
        // SAFETY: By this function's contract.
        let visit = unsafe { &mut *data.cast::<Visit<'_>>() };

        c_int::from(!visit(device))
    }

    let mut visit: Visit<'_> = visit;
    // SAFETY: The caller has a function that keeps the bus, and `visit` outlives the walk.
    unsafe { bindings::pci_walk_bus(bus, Some(callback), (&raw mut visit).cast()) };
}
