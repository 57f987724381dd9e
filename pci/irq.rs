// SPDX-License-Identifier: GPL-2.0

//! Interrupts of a device: INTx, MSI and MSI-X through eventfds, and the two
//! that the host signals, ERR and REQ.
//!
//! One of INTx, MSI and MSI-X is in use at a time, or none. What is in use is
//! the [`Mode`]; it and all changes to it are under one mutex, called igate in
//! the C driver.
//!
//! Lock order: config space mutex, interrupt mutex, memory lock. No user memory
//! is touched under any of them. INTx has a spinlock of its own
//! ([`intx::Mask`]), and inside of it is that of the Command Register
//! ([`crate::command`]); ERR and REQ have one each. These are leaves.

mod info;
mod intx;
mod msi;
mod notifier;
pub(crate) mod request;
mod set;

pub(crate) use info::IntxSupport;
pub(crate) use intx::Mask as IntxMask;

use crate::{
    abstractions::{
        c_driver::pci_device::CPciDevice,
        pci::{
            irq::MessageKind,
            Function, //
        }, //
    },
    config,
    memory::MemoryLock, //
};
use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        SpinLock, //
    }, //
};
use request::Index;

/// Which interrupts are in use.
enum Mode {
    Disabled,
    Intx(intx::Intx),
    Messages(msi::Messages),
}

struct State {
    intx: IntxSupport,
    mode: Mode,
    /// INTx was masked by [`Irqs::suspend`].
    suspended: bool,
}

/// The interrupts of a device, from probe to removal.
///
/// # Invariants
///
/// Between a close and the next open, the mode is `Disabled` and neither ERR nor
/// REQ has an eventfd.
#[pin_data]
pub(crate) struct Irqs {
    function: Function,
    intx: Arc<IntxMask>,
    #[pin]
    state: Mutex<State>,
    #[pin]
    error: notifier::Notifier,
    #[pin]
    request: notifier::Notifier,
    /// A copy for config space, which must not take the mutex. Who reads this has written to the
    /// hardware before, and who writes it does that after: the lock keeps both in order, on any
    /// machine.
    #[pin]
    msi: SpinLock<config::Msi>,
    /// The device of a driver in C, which looks at the mode.
    c_device: Option<Arc<CPciDevice>>,
}

impl Irqs {
    /// Prepares the interrupts of `function`; none is in use.
    pub(crate) fn new(
        function: Function,
        intx: Arc<IntxMask>,
        c_device: Option<Arc<CPciDevice>>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            intx,
            function,
            state <- new_mutex!(
                State {
                    intx: IntxSupport::default(),
                    mode: Mode::Disabled,
                    suspended: false,
                },
                "vfio_pci_irqs"
            ),
            error <- notifier::Notifier::new(),
            request <- notifier::Notifier::new(),
            msi <- new_spinlock!(
                config::Msi {
                    active: false,
                    log2_vectors: 0,
                },
                "vfio_pci_msi"
            ),
            c_device,
        })
    }

    /// The device is opened by its first user.
    pub(crate) fn open(&self, intx: IntxSupport) {
        let mut state = self.state.lock();

        state.intx = intx;
        state.suspended = false;
        self.intx.reset(intx.maskable);
        // What the last user had says nothing about this one.
        self.msi.lock().log2_vectors = 0;
    }

    /// The device is closed by its last user: nothing stays in use.
    pub(crate) fn close(&self, memory: &MemoryLock) {
        let mut state = self.state.lock();

        self.disable(&mut state, memory);
        self.show_mode(&state.mode);
        self.intx.reset(state.intx.maskable);
        self.error.clear();
        self.request.clear();
    }

    /// Answers `VFIO_DEVICE_GET_IRQ_INFO`, whose argument is at the user's
    /// address `arg`.
    ///
    /// # Errors
    ///
    /// `EFAULT`; `EINVAL` if the structure is too small or there is no such
    /// index.
    pub(crate) fn info(&self, arg: usize) -> Result<isize> {
        let dynamic_msix =
            self.function.msix_capability().is_some() && self.function.allocates_msix_dynamically();

        info::answer(&self.function, self.intx_support(), dynamic_msix, arg)
    }

    fn intx_support(&self) -> IntxSupport {
        self.state.lock().intx
    }

    /// Returns the number of interrupts of an index.
    fn count(&self, index: Index) -> u32 {
        info::count(&self.function, self.intx_support(), index)
    }

    /// The DisINTx bit of the virtual command register was changed.
    pub(crate) fn set_intx_disabled(&self, disabled: bool) {
        // Held, so that the mask does not change while the interrupt is being
        // requested or freed.
        let _state = self.state.lock();

        self.intx.set_disabled(disabled);
    }

    /// Returns what config space shows of MSI.
    pub(crate) fn msi(&self) -> config::Msi {
        *self.msi.lock()
    }

    /// Tells userspace that the device had an error.
    pub(crate) fn signal_error(&self) {
        self.error.signal();
    }

    /// Asks userspace to give the device back. Returns false if it did not say
    /// how it wants to be asked.
    pub(crate) fn signal_request(&self) -> bool {
        self.request.signal()
    }

    /// The device is about to be suspended at run time: INTx is masked.
    pub(crate) fn suspend(&self) {
        let mut state = self.state.lock();

        state.suspended = matches!(state.mode, Mode::Intx(_)) && self.intx.mask();
    }

    /// The device was resumed: undoes what [`suspend`](Self::suspend) did.
    pub(crate) fn resume(&self) {
        let mut state = self.state.lock();

        if core::mem::take(&mut state.suspended) {
            self.intx.unmask_and_signal();
        }
    }

    /// Lets a driver in C see which interrupts are in use.
    fn show_mode(&self, mode: &Mode) {
        let Some(device) = &self.c_device else {
            return;
        };
        let index = match mode {
            Mode::Disabled => None,
            Mode::Intx(_) => Some(Index::Intx),
            Mode::Messages(messages) => Some(match messages.kind() {
                MessageKind::Msi => Index::Msi,
                MessageKind::Msix => Index::Msix,
            }),
        };
        device.set_interrupts(index.map(Index::number));
    }

    fn messages_enabled(&self, kind: MessageKind, count: u32) {
        if kind == MessageKind::Msi {
            // Rounded up, as MSI has a power of two of vectors.
            let log2 = u32::BITS - count.saturating_sub(1).leading_zeros();

            *self.msi.lock() = config::Msi {
                active: true,
                // CAST: At most 32.
                log2_vectors: log2 as u8,
            };
        }
    }

    /// Disables what is in use.
    fn disable(&self, state: &mut State, memory: &MemoryLock) {
        if let Mode::Messages(messages) = core::mem::replace(&mut state.mode, Mode::Disabled) {
            // First, so that who enables MSI through config space later sees that it is off.
            self.msi.lock().active = false;
            messages.disable(memory);
        }
    }
}
