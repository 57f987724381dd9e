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
        iomem::Width,
        pci::{
            Function,
            PowerState, //
        },
        pci_driver::ChannelState,
        pci_reset::ResetScope,
        pm_runtime::Resumed,
        uapi_pci::{
            VFIO_DEVICE_GET_INFO,
            VFIO_DEVICE_GET_IRQ_INFO,
            VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
            VFIO_DEVICE_GET_REGION_INFO,
            VFIO_DEVICE_IOEVENTFD,
            VFIO_DEVICE_PCI_HOT_RESET,
            VFIO_DEVICE_RESET,
            VFIO_DEVICE_SET_IRQS, //
        }, //
    },
    activation::Activation,
    command::Command,
    config_space::{
        ConfigSpace,
        Intx, //
    },
    dma_buf,
    hot_reset,
    info,
    ioeventfd::IoEventFds,
    irq::{
        self,
        IntxMask,
        Irqs, //
    },
    memory::MemoryLock,
    opened::Opened,
    physical,
    recovery::Recovery,
    region::{
        self,
        PageAddress,
        Region, //
    },
    region_access,
    reset_set,
    token::{
        self,
        Token, //
    },
    user_value,
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
    },
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};
use vfio::{
    abstractions::{
        pfnmap::{
            Fault,
            FaultResult,
            FrameRange,
            NewMapping, //
        },
        ratelimit::RateLimit,
        rwsem::RwSemaphore, //
    },
    device::Device,
    device_feature,
    device_ops::DeviceOps,
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
    recovery: Recovery,
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
                recovery: Recovery::new(function.clone()),
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

    /// What the function is to SR-IOV.
    pub(crate) fn role(&self) -> &Role {
        &self.role
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

    /// Wakes the device up for an access to `region`, for as long as the result exists. Nothing is
    /// to be done for a device that is kept awake if the access itself makes sure that it is.
    ///
    /// # Errors
    ///
    /// As [`Self::resumed`].
    #[inline(always)]
    fn resumed_for(&self, region: Region) -> Result<Option<Resumed<&Function>>> {
        let makes_sure = match region {
            // I/O ports are accessed without a lock.
            Region::Bar(index) => self.function.has_memory_bar(index),
            Region::Config => true,
            _ => false,
        };
        if makes_sure && !self.memory.may_sleep() {
            return Ok(None);
        }

        self.resumed().map(Some)
    }

    /// Runs `access` for the region and the offset in it at `position`, with the device awake, and
    /// moves the position on by what it has transferred of `len` bytes.
    ///
    /// # Errors
    ///
    /// EINVAL if there is no such region, EIO if the device does not wake up, or that of `access`.
    fn transfer(
        &self,
        len: usize,
        position: &mut i64,
        access: impl FnOnce(Region, u64) -> Result<usize>,
    ) -> Result<usize> {
        if len == 0 {
            return Ok(0);
        }
        let (region, offset) = region::locate(*position).ok_or(EINVAL)?;
        let _resumed = self.resumed_for(region)?;
        let done = access(region, offset)?;
        *position = position.saturating_add(i64::try_from(done)?);

        Ok(done)
    }

    /// Reads a BAR for the user; one register the shortest way, without even a look at what else the
    /// device has while it is open.
    ///
    /// # Errors
    ///
    /// As [`Opened::read_bar`].
    fn read_bar(&self, index: usize, offset: u64, buffer: &mut UserSliceWriter) -> Result<usize> {
        let len = buffer.len();
        if let Some(width) = Width::of_bytes(len) {
            if let Some(value) = self.memory.read_register(index, offset, width) {
                user_value::give(buffer, len, value)?;
                return Ok(len);
            }
        }

        self.opened()?.read_bar(&self.memory, index, offset, buffer)
    }

    /// Writes a BAR for the user; one register the shortest way.
    ///
    /// # Errors
    ///
    /// As [`Opened::write_bar`].
    fn write_bar(&self, index: usize, offset: u64, buffer: &mut UserSliceReader) -> Result<usize> {
        let len = buffer.len();
        if let Some(width) = Width::of_bytes(len) {
            // If the user's memory cannot be read, that may be not the first thing to complain of.
            if let Ok(value) = user_value::take(&mut buffer.clone_reader(), len) {
                let written = self.memory.write_register(index, offset, width, value);
                if written.is_some() {
                    return Ok(len);
                }
            }
        }

        self.opened()?
            .write_bar(&self.memory, index, offset, buffer)
    }

    /// The device is being bound: remembers config space, for the case that an error of the bus takes
    /// it before somebody opens the device.
    pub(crate) fn remember_config(&self) {
        self.function.save_state();
        let config = self.function.store_saved_state();
        self.memory.with_reach(|reach| reach.open(config));
    }

    fn begin_session(&self) -> Result<(Session, ConfigSpace)> {
        if self.memory.with_reach(|reach| reach.is_recovering()) {
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
        self.irq.open(irq::Facts {
            intx: opened.interrupt_pin != 0,
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
        self.memory.end_reset();
    }

    /// The bus reported an error of the device, as the user hears last, when the memory that is to
    /// be gone is gone. Called with the device lock held.
    pub(crate) fn begin_recovery(&self, device: &Device, state: ChannelState) {
        self.recovery.begin(&self.memory, device, state);
        self.irq.signal_error();
    }

    /// The recovery from errors of the bus.
    pub(crate) fn recovery(&self) -> &Recovery {
        &self.recovery
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
    fn check_token(&self, token: Option<&Token>) -> Result {
        self.role.check(token, |reason| {
            if self.log_limit.permits() {
                dev_info!(self.function, "{reason}\n");
            }
        })
    }
}

impl DeviceOps for CoreDevice {
    fn open(&self, _device: &Device) -> Result {
        let (session, space) = self.begin_session()?;
        *self.config.write() = Some(space);
        *self.session.lock() = Some(session);

        Ok(())
    }

    fn close(&self, _device: &Device) {
        let Some(Session {
            opened,
            activation,
            virtual_user,
        }) = self.session.lock().take()
        else {
            return;
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
        self.recovery.forget(&self.memory);
        drop((opened, config));
        let ended = activation.end(&self.command);
        self.set_needs_reset(!ended.was_reset);
        reset_set::reset_if_unused(self);
    }

    fn ioctl(&self, device: &Device, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            VFIO_DEVICE_GET_INFO => info::device(&*self.opened()?, arg),
            VFIO_DEVICE_GET_REGION_INFO => {
                info::region(&self.function, &self.memory, || self.opened(), arg)
            }
            VFIO_DEVICE_GET_IRQ_INFO => self.irq.info(arg),
            VFIO_DEVICE_SET_IRQS => {
                self.memory.wait()?;
                self.irq.set(&self.memory, arg)
            }
            VFIO_DEVICE_IOEVENTFD => {
                let opened = self.opened()?;
                self.ioeventfds
                    .set(&self.function, &self.memory, &opened, arg)
            }
            VFIO_DEVICE_RESET if !self.opened()?.reset_works => Err(EINVAL),
            VFIO_DEVICE_RESET => self.reset(device).map(|()| 0),
            VFIO_DEVICE_GET_PCI_HOT_RESET_INFO => hot_reset::info(self, device, arg),
            VFIO_DEVICE_PCI_HOT_RESET => hot_reset::reset(self, device, arg),
            _ => Err(ENOTTY),
        }
    }

    fn is_answered_asleep(&self, cmd: u32) -> bool {
        // The number of interrupts is asked of the device.
        let is_answered = matches!(cmd, VFIO_DEVICE_GET_INFO | VFIO_DEVICE_GET_REGION_INFO);

        is_answered && !self.memory.may_sleep()
    }

    fn feature(&self, device: &Device, request: &device_feature::Request) -> Result<isize> {
        self.answer_feature(device, request)
    }

    fn read(
        &self,
        _device: &Device,
        mut buffer: UserSliceWriter,
        position: &mut i64,
    ) -> Result<usize> {
        let len = buffer.len();

        self.transfer(len, position, |region, offset| match region {
            Region::Bar(index) => self.read_bar(index, offset, &mut buffer),
            Region::Rom => {
                region_access::read_rom(&self.function, &self.memory, offset, &mut buffer)
            }
            Region::Config => self.read_config(offset, &mut buffer),
            Region::Vga if self.opened()?.vga => vga::read(&self.function, offset, &mut buffer),
            Region::Vga => Err(EINVAL),
            Region::Device(index) => {
                let opened = self.opened()?;
                opened
                    .regions
                    .read(&opened.bars, &self.memory, index, offset, &mut buffer)
            }
        })
    }

    fn write(
        &self,
        device: &Device,
        mut buffer: UserSliceReader,
        position: &mut i64,
    ) -> Result<usize> {
        let len = buffer.len();

        self.transfer(len, position, |region, offset| match region {
            Region::Bar(index) => self.write_bar(index, offset, &mut buffer),
            Region::Config => self.write_config(device, offset, &mut buffer),
            Region::Vga if self.opened()?.vga => vga::write(&self.function, offset, &mut buffer),
            Region::Rom | Region::Vga => Err(EINVAL),
            Region::Device(index) => {
                let opened = self.opened()?;
                opened
                    .regions
                    .write(&opened.bars, &self.memory, index, offset, &mut buffer)
            }
        })
    }

    fn mmap(&self, _device: &Device, mapping: &NewMapping<'_>) -> Result {
        self.opened()?.check_mapping(mapping)
    }

    fn fault(&self, _device: &Device, fault: &Fault<'_>) -> FaultResult {
        let Some(PageAddress {
            region: Region::Device(index),
            page,
        }) = PageAddress::new(fault.page_offset())
        else {
            return self.memory.fault(fault);
        };

        match self.opened() {
            Ok(opened) => opened
                .regions
                .fault(&opened.bars, &self.memory, index, page, fault),
            Err(_) => FaultResult::SIGBUS,
        }
    }

    fn frames(&self, _device: &Device, page_offset: u64) -> Option<FrameRange> {
        self.memory.frames(PageAddress::new(page_offset)?)
    }

    fn request(&self, _device: &Device, count: u32) {
        if self.irq.signal_request() {
            if count % 10 == 0 {
                dev_notice!(
                    self.function,
                    "Relaying device request to user (#{})\n",
                    count
                );
            }
        } else if count == 0 {
            dev_warn!(
                self.function,
                "No device request channel registered, blocked until released by user\n"
            );
        }
    }

    fn matches(&self, _device: &Device, name: &CStr) -> Result<bool> {
        match token::Request::parse(name.to_bytes(), self.function.name().to_bytes()) {
            token::Request::Other => Ok(false),
            token::Request::Malformed => Err(EINVAL),
            token::Request::This(token) => self.check_token(token.as_ref()).map(|()| true),
        }
    }

    fn supports_token(&self) -> bool {
        true
    }

    fn match_token(&self, _device: &Device, token: Option<[u8; 16]>) -> Result {
        self.check_token(token.as_ref())
    }
}
