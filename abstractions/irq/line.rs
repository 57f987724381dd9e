// SPDX-License-Identifier: GPL-2.0

//! Interrupt handlers that are requested and freed at run time.
//!
//! The kernel crate's `irq::Registration` is for the whole life of a bound
//! driver: its number is tied to that lifetime, and its name is static.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)

use core::{
    marker::PhantomPinned,
    pin::Pin,
    ptr, //
};
use kernel::{
    error::to_result,
    irq::{
        Handler,
        IrqReturn, //
    },
    prelude::*,
    str::CString, //
};
use vfio::abstractions::bindings;

/// Something that has a Linux interrupt number.
///
/// # Safety
///
/// [`number`](Self::number) always returns the same number, and the interrupt
/// stays allocated as long as the value exists.
pub(crate) unsafe trait Source: Send + Sync + 'static {
    /// The Linux interrupt number.
    fn number(&self) -> u32;
}

/// How an interrupt is requested.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sharing {
    /// Others may use it, too; the handler can tell whose it is.
    Shared,
    /// Nobody else may use it.
    Exclusive,
    /// Nobody else may use it, and it starts disabled.
    ExclusiveDisabled,
}

impl Sharing {
    fn flags(self) -> c_ulong {
        // CAST: An `unsigned long` has at least 32 bits.
        match self {
            Self::Shared => bindings::IRQF_SHARED as c_ulong,
            Self::Exclusive => 0,
            Self::ExclusiveDisabled => bindings::IRQF_NO_AUTOEN as c_ulong,
        }
    }
}

/// A requested interrupt.
///
/// Dropping it frees the interrupt and waits for a handler that is running.
///
/// # Invariants
///
/// From the end of the construction until `drop`, a handler is registered for
/// `source.number()` whose cookie is the address of `self`.
#[pin_data(PinnedDrop)]
pub(crate) struct IrqLine<S: Source, H: Handler + 'static> {
    handler: H,
    // The kernel keeps a pointer to it, as `/proc/interrupts` shows it.
    name: CString,
    source: S,
    #[pin]
    _pin: PhantomPinned,
}

impl<S: Source, H: Handler + 'static> IrqLine<S, H> {
    /// Requests the interrupt of `source`. The handler may run at once.
    ///
    /// # Errors
    ///
    /// Those of `request_irq()`: `EBUSY` if it is used by somebody else and one
    /// of both does not share, `ENOMEM`, `EINVAL`.
    pub(crate) fn request(
        source: S,
        sharing: Sharing,
        name: CString,
        handler: H,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            handler,
            name,
            source,
            _pin: PhantomPinned,
            _: {
                let this = this.as_ptr();
                // SAFETY: These fields are initialised, and nobody writes them.
                let (number, name) = unsafe { ((*this).source.number(), &(*this).name) };
                // INVARIANT: If the call succeeds, the handler is registered,
                // and nothing after this can fail.
                // SAFETY:
                // - The source keeps the interrupt allocated.
                // - `self` is pinned and frees the interrupt before it goes, so
                //   name and cookie stay valid while they are registered.
                // - Everything that the callback uses is initialised.
                to_result(unsafe {
                    bindings::request_irq(
                        number,
                        Some(interrupted::<S, H>),
                        sharing.flags(),
                        name.as_char_ptr(),
                        this.cast(),
                    )
                })?;
            },
        }? Error)
    }

    /// Where the interrupt comes from.
    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// Waits for a handler that is running on another CPU.
    pub(crate) fn synchronize(&self) {
        // SAFETY: The source keeps the interrupt allocated.
        unsafe { bindings::synchronize_irq(self.source.number()) };
    }
}

#[pinned_drop]
impl<S: Source, H: Handler + 'static> PinnedDrop for IrqLine<S, H> {
    fn drop(self: Pin<&mut Self>) {
        let number = self.source.number();
        let this: *const Self = ptr::from_ref(&*self);
        // SAFETY: This is the cookie that was registered for this number by the
        // type invariants. The call returns when no handler runs any more.
        unsafe { bindings::free_irq(number, this.cast_mut().cast()) };
    }
}

/// The hard interrupt handler.
///
/// # Safety
///
/// `cookie` points to an `IrqLine<S, H>` that is pinned and not yet dropped.
unsafe extern "C" fn interrupted<S: Source, H: Handler + 'static>(
    _number: c_int,
    cookie: *mut c_void,
) -> bindings::irqreturn_t {
    let line: *const IrqLine<S, H> = cookie.cast_const().cast();
    // SAFETY: Valid by the requirement; `handler` is only shared.
    let handler = unsafe { &(*line).handler };

    match handler.handle() {
        IrqReturn::None => bindings::irqreturn::IRQ_NONE,
        IrqReturn::Handled => bindings::irqreturn::IRQ_HANDLED,
    }
}
