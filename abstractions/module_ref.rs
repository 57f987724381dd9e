// SPDX-License-Identifier: GPL-2.0

//! References that keep a module loaded.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use super::bindings;
use kernel::{
    prelude::*,
    ThisModule, //
};

/// Keeps a module from being unloaded.
#[must_use = "the module may go once the reference is dropped"]
pub struct ModuleRef(&'static ThisModule);

impl ModuleRef {
    /// Takes a reference on `module`.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the module is being unloaded.
    pub fn get(module: &'static ThisModule) -> Result<Self> {
        // SAFETY: `module` is valid, or null for built-in code, which
        // `try_module_get()` accepts.
        if unsafe { bindings::try_module_get(module.as_ptr()) } {
            Ok(Self(module))
        } else {
            Err(ENODEV)
        }
    }
}

impl ModuleRef {
    /// Gives the reference away, to whoever calls [`from_raw()`](Self::from_raw)
    /// for it.
    pub(super) fn into_raw(self) {
        core::mem::forget(self);
    }

    /// Takes over a reference on `module`.
    ///
    /// # Safety
    ///
    /// The caller must own a reference that [`into_raw()`](Self::into_raw) gave
    /// away, and give it up.
    pub(super) unsafe fn from_raw(module: &'static ThisModule) -> Self {
        Self(module)
    }
}

impl Clone for ModuleRef {
    fn clone(&self) -> Self {
        // SAFETY: This value owns a reference, so the module stays.
        unsafe { bindings::__module_get(self.0.as_ptr()) };
        Self(self.0)
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: This value owns the reference that `get()` took.
        unsafe { bindings::module_put(self.0.as_ptr()) };
    }
}
