// SPDX-License-Identifier: GPL-2.0

//! The part of the user interface that the core answers itself.
//!
//! C header: [`include/uapi/linux/vfio.h`](srctree/include/uapi/linux/vfio.h)

use crate::abstractions::bindings;
use core::{
    mem::offset_of,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    error::from_err_ptr,
    ioctl::_IO,
    prelude::*,
    str::CStr,
    transmute::{
        AsBytes,
        FromBytes, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

pub mod device;
pub mod irq;
pub mod migration;
pub mod pci;

const TYPE: u32 = b';' as u32;
const BASE: u32 = 100;

/// Number of the VFIO ioctl `offset`; the size is in the structures' `argsz`.
#[inline(always)]
pub const fn number(offset: u32) -> u32 {
    _IO(TYPE, BASE + offset)
}

/// Version of the interface, what `VFIO_GET_API_VERSION` returns.
pub const VFIO_API_VERSION: isize = 0;

/// `VFIO_NOIOMMU_IOMMU`, an extension and a value for `VFIO_SET_IOMMU`.
pub(crate) const VFIO_NOIOMMU_IOMMU: usize = 8;

/// Container: version of the interface.
pub const VFIO_GET_API_VERSION: u32 = number(0);
/// Container: is an extension there?
pub const VFIO_CHECK_EXTENSION: u32 = number(1);
/// Container: choose the IOMMU backend.
pub const VFIO_SET_IOMMU: u32 = number(2);
/// Group: is it viable, has it a container?
pub const VFIO_GROUP_GET_STATUS: u32 = number(3);
/// Group: join a container or an iommufd.
pub const VFIO_GROUP_SET_CONTAINER: u32 = number(4);
/// Group: leave it.
pub const VFIO_GROUP_UNSET_CONTAINER: u32 = number(5);
/// Group: open a device.
pub const VFIO_GROUP_GET_DEVICE_FD: u32 = number(6);
/// Device: probe for, read or set a feature.
pub const VFIO_DEVICE_FEATURE: u32 = number(17);
/// Device: bind to an iommufd.
pub const VFIO_DEVICE_BIND_IOMMUFD: u32 = number(18);
/// Device: attach to an address space or page table.
pub const VFIO_DEVICE_ATTACH_IOMMUFD_PT: u32 = number(19);
/// Device: detach from it.
pub const VFIO_DEVICE_DETACH_IOMMUFD_PT: u32 = number(20);

/// `argsz` from the user, and what there is to know of a group for him.
pub type GroupStatus = bindings::vfio_group_status;

impl GroupStatus {
    /// No device of the group is used by a kernel driver.
    pub const VIABLE: u32 = bindings::VFIO_GROUP_FLAGS_VIABLE;
    /// The group has a container or an iommufd.
    pub const CONTAINER_SET: u32 = bindings::VFIO_GROUP_FLAGS_CONTAINER_SET;
}

/// Argument of `VFIO_DEVICE_BIND_IOMMUFD`.
pub type BindIommufd = bindings::vfio_device_bind_iommufd;

impl BindIommufd {
    /// `token_uuid_ptr` is set.
    pub const TOKEN: u32 = bindings::VFIO_DEVICE_BIND_FLAG_TOKEN;
    /// Size of the first version of the structure.
    pub const MIN_SIZE: usize = offset_of!(Self, token_uuid_ptr);
    /// Where the kernel writes the device's object id.
    pub const OUT_DEVID: usize = offset_of!(Self, out_devid);
}

/// Argument of `VFIO_DEVICE_FEATURE`, without what follows it.
pub type FeatureHeader = bindings::vfio_device_feature;

impl FeatureHeader {
    /// Which feature.
    pub const NUMBER: u32 = bindings::VFIO_DEVICE_FEATURE_MASK;
    /// Read the feature.
    pub const GET: u32 = bindings::VFIO_DEVICE_FEATURE_GET;
    /// Set the feature.
    pub const SET: u32 = bindings::VFIO_DEVICE_FEATURE_SET;
    /// Only ask whether the feature can be read or set.
    pub const PROBE: u32 = bindings::VFIO_DEVICE_FEATURE_PROBE;
}

/// `struct vfio_device_attach_iommufd_pt`, the part without PASID.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AttachIommufd {
    /// Size of the structure, from the user.
    pub argsz: u32,
    /// `PASID` or nothing.
    pub flags: u32,
    /// Object id of an address space or page table, in and out.
    pub pt_id: u32,
}

impl AttachIommufd {
    /// A PASID follows.
    pub const PASID: u32 = bindings::VFIO_DEVICE_ATTACH_PASID;
    /// Where the kernel writes the page table's object id.
    pub const PT_ID: usize = offset_of!(Self, pt_id);
}

/// `struct vfio_device_detach_iommufd_pt`, the part without PASID.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DetachIommufd {
    /// Size of the structure, from the user.
    pub argsz: u32,
    /// `PASID` or nothing.
    pub flags: u32,
}

