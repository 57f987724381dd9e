// SPDX-License-Identifier: GPL-2.0

//! The door: what users ask for, read once and checked.
//!
//! What depends on the state of the container, such as alignment to the
//! IOMMU's page size, is checked behind the door, under its lock.

use super::{
    abstractions::{
        iommu::domain::Prot,
        mm::user_memory::is_user_range,
        uapi::type1::{
            self as uapi_type1,
            Bitmap,
            DirtyBitmap,
            DirtyBitmapGet,
            DmaMap,
            DmaUnmap,
            Info,
            InfoHeader, //
        }, //
    },
    dirty_bitmap::is_valid_size,
    range::{
        IovaRange,
        RangeError, //
    }, //
};
use kernel::{
    prelude::*,
    transmute::{
        AsBytes,
        FromBytes, //
    },
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

/// Reads a `T` that follows the header `H` at `arg`, if `argsz` covers it.
///
/// # Errors
///
/// `EINVAL`: it does not. `EFAULT`: the memory is not readable.
fn read_behind<H, T: FromBytes>(arg: usize, argsz: u32) -> Result<T> {
    if (argsz as usize) < size_of::<H>() + size_of::<T>() {
        return Err(EINVAL);
    }
    uapi::read(arg.wrapping_add(size_of::<H>()))
}

/// `VFIO_IOMMU_MAP_DMA`.
pub(crate) enum MapCall {
    /// A new mapping.
    New(MapRequest),
    /// A new address for the memory of a mapping.
    Update(UpdateRequest),
}

/// Where the memory of a mapping is now.
pub(crate) struct UpdateRequest {
    /// Where devices see the memory.
    pub(crate) range: IovaRange,
    /// Where the user sees it.
    pub(crate) vaddr: usize,
}

/// A mapping to be made.
pub(crate) struct MapRequest {
    /// Where devices shall see the memory.
    pub(crate) range: IovaRange,
    /// Where the user sees it.
    pub(crate) vaddr: usize,
    /// What devices may do with it.
    pub(crate) prot: Prot,
}

impl MapRequest {
    /// One that nobody has made, for a mapping that is never populated.
    pub(crate) const fn of_nothing() -> Self {
        Self {
            range: IovaRange::ALL,
            vaddr: 0,
            prot: Prot {
                read: true,
                write: false,
            },
        }
    }
}

impl MapCall {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory at `arg` is not readable.
    /// `EINVAL`: `argsz` is too small, a flag is unknown, there is no access
    /// or nothing to map; or there is an access, but a mapping to be changed.
    /// `EOVERFLOW`: a range goes beyond the end of its address space.
    pub(crate) fn read(arg: usize) -> Result<Self> {
        const KNOWN: u32 =
            uapi_type1::MAP_FLAG_READ | uapi_type1::MAP_FLAG_WRITE | uapi_type1::MAP_FLAG_VADDR;

        let map: DmaMap = uapi::read(arg)?;
        check_header::<DmaMap>(map.argsz, map.flags, KNOWN)?;
        let range = IovaRange::from_size(map.iova, map.size)?;
        let memory = IovaRange::from_size(map.vaddr, map.size)?;
        let vaddr = usize::try_from(memory.start()).map_err(|_| EOVERFLOW)?;
        usize::try_from(memory.last()).map_err(|_| EOVERFLOW)?;
        let prot = Prot {
            read: map.flags & uapi_type1::MAP_FLAG_READ != 0,
            write: map.flags & uapi_type1::MAP_FLAG_WRITE != 0,
        };
        let is_update = map.flags & uapi_type1::MAP_FLAG_VADDR != 0;
        match (prot.read || prot.write, is_update) {
            (true, false) => Ok(Self::New(MapRequest { range, vaddr, prot })),
            (false, true) => Ok(Self::Update(UpdateRequest { range, vaddr })),
            _ => Err(EINVAL),
        }
    }
}

/// What to unmap.
pub(crate) enum Extent {
    /// Everything; then there must be no range.
    All {
        /// An address.
        iova: u64,
        /// A number of bytes.
        size: u64,
    },
    /// A number of bytes from an address on, neither checked yet.
    Bytes {
        /// The address.
        iova: u64,
        /// The number.
        size: u64,
    },
}

/// A user's bitmap of dirty pages.
pub(crate) struct UserBitmap {
    address: usize,
    page_size: u64,
}

impl UserBitmap {
    /// A bitmap for `size` bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it is not in memory of the user, or has the wrong size for that.
    fn new(raw: &Bitmap, size: u64) -> Result<Self> {
        let address = usize::try_from(raw.data).map_err(|_| EINVAL)?;
        let length = usize::try_from(raw.size).map_err(|_| EINVAL)?;
        let pages = size
            .checked_shr(raw.pgsize.trailing_zeros())
            .unwrap_or_default();
        if !is_user_range(address, length) || !is_valid_size(raw.size, pages) {
            return Err(EINVAL);
        }
        Ok(Self {
            address,
            page_size: raw.pgsize,
        })
    }

    /// The size of the pages that its bits stand for, as the user has it.
    pub(crate) fn page_size(&self) -> u64 {
        self.page_size
    }

    /// Reads the word with the given index.
    ///
    /// # Errors
    ///
    /// `EFAULT`: it is not readable.
    pub(crate) fn read(&self, index: u64) -> Result<u64> {
        self.words_from(index, 1).reader().read()
    }

    /// Writes `words` from the one with the given index on.
    ///
    /// # Errors
    ///
    /// `EFAULT`: they are not writable.
    pub(crate) fn write(&self, index: u64, words: &[u64]) -> Result {
        self.words_from(index, words.len())
            .writer()
            .write_slice(AsBytes::as_bytes(words))
    }

    fn words_from(&self, index: u64, count: usize) -> UserSlice {
        let offset = (index as usize).wrapping_mul(size_of::<u64>());
        let address = UserPtr::from_addr(self.address).wrapping_byte_add(offset);
        UserSlice::new(address, count.wrapping_mul(size_of::<u64>()))
    }
}

/// What to do with mappings that are unmapped.
pub(crate) enum UnmapKind {
    /// Remove them.
    Remove,
    /// Remove them, and report what is dirty of them.
    Report(UserBitmap),
    /// Keep them; their memory is elsewhere from now on.
    Invalidate,
}

/// `VFIO_IOMMU_UNMAP_DMA`.
pub(crate) struct UnmapRequest {
    arg: usize,
    raw: DmaUnmap,
    /// How to unmap.
    pub(crate) kind: UnmapKind,
}

impl UnmapRequest {
    const ALL: u32 = uapi_type1::UNMAP_FLAG_ALL;

    /// Reads a request.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory at `arg` is not readable.
    /// `EINVAL`: `argsz` is too small, a flag is unknown or does not go with another one, or
    /// there is no bitmap where one is asked for.
    pub(crate) fn read(arg: usize) -> Result<Self> {
        const ALL: u32 = UnmapRequest::ALL;
        const VADDR: u32 = uapi_type1::UNMAP_FLAG_VADDR;
        const REPORT: u32 = uapi_type1::UNMAP_FLAG_GET_DIRTY_BITMAP;

        let raw: DmaUnmap = uapi::read(arg)?;
        check_header::<DmaUnmap>(raw.argsz, raw.flags, ALL | VADDR | REPORT)?;
        let kind = if raw.flags & REPORT != 0 {
            if raw.flags & (ALL | VADDR) != 0 {
                return Err(EINVAL);
            }
            let bitmap: Bitmap = read_behind::<DmaUnmap, _>(arg, raw.argsz)?;
            UnmapKind::Report(UserBitmap::new(&bitmap, raw.size)?)
        } else if raw.flags & VADDR != 0 {
            UnmapKind::Invalidate
        } else {
            UnmapKind::Remove
        };
        Ok(Self { arg, raw, kind })
    }

    /// What to unmap.
    pub(crate) fn extent(&self) -> Extent {
        let (iova, size) = (self.raw.iova, self.raw.size);
        if self.raw.flags & Self::ALL == 0 {
            Extent::Bytes { iova, size }
        } else {
            Extent::All { iova, size }
        }
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

/// Which dirty pages to report, and where.
pub(crate) struct ReportRequest {
    /// The addresses of the pages.
    pub(crate) range: IovaRange,
    /// Where.
    pub(crate) bitmap: UserBitmap,
}

/// `VFIO_IOMMU_DIRTY_PAGES`.
pub(crate) enum DirtyRequest {
    /// Keep track of dirty pages.
    Start,
    /// Do not.
    Stop,
    /// Report them.
    Report(ReportRequest),
}

impl DirtyRequest {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// `EFAULT`: the memory at `arg` is not readable.
    /// `EINVAL`: `argsz` is too small; a flag is unknown, or there is not just one; the
    /// bitmap is none.
    /// `EOVERFLOW`: the range goes beyond the last address.
    pub(crate) fn read(arg: usize) -> Result<Self> {
        const START: u32 = uapi_type1::DIRTY_PAGES_START;
        const STOP: u32 = uapi_type1::DIRTY_PAGES_STOP;
        const REPORT: u32 = uapi_type1::DIRTY_PAGES_GET_BITMAP;

        let dirty: DirtyBitmap = uapi::read(arg)?;
        check_header::<DirtyBitmap>(dirty.argsz, dirty.flags, START | STOP | REPORT)?;
        match dirty.flags {
            START => Ok(Self::Start),
            STOP => Ok(Self::Stop),
            REPORT => {
                let get: DirtyBitmapGet = read_behind::<DirtyBitmap, _>(arg, dirty.argsz)?;
                Ok(Self::Report(ReportRequest {
                    range: IovaRange::from_size(get.iova, get.size)?,
                    bitmap: UserBitmap::new(&get.bitmap, get.size)?,
                }))
            }
            _ => Err(EINVAL),
        }
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
