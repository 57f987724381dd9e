// SPDX-License-Identifier: GPL-2.0

//! A VFIO device made of software: 64 KiB of memory, and registers by which it does DMA.
//!
//! It shows what a bus driver owes the core, and what it gets for that. It names
//! page frames when the core asks for them, and calls `zap()` when they must not
//! be reached. All files, all mappings, the way from an area to the device, and
//! the release notifiers are the core's.

#![deny(unsafe_code)]

use core::ops::RangeInclusive;
use kernel::{
    faux,
    module::this_module,
    prelude::*,
    str::{
        CStr,
        CString, //
    },
    sync::Arc, //
};
use vfio::{
    abstractions::{
        mm::{
            page_frames::PageFrames,
            pfnmap::{
                pages,
                Fault,
                FaultResult,
                NewMapping,
                Populated, //
            }, //
        },
        sync::rwsem::RwSemaphore,
        uaccess::UserBytes,
        uapi::device::{
            DeviceInfo,
            RegionInfo,
            VFIO_DEVICE_FLAGS_RESET,
            VFIO_DEVICE_GET_INFO,
            VFIO_DEVICE_GET_REGION_INFO,
            VFIO_DEVICE_RESET,
            VFIO_REGION_INFO_FLAG_MMAP,
            VFIO_REGION_INFO_FLAG_READ,
            VFIO_REGION_INFO_FLAG_WRITE, //
        }, //
    },
    confinement::Dma,
    device::{
        dma_logging::DmaLogging,
        ops::{
            DeviceOps,
            Opening, //
        },
        set::DeviceSetKey,
        Device, //
    },
    new_rwsem,
    registration::Registration, //
};

#[path = "vfio_memory_dma.rs"]
mod dma;
#[path = "vfio_memory_log.rs"]
mod log;

use dma::Engine;

/// Size of the device's memory, which is at the start of the device file.
const PAGES: usize = 16;

/// Where in the device file the registers are.
const REGISTERS_OFFSET: u64 = 1 << 20;

/// Bytes that are copied in one go, through the stack: user memory is not
/// touched under the memory lock, since a fault takes that as well.
const CHUNK: usize = 256;

/// The device.
struct Memory {
    /// Whoever holds this for writing has the memory to itself, once it has
    /// zapped all mappings.
    frames: Arc<RwSemaphore<Arc<PageFrames>>>,
    engine: Arc<Engine>,
}

impl Memory {
    fn new() -> Result<Arc<Self>> {
        let frames = Arc::new(PageFrames::new(PAGES)?, GFP_KERNEL)?;
        let frames = Arc::pin_init(new_rwsem!(frames, c"vfio_memory"), GFP_KERNEL)?;
        let engine = Engine::new(frames.clone())?;
        Ok(Arc::new(Self { frames, engine }, GFP_KERNEL)?)
    }

    fn size(&self) -> usize {
        self.frames.read().size()
    }

    /// Makes all memory zero, while nobody can look.
    fn reset(&self, device: &Device) {
        let frames = self.frames.write();
        device.zap(0, frames.size() as u64);
        frames.clear();
    }

    fn device_info(&self, arg: usize) -> Result {
        let mut info = DeviceInfo::read(arg)?;
        info.flags = VFIO_DEVICE_FLAGS_RESET;
        info.num_regions = 2;
        info.write(arg, info.argsz)
    }

    fn region_info(&self, arg: usize) -> Result {
        let mut info = RegionInfo::read(arg)?;
        info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
        match info.index {
            0 => {
                info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
                info.size = self.size() as u64;
                info.offset = 0;
            }
            1 => {
                info.size = dma::SIZE as u64;
                info.offset = REGISTERS_OFFSET;
            }
            _ => return Err(EINVAL),
        }
        info.write(arg)
    }
}

/// The register at `position` of the device file: `None` if that is in the memory.
///
/// # Errors
///
/// `EINVAL`: it is between two of them, or the user does not access it as a whole.
fn register_at(position: i64, length: usize) -> Result<Option<usize>> {
    let offset = u64::try_from(position)?.checked_sub(REGISTERS_OFFSET);
    let Some(offset) = offset else {
        return Ok(None);
    };
    let offset = usize::try_from(offset)?;
    if offset % size_of::<u64>() != 0 || length != size_of::<u64>() {
        return Err(EINVAL);
    }
    Ok(Some(offset / size_of::<u64>()))
}

impl DeviceOps for Memory {
    fn open(&self, device: &Device, _opening: &Opening<'_>) -> Result {
        // What one user leaves behind is not for the next one.
        self.engine.reset();
        self.reset(device);
        Ok(())
    }

