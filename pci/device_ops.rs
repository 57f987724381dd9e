// SPDX-License-Identifier: GPL-2.0

//! What the core asks of a device, and so its users.

use crate::{
    abstractions::{
        io::mem::Width,
        pci::Function,
        pm_runtime::Resumed,
        uapi::pci::{
            RegionInfo,
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
    device::CoreDevice,
    device_region::OpenDevice,
    hot_reset,
    info,
    migration::VariantMigration,
    region::{
        self,
        PageAddress,
        Region, //
    },
    region_access,
    reset_set,
    token,
    user_value,
    vga, //
};
use kernel::{
    prelude::*,
    str::CStr,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};
#[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
use vfio::abstractions::debugfs::DataDirectory;
use vfio::{
    abstractions::{
        mm::pfnmap::{
            Fault,
            FaultResult,
            FrameRange,
            NewMapping,
            Populated, //
        },
        uaccess::UserBytes, //
    },
    capability::CapabilityChain,
    device::{
        feature::Request,
        migration::{
            state::{
                State,
                Support, //
            },
            Migration,
            Stream, //
        },
        ops::{
            DeviceOps,
            Opening, //
        },
        Device, //
    }, //
};

impl CoreDevice {
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
            Region::Bar(index) => self.function().has_memory_bar(index),
            Region::Config => true,
            _ => false,
        };
        if makes_sure && !self.memory().may_sleep() {
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

    /// Reads a BAR for the user; one register the shortest way, without even a look at what else
    /// the device has while it is open.
    ///
    /// # Errors
    ///
    /// As [`Opened::read_bar`](crate::opened::Opened::read_bar).
    fn read_bar(&self, index: usize, offset: u64, buffer: &mut UserSliceWriter) -> Result<usize> {
        let len = buffer.len();
        if let Some(width) = Width::of_bytes(len) {
            if let Some(value) = self.memory().read_register(index, offset, width) {
                user_value::give(buffer, len, value)?;
                return Ok(len);
            }
        }

        self.opened()?
            .read_bar(self.memory(), index, offset, buffer)
    }

    /// Writes a BAR for the user; one register the shortest way.
    ///
    /// # Errors
    ///
    /// As [`Opened::write_bar`](crate::opened::Opened::write_bar).
    fn write_bar(&self, index: usize, offset: u64, buffer: &mut UserSliceReader) -> Result<usize> {
        let len = buffer.len();
        if let Some(width) = Width::of_bytes(len) {
            // If the user's memory cannot be read, that may be not the first thing to complain of.
            if let Ok(value) = user_value::take(&mut buffer.clone_reader(), len) {
                let written = self.memory().write_register(index, offset, width, value);
                if written.is_some() {
                    return Ok(len);
                }
            }
        }

        self.opened()?
            .write_bar(self.memory(), index, offset, buffer)
    }
}

/// Regions that the driver has added. Not inlined: other regions are accessed more often.
impl CoreDevice {
    /// Reads one for the user.
    ///
    /// # Errors
    ///
    /// EINVAL if there is no such region, or that of the driver.
    #[inline(never)]
    fn read_device_region(&self, index: usize, offset: u64, bytes: UserBytes) -> Result<usize> {
        if let Some(device) = self.c_device() {
            let position = region::device_position(index, offset).ok_or(EINVAL)?;
            return device.transfer_region(index, bytes, position, false);
        }
        let opened = self.opened()?;
        let mut buffer = bytes.writer();

        opened
            .regions
            .read(&opened.bars, self.memory(), index, offset, &mut buffer)
    }

    /// Writes one for the user.
    ///
    /// # Errors
    ///
    /// EINVAL if there is no such region, or that of the driver.
    #[inline(never)]
    fn write_device_region(&self, index: usize, offset: u64, bytes: UserBytes) -> Result<usize> {
        if let Some(device) = self.c_device() {
            let position = region::device_position(index, offset).ok_or(EINVAL)?;
            return device.transfer_region(index, bytes, position, true);
        }
        let opened = self.opened()?;
        let mut buffer = bytes.reader();

        opened
            .regions
            .write(&opened.bars, self.memory(), index, offset, &mut buffer)
    }
}

impl CoreDevice {
    /// Closes the device, if it is open, and resets what is due. Called with the device-set lock
    /// held.
    pub(crate) fn disable(&self) {
        if self.close() {
            reset_set::reset_if_unused(self);
        }
    }

    /// Describes the region whose index `info` has, and returns the capabilities that belong to it.
    ///
    /// # Errors
    ///
    /// EINVAL if there is none, EINTR if the task is killed while it waits for a reset, EIO if the
    /// device does not wake up, ENOMEM.
    pub(crate) fn describe_region(&self, info: &mut RegionInfo) -> Result<Option<CapabilityChain>> {
        info::describe(self.function(), self.memory(), || self.opened(), info)
    }

    fn variant_migration(&self) -> Result<&dyn VariantMigration> {
        self.variant()
            .and_then(|variant| variant.migration())
            .ok_or(ENOTTY)
    }
}

impl Migration for CoreDevice {
    fn support(&self) -> Support {
        self.variant_migration()
            .map_or_else(|_| Support::default(), |migration| migration.support())
    }

    fn state(&self) -> Result<State> {
        self.variant_migration()?.state()
    }

    fn set_state(&self, to: State) -> Result<Option<Stream>> {
        let opened = self.opened()?;
        let device = OpenDevice::new(&opened.bars, self.memory());

        self.variant_migration()?.set_state(&device, to)
    }

    fn data_size(&self) -> Result<u64> {
        self.variant_migration()?.data_size()
    }
}

impl DeviceOps for CoreDevice {
    fn open(&self, _device: &Device, _opening: &Opening<'_>) -> Result {
        CoreDevice::open(self)
    }

    fn close(&self, _device: &Device) {
        self.disable();
    }

    // Not inlined, as those below: what drivers in C call would be second copies, and the parts be
    // no longer inlined into these.
    #[inline(never)]
    fn ioctl(&self, device: &Device, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            VFIO_DEVICE_GET_INFO => info::device(&*self.opened()?, arg),
            VFIO_DEVICE_GET_REGION_INFO => {
                info::region(self.function(), self.memory(), || self.opened(), arg)
            }
            VFIO_DEVICE_GET_IRQ_INFO => self.irq().info(arg),
            VFIO_DEVICE_SET_IRQS => {
                self.memory().wait()?;
                self.irq().set(device, self.memory(), arg)
            }
            VFIO_DEVICE_IOEVENTFD => {
                let opened = self.opened()?;
                self.ioeventfds()
                    .set(self.function(), self.memory(), &opened, arg)
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

        is_answered && !self.memory().may_sleep()
    }

    #[inline(never)]
    fn feature(&self, device: &Device, request: &Request) -> Result<isize> {
        self.answer_feature(device, request)
    }

    fn migration(&self) -> Option<&dyn Migration> {
        self.variant()?.migration()?;

        Some(self)
    }

    #[inline(never)]
    fn read(&self, _device: &Device, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        let mut buffer = bytes.writer();
        let len = buffer.len();

        self.transfer(len, position, |region, offset| match region {
            Region::Bar(index) => self.read_bar(index, offset, &mut buffer),
            Region::Rom => {
                region_access::read_rom(self.function(), self.memory(), offset, &mut buffer)
            }
            Region::Config => self.read_config(offset, &mut buffer),
            Region::Vga if self.opened()?.vga => vga::read(self.function(), offset, &mut buffer),
            Region::Vga => Err(EINVAL),
            Region::Device(index) => self.read_device_region(index, offset, bytes),
        })
    }

    #[inline(never)]
    fn write(&self, device: &Device, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        let mut buffer = bytes.reader();
        let len = buffer.len();

        self.transfer(len, position, |region, offset| match region {
            Region::Bar(index) => self.write_bar(index, offset, &mut buffer),
            Region::Config => self.write_config(device, offset, &mut buffer),
            Region::Vga if self.opened()?.vga => vga::write(self.function(), offset, &mut buffer),
            Region::Rom | Region::Vga => Err(EINVAL),
            Region::Device(index) => self.write_device_region(index, offset, bytes),
        })
    }

    fn mmap(&self, _device: &Device, mapping: &NewMapping<'_>) -> Result<Populated> {
        self.opened()?.check_mapping(mapping)?;
        Ok(Populated::ByFault)
    }

    fn fault(&self, _device: &Device, fault: &Fault<'_>) -> FaultResult {
        let Some(PageAddress {
            region: Region::Device(index),
            page,
        }) = PageAddress::new(fault.page_offset())
        else {
            return self.memory().fault(fault);
        };

        match self.opened() {
            Ok(opened) => opened
                .regions
                .fault(&opened.bars, self.memory(), index, page, fault),
            Err(_) => FaultResult::SIGBUS,
        }
    }

    fn frames(&self, _device: &Device, page_offset: u64) -> Option<FrameRange> {
        // What a driver in C maps at that place may be something else.
        let maps_all = self
            .c_device()
            .is_none_or(|device| device.has_no_mappings_of_its_own());
        if !maps_all {
            return None;
        }
        self.memory().frames(PageAddress::new(page_offset)?)
    }

    #[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
    fn show_in_debugfs(&self, directory: &DataDirectory<Device>) {
        // As they were when the device was bound; the parameters of the module may have changed
        // since.
        let options = self.options();
        let directory = directory.subdirectory(c"pci");

        directory.add_flag(c"nointxmask", options.nointxmask);
        directory.add_flag(c"disable_idle_d3", options.disable_idle_d3);
    }

    fn request(&self, _device: &Device, count: u32) {
        if self.irq().signal_request() {
            if count % 10 == 0 {
                dev_notice!(
                    self.function(),
                    "Relaying device request to user (#{})\n",
                    count
                );
            }
        } else if count == 0 {
            dev_warn!(
                self.function(),
                "No device request channel registered, blocked until released by user\n"
            );
        }
    }

    fn matches(&self, _device: &Device, name: &CStr) -> Result<bool> {
        match token::Request::parse(name.to_bytes(), self.function().name().to_bytes()) {
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
