// SPDX-License-Identifier: GPL-2.0

//! What the user is told about the device and its regions.

use crate::{
    abstractions::{
        pci::{
            Function,
            ROM_RESOURCE, //
        },
        pm_runtime::Resumed,
        uapi::pci::{
            self as uapi_pci,
            DeviceInfo,
            RegionInfo, //
        }, //
    },
    bars::Bars,
    device_region::RegionType,
    memory::MemoryLock,
    opened::Opened,
    region::{
        self,
        Region, //
    },
    vga, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::Arc,
    transmute::AsBytes,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};
use vfio::capability::CapabilityChain;

const READ: u32 = uapi_pci::VFIO_REGION_INFO_FLAG_READ;
const WRITE: u32 = uapi_pci::VFIO_REGION_INFO_FLAG_WRITE;
const MMAP: u32 = uapi_pci::VFIO_REGION_INFO_FLAG_MMAP;

/// Answers `VFIO_DEVICE_GET_INFO`.
///
/// # Errors
///
/// EFAULT, EINVAL if the user's structure is too short, ENOMEM.
pub(crate) fn device(opened: &Opened, address: usize) -> Result<isize> {
    let mut info = DeviceInfo::read(address)?;
    let argsz = info.argsz;
    info.flags = uapi_pci::VFIO_DEVICE_FLAGS_PCI;
    info.num_regions = number_of_regions(opened);
    info.num_irqs = uapi_pci::VFIO_PCI_NUM_IRQS;
    if opened.reset_works {
        info.flags |= uapi_pci::VFIO_DEVICE_FLAGS_RESET;
    }
    let chain = device_capabilities(opened)?;
    if !chain.is_empty() {
        info.flags |= uapi_pci::VFIO_DEVICE_FLAGS_CAPS;
        let (needed, offset) = write_chain(chain, address, size_of::<DeviceInfo>(), argsz)?;
        info.argsz = needed;
        info.cap_offset = offset;
    }
    info.write(address, argsz)?;

    Ok(0)
}

/// Number of regions: the fixed ones, and those that the driver has added.
fn number_of_regions(opened: &Opened) -> u32 {
    let added = u32::try_from(opened.regions.len()).unwrap_or(0);

    uapi_pci::VFIO_PCI_NUM_REGIONS.saturating_add(added)
}

/// Makes the capabilities of the device.
fn device_capabilities(opened: &Opened) -> Result<CapabilityChain> {
    let mut chain = CapabilityChain::new();
    let flags = [
        (
            bindings::PCI_EXP_DEVCAP2_ATOMIC_COMP32,
            uapi_pci::VFIO_PCI_ATOMIC_COMP32,
        ),
        (
            bindings::PCI_EXP_DEVCAP2_ATOMIC_COMP64,
            uapi_pci::VFIO_PCI_ATOMIC_COMP64,
        ),
        (
            bindings::PCI_EXP_DEVCAP2_ATOMIC_COMP128,
            uapi_pci::VFIO_PCI_ATOMIC_COMP128,
        ),
    ]
    .into_iter()
    .filter(|(hardware, _)| opened.atomics & hardware != 0)
    .fold(0, |flags, (_, flag)| flags | flag);
    if flags != 0 {
        let payload: [u32; 2] = [flags, 0];
        chain.add(
            uapi_pci::VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP,
            1,
            AsBytes::as_bytes(&payload),
        )?;
    }

    Ok(chain)
}

/// What a region is.
struct Description {
    size: u64,
    flags: u32,
    /// Nothing for most: to give back what an empty chain does not have takes a tenth of the ioctl.
    capabilities: Option<CapabilityChain>,
}

impl Description {
    fn new(size: u64, flags: u32) -> Self {
        Self {
            size,
            flags,
            capabilities: None,
        }
    }

    /// Describes a region.
    ///
    /// # Errors
    ///
    /// EINVAL if the device does not have it, ENOMEM.
    fn of(
        region: Region,
        function: &Function,
        memory: &MemoryLock,
        opened: impl Fn() -> Result<Arc<Opened>>,
    ) -> Result<Self> {
        match region {
            Region::Bar(index) => Self::of_bar(index, memory, opened),
            Region::Rom => Self::of_rom(function, memory),
            // CAST: A `usize` has 64 bits where this driver runs.
            Region::Config => Ok(Self::new(function.config_size() as u64, READ | WRITE)),
            Region::Vga if opened()?.vga => Ok(Self::new(vga::REGION_SIZE, READ | WRITE)),
            Region::Vga => Err(EINVAL),
            Region::Device(index) => Self::of_device_region(index, &*opened()?),
        }
    }

