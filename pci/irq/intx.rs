// SPDX-License-Identifier: GPL-2.0

//! INTx: a level-triggered line, masked at each interrupt until userspace says
//! that it has dealt with the cause.
//!
//! There are two ways to mask. A function of PCI 2.3 or later has a bit for it
//! in its command register and one that tells whether it asserts the line, so it
//! may share the line. For any other the line itself is disabled, which nobody
//! else must be using then.
//!
//! Besides, userspace has its own DisINTx bit in the virtual command register.
//! While it is set, nothing is delivered. The physical bit follows it even when
//! INTx is not in use.

use crate::{
    abstractions::{
        irq::line::{
            IrqLine,
            Sharing, //
        },
        pci::{
            irq::{
                EagerDisable,
                IntxLine, //
            },
            Function, //
        }, //
    },
    command::Command, //
};
use core::pin::Pin;
use kernel::{
    irq::{
        Handler,
        IrqReturn, //
    },
    new_spinlock_irq,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        SpinLockIrq, //
    }, //
};
use vfio::{
    abstractions::fs::eventfd::EventFd,
    virqfd::{
        self,
        Virqfd, //
    }, //
};

/// The mask of INTx, from the device's probe to its removal.
///
/// Shared by ioctls, the interrupt handler and the unmask eventfd. The lock is
/// taken in hard interrupt context and under the lock of an eventfd, hence an
/// eventfd is never signalled, nor dropped, with it held.
#[pin_data]
pub(crate) struct Mask {
    function: Function,
    command: Arc<Command>,
    #[pin]
    state: SpinLockIrq<State>,
}

struct State {
    /// The function masks and tells itself (PCI 2.3).
    in_function: bool,
    /// The virtual DisINTx bit.
    disabled: bool,
    /// Physically masked; says nothing while there is no `delivery`.
    masked: bool,
    /// Present while INTx is in use.
    delivery: Option<Delivery>,
}

struct Delivery {
    line: IntxLine,
    trigger: Option<Arc<EventFd>>,
}

impl State {
    /// The eventfd to signal when there is an interrupt.
    fn target(&self) -> Option<Arc<EventFd>> {
        if self.disabled {
            return None;
        }
        self.delivery.as_ref()?.trigger.clone()
    }
}

impl Mask {
    /// Nothing is masked, as nothing is in use.
    pub(crate) fn new(function: Function, command: Arc<Command>) -> impl PinInit<Self> {
        pin_init!(Self {
            function,
            command,
            state <- new_spinlock_irq!(
                State {
                    in_function: false,
                    disabled: false,
                    masked: false,
                    delivery: None,
                },
                "vfio_pci_intx_mask"
            ),
        })
    }

    /// Prepares for a user: `in_function` says how INTx is masked.
    pub(super) fn reset(&self, in_function: bool) {
        let mut state = self.state.lock();

        state.in_function = in_function;
        state.disabled = false;
    }

    /// The virtual DisINTx bit was changed. The caller holds the interrupt mutex.
    pub(super) fn set_disabled(&self, disabled: bool) {
        let before = core::mem::replace(&mut self.state.lock().disabled, disabled);

        match (before, disabled) {
            (false, true) => {
                self.mask();
            }
            (true, false) => self.unmask_and_signal(),
            _ => (),
        }
    }

    /// Masks INTx. Returns whether it was delivered until now.
    pub(super) fn mask(&self) -> bool {
        let mut guard = self.state.lock();
        let state = &mut *guard;

        let Some(delivery) = &state.delivery else {
            if state.in_function {
                self.command.set_intx_disabled(true);
            }
            return false;
        };
        if state.masked {
            return false;
        }
        // Masked in any case, not only when pending.
        if state.in_function {
            self.command.set_intx_disabled(true);
        } else {
            delivery.line.disable();
        }
        state.masked = true;
        true
    }

    /// Unmasks INTx, unless it is pending: then it stays masked, and true is
    /// returned, as it saves an interrupt to signal userspace right away.
    fn unmask(&self) -> bool {
        let mut guard = self.state.lock();
        let state = &mut *guard;

        let Some(delivery) = &state.delivery else {
            if state.in_function {
                self.command.set_intx_disabled(false);
            }
            return false;
        };
        if !state.masked || state.disabled {
            return false;
        }
        if state.in_function {
            state.masked = !self.command.unmask_idle_intx();
        } else {
            delivery.line.enable();
            state.masked = false;
        }
        state.masked
    }

    /// Unmasks INTx; if it is pending, userspace is signalled at once.
    pub(super) fn unmask_and_signal(&self) {
        if self.unmask() {
            self.signal();
        }
    }

    /// Tells userspace that there was an interrupt.
    pub(super) fn signal(&self) {
        let target = self.state.lock().target();

        if let Some(eventfd) = target {
            eventfd.signal();
        }
    }

