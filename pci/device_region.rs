// SPDX-License-Identifier: GPL-2.0

//! Device-specific regions: what a driver gives users besides the BARs, the ROM and config space.
//!
//! They follow the fixed regions, in the order in which the driver adds them when the device is
//! opened, and are gone when it has been closed for the last time. Users tell them apart by their
//! type.

use crate::{
    abstractions::{
        io::mem::IoMem,
        uapi::pci as uapi_pci, //
    },
    bars::Bars,
    memory::MemoryLock,
    region::{
        clip,
        OFFSET_BITS, //
    }, //
};
use kernel::{
    prelude::*,
    uaccess::{
        UserSliceReader,
        UserSliceWriter, //
    }, //
};
use vfio::{
    abstractions::{
        mm::pfnmap::{
            self,
            Fault,
            FaultResult,
            FrameRange,
            NewMapping, //
        },
        nospec, //
    },
    capability::CapabilityChain, //
};

pub use crate::abstractions::io::mem::Width;

/// What a device-specific region is, as its capability `VFIO_REGION_INFO_CAP_TYPE` tells the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionType {
    /// Who defines the subtypes.
    pub class: u32,
    /// One of the regions that they have defined.
    pub subtype: u32,
}

impl RegionType {
    /// A type that the vendor with this PCI ID defines.
    pub const fn of_vendor(vendor: u16, subtype: u32) -> Self {
        Self {
            // CAST: Widens; `From` is not const.
            class: uapi_pci::VFIO_REGION_TYPE_PCI_VENDOR_TYPE | vendor as u32,
            subtype,
        }
    }
}

/// What users may do with a device-specific region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Read it with `read()`.
    pub read: bool,
    /// Write it with `write()`.
    pub write: bool,
    /// Map it with `mmap()`.
    pub map: bool,
}

impl Permissions {
    /// Only read it.
    pub const READ_ONLY: Self = Self {
        read: true,
        write: false,
        map: false,
    };
}

/// A device-specific region.
///
/// Type, length and permissions must not change. Only what is permitted is asked for, and only
/// within the region. The last reference is dropped when the device has no user any more.
pub trait DeviceRegion: Send + Sync {
    /// What the region is.
    fn region_type(&self) -> RegionType;

    /// Length in bytes, at most 2^40.
    fn size(&self) -> u64;

    /// What users may do with it.
    fn permissions(&self) -> Permissions;

    /// Reads `count` bytes, which are not zero, at `offset` for the user, and returns how many
    /// have been read.
    ///
    /// # Errors
    ///
    /// EINVAL if the region cannot be read, EFAULT, or what the device makes of it.
    fn read(
        &self,
        _device: &OpenDevice<'_>,
        _offset: u64,
        _count: usize,
        _buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        Err(EINVAL)
    }

    /// Writes `count` bytes, which are not zero, at `offset` for the user, and returns how many
    /// have been written.
    ///
    /// # Errors
    ///
    /// EINVAL if the region cannot be written, EFAULT, or what the device makes of it.
    fn write(
        &self,
        _device: &OpenDevice<'_>,
        _offset: u64,
        _count: usize,
        _buffer: &mut UserSliceReader,
    ) -> Result<usize> {
        Err(EINVAL)
    }

    /// Is what users map memory of the device? Then they can reach it only while the device has
    /// its memory enabled and power, like a BAR. Otherwise it must be there as long as the region.
    fn is_device_memory(&self) -> bool {
        true
    }

    /// Checks a mapping that starts at a page of the region. Pages are mapped by
    /// [`fault`](Self::fault) only. Called with the mmap lock held.
    ///
    /// # Errors
    ///
    /// EINVAL if this cannot be mapped.
    fn check_mapping(&self, _first_page: u64, _mapping: &NewMapping<'_>) -> Result {
        Ok(())
    }

    /// Maps the pages of the region from `first_page` on, as many as the fault wants. What is
    /// mapped can be taken away at any time, and is then asked for again.
    ///
    /// Called with the mmap lock held, and for memory of the device with the memory lock: it must
    /// not access registers.
    fn fault(&self, _device: &OpenDevice<'_>, _first_page: u64, _fault: &Fault<'_>) -> FaultResult {
        FaultResult::SIGBUS
    }

    /// Adds capabilities to the information on the region, behind that of its type.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    fn add_capabilities(&self, _chain: &mut CapabilityChain) -> Result {
        Ok(())
    }
}

/// A device that is open, as a driver's regions use it.
pub struct OpenDevice<'a> {
    bars: &'a Bars,
    memory: &'a MemoryLock,
}