impl DetachIommufd {
    /// A PASID follows.
    pub const PASID: u32 = bindings::VFIO_DEVICE_DETACH_PASID;
}

// SAFETY: Two integers without padding.
unsafe impl FromBytes for GroupStatus {}
// SAFETY: Two integers without padding.
unsafe impl AsBytes for GroupStatus {}
// SAFETY: Two integers without padding.
unsafe impl FromBytes for FeatureHeader {}
// SAFETY: Integers without padding.
unsafe impl FromBytes for BindIommufd {}
// SAFETY: Integers without padding.
unsafe impl AsBytes for BindIommufd {}
// SAFETY: Integers without padding.
unsafe impl FromBytes for AttachIommufd {}
// SAFETY: Two integers without padding.
unsafe impl FromBytes for DetachIommufd {}

/// Reads one value from user memory.
///
/// # Errors
///
/// `EFAULT`: the memory is not readable.
pub fn read<T: FromBytes>(address: usize) -> Result<T> {
    UserSlice::new(UserPtr::from_addr(address), size_of::<T>())
        .reader()
        .read()
}

/// A string that takes less, with its NUL, goes where the caller is; to allocate memory for it,
/// and to free that, costs more than to read it.
const SHORT: usize = 64;

/// A string that was copied from user memory.
///
/// # Invariants
///
/// The pointer is to a string that ends in a NUL, in memory from `kmalloc()` that this owns.
struct LongString(NonNull<c_char>);

impl LongString {
    /// Reads a string of at most `size` bytes with its NUL.
    fn read(address: usize, size: usize) -> Result<Self> {
        let address = core::ptr::with_exposed_provenance(address);
        let size = isize::try_from(size).map_err(|_| EINVAL)?;
        // SAFETY: `strndup_user()` checks the address, which need not be valid.
        let copy = from_err_ptr(unsafe { bindings::strndup_user(address, size) })?;
        // INVARIANT: It was successful, so this is such a string, and nobody else has it.
        NonNull::new(copy).map(Self).ok_or(ENOMEM)
    }
}

impl Deref for LongString {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        // SAFETY: By the type invariant; nobody else can change it.
        unsafe { CStr::from_char_ptr(self.0.as_ptr()) }
    }
}

impl Drop for LongString {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; it is not used any more.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}

/// Reads a string that takes at most `size` bytes with its NUL, and passes it to `visit`;
/// looks at nothing beyond them.
///
/// # Errors
///
/// `EFAULT`: the memory is not readable, up to the NUL. `EINVAL`: there is none in
/// `size` bytes. `ENOMEM`.
pub fn with_string<R>(address: usize, size: usize, visit: impl FnOnce(&CStr) -> R) -> Result<R> {
    if size >= SHORT {
        let mut bytes = [0; SHORT];
        let string = UserSlice::new(UserPtr::from_addr(address), SHORT)
            .reader()
            .strcpy_into_buf(&mut bytes)?;
        // One that fills the buffer may have been cut.
        if string.count_bytes() < SHORT - 1 {
            return Ok(visit(string));
        }
    }
    Ok(visit(&LongString::read(address, size)?))
}

/// Writes one value to user memory.
///
/// # Errors
///
/// `EFAULT`: the memory is not writable.
pub fn write<T: AsBytes>(address: usize, value: &T) -> Result {
    UserSlice::new(UserPtr::from_addr(address), size_of::<T>())
        .writer()
        .write(value)
}

/// Reads a structure that has grown since its first version of `minimum`
/// bytes: what the user's version lacks is zero, what it has in excess must
/// be zero.
///
/// # Errors
///
/// `EFAULT`: the memory is not readable. `EINVAL`: the user's version is
/// smaller than the first one. `E2BIG`: it has something we do not know.
pub fn read_extensible<T: FromBytes + AsBytes>(address: usize, minimum: usize) -> Result<T> {
    let size = read::<u32>(address)? as usize;
    if size < minimum {
        return Err(EINVAL);
    }
    let mut bytes = KVec::from_elem(0u8, size_of::<T>(), GFP_KERNEL)?;
    let known = size.min(size_of::<T>());
    let mut reader = UserSlice::new(UserPtr::from_addr(address), size).reader();
    reader.read_slice(bytes.get_mut(..known).ok_or(EINVAL)?)?;
    while !reader.is_empty() {
        let mut tail = [0u8; 64];
        let part = tail.get_mut(..reader.len().min(64)).ok_or(EINVAL)?;
        reader.read_slice(part)?;
        if part.iter().any(|byte| *byte != 0) {
            return Err(E2BIG);
        }
    }
    T::from_bytes_copy(&bytes).ok_or(EINVAL)
}
