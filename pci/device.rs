// SPDX-License-Identifier: GPL-2.0

//! A PCI device in the hands of a user.
//!
//! # Locking
//!
//! From the outside to the inside: the device-set lock (open, close), the lock around virtual
//! config space, the one around interrupts, the memory lock. The lock around the opened state is
//! held only to take a reference to it. No lock of this driver is held while user memory is
//! copied.

use crate::{
    abstractions::{
        pci::{
            driver::ChannelState,
            reset::ResetScope,
            Function, //
        },
        pm_runtime::Resumed, //
    },
    activation::Activation,
    channel::Channel,
    command::Command,
    config::PowerState,
    config_space::{
        ConfigSpace,
        Intx, //
    },
    dma_buf,
    ioeventfd::IoEventFds,
    irq::{
        self,
        IntxMask,
        Irqs, //
    },
    memory::MemoryLock,
    opened::Opened,
    physical,
    token::Token,
    variant::Variant,
    vf_token::{
        Role,
        VirtualUser, //
    },
    vga, //
};
use kernel::{
    device::Core,
    new_mutex,
    pci,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};
use vfio::{
    abstractions::{
        ratelimit::RateLimit,
        sync::rwsem::RwSemaphore, //
    },
    device::Device,
    new_rwsem, //
};

/// How a driver wants its devices to be handled. Fixed when a device is bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Do not rely on devices to mask INTx. An interrupt line is then not shared.
    pub nointxmask: bool,
    /// Do not let devices that are bound but not in use be suspended.
    pub disable_idle_d3: bool,
    /// Do not give users the legacy addresses of VGA devices.
    pub disable_vga: bool,
}

/// From the first open to the last close.
struct Session {
    opened: Arc<Opened>,
    activation: Activation,
    virtual_user: Option<VirtualUser>,
}

/// A PCI device whose driver is VFIO.
#[pin_data]
pub struct CoreDevice {
    function: Function,
    /// The function that atomic operations are requested as: the physical one of a virtual one.
    requester: Function,
    options: Options,
    /// What the driver adds.
    variant: Option<KBox<dyn Variant>>,
    scope: ResetScope,
    role: Role,
    /// Has the device been used, and not been reset since?
    needs_reset: Atomic<bool>,
    command: Arc<Command>,
    memory: Arc<MemoryLock>,
    #[pin]
    irq: Irqs,
    #[pin]
    ioeventfds: IoEventFds,
    /// Virtual config space, while the device is open. The outermost of this driver's locks.
    #[pin]
    config: RwSemaphore<Option<ConfigSpace>>,
    #[pin]
    session: Mutex<Option<Session>>,
    /// How often its user can make the driver say something about it.
    log_limit: RateLimit,
}

