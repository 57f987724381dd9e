// SPDX-License-Identifier: GPL-2.0

//! Interrupt bypass: an interrupt that reaches a virtual machine directly.
//!
//! A producer (a vector of a device) and a consumer (an irqfd of KVM) that name
//! the same eventfd are connected by the bypass manager. The eventfd keeps
//! working for all that cannot be bypassed.
//!
//! C header: [`include/linux/irqbypass.h`](srctree/include/linux/irqbypass.h)

use crate::abstractions::irq::line::Source;
use core::{
    marker::PhantomPinned,
    pin::Pin, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};
use vfio::abstractions::{
    bindings,
    fs::eventfd::EventFd, //
};

/// A registered producer.
///
/// Dropping it disconnects the consumer. That must happen before the interrupt
/// is freed.
///
/// # Invariants
///
/// From the end of the construction until `drop`, `producer` is registered under
/// `eventfd`.
#[pin_data(PinnedDrop)]
pub(crate) struct Producer<S: Source> {
    #[pin]
    producer: Opaque<bindings::irq_bypass_producer>,
    // Keeps the interrupt allocated, whose number the manager has.
    _source: S,
    // The manager compares its address, so it must not be reused.
    eventfd: Arc<EventFd>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The bypass manager has its own lock and takes calls from any thread.
unsafe impl<S: Source> Send for Producer<S> {}
// SAFETY: A shared reference gives no access to the producer.
unsafe impl<S: Source> Sync for Producer<S> {}

impl<S: Source> Producer<S> {
    /// Registers the interrupt of `source` under `eventfd`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the eventfd has a producer already, `ENOMEM`, or the error of
    /// the consumer it would be connected to.
    pub(crate) fn register(eventfd: Arc<EventFd>, source: S) -> impl PinInit<Self, Error> {
        let number = source.number();
        try_pin_init!(&this in Self {
            producer <- Opaque::ffi_init(|slot: *mut bindings::irq_bypass_producer| {
                // SAFETY: `slot` is valid for writes. No callback of ours is
                // needed, as the interrupt needs no preparation.
                unsafe { slot.write(Default::default()) };
            }),
            _source: source,
            eventfd,
            _pin: PhantomPinned,
            _: {
                let number = c_int::try_from(number).map_err(|_| EINVAL)?;
                let this = this.as_ptr();
                // SAFETY: Both fields are initialised, and nobody writes the
                // second one.
                let (producer, eventfd) =
                    unsafe { (&raw const (*this).producer, &(*this).eventfd) };
                // INVARIANT: On success the producer is registered, and nothing
                // after this can fail.
                // SAFETY: The producer stays where it is until `drop` takes it
                // back, and eventfd and interrupt are kept for as long.
                to_result(unsafe {
                    bindings::irq_bypass_register_producer(
                        Opaque::cast_into(producer),
                        eventfd.as_raw(),
                        number,
                    )
                })?;
            },
        }? Error)
    }
}

#[pinned_drop]
impl<S: Source> PinnedDrop for Producer<S> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The producer is registered by the type invariants.
        unsafe { bindings::irq_bypass_unregister_producer(self.producer.get()) };
    }
}
