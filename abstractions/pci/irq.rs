// SPDX-License-Identifier: GPL-2.0

//! Interrupts of a PCI function: the INTx line, and MSI and MSI-X vectors.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/irq.h`](srctree/include/linux/irq.h),
//! [`include/linux/msi.h`](srctree/include/linux/msi.h)

use crate::abstractions::{
    irq::line::Source,
    pci::Function, //
};
use core::{
    mem::MaybeUninit,
    ptr, //
};
use kernel::{
    error::{
        code::*,
        Error, //
    },
    prelude::*,
    sync::Arc, //
};
use vfio::abstractions::{
    bindings,
    registered::RegistrationRef, //
};

/// Message signalled interrupts.
impl Function {
    /// Can MSI-X vectors be allocated one by one while MSI-X is on?
    pub(crate) fn allocates_msix_dynamically(&self) -> bool {
        // SAFETY: `as_raw()` is valid.
        unsafe { bindings::pci_msix_can_alloc_dyn(self.as_raw()) }
    }
}

/// The interrupt line that a function's INTx is wired to.
#[derive(Clone)]
pub(crate) struct IntxLine {
    // The line stays allocated as long as the function is enabled, which it is
    // while a driver has it open.
    _function: Function,
    number: u32,
}

// SAFETY: The number is stored, and the PCI core keeps the line of an enabled
// function. Interrupt numbers that are not allocated are refused, not followed.
unsafe impl Source for IntxLine {
    fn number(&self) -> u32 {
        self.number
    }
}

impl IntxLine {
    /// Returns the line of `function`.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it has none.
    pub(crate) fn new(function: &Function) -> Result<Self> {
        Ok(Self {
            number: function.intx_line().ok_or(ENODEV)?,
            _function: function.clone(),
        })
    }

    /// Disables the line without waiting for a handler that is running.
    ///
    /// May be called in any context. Has to be undone as often as it was done.
    pub(crate) fn disable(&self) {
        // SAFETY: Any number may be passed.
        unsafe { bindings::disable_irq_nosync(self.number) };
    }

    /// Undoes one [`disable`](Self::disable).
    pub(crate) fn enable(&self) {
        // SAFETY: Any number may be passed.
        unsafe { bindings::enable_irq(self.number) };
    }

    /// Makes `disable` reach the interrupt controller at once, as long as the
    /// result exists, instead of at the next interrupt.
    pub(crate) fn disable_eagerly(&self) -> EagerDisable {
        // SAFETY: Any number may be passed.
        unsafe {
            bindings::irq_modify_status(self.number, 0, bindings::IRQ_DISABLE_UNLAZY as c_ulong)
        };
        EagerDisable(self.number)
    }
}

/// See [`IntxLine::disable_eagerly`].
pub(crate) struct EagerDisable(u32);

impl Drop for EagerDisable {
    fn drop(&mut self) {
        // SAFETY: Any number may be passed.
        unsafe { bindings::irq_modify_status(self.0, bindings::IRQ_DISABLE_UNLAZY as c_ulong, 0) };
    }
}

/// The two kinds of message signalled interrupts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MessageKind {
    /// Up to 32 vectors, described in config space.
    Msi,
    /// Up to 2048 vectors, described in a table in a BAR.
    Msix,
}

/// The answer to a request for vectors.
pub(crate) enum Allocation<T> {
    /// All that were asked for.
    Complete(T),
    /// Nothing was allocated; only this many are to be had.
    Only(u32),
}

/// MSI or MSI-X of a function, switched on, with its vectors.
///
/// Dropping the last reference switches it off. That writes to the function's
/// registers and to the MSI-X table, so memory must be enabled.
///
/// # Invariants
///
/// `kind` is on in `function`, and this is the only owner. The function stays bound:
/// when it is unbound, the driver core frees the vectors on its own.
pub(crate) struct Vectors {
    function: Function,
    kind: MessageKind,
    _hold: RegistrationRef,
}