impl CoreDevice {
    /// Prepares `device`, which is being bound.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub fn new(
        device: &pci::Device<Core<'_>>,
        options: Options,
        variant: Option<KBox<dyn Variant>>,
    ) -> Result<Arc<Self>> {
        dma_buf::prepare(device)?;
        let function = Function::new(device);
        let physical = Function::physical(device);
        let command = Arc::pin_init(Command::new(function.clone()), GFP_KERNEL_ACCOUNT)?;
        let intx = IntxMask::new(function.clone(), command.clone());
        let intx = Arc::pin_init(intx, GFP_KERNEL_ACCOUNT)?;

        Arc::pin_init(
            try_pin_init!(Self {
                memory: Arc::pin_init(
                    MemoryLock::new(
                        function.clone(),
                        command.clone(),
                        physical.as_ref().and_then(physical::memory_above),
                    ),
                    GFP_KERNEL_ACCOUNT,
                )?,
                irq <- Irqs::new(function.clone(), intx),
                ioeventfds <- IoEventFds::new(),
                scope: function.reset_scope(),
                role: Role::of(&function, physical.as_ref(), physical::token_of)?,
                needs_reset: Atomic::new(false),
                command,
                requester: physical.unwrap_or_else(|| function.clone()),
                function,
                options,
                variant,
                config <- new_rwsem!(None, c"vfio_pci_config"),
                session <- new_mutex!(None),
                log_limit: RateLimit::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The function.
    pub(crate) fn function(&self) -> &Function {
        &self.function
    }

    /// How the driver wants the device to be handled.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// The memory lock.
    pub(crate) fn memory(&self) -> &Arc<MemoryLock> {
        &self.memory
    }

    /// The Command Register.
    pub(crate) fn command(&self) -> &Command {
        &self.command
    }

    /// Virtual config space, which is there while the device is open.
    pub(crate) fn config(&self) -> &RwSemaphore<Option<ConfigSpace>> {
        &self.config
    }

    /// The interrupts.
    pub(crate) fn irq(&self) -> &Irqs {
        &self.irq
    }

    /// What the user has made of writes to the device.
    pub(crate) fn ioeventfds(&self) -> &IoEventFds {
        &self.ioeventfds
    }

    /// What the function is to SR-IOV.
    pub(crate) fn role(&self) -> &Role {
        &self.role
    }

    /// What the driver adds.
    pub(crate) fn variant(&self) -> Option<&dyn Variant> {
        self.variant.as_deref()
    }

    /// What is reset together with the device.
    pub(crate) fn scope(&self) -> ResetScope {
        self.scope
    }

    /// Has a user got the device? Does not change while the device-set lock is held.
    pub(crate) fn is_open(&self) -> bool {
        self.session.lock().is_some()
    }

    /// Has the device been used, and not been reset since? Does not change while the device-set
    /// lock is held.
    pub(crate) fn needs_reset(&self) -> bool {
        self.needs_reset.load(Relaxed)
    }

    /// Remembers whether the device needs a reset. Called with the device-set lock held.
    pub(crate) fn set_needs_reset(&self, needs_reset: bool) {
        self.needs_reset.store(needs_reset, Relaxed);
    }

    /// Returns what the device has while it is open.
    ///
    /// # Errors
    ///
    /// ENODEV if it is closed, which no file of the device sees.
    pub(crate) fn opened(&self) -> Result<Arc<Opened>> {
        let session = self.session.lock();

        session
            .as_ref()
            .map(|session| session.opened.clone())
            .ok_or(ENODEV)
    }

    /// Wakes the device up for as long as the result exists.
    ///
    /// # Errors
    ///
    /// EIO if it does not wake up.
    #[inline(never)]
    pub(crate) fn resumed(&self) -> Result<Resumed<&Function>> {
        Resumed::new(&self.function).map_err(|error| {
            if self.log_limit.permits() {
                dev_info!(
                    self.function,
                    "runtime resume failed {}\n",
                    error.to_errno()
                );
            }
            EIO
        })
    }

    /// The device is being bound: remembers config space, for the case that an error of the bus
    /// takes it before somebody opens the device.
    pub(crate) fn remember_config(&self) {
        self.function.save_state();
        let config = self.function.store_saved_state();
        self.memory.with_channel(|channel| channel.open(config));
    }

    fn begin_session(&self) -> Result<(Session, ConfigSpace)> {
        if self.memory.with_channel(|channel| channel.is_recovering()) {
            return Err(EAGAIN);
        }
        self.memory.revive();
        let may_be_suspended = !self.options.disable_idle_d3;
        let activation = Activation::new(&self.function, &self.command, may_be_suspended)?;
        let intx = Intx::probe(&self.function, &self.command, self.options.nointxmask);
        let (opened, space) = Opened::new(
            &self.function,
            &self.requester,
            intx,
            activation.reset_works(),
            vga::has_region(&self.function, self.options.disable_vga),
            self.variant.as_deref(),
        )?;
        let opened = Arc::new(opened, GFP_KERNEL_ACCOUNT)?;
        self.irq.open(irq::IntxSupport {
            present: opened.interrupt_pin != 0,
            maskable: intx.maskable,
        });
        let config = self.function.store_saved_state();
        self.memory
            .open(space.decode().memory, opened.bars.clone(), config);
        let session = Session {
            opened,
            activation,
            virtual_user: self.role.count_user(),
        };

        Ok((session, space))
    }

    /// Opens the device for its first user. Called with the device-set lock held.
    ///
    /// # Errors
    ///
    /// EAGAIN while it recovers from an error of the bus, ENOMEM, or that of the hardware or of the
    /// driver.
    pub(crate) fn open(&self) -> Result {
        let (session, space) = self.begin_session()?;
        *self.config.write() = Some(space);
        *self.session.lock() = Some(session);

        Ok(())
    }

    /// Closes the device, if it is open, and tells whether it was. Called with the device-set lock
    /// held.
    pub(crate) fn close(&self) -> bool {
        let Some(Session {
            opened,
            activation,
            virtual_user,
        }) = self.session.lock().take()
        else {
            return false;
        };
        drop(virtual_user);
        let config = self.config.write().take();

        // From here on nobody accesses its memory.
        self.memory.close();
        self.memory.exclusive().low_power().leave();
        // A reset fails in any power state but D0.
        self.function.resume();
        let _ = self.memory.exclusive().set_power_state(PowerState::D0);
        // From here on the device does no DMA.
        self.command.clear_master();
        self.irq.close(&self.memory);
        self.ioeventfds.clear();
        self.memory.with_channel(Channel::forget);
        self.end_migration();
        drop((opened, config));
        let ended = activation.end(&self.command);
        self.set_needs_reset(!ended.was_reset);

        true
    }

    /// Resets the function for the user. Nobody gets at the memory of `device` meanwhile.
    ///
    /// # Errors
    ///
    /// EAGAIN if somebody else resets it, or holds its lock; EINTR if the task is killed while it
    /// waits for another user; or that of the method.
    pub(crate) fn reset(&self, device: &Device) -> Result {
        let held = self.memory.hold_for_reset()?;
        held.revoke(device);

        self.function.try_reset()
    }

    /// The function is about to be reset, by whomever. Called with its device lock held.
    pub(crate) fn begin_reset(&self, device: &Device) {
        self.memory.begin_reset(device);
        self.command.hand_over();
    }

    /// The reset is over, and the PCI core has restored config space.
    pub(crate) fn end_reset(&self) {
        self.command.take_back();
        self.end_migration();
        self.memory.end_reset();
    }

    /// The device is not what it was when a migration began.
    fn end_migration(&self) {
        if let Some(variant) = self.variant() {
            variant.forget();
        }
    }

    /// The bus reported an error of the device, as the user hears last, when the memory that is to
    /// be gone is gone. Called with the device lock held.
    pub(crate) fn begin_recovery(&self, device: &Device, state: ChannelState) {
        self.memory.report_error(device, state);
        self.irq.signal_error();
    }

    /// The function is about to be suspended. It has no user, or none that needs it awake.
    pub(crate) fn suspend(&self) {
        // The PCI core chooses the state to suspend to, and saves and restores config space. A
        // state that the user chose would be in its way. If the function does not wake up, the
        // PCI core finds out as well.
        let mut exclusive = self.memory.exclusive();
        let _ = exclusive.set_power_state(PowerState::D0);
        exclusive.low_power().fall_asleep();
        drop(exclusive);
        self.irq.suspend();
        self.command.hand_over();
    }

    /// The function has been resumed.
    pub(crate) fn resume(&self) {
        self.command.take_back();
        self.end_sleep();
        self.irq.resume();
    }

    /// The device has been resumed: tells the user who wants to know.
    fn end_sleep(&self) {
        // Signalled after the lock.
        let wakeup = self.memory.exclusive().low_power().wake_up();
        if let Some(eventfd) = wakeup {
            eventfd.signal();
        }
    }

    /// Checks the token that came with a request to open the device.
    pub(crate) fn check_token(&self, token: Option<&Token>) -> Result {
        self.role.check(token, |reason| {
            if self.log_limit.permits() {
                dev_info!(self.function, "{reason}\n");
            }
        })
    }
}