    fn close(&self, _device: &Device) {
        self.engine.unpin_all();
    }

    fn dma_logging(&self) -> Option<&dyn DmaLogging> {
        Some(self.engine.log())
    }

    fn pins(&self) -> bool {
        true
    }

    fn unmapped(&self, _device: &Device, addresses: RangeInclusive<u64>) {
        self.engine.unmapped(&addresses);
    }

    fn ioctl(&self, device: &Device, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            VFIO_DEVICE_GET_INFO => self.device_info(arg)?,
            VFIO_DEVICE_GET_REGION_INFO => self.region_info(arg)?,
            VFIO_DEVICE_RESET => self.reset(device),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn read(&self, _device: &Device, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        let mut buffer = bytes.writer();
        let start = *position;
        if let Some(index) = register_at(start, buffer.len())? {
            let value = self.engine.register(index)?;
            buffer.write_slice(&value.to_ne_bytes())?;
            *position += size_of::<u64>() as i64;
            return Ok(size_of::<u64>());
        }
        let mut chunk = [0; CHUNK];
        while !buffer.is_empty() {
            let limit = buffer.len().min(CHUNK);
            let wanted = chunk.get_mut(..limit).ok_or(EINVAL)?;
            let count = self.frames.read().read(usize::try_from(*position)?, wanted);
            if count == 0 {
                break;
            }
            buffer.write_slice(chunk.get(..count).ok_or(EINVAL)?)?;
            *position += count as i64;
        }
        Ok((*position - start) as usize)
    }

    fn write(&self, device: &Device, bytes: UserBytes, position: &mut i64) -> Result<usize> {
        let mut buffer = bytes.reader();
        let start = *position;
        if let Some(index) = register_at(start, buffer.len())? {
            let mut value = [0; size_of::<u64>()];
            buffer.read_slice(&mut value)?;
            let value = u64::from_ne_bytes(value);
            self.engine
                .set_register(device.user_memory(), index, value)?;
            *position += size_of::<u64>() as i64;
            return Ok(size_of::<u64>());
        }
        let mut chunk = [0; CHUNK];
        while !buffer.is_empty() {
            let limit = buffer.len().min(CHUNK);
            let given = chunk.get_mut(..limit).ok_or(EINVAL)?;
            buffer.read_slice(given)?;
            let count = self.frames.read().write(usize::try_from(*position)?, given);
            *position += count as i64;
            if count < limit {
                break;
            }
        }
        Ok((*position - start) as usize)
    }

    fn mmap(&self, _device: &Device, mapping: &NewMapping<'_>) -> Result<Populated> {
        let end = mapping
            .page_offset()
            .checked_add(pages(mapping.len() as u64));
        match end {
            Some(end) if mapping.is_shared() && end <= PAGES as u64 => Ok(Populated::ByFault),
            _ => Err(EINVAL),
        }
    }

    fn fault(&self, _device: &Device, fault: &Fault<'_>) -> FaultResult {
        fault.insert_page(&self.frames.read(), fault.page_offset())
    }
}

/// A device that is registered.
///
/// Fields are dropped in order: users let the device go before its parent goes.
struct Registered {
    _registration: Registration,
    _parent: faux::Registration,
}

impl Registered {
    fn new(name: &CStr) -> Result<Self> {
        let parent = faux::Registration::new(name, None)?;
        let registration = Registration::new(
            parent.as_ref().as_ref(),
            Memory::new()?,
            DeviceSetKey::Alone,
            Dma::Emulated,
            this_module::<LocalModule>(),
        )?;
        Ok(Self {
            _registration: registration,
            _parent: parent,
        })
    }
}

/// The module.
struct MemoryModule {
    _devices: KVec<Registered>,
}

impl kernel::Module for MemoryModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut devices = KVec::new();
        devices.push(Registered::new(c"vfio-memory")?, GFP_KERNEL)?;
        for index in 1..*module_parameters::devices.value_ref() {
            let name = CString::try_from_fmt(fmt!("vfio-memory.{index}"))?;
            devices.push(Registered::new(&name)?, GFP_KERNEL)?;
        }
        Ok(Self { _devices: devices })
    }
}

module! {
    type: MemoryModule,
    name: "vfio_memory",
    authors: ["The VFIO in Rust developers"],
    description: "Sample of an emulated VFIO device",
    license: "GPL v2",
    params: {
        devices: u32 {
            default: 1,
            description: "How many devices there are",
        },
    },
}
