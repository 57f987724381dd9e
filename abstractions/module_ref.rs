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

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: This value owns the reference that `get()` took.
        unsafe { bindings::module_put(self.0.as_ptr()) };
    }
}
