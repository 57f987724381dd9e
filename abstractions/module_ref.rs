// SPDX-License-Identifier: GPL-2.0

//! References that keep a module loaded.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use crate::abstractions::bindings;
use kernel::{
    prelude::*,
    ThisModule, //
};

/// Keeps a module from being unloaded.
///
/// # Invariants
///
/// The pointer is null, for built-in code, or of a module of which this owns a reference.
#[must_use = "the module may go once the reference is dropped"]
pub struct ModuleRef(*mut bindings::module);

// SAFETY: References to modules are counted atomically, and do not belong to a thread.
unsafe impl Send for ModuleRef {}
// SAFETY: As above; the pointer never changes.
unsafe impl Sync for ModuleRef {}

impl ModuleRef {
    /// Takes a reference on `module`.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the module is being unloaded.
    pub fn get(module: &'static ThisModule) -> Result<Self> {
        // SAFETY: A module that runs this, or is known to who does, is valid, or
        // null for built-in code.
        unsafe { Self::get_raw(module.as_ptr()) }
    }

    /// Takes a reference on the module of a C caller.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the module is being unloaded.
    ///
    /// # Safety
    ///
    /// `module` must be null, for built-in code, or valid.
    pub(in crate::abstractions) unsafe fn get_raw(module: *mut bindings::module) -> Result<Self> {
        // SAFETY: By this function's contract; null is accepted.
        if unsafe { bindings::try_module_get(module) } {
            // INVARIANT: The reference was just taken.
            Ok(Self(module))
        } else {
            Err(ENODEV)
        }
    }
}

/// The module of a driver, for as long as devices of it can be asked for it.
///
/// # Invariants
///
/// The pointer is null, for built-in code, or of a module that exists as long as this does.
pub struct DriverModule(*mut bindings::module);

// SAFETY: References to modules are counted atomically.
unsafe impl Send for DriverModule {}
// SAFETY: As above; the pointer never changes.
unsafe impl Sync for DriverModule {}

impl DriverModule {
    /// The module of a driver in C.
    ///
    /// # Safety
    ///
    /// `module` must be null, for built-in code, or exist as long as the result does.
    pub(in crate::abstractions) unsafe fn from_raw(module: *mut bindings::module) -> Self {
        // INVARIANT: By this function's contract.
        Self(module)
    }

    /// Takes a reference on it.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the module is being unloaded.
    pub fn hold(&self) -> Result<ModuleRef> {
        // SAFETY: By the type invariant.
        unsafe { ModuleRef::get_raw(self.0) }
    }
}

impl From<&'static ThisModule> for DriverModule {
    fn from(module: &'static ThisModule) -> Self {
        // INVARIANT: A module that runs this, or is known to who does, is valid, or null for
        // built-in code.
        Self(module.as_ptr())
    }
}

impl ModuleRef {
    /// Gives the reference away, to whoever calls [`from_raw()`](Self::from_raw)
    /// for it.
    pub(in crate::abstractions) fn into_raw(self) {
        core::mem::forget(self);
    }

    /// Takes over a reference on `module`.
    ///
    /// # Safety
    ///
    /// The caller must own a reference that [`into_raw()`](Self::into_raw) gave
    /// away, and give it up.
    pub(in crate::abstractions) unsafe fn from_raw(module: &DriverModule) -> Self {
        // INVARIANT: By this function's contract.
        Self(module.0)
    }
}

impl Clone for ModuleRef {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant; so the module stays.
        unsafe { bindings::__module_get(self.0) };
        // INVARIANT: The reference was just taken.
        Self(self.0)
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; nobody uses it after this.
        unsafe { bindings::module_put(self.0) };
    }
}