impl Vectors {
    /// Switches `kind` on with exactly `count` vectors, of a function that `hold`
    /// keeps bound.
    ///
    /// Memory must be enabled, since the MSI-X table is in a BAR.
    ///
    /// # Errors
    ///
    /// Those of `pci_alloc_irq_vectors()`: `ENOSPC`, `EINVAL` if a kind is on
    /// already or the function is not in D0, `ENODEV`, `ERANGE` if `count` is
    /// zero, `ENOMEM`. `EINVAL` if `hold` is of another device.
    pub(crate) fn allocate(
        function: &Function,
        hold: RegistrationRef,
        kind: MessageKind,
        count: u32,
    ) -> Result<Allocation<Arc<Self>>> {
        if !function.is_held_by(&hold) {
            return Err(EINVAL);
        }
        let flag = match kind {
            MessageKind::Msi => bindings::PCI_IRQ_MSI,
            MessageKind::Msix => bindings::PCI_IRQ_MSIX,
        };
        // SAFETY: `as_raw()` is valid.
        let got = unsafe { bindings::pci_alloc_irq_vectors(function.as_raw(), 1, count, flag) };
        if got < 0 {
            return Err(Error::from_errno(got));
        }
        // INVARIANT: The call switched `kind` on; it fails if one was on before.
        let vectors = Self {
            function: function.clone(),
            kind,
            _hold: hold,
        };
        // CAST: Not negative.
        let got = got as u32;
        if got < count {
            // Dropping `vectors` gives back what there is.
            return Ok(Allocation::Only(got));
        }
        Ok(Allocation::Complete(Arc::new(vectors, GFP_KERNEL_ACCOUNT)?))
    }

    /// Returns vector `index`, if it is allocated.
    pub(crate) fn get(this: &Arc<Self>, index: u32) -> Option<Vector> {
        // SAFETY: `as_raw()` is valid.
        let number = unsafe { bindings::pci_irq_vector(this.function.as_raw(), index) };

        Vector::new(this, number)
    }

    /// Allocates vector `index` in addition. It stays until all are freed.
    ///
    /// Memory must be enabled.
    ///
    /// # Errors
    ///
    /// Those of `pci_msix_alloc_irq_at()`, `ENOTSUPP` among them if the function
    /// does not [allocate dynamically](Function::allocates_msix_dynamically).
    pub(crate) fn add(this: &Arc<Self>, index: u32) -> Result<Vector> {
        let function = this.function.as_raw();
        // SAFETY: `as_raw()` is valid, and the affinity is optional.
        let map = unsafe { bindings::pci_msix_alloc_irq_at(function, index, ptr::null()) };
        if map.index < 0 {
            return Err(Error::from_errno(map.index));
        }

        Vector::new(this, map.virq).ok_or(EINVAL)
    }
}

impl Drop for Vectors {
    fn drop(&mut self) {
        // SAFETY: `as_raw()` is valid. No handler is registered for a vector,
        // since each `Vector` holds a reference to `self`.
        unsafe { bindings::pci_free_irq_vectors(self.function.as_raw()) };
    }
}

/// One vector.
///
/// # Invariants
///
/// `number` is the Linux interrupt number of a vector that `vectors` owns.
#[derive(Clone)]
pub(crate) struct Vector {
    vectors: Arc<Vectors>,
    number: u32,
}

// SAFETY: The number is stored, and the vectors are freed only after the last
// reference to them is gone, of which this is one.
unsafe impl Source for Vector {
    fn number(&self) -> u32 {
        self.number
    }
}

impl Vector {
    fn new(vectors: &Arc<Vectors>, number: c_int) -> Option<Self> {
        // INVARIANT: The callers pass what the PCI core returned for `vectors`.
        Some(Self {
            number: u32::try_from(number).ok().filter(|&number| number != 0)?,
            vectors: vectors.clone(),
        })
    }

    /// Writes the vector's message to the device again, if it is in a table.
    ///
    /// A reset that the kernel does not know of clears the table. Memory must be
    /// enabled.
    pub(crate) fn refresh_message(&self) {
        if self.vectors.kind != MessageKind::Msix {
            return;
        }
        let mut message = MaybeUninit::uninit();
        // SAFETY: The interrupt is one of MSI-X by the type invariants, for
        // which the call stores a message; `message` is valid for write.
        unsafe { bindings::get_cached_msi_msg(self.number, message.as_mut_ptr()) };
        // SAFETY: As above; the message is what the kernel itself had written.
        unsafe { bindings::pci_write_msi_msg(self.number, message.as_mut_ptr()) };
    }
}
