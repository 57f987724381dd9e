// SPDX-License-Identifier: GPL-2.0

//! Devices of drivers in C: the fields of `struct vfio_device` that those look at, and their
//! `struct vfio_device_ops`.
//!
//! C header: [`include/linux/vfio.h`](srctree/include/linux/vfio.h)

#[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
use crate::abstractions::debugfs::DataDirectory;
use crate::abstractions::{
    bindings,
    iommu::iommufd::BoundDevice,
    kvm::Kvm,
    mm::pfnmap::NewMapping,
    uaccess::UserBytes,
    uapi::device::RegionInfo, //
};
use core::{
    marker::PhantomData,
    ops::RangeInclusive,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    }, //
};

/// A device of a driver in C, and what that driver does for it. A method returns `None`, or does
/// nothing, if the driver lacks the operation.
///
/// Nothing is locked here, and nothing checked: this is as it was asked for by a user.
///
/// # Invariants
///
/// `raw` is null, or a device that `_vfio_alloc_device()` has made. It is registered, or being
/// registered or unregistered, as long as it is not null: it is made null before it goes.
pub struct CDevice {
    raw: Atomic<*mut bindings::vfio_device>,
}

/// A device that is there during a call.
///
/// # Invariants
///
/// `raw` is valid.
pub(super) struct Present<'a> {
    pub(super) raw: *mut bindings::vfio_device,
    _call: PhantomData<&'a CDevice>,
}

impl Present<'_> {
    fn ops(&self) -> &bindings::vfio_device_ops {
        // SAFETY: By the type invariant; a device has operations, which do not change, from its
        // creation on.
        unsafe { &*(*self.raw).ops }
    }
}

/// Makes a `Result` of what an operation returns that counts.
fn to_count(value: isize) -> Result<usize> {
    usize::try_from(value).map_err(|_| to_error(value))
}

fn to_error(value: isize) -> Error {
    c_int::try_from(value).map_or(EINVAL, Error::from_errno)
}

fn to_value(value: isize) -> Result<isize> {
    if value < 0 {
        Err(to_error(value))
    } else {
        Ok(value)
    }
}

impl CDevice {
    /// # Safety
    ///
    /// `raw` must be from `_vfio_alloc_device()`. Before it goes [`detach()`](Self::detach) must be
    /// called, when nobody calls any other method any more.
    pub(in crate::abstractions) unsafe fn new(raw: NonNull<bindings::vfio_device>) -> Self {
        // INVARIANT: By this function's contract.
        Self {
            raw: Atomic::new(raw.as_ptr()),
        }
    }

    /// The device is not registered any more, and its driver may free it.
    pub(in crate::abstractions) fn detach(&self) {
        // INVARIANT: It is null.
        self.raw.store(ptr::null_mut(), Release);
    }

