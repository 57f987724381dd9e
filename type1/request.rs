// SPDX-License-Identifier: GPL-2.0

//! The door: what users ask for, read once and checked.
//!
//! What depends on the state of the container, such as alignment to the
//! IOMMU's page size, is checked behind the door, under its lock.

use super::{
    abstractions::{
        iommu_domain::Access,
        uapi_type1::{
            self as uapi_type1,
            DmaMap,
            DmaUnmap,
            Info,
            InfoHeader, //
        }, //
    },
    range::{
        IovaRange,
        RangeError, //
    }, //
};
use kernel::{
    prelude::*,
    transmute::AsBytes,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};
use vfio::abstractions::uapi;

impl From<RangeError> for Error {
    fn from(error: RangeError) -> Self {
        match error {
            RangeError::Empty => EINVAL,
            RangeError::Wraps => EOVERFLOW,
        }
    }
}

/// Fails unless `argsz` covers a `T` and `flags` has only `known` bits.
fn check_header<T>(argsz: u32, flags: u32, known: u32) -> Result {
    if (argsz as usize) < size_of::<T>() || flags & !known != 0 {
        return Err(EINVAL);
    }
    Ok(())
}

/// `VFIO_IOMMU_MAP_DMA`.
pub(crate) struct MapRequest {
    /// Where devices shall see the memory.
    pub(crate) range: IovaRange,
    /// Where the user sees it.
    pub(crate) vaddr: usize,
    /// What devices may do with it.
    pub(crate) access: Access,
}

impl MapRequest {
    /// One that nobody has made, for a mapping that is never populated.
    pub(crate) const fn of_nothing() -> Self {
        Self {
            range: IovaRange::ALL,
            vaddr: 0,
            access: Access {
                read: true,
                write: false,
            },
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory at `arg` is not readable.
    /// `EINVAL`: `argsz` is too small, a flag is unknown, there is no access
    /// or nothing to map.
    /// `EOVERFLOW`: a range goes beyond the end of its address space.
    pub(crate) fn read(arg: usize) -> Result<Self> {
        const KNOWN: u32 = uapi_type1::MAP_FLAG_READ | uapi_type1::MAP_FLAG_WRITE;

        let map: DmaMap = uapi::read(arg)?;
        check_header::<DmaMap>(map.argsz, map.flags, KNOWN)?;
        let range = IovaRange::from_size(map.iova, map.size)?;
        let memory = IovaRange::from_size(map.vaddr, map.size)?;
        let vaddr = usize::try_from(memory.start()).map_err(|_| EOVERFLOW)?;
        usize::try_from(memory.last()).map_err(|_| EOVERFLOW)?;
        let access = Access {
            read: map.flags & uapi_type1::MAP_FLAG_READ != 0,
            write: map.flags & uapi_type1::MAP_FLAG_WRITE != 0,
        };
        if !access.read && !access.write {
            return Err(EINVAL);
        }
        Ok(Self {
            range,
            vaddr,
            access,
        })
    }
}

/// What to unmap.
pub(crate) enum Extent {
    /// Everything.
    All,
    /// A number of bytes from an address on, neither checked yet.
    Bytes {
        /// The address.
        iova: u64,
        /// The number.
        size: u64,
    },
}

/// `VFIO_IOMMU_UNMAP_DMA`.
pub(crate) struct UnmapRequest {
    arg: usize,
    raw: DmaUnmap,
    /// What to unmap.
    pub(crate) extent: Extent,
}

impl UnmapRequest {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory at `arg` is not readable.
    /// `EINVAL`: `argsz` is too small, a flag is unknown, or everything is
    /// meant but a range is given.
    pub(crate) fn read(arg: usize) -> Result<Self> {
        let raw: DmaUnmap = uapi::read(arg)?;
        check_header::<DmaUnmap>(raw.argsz, raw.flags, uapi_type1::UNMAP_FLAG_ALL)?;
        let extent = if raw.flags & uapi_type1::UNMAP_FLAG_ALL == 0 {
            Extent::Bytes {
                iova: raw.iova,
                size: raw.size,
            }
        } else if raw.iova == 0 && raw.size == 0 {
            Extent::All
        } else {
            return Err(EINVAL);
        };
        Ok(Self { arg, raw, extent })
    }

    /// Tells the user that `size` bytes were unmapped.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the request is not writable.
    pub(crate) fn write_back(mut self, size: u64) -> Result {
        self.raw.size = size;
        uapi::write(self.arg, &self.raw)
    }
}

/// `VFIO_IOMMU_GET_INFO`.
pub(crate) struct InfoRequest {
    arg: usize,
    argsz: u32,
}

impl InfoRequest {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory at `arg` is not readable.
    /// `EINVAL`: `argsz` is too small.
    pub(crate) fn read(arg: usize) -> Result<Self> {
        let header: InfoHeader = uapi::read(arg)?;
        check_header::<InfoHeader>(header.argsz, 0, 0)?;
        Ok(Self {
            arg,
            argsz: header.argsz,
        })
    }

    /// The size of the user's buffer.
    pub(crate) fn argsz(&self) -> u32 {
        self.argsz
    }

    /// Writes as much of `info` as the user has room for, and `capabilities`
    /// behind it. The caller knows that there is room for these.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory is not writable.
    pub(crate) fn write(self, info: &Info, capabilities: &[u8]) -> Result {
        let bytes = info.as_bytes();
        if !capabilities.is_empty() {
            self.write_at(bytes.len(), capabilities)?;
        }
        let room = bytes.len().min(self.argsz as usize);
        self.write_at(0, bytes.get(..room).ok_or(EINVAL)?)
    }

    fn write_at(&self, offset: usize, bytes: &[u8]) -> Result {
        let address = UserPtr::from_addr(self.arg).wrapping_byte_add(offset);
        UserSlice::new(address, bytes.len())
            .writer()
            .write_slice(bytes)
    }
}