    fn of_bar(
        index: usize,
        memory: &MemoryLock,
        opened: impl Fn() -> Result<Arc<Opened>>,
    ) -> Result<Self> {
        let look = |bars: &Bars| {
            let bar = bars.get(index)?;
            // The MSI-X table is all that is hidden.
            let has_table = !bar.hidden().is_empty();
            Some((bar.resource().len, bar.is_mappable(), has_table))
        };
        let seen = match memory.with_bars(look) {
            Some(seen) => seen,
            None => look(&opened()?.bars),
        };
        let (size, is_mappable, has_table) = seen.ok_or(EINVAL)?;
        if size == 0 {
            return Ok(Self::new(0, 0));
        }

        let mut description = Self::new(size, READ | WRITE);
        if is_mappable {
            description.flags |= MMAP;
            if has_table {
                let mut chain = CapabilityChain::new();
                chain.add(uapi_pci::VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, &[])?;
                description.capabilities = Some(chain);
            }
        }

        Ok(description)
    }

    fn of_device_region(index: usize, opened: &Opened) -> Result<Self> {
        let region = opened.regions.get(index).ok_or(EINVAL)?;
        let permissions = region.permissions();
        let flags = [
            (permissions.read, READ),
            (permissions.write, WRITE),
            (permissions.map, MMAP),
        ]
        .into_iter()
        .filter(|(permitted, _)| *permitted)
        .fold(0, |flags, (_, flag)| flags | flag);

        let mut description = Self::new(region.size(), flags);
        let RegionType { class, subtype } = region.region_type();
        let payload = [class, subtype];
        let mut chain = CapabilityChain::new();
        chain.add(
            uapi_pci::VFIO_REGION_INFO_CAP_TYPE,
            1,
            AsBytes::as_bytes(&payload),
        )?;
        region.add_capabilities(&mut chain)?;
        description.capabilities = Some(chain);

        Ok(description)
    }

    /// A ROM is there if it has a valid image.
    fn of_rom(function: &Function, memory: &MemoryLock) -> Result<Self> {
        let resource = function.resource(ROM_RESOURCE);
        if resource.start != 0 {
            // Unlike for the other regions, the device itself is asked.
            let _resumed = Resumed::new(function).map_err(|_| EIO)?;
            memory.wait()?;
            let is_valid = memory.visit(|| function.map_rom().is_some());
            return Ok(match is_valid {
                Some(true) => Self::new(resource.len, READ),
                _ => Self::new(0, 0),
            });
        }

        Ok(match function.shadow_rom() {
            // CAST: A `usize` has 64 bits where this driver runs.
            Some(rom) => Self::new(rom.window_len() as u64, READ),
            None => Self::new(0, 0),
        })
    }
}

/// Describes the region whose index `info` has, and returns the capabilities that belong to it.
/// `opened` returns what the device has while it is open; to describe a BAR does not take that.
///
/// # Errors
///
/// EINVAL if the device does not have the region, EINTR if the task is killed while it waits for a
/// reset, EIO if the device does not wake up, ENOMEM.
#[inline]
pub(crate) fn describe(
    function: &Function,
    memory: &MemoryLock,
    opened: impl Fn() -> Result<Arc<Opened>>,
    info: &mut RegionInfo,
) -> Result<Option<CapabilityChain>> {
    let region = Region::from_index(info.index).ok_or(EINVAL)?;
    let description = Description::of(region, function, memory, opened)?;
    info.size = description.size;
    info.flags = description.flags;
    info.offset = region::start_of(info.index);

    Ok(description.capabilities)
}

/// Answers `VFIO_DEVICE_GET_REGION_INFO`, as [`describe`] does.
///
/// # Errors
///
/// EFAULT, EINVAL if the user's structure is too short or the device does not have the region,
/// EINTR if the task is killed while it waits for a reset, ENOMEM.
pub(crate) fn region(
    function: &Function,
    memory: &MemoryLock,
    opened: impl Fn() -> Result<Arc<Opened>>,
    address: usize,
) -> Result<isize> {
    let mut info = RegionInfo::read(address)?;
    let argsz = info.argsz;

    if let Some(chain) = describe(function, memory, opened, &mut info)? {
        info.flags |= uapi_pci::VFIO_REGION_INFO_FLAG_CAPS;
        let (needed, offset) = write_chain(chain, address, size_of::<RegionInfo>(), argsz)?;
        info.argsz = needed;
        info.cap_offset = offset;
    }
    info.write(address)?;

    Ok(0)
}

/// Writes capabilities behind a structure of `size` bytes, if the user has room for them. Returns
/// the new `argsz`, and the offset of the capabilities, zero if there was no room.
fn write_chain(
    chain: CapabilityChain,
    address: usize,
    size: usize,
    argsz: u32,
) -> Result<(u32, u32)> {
    let needed = chain
        .len()
        .checked_add(size)
        .and_then(|needed| u32::try_from(needed).ok())
        .ok_or(ENOMEM)?;
    if argsz < needed {
        return Ok((needed, 0));
    }

    let bytes = chain.finish(size)?;
    let behind = UserPtr::from_addr(address).wrapping_byte_add(size);
    UserSlice::new(behind, bytes.len())
        .writer()
        .write_slice(&bytes)?;

    Ok((argsz, u32::try_from(size).map_err(|_| ENOMEM)?))
}