    /// Sets up the delivery before the interrupt is requested, as it may fire at
    /// once. The physical mask follows the virtual one.
    fn start(this: &Arc<Self>, line: IntxLine, trigger: Option<Arc<EventFd>>) -> Started {
        let mut state = this.state.lock();

        state.masked = state.disabled;
        state.delivery = Some(Delivery { line, trigger });
        let sharing = match (state.in_function, state.masked) {
            (true, masked) => {
                this.command.begin_intx(masked);
                Sharing::Shared
            }
            (false, true) => Sharing::ExclusiveDisabled,
            (false, false) => Sharing::Exclusive,
        };
        drop(state);
        Started {
            mask: this.clone(),
            sharing,
        }
    }

    /// Replaces the eventfd and returns the old one.
    fn replace_trigger(&self, new: Option<Arc<EventFd>>) -> Option<Arc<EventFd>> {
        let mut state = self.state.lock();

        match &mut state.delivery {
            Some(delivery) => core::mem::replace(&mut delivery.trigger, new),
            None => new,
        }
    }

    /// An interrupt came in on the line.
    fn interrupted(&self) -> IrqReturn {
        let mut guard = self.state.lock();
        let state = &mut *guard;

        let Some(delivery) = &state.delivery else {
            return IrqReturn::None;
        };
        if state.in_function {
            // Somebody else's, or one that was masked meanwhile; or the function has lost its mask,
            // in a reset that nobody announced. Then it would go on until the kernel disables the
            // line, for all who share it.
            if state.masked && self.command.mask_lost_intx() {
                return IrqReturn::Handled;
            }
            if state.masked || !self.command.mask_pending_intx() {
                return IrqReturn::None;
            }
        } else if !state.masked {
            // Disables are counted. One that came in just when the line was
            // disabled by an ioctl must not disable it twice, since it is
            // enabled only once.
            delivery.line.disable();
        }
        state.masked = true;
        let target = state.target();
        drop(guard);

        if let Some(eventfd) = target {
            eventfd.signal();
        }
        IrqReturn::Handled
    }
}

/// A delivery that was set up; dropping it stops it.
struct Started {
    mask: Arc<Mask>,
    sharing: Sharing,
}

impl Drop for Started {
    fn drop(&mut self) {
        let delivery = {
            let mut state = self.mask.state.lock();
            if state.in_function {
                self.mask.command.end_intx();
            }
            state.delivery.take()
        };
        // Released after the lock.
        drop(delivery);
    }
}

/// The interrupt handler.
struct OnInterrupt(Arc<Mask>);

impl Handler for OnInterrupt {
    fn handle(&self) -> IrqReturn {
        self.0.interrupted()
    }
}

/// What the unmask eventfd does.
struct OnUnmask(Arc<Mask>);

impl virqfd::Handler for OnUnmask {
    fn signalled(&self) -> bool {
        self.0.unmask()
    }

    fn follow_up(&self) {
        self.0.signal();
    }
}

/// INTx in use.
///
/// The fields are dropped in this order: nobody unmasks any more, the interrupt
/// is freed, the line gets its attributes back, the delivery ends.
pub(super) struct Intx {
    unmask: Option<Virqfd>,
    line: Pin<KBox<IrqLine<IntxLine, OnInterrupt>>>,
    _eager: Option<EagerDisable>,
    started: Started,
}

impl Intx {
    /// Requests the interrupt. Without a `trigger` it is requested just so.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device has no line, `EBUSY` if it would need one alone
    /// and others use it, `ENOMEM`.
    pub(super) fn enable(mask: &Arc<Mask>, trigger: Option<Arc<EventFd>>) -> Result<Self> {
        let line = IntxLine::new(&mask.function)?;
        let name = CString::try_from_fmt(fmt!("vfio-intx({})", mask.function.name()))?;

        let started = Mask::start(mask, line.clone(), trigger);
        let eager = (started.sharing != Sharing::Shared).then(|| line.disable_eagerly());
        let handler = OnInterrupt(mask.clone());
        let line = KBox::pin_init(
            IrqLine::request(line, started.sharing, name, handler),
            GFP_KERNEL_ACCOUNT,
        )?;
        Ok(Self {
            unmask: None,
            line,
            _eager: eager,
            started,
        })
    }

    /// Replaces the eventfd. When this returns, the old one is not signalled
    /// any more.
    pub(super) fn set_trigger(&mut self, new: Option<Arc<EventFd>>) {
        let old = self.started.mask.replace_trigger(new);

        if old.is_some() {
            self.line.synchronize();
            if let Some(unmask) = &self.unmask {
                unmask.flush();
            }
        }
    }

    /// Installs an eventfd that unmasks.
    ///
    /// # Errors
    ///
    /// See [`Virqfd::install`].
    pub(super) fn set_unmask(&mut self, fd: i32) -> Result {
        let handler = Arc::new(OnUnmask(self.started.mask.clone()), GFP_KERNEL_ACCOUNT)?;

        Virqfd::install(&mut self.unmask, fd, handler)
    }

    /// Removes the eventfd that unmasks.
    pub(super) fn clear_unmask(&mut self) {
        self.unmask = None;
    }
}
