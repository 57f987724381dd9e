// SPDX-License-Identifier: GPL-2.0

//! Devices whose drivers are in C: what the core asks of a driver, and what one in C is asked
//! then.

#[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
use crate::abstractions::debugfs::DataDirectory;
use crate::{
    abstractions::{
        c_driver::device::CDevice,
        iommu::iova_bitmap::DirtyBitmap,
        mm::pfnmap::{
            Fault,
            FaultResult,
            FrameRange,
            NewMapping,
            Populated, //
        },
        uaccess::UserBytes,
        uapi::device::{
            RegionInfo,
            VFIO_DEVICE_GET_REGION_INFO, //
        }, //
    },
    capability::chain,
    device::{
        dma_logging::DmaLogging,
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
        pages_by_address::PagesByAddress,
        Device, //
    }, //
};
use core::ops::RangeInclusive;
use kernel::{
    prelude::*,
    str::CStr,
    sync::Arc,
    uaccess::UserPtr,
    warn_on, //
};

/// A driver in C, as far as one of its devices is concerned.
pub(crate) struct CDriver {
    device: CDevice,
    pages: Arc<PagesByAddress>,
    /// What the module does that knows the bus of the device, if the driver has one serve it.
    bus: Option<Arc<dyn DeviceOps>>,
}

impl CDriver {
    /// The driver of `device`, which `bus` serves.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(device: CDevice, bus: Option<Arc<dyn DeviceOps>>) -> Result<Self> {
        Ok(Self {
            device,
            pages: PagesByAddress::new()?,
            bus,
        })
    }

    /// The pages of its user that it has pinned.
    pub(crate) fn pages(&self) -> &PagesByAddress {
        &self.pages
    }

    /// The device, as the driver knows it.
    pub(crate) fn device(&self) -> &CDevice {
        &self.device
    }

    /// Nobody has the device open.
    fn set_closed(&self) {
        self.device.set_through_cdev(false);
        self.device.set_open_count(0);
        self.device.set_machine(None);
        self.device.set_bound(None);
    }

    /// VFIO_DEVICE_GET_REGION_INFO
    fn region_info(&self, arg: usize) -> Result<isize> {
        let mut info = RegionInfo::read(arg)?;
        let room = info.argsz as usize;
        let answer = self.device.region_info(&mut info).ok_or(EINVAL)?;
        let mut capabilities = answer?;
        let bytes = capabilities.bytes_mut();
        if !bytes.is_empty() {
            let fixed = size_of::<RegionInfo>();
            let needed = fixed.checked_add(bytes.len()).ok_or(EOVERFLOW)?;
            info.flags |= RegionInfo::CAPABILITIES;
            if room < needed {
                info.argsz = u32::try_from(needed)?;
                info.cap_offset = 0;
            } else {
                chain::shift(bytes, fixed)?;
                let address = arg.checked_add(fixed).ok_or(EFAULT)?;
                UserBytes::new(UserPtr::from_addr(address), bytes.len())
                    .writer()
                    .write_slice(bytes)?;
                info.cap_offset = u32::try_from(fixed)?;
            }
        }
        info.write(arg)?;
        Ok(0)
    }
}

impl DeviceOps for CDriver {
    fn open(&self, _device: &Device, opening: &Opening<'_>) -> Result {
        let _set = self.device.lock_set();
        self.device.set_machine(opening.machine);
        self.device.set_bound(opening.bound);
        self.device.set_open_count(1);
        let opened = self.device.open_device().unwrap_or(Ok(()));
        match opened {
            Ok(()) => self.device.set_through_cdev(opening.through_cdev),
            Err(_) => self.set_closed(),
        }
        opened
    }

    fn files_changed(&self, _device: &Device, count: usize) {
        let _set = self.device.lock_set();
        self.device.set_open_count(count);
    }

    fn close(&self, _device: &Device) {
        let _set = self.device.lock_set();
        self.device.close_device();
        // The driver finds no memory of its user any more.
        warn_on!(self.pages.clear() != 0);
        self.set_closed();
    }