impl<'a> OpenDevice<'a> {
    /// The device with these BARs.
    pub(crate) fn new(bars: &'a Bars, memory: &'a MemoryLock) -> Self {
        Self { bars, memory }
    }

    /// The registers of a BAR.
    fn registers(&self, bar: usize) -> Result<&IoMem> {
        let bar = self.bars.get(bar).ok_or(EINVAL)?;

        Ok(bar.mapped()?.registers())
    }

    /// Makes one access to a BAR, if it is enabled.
    fn with_bar<T>(&self, bar: usize, access: impl FnOnce(&IoMem) -> Result<T>) -> Result<T> {
        let registers = self.registers(bar)?;
        let is_memory = self
            .bars
            .get(bar)
            .is_some_and(|bar| bar.resource().is_memory());
        let _enabled = if is_memory {
            Some(self.memory.access()?)
        } else {
            None
        };

        access(registers)
    }

    /// Length of a BAR in bytes; zero if the device does not have it.
    pub fn bar_size(&self, bar: usize) -> u64 {
        self.bars.get(bar).map_or(0, |bar| bar.resource().len)
    }

    /// Reads a register of a BAR.
    ///
    /// # Errors
    ///
    /// EINVAL beyond the end or if the offset is not aligned, EIO if memory is disabled, EINTR if
    /// the task is killed while it waits for a reset; EBUSY, ENOMEM or ENODEV if the BAR could not
    /// be mapped when the device was opened.
    pub fn read_register(&self, bar: usize, offset: usize, width: Width) -> Result<u64> {
        self.with_bar(bar, |registers| registers.read(offset, width))
    }

    /// Writes a register of a BAR.
    ///
    /// # Errors
    ///
    /// As [`Self::read_register`].
    pub fn write_register(&self, bar: usize, offset: usize, width: Width, value: u64) -> Result {
        self.with_bar(bar, |registers| registers.write(offset, width, value))
    }

    /// Returns the page frames of a BAR from its page `first_page` on, for a fault handler; nothing
    /// if the BAR does not have any there, or if they must not be mapped.
    pub fn bar_frames(&self, bar: usize, first_page: u64) -> Option<FrameRange> {
        self.bars.get(bar)?.frames()?.skip(first_page)
    }
}

/// The device-specific regions of a device that is open.
pub(crate) struct DeviceRegions(KVec<KBox<dyn DeviceRegion>>);

impl DeviceRegions {
    /// More than any device has, and few enough for their offsets in the device file.
    const MOST: usize = 1024;

    /// There are none.
    pub(crate) const fn new() -> Self {
        Self(KVec::new())
    }

    /// Number of regions.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns region `index`.
    pub(crate) fn get(&self, index: usize) -> Option<&dyn DeviceRegion> {
        nospec::get(&self.0, index).map(|region| &**region)
    }

    /// Adds a region.
    ///
    /// # Errors
    ///
    /// EINVAL if it is longer than a region can be, ENOSPC if there are too many, ENOMEM.
    pub(crate) fn push(&mut self, region: KBox<dyn DeviceRegion>) -> Result {
        if region.size() > 1 << OFFSET_BITS {
            return Err(EINVAL);
        }
        if self.0.len() >= Self::MOST {
            return Err(ENOSPC);
        }

        Ok(self.0.push(region, GFP_KERNEL_ACCOUNT)?)
    }
}

/// The user's door to them.
impl DeviceRegions {
    /// Returns device-specific region `index` if the user may do with it what `permitted` says.
    fn permitted_region(
        &self,
        index: usize,
        permitted: impl Fn(Permissions) -> bool,
    ) -> Result<&dyn DeviceRegion> {
        self.get(index)
            .filter(|region| permitted(region.permissions()))
            .ok_or(EINVAL)
    }

    /// Reads a region for the user; `bars` and `memory` are those of the device.
    ///
    /// # Errors
    ///
    /// EINVAL beyond the end, or if there is no such region or it cannot be read; or that of the
    /// region.
    pub(crate) fn read(
        &self,
        bars: &Bars,
        memory: &MemoryLock,
        index: usize,
        offset: u64,
        buffer: &mut UserSliceWriter,
    ) -> Result<usize> {
        let region = self.permitted_region(index, |permissions| permissions.read)?;
        let (offset, count) = clip(offset, buffer.len(), region.size())?;
        let device = OpenDevice { bars, memory };

        // CAST: A `usize` has 64 bits where this driver runs.
        let done = region.read(&device, offset as u64, count, buffer)?;
        Ok(done.min(count))
    }