    /// The device, unless it is gone.
    pub(super) fn present(&self) -> Option<Present<'_>> {
        let raw = self.raw.load(Acquire);
        // INVARIANT: By that of this type.
        (!raw.is_null()).then_some(Present {
            raw,
            _call: PhantomData,
        })
    }

    /// `kvm`: the machine that is there while the device is open, or none.
    pub fn set_machine(&self, machine: Option<&Kvm>) {
        if let Some(device) = self.present() {
            let raw = machine.map_or(ptr::null_mut(), Kvm::as_raw);
            // SAFETY: The device is valid. C code that reads the field does so, without a lock,
            // while the device is open, when it does not change.
            unsafe { (&raw mut (*device.raw).kvm).write_volatile(raw) };
        }
    }

    /// `iommufd_device`: what the device is bound to while it is open, if it does DMA.
    #[cfg_attr(not(CONFIG_IOMMUFD), expect(unused_variables))]
    pub fn set_bound(&self, bound: Option<&BoundDevice>) {
        #[cfg(CONFIG_IOMMUFD)]
        if let Some(device) = self.present() {
            let raw = bound.map_or(ptr::null_mut(), BoundDevice::as_raw);
            // SAFETY: The device is valid; only this function writes the field, and only while
            // the device is opened or closed.
            unsafe { (&raw mut (*device.raw).iommufd_device).write_volatile(raw) };
        }
    }

    /// `debug_root`: the directory of the device, as long as it is registered.
    #[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
    pub fn set_debug_root<T: Send + Sync>(&self, directory: &DataDirectory<T>) {
        if let Some(device) = self.present() {
            // SAFETY: The device is valid; only this function writes the field, once, before the
            // driver's registration returns.
            unsafe { (&raw mut (*device.raw).debug_root).write_volatile(directory.as_raw()) };
        }
    }

    /// `open_count`
    pub fn set_open_count(&self, count: usize) {
        if let Some(device) = self.present() {
            let count = c_uint::try_from(count).unwrap_or(c_uint::MAX);
            // SAFETY: The device is valid; only this function writes the field.
            unsafe { (&raw mut (*device.raw).open_count).write_volatile(count) };
        }
    }

    /// `cdev_opened`
    pub fn set_through_cdev(&self, through_cdev: bool) {
        if let Some(device) = self.present() {
            // SAFETY: The device is valid; what else is in the same byte nobody writes.
            unsafe {
                bindings::vfio_device::set_cdev_opened_raw(device.raw, u8::from(through_cdev));
            }
        }
    }

    /// `open_device`: the driver makes the device usable.
    pub fn open_device(&self) -> Option<Result> {
        let device = self.present()?;
        let open = device.ops().open_device?;
        // SAFETY: This is what the operation is for; the device is valid.
        Some(to_result(unsafe { open(device.raw) }))
    }

    /// `close_device`: undoes that.
    pub fn close_device(&self) {
        let Some(device) = self.present() else {
            return;
        };
        if let Some(close) = device.ops().close_device {
            // SAFETY: This is what the operation is for; the device is valid.
            unsafe { close(device.raw) };
        }
    }

    /// `read`
    pub fn read(&self, bytes: UserBytes, position: &mut i64) -> Option<Result<usize>> {
        let device = self.present()?;
        let read = device.ops().read?;
        let address = bytes.address().as_mut_ptr().cast();
        // SAFETY: This is what the operation is for; the device is valid. The address is the
        // user's, and need not be valid.
        Some(to_count(unsafe {
            read(device.raw, address, bytes.len(), position)
        }))
    }

    /// `write`
    pub fn write(&self, bytes: UserBytes, position: &mut i64) -> Option<Result<usize>> {
        let device = self.present()?;
        let write = device.ops().write?;
        let address = bytes.address().as_const_ptr().cast();
        // SAFETY: As in `read()`.
        Some(to_count(unsafe {
            write(device.raw, address, bytes.len(), position)
        }))
    }

    /// `ioctl`
    pub fn ioctl(&self, cmd: u32, arg: usize) -> Option<Result<isize>> {
        let device = self.present()?;
        let ioctl = device.ops().ioctl?;
        // SAFETY: This is what the operation is for; the device is valid.
        Some(to_value(unsafe { ioctl(device.raw, cmd, arg) }))
    }

    /// `get_region_info_caps`: fills in the answer, and returns the capabilities that belong to it.
    pub fn region_info(&self, info: &mut RegionInfo) -> Option<Result<RegionCapabilities>> {
        let device = self.present()?;
        let describe = device.ops().get_region_info_caps?;
        let mut capabilities = RegionCapabilities(bindings::vfio_info_cap::default());
        // SAFETY: This is what the operation is for; the device is valid, the others are ours.
        let result = to_result(unsafe { describe(device.raw, info, &mut capabilities.0) });
        // INVARIANT: The operation fills it in by `vfio_info_cap_add()`.
        Some(result.map(|()| capabilities))
    }

    /// `mmap`: the driver fills the area, or sets operations of its own for it.
    pub fn mmap(&self, mapping: &NewMapping<'_>) -> Option<Result> {
        let device = self.present()?;
        let mmap = device.ops().mmap?;
        // SAFETY: This is what the operation is for; the device is valid, and the area is being
        // set up.
        Some(to_result(unsafe { mmap(device.raw, mapping.as_raw()) }))
    }

    /// `request`: the driver asks its user to let the device go.
    pub fn request(&self, count: u32) {
        let Some(device) = self.present() else {
            return;
        };
        if let Some(request) = device.ops().request {
            // SAFETY: This is what the operation is for; the device is valid.
            unsafe { request(device.raw, count) };
        }
    }

    /// `match`: whether the name means this device.
    pub fn matches(&self, name: &CStr) -> Option<Result<bool>> {
        let device = self.present()?;
        let matches = device.ops().match_?;
        // The driver may cut it into pieces.
        let mut copy = KVec::new();
        if let Err(error) = copy.extend_from_slice(name.to_bytes_with_nul(), GFP_KERNEL) {
            return Some(Err(error.into()));
        }
        // SAFETY: This is what the operation is for; the device is valid, and so is the string.
        let found = unsafe { matches(device.raw, copy.as_mut_ptr().cast()) };
        Some(to_result(found).map(|()| found > 0))
    }

    /// Whether there is `match_token_uuid`.
    pub fn has_token(&self) -> bool {
        self.present()
            .is_some_and(|device| device.ops().match_token_uuid.is_some())
    }

    /// `match_token_uuid`: whether the opener may have the device.
    pub fn match_token(&self, token: Option<[u8; 16]>) -> Option<Result> {
        let device = self.present()?;
        let matches = device.ops().match_token_uuid?;
        let token = token.map(|b| bindings::uuid_t { b });
        let token = token.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: This is what the operation is for; the device is valid, and the token, if there
        // is one.
        Some(to_result(unsafe { matches(device.raw, token) }))
    }

    /// Whether there is `dma_unmap`, and so the driver may pin pages.
    pub fn has_dma_unmap(&self) -> bool {
        self.present()
            .is_some_and(|device| device.ops().dma_unmap.is_some())
    }

    /// `dma_unmap`: the driver lets go of what is at these addresses.
    pub fn dma_unmap(&self, addresses: &RangeInclusive<u64>) {
        let Some(device) = self.present() else {
            return;
        };
        if let Some(unmap) = device.ops().dma_unmap {
            let first = *addresses.start();
            let length = addresses.end().saturating_sub(first).saturating_add(1);
            // SAFETY: This is what the operation is for; the device is valid.
            unsafe { unmap(device.raw, first, length) };
        }
    }

    /// `device_feature`: a feature that the core does not know.
    pub fn device_feature(&self, flags: u32, payload: UserBytes) -> Option<Result<isize>> {
        let device = self.present()?;
        let feature = device.ops().device_feature?;
        let address = payload.address().as_mut_ptr();
        // SAFETY: This is what the operation is for; the device is valid. The address is the
        // user's, and need not be valid.
        let value = unsafe { feature(device.raw, flags, address, payload.len()) };
        Some(to_value(value as isize))
    }
}

/// Capabilities of a region, as a driver in C has made them.
///
/// # Invariants
///
/// The buffer is null, or this value's, from `kmalloc()`, and `size` bytes of it are initialised.
pub struct RegionCapabilities(bindings::vfio_info_cap);

impl RegionCapabilities {
    /// The chain, empty if there are none.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        if self.0.buf.is_null() {
            return &mut [];
        }
        // SAFETY: By the type invariant.
        unsafe { core::slice::from_raw_parts_mut(self.0.buf.cast(), self.0.size) }
    }
}

impl Drop for RegionCapabilities {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; null is accepted.
        unsafe { bindings::kfree(self.0.buf.cast()) };
    }
}
