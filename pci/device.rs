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
        c_driver::pci_device::{
            CPciDevice,
            Registers, //
        },
        pci::{
            driver::ChannelState,
            reset::ResetScope,
            Function,
            NUM_BARS, //
        },
        pm_runtime::Resumed, //
    },
    activation::Activation,
    bars::{
        Bar,
        Bars, //
    },
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
        Mutex,
        UniqueArc, //
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
enum Session {
    /// A driver in C has the device enabled, and adds to it before users get it.
    Enabled {
        opened: UniqueArc<Opened>,
        activation: Activation,
    },
    /// Users may have it.
    Open {
        opened: Arc<Opened>,
        activation: Activation,
        _virtual_user: Option<VirtualUser>,
    },
}

impl Session {
    /// What the device has while users may have it.
    fn opened(&self) -> Option<&Arc<Opened>> {
        match self {
            Self::Open { opened, .. } => Some(opened),
            Self::Enabled { .. } => None,
        }
    }

    /// Ends it for its users. What is left goes when the device is put back.
    fn end(self) -> (Arc<Opened>, Activation) {
        match self {
            Self::Enabled { opened, activation } => (opened.into(), activation),
            Self::Open {
                opened, activation, ..
            } => (opened, activation),
        }
    }
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
    /// The device of a driver in C.
    c_device: Option<Arc<CPciDevice>>,
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
        Self::with_c_device(device, options, variant, None)
    }

    /// The same, also if the driver is in C.
    pub(crate) fn with_c_device(
        device: &pci::Device<Core<'_>>,
        options: Options,
        variant: Option<KBox<dyn Variant>>,
        c_device: Option<Arc<CPciDevice>>,
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
                        c_device.clone(),
                    ),
                    GFP_KERNEL_ACCOUNT,
                )?,
                irq <- Irqs::new(function.clone(), intx, c_device.clone()),
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
                c_device,
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

    /// The device of a driver in C.
    pub(crate) fn c_device(&self) -> Option<&Arc<CPciDevice>> {
        self.c_device.as_ref()
    }

    /// Does the driver let this module hear of all resets?
    pub(crate) fn hears_of_resets(&self) -> bool {
        self.c_device
            .as_ref()
            .is_none_or(|device| device.announces_resets())
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
    // Inlined, it would cost the ioctls that do not need it a larger stack.
    #[inline(never)]
    pub(crate) fn opened(&self) -> Result<Arc<Opened>> {
        let session = self.session.lock();

        session
            .as_ref()
            .and_then(Session::opened)
            .cloned()
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

    fn begin_session(&self) -> Result<(UniqueArc<Opened>, Activation, ConfigSpace)> {
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
        let opened = UniqueArc::new(opened, GFP_KERNEL_ACCOUNT)?;
        self.irq.open(irq::IntxSupport {
            present: opened.interrupt_pin != 0,
            maskable: intx.maskable,
        });
        let config = self.function.store_saved_state();
        self.memory
            .open(space.decode().memory, opened.bars.clone(), config);

        Ok((opened, activation, space))
    }

    /// Opens the device for its first user. Called with the device-set lock held.
    ///
    /// # Errors
    ///
    /// EAGAIN while it recovers from an error of the bus, ENOMEM, or that of the hardware or of the
    /// driver.
    pub(crate) fn open(&self) -> Result {
        self.enable()?;
        self.finish_enable();

        Ok(())
    }

    /// The first half of [`Self::open`], for a driver that adds to the device before its user gets
    /// it. [`Self::close`] undoes it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open`], and EBUSY if it is open.
    pub(crate) fn enable(&self) -> Result {
        if self.session.lock().is_some() {
            return Err(EBUSY);
        }
        let (opened, activation, space) = self.begin_session()?;
        self.show_registers(Some(&opened.bars));
        *self.config.write() = Some(space);
        *self.session.lock() = Some(Session::Enabled { opened, activation });

        Ok(())
    }

    /// The second half. Does nothing without the first.
    pub(crate) fn finish_enable(&self) {
        let mut session = self.session.lock();
        *session = match session.take() {
            Some(Session::Enabled { opened, activation }) => Some(Session::Open {
                opened: opened.into(),
                activation,
                _virtual_user: self.role.count_user(),
            }),
            other => other,
        };
    }

    /// Calls `change` with what the device has, between both halves of [`Self::open`].
    ///
    /// # Errors
    ///
    /// EINVAL at any other time, or that of `change`.
    pub(crate) fn change_enabled<R>(
        &self,
        change: impl FnOnce(&mut Opened) -> Result<R>,
    ) -> Result<R> {
        match &mut *self.session.lock() {
            Some(Session::Enabled { opened, .. }) => change(opened),
            _ => Err(EINVAL),
        }
    }

    /// Lets a driver in C see where the BARs are mapped.
    fn show_registers(&self, bars: Option<&Bars>) {
        let Some(device) = &self.c_device else {
            return;
        };
        for index in 0..NUM_BARS {
            let registers = match bars.and_then(|bars| bars.get(index)).map(Bar::mapped) {
                None => Registers::None,
                Some(Ok(bar)) => Registers::Mapped(bar.registers()),
                Some(Err(error)) => Registers::Failed(error),
            };
            device.set_registers(index, registers);
        }
    }

    /// Closes the device, if it is open, and tells whether it was. Called with the device-set lock
    /// held.
    pub(crate) fn close(&self) -> bool {
        let Some(session) = self.session.lock().take() else {
            return false;
        };
        let (opened, activation) = session.end();
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
        if let Some(device) = &self.c_device {
            device.release_regions();
        }
        self.show_registers(None);
        drop((opened, config));
        let ended = activation.end(&self.command);
        self.set_needs_reset(!ended.was_reset);

        true
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
        // A driver that says no more than this does not say when recovery has ended.
        if self.hears_of_resets() {
            self.memory.report_error(device, state);
        }
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