    /// Writes a device-specific region for the user.
    ///
    /// # Errors
    ///
    /// EINVAL beyond the end, or if there is no such region or it cannot be written; or that of
    /// the region.
    pub(crate) fn write(
        &self,
        bars: &Bars,
        memory: &MemoryLock,
        index: usize,
        offset: u64,
        buffer: &mut UserSliceReader,
    ) -> Result<usize> {
        let region = self.permitted_region(index, |permissions| permissions.write)?;
        let (offset, count) = clip(offset, buffer.len(), region.size())?;
        let device = OpenDevice { bars, memory };

        // CAST: A `usize` has 64 bits where this driver runs.
        let done = region.write(&device, offset as u64, count, buffer)?;
        Ok(done.min(count))
    }

    /// Checks a mapping of a device-specific region that is being made.
    ///
    /// # Errors
    ///
    /// EINVAL beyond the end, or if there is no such region or it cannot be mapped; or that of the
    /// region.
    pub(crate) fn check_mapping(
        &self,
        index: usize,
        first_page: u64,
        mapping: &NewMapping<'_>,
    ) -> Result {
        let region = self.permitted_region(index, |permissions| permissions.map)?;
        // CAST: A `usize` has 64 bits where this driver runs.
        let end = first_page.checked_add(pfnmap::pages(mapping.len() as u64));
        if end.is_none_or(|end| end > pfnmap::pages(region.size())) {
            return Err(EINVAL);
        }
        region.check_mapping(first_page, mapping)?;
        if region.is_device_memory() {
            mapping.set_uncached();
        }

        Ok(())
    }

    /// Handles a page fault in a device-specific region.
    pub(crate) fn fault(
        &self,
        bars: &Bars,
        memory: &MemoryLock,
        index: usize,
        first_page: u64,
        fault: &Fault<'_>,
    ) -> FaultResult {
        let Some(region) = self.get(index) else {
            return FaultResult::SIGBUS;
        };
        let end = first_page.saturating_add(fault.pages());
        if end > pfnmap::pages(region.size()) {
            // A block that the region ends in may still have a page that is wanted.
            return match fault.pages() {
                1 => FaultResult::SIGBUS,
                _ => FaultResult::FALLBACK,
            };
        }
        let device = OpenDevice { bars, memory };
        if !region.is_device_memory() {
            return region.fault(&device, first_page, fault);
        }

        match memory.mappable() {
            Ok(_enabled) => region.fault(&device, first_page, fault),
            Err(result) => result,
        }
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_device_region)]
mod tests {
    use super::*;

    struct Fake(u64);

    impl DeviceRegion for Fake {
        fn region_type(&self) -> RegionType {
            RegionType::of_vendor(0x8086, 1)
        }

        fn size(&self) -> u64 {
            self.0
        }

        fn permissions(&self) -> Permissions {
            Permissions::default()
        }
    }

    /// Adds a region of `size` bytes.
    fn add(regions: &mut DeviceRegions, size: u64) -> Result {
        regions.push(KBox::new(Fake(size), GFP_KERNEL)?)
    }

    #[test]
    fn regions_keep_their_order() -> Result {
        let mut regions = DeviceRegions::new();
        add(&mut regions, 1)?;
        add(&mut regions, 1 << OFFSET_BITS)?;

        assert_eq!(regions.len(), 2);
        assert_eq!(regions.get(0).map(DeviceRegion::size), Some(1));
        assert_eq!(
            regions.get(1).map(DeviceRegion::size),
            Some(1 << OFFSET_BITS)
        );
        assert!(regions.get(2).is_none());

        Ok(())
    }

    /// Its end would be in the next region.
    #[test]
    fn a_region_can_be_too_long() {
        let mut regions = DeviceRegions::new();

        assert_eq!(add(&mut regions, (1 << OFFSET_BITS) + 1), Err(EINVAL));
        assert_eq!(regions.len(), 0);
    }

    /// Offsets in the device file would not be positive any more.
    #[test]
    fn regions_can_be_too_many() -> Result {
        let mut regions = DeviceRegions::new();
        for _ in 0..DeviceRegions::MOST {
            add(&mut regions, 1)?;
        }

        assert_eq!(add(&mut regions, 1), Err(ENOSPC));

        Ok(())
    }

    #[test]
    fn a_type_names_its_vendor() {
        assert_eq!(RegionType::of_vendor(0x8086, 2).class, 0x8000_8086);
    }
}
