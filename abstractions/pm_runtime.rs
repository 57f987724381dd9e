// SPDX-License-Identifier: GPL-2.0

//! Runtime power management of a PCI function.
//!
//! C header: [`include/linux/pm_runtime.h`](srctree/include/linux/pm_runtime.h)

use crate::abstractions::pci::{
    driver::Probed,
    Function, //
};
use core::borrow::Borrow;
use kernel::{
    error::to_result,
    prelude::*, //
};
use vfio::abstractions::bindings;

/// The function is resumed, and stays so.
#[must_use = "the function may be suspended as soon as this is dropped"]
pub(crate) struct Resumed<F: Borrow<Function>>(F);

impl<F: Borrow<Function>> Resumed<F> {
    /// Resumes `function` and keeps it so.
    ///
    /// # Errors
    ///
    /// That of the resume.
    pub(crate) fn new(function: F) -> Result<Self> {
        function.borrow().resume_and_get()?;

        Ok(Self(function))
    }
}

impl<F: Borrow<Function>> Drop for Resumed<F> {
    fn drop(&mut self) {
        // SAFETY: `new()` took the count.
        unsafe { self.0.borrow().put() };
    }
}

/// The two halves of [`Resumed`]. Not inlined: generic code may be compiled in another module,
/// which cannot call the C helpers of this one.
impl Function {
    #[inline(never)]
    fn resume_and_get(&self) -> Result {
        // SAFETY: The device is valid. On failure no count is held.
        to_result(unsafe { bindings::vfio_rust_pm_runtime_resume_and_get(self.as_raw_device()) })
    }

    /// # Safety
    ///
    /// Must follow a successful [`Self::resume_and_get`].
    #[inline(never)]
    unsafe fn put(&self) {
        // SAFETY: The device is valid, and by this function's contract the count is held.
        unsafe { bindings::vfio_rust_pm_runtime_put(self.as_raw_device()) };
    }
}

/// Runtime power management is allowed for a bound function, which may be suspended while it is
/// not in use.
///
/// The PCI core resumes a function and takes a usage count for the time it is bound. A driver
/// that supports runtime power management gives that count away, and takes it back before it is
/// unbound; so this has to be dropped before the driver's `remove()` returns.
/// Named after `pm_runtime_allow()`.
#[must_use = "runtime power management ends when this is dropped"]
pub(crate) struct Allowed {
    function: Function,
    suspend: bool,
}

impl Allowed {
    /// Allows runtime power management of a function that is being bound; with `suspend`, an unused
    /// function may be suspended.
    pub(crate) fn new(device: &Probed<'_>, suspend: bool) -> Self {
        let function = Function::new(device);
        let device = function.as_raw_device();
        // SAFETY: `device` is valid as long as `function`.
        unsafe { bindings::vfio_rust_pm_runtime_allow(device) };
        if suspend {
            // SAFETY: As above. The count given away is the one that the PCI core took.
            unsafe { bindings::vfio_rust_pm_runtime_put(device) };
        }

        Self { function, suspend }
    }
}

impl Drop for Allowed {
    fn drop(&mut self) {
        let device = self.function.as_raw_device();
        if self.suspend {
            // SAFETY: The device is valid. This takes back the count that `new()` gave away.
            unsafe { bindings::vfio_rust_pm_runtime_get_noresume(device) };
        }
        // SAFETY: The device is valid, and `new()` called `pm_runtime_allow()`.
        unsafe { bindings::vfio_rust_pm_runtime_forbid(device) };
    }
}

/// A count that keeps the function resumed, given away for a while.
///
/// Whoever makes this has such a count, and keeps it until this is dropped. It is a
/// `pm_runtime_put()` that is undone, for which the PM core has no word. Without a count it takes
/// nothing away: the PM core stops at zero.
#[must_use = "the count is taken back when this is dropped"]
pub(crate) struct Lent(Function);

impl Lent {
    /// Gives the count away. The function is suspended at the earliest when the next one is.
    pub(crate) fn new(function: Function) -> Self {
        // SAFETY: The device is valid.
        unsafe { bindings::vfio_rust_pm_runtime_put_noidle(function.as_raw_device()) };

        Self(function)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: The device is valid. This takes back the count that `new()` gave away.
        unsafe { bindings::vfio_rust_pm_runtime_get_noresume(self.0.as_raw_device()) };
    }
}

impl Function {
    /// Wakes the function from runtime suspend without keeping it awake.
    pub(crate) fn resume(&self) {
        // SAFETY: The device is valid. If it does not wake up, config space reads all ones.
        unsafe { bindings::vfio_rust_pm_runtime_resume(self.as_raw_device()) };
    }
}