    fn ioctl(&self, _device: &Device, cmd: u32, arg: usize) -> Result<isize> {
        if cmd == VFIO_DEVICE_GET_REGION_INFO {
            return self.region_info(arg);
        }
        self.device.ioctl(cmd, arg).unwrap_or(Err(EINVAL))
    }

    fn feature(&self, _device: &Device, request: &Request) -> Result<isize> {
        self.device
            .device_feature(request.flags(), request.unchecked_payload().bytes())
            .unwrap_or(Err(ENOTTY))
    }

    fn migration(&self) -> Option<&dyn Migration> {
        self.device.has_migration().then_some(self)
    }

    fn dma_logging(&self) -> Option<&dyn DmaLogging> {
        self.device.has_dma_logging().then_some(self)
    }

    fn read(&self, _device: &Device, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        self.device.read(bytes, position).unwrap_or(Err(EINVAL))
    }

    fn write(&self, _device: &Device, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        self.device.write(bytes, position).unwrap_or(Err(EINVAL))
    }

    fn mmap(&self, _device: &Device, mapping: &NewMapping<'_>) -> Result<Populated> {
        self.device.mmap(mapping).unwrap_or(Err(EINVAL))?;
        Ok(Populated::ByDriver)
    }

    // Areas that the driver has let the bus make. Those of its own have a handler of their own.
    fn fault(&self, device: &Device, fault: &Fault<'_>) -> FaultResult {
        match &self.bus {
            Some(bus) => bus.fault(device, fault),
            None => FaultResult::SIGBUS,
        }
    }

    fn frames(&self, device: &Device, page_offset: u64) -> Option<FrameRange> {
        self.bus.as_ref()?.frames(device, page_offset)
    }

    fn request(&self, _device: &Device, count: u32) {
        self.device.request(count);
    }

    #[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
    fn show_in_debugfs(&self, directory: &DataDirectory<Device>) {
        self.device.set_debug_root(directory);
        if let Some(bus) = &self.bus {
            bus.show_in_debugfs(directory);
        }
    }

    fn pins(&self) -> bool {
        self.device.has_dma_unmap()
    }

    fn unmapped(&self, _device: &Device, addresses: RangeInclusive<u64>) {
        self.device.dma_unmap(&addresses);
    }

    fn matches(&self, device: &Device, name: &CStr) -> Result<bool> {
        self.device
            .matches(name)
            .unwrap_or_else(|| Ok(device.parent().name() == name))
    }

    fn supports_token(&self) -> bool {
        self.device.has_token()
    }

    fn match_token(&self, _device: &Device, token: Option<[u8; 16]>) -> Result {
        self.device
            .match_token(token)
            .unwrap_or_else(|| token.map_or(Ok(()), |_| Err(EINVAL)))
    }
}

impl Migration for CDriver {
    fn support(&self) -> Support {
        Support::from_flags(self.device.migration_flags().into()).unwrap_or_default()
    }

    fn state(&self) -> Result<State> {
        let number = self.device.migration_state().unwrap_or(Err(EOPNOTSUPP))?;
        State::from_number(number).ok_or(EINVAL)
    }

    fn set_state(&self, to: State) -> Result<Option<Stream>> {
        let file = self
            .device
            .set_migration_state(to.number())
            .unwrap_or(Err(EOPNOTSUPP))?;
        Ok(file.map(Stream::File))
    }

    fn data_size(&self) -> Result<u64> {
        self.device.migration_data_size().unwrap_or(Err(EOPNOTSUPP))
    }

    fn knows_new_rounds(&self, knows: bool) {
        self.device.set_precopy_info_v2(knows);
    }
}

impl DmaLogging for CDriver {
    fn start(&self, ranges: &[RangeInclusive<u64>], page_size: u64) -> Result<u64> {
        self.device
            .log_start(ranges, page_size)
            .unwrap_or(Err(EOPNOTSUPP))
    }

    fn stop(&self) -> Result {
        self.device.log_stop().unwrap_or(Err(EOPNOTSUPP))
    }

    fn report(&self, dirty: &mut DirtyBitmap<'_>) -> Result {
        self.device
            .log_read_and_clear(dirty)
            .unwrap_or(Err(EOPNOTSUPP))
    }
}
